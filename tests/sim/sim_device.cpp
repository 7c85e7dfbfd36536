#include "tests/sim/sim_device.hpp"

#include <algorithm>

#include "core/revision/state_codec.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::sim {
namespace {

// Of ten thousand effects, how many meet a power cut or a kill.
constexpr std::uint64_t kMishaps = 8;
// A client that has been up for so long must have its containers running.
constexpr std::int64_t kSettledMs = 5'000;

// What a time service keeps is right in the beginning; what runs for itself, or forgets the time, may be.
wire::ClockState draw_clock(Random& random, std::int64_t error_ms) {
  const bool is_right = error_ms >= -60'000;
  if (is_right && random.chance(5'000)) return wire::ClockState::synchronized;
  return !is_right && random.chance(5'000) ? wire::ClockState::none : wire::ClockState::free;
}

}  // namespace

SimDevice::SimDevice(World& world, SimBroker& broker, const Keys& keys, const Canaries& canaries, Checks checks,
                     const std::string& name, std::vector<GroupPath> groups)
    : world_(world),
      broker_(broker),
      keys_(keys),
      canaries_(canaries),
      checks_(checks),
      link_(world),
      key_(*trust::SecretKey::from_seed(trust::digest(as_bytes(name)).bytes)),
      clock_error_ms_(world.random.chance(3'000) ? -world.random.between(0, 1'700'000'000'000)
                                                 : world.random.between(-60'000, 60'000)),
      clock_(draw_clock(world.random, clock_error_ms_)),
      shows_as_(name),
      stager_(
          world, disk_, [this](std::int64_t ms, revision::Event event) { give_later(ms, std::move(event)); },
          [this](std::int64_t ms, std::function<void()> what) { later(ms, std::move(what)); },
          [this](std::uint32_t bytes) { checks_.transfers.durable(facts_.device.str(), bytes); }) {
  facts_.device = *DeviceId::parse(name);
  facts_.description.product = "pump";
  facts_.description.groups = std::move(groups);
  facts_.description.architecture = "x86_64";
  facts_.description.kernel = "6.1.0";
  facts_.description.client_version = "0.1.0";
  facts_.description.memory_bytes = 64 * 1024 * 1024;
  facts_.description.metered = world_.random.chance(3'000);
  facts_.window_bytes_max = 64 * 1024 << world.random.below(4);
}

std::string SimDevice::describe() const {
  std::string text = facts_.device.str() + ": ";
  if (!machine_) return text + (powered_ ? "client down" : "off");
  const auto view = machine_->view();
  return text + view.phase + ", current " + std::to_string(view.current_revision) + " (" +
         (view.running ? view.running->release : "-") + "), candidate " + std::to_string(view.candidate_revision) +
         ", running " + std::to_string(running_) + ", pending reports " + std::to_string(view.pending_reports) +
         (link_.is_up() ? ", online" : ", offline");
}

void SimDevice::later(std::int64_t ms, std::function<void()> what) {
  world_.after(ms, [this, life = life_, what = std::move(what)] {
    if (life == life_) what();
  });
}

void SimDevice::give_later(std::int64_t ms, revision::Event event) {
  later(ms, [this, event = std::move(event)] { give(event); });
}

void SimDevice::power_on() {
  if (is_retired_) return;
  powered_ = true;
  boot();
}

void SimDevice::boot() {
  ++life_;
  stager_.reset();
  booted_ = world_.now();
  facts_.instance = trust::digest(as_bytes(shows_as_)).prefix64() + life_;
  revision::Effects effects;
  std::optional<revision::Anchor> anchor;
  if (auto read = revision::decode_anchor(disk_.anchor)) anchor = std::move(*read);
  auto loaded =
      revision::Machine::load(facts_, key_, wire::Topics(), disk_.state, keys_.pinned_root, now(), effects, anchor);
  if (!loaded) return world_.found(facts_.device.str() + " cannot load its state: " + loaded.error().message);
  machine_ = std::move(*loaded);
  carry_out(effects);
  if (!machine_) return;
  give(revision::FreeSpace{100'000'000});
  utc_offset_s_ = static_cast<std::int32_t>(world_.random.between(-12, 12)) * 3'600;
  tell_time();
  give(owner_);
  reconnect_later(world_.random.between(50, 1'000));
  tick();
}

void SimDevice::stop_process() {
  ++life_;
  machine_.reset();
  stager_.reset();
  unconfirmed_.clear();
  if (link_.is_up()) {
    link_.drop();
    broker_.disconnected(*this);
  }
  checks_.transfers.mishap(facts_.device.str());
}

void SimDevice::power_cut(std::int64_t off_ms) {
  if (!powered_) return;
  world_.note(facts_.device.str() + ": power cut");
  powered_ = false;
  stop_process();
  running_ = 0;
  running_release_ = nullptr;
  world_.after(off_ms, [this] { power_on(); });
}

void SimDevice::kill(std::int64_t down_ms) {
  if (!machine_) return;
  world_.note(facts_.device.str() + ": client killed");
  stop_process();
  later(down_ms, [this] { boot(); });
}

bool SimDevice::link_is_cut() const {
  // Healing heals this too: a device whose link was away before the switch may have committed such a release
  // (docs/health.md).
  return world_.faults && running_release_ != nullptr && running_release_->nature == Nature::cuts_link;
}

void SimDevice::drop_link(std::int64_t away_ms) {
  away_until_ = std::max(away_until_, world_.now() + away_ms);
  if (!link_.is_up()) return;
  link_.drop();
  broker_.disconnected(*this);
  lost();
}

void SimDevice::lost() {
  link_.drop();
  checks_.transfers.mishap(facts_.device.str());
  if (!machine_) return;
  give(revision::Disconnected{});
  if (machine_) reconnect_later(world_.random.between(500, 3'000));
}

void SimDevice::reconnect_later(std::int64_t ms) {
  later(ms, [this] { connect(); });
}

void SimDevice::connect() {
  if (link_.is_up() || !machine_) return;
  if (!broker_.is_up() || world_.now() < away_until_ || link_is_cut())
    return reconnect_later(world_.random.between(500, 5'000));
  link_.raise();
  broker_.connected(*this);
  const auto unconfirmed = unconfirmed_;
  give(revision::Connected{});
  if (!machine_) return;
  subscribe();
  for (const auto& message : unconfirmed) send(message);  // what was under way when the link dropped: maybe twice
}

void SimDevice::subscribe() {
  if (!machine_) return;
  std::vector<std::string> topics;
  for (const auto& [filter, qos] : machine_->subscriptions()) topics.push_back(filter);
  link_.send_up(200, [this, topics] { broker_.subscribe(*this, topics); });
}

void SimDevice::receive(const std::string& topic, const Bytes& payload) {
  give(revision::MessageArrived{topic, payload});
}

void SimDevice::give(const revision::Event& event) {
  if (!machine_) return;
  revision::Effects effects;
  machine_->handle(event, now(), effects);
  machine_->assert_invariants();
  carry_out(effects);
}

void SimDevice::tick() {
  give(revision::Ticked{});
  if (!machine_) return;
  const auto view = machine_->view();
  if (world_.now() - booted_ > kSettledMs) {
    checks_.running.look(shows_as_, view.phase, view.current_revision, view.candidate_revision, running_);
  }
  if (view.running) checks_.admissions.runs(shows_as_, *view.running);
  if (link_.is_up() && link_is_cut()) drop_link(0);
  if (!machine_) return;
  const auto deadline = machine_->next_deadline();
  const auto wait = deadline ? *deadline - world_.now() : 1'000;
  later(std::clamp<std::int64_t>(wait, 20, 1'000), [this] { tick(); });
}

bool SimDevice::mishap() {
  if (world_.faults && cut_after_ > 0 && --cut_after_ == 0) {
    power_cut(world_.random.between(1'000, 30'000));
    return true;
  }
  if (!world_.faults || !world_.random.chance(kMishaps)) return false;
  if (world_.random.chance(5'000)) {
    power_cut(world_.random.between(1'000, 30'000));
  } else {
    kill(world_.random.between(500, 5'000));
  }
  return true;
}

void SimDevice::carry_out(revision::Effects& effects) {
  const auto life = life_;
  for (auto& effect : effects) {
    if (life != life_) return;
    world_.effects.effect(facts_.device.str(), world_.now(), effect);
    if (mishap()) return;
    std::visit([this](auto& one) { carry(one); }, effect);
  }
}

void SimDevice::carry(revision::Persist& effect) {
  if (canaries_.skip_persist && world_.random.chance(1'500)) return;
  if (world_.faults && world_.random.chance(5)) return kill(world_.random.between(500, 5'000));  // the write failed
  if (!effect.anchor.empty()) {
    disk_.anchor = std::move(effect.anchor);
    if (world_.faults && world_.random.chance(20)) return kill(world_.random.between(500, 5'000));  // between the files
  }
  disk_.state = std::move(effect.state);
  note_start();
}

void SimDevice::send(const Outgoing& message) {
  link_.send_up(message.payload.size() + message.topic.size() + 8, [this, message] {
    if (!broker_.arrive(*this, message.topic, message.payload, message.qos, wire::Retain::no)) return;
    if (message.qos == wire::Qos::at_most_once) return;
    link_.send_down(4, [this, number = message.number] {
      std::erase_if(unconfirmed_, [&](const Outgoing& one) { return one.number == number; });
    });
  });
}

void SimDevice::owner_says(revision::OwnerInstruction word) {
  owner_ = std::move(word);
  give(owner_);
}

void SimDevice::carry(revision::OpenStaging& effect) {
  if (world_.now() < full_until_) {
    return give_later(5, revision::StagingFailed{effect.revision, Error{Code::no_space, "the disk is full"}});
  }
  stager_.open(effect);
}
void SimDevice::carry(revision::StagePiece& effect) {
  stager_.piece(effect);
}
void SimDevice::carry(revision::FinishStaging& effect) {
  stager_.finish(effect.revision);
}
void SimDevice::carry(revision::RemoveRevision& effect) {
  checks_.running.remove(facts_.device.str(), effect.revision, running_);
  stager_.remove(effect.revision);
}

// Its disk is full or it is not: artifacts have no size here.
void SimDevice::carry(revision::TrimRevision& effect) {
  static_cast<void>(effect);
}

const Release* SimDevice::release_of(const wire::Manifest& manifest) const {
  return checks_.running.release(ManifestId(trust::digest(wire::encode_manifest(manifest))));
}

void SimDevice::carry(revision::StartTry& effect) {
  checks_.running.start(facts_.device.str(), effect.to, effect.manifest, disk_);
  if (running_ != effect.to) running_ = 0;
  later(world_.random.between(20, 500), [this, to = effect.to, release = release_of(effect.manifest)] {
    if (release == nullptr) return;
    if (release->nature == Nature::does_not_start) {
      return give(revision::TryFailed{to, Error{Code::unhealthy, "no such init"}});
    }
    running_ = to;
    running_release_ = release;
    if (release->nature == Nature::stops) {
      later(world_.random.between(1, 900), [this, to] { give(revision::ContainerStopped{to, "app", "exit 1"}); });
    }
    give(revision::TryStarted{to, 20});
  });
}

void SimDevice::carry(revision::RunProbe& effect) {
  later(world_.random.between(5, 800), [this, effect] {
    const bool passed =
        running_ == effect.revision && running_release_ != nullptr && running_release_->nature != Nature::probe_fails;
    give(revision::ProbeEnded{effect.revision, effect.container, passed, passed ? "exit 0" : "exit 1"});
  });
}

void SimDevice::carry(revision::SwitchBack& effect) {
  if (effect.to != 0) checks_.running.start(facts_.device.str(), effect.to, *effect.manifest, disk_);
  running_ = 0;
  running_release_ = nullptr;
  const bool fails = world_.faults && world_.random.chance(500);
  later(world_.random.between(20, 500), [this, effect, fails] {
    if (fails) return give(revision::SwitchBackFailed{Error{Code::io, "busy"}});
    running_ = effect.to;
    running_release_ = effect.to == 0 ? nullptr : release_of(*effect.manifest);
    give(revision::SwitchedBack{effect.to, 20});
  });
}

void SimDevice::carry(revision::EnsureRunning& effect) {
  checks_.running.start(facts_.device.str(), effect.revision, effect.manifest, disk_);
  if (running_ == effect.revision) return;
  running_ = effect.revision;
  running_release_ = release_of(effect.manifest);
}

void SimDevice::carry(revision::PointCurrent&) {}
void SimDevice::carry(revision::Resubscribe&) {
  subscribe();
}

void SimDevice::carry(revision::Log& effect) {
  world_.note(facts_.device.str() + ": " + effect.message);
}

}  // namespace instar::sim
