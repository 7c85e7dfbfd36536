#include "tests/sim/scenario.hpp"

#include <iterator>
#include <list>
#include <memory>

#include "tests/sim/sim_device.hpp"

namespace instar::sim {
namespace {

constexpr std::int64_t kSecond = 1'000;
constexpr std::int64_t kFaultPhaseMs = 900 * kSecond;
// Once everything is healed: the longest pauses of the protocol (a report's resend, a broker's grace, a staged retry) and a fetch.
constexpr std::int64_t kHealBoundMs = 1'200 * kSecond;

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
        broker_(world_, keys_, options_.canaries, reports_, transfers_) {
    world_.verbose = options.verbose;
  }

  ScenarioResult run() {
    broker_.start();
    for (std::uint32_t i = 0; i < options_.devices; ++i) {
      const auto group = i % 2 == 0 ? "plant/a" : "plant/b";
      devices_.push_back(std::make_unique<SimDevice>(world_, broker_, keys_, options_.canaries, running_, transfers_,
                                                     "dev-" + std::to_string(i), std::vector{*GroupPath::parse(group)}));
      world_.after(world_.random.between(0, 5 * kSecond), [device = devices_.back().get()] { device->power_on(); });
    }
    break_things();
    if (world_.findings.empty()) heal();
    ScenarioResult result{world_.findings.list(), world_.events(), 0, 0};
    for (const auto& device : devices_) count(*device, result);
    return result;
  }

 private:
  const Release& make(Nature nature) {
    std::vector<GroupPath> groups{*GroupPath::parse("plant")};
    if (world_.random.chance(4'000)) groups = {*GroupPath::parse("plant/a"), *GroupPath::parse("plant/b")};
    releases_.push_back(maker_.make(nature, std::move(groups)));
    running_.published(releases_.back());
    return releases_.back();
  }

  void put_out(const Release& release) {
    if (broker_.release(release)) return;
    world_.after(2 * kSecond, [this, &release] { put_out(release); });
  }

  void break_things() {
    world_.faults = true;
    std::int64_t at = world_.random.between(1, 20) * kSecond;
    const auto count = world_.random.between(2, 5);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto nature = world_.random.chance(5'000) ? Nature::good : static_cast<Nature>(world_.random.below(5));
      world_.after(at, [this, nature] { put_out(make(nature)); });
      at += world_.random.between(10, 250) * kSecond;
    }
    next_fault();
    world_.run_until(MonotonicMs{kFaultPhaseMs});
  }

  void next_fault() {
    if (!world_.faults) return;
    auto& random = world_.random;
    auto& device = *devices_[random.below(devices_.size())];
    switch (random.below(13)) {
      case 0: broker_.crash(random.between(200, 10 * kSecond)); break;
      case 1:
        broker_.set_store_faults({.fail_commit = {}, .fail_reopens = 0, .delay_polls = static_cast<std::uint32_t>(random.below(40))});
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
      case 12: operator_acts(); break;
      case 7: device.drop_link(random.between(60, 300) * kSecond); break;
      default: device.drop_link(random.between(0, 20 * kSecond)); break;
    }
    world_.after(random.between(100, 15 * kSecond), [this] { next_fault(); });
  }

  void operator_acts() {
    if (releases_.empty()) return;
    auto release = releases_.begin();
    std::advance(release, static_cast<std::ptrdiff_t>(world_.random.below(releases_.size())));
    const auto roll = world_.random.below(10);
    broker_.command(roll < 5 ? "pauseRollout" : roll < 9 ? "resumeRollout" : "abortRollout", *release);
  }

  void heal() {
    world_.faults = false;
    broker_.set_store_faults({});
    world_.note("everything is healed");
    // Absent devices come back within their pauses; then one more good release must reach each of them.
    world_.run_until(world_.now() + 310 * kSecond);
    const auto& last = make(Nature::good);
    put_out(last);
    const auto end = world_.now() + kHealBoundMs;
    while (world_.now() < end && world_.findings.empty() && !all_done(last)) world_.run_until(world_.now() + 10 * kSecond);
    if (!world_.findings.empty()) return;
    for (const auto& device : devices_) {
      if (!is_done(*device, last)) world_.found("not healed in time: " + device->describe());
    }
    if (!world_.findings.empty()) return;
    world_.run_until(world_.now() + 10 * kSecond);  // statuses are published at most once a second
    check_end();
  }

  [[nodiscard]] bool is_done(const SimDevice& device, const Release& last) const {
    if (device.machine() == nullptr) return false;
    const auto view = device.machine()->view();
    return view.phase == "idle" && view.running && view.running->manifest == last.rollout && view.pending_reports == 0 &&
           device.running() == view.current_revision;
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
    reports_.at_end(broker_.store(), states);
    for (const auto& release : releases_) {
      const auto status = broker_.retained().find(wire::Topics().status(release.rollout.short_hex()));
      if (status != broker_.retained().end()) reports_.status_at_end(release, broker_.store(), status->second);
    }
  }

  static void count(const SimDevice& device, ScenarioResult& result) {
    const auto state = revision::decode_state(device.disk().state);
    if (!state) return;
    for (const auto& outcome : state->outcomes) {
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
  std::list<Release> releases_;
  SimBroker broker_;
  std::vector<std::unique_ptr<SimDevice>> devices_;
};

}  // namespace

ScenarioResult run_scenario(const ScenarioOptions& options) {
  Scenario scenario(options);
  return scenario.run();
}

}  // namespace instar::sim
