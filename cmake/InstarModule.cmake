# instar_module(NAME SOURCES ... LIBS ... [TEST_LIBS ...])
#
# A folder becomes one static library `instar_NAME`. Every *_test.cpp beside the sources becomes part of
# `instar_NAME_test`: tests are found by pattern, so that none can be left out by forgetting to list it.
function(instar_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;TEST_LIBS" ${ARGN})
  add_library(instar_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(instar_${name} PUBLIC ${ARG_LIBS} PRIVATE instar_flags)
  target_include_directories(instar_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  instar_tests(${name} LIBS instar_${name} ${ARG_TEST_LIBS})
endfunction()

# instar_tests(NAME LIBS ...): the *_test.cpp of this folder as one GoogleTest program, one ctest entry.
function(instar_tests name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  if(tests)
    add_executable(instar_${name}_test ${tests})
    target_link_libraries(instar_${name}_test PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest GTest::gtest_main instar_flags)
    target_compile_definitions(instar_${name}_test PRIVATE INSTAR_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME unit.${name} COMMAND instar_${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit)
  endif()
endfunction()
