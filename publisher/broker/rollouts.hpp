// The steps of `instar publish`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "publisher/broker/pack_upload.hpp"
#include "publisher/broker/release_checks.hpp"
#include "publisher/broker/rollout_view.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/release/release.hpp"

namespace instar::publisher {

// All rollouts that the broker keeps, newest first.
[[nodiscard]] Outcome<std::vector<RolloutStatus>> list_rollouts(Session& session);
// The sequence for the next release, as the broker computes it from its rollouts and from what devices say.
struct NextSequence {
  std::uint64_t sequence = 0;
  std::uint64_t devices = 0;   // that the release is for, as far as the broker knows them
  std::uint64_t refusing = 0;  // those of them that would not take a release with that sequence
  KnownFleet fleet = {};
};
[[nodiscard]] Outcome<NextSequence> next_sequence(Session& session, const std::string& product,
                                                  const std::vector<GroupPath>& groups);

// The packs of all artifacts, each once, and those of them that are not complete at the broker.
[[nodiscard]] std::vector<const PackFile*> distinct_packs(const ArtifactFolders& artifacts);
[[nodiscard]] Outcome<std::vector<const PackFile*>> lacking_packs(Session& session,
                                                                  const std::vector<const PackFile*>& packs);

// Publishes the envelope retained to every group and waits for the broker's verdict.
// Errors: refused (with the broker's reason), timed_out.
[[nodiscard]] Outcome<RolloutStatus> send_manifest(Session& session, const wire::Manifest& manifest, ByteView envelope,
                                                   const std::string& rollout);

// Follows a rollout until it is over, showing each change. `timeout_ms` 0 = no end. Errors: timed_out, not_found.
[[nodiscard]] Outcome<RolloutStatus> watch_rollout(Session& session, const Console& console, const std::string& rollout,
                                                   std::int64_t timeout_ms);

}  // namespace instar::publisher
