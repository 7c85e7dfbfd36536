#include "tests/sim/scenario.hpp"

#include <algorithm>
#include <iterator>
#include <list>
#include <memory>

#include "core/rollout/exchange/record.hpp"
#include "core/trust/envelope.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/adversary.hpp"
#include "tests/sim/policies.hpp"

namespace instar::sim {
namespace {

constexpr std::int64_t kSecond = 1'000;
constexpr std::int64_t kFaultPhaseMs = 900 * kSecond;
// Once everything is healed: the longest pauses of the protocol (a report's resend, a broker's grace, a staged retry)
// and a fetch.
constexpr std::int64_t kHealBoundMs = 1'200 * kSecond;
constexpr const char* kTypo = "pmup";

// Mostly small fleets, where chance meets itself often; now and then a large one.
std::uint32_t devices_of(std::uint64_t seed) {
  if (seed % 500 == 0) return 1'000;
  if (seed % 50 == 0) return 100;
  return 5 + static_cast<std::uint32_t>(seed * 7 % 16);
}

class Scenario {
 public:
  explicit Scenario(const ScenarioOptions& options)
      : options_(options),
        world_(options.seed),
        keys_(make_keys()),
        maker_(world_.random, keys_),
        running_(world_),
        transfers_(world_),
        reports_(world_),
        admissions_(world_),
        waves_(world_),
        turns_(world_),
        bytes_(world_),
        strangers_(world_),
        hellos_(world_),
        broker_(world_, keys_, options_.canaries,
                {reports_, transfers_, admissions_, waves_, turns_, bytes_, strangers_, hellos_}),
        adversary_(world_, broker_, keys_, options_.canaries, admissions_, strangers_, releases_, devices_,
                   [this](std::size_t index) { return make_device(index); }) {
    world_.verbose = options.verbose;
    if (options_.devices == 0) options_.devices = devices_of(options.seed);
    for (std::uint32_t i = 0; i < options_.devices; ++i) names_.push_back("dev-" + std::to_string(i));
  }

