// Which rollouts there are, by product, by audience and by the start of their hash; and which is each audience's
// current one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

// Whether a rollout can be offered to devices that come now.
enum class OfferState : std::uint8_t {
  stands,
  lapsed,  // it goes on, and no device that comes now could take it: it expired, or its members are gone
  ended,   // aborted, reverted, or its keys are in force no more
};

class Catalog {
 public:
  // It is the current one of its audiences if it is the newest there.
  void add(const ManifestId& rollout, const RolloutRecord& record);
  void remove(const ManifestId& rollout, const RolloutRecord& record);

  [[nodiscard]] std::size_t size() const noexcept { return orders_.size(); }
  // Chooses the current rollout of each audience again. It is the newest, whatever becomes of it, until that has ended:
  // then it is the newest of those before it that stand, and if there is none, it stays. Returns the audiences that
  // have another one now. One that is current stays so when it lapses.
  std::vector<Audience> choose(const std::function<OfferState(const ManifestId&)>& state_of);

  // The rollout whose manifest stands on each audience's topic.
  [[nodiscard]] const std::map<Audience, ManifestId>& by_audience() const noexcept { return by_audience_; }
  [[nodiscard]] bool is_current_for(const Audience& audience, const ManifestId& rollout) const;
  // Those that are the current one of some audience.
  [[nodiscard]] const std::set<ManifestId>& current() const noexcept { return current_; }
  [[nodiscard]] bool is_current(const ManifestId& rollout) const { return current_.contains(rollout); }
  // The oldest that is no audience's current one; nullopt: all are current.
  [[nodiscard]] std::optional<ManifestId> oldest_replaced() const;
  // Of one product, the last one taken first.
  [[nodiscard]] std::vector<ManifestId> of_product(std::string_view product) const;
  // The hash whose first 8 bytes are these; for topics and fetches.
  [[nodiscard]] std::optional<ManifestId> by_prefix(std::uint64_t prefix64) const;
  [[nodiscard]] std::uint64_t order_last() const noexcept { return order_last_; }
  void assert_invariants() const;

 private:
  std::map<std::string, std::map<std::uint64_t, ManifestId>, std::less<>> by_product_;  // product → order → rollout
  std::map<std::uint64_t, ManifestId> by_prefix_;
  std::map<Audience, std::map<std::uint64_t, ManifestId>> of_audience_;  // audience → order → rollout
  std::map<Audience, ManifestId> by_audience_;
  std::set<ManifestId> current_;                // the values of by_audience_
  std::map<ManifestId, std::uint64_t> orders_;  // of each rollout, in which its manifest was taken
  std::uint64_t order_last_ = 0;
};

}  // namespace instar::rollout
