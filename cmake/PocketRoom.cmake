# One function per room: a static library `pocket_<room>` from explicit sources, with the shared
# warnings, and its unit tests beside the code.
#
#   pocket_room(NAME wire SOURCES a.cc b.cc DEPENDS base TESTS ring_test.cc)
#
# Every room is compiled position independent (libpocket is a shared library too).
function(pocket_room)
  cmake_parse_arguments(ROOM "" "NAME" "SOURCES;DEPENDS;LIBRARIES;TESTS;TEST_LIBRARIES" ${ARGN})
  set(target pocket_${ROOM_NAME})
  add_library(${target} STATIC ${ROOM_SOURCES})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  list(TRANSFORM ROOM_DEPENDS PREPEND pocket_)
  target_link_libraries(${target} PUBLIC ${ROOM_DEPENDS} PRIVATE pocket_warnings
                        PUBLIC ${ROOM_LIBRARIES})
  foreach(test ${ROOM_TESTS})
    get_filename_component(name ${test} NAME_WE)
    pocket_test(NAME ${ROOM_NAME}_${name} SOURCES ${test} LIBRARIES ${target} ${ROOM_TEST_LIBRARIES})
  endforeach()
endfunction()

# A GoogleTest program registered with ctest under `NAME`, with optional LABELS and TIMEOUT.
function(pocket_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE ${T_LIBRARIES} GTest::gmock GTest::gtest_main
                        pocket_warnings)
  add_test(NAME ${T_NAME} COMMAND ${T_NAME})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 60)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77
                       LABELS "${T_LABELS}")
endfunction()
