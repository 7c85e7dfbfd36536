#include "tests/powercut/fs/life.hpp"

#include <dlfcn.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>

#include "broker-plugin/chunk_server.hpp"
#include "core/trust/envelope.hpp"
#include "device-client/daemon.hpp"
#include "device-client/host.hpp"
#include "storage/key_layout.hpp"
#include "storage/memory_store.hpp"

namespace instar::powercut {
namespace {

constexpr std::uint64_t kOvertakenEach = 7;
// Of the link: so that a fetch takes its time too.
constexpr std::int64_t kBytesAMs = 2'000;

std::int64_t now_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

void fill(storage::MemoryStore& store, const Releases& releases) {
  for (const auto& tree : releases.trees()) {
    for (const auto& pack : tree.artifact.packs) {
      store.commit({{storage::Column::packs, storage::directory_key(pack.id), tree.directories.at(pack.id)}}, {});
      const auto directory = artifact::decode_directory(tree.directories.at(pack.id)).value();
      for (std::size_t i = 0; i < directory.chunks.size(); ++i) {
        const auto& ref = directory.chunks[i];
        store.commit(
            {{storage::Column::chunks, storage::chunk_key(ref.hash, ref.encoded_bytes), tree.chunks.at(pack.id)[i]}},
            {});
      }
    }
  }
  while (store.poll() > 0) {
  }
}

// The link and the broker behind it.
class Broker final : public mqtt::Client {
 public:
  Broker(const Releases& releases, Outside& outside, DeviceId device)
      : releases_(releases),
        outside_(outside),
        device_(std::move(device)),
        server_(
            store_,
            [this](const DeviceId&, const wire::ChunkPiece& piece) {
              outside_.bytes_sent += piece.data.size();
              deliver(topics_.device(device_, wire::TopicKind::device_chunk), wire::encode(piece));
            },
            [](const broker::SentPiece&) { return wire::ChunkFault::none; }),
        timer_fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    fill(store_, releases_);
  }

  Status start() override {
    push({mqtt::EventKind::connected, {}, {}});
    offer();
    return {};
  }
  Status publish(mqtt::Message message) override {
    const auto topic = topics_.parse(message.topic);
    if (!topic) return {};
    if (topic->kind == wire::TopicKind::device_hello) ack();
    if (topic->kind == wire::TopicKind::device_report) take_report(message.payload);
    if (topic->kind == wire::TopicKind::device_fetch) take_fetch(message.payload);
    return {};
  }
  std::optional<mqtt::Event> take(std::uint32_t /*timeout_ms*/) override {
    if (events_.empty() || events_.front().first > now_us()) return std::nullopt;
    auto event = std::move(events_.front().second);
    events_.pop_front();
    set_timer();
    return event;
  }
  bool is_connected() const noexcept override { return true; }
  Status subscribe(mqtt::Subscription /*subscription*/) override { return {}; }
  Status unsubscribe(const std::string& /*filter*/) override { return {}; }
  int event_fd() const noexcept override { return timer_fd_; }
  std::uint64_t dropped_messages() const noexcept override { return 0; }
  void stop(std::uint32_t /*timeout_ms*/) override {}

