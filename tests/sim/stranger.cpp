#include "tests/sim/stranger.hpp"

#include <iterator>
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"
#include "tests/sim/names.hpp"

namespace instar::sim {

Stranger::Stranger(World& world, SimBroker& broker, const std::list<Release>& releases, const std::string& name,
                   std::string product, std::vector<GroupPath> groups, const Release* aim)
    : world_(world),
      broker_(broker),
      releases_(releases),
      id_(*DeviceId::parse(name)),
      product_(std::move(product)),
      groups_(std::move(groups)),
      aim_(aim),
      key_(*trust::SecretKey::from_seed(trust::digest(as_bytes(name)).bytes)),
      link_(world),
      instance_(world.random.next()) {}

void Stranger::come() {
  world_.note(id_.str() + " comes");
  connect();
  lie();
}

void Stranger::leave() {
  has_left_ = true;
  if (!link_.is_up()) return;
  world_.note(id_.str() + " leaves");
  link_.drop();
  broker_.disconnected(*this);
}

void Stranger::lost() {
  link_.drop();
}

void Stranger::connect() {
  if (has_left_ || link_.is_up() || !broker_.is_up()) return;
  link_.raise();
  broker_.connected(*this);
  link_.send_up(200, [this] {
    broker_.subscribe(*this, {wire::Topics().device(id_, wire::TopicKind::device_ack),
                              wire::Topics().device(id_, wire::TopicKind::device_chunk)});
  });
  say_hello();
}

void Stranger::lie() {
  if (has_left_) return;
  world_.after(world_.random.between(1'000, 8'000), [this] { lie(); });
  if (!link_.is_up()) return connect();
  const auto* release = some_release();
  const auto roll = world_.random.below(10);
  if (release == nullptr || roll < 2) return say_hello();
  if (roll < 7 || aim_ != nullptr) return report(*release);
  fetch(*release);
}

const Release* Stranger::some_release() const {
  if (aim_ != nullptr || releases_.empty()) return aim_;
  const auto back = static_cast<std::ptrdiff_t>(world_.random.below(std::min<std::size_t>(releases_.size(), 3)));
  return &*std::prev(releases_.end(), back + 1);
}

// What it says that it runs, and where it says that it is in a rollout, is a lie too.
void Stranger::say_hello() {
  wire::Hello hello;
  hello.device = id_;
  hello.key = key_.public_key();
  hello.description.product = product_;
  hello.description.groups = groups_;
  hello.description.architecture = "x86_64";
  hello.description.kernel = "6.1.0";
  hello.description.client_version = "0.1.0";
  hello.description.memory_bytes = 64 * 1024 * 1024;
  hello.description.highest_sequence = limits::kSequenceStepMax;
  if (const auto* release = some_release(); release != nullptr && world_.random.chance(5'000)) {
    const auto& manifest = release->manifest;
    hello.description.running = {
        manifest.product, manifest.release, manifest.sequence, release->rollout, {manifest.artifacts.front().id}};
    hello.rollout = release->rollout;
    hello.step = wire::Step::committed;
    hello.attempt = 1;
  }
  hello.last_sequence = hello.acked_sequence = acked_;
  hello.boot = 1;
  hello.connect = ++connect_;
  hello.instance = instance_;
  send(wire::TopicKind::device_hello, trust::seal(trust::Kind::hello, wire::encode(hello), key_),
       wire::Qos::at_least_once);
}

void Stranger::report(const Release& release) {
  constexpr wire::Step kSteps[] = {wire::Step::fetching, wire::Step::committed, wire::Step::committed,
                                   wire::Step::failed, wire::Step::rolled_back};
  wire::Report report;
  report.device = id_;
  report.sequence = acked_ + 1;
  report.rollout = release.rollout;
  report.step = kSteps[world_.random.below(std::size(kSteps))];
  attempt_ = wire::is_final(report.step) ? attempt_ % 10 + 1 : attempt_;
  report.attempt = world_.random.chance(1'000) ? 1'000'000 : attempt_;
  report.code =
      report.step == wire::Step::failed || report.step == wire::Step::rolled_back ? Code::unhealthy : Code::ok;
  report.reason = report.code == Code::ok ? "" : "so it says";
  report.bytes_planned = report.bytes_fetched = report.bytes_full = limits::kReportedBytesMax;
  report.device_time = world_.wall();
  send(wire::TopicKind::device_report, trust::seal(trust::Kind::report, wire::encode(report), key_),
       wire::Qos::at_least_once);
}

void Stranger::fetch(const Release& release) {
  auto pack = release.packs.begin();
  std::advance(pack, static_cast<std::ptrdiff_t>(world_.random.below(release.packs.size())));
  wire::Fetch fetch;
  fetch.session = ++session_;
  fetch.pack = pack->first;
  fetch.ranges = {{0, static_cast<std::uint32_t>(pack->second.encoded.size()), 0}};
  fetch.window_bytes = limits::kWindowBytesMax;
  fetch.piece_bytes_max = 32 * 1024;
  fetch.rollout = release.rollout.prefix64();
  send(wire::TopicKind::device_fetch, wire::encode(fetch), wire::Qos::at_most_once);
}

void Stranger::send(wire::TopicKind kind, Bytes payload, wire::Qos qos) {
  const auto topic = wire::Topics().device(id_, kind);
  link_.send_up(payload.size() + topic.size() + 8, [this, topic, payload = std::move(payload), qos] {
    static_cast<void>(broker_.arrive(*this, topic, payload, qos, wire::Retain::no));
  });
}

void Stranger::receive(const std::string& topic, const Bytes& payload) {
  const auto parsed = wire::Topics().parse(topic);
  if (!parsed) return;
  if (parsed->kind == wire::TopicKind::device_ack) {
    if (const auto ack = wire::decode_ack(payload)) acked_ = ack->sequence;
  } else if (parsed->kind == wire::TopicKind::device_chunk) {
    const auto piece = wire::decode_chunk_piece(payload);
    if (piece && !piece->data.empty()) world_.found(id_.str() + " receives content that is not for it");
  }
}

}  // namespace instar::sim
