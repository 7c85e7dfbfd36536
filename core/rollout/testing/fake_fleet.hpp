// Stands in for the devices' side: a test sets what it answers, and sees what it was asked.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "core/rollout/exchange/fleet.hpp"

namespace instar::rollout {

class FakeFleet final : public Fleet {
 public:
  // Answers.
  CountChanges changes_of_offer;  // of the next one
  std::optional<std::uint32_t> point;
  std::uint64_t in_flight_count = 0;
  std::deque<TurnRequest> requests;
  std::uint64_t failed = 0;
  Counts counts_of_archive;
  std::vector<SequenceClaim> sequence_claims;
  // What was asked.
  std::vector<Terms> offered;
  std::vector<DeviceId> turns_given;
  std::vector<Latecomers> latecomers_asked;
  std::vector<ManifestId> archived;
  std::vector<ManifestId> withdrawn;

  CountChanges offer(const ManifestId& rollout, Terms terms, Effects& effects) override;
  Counts archive(const ManifestId& rollout, Effects& effects) override;
  void withdraw(const ManifestId& rollout, Effects& effects) override;
  [[nodiscard]] std::optional<std::uint32_t> point_after(const ManifestId& rollout, std::uint64_t count) const override;
  [[nodiscard]] std::uint64_t in_flight(const ManifestId& rollout, std::int64_t silent_ms,
                                        MonotonicMs now) const override;
  [[nodiscard]] std::optional<TurnRequest> next_request(const ManifestId& rollout, Latecomers latecomers) override;
  CountChanges give_turn(const ManifestId& rollout, const TurnRequest& request, Effects& effects) override;
  [[nodiscard]] std::uint64_t failed_since(const ManifestId& rollout, std::optional<WallMs> since) const override;
  [[nodiscard]] std::vector<SequenceClaim> claims(std::string_view product, std::uint32_t since) const override;
};

}  // namespace instar::rollout
