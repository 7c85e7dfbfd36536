// A tracker with what a store would keep of it: after each call a second one, loaded from that, must say the same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/rollout/tracker.hpp"
#include "core/wire/examples.hpp"

namespace instar::rollout {

using wire::Step;
using wire::examples::group;

inline constexpr Now kNow{{1'760'000'000'000}, {1'000}};

inline DeviceId id(std::string_view text) {
  return *DeviceId::parse(text);
}
inline Hash256 hash(std::uint64_t sequence) {
  return wire::examples::hash("manifest " + std::to_string(sequence));
}

inline wire::Manifest manifest(std::uint64_t sequence, std::vector<GroupPath> groups = {group("plant-7")}) {
  wire::Manifest out;
  out.product = "gateway-2";
  out.release = "r" + std::to_string(sequence);
  out.sequence = sequence;
  out.groups = std::move(groups);
  return out;
}

inline wire::Hello hello(std::string_view device, std::vector<GroupPath> groups = {group("plant-7/line-a")}) {
  wire::Hello out;
  out.device = id(device);
  out.key = wire::examples::key(4).public_key();
  out.product = "gateway-2";
  out.groups = std::move(groups);
  out.boot = 1;
  return out;
}

inline wire::Report report(std::string_view device, std::uint64_t sequence, const Hash256& rollout, Step step,
                           std::uint32_t attempt = 1) {
  wire::Report out;
  out.device = id(device);
  out.sequence = sequence;
  out.rollout = rollout;
  out.step = step;
  out.attempt = attempt;
  out.bytes_full = 1'000;
  return out;
}

// Keeps what a store would, so that a second tracker can be loaded from it.
class Rig {
 public:
  Tracker tracker;
  Effects effects;
  Now now = kNow;
  bool all_is_saved = true;  // false: bytes are counted and not saved yet

  Status hello(const wire::Hello& message, Via via = Via::own_connection) {
    return run(tracker.hello(message, via, now, begin()));
  }
  Status report(const wire::Report& message) { return run(tracker.report(message, now, begin())); }
  Result<Tracker::Taken> take(const wire::Manifest& message) {
    auto taken = tracker.take_manifest(hash(message.sequence), message, "ann", now, begin());
    const auto status = run({});
    return taken;
  }
  Status act(std::uint64_t sequence, Action action) {
    return run(tracker.act(hash(sequence), action, "ann", now, begin()));
  }
  Status approve(std::uint64_t sequence, std::optional<std::uint32_t> wave = std::nullopt) {
    return run(tracker.approve(hash(sequence), wave, "ann", now, begin()));
  }
  Status retry(std::uint64_t sequence) { return run(tracker.retry(hash(sequence), "ann", now, begin())); }
  // Time goes by, second by second where that matters.
  void pass(std::int64_t seconds, std::int64_t step = 1) {
    Effects all;
    for (std::int64_t left = seconds; left > 0; left -= step) {
      now.wall = now.wall + std::min(left, step) * 1'000;
      now.monotonic = now.monotonic + std::min(left, step) * 1'000;
      tracker.tick(now, begin());
      static_cast<void>(run({}));
      all.insert(all.end(), effects.begin(), effects.end());
    }
    effects = std::move(all);
  }
  // The broker's process ends, and another starts from what is saved.
  void restart() { tracker = loaded(); }
  // A device goes all the way; `sequence` of its reports is kept here.
  Status tell(std::string_view device, std::uint64_t rollout, Step step, std::uint32_t attempt = 1,
              bool again = false) {
    auto message = rollout::report(device, ++sequences_[std::string(device)], hash(rollout), step, attempt);
    message.again = again;
    message.code = step == Step::rolled_back || step == Step::failed ? Code::unhealthy : Code::ok;
    return report(message);
  }
  Status ask(std::string_view device, std::uint64_t rollout, std::uint32_t attempt = 1) {
    auto message = rollout::report(device, ++sequences_[std::string(device)], hash(rollout), Step::waiting, attempt);
    message.asks_start = true;
    return report(message);
  }
  [[nodiscard]] std::string waits(std::uint64_t sequence) const {
    return tracker.waiting_for(this->rollout(sequence), now);
  }
  // Devices that were given their turn in the last call.
  [[nodiscard]] std::vector<std::string> started() const {
    std::vector<std::string> out;
    for (const auto& ack : all<SendAck>()) {
      if (ack.ack.start_rollout != 0) out.push_back(ack.device.str());
    }
    return out;
  }
  Status forget(std::string_view device) { return run(tracker.forget(id(device), begin())); }
  void save_bytes() {
    tracker.save_bytes(100, begin());
    static_cast<void>(run({}));
  }
  [[nodiscard]] const Rollout& rollout(std::uint64_t sequence) const { return *tracker.rollout(hash(sequence)); }
  [[nodiscard]] std::uint64_t count(std::uint64_t sequence, Step step) const {
    return rollout(sequence).counts.at(step);
  }
  template <typename Kind>
  [[nodiscard]] std::vector<Kind> all() const {
    std::vector<Kind> out;
    for (const auto& effect : effects) {
      if (const auto* one = std::get_if<Kind>(&effect)) out.push_back(*one);
    }
    return out;
  }
  // A tracker that knows only what was saved.
  [[nodiscard]] Tracker loaded() const {
    Tracker out;
    for (const auto& [key, bytes] : rollouts_)
      out.load_rollout(key, *decode_rollout_record(bytes), tracker.rollout(key)->policy);
    for (const auto& [key, bytes] : devices_) out.load_device(key, *decode_device_record(bytes));
    for (const auto& [key, bytes] : members_) out.load_member(key.first, key.second, *decode_member_record(bytes));
    out.loaded(now);
    return out;
  }

 private:
  Effects& begin() {
    effects.clear();
    return effects;
  }
  Status run(Status status) {
    for (const auto& effect : effects) {
      if (const auto* save = std::get_if<SaveDevice>(&effect)) devices_[save->device] = save->record;
      if (const auto* remove = std::get_if<RemoveDevice>(&effect)) devices_.erase(remove->device);
      if (const auto* member = std::get_if<SaveMember>(&effect))
        members_[{member->rollout, member->device}] = member->record;
      if (const auto* gone = std::get_if<RemoveMember>(&effect)) members_.erase({gone->rollout, gone->device});
      if (const auto* rollout = std::get_if<SaveRollout>(&effect)) rollouts_[rollout->rollout] = rollout->record;
      if (const auto* lease = std::get_if<LeaseSaved>(&effect)) tracker.lease_saved(lease->rollout, lease->bytes);
    }
    if (!all_is_saved) return status;
    const auto copy = loaded();
    for (const auto& [key, rollout] : tracker.rollouts()) {
      EXPECT_EQ(rollout.counts, Tracker::recount(rollout));
      EXPECT_EQ(rollout.waves, Tracker::recount_waves(rollout));
      EXPECT_EQ(copy.rollout(key)->counts, rollout.counts) << "what is saved must say the same";
      EXPECT_EQ(copy.rollout(key)->record, rollout.record);
    }
    return status;
  }
  std::map<std::string, std::uint64_t> sequences_;
  std::map<DeviceId, Bytes> devices_;
  std::map<std::pair<Hash256, DeviceId>, Bytes> members_;
  std::map<Hash256, Bytes> rollouts_;
};

}  // namespace instar::rollout