 private:
  void push(mqtt::Event event) {
    link_free_us_ =
        std::max(link_free_us_, now_us()) + static_cast<std::int64_t>(event.message.payload.size()) * 1'000 / kBytesAMs;
    events_.emplace_back(link_free_us_, std::move(event));
    set_timer();
  }
  // Readable when the next message has arrived.
  void set_timer() {
    const auto at = events_.empty() ? 0 : events_.front().first;
    const itimerspec when{{0, 0}, {at / 1'000'000, at % 1'000'000 * 1'000}};
    ::timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
  }
  void deliver(const std::string& topic, Bytes payload) {
    push({mqtt::EventKind::message, {topic, std::move(payload), wire::Qos::at_least_once, wire::Retain::no}, {}});
  }
  void offer() {
    const auto sequence = outside_.target.load();
    const auto group = GroupPath::parse(Releases::kGroup).value();
    deliver(topics_.manifest(group, Releases::kProduct), releases_.signed_manifest(sequence));
    deliver(topics_.gate(group, Releases::kProduct), releases_.signed_gate(sequence, device::read_clocks().wall));
  }
  void offer_next() {
    if (!outside_.goes_on) return;
    ++outside_.target;
    offer();
  }
  void ack() {
    wire::Ack ack;
    ack.sequence = outside_.applied;
    deliver(topics_.device(device_, wire::TopicKind::device_ack), wire::encode(ack));
  }
  void take_report(ByteView payload) {
    const auto report = wire::decode_report(trust::parse_envelope(payload).value().payload).value();
    if (report.sequence == outside_.applied + 1) {
      const auto target = outside_.target.load();
      const bool is_target = report.rollout == trust::digest(wire::encode_manifest(releases_.manifest(target)));
      if (report.step == wire::Step::committed && report.running) {
        outside_.committed = std::max(outside_.committed.load(), report.running->sequence);
        ++outside_.commits;
      }
      if (report.step == wire::Step::rolled_back) ++outside_.rollbacks;
      outside_.applied = report.sequence;
      if (is_target && wire::is_final(report.step)) {
        outside_.ended = target;
        offer_next();
      }
    }
    ack();
  }
  void take_fetch(ByteView payload) {
    const auto fetch = wire::decode_fetch(payload).value();
    server_.fetch(device_, fetch, device::read_clocks().monotonic);
    while (store_.poll() > 0) {
    }
    if (fetch.received_bytes == 0 || outside_.target % kOvertakenEach != 0) return;
    ++outside_.overtaken;
    offer_next();
  }

  const Releases& releases_;
  Outside& outside_;
  DeviceId device_;
  wire::Topics topics_;
  storage::MemoryStore store_;
  broker::ChunkServer server_;
  std::deque<std::pair<std::int64_t, mqtt::Event>> events_;  // by when they arrive, us
  std::int64_t link_free_us_ = 0;
  int timer_fd_;
};

// A cut can come this early, too.
[[noreturn]] void give_up(const Life& life, const Error& error) {
  if (life.verbose) std::fprintf(stderr, "the device cannot start: %s\n", error.message.c_str());
  ::_exit(3);
}

}  // namespace

std::string config_text(const Life& life) {
  return "device_id = d\nproduct = " + std::string(Releases::kProduct) + "\ngroups = " + Releases::kGroup +
         "\nserver = tcp://x:1\nroot_file = " + life.root_file + "\nstate_dir = " + life.state_dir + "\n";
}

void arm(const Fault& fault, Outside& outside) {
  outside.fault_calls = 0;
  if (fault.kind.empty()) return;
  using Arm = void(const char*, unsigned long long, int, int, void*);
  auto* const fail_nth = reinterpret_cast<Arm*>(::dlsym(RTLD_DEFAULT, "instar_fail_nth"));
  if (fail_nth == nullptr) {
    std::fprintf(stderr, "fail_nth.so is not preloaded\n");
    ::_exit(4);
  }
  fail_nth(fault.kind.c_str(), fault.n, fault.error, fault.on ? 1 : 0, &outside.fault_calls);
}

void live(const Life& life, const Releases& releases, Outside& outside) {
  arm(life.fault, outside);
  ::setenv("INSTAR_RUN_DIR", life.run_dir.c_str(), 1);
  auto config = device::parse_config(config_text(life), "fs cuts").value();
  if (const auto ready = device::prepare_state_dir(config); !ready) give_up(life, ready.error());
  auto identity = device::load_identity(config.state_dir);
  if (!identity) give_up(life, identity.error());
  auto facts = device::read_facts(config);
  facts.machine_boot = life.number + 1;  // each life is a boot
  const device::Log log(life.verbose ? std::optional(LogLevel::info) : std::nullopt, false);
  auto staging = std::make_unique<device::Stager>(device::stager_options(config, log));
  const auto device = config.device_id;
  device::DaemonParts parts{std::move(config),
                            std::move(facts),
                            {},
                            "/proc/self/exe",
                            std::move(*identity),
                            log,
                            std::move(staging),
                            [&](const mqtt::Options&) { return std::make_unique<Broker>(releases, outside, device); },
                            device::read_clocks,
                            [](WallMs) { return 0; }};
  auto daemon = device::Daemon::open(std::move(parts));
  if (!daemon) give_up(life, daemon.error());
  while ((*daemon)->turn(-1, 1'000)) {
  }
  ::_exit(2);
}

}  // namespace instar::powercut
