# ExecuTorch's Android library is made for Java: it wants libfbjni.so, which only its Java side calls. Ours has the
# names that the library asks for, and traps; so no second archive and no shared C++ library go to the device.
include(${CMAKE_CURRENT_LIST_DIR}/stub.cmake)
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/libfbjni.symbols symbols REGEX "^[^#]")
stub(edgebench_fbjni fbjni ${symbols})

target_link_libraries(edgebench_executorch PRIVATE edgebench_fbjni ${EXECUTORCH_DIR}/lib/libexecutorch_jni.so)
if(EDGEBENCH_ZIG)
  target_link_libraries(edgebench_executorch PRIVATE edgebench_bionic)
  target_link_options(edgebench_executorch PRIVATE --allow-shlib-undefined
    --version-script=${CMAKE_CURRENT_LIST_DIR}/plugin.version)
else()
  target_link_options(edgebench_executorch PRIVATE -Wl,--no-as-needed -Wl,--allow-shlib-undefined
    -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/plugin.version -Wl,-z,max-page-size=16384 -s)
endif()
install(TARGETS edgebench_fbjni LIBRARY DESTINATION lib)
