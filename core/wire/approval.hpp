// An operator's yes to the next wave of one rollout, as a signed word: what a policy with `approval_signed` asks for
// where a wave asks for approval. The broker verifies it and hands it on in the rollout's gates; devices verify it
// again. docs/formats/approval.md
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::wire {

struct Approval {
  std::string product;
  ManifestId manifest;     // the rollout
  std::uint32_t wave = 0;  // from 0: the yes of this wave, and of all before it
  WallMs issued;
};

// The payload of an envelope of kind `approval`: verify first, then decode.
[[nodiscard]] Bytes encode(const Approval& approval);
[[nodiscard]] Result<Approval> decode_approval(ByteView payload);

// The last wave, from 0, whose signed yes it takes to have `wave` open; nullopt: none is asked for.
[[nodiscard]] std::optional<std::uint32_t> signed_yes_needed(const Policy& policy, std::uint32_t wave) noexcept;

// Verifies an approval of that rollout: signed by keys that may approve and reach all of `groups`, which are those of
// the rollout's manifest. Errors: those of the envelope, its signatures and the codec; refused (it is for another
// product or rollout).
[[nodiscard]] Result<Approval> open_approval(const trust::TrustStore& trust, ByteView envelope,
                                             const ManifestId& rollout, std::string_view product,
                                             std::span<const GroupPath> groups);

// An open gate carries the signed approval that its wave needs; one that stops the rollout, or takes it back, needs
// none. `manifest` is the one that the gate names. Errors: refused, with the rule and why the approval does not count.
[[nodiscard]] Status check_approval(const Manifest& manifest, const Gate& gate, const trust::TrustStore& trust);

}  // namespace instar::wire
