// Internal to core/trust: the two halves of verify_threshold(), which a change of root documents needs one by one.
#pragma once

#include "core/trust/envelope.hpp"

namespace instar::trust {

[[nodiscard]] std::string_view kind_name(Kind kind) noexcept;

// What to do about signatures by keys that are not among those given.
enum class Strangers : std::uint8_t { refused, passed_over };

// The number of signatures by `keys`, each of which verifies. Errors: malformed (other kind), untrusted_key (a
// stranger, unless passed over), bad_signature.
[[nodiscard]] Result<std::uint32_t> count_signatures(const Envelope& envelope, Kind kind,
                                                     std::span<const AuthorizedKey> keys, Strangers strangers);

// Errors: untrusted_key.
[[nodiscard]] Status require_threshold(Kind kind, std::uint32_t count, std::uint32_t threshold);

}  // namespace instar::trust
