# The device's C library as far as the runner needs it, and what the NDK would bring: start-up code, the C++ library.
include(${CMAKE_CURRENT_LIST_DIR}/stub.cmake)
set(CMAKE_SHARED_LIBRARY_RUNTIME_CXX_FLAG "-rpath=")  # the linker is called itself, see zig.cmake

foreach(library IN ITEMS c dl log m)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/lib${library}.symbols symbols REGEX "^[^#]")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/lib${library}.symbols)
  stub(edgebench_stub_${library} ${library} ${symbols})
endforeach()

add_library(edgebench_start OBJECT ${CMAKE_CURRENT_LIST_DIR}/start.cpp)
target_link_libraries(edgebench_start PRIVATE edgebench_flags)

# The parts of the C++ library that are not in its headers, and what is different in bionic: nothing that is timed.
add_library(edgebench_bionic OBJECT ${CMAKE_CURRENT_LIST_DIR}/bionic.cpp
  ${EDGEBENCH_ZIG}/lib/libcxx/src/string.cpp ${EDGEBENCH_ZIG}/lib/libcxx/src/hash.cpp
  ${EDGEBENCH_ZIG}/lib/libcxx/src/algorithm.cpp)
target_compile_definitions(edgebench_bionic PRIVATE _GNU_SOURCE _LIBCPP_BUILDING_LIBRARY)
target_compile_options(edgebench_bionic PRIVATE -O1 -fno-exceptions -fno-rtti -ffile-prefix-map=${EDGEBENCH_ZIG}=zig)
target_include_directories(edgebench_bionic PRIVATE ${EDGEBENCH_ZIG}/lib/libcxx/src)
set_target_properties(edgebench_bionic PROPERTIES CXX_STANDARD 23)
# liblog comes first among what a process loads: Android's libraries of the runtimes all want it.
target_link_libraries(edgebench_bionic INTERFACE edgebench_stub_log edgebench_stub_dl edgebench_stub_m edgebench_stub_c)
