#include "bench/fleet/device.hpp"

#include <algorithm>
#include <chrono>

#include "core/artifact/codec.hpp"
#include "core/revision/state_codec.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::fleet {
namespace {

// Between attempts to connect, spread over the fleet.
constexpr std::int64_t kRetryMsMin = 200;
constexpr std::int64_t kRetryMsSpread = 1'800;
constexpr std::int64_t kTickMsMax = 5'000;

// The machine's memory of a device that runs `envelope` already.
Bytes state_running(const Plan& plan) {
  if (plan.running_manifest.empty()) return {};
  const auto envelope = trust::parse_envelope(plan.running_manifest);
  const auto manifest = wire::decode_manifest(envelope.value().payload).value();
  revision::DeviceState state;
  state.root = plan.root;
  wire::RevisionInfo info{
      manifest.product, manifest.release, manifest.sequence, ManifestId(envelope->payload_hash), {}};
  for (const auto& artifact : manifest.artifacts) info.artifacts.push_back(artifact.id);
  state.revisions.current = revision::RevisionRecord{1, std::move(info)};
  state.revisions.current_manifest = plan.running_manifest;
  state.history.highest_sequence = manifest.sequence;
  state.revisions.next_number = 2;
  state.revisions.numbers = {1};
  return revision::encode_state(state);
}

}  // namespace

Now read_clocks() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return {WallMs{duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()},
          MonotonicMs{duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()}};
}

