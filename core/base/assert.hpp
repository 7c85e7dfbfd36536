// A broken invariant stops the process, in release builds too. Never for input from outside.
#pragma once

namespace instar {

// Says which invariant is broken and aborts. In a file of its own: a program without stdio links its own in place of
// it.
[[noreturn]] void broken_invariant(const char* file, int line, const char* condition) noexcept;

}  // namespace instar

#define INSTAR_ASSERT(condition)                                  \
  do {                                                            \
    if (!(condition)) [[unlikely]]                                \
      ::instar::broken_invariant(__FILE__, __LINE__, #condition); \
  } while (false)
