#include "core/rollout/testing/fake_fleet.hpp"

#include <utility>

namespace instar::rollout {

CountChanges FakeFleet::offer(const ManifestId& /*rollout*/, Terms terms, Effects& /*effects*/) {
  offered.push_back(std::move(terms));
  return std::exchange(changes_of_offer, {});
}

Counts FakeFleet::archive(const ManifestId& rollout, Effects& /*effects*/) {
  archived.push_back(rollout);
  return counts_of_archive;
}

void FakeFleet::withdraw(const ManifestId& rollout, Effects& /*effects*/) {
  withdrawn.push_back(rollout);
}

std::optional<std::uint32_t> FakeFleet::point_after(const ManifestId& /*rollout*/, std::uint64_t /*count*/) const {
  return point;
}

std::uint64_t FakeFleet::in_flight(const ManifestId& /*rollout*/, std::int64_t /*silent_ms*/,
                                   MonotonicMs /*now*/) const {
  return in_flight_count;
}

std::optional<TurnRequest> FakeFleet::next_request(const ManifestId& /*rollout*/, Latecomers latecomers) {
  latecomers_asked.push_back(latecomers);
  if (requests.empty()) return std::nullopt;
  return requests.front();
}

CountChanges FakeFleet::give_turn(const ManifestId& /*rollout*/, const TurnRequest& request, Effects& /*effects*/) {
  requests.pop_front();
  turns_given.push_back(request.device);
  return {};
}

std::uint64_t FakeFleet::failed_since(const ManifestId& /*rollout*/, std::optional<WallMs> /*since*/) const {
  return failed;
}

std::vector<SequenceClaim> FakeFleet::claims(std::string_view /*product*/, std::uint32_t /*since*/) const {
  return sequence_claims;
}

}  // namespace instar::rollout
