// Internal to core/trust.
#pragma once

namespace instar::trust {

// Sets libsodium up, once; every entry into it comes through here first. Any thread.
void ensure_sodium() noexcept;

}  // namespace instar::trust