Device::Device(const Plan& plan, Totals& totals, std::uint32_t number)
    : plan_(plan),
      totals_(totals),
      name_("fleet-" + std::to_string(number)),
      link_(name_, {[this] {
                      online_ = true;
                      for (const auto& [filter, qos] : machine_->subscriptions()) link_.subscribe(filter, qos);
                      events_.emplace_back(revision::Connected{});
                      settle();
                    },
                    [this] { lost(read_clocks()); },
                    [this](const std::string& topic, ByteView payload, wire::Retain) { hear(topic, payload); },
                    {}}),
      now_(read_clocks()),
      state_(state_running(plan)) {
  const auto placed = trust::digest(as_bytes(name_ + "/" + std::to_string(plan.seed)));
  fails_ = placed.prefix64() % 100 < plan.fail_percent;
  connect_at_ = now_.monotonic + static_cast<std::int64_t>(placed.prefix64() / 100 % 1'000);
  revision::DeviceFacts facts;
  facts.device = DeviceId::parse(name_).value();
  facts.description.product = plan.product;
  facts.description.groups = plan.groups;
  facts.description.architecture = "x86_64";
  facts.description.kernel = "6.1";
  facts.description.client_version = "0.1.0";
  facts.description.memory_bytes = std::uint64_t{1} << 30;
  auto key = trust::SecretKey::from_seed(placed.bytes).value();
  revision::Effects effects;
  machine_ = revision::Machine::load(std::move(facts), std::move(key), wire::Topics(), state_, plan.root, now_, effects)
                 .value();
  for (auto& effect : effects) std::visit([this](auto& one) { carry(one); }, effect);
  events_.emplace_back(revision::FreeSpace{std::uint64_t{1} << 30});
  settle();
}

void Device::connect(Now now) {
  now_ = now;
  open_ = link_.connect(plan_.host, plan_.port);
  if (!open_)
    connect_at_ = now.monotonic + kRetryMsMin +
                  static_cast<std::int64_t>(trust::digest(as_bytes(name_)).prefix64() % kRetryMsSpread);
}

void Device::leave(Now now, MonotonicMs until) {
  if (!open_) return;
  link_.disconnect();
  lost(now);
  connect_at_ = std::max(connect_at_, until);
}

void Device::lost(Now now) {
  now_ = now;
  open_ = false;
  connect_at_ = now.monotonic + kRetryMsMin +
                static_cast<std::int64_t>(trust::digest(as_bytes(name_)).prefix64() % kRetryMsSpread);
  if (!std::exchange(online_, false)) return;
  events_.emplace_back(revision::Disconnected{});
  settle();
}

void Device::tick(Now now) {
  now_ = now;
  events_.emplace_back(revision::Ticked{});
  settle();
}

void Device::hear(const std::string& topic, ByteView payload) {
  now_ = read_clocks();
  if (topic.find("/gate/") != std::string::npos) {
    ++totals_.gates;
    const auto envelope = trust::parse_envelope(payload);
    const auto gate = envelope ? wire::decode_gate(envelope->payload) : Result<wire::Gate>(fail(Code::malformed, ""));
    if (gate) {
      auto& opened = opened_[gate->manifest];
      const auto both = std::min(opened.size(), gate->wave_opened.size());
      const bool same =
          std::equal(opened.begin(), opened.begin() + static_cast<std::ptrdiff_t>(both), gate->wave_opened.begin());
      totals_.wave_contradictions += same ? 0 : 1;
      if (gate->wave_opened.size() > opened.size()) opened = gate->wave_opened;
    }
  }
  totals_.manifests += topic.find("/manifest/") != std::string::npos ? 1 : 0;
  totals_.acks += topic.ends_with("/ack") ? 1 : 0;
  events_.emplace_back(revision::MessageArrived{topic, to_bytes(payload)});
  settle();
}

void Device::settle() {
  while (!events_.empty()) {
    const auto event = std::move(events_.front());
    events_.pop_front();
    give(event);
  }
  const auto deadline = machine_->next_deadline();
  next_tick_ = now_.monotonic + kTickMsMax;
  if (deadline) next_tick_ = std::min(next_tick_, *deadline);
}

void Device::give(const revision::Event& event) {
  revision::Effects effects;
  machine_->handle(event, now_, effects);
  for (auto& effect : effects) std::visit([this](auto& one) { carry(one); }, effect);
}

void Device::carry(revision::Persist& effect) {
  state_ = std::move(effect.state);
}

void Device::carry(revision::Publish& effect) {
  if (effect.opens) return;
  totals_.reports += effect.topic.ends_with("/report") ? 1 : 0;
  static_cast<void>(link_.publish(effect.topic, effect.payload, effect.qos, effect.retain));
}

// Of each pack the chunks that the running release does not hold; of the content nothing is kept.
void Device::carry(revision::OpenStaging& effect) {
  half_.clear();
  for (const auto& choice : effect.choices) {
    revision::StagingWants wants;
    wants.revision = effect.revision;
    wants.pack = choice.pack;
    wants.exact = true;
    const auto known = plan_.packs.find(choice.pack);
    if (known == plan_.packs.end()) {
      events_.emplace_back(
          revision::StagingFailed{effect.revision, Error{Code::unsupported, "this model knows no such pack"}});
      return;
    }
    const auto& chunks = known->second.chunks;
    for (std::uint32_t i = 0; i < chunks.size(); ++i) {
      if (plan_.held.contains(chunks[i].hash)) continue;
      const bool follows = !wants.ranges.empty() && wants.ranges.back().first + wants.ranges.back().count == i;
      if (follows) {
        ++wants.ranges.back().count;
      } else {
        wants.ranges.push_back({i, 1, 0});
      }
      wants.chunk_bytes.push_back(chunks[i].encoded_bytes);
      wants.bytes_wanted += chunks[i].encoded_bytes;
    }
    events_.emplace_back(std::move(wants));
  }
}

void Device::carry(revision::StagePiece& effect) {
  if (effect.offset == 0) half_.clear();
  half_.insert(half_.end(), effect.data.begin(), effect.data.end());
  totals_.chunk_bytes += effect.data.size();
  const auto& ref = plan_.packs.at(effect.pack).chunks.at(effect.ordinal);
  if (half_.size() < ref.encoded_bytes) return;
  const auto decoded = artifact::decode_chunk(ref, half_);
  half_.clear();
  if (decoded) {
    events_.emplace_back(revision::ChunkDurable{effect.revision, effect.pack, effect.ordinal, ref.encoded_bytes});
  } else {
    ++totals_.corrupt_chunks;
    events_.emplace_back(revision::ChunkRefused{effect.revision, effect.pack, effect.ordinal, decoded.error()});
  }
}

void Device::carry(revision::FinishStaging& effect) {
  events_.emplace_back(revision::StagingDone{effect.revision});
}
void Device::carry(revision::RemoveRevision& effect) {
  static_cast<void>(effect);
}
void Device::carry(revision::TrimRevision& effect) {
  static_cast<void>(effect);
}
void Device::carry(revision::StartTry& effect) {
  events_.emplace_back(revision::TryStarted{effect.to, 20});
}
void Device::carry(revision::RunProbe& effect) {
  events_.emplace_back(revision::ProbeEnded{effect.revision, effect.container, !fails_, fails_ ? "exit 1" : "exit 0"});
}
void Device::carry(revision::SwitchBack& effect) {
  events_.emplace_back(revision::SwitchedBack{effect.to, 20});
}
void Device::carry(revision::EnsureRunning& effect) {
  static_cast<void>(effect);
}
void Device::carry(revision::PointCurrent& effect) {
  static_cast<void>(effect);
}
void Device::carry(revision::Resubscribe& effect) {
  static_cast<void>(effect);
  for (const auto& [filter, qos] : machine_->subscriptions()) link_.subscribe(filter, qos);
}
void Device::carry(revision::Log& effect) {
  static_cast<void>(effect);
}

Device::Truth Device::truth() const {
  Truth truth;
  const auto state = revision::decode_state(state_);
  if (!state) return truth;
  truth.last_report = state->reports.last_report;
  truth.pending = state->reports.pending.size();
  if (state->revisions.current) truth.running = state->revisions.current->info.release;
  for (const auto& outcome : state->history.outcomes)
    truth.outcomes[outcome.manifest.short_hex()] = wire::step_name(outcome.step);
  return truth;
}

}  // namespace instar::fleet
