#include "tests/sim/sim_broker.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/rollout/exchange/record.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/approval.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/broken_store.hpp"
#include "tests/sim/names.hpp"

namespace instar::sim {
namespace {

constexpr std::size_t kQueueMax = 1'000;  // of an absent client, as Mosquitto's max_queued_messages
constexpr std::int64_t kTickMs = 50;

Result<wire::Gate> gate_in(ByteView envelope) {
  INSTAR_TRY(const auto parsed, trust::parse_envelope(envelope));
  return wire::decode_gate(parsed.payload);
}

}  // namespace

SimBroker::SimBroker(World& world, const Keys& keys, const Canaries& canaries, Checks checks)
    : world_(world), keys_(keys), canaries_(canaries), checks_(checks) {
  if (canaries.ack_before_durable) eager_ = make_eager_store(store_);
}

void SimBroker::start() {
  broker::ServiceOptions options{.topics = {},
                                 .gate_key = keys_.gate,
                                 .pinned_root = keys_.pinned_root,
                                 .operators = {},
                                 .transfer_log = {},
                                 .window_bytes_max = 0,
                                 .trust_connections = false};
  // Who has said hello is not forgotten, however far its clock jumps.
  options.unknown_devices_days = limits::kUnknownDeviceDaysMax;
  auto& store = eager_ ? *eager_ : static_cast<storage::Store&>(store_);
  service_ = broker::make_service(
      std::move(options), store, *this,
      [this](const DeviceId& device, const PackId& pack, std::uint32_t, std::uint32_t, std::uint32_t bytes) {
        checks_.strangers.served(device.str(), bytes);
        checks_.transfers.sent(device.str(), bytes);
        checks_.bytes.sent(device.str(), pack, bytes);
      });
  ++life_;
  if (!service_->start(now())) {
    service_.reset();
    world_.after(1'000, [this] { start(); });
    return;
  }
  world_.note("broker is up");
  tick();
}

void SimBroker::tick() {
  if (!service_) return;
  service_->on_tick(now());
  after_call();
  if (!service_) return;
  world_.after(kTickMs, [this, life = life_] {
    if (life == life_) tick();
  });
}

void SimBroker::crash(std::int64_t down_ms) {
  if (!service_) return;
  world_.note("broker crashes");
  ++life_;
  service_.reset();
  store_.crash(world_.random.below(3));
  spoil_store(store_, canaries_);
  checks_.reports.broker_crashed(store_);
  checks_.hellos.broker_crashed(store_);
  checks_.strangers.look(store_);
  // Mosquitto writes retained messages and sessions only now and then.
  if (world_.random.chance(7'000)) retained_.clear();
  const bool forget_sessions = world_.random.chance(7'000);
  for (auto& [name, session] : sessions_) {
    checks_.turns.connected(name, false);
    if (session.client != nullptr) std::exchange(session.client, nullptr)->lost();
    if (forget_sessions) session = Session{};
  }
  if (forget_sessions) subscribers_.clear();
  world_.after(down_ms, [this] { start(); });
}

void SimBroker::connected(Client& client) {
  auto& session = sessions_[client.id().str()];
  if (session.client != nullptr && session.client != &client) {
    // Of two clients with one id the later one stays.
    auto* const before = session.client;
    disconnected(*before);
    before->lost();
  }
  session.client = &client;
  session.since = world_.now();
  checks_.turns.connected(client.id().str(), true);
  for (const auto& message : session.unconfirmed) deliver(client, message);
}

void SimBroker::disconnected(Client& client) {
  auto& session = sessions_[client.id().str()];
  if (session.client != &client) return;  // another one has its id now
  session.client = nullptr;
  checks_.turns.connected(client.id().str(), false);
  checks_.turns.heard(client.id().str());
  if (service_) service_->on_disconnect(client.id().str(), now());
}

void SimBroker::subscribe(Client& client, const std::vector<std::string>& topics) {
  auto& session = sessions_[client.id().str()];
  for (const auto& topic : topics) {
    session.subscriptions.insert(topic);
    subscribers_[topic].insert(client.id().str());
    const auto found = retained_.find(topic);
    if (found != retained_.end()) send(session, topic, found->second, wire::Qos::at_least_once);
  }
}

bool SimBroker::arrive(Client& client, const std::string& topic, const Bytes& payload, wire::Qos qos,
                       wire::Retain retain) {
  if (!service_) return false;
  checks_.turns.heard(client.id().str());
  const broker::Sender sender{client.id().str(), client.login(), true};
  if (!service_->may_write(sender, topic)) {
    world_.found(client.id().str() + " may not write to " + topic);
    return true;
  }
  if (topic == wire::Topics().device(client.id(), wire::TopicKind::device_hello)) note_hello(topic, payload);
  const bool routed = service_->on_message(sender, topic, payload, qos, retain, now()) == broker::Verdict::route;
  world_.effects.answered(world_.now(), client.id().str(), topic, routed);
  if (routed) publish(topic, payload, qos, retain);
  after_call();
  return service_ != nullptr;
}

void SimBroker::confirm(Client& client, std::uint64_t number) {
  std::erase_if(sessions_[client.id().str()].unconfirmed,
                [&](const Queued& message) { return message.number == number; });
}

void SimBroker::publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) {
  world_.effects.published(world_.now(), topic, payload, qos, retain);
  if (retain == wire::Retain::yes) retained_[topic] = to_bytes(payload);
  observe(topic, payload);
  const auto found = subscribers_.find(topic);
  if (found == subscribers_.end()) return;
  for (const auto& name : found->second) {
    auto& session = sessions_[name];
    if (session.subscriptions.contains(topic)) send(session, topic, to_bytes(payload), qos);
  }
}

void SimBroker::observe(const std::string& topic, ByteView payload) {
  const auto parsed = wire::Topics().parse(topic);
  if (!parsed) return;
  if (parsed->kind == wire::TopicKind::device_ack) {
    const auto ack = wire::decode_ack(payload);
    checks_.hellos.look(parsed->device.str(), store_);
    // The gates of rollouts that have ended stand on no topic any more.
    for (const auto& ending : ack ? ack->endings : std::vector<Bytes>()) {
      const auto gate = gate_in(ending);
      if (!gate) return world_.found("the broker sends an ending that cannot be read");
      checks_.admissions.gate(*gate);
      checks_.strangers.gate(*gate, store_);
    }
    if (!ack || ack->code != Code::ok || !is_of_fleet(parsed->device.str())) return;
    checks_.reports.acked(parsed->device.str(), ack->sequence);
    checks_.turns.ack(parsed->device.str(), *ack, store_);
  }
  if (parsed->kind == wire::TopicKind::group_manifest) {
    const auto envelope = trust::parse_envelope(payload);
    if (!envelope ||
        !store_.durable(storage::Column::rollouts, storage::manifest_key(ManifestId(envelope->payload_hash))))
      world_.found("a manifest is seen on " + topic + " that is not durable");
  }
  if (parsed->kind == wire::TopicKind::device_assignment &&
      !store_.durable(storage::Column::meta, storage::assignment_key(parsed->device))) {
    world_.found("an assignment is seen on " + topic + " that is not durable");
  }
  if (parsed->kind == wire::TopicKind::group_gate) {
    const auto gate = gate_in(payload);
    if (!gate) return world_.found("the broker sends a gate that cannot be read");
    recorder_.gate(topic, to_bytes(payload), *gate);
    checks_.admissions.gate(*gate);
    checks_.waves.gate(*gate, store_);
    checks_.strangers.gate(*gate, store_);
  }
}

// A canary's monotonic clock runs too fast; the others are right about durations, and wrong about the date.
Now SimBroker::now() const {
  const auto pace = canaries_.short_soak ? 10 : 1;
  return {WallMs{world_.wall().value + clock_error_ms_}, MonotonicMs{world_.now().value * pace}};
}

// The power goes at a certain write; what else was asked for in the same call may be on the disk or not.
void SimBroker::after_call() {
  if (service_) service_->assert_invariants();
  if (crash_at_ == 0 || !service_ || store_.commit_count() < crash_at_) return;
  crash_at_ = 0;
  if (world_.faults) crash(world_.random.between(200, 5'000));
}

void SimBroker::note_hello(const std::string& topic, const Bytes& payload) {
  const auto envelope = trust::parse_envelope(payload);
  auto hello = envelope ? wire::decode_hello(envelope->payload) : Result<wire::Hello>(fail(Code::malformed, ""));
  if (!hello || !is_of_fleet(hello->device.str())) return;
  checks_.hellos.said(*hello);
  recorder_.hello(topic, payload, std::move(*hello));
}

void SimBroker::inject(const std::string& topic, const Bytes& payload, std::int64_t connected_ms) {
  const auto found = subscribers_.find(topic);
  if (!service_ || found == subscribers_.end()) return;
  for (const auto& name : found->second) {
    const auto& session = sessions_[name];
    if (session.client != nullptr && world_.now() - session.since >= connected_ms)
      deliver(*session.client, {0, topic, payload});
  }
}

void SimBroker::replay(const std::string& device, const std::string& topic, const Bytes& payload) {
  auto* const client = sessions_[device].client;
  if (client != nullptr) static_cast<void>(arrive(*client, topic, payload, wire::Qos::at_least_once, wire::Retain::no));
}

void SimBroker::assign(const std::string& device, const Bytes& envelope) {
  if (!service_) return;
  const auto topic = wire::Topics().device(*DeviceId::parse(device), wire::TopicKind::device_assignment);
  // While the store is down it is not taken: the operator's command says so.
  static_cast<void>(
      service_->on_message({"op-1", "", true}, topic, envelope, wire::Qos::at_least_once, wire::Retain::yes, now()));
  after_call();
}

void SimBroker::send(Session& session, const std::string& topic, const Bytes& payload, wire::Qos qos) {
  if (qos == wire::Qos::at_most_once) {
    if (world_.faults && world_.random.chance(20)) return;  // a full queue drops it, the connection stays
    if (session.client != nullptr) deliver(*session.client, {0, topic, payload});
    return;
  }
  if (session.unconfirmed.size() >= kQueueMax) return;
  session.unconfirmed.push_back({++number_, topic, payload});
  if (session.client != nullptr) deliver(*session.client, session.unconfirmed.back());
}

void SimBroker::deliver(Client& client, const Queued& message) {
  if (service_ && !service_->may_read({client.id().str(), client.login(), true}, message.topic)) {
    return world_.found(client.id().str() + " may not read " + message.topic);
  }
  client.link().send_down(message.payload.size() + message.topic.size() + 8, [this, &client, message] {
    client.receive(message.topic, message.payload);
    if (message.number == 0) return;
    client.link().send_up(4, [this, &client, number = message.number] { confirm(client, number); });
    // A duplicate: the confirmation was slow.
    if (world_.faults && world_.random.chance(200)) client.receive(message.topic, message.payload);
  });
}

void SimBroker::log(LogLevel level, const std::string& line) {
  world_.effects.logged(world_.now(), level, line);
  if (level <= LogLevel::warning) world_.note("broker: " + line);
}

bool SimBroker::upload(const Release& release) {
  const auto put = [&](wire::Put piece, const Bytes& bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += limits::kPutPieceBytesMax) {
      piece.total_bytes = static_cast<std::uint32_t>(bytes.size());
      piece.offset = static_cast<std::uint32_t>(at);
      piece.data =
          to_bytes(ByteView(bytes).subspan(at, std::min<std::size_t>(limits::kPutPieceBytesMax, bytes.size() - at)));
      const auto topic = wire::Topics().put(*ClientId::parse("op-1"));
      if (service_->on_message({"op-1", "", true}, topic, wire::encode(piece), wire::Qos::at_least_once,
                               wire::Retain::no, now()) == broker::Verdict::refuse)
        return false;
    }
    return true;
  };
  const auto settle = [&] {
    for (int i = 0; i < 4; ++i) service_->on_tick(now());
  };
  for (const auto& [id, pack] : release.packs) {
    if (!put({wire::PutKind::directory, id, 0, 0, 0, {}}, pack.bytes)) return false;
    settle();
    for (std::uint32_t i = 0; i < pack.encoded.size(); ++i) {
      if (!put({wire::PutKind::chunk, id, i, 0, 0, {}}, pack.encoded[i])) return false;
      settle();
    }
  }
  settle();
  return true;
}

// Of the wave that is open, where the policy asks for one.
std::string SimBroker::signed_yes(const Release& release) const {
  const auto bytes = store_.durable(storage::Column::rollouts, storage::rollout_key(release.rollout));
  const auto record =
      bytes ? rollout::decode_rollout_record(*bytes) : Result<rollout::RolloutRecord>(fail(Code::not_found, ""));
  if (!record || !release.manifest.policy.approval_signed) return "";
  const wire::Approval approval{release.manifest.product, release.rollout, record->wave, world_.wall()};
  const auto envelope = trust::seal(trust::Kind::approval, wire::encode(approval), keys_.release);
  return R"(,"approval":")" + to_hex(envelope) + R"(")";
}

void SimBroker::command(const std::string& verb, const Release& release) {
  if (!service_) return;
  world_.note(verb + " " + release.manifest.release);
  std::string request =
      R"({"commands":[{"command":")" + verb + R"(","rollout":")" + release.rollout.short_hex() + R"(")";
  if (verb == "approveRollout") request += signed_yes(release);
  request += "}]}";
  service_->on_control({"op-1", "", true}, request, now());
  after_call();
}

void SimBroker::forget(const DeviceId& device) {
  if (!service_) return;
  service_->on_control({"op-1", "", true},
                       R"({"commands":[{"command":"forgetDevice","device":")" + device.str() + R"("}]})", now());
  after_call();
}

bool SimBroker::release(const Release& release) {
  if (!service_ || !upload(release)) return false;
  for (const auto& group : release.manifest.groups) {
    const auto topic = wire::Topics().manifest(group, release.manifest.product);
    if (service_->on_message({"op-1", "", true}, topic, release.envelope, wire::Qos::at_least_once, wire::Retain::yes,
                             now()) != broker::Verdict::consume)
      return false;
  }
  after_call();
  world_.note("release " + release.manifest.release + " (" + nature_name(release.nature) + ") is sent");
  return true;
}

bool SimBroker::has(const Release& release) const {
  return store_.durable(storage::Column::rollouts, storage::manifest_key(release.rollout)).has_value();
}

}  // namespace instar::sim
