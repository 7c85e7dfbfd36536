# Headers that most tests name, compiled once instead of 200 times. Tests still include what they use: the presets `dev` and `fuzz`
# compile without this file's help and so find an include that was forgotten.
option(INSTAR_PRECOMPILED_HEADERS "Compile common headers of tests once" ON)

# Tests are run for their answers, not for their speed: what they test is compiled as it is shipped. GCC takes members of an optional
# for uninitialized where it optimizes little.
function(instar_cheap_to_compile target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1> $<$<CONFIG:RelWithDebInfo>:-g0>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endfunction()

# For programs, and for what is compiled with -fPIE as they are: one target owns the file, the others read it.
function(instar_use_test_headers target)
  if(INSTAR_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} REUSE_FROM instar_test_headers)
  endif()
endfunction()

if(INSTAR_PRECOMPILED_HEADERS)
  set(source ${CMAKE_BINARY_DIR}/headers/instar_test_headers.cpp)
  file(GENERATE OUTPUT ${source} CONTENT "int main() { return 0; }\n")
  add_executable(instar_test_headers ${source})
  instar_cheap_to_compile(instar_test_headers)
  target_link_libraries(instar_test_headers PRIVATE tl::expected nlohmann_json::nlohmann_json GTest::gmock GTest::gtest instar_flags)
  target_precompile_headers(instar_test_headers PRIVATE <algorithm> <array> <cstdint> <cstring> <deque> <filesystem> <fstream> <functional>
    <map> <memory> <optional> <set> <span> <string> <string_view> <utility> <variant> <vector> <tl/expected.hpp> <nlohmann/json.hpp>
    <gmock/gmock.h> <gtest/gtest.h>)
endif()
