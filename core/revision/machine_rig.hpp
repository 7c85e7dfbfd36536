// For tests: one machine with a device around it. The disk, the containers and the broker are as simple as they can be;
// a power cut may come after any effect, and a broker may keep its acks to itself.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/revision/machine.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision::rig {

inline trust::SecretKey key_of(std::uint8_t seed) {
  return *trust::SecretKey::from_seed(Bytes(32, seed));
}

inline GroupPath group_of(std::string_view text) {
  return *GroupPath::parse(text);
}

inline Hash256 hash_of(std::string_view text) {
  return trust::digest(as_bytes(text));
}

// One full pack with three head bytes sizes and `body` chunks.
inline wire::Artifact artifact_of(const std::string& name, const std::vector<std::uint32_t>& head,
                                  const std::vector<std::uint32_t>& body,
                                  artifact::PackKind kind = artifact::PackKind::full) {
  const auto pack_of = [&](artifact::PackKind of) {
    wire::Pack pack;
    pack.kind = of;
    pack.id = hash_of("pack " + name + (of == artifact::PackKind::full ? " full" : " dedupe"));
    for (const auto bytes : head) {
      pack.head.push_back({hash_of(name + " head"), bytes, bytes, artifact::Codec::raw});
      pack.head_bytes += bytes;
    }
    pack.body_count = static_cast<std::uint32_t>(body.size());
    for (const auto bytes : body) pack.body_bytes += bytes;
    return pack;
  };
  wire::Artifact artifact;
  artifact.id = hash_of("artifact " + name);
  artifact.content_bytes = 1000;
  artifact.entry_count = 1;
  artifact.index_bytes = 100;
  artifact.packs.push_back(pack_of(artifact::PackKind::full));
  if (kind == artifact::PackKind::dedupe) {
    artifact.packs.front().body_bytes *= 4;
    artifact.packs.push_back(pack_of(kind));
  }
  return artifact;
}

// Offers the artifact as a delta from `base` too.
inline wire::Pack& add_delta(wire::Artifact& artifact, const Hash256& base, std::uint32_t head_bytes,
                             std::uint64_t body_bytes) {
  wire::Pack pack;
  pack.kind = artifact::PackKind::delta;
  pack.id = hash_of("delta of " + artifact.id.hex() + " from " + base.hex());
  pack.base = base;
  pack.head.push_back({hash_of("delta head"), head_bytes, head_bytes, artifact::Codec::raw});
  pack.head_bytes = head_bytes;
  pack.body_count = 2;
  pack.body_bytes = body_bytes;
  artifact.packs.push_back(pack);
  return artifact.packs.back();
}

struct Stored {
  std::vector<std::uint32_t> sizes;  // encoded size by ordinal
  std::uint32_t head_count = 0;
};