  ScenarioResult run() {
    broker_.start();
    for (std::uint32_t i = 0; i < options_.devices; ++i) {
      devices_.push_back(make_device(i));
      // Most are there from the beginning; some join while rollouts go on.
      const auto joins =
          world_.random.chance(8'500) ? world_.random.between(0, 5 * kSecond) : world_.random.between(0, 800 * kSecond);
      world_.after(joins, [device = devices_.back().get()] { device->power_on(); });
    }
    break_things();
    if (world_.findings.empty()) heal();
    world_.effects.stored(broker_.store());
    ScenarioResult result{world_.findings.list(), world_.events(), options_.devices,       0, 0,
                          waves_.opened(),        turns_.given(),  world_.effects.finish()};
    for (const auto& device : devices_) count(*device, result);
    return result;
  }

 private:
  std::unique_ptr<SimDevice> make_device(std::size_t index) {
    const auto* const group = index % 2 == 0 ? "plant/a" : "plant/b";
    return std::make_unique<SimDevice>(world_, broker_, keys_, options_.canaries,
                                       SimDevice::Checks{running_, transfers_, admissions_, turns_, bytes_, strangers_},
                                       names_[index], std::vector{*GroupPath::parse(group)});
  }

  const Release& make(Nature nature, wire::Policy policy, ReleaseDates dates) {
    std::vector<GroupPath> groups{*GroupPath::parse("plant")};
    if (world_.random.chance(4'000)) groups = {*GroupPath::parse("plant/a"), *GroupPath::parse("plant/b")};
    releases_.push_back(maker_.make(nature, std::move(groups), std::move(policy), dates));
    running_.published(releases_.back());
    admissions_.published(releases_.back());
    waves_.published(releases_.back());
    turns_.published(releases_.back());
    bytes_.published(releases_.back());
    strangers_.published(releases_.back());
    return releases_.back();
  }

  void put_out(const Release& release) {
    // Nobody goes on with what has expired, or what a newer one has overtaken.
    const auto expires = release.manifest.expires;
    const bool is_over = expires.value != 0 && world_.wall() >= expires;
    const bool is_overtaken = &release != &releases_.back() && broker_.has(releases_.back());
    if (broker_.has(release) || is_over || is_overtaken) return;
    // As who uses `instar publish`: what shows no status was lost on the way, and is published again.
    static_cast<void>(broker_.release(release));
    world_.after(2 * kSecond, [this, &release] { put_out(release); });
  }

  void break_things() {
    world_.faults = true;
    std::int64_t at = world_.random.between(1, 20) * kSecond;
    const auto count = world_.random.between(2, 5);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto nature = world_.random.chance(5'000) ? Nature::good : static_cast<Nature>(world_.random.below(5));
      world_.after(at, [this, nature] {
        auto policy = draw_policy(world_.random, names_);
        put_out(make(nature, std::move(policy), adversary_.dates()));
      });
      at += world_.random.between(10, 250) * kSecond;
    }
    next_fault();
    adversary_.begin();
    world_.run_until(MonotonicMs{kFaultPhaseMs});
  }

  void next_fault() {
    if (!world_.faults) return;
    auto& random = world_.random;
    auto& device = *devices_[random.below(devices_.size())];
    switch (random.below(20)) {
      case 0: broker_.crash(random.between(200, 10 * kSecond)); break;
      case 1:
        broker_.set_store_faults(
            {.fail_commit = {}, .fail_reopens = 0, .delay_polls = static_cast<std::uint32_t>(random.below(40))});
        break;
      case 2:
        broker_.set_store_faults({.fail_commit = broker_.store().commit_count() + 1 + random.below(20),
                                  .fail_reopens = static_cast<std::uint32_t>(random.below(3)),
                                  .delay_polls = static_cast<std::uint32_t>(random.below(5))});
        break;
      case 3:
      case 4: device.power_cut(random.between(kSecond, 30 * kSecond)); break;
      case 5:
      case 6: device.kill(random.between(500, 5 * kSecond)); break;
      case 7: device.drop_link(random.between(60, 300) * kSecond); break;
      case 8:
      case 9:
      case 10: operator_acts(); break;
      case 11: broker_.crash_at_commit(1 + random.below(10)); break;
      case 12: device.cut_after(1 + random.below(12)); break;
      case 13: owner_acts(device); break;
      case 14: adversary_.turn_clock(device); break;
      case 15: adversary_.turn_broker_clock(); break;
      case 16: device.fill_disk(random.between(5, 120) * kSecond); break;
      case 17: operator_moves(random.below(devices_.size())); break;
      default: device.drop_link(random.between(0, 20 * kSecond)); break;
    }
    world_.after(random.between(100, 15 * kSecond), [this] { next_fault(); });
  }

  void operator_acts() {
    if (releases_.empty()) return;
    auto release = releases_.begin();
    std::advance(release, static_cast<std::ptrdiff_t>(world_.random.below(releases_.size())));
    const auto roll = world_.random.below(20);
    if (roll == 0) return adversary_.open_all(*release);
    if (options_.canaries.forged_times && roll < 6) return adversary_.open_all(*release);
    const auto* const verb = roll < 5    ? "pauseRollout"
                             : roll < 10 ? "resumeRollout"
                             : roll < 14 ? "approveRollout"
                             : roll < 17 ? "retryRollout"
                             : roll < 18 ? "abortRollout"
                                         : "revertRollout";
    if (roll >= 10 && roll < 14) {
      // It may arrive although its answer is lost, so an approval counts from the moment when it was given.
      for (std::uint32_t wave = 0; wave < release->manifest.policy.waves.size(); ++wave)
        waves_.approved(release->rollout, wave);
    }
    broker_.command(verb, *release);
  }

  void owner_acts(SimDevice& device) {
    const auto roll = world_.random.below(4);
    device.owner_says({roll == 0, roll == 1, roll == 2 && !releases_.empty() ? releases_.back().manifest.release : ""});
  }

  // A device is put into the other group, or back where it was.
  void operator_moves(std::size_t index) {
    const auto away = world_.random.chance(5'000);
    const auto* const group = (index % 2 == 0) != away ? "plant/a" : "plant/b";
    wire::Assignment assignment{*DeviceId::parse(names_[index]), {*GroupPath::parse(group)}, WallMs{++assigned_}};
    broker_.assign(names_[index], trust::seal(trust::Kind::assignment, wire::encode(assignment), keys_.release));
  }

  void heal() {
    world_.faults = false;
    broker_.set_store_faults({});
    for (const auto& device : devices_) device->owner_says({});
    adversary_.end();
    world_.note("everything is healed");
    // Absent devices come back within their pauses; then one more good release must reach each of them.
    world_.run_until(world_.now() + 310 * kSecond);
    const auto& last = make(Nature::good, draw_gentle_policy(world_.random, names_), adversary_.last_dates());
    put_out(last);
    const auto& typo = make_typo(last);
    put_out_typo(typo);
    const auto end = world_.now() + kHealBoundMs;
    while (world_.now() < end && world_.findings.empty() && !all_done(last))
      world_.run_until(world_.now() + 10 * kSecond);
    if (!world_.findings.empty()) return;
    for (const auto& device : devices_) {
      if (!is_done(*device, last)) world_.found("not healed in time: " + device->describe());
    }
    if (!world_.findings.empty()) return;
    world_.run_until(world_.now() + 10 * kSecond);  // statuses are published at most once a second
    check_end();
    for (const auto* release : {&last, &typo}) check_offered(*release, release->manifest.groups);
    if (!world_.findings.empty()) return;
    broker_.command("abortRollout", last);
    world_.run_until(world_.now() + 10 * kSecond);
    for (const auto* path : {"plant", "plant/a", "plant/b"}) check_came_back(*GroupPath::parse(path));
  }

  // A release for the same groups, of a product that no device is: it takes no other's place.
  const Release& make_typo(const Release& last) {
    typos_.push_back(maker_.make(Nature::good, last.manifest.groups, draw_gentle_policy(world_.random, names_),
                                 adversary_.last_dates(), kTypo));
    admissions_.published(typos_.back());
    waves_.published(typos_.back());
    return typos_.back();
  }

  void put_out_typo(const Release& typo) {
    if (broker_.has(typo)) return;
    static_cast<void>(broker_.release(typo));
    world_.after(2 * kSecond, [this, &typo] { put_out_typo(typo); });
  }

  // It stands on the topics of its product, for those that come late.
  void check_offered(const Release& release, const std::vector<GroupPath>& groups) {
    for (const auto& group : groups) {
      const auto topic = wire::Topics().manifest(group, release.manifest.product);
      const auto found = broker_.retained().find(topic);
      if (found == broker_.retained().end() || found->second != release.envelope)
        world_.found("release " + release.manifest.release + " does not stand on " + topic);
    }
  }

  // Worked out again from what is durable: once the newest has ended, the newest that goes on stands there.
  void check_came_back(const GroupPath& group) {
    const Release* newest = nullptr;
    const Release* standing = nullptr;
    std::uint64_t newest_order = 0;
    std::uint64_t standing_order = 0;
    bool has_ended = false;
    for (const auto& release : releases_) {
      const auto bytes = broker_.store().durable(storage::Column::rollouts, storage::rollout_key(release.rollout));
      if (!bytes || std::ranges::find(release.manifest.groups, group) == release.manifest.groups.end()) continue;
      const auto record = rollout::decode_rollout_record(*bytes).value();
      const bool goes_on = rollout::goes_on(record.state);
      // Whether it comes back depends on when it expired.
      if (release.manifest.expires.value != 0 && goes_on) return;
      if (record.order > newest_order) {
        newest = &release;
        newest_order = record.order;
        has_ended = !goes_on;
      }
      if (goes_on && record.order > standing_order) {
        standing = &release;
        standing_order = record.order;
      }
    }
    const auto* expected = has_ended && standing != nullptr ? standing : newest;
    if (expected != nullptr) check_offered(*expected, {group});
  }

  [[nodiscard]] bool is_done(const SimDevice& device, const Release& last) const {
    if (device.machine() == nullptr) return false;
    const auto view = device.machine()->view();
    return view.phase == "idle" && view.running && view.running->manifest == last.rollout &&
           view.pending_reports == 0 && device.running() == view.current_revision;
  }

  [[nodiscard]] bool all_done(const Release& last) const {
    return std::ranges::all_of(devices_, [&](const auto& device) { return is_done(*device, last); });
  }

  void check_end() {
    std::map<std::string, revision::DeviceState> states;
    for (const auto& device : devices_) {
      const auto state = revision::decode_state(device->disk().state);
      if (!state) return world_.found(device->id().str() + ": its state file cannot be read: " + state.error().message);
      states[device->id().str()] = *state;
      transfers_.at_end(device->id().str());
      if (device->disk().revisions.size() > 2)
        world_.found(device->describe() + ": keeps " + std::to_string(device->disk().revisions.size()) + " revisions");
    }
    adversary_.look();
    hellos_.broker_crashed(broker_.store());
    reports_.at_end(broker_.store(), states, adversary_.cloned());
    for (const auto& release : releases_) {
      const auto status = broker_.retained().find(wire::Topics().status(release.rollout.short_hex()));
      if (status != broker_.retained().end()) reports_.status_at_end(release, broker_.store(), status->second);
    }
  }

  static void count(const SimDevice& device, ScenarioResult& result) {
    const auto state = revision::decode_state(device.disk().state);
    if (!state) return;
    for (const auto& outcome : state->history.outcomes) {
      if (outcome.step == wire::Step::committed) ++result.commits;
      if (outcome.step == wire::Step::rolled_back) ++result.rollbacks;
    }
  }

  ScenarioOptions options_;
  World world_;
  Keys keys_;
  ReleaseMaker maker_;
  RunningCheck running_;
  TransferCheck transfers_;
  ReportCheck reports_;
  AdmissionCheck admissions_;
  WaveCheck waves_;
  TurnCheck turns_;
  ByteCheck bytes_;
  StrangerCheck strangers_;
  HelloCheck hellos_;
  std::vector<std::string> names_;
  std::int64_t assigned_ = 0;
  std::list<Release> releases_;
  std::list<Release> typos_;
  SimBroker broker_;
  std::vector<std::unique_ptr<SimDevice>> devices_;
  Adversary adversary_;
};

}  // namespace

ScenarioResult run_scenario(const ScenarioOptions& options) {
  Scenario scenario(options);
  return scenario.run();
}

}  // namespace instar::sim
