# Interfaces of handlers, from .proto files. Used by Pocket itself and by whoever finds the package.
#
#   pocket_interface(NAME myapp_interface PROTO myapp.proto)
#     a static library with the messages, whose headers are myapp.pb.h, myapp.client.h, myapp.handler.h
#   pocket_handler(NAME myapp INTERFACE myapp_interface SOURCES handler.cc)
#     the handler's shared library, myapp.so
#
# Messages are protobuf's light ones (no reflection): several handlers in one runner, each with its own
# copy of a message, do not meet in protobuf's register of types.
function(pocket_interface)
  cmake_parse_arguments(I "" "NAME;PROTO" "LIBRARIES" ${ARGN})
  get_filename_component(proto ${I_PROTO} ABSOLUTE)
  get_filename_component(folder ${proto} DIRECTORY)
  get_filename_component(base ${proto} NAME_WE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${I_NAME})
  file(MAKE_DIRECTORY ${out})
  # The imported file is compiled into the library too: it is small, and the library whole with it.
  foreach(source pocket/tensor ${base})
    if(source STREQUAL base)
      set(input ${proto})
      set(imports -I${folder} -I${POCKET_PROTO_DIR})
    else()
      set(input ${POCKET_PROTO_DIR}/${source}.proto)
      set(imports -I${POCKET_PROTO_DIR})
    endif()
    set(outputs ${out}/${source}.pb.cc ${out}/${source}.pb.h)
    set(plugin)
    if(source STREQUAL base)
      list(APPEND outputs ${out}/${source}.client.h ${out}/${source}.handler.h)
      set(plugin --plugin=protoc-gen-pocket=${POCKET_PROTOC_PLUGIN} --pocket_out=client,handler:${out})
    endif()
    add_custom_command(OUTPUT ${outputs}
      COMMAND protobuf::protoc ${imports} --cpp_out=lite:${out} ${plugin} ${input}
      DEPENDS ${input} ${POCKET_PROTOC_PLUGIN_TARGET} VERBATIM)
    list(APPEND sources ${out}/${source}.pb.cc)
    list(APPEND headers ${outputs})
  endforeach()
  add_library(${I_NAME} STATIC ${sources} ${headers})
  set_target_properties(${I_NAME} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${I_NAME} SYSTEM PUBLIC ${out} ${POCKET_INCLUDE_DIR})
  target_compile_features(${I_NAME} PUBLIC cxx_std_20)
  target_compile_options(${I_NAME} PRIVATE -w) # somebody else's generator wrote it
  target_link_libraries(${I_NAME} PUBLIC protobuf::libprotobuf-lite)
endfunction()

function(pocket_handler)
  cmake_parse_arguments(H "" "NAME;INTERFACE" "SOURCES;LIBRARIES" ${ARGN})
  add_library(${H_NAME} MODULE ${H_SOURCES})
  set_target_properties(${H_NAME} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(${H_NAME} PRIVATE ${H_INTERFACE} ${H_LIBRARIES})
endfunction()
