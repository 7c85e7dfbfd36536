# Headers that most sources name, compiled once instead of 500 times. Sources still include what they use: the presets `dev` and `fuzz`
# compile without this file's help and so find an include that was forgotten.
option(INSTAR_PRECOMPILED_HEADERS "Compile common headers once" ON)

set(INSTAR_STANDARD_HEADERS <algorithm> <array> <cstdint> <cstring> <deque> <functional> <map> <memory> <optional> <set> <span> <string>
    <string_view> <unordered_map> <utility> <variant> <vector> <tl/expected.hpp>)
set(INSTAR_JSON_HEADERS <nlohmann/json.hpp>)
set(INSTAR_TEST_HEADERS <filesystem> <fstream> <gmock/gmock.h> <gtest/gtest.h>)

# One target owns each set; the others read its file. A library's is compiled with -fPIC, a program's with -fPIE, and each with the
# options of those that read it.
function(instar_headers_owner name kind)
  cmake_parse_arguments(ARG "" "" "HEADERS;LIBS" ${ARGN})
  set(source ${CMAKE_BINARY_DIR}/headers/${name}.cpp)
  if(kind STREQUAL "PROGRAM")
    file(GENERATE OUTPUT ${source} CONTENT "int main() { return 0; }\n")
    add_executable(${name} ${source})
    instar_cheap_to_compile(${name})
  else()
    file(GENERATE OUTPUT ${source} CONTENT "namespace instar {}\n")
    add_library(${name} STATIC ${source})
  endif()
  if(kind STREQUAL "SMALL")
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF EXCLUDE_FROM_ALL ON)
  endif()
  target_link_libraries(${name} PRIVATE tl::expected ${ARG_LIBS} instar_flags)
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()

# Tests are run for their answers, not for their speed: what they test is compiled as it is shipped.
function(instar_cheap_to_compile target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1> $<$<CONFIG:RelWithDebInfo>:-g0>)
endfunction()

# instar_use_headers(TARGET STANDARD|JSON|TEST|SMALL)
function(instar_use_headers target which)
  if(INSTAR_PRECOMPILED_HEADERS)
    string(TOLOWER ${which} set)
    target_precompile_headers(${target} REUSE_FROM instar_${set}_headers)
  endif()
endfunction()

if(INSTAR_PRECOMPILED_HEADERS)
  instar_headers_owner(instar_standard_headers LIBRARY HEADERS ${INSTAR_STANDARD_HEADERS})
  instar_headers_owner(instar_json_headers LIBRARY HEADERS ${INSTAR_STANDARD_HEADERS} ${INSTAR_JSON_HEADERS}
                       LIBS nlohmann_json::nlohmann_json)
  instar_headers_owner(instar_test_headers PROGRAM HEADERS ${INSTAR_STANDARD_HEADERS} ${INSTAR_JSON_HEADERS} ${INSTAR_TEST_HEADERS}
                       LIBS nlohmann_json::nlohmann_json GTest::gmock GTest::gtest)
  instar_headers_owner(instar_small_headers SMALL HEADERS ${INSTAR_STANDARD_HEADERS} LIBS instar_small_flags)
endif()
