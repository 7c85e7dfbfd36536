#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/rollout_checks.hpp"

namespace instar::sim {
namespace {

// A turn is sent when it is durable, so two that were given a minute apart may arrive closer together.
constexpr std::int64_t kMinuteMs = 55'000;

}  // namespace

void TurnCheck::ack(const std::string& device, const wire::Ack& ack, storage::Store& store) {
  if (ack.start_rollout == 0) return;
  const auto found = by_prefix_.find(ack.start_rollout);
  if (found == by_prefix_.end()) return world_.found(device + " is given its turn in a rollout that nobody knows");
  world_.note(device + " is told that its turn has come, attempt " + std::to_string(ack.start_attempt) + " at " +
              found->second->manifest.release);
  if (!turns_.emplace(device, ack.start_rollout, ack.start_attempt).second) return;  // said again
  ++given_;
  const auto& policy = found->second->manifest.policy;
  const auto& name = found->second->manifest.release;
  if (policy.starts_per_minute_max != 0) {
    auto& starts = starts_[ack.start_rollout];
    // A turn that was given up and is sent once more is no second start: the device begins that attempt once.
    std::erase_if(starts, [&](const auto& start) {
      return world_.now() - start.first >= kMinuteMs || start.second == std::pair(device, ack.start_attempt);
    });
    starts.emplace_back(world_.now(), std::pair(device, ack.start_attempt));
    if (starts.size() > policy.starts_per_minute_max) {
      world_.found(name + ": " + std::to_string(starts.size()) + " devices start within a minute, " +
                   std::to_string(policy.starts_per_minute_max) + " may");
    }
  }
  if (policy.in_flight_max == 0) return;
  std::uint64_t in_flight = 0;
  std::string who;
  const auto prefix = std::string(as_text(found->second->rollout.bytes));
  const auto scanned = store.scan(storage::Column::members, prefix, [&](ByteView key, ByteView value) {
    const auto parsed = storage::parse_member_key(key);
    const auto record = rollout::decode_member_record(value);
    if (!parsed || !record || record->asks != 0 || wire::is_final(record->step)) return true;
    const auto id = parsed->second.str();
    // This counts the turns that devices received, not those in the store.
    if (twins_.contains(id) || !turns_.contains({id, ack.start_rollout, record->attempt})) return true;
    // For the broker a device is back with its first message, not with its connection.
    const bool is_back = online_[id] && heard_[id] >= connected_[id];
    const bool silent = !is_back && world_.now() - heard_[id] >= std::int64_t{policy.silent_s} * 1'000 - 10'000;
    if (silent) return true;
    ++in_flight;
    who += " " + id + " (" + std::string(wire::step_name(record->step)) + ", attempt " +
           std::to_string(record->attempt) + ", " + (online_[id] ? "online" : "away") + ", heard " +
           std::to_string((world_.now() - heard_[id]) / 1'000) + " s ago)";
    return true;
  });
  static_cast<void>(scanned);
  if (in_flight > policy.in_flight_max) {
    world_.found(name + ": " + std::to_string(in_flight) + " devices are in flight, " +
                 std::to_string(policy.in_flight_max) + " may be, when " + device + " is given its turn:" + who);
  }
}

void TurnCheck::given_up(const std::string& device, const ManifestId& rollout, std::uint32_t attempt) {
  turns_.erase({device, rollout.prefix64(), attempt});
}

void TurnCheck::started(const std::string& device, const ManifestId& rollout, std::uint32_t attempt) {
  const auto found = by_prefix_.find(rollout.prefix64());
  if (found == by_prefix_.end()) return;
  const auto& policy = found->second->manifest.policy;
  if (twins_.contains(device) || (policy.in_flight_max == 0 && policy.starts_per_minute_max == 0)) return;
  if (turns_.contains({device, rollout.prefix64(), attempt})) return;
  world_.found(device + " begins attempt " + std::to_string(attempt) + " at " + found->second->manifest.release +
               " before its turn");
}

}  // namespace instar::sim
