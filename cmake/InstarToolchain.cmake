# Warnings, sanitizers, ccache: everything that holds for each target of ours and for none of the libraries'.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Without these two it takes nothing that is compiled with precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(instar_flags INTERFACE)
target_compile_options(instar_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align
  -Woverloaded-virtual -Wconversion -Wno-sign-conversion -Wnull-dereference -Wformat=2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside its own library when optimizing.
  target_compile_options(instar_flags INTERFACE -Wno-null-dereference -Wno-restrict
    $<$<CONFIG:RelWithDebInfo>:-Wno-array-bounds> $<$<CONFIG:RelWithDebInfo>:-Wno-stringop-overflow>
    $<$<CONFIG:RelWithDebInfo>:-Wno-stringop-overread>)
endif()
if(CCACHE_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(instar_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()
# Line numbers for crash reports and profiles, no variables: those cost a quarter of the compile.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
target_include_directories(instar_flags INTERFACE ${CMAKE_SOURCE_DIR})

# What makes a mistake of ours the end of a program, and not an attacker's way in. Not with sanitizers, which see more; and without
# optimization there is nothing to fortify. Packagers may bring a _FORTIFY_SOURCE of their own, so it is taken back first. A target whose
# property INSTAR_ALONE is on has no C library that these would call.
set(alone $<BOOL:$<TARGET_PROPERTY:INSTAR_ALONE>>)
target_compile_definitions(instar_flags INTERFACE $<$<NOT:${alone}>:_GLIBCXX_ASSERTIONS>)
if(NOT INSTAR_SANITIZE AND NOT INSTAR_FUZZ)
  set(hardening -fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    list(APPEND hardening -fcf-protection)
  endif()
  set(optimized $<CONFIG:RelWithDebInfo,Release,MinSizeRel>)
  target_compile_options(instar_flags INTERFACE "$<$<NOT:${alone}>:${hardening}>"
    "$<$<AND:${optimized},$<NOT:${alone}>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
  target_link_options(instar_flags INTERFACE "$<$<NOT:${alone}>:-Wl,-z,relro;-Wl,-z,now>")
endif()

# For programs in one file on devices that have little: built for size, what nothing calls can be left out, no debug information.
add_library(instar_small_flags INTERFACE)
target_compile_options(instar_small_flags INTERFACE -Os -g0 -fPIE -ffunction-sections -fdata-sections)

if(INSTAR_SANITIZE)
  add_compile_options(-fsanitize=${INSTAR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${INSTAR_SANITIZE})
endif()

# Coverage for the fuzzer in every library; the targets themselves link it (tests/fuzz). The other kind of coverage is for the report of
# lines. Optimized a little, since what counts is runs a second.
if(INSTAR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping -O1)
  add_link_options(-fprofile-instr-generate)
endif()
