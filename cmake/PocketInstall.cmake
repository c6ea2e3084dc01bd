# What `make install PREFIX=` puts where. Everything is found relative to the programs, so that a
# prefix may be moved.
include(CMakePackageConfigHelpers)

# Plugins lie in lib/pocket whatever the library folder is called: pocketd looks there.
install(TARGETS pocketd pocket-runner pocket-supervisor pocket-cli pocket-download
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS pocket EXPORT PocketTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES share/pocket/catalogue.toml DESTINATION share/pocket)
install(PROGRAMS tools/build-models tools/build-app-model tools/fetch-package
        DESTINATION share/pocket/build)
install(DIRECTORY tools/models tools/app-models DESTINATION share/pocket/build
        PATTERN __pycache__ EXCLUDE)
install(DIRECTORY include/pocket DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(app ${POCKET_APPS})
  install(TARGETS ${app} ${app}-monolithic RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endforeach()
foreach(engine null handler pipeline openvino onnxruntime tensorflow)
  if(TARGET pocket-engine-${engine})
    install(TARGETS pocket-engine-${engine} LIBRARY DESTINATION lib/pocket)
  endif()
endforeach()

# To make handlers with.
if(TARGET protoc-gen-pocket)
  install(TARGETS protoc-gen-pocket RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(TARGETS libpocket-handler-tensors LIBRARY DESTINATION lib/pocket)
endif()
install(DIRECTORY proto/pocket DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY src/cli/new/templates/ DESTINATION share/pocket/new USE_SOURCE_PERMISSIONS)
install(FILES cmake/package/PocketInterface.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Pocket)

install(EXPORT PocketTargets NAMESPACE Pocket:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Pocket)
configure_package_config_file(cmake/package/PocketConfig.cmake.in ${CMAKE_BINARY_DIR}/PocketConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Pocket
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/PocketConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
configure_file(cmake/package/pocket.pc.in ${CMAKE_BINARY_DIR}/pocket.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/PocketConfig.cmake ${CMAKE_BINARY_DIR}/PocketConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Pocket)
install(FILES ${CMAKE_BINARY_DIR}/pocket.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
# In lib, where systemd looks for the units of /usr and /usr/local; it wants the program's whole path.
install(CODE "
  set(POCKETD \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/pocketd\")
  configure_file(\"${PROJECT_SOURCE_DIR}/packaging/pocketd.service\"
                 \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/pocketd.service\" @ONLY)
")
# Written by the program itself, so that they cannot disagree with its options.
install(CODE "
  set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share\")
  execute_process(COMMAND $<TARGET_FILE:pocket-cli> man --directory \"\${share}/man/man1\"
                  COMMAND_ERROR_IS_FATAL ANY)
  foreach(place bash:bash-completion/completions/pocket zsh:zsh/site-functions/_pocket
                fish:fish/vendor_completions.d/pocket.fish)
    string(REPLACE \":\" \";\" place \"\${place}\")
    list(GET place 0 shell)
    list(GET place 1 file)
    get_filename_component(folder \"\${share}/\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    execute_process(COMMAND $<TARGET_FILE:pocket-cli> completion \${shell}
                    OUTPUT_FILE \"\${share}/\${file}\" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
")
