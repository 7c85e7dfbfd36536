#include "core/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace instar {

void broken_invariant(const char* file, int line, const char* condition) noexcept {
  std::fprintf(stderr, "instar: broken invariant at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace instar
