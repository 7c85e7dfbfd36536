// What a target is called by: libFuzzer's main (INSTAR_FUZZ), or in any other build corpora.cpp, which gives each
// target the inputs of its folder in corpus/. Both end at the first broken assert.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"

namespace instar::fuzz {

// Takes any input. The same input does the same, whatever was before it.
using Run = void (*)(ByteView input);

// Known to corpora.cpp from the start of the program on.
class Registered {
 public:
  Registered(std::string_view name, Run run);
};

}  // namespace instar::fuzz

// INSTAR_FUZZ_TARGET(NAME, RUN): one in each fuzz_NAME.cpp, at its end.
#ifdef INSTAR_FUZZ
#define INSTAR_FUZZ_TARGET(name, run)                                                          \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {          \
    if (size > 0) run({data, size}); /* libFuzzer begins with an empty one, where data is 0 */ \
    return 0;                                                                                  \
  }
#else
#define INSTAR_FUZZ_TARGET(name, run) static const ::instar::fuzz::Registered registered_##name(#name, run);
#endif