class Rig {
 public:
  // --- the world ------------------------------------------------------------------------------------
  trust::SecretKey root_key = key_of(1), release_key = key_of(2), gate_key = key_of(3), device_key = key_of(4);
  trust::RootDocument root;
  Bytes pinned_root;
  DeviceFacts facts;
  wire::Topics topics;
  WallMs wall{1'700'000'000'000};
  MonotonicMs monotonic{1'000};
  std::map<std::string, Bytes> retained;
  std::map<Hash256, Stored> packs;

  // --- switches of a test -----------------------------------------------------------------------------
  bool acks = true;
  bool serves = true;
  bool connected = false;
  std::set<std::string> bad_releases;    // whose probes fail
  std::set<std::string> unstartable;     // whose start fails
  std::set<std::string> stopping;        // whose container stops after its start
  std::multiset<std::uint32_t> corrupt;  // ordinals that arrive broken, once for each time they are named
  std::optional<Error> staging_fails;    // answer to OpenStaging, so often
  int staging_failures = 1;
  std::optional<Error> finish_fails;  // answer to FinishStaging, once
  // Deltas that fall short, as the stager finds out: with files, once their head is read and again at the end; without,
  // at once.
  std::map<Hash256, PackUnusable> short_packs;
  int switch_back_failures = 0;
  std::int64_t power_cut_after = -1;        // effects until the power goes; -1 = never
  std::function<bool(const Effect&)> drop;  // true: the effect is lost, and nothing follows from it

  // --- what happened ----------------------------------------------------------------------------------
  std::unique_ptr<Machine> machine;
  Bytes disk;                         // the state file
  std::vector<wire::Report> applied;  // as a broker applies them: in order, once
  std::vector<wire::Report> sent;     // every report that went out
  std::vector<wire::Hello> hellos;
  std::vector<wire::Fetch> fetches;
  std::vector<std::string> log;
  std::vector<std::string> trace;  // names of the effects, in order
  std::map<std::pair<Hash256, std::uint32_t>, int> chunks_sent;
  std::uint64_t bytes_sent = 0;
  std::uint32_t running = 0;                                                    // revision whose containers run
  std::map<std::uint32_t, std::map<Hash256, std::set<std::uint32_t>>> folders;  // revision → pack → durable chunks
  std::map<std::uint32_t, wire::Manifest> staged;
  std::map<std::uint32_t, OpenStaging> opened;
  std::map<std::uint32_t, std::vector<Hash256>> trimmed;  // what was to stay
  std::uint64_t persists = 0;
  std::uint64_t effects_done = 0;
  std::uint32_t boots = 0;

  Rig() {
    const auto add = [&](const trust::SecretKey& key, trust::RoleName role) {
      root.keys.push_back({key.public_key(), "", ""});
      root.roles.push_back({role, 1, {key.public_key().id()}});
    };
    add(root_key, trust::RoleName::root);
    add(release_key, trust::RoleName::release);
    add(gate_key, trust::RoleName::gate);
    root.issued = WallMs{1'600'000'000'000};
    pinned_root = trust::seal(trust::Kind::root, trust::encode_root(root), root_key);
    facts.device = *DeviceId::parse("pump-17");
    facts.product = "pump";
    facts.groups = {group_of("plant-7/line-a")};
    facts.architecture = "x86_64";
    facts.kernel = "6.1.0-18-amd64";
    facts.client_version = "0.1.0";
    facts.memory_bytes = 64 * 1024 * 1024;
    facts.image_formats = {wire::ImageFormat::squashfs, wire::ImageFormat::ext4};
  }

  [[nodiscard]] Now now() const { return {wall, monotonic}; }

  // A release of one container "app".
  [[nodiscard]] wire::Manifest release(std::uint64_t sequence) {
    wire::Manifest manifest;
    manifest.product = "pump";
    manifest.release = "r" + std::to_string(sequence);
    manifest.sequence = sequence;
    manifest.issued = WallMs{1'650'000'000'000};
    manifest.groups = {group_of("plant-7/line-a")};
    manifest.artifacts = {artifact_of(manifest.release, {1'000}, {40'000, 50'000, 3'000})};
    wire::Container container;
    container.name = "app";
    container.artifact = manifest.artifacts.front().id;
    container.health.settle_ms = 5'000;
    container.health.probe = wire::Probe{{"/bin/check"}, 2'000, 1'000, 3};
    manifest.containers = {container};
    manifest.policy.salt = to_bytes("salt");
    return manifest;
  }

  [[nodiscard]] Bytes seal(const wire::Manifest& manifest) const {
    return trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest), release_key);
  }

  [[nodiscard]] static Hash256 rollout_of(const wire::Manifest& manifest) {
    return trust::digest(wire::encode_manifest(manifest));
  }

  [[nodiscard]] wire::Gate gate_for(const wire::Manifest& manifest, std::uint64_t issue = 1) const {
    wire::Gate gate;
    gate.group = manifest.groups.front();
    gate.product = manifest.product;
    gate.manifest = rollout_of(manifest);
    gate.sequence = manifest.sequence;
    gate.admitted_bp = 10'000;
    gate.fresh = wall;
    gate.wave_opened = {wall};
    gate.issue = issue;
    return gate;
  }

  void store_packs(const wire::Manifest& manifest) {
    for (const auto& artifact : manifest.artifacts) {
      for (const auto& pack : artifact.packs) {
        Stored stored;
        for (const auto& ref : pack.head) stored.sizes.push_back(ref.encoded_bytes);
        stored.head_count = static_cast<std::uint32_t>(stored.sizes.size());
        auto left = pack.body_bytes;
        for (std::uint32_t i = 0; i < pack.body_count; ++i) {
          const auto bytes = i + 1 == pack.body_count ? left : std::min<std::uint64_t>(left - 1, 40'000);
          stored.sizes.push_back(static_cast<std::uint32_t>(bytes));
          left -= bytes;
        }
        packs[pack.id] = stored;
      }
    }
  }

  // Retained, and heard at once when connected.
  void put(const std::string& topic, Bytes payload) {
    retained[topic] = payload;
    if (connected) hear(topic, std::move(payload));
  }
  void put_gate(const wire::Gate& gate) {
    put(topics.gate(gate.group), trust::seal(trust::Kind::gate, wire::encode(gate), gate_key));
  }
  void publish(const wire::Manifest& manifest) {
    store_packs(manifest);
    put(topics.manifest(manifest.groups.front()), seal(manifest));
    put_gate(gate_for(manifest));
  }

  // --- the device -------------------------------------------------------------------------------------
  void boot() {
    ++boots;
    queue_.clear();
    machine.reset();
    connected = false;
    Effects effects;
    auto loaded = Machine::load(facts, device_key, topics, disk, pinned_root, now(), effects);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    machine = std::move(*loaded);
    carry_out(effects);
  }

  // A container of the current revision ends by itself.
  void stop_container(const std::string& name) { give(ContainerStopped{view().current_revision, name, "exit 1"}); }

  // Power off and on: what was not persisted is gone, containers stop.
  void power_cut() {
    running = 0;
    half_.clear();
    serving_ = Serving{};
    boot();
    if (machine) connect();
  }

  void connect() {
    if (!machine) return;
    connected = true;
    give(Connected{});
    if (!machine) return;
    for (const auto& filter : machine->subscriptions()) {
      const auto found = retained.find(filter.first);
      if (found != retained.end()) hear(found->first, found->second);
    }
  }
  void disconnect() {
    connected = false;
    serving_ = Serving{};  // a broker drops the session with the connection
    std::erase_if(queue_, [](const Event& event) { return std::holds_alternative<MessageArrived>(event); });
    give(Disconnected{});
  }
  void hear(const std::string& topic, Bytes payload) { give(MessageArrived{topic, std::move(payload)}); }

  // Hands one event to the machine and carries out what follows.
  void give(Event event) {
    if (!machine) return;
    Effects effects;
    machine->handle(event, now(), effects);
    carry_out(effects);
  }

  // Everything that follows by itself, without time passing.
  void settle() {
    for (int i = 0; i < 100'000 && !queue_.empty(); ++i) {
      auto event = std::move(queue_.front());
      queue_.pop_front();
      give(std::move(event));
      if (dead_) revive();
    }
    ASSERT_TRUE(queue_.empty());
  }

  void pass(std::int64_t ms) {
    monotonic = monotonic + ms;
    wall = wall + ms;
  }

  // Lets time pass in steps of half a second.
  void run(std::int64_t ms) {
    if (dead_) revive();
    settle();
    for (std::int64_t passed = 0; passed < ms; passed += 500) {
      pass(500);
      give(Ticked{});
      if (dead_) revive();
      settle();
    }
  }

  [[nodiscard]] Machine::View view() const { return machine->view(); }
  [[nodiscard]] std::string phase() const { return view().phase; }
  [[nodiscard]] std::string running_release() const { return view().running ? view().running->release : ""; }
  [[nodiscard]] std::vector<wire::Step> steps() const {
    std::vector<wire::Step> out;
    for (const auto& report : applied) out.push_back(report.step);
    return out;
  }
  [[nodiscard]] bool logged(std::string_view part) const {
    return std::ranges::any_of(log, [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }

 private:
  void revive() {
    dead_ = false;
    power_cut_after = -1;
    power_cut();
  }

  void carry_out(Effects& effects) {
    bool persist_allowed = true;
    for (auto& effect : effects) {
      const bool is_persist = std::holds_alternative<Persist>(effect);
      EXPECT_TRUE(!is_persist || persist_allowed) << "Persist must be first";
      persist_allowed = false;
      if (dead_) return;
      if (!drop || !drop(effect)) std::visit([this](auto& one) { carry(one); }, effect);
      ++effects_done;
      if (power_cut_after > 0 && --power_cut_after == 0) {
        dead_ = true;
        machine.reset();
        queue_.clear();
        return;
      }
    }
  }

  void carry(Persist& effect) {
    trace.emplace_back("persist");
    disk = std::move(effect.state);
    ++persists;
  }
  void carry(Log& effect) { log.push_back(effect.message); }
  void carry(PointCurrent&) { trace.emplace_back("point"); }
  void carry(Resubscribe&) {
    trace.emplace_back("resubscribe");
    for (const auto& filter : machine->subscriptions()) {
      const auto found = retained.find(filter.first);
      if (found != retained.end()) queue_.emplace_back(MessageArrived{found->first, found->second});
    }
  }

  void carry(Publish& effect) {
    if (!connected) return;
    const auto topic = topics.parse(effect.topic);
    ASSERT_TRUE(topic.has_value());
    if (topic->kind == wire::TopicKind::device_hello) {
      trace.emplace_back("hello");
      const auto envelope = trust::open_by_key(effect.payload, trust::Kind::hello, device_key.public_key());
      ASSERT_TRUE(envelope.has_value());
      hellos.push_back(*wire::decode_hello(envelope->payload));
      if (hellos.back().acked_sequence > applied_) applied_ = hellos.back().acked_sequence;
    } else if (topic->kind == wire::TopicKind::device_report) {
      trace.emplace_back("report");
      take_report(effect.payload);
    } else if (topic->kind == wire::TopicKind::device_fetch) {
      trace.emplace_back("fetch");
      const auto fetch = wire::decode_fetch(effect.payload);
      ASSERT_TRUE(fetch.has_value()) << fetch.error().message;
      fetches.push_back(*fetch);
      if (serves) serve(*fetch);
    }
  }

  void take_report(const Bytes& payload) {
    const auto envelope = trust::open_by_key(payload, trust::Kind::report, device_key.public_key());
    ASSERT_TRUE(envelope.has_value());
    const auto report = *wire::decode_report(envelope->payload);
    sent.push_back(report);
    if (report.sequence == applied_ + 1) {
      ++applied_;
      applied.push_back(report);
    }
    if (acks) ack(applied_);
  }

 public:
  void ack(std::uint64_t sequence, Code code = Code::ok) {
    queue_.emplace_back(MessageArrived{topics.device(facts.device, wire::TopicKind::device_ack),
                                       wire::encode(wire::Ack{sequence, code, ""})});
  }
  void forget_applied(std::uint64_t applied_now) { applied_ = applied_now; }

  // Pieces of what is asked for; no more than the window ahead of what was received.
  void serve(const wire::Fetch& fetch) {
    if (fetch.session < serving_.session) return;
    if (fetch.session > serving_.session) serving_ = Serving{fetch.session, {}, {}, 0, 0};
    if (!fetch.pack && fetch.received_bytes == serving_.received) tell_position();
    serving_.received = fetch.received_bytes;
    if (fetch.pack) {
      serving_.pack = *fetch.pack;
      serving_.ranges.insert(serving_.ranges.end(), fetch.ranges.begin(), fetch.ranges.end());
    }
    while (!serving_.ranges.empty() && serving_.sent - fetch.received_bytes < fetch.window_bytes) {
      auto& range = serving_.ranges.front();
      const auto& sizes = packs[serving_.pack].sizes;
      ASSERT_LT(range.first, sizes.size());
      ASSERT_LT(range.offset, sizes[range.first]);
      const auto bytes = std::min(sizes[range.first] - range.offset, fetch.piece_bytes_max);
      wire::ChunkPiece piece{fetch.session, range.first, range.offset, Bytes(bytes, 7), wire::ChunkFault::none};
      serving_.sent += bytes;
      bytes_sent += bytes;
      if (range.offset == 0) ++chunks_sent[{serving_.pack, range.first}];
      queue_.emplace_back(
          MessageArrived{topics.device(facts.device, wire::TopicKind::device_chunk), wire::encode(piece)});
      range.offset += bytes;
      if (range.offset < sizes[range.first]) continue;
      range.offset = 0;
      ++range.first;
      if (--range.count == 0) serving_.ranges.erase(serving_.ranges.begin());
    }
  }

 private:
  void tell_position() {
    wire::ChunkPiece piece{serving_.session, wire::kNoOrdinal, 0, {}, wire::ChunkFault::position};
    if (!serving_.ranges.empty()) {
      piece.ordinal = serving_.ranges.front().first;
      piece.offset = serving_.ranges.front().offset;
    }
    queue_.emplace_back(
        MessageArrived{topics.device(facts.device, wire::TopicKind::device_chunk), wire::encode(piece)});
  }

  void tell_wants(std::uint32_t revision, const Hash256& pack, bool head_only) {
    const auto& stored = packs[pack];
    StagingWants wants{revision, pack, {}, {}, 0, !head_only};
    for (std::uint32_t i = 0; i < stored.sizes.size(); ++i) {
      if ((head_only && i >= stored.head_count) || folders[revision][pack].contains(i)) continue;
      wants.ranges.push_back({i, 1, 0});
      wants.chunk_bytes.push_back(stored.sizes[i]);
      wants.bytes_wanted += stored.sizes[i];
    }
    queue_.emplace_back(std::move(wants));
  }

  [[nodiscard]] bool head_missing(std::uint32_t revision, const Hash256& pack) {
    for (std::uint32_t i = 0; i < packs[pack].head_count; ++i) {
      if (!folders[revision][pack].contains(i)) return true;
    }
    return false;
  }

  void carry(OpenStaging& effect) {
    trace.emplace_back("open");
    opened[effect.revision] = effect;
    half_.clear();
    if (staging_fails) {
      queue_.emplace_back(StagingFailed{effect.revision, *staging_fails});
      if (--staging_failures > 0) return;
      staging_failures = 1;
      staging_fails.reset();
      return;
    }
    for (const auto& choice : effect.choices) {
      const auto falls_short = short_packs.find(choice.pack);
      if (falls_short != short_packs.end() && falls_short->second.missing.files == 0)
        return tell_short(effect.revision, choice.pack, true);
    }
    for (const auto& choice : effect.choices) {
      const bool head = head_missing(effect.revision, choice.pack);
      if (!head) tell_short(effect.revision, choice.pack, false);
      tell_wants(effect.revision, choice.pack, head);
    }
  }

  void tell_short(std::uint32_t revision, const Hash256& pack, bool now) {
    const auto falls_short = short_packs.find(pack);
    if (falls_short == short_packs.end()) return;
    queue_.emplace_back(PackUnusable{revision, pack, falls_short->second.error, falls_short->second.missing, now});
  }

  void carry(StagePiece& effect) {
    auto& half = half_[{effect.pack, effect.ordinal}];
    if (effect.offset == 0) half = 0;
    ASSERT_EQ(half, effect.offset) << "pieces come in order";
    half += static_cast<std::uint32_t>(effect.data.size());
    const auto size = packs[effect.pack].sizes[effect.ordinal];
    ASSERT_LE(half, size);
    if (half < size) return;
    half_.clear();
    const auto broken = corrupt.find(effect.ordinal);
    if (broken != corrupt.end()) {
      corrupt.erase(broken);
      queue_.emplace_back(
          ChunkRefused{effect.revision, effect.pack, effect.ordinal, Error{Code::corrupt, "does not match its hash"}});
      return;
    }
    const bool was_missing = head_missing(effect.revision, effect.pack);
    folders[effect.revision][effect.pack].insert(effect.ordinal);
    queue_.emplace_back(ChunkDurable{effect.revision, effect.pack, effect.ordinal, size});
    if (was_missing && !head_missing(effect.revision, effect.pack)) {
      tell_short(effect.revision, effect.pack, false);
      tell_wants(effect.revision, effect.pack, false);
    }
  }

  void carry(FinishStaging& effect) {
    trace.emplace_back("finish");
    if (finish_fails) {
      queue_.emplace_back(StagingFailed{effect.revision, *std::exchange(finish_fails, std::nullopt)});
      return;
    }
    for (const auto& choice : opened[effect.revision].choices) {
      if (short_packs.contains(choice.pack)) return tell_short(effect.revision, choice.pack, true);
      EXPECT_EQ(folders[effect.revision][choice.pack].size(), packs[choice.pack].sizes.size())
          << "asked to finish what is not there";
    }
    staged[effect.revision] = opened[effect.revision].manifest;
    queue_.emplace_back(StagingDone{effect.revision});
  }

  void carry(RemoveRevision& effect) {
    trace.emplace_back("remove");
    EXPECT_NE(running, effect.revision) << "a running revision is removed";
    folders.erase(effect.revision);
    staged.erase(effect.revision);
  }

  void carry(TrimRevision& effect) {
    trace.emplace_back("trim");
    trimmed[effect.revision] = effect.keep;
  }

  void carry(StartTry& effect) {
    trace.emplace_back("try");
    EXPECT_TRUE(staged.contains(effect.to)) << "a revision is started that was not staged";
    if (unstartable.contains(effect.manifest.release)) {
      running = 0;
      queue_.emplace_back(TryFailed{effect.to, Error{Code::unhealthy, "no such init"}});
      return;
    }
    running = effect.to;
    queue_.emplace_back(TryStarted{effect.to, 30});
    if (stopping.contains(effect.manifest.release)) queue_.emplace_back(ContainerStopped{effect.to, "app", "exit 1"});
  }

  void carry(RunProbe& effect) {
    trace.emplace_back("probe");
    const bool passed = running == effect.revision && !bad_releases.contains(staged[effect.revision].release);
    queue_.emplace_back(ProbeEnded{effect.revision, effect.container, passed, passed ? "exit 0" : "exit 3"});
  }

  void carry(SwitchBack& effect) {
    trace.emplace_back("back");
    if (switch_back_failures > 0) {
      --switch_back_failures;
      queue_.emplace_back(SwitchBackFailed{Error{Code::io, "busy"}});
      return;
    }
    EXPECT_TRUE(effect.to == 0 || staged.contains(effect.to));
    running = effect.to;
    queue_.emplace_back(SwitchedBack{effect.to, 40});
  }

  void carry(EnsureRunning& effect) {
    trace.emplace_back("ensure");
    EXPECT_TRUE(staged.contains(effect.revision));
    running = effect.revision;
  }

  struct Serving {
    std::uint32_t session = 0;
    Hash256 pack;
    std::vector<wire::ChunkRange> ranges;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };
  std::deque<Event> queue_;
  std::map<std::pair<Hash256, std::uint32_t>, std::uint32_t> half_;
  Serving serving_;
  std::uint64_t applied_ = 0;
  bool dead_ = false;
};

}  // namespace instar::revision::rig
