// When the status of each rollout is published: at once, but not more than once in kStatusIntervalMs.
#pragma once

#include <set>
#include <unordered_map>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

class StatusBoard {
 public:
  // The rollout has changed. True: its status is to be published now. False: it becomes due later.
  [[nodiscard]] bool changed(const ManifestId& rollout, MonotonicMs now);
  [[nodiscard]] bool has_due() const noexcept { return !due_.empty(); }
  // Those whose time has come; they stay due until published() or forget().
  [[nodiscard]] std::vector<ManifestId> due(MonotonicMs now) const;
  void published(const ManifestId& rollout, MonotonicMs now);
  // The rollout is no more.
  void forget(const ManifestId& rollout);
  // The next change is published at once, whenever the last one was.
  void forget_last(const ManifestId& rollout);

  void assert_invariants(MonotonicMs now) const;

 private:
  [[nodiscard]] bool may_publish(const ManifestId& rollout, MonotonicMs now) const;

  std::unordered_map<ManifestId, MonotonicMs> published_;
  std::set<ManifestId> due_;
};

}  // namespace instar::broker
