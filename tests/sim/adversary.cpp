#include "tests/sim/adversary.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/names.hpp"

namespace instar::sim {
namespace {

constexpr std::int64_t kSecond = 1'000;
constexpr std::int64_t kDay = 24 * 3'600 * kSecond;
constexpr std::int64_t kYear = 365 * kDay;
// Of machines that are looked after.
constexpr std::int64_t kSmallError = 60 * kSecond;

}  // namespace

Adversary::Adversary(World& world, SimBroker& broker, const Keys& keys, const Canaries& canaries,
                     AdmissionCheck& admissions, StrangerCheck& strangers, const std::list<Release>& releases,
                     const Devices& devices, MakeDevice make)
    : world_(world),
      broker_(broker),
      canaries_(canaries),
      check_(strangers),
      releases_(releases),
      devices_(devices),
      make_(std::move(make)),
      plan_(draw_plan(world.random, canaries)),
      gates_(world, broker, keys, canaries, admissions) {}

Adversary::Plan Adversary::draw_plan(Random& random, const Canaries& canaries) {
  Plan plan;
  plan.clocks = random.chance(2'500);
  plan.foreign = random.chance(3'000) || canaries.strangers_count;
  plan.late = random.chance(3'000) || canaries.late_counts;
  plan.hellos = random.chance(4'000);
  plan.gates = random.chance(3'000) || canaries.raised_issue || canaries.blind_clock || canaries.stolen_approval;
  plan.clones = random.chance(1'500) || canaries.hidden_clone;
  // When somebody came, and when a name was shared, the broker knows by its own clock.
  plan.clocks = plan.clocks && !plan.late && !plan.clones;
  return plan;
}

void Adversary::begin() {
  auto& random = world_.random;
  if (plan_.foreign) {
    for (auto count = random.between(1, 3); count > 0; --count)
      world_.after(random.between(0, 300) * kSecond, [this] { come_foreign(); });
  }
  if (plan_.late) world_.after(random.between(30, 300) * kSecond, [this] { come_late(); });
  if (plan_.clones) world_.after(random.between(60, 600) * kSecond, [this] { clone_one(); });
  world_.after(5 * kSecond, [this] { forget_late(); });
  act();
}

void Adversary::act() {
  if (!world_.faults) return;
  world_.after(world_.random.between(5, 40) * kSecond, [this] { act(); });
  look();
  if (plan_.hellos) play_hello();
  // In a large fleet a flood of gates would take the whole day.
  if (!plan_.gates || releases_.empty() || devices_.size() > 200) return;
  // Mostly about what is on its way now.
  const auto back = world_.random.chance(7'000) ? 0 : world_.random.below(releases_.size());
  gates_.lie(*std::prev(releases_.end(), static_cast<std::ptrdiff_t>(back) + 1));
}

void Adversary::play_hello() {
  const auto& name = devices_[world_.random.below(devices_.size())]->id().str();
  const auto& kept = broker_.recorded().hellos(name);
  if (kept.size() < 2) return;
  const auto old = kept[world_.random.below(kept.size() - 1)];
  world_.note("an old hello of " + name + " is played again");
  broker_.replay(name, old.topic, old.payload);
}

void Adversary::come_foreign() {
  if (!world_.faults) return;
  const auto name = "foreign-" + std::to_string(strangers_.size());
  const bool other_product = world_.random.chance(5'000);
  const auto* const group = other_product ? "plant/a" : world_.random.chance(5'000) ? "office" : "plantation/a";
  strangers_.emplace_back(world_, broker_, releases_, name, other_product ? "valve" : kFleetProduct,
                          std::vector{*GroupPath::parse(group)}, nullptr);
  strangers_.back().come();
}

// The newest release, if it goes on; `limits`: of its open waves.
const Release* Adversary::open_rollout(std::vector<std::uint64_t>& limits) const {
  if (releases_.empty()) return nullptr;
  const auto& newest = releases_.back();
  const auto bytes = broker_.store().durable(storage::Column::rollouts, storage::rollout_key(newest.rollout));
  const auto record =
      bytes ? rollout::decode_rollout_record(*bytes) : Result<rollout::RolloutRecord>(fail(Code::not_found, ""));
  if (!record || record->state != rollout::RolloutState::active || record->wave_limits.empty()) return nullptr;
  limits = record->wave_limits;
  return &newest;
}

// It makes up a name that an open wave admits: whoever can choose names can.
void Adversary::come_late() {
  if (!world_.faults) return;
  world_.after(world_.random.between(60, 300) * kSecond, [this] { come_late(); });
  std::vector<std::uint64_t> limits;
  const auto* const release = open_rollout(limits);
  if (release == nullptr) return;
  const auto prefix = "late-" + std::to_string(++late_count_) + "-";
  for (int i = 0; i < 2'000; ++i) {
    const auto name = prefix + std::to_string(i);
    if (wave_of_device(release->manifest.policy, limits, name) < 0) continue;
    const auto* const group = world_.random.chance(5'000) ? "plant/a" : "plant/b";
    strangers_.emplace_back(world_, broker_, releases_, name, kFleetProduct, std::vector{*GroupPath::parse(group)},
                            release);
    auto& stranger = strangers_.back();
    stranger.come();
    world_.after(world_.random.between(60, 200) * kSecond, [&stranger] {
      if (!stranger.has_left()) stranger.leave();
    });
    return;
  }
}

// The operator sees that they are none of his.
void Adversary::forget_late() {
  world_.after(5 * kSecond, [this] { forget_late(); });
  for (const auto& stranger : strangers_) {
    if (!stranger.has_left()) continue;
    if (broker_.store().durable(storage::Column::devices, storage::device_key(stranger.id())))
      broker_.forget(stranger.id());
  }
}

void Adversary::clone_one() {
  if (!world_.faults) return;
  const auto index = world_.random.below(devices_.size());
  const auto& original = *devices_[index];
  if (original.machine() == nullptr || original.disk().state.empty())
    return world_.after(10 * kSecond, [this] { clone_one(); });
  world_.note("the disk of " + original.id().str() + " is cloned");
  cloned_.insert(original.id().str());
  clones_.push_back(make_(index));
  auto& clone = *clones_.back();
  clone.clone(original);
  clone.power_on();
  world_.after(world_.random.between(20, 90) * kSecond, [&clone] { clone.retire(); });
}

void Adversary::end() {
  for (auto& stranger : strangers_) {
    if (is_late(stranger.id().str()) && !stranger.has_left()) stranger.leave();
  }
  for (const auto& clone : clones_) clone->retire();
  broker_.set_clock_error(0);
  bool is_first = true;
  for (const auto& device : devices_) {
    // One that keeps no time stays as it is: it lives by what is signed.
    const bool keeps_time = device->clock() != wire::ClockState::none;
    if (keeps_time) device->set_clock_error(world_.random.between(-kSmallError, kSmallError));
    if (canaries_.wrong_clock_stays && keeps_time && std::exchange(is_first, false)) device->set_clock_error(5 * kYear);
  }
  look();
}

void Adversary::look() {
  check_.look(broker_.store());
}

ReleaseDates Adversary::dates() {
  auto& random = world_.random;
  auto error = random.between(-kSmallError, kSmallError);
  if (plan_.clocks && random.chance(3'000)) error = draw_error();
  const auto now = world_.wall() + error;
  ReleaseDates dates{now, {}};
  if (random.chance(2'000) || canaries_.slow_clock) dates.expires = now + random.between(60, 900) * kSecond;
  return dates;
}

ReleaseDates Adversary::last_dates() const {
  return {world_.wall(), world_.wall() + 90 * kDay};
}

// Days, or some years.
std::int64_t Adversary::draw_error() {
  const auto most = world_.random.chance(5'000) ? 2 * kDay : 4 * kYear;
  return world_.random.between(-most, most);
}

void Adversary::turn_clock(SimDevice& device) {
  const bool is_kept = device.clock() == wire::ClockState::synchronized;
  const auto error = draw_error();
  const auto small = world_.random.between(-kSmallError, kSmallError);
  // A time service that lies is there in some stories alone.
  device.set_clock_error(plan_.clocks || !is_kept ? error : small);
}

void Adversary::turn_broker_clock() {
  const auto error = draw_error();
  const auto small = world_.random.between(-4 * kSmallError, 4 * kSmallError);
  if (plan_.late || plan_.clones) return;
  broker_.set_clock_error(plan_.clocks ? (world_.random.chance(3'000) ? 0 : error) : small);
}

}  // namespace instar::sim
