# Sources of a folder are compiled together, some at a time: their headers are read once, their templates made once. The names in
# their unnamed namespaces must differ therefore, which also shows what was written twice. The presets `dev` and `fuzz` compile each
# source by itself and so find an include that was forgotten.
option(INSTAR_TOGETHER "Compile the sources of a folder together" ON)
# At most so many at a time, in groups of the same size. Smaller groups cost more: what the sources share is most of the work.
set(INSTAR_TOGETHER_COUNT 20)
# Of tests fewer: each brings names and scenes of its own.
set(INSTAR_TESTS_TOGETHER_COUNT 8)

# instar_compile_together(TARGET [SIZE])
function(instar_compile_together target)
  set(size ${ARGN})
  if(NOT size)
    get_target_property(sources ${target} SOURCES)
    list(LENGTH sources count)
    math(EXPR groups "(${count} + ${INSTAR_TOGETHER_COUNT} - 1) / ${INSTAR_TOGETHER_COUNT}")
    math(EXPR size "(${count} + ${groups} - 1) / ${groups}")
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${INSTAR_TOGETHER} UNITY_BUILD_BATCH_SIZE ${size})
endfunction()

# instar_module(NAME SOURCES ... LIBS ... [TEST_LIBS ...] [APART SOURCE ...] [JSON] [SMALL])
#
# A folder becomes one static library `instar_NAME`, with its sources listed. Every *_test.cpp beside the sources becomes part of
# `instar_NAME_test`: tests are found by pattern, so that none can be left out by forgetting to list it.
#   JSON   its sources read or write JSON
#   APART  sources that are compiled one by one: instar-lxc needs them, and would link what others need
#   SMALL  devices run it: `instar_NAME_small` is the same sources built for size, for programs in one file (instar-device-static)
function(instar_module name)
  cmake_parse_arguments(ARG "JSON;SMALL" "" "SOURCES;APART;LIBS;TEST_LIBS" ${ARGN})
  list(APPEND ARG_SOURCES ${ARG_APART})
  add_library(instar_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(instar_${name} PUBLIC ${ARG_LIBS} PRIVATE instar_flags)
  target_include_directories(instar_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  if(ARG_JSON)
    target_link_libraries(instar_${name} PUBLIC nlohmann_json::nlohmann_json)
  endif()
  if(ARG_APART)
    set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  instar_compile_together(instar_${name})
  if(ARG_SMALL)
    instar_small_twin(${name} SOURCES ${ARG_SOURCES} LIBS ${ARG_LIBS})
  endif()
  instar_tests(${name} LIBS instar_${name} ${ARG_TEST_LIBS})
endfunction()

# Not built by itself: only for what links it. Libraries of others come from their archives (InstarDependencies.cmake).
function(instar_small_twin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  set(twin instar_${name}_small)
  add_library(${twin} STATIC EXCLUDE_FROM_ALL ${ARG_SOURCES})
  foreach(lib IN LISTS ARG_LIBS)
    if(lib MATCHES "^instar_" AND NOT lib STREQUAL "instar_schemas")
      target_link_libraries(${twin} PUBLIC ${lib}_small)
    endif()
  endforeach()
  target_link_libraries(${twin} PRIVATE tl::expected instar_flags instar_small_flags)
  if(TARGET instar_small_externals)
    target_link_libraries(${twin} PUBLIC instar_small_externals)
  endif()
  target_include_directories(${twin} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  add_dependencies(${twin} instar_schemas_generated)
  set_target_properties(${twin} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  instar_compile_together(${twin})
endfunction()

# instar_tests(NAME LIBS ...): the *_test.cpp of this folder as one GoogleTest program, one ctest entry.
function(instar_tests name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  if(tests)
    add_executable(instar_${name}_test ${tests})
    target_link_libraries(instar_${name}_test PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest GTest::gtest_main instar_flags)
    target_compile_definitions(instar_${name}_test PRIVATE INSTAR_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    instar_cheap_to_compile(instar_${name}_test)
    instar_use_test_headers(instar_${name}_test)
    instar_compile_together(instar_${name}_test ${INSTAR_TESTS_TOGETHER_COUNT})
    add_test(NAME unit.${name} COMMAND instar_${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT ${INSTAR_TEST_TIMEOUT_S})
  endif()
endfunction()
