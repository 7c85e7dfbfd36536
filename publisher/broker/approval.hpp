// The signed yes to a wave, as `instar rollout approve --key` makes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "publisher/broker/session.hpp"
#include "publisher/release/approval_seal.hpp"

namespace instar::publisher {

struct SignedApproval {
  Bytes envelope;
  std::uint32_t wave = 0;  // from 0
  wire::Manifest manifest;
};

// Signs for the manifest that stands on the topic of one of the rollout's groups, not for what the broker says of it:
// its hash must be the one that the broker names, and begin with `name`, or its release be called that (`name`: as the
// operator gave it). `wave`: from 1, 0 = the one that is open, by the broker's word. nullopt: the release asks for no
// signature. Errors: not_found (the manifest cannot be read), refused (it is another one), invalid_argument (the wave
// asks for no approval).
[[nodiscard]] Outcome<std::optional<SignedApproval>> sign_approval(Session& session, const std::string& rollout,
                                                                   const std::string& name, std::uint32_t wave,
                                                                   const std::vector<trust::SecretKey>& keys);

}  // namespace instar::publisher
