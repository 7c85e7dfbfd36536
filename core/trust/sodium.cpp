#include "core/trust/sodium.hpp"

#include <sodium.h>

#include "core/base/assert.hpp"

namespace instar::trust {

void ensure_sodium() noexcept {
  static const int initialized = sodium_init();
  INSTAR_ASSERT(initialized >= 0);
}

}  // namespace instar::trust
