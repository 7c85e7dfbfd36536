// Internal to core/trust: the two halves of verify_threshold(). A change of the root document needs each of them.
#pragma once

#include <string>
#include <string_view>

#include "core/trust/envelope.hpp"

namespace instar::trust {

[[nodiscard]] std::string_view kind_name(Kind kind) noexcept;
// The id of a key as people see it.
[[nodiscard]] std::string key_text(KeyId id);

// What to do with signatures by keys that are not among the given ones.
enum class Strangers : std::uint8_t { refused, passed_over };

// The number of signatures by `keys`, each of which verifies. Errors: malformed (other kind), untrusted_key (another
// key, unless such are ignored), bad_signature.
[[nodiscard]] Result<std::uint32_t> count_signatures(const Envelope& envelope, Kind kind,
                                                     std::span<const AuthorizedKey> keys, Strangers strangers);

// Errors: untrusted_key.
[[nodiscard]] Status require_threshold(Kind kind, std::uint32_t count, std::uint32_t threshold);

}  // namespace instar::trust
