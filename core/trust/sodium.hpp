// Internal to core/trust.
#pragma once

namespace instar::trust {

// Initializes libsodium, once. All code calls this before it uses libsodium. Any thread may call it.
void ensure_sodium() noexcept;

}  // namespace instar::trust
