// A tracker with what a store would keep of it: after each event its invariants must hold, and a second tracker that is
// loaded from the store must be in the same state.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/rollout/testing/messages.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::rollout {

class TrackerFixture {
 public:
  Tracker tracker;
  Effects effects;  // of the last call
  Now now = kNow;
  bool all_is_saved = true;  // false: bytes are counted and not saved yet

  // One that has no number yet gets the next one of its device.
  Status hello(wire::Hello message, Via via = Via::own_connection);
  Status report(const wire::Report& message);
  Result<Tracker::Taken> take(const wire::Manifest& message);
  Status act(std::uint64_t sequence, Action action);
  Status approve(std::uint64_t sequence, std::optional<std::uint32_t> wave = std::nullopt, Bytes approval = {});
  Status retry(std::uint64_t sequence);
  Status forget(std::string_view device, OldKey old_key = OldKey::taken_back);
  // By any other key.
  Status replace(std::string_view device);
  void save_bytes();
  void refresh_gates();
  // Time goes by, second by second where that matters.
  void pass(std::int64_t seconds, std::int64_t step = 1);
  // The broker's process ends, and another starts from what is saved.
  void restart();

  // The device's next report: its number is kept here.
  Status report_step(std::string_view device, std::uint64_t rollout, Step step, std::uint32_t attempt = 1,
                     bool again = false);
  // The device waits for its turn.
  Status ask(std::string_view device, std::uint64_t rollout, std::uint32_t attempt = 1);

  [[nodiscard]] RolloutView rollout(std::uint64_t sequence) const;
  [[nodiscard]] std::uint64_t count(std::uint64_t sequence, Step step) const;
  // What the rollout waits for.
  [[nodiscard]] std::string waits(std::uint64_t sequence) const;
  // The devices that were given their turn in the last call.
  [[nodiscard]] std::vector<std::string> started() const;
  template <typename Kind>
  [[nodiscard]] std::vector<Kind> all() const {
    std::vector<Kind> out;
    for (const auto& effect : effects) {
      if (const auto* one = std::get_if<Kind>(&effect)) out.push_back(*one);
    }
    return out;
  }

 private:
  Effects& begin();
  Status end(Status status);
  void store(const Effect& effect);
  // A tracker that knows only what was saved.
  [[nodiscard]] Tracker loaded() const;

  std::map<std::string, std::uint64_t> sequences_;
  std::map<DeviceId, std::uint32_t> hellos_;
  std::map<DeviceId, Bytes> devices_;
  std::map<DeviceId, Bytes> tombstones_;
  std::map<std::pair<ManifestId, DeviceId>, Bytes> members_;
  std::map<ManifestId, Bytes> rollouts_;
};

}  // namespace instar::rollout
