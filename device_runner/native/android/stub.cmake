# stub(target name symbols): a library that has the symbols and nothing behind them, one instruction each that traps.
# Linked against, it stands for the device's own of that name; on a device, for one that is never called.
function(stub target name)
  set(assembly "")
  foreach(entry IN LISTS ARGN)
    if(entry MATCHES "^(.+) data$")
      string(APPEND assembly "\".data\\n.globl ${CMAKE_MATCH_1}\\n.type ${CMAKE_MATCH_1},%object\\n.size ${CMAKE_MATCH_1},8\\n${CMAKE_MATCH_1}: .quad 0\\n\"\n")
    else()
      string(APPEND assembly "\".text\\n.globl ${entry}\\n.type ${entry},%function\\n${entry}: \" TRAP \"\\n\"\n")
    endif()
  endforeach()
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp
    "#if defined(__aarch64__)\n#define TRAP \"brk #0\"\n#else\n#define TRAP \"ud2\"\n#endif\n__asm__(\n${assembly});\n")
  add_library(${target} SHARED ${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name})
endfunction()
