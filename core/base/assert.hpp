// A broken invariant stops the process, in release builds too. Never for input from outside.
#pragma once

#include <cstdio>
#include <cstdlib>

#define INSTAR_ASSERT(condition)                                                                       \
  do {                                                                                                 \
    if (!(condition)) [[unlikely]] {                                                                   \
      std::fprintf(stderr, "instar: broken invariant at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                    \
    }                                                                                                  \
  } while (false)
