// A broken invariant stops the process, in release builds too. Not to be used for input from outside.
#pragma once

namespace instar {

// Prints which invariant is broken and aborts. It is in a file of its own, so that a program without stdio can link
// another one.
[[noreturn]] void broken_invariant(const char* file, int line, const char* condition) noexcept;

}  // namespace instar

#define INSTAR_ASSERT(condition)                                  \
  do {                                                            \
    if (!(condition)) [[unlikely]]                                \
      ::instar::broken_invariant(__FILE__, __LINE__, #condition); \
  } while (false)
