#include "core/rollout/testing/tracker_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace instar::rollout {

Status TrackerFixture::hello(wire::Hello message, Via via) {
  if (message.connect == 0) message.connect = ++hellos_[message.device];
  return end(tracker.hello(message, via, now, begin()));
}

Status TrackerFixture::report(const wire::Report& message) {
  return end(tracker.report(message, now, begin()));
}

Result<Tracker::Taken> TrackerFixture::take(const wire::Manifest& message) {
  auto taken = tracker.take_manifest(hash(message.sequence), message, {}, "ann", now, begin());
  static_cast<void>(end({}));
  return taken;
}

Status TrackerFixture::act(std::uint64_t sequence, Action action) {
  return end(tracker.act(hash(sequence), action, "ann", now, begin()));
}

Status TrackerFixture::approve(std::uint64_t sequence, std::optional<std::uint32_t> wave, Bytes approval) {
  return end(tracker.approve(hash(sequence), {wave, std::move(approval)}, "ann", now, begin()));
}

Status TrackerFixture::retry(std::uint64_t sequence) {
  return end(tracker.retry(hash(sequence), "ann", now, begin()));
}

Status TrackerFixture::forget(std::string_view device, OldKey old_key) {
  return end(tracker.forget(id(device), old_key, now.wall, begin()));
}

Status TrackerFixture::replace(std::string_view device) {
  return end(tracker.replace(id(device), 0, now.wall, begin()));
}

void TrackerFixture::save_bytes() {
  tracker.save_bytes(100, begin());
  static_cast<void>(end({}));
}

void TrackerFixture::refresh_gates() {
  tracker.refresh_gates(now, begin());
  static_cast<void>(end({}));
}

void TrackerFixture::pass(std::int64_t seconds, std::int64_t step) {
  Effects all;
  for (std::int64_t left = seconds; left > 0; left -= step) {
    now.wall = now.wall + std::min(left, step) * 1'000;
    now.monotonic = now.monotonic + std::min(left, step) * 1'000;
    tracker.tick(now, begin());
    static_cast<void>(end({}));
    all.insert(all.end(), effects.begin(), effects.end());
  }
  effects = std::move(all);
}

void TrackerFixture::restart() {
  tracker = loaded();
}

Status TrackerFixture::report_step(std::string_view device, std::uint64_t rollout, Step step, std::uint32_t attempt,
                                   bool again) {
  auto message = rollout::report(device, ++sequences_[std::string(device)], hash(rollout), step, attempt);
  message.again = again;
  message.code = step == Step::rolled_back || step == Step::failed ? Code::unhealthy : Code::ok;
  return report(message);
}

Status TrackerFixture::ask(std::string_view device, std::uint64_t rollout, std::uint32_t attempt) {
  auto message = rollout::report(device, ++sequences_[std::string(device)], hash(rollout), Step::waiting, attempt);
  message.asks_start = true;
  return report(message);
}

RolloutView TrackerFixture::rollout(std::uint64_t sequence) const {
  return tracker.rollout(hash(sequence)).value();
}

std::uint64_t TrackerFixture::count(std::uint64_t sequence, Step step) const {
  return rollout(sequence).counts.at(step);
}

std::string TrackerFixture::waits(std::uint64_t sequence) const {
  return tracker.waiting_for(hash(sequence), now);
}

std::vector<std::string> TrackerFixture::started() const {
  std::vector<std::string> out;
  for (const auto& ack : all<SendAck>()) {
    if (ack.ack.start_rollout != 0) out.push_back(ack.device.str());
  }
  return out;
}

Effects& TrackerFixture::begin() {
  effects.clear();
  return effects;
}

Status TrackerFixture::end(Status status) {
  for (const auto& effect : effects) store(effect);
  tracker.assert_invariants();
  if (!all_is_saved) return status;
  const auto copy = loaded();
  copy.assert_invariants();
  for (const auto& [key, rollout] : tracker.rollouts()) {
    const auto same = copy.rollout(key);
    EXPECT_EQ(same->counts, rollout.counts) << "what is saved must say the same";
    EXPECT_EQ(same->record, rollout.record);
  }
  return status;
}

void TrackerFixture::store(const Effect& effect) {
  if (const auto* save = std::get_if<SaveDevice>(&effect)) devices_[save->device] = save->record;
  if (const auto* remove = std::get_if<RemoveDevice>(&effect)) devices_.erase(remove->device);
  if (const auto* keys = std::get_if<SaveTombstones>(&effect)) {
    tombstones_.erase(keys->device);
    if (keys->record.has_value()) tombstones_[keys->device] = *keys->record;
  }
  if (const auto* member = std::get_if<SaveMember>(&effect))
    members_[{member->rollout, member->device}] = member->record;
  if (const auto* gone = std::get_if<RemoveMember>(&effect)) members_.erase({gone->rollout, gone->device});
  if (const auto* rollout = std::get_if<SaveRollout>(&effect)) rollouts_[rollout->rollout] = rollout->record;
  if (const auto* lease = std::get_if<LeaseSaved>(&effect)) tracker.lease_saved(lease->rollout, lease->bytes);
}

Tracker TrackerFixture::loaded() const {
  Tracker out;
  for (const auto& [key, bytes] : tombstones_) out.load_tombstones(key, *decode_tombstones(bytes));
  for (const auto& [key, bytes] : rollouts_)
    out.load_rollout(key, *decode_rollout_record(bytes), tracker.rollout(key)->release);
  for (const auto& [key, bytes] : devices_) out.load_device(key, *decode_device_record(bytes));
  for (const auto& [key, bytes] : members_) out.load_member(key.first, key.second, *decode_member_record(bytes));
  out.loaded(now);
  return out;
}

}  // namespace instar::rollout
