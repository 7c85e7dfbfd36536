#include "core/revision/testing/machine_fixture.hpp"

#include <algorithm>

#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {

trust::SecretKey key_of(std::uint8_t seed) {
  return *trust::SecretKey::from_seed(Bytes(32, seed));
}

GroupPath group_of(std::string_view text) {
  return *GroupPath::parse(text);
}

SomeHash hash_of(std::string_view text) {
  return SomeHash(trust::digest(as_bytes(text)));
}

wire::Artifact artifact_of(const std::string& name, const std::vector<std::uint32_t>& head,
                           const std::vector<std::uint32_t>& body, artifact::PackKind kind) {
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

wire::Pack& add_delta(wire::Artifact& artifact, const ArtifactId& base, std::uint32_t head_bytes,
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

MachineFixture::MachineFixture() {
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
  facts.description.product = "pump";
  facts.description.groups = {group_of("plant-7/line-a")};
  facts.description.architecture = "x86_64";
  facts.description.kernel = "6.1.0-18-amd64";
  facts.description.client_version = "0.1.0";
  facts.description.memory_bytes = 64 * 1024 * 1024;
  facts.description.image_formats = {wire::ImageFormat::squashfs, wire::ImageFormat::ext4};
}

wire::Manifest MachineFixture::release(std::uint64_t sequence) {
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

Bytes MachineFixture::seal(const wire::Manifest& manifest) const {
  return trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest), release_key);
}

ManifestId MachineFixture::rollout_of(const wire::Manifest& manifest) {
  return ManifestId(trust::digest(wire::encode_manifest(manifest)));
}

wire::Gate MachineFixture::gate_for(const wire::Manifest& manifest, std::uint64_t issue) const {
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

void MachineFixture::store_packs(const wire::Manifest& manifest) {
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

void MachineFixture::put(const std::string& topic, Bytes payload) {
  retained[topic] = payload;
  if (connected) receive(topic, std::move(payload));
}

void MachineFixture::put_gate(const wire::Gate& gate) {
  put(topics.gate(gate.group, gate.product), trust::seal(trust::Kind::gate, wire::encode(gate), gate_key));
}

void MachineFixture::publish(const wire::Manifest& manifest) {
  store_packs(manifest);
  put(topics.manifest(manifest.groups.front(), manifest.product), seal(manifest));
  put_gate(gate_for(manifest));
}

void MachineFixture::boot() {
  ++boots;
  queue_.clear();
  machine.reset();
  connected = false;
  Effects effects;
  std::optional<Anchor> anchored;
  if (auto read = decode_anchor(anchor)) anchored = std::move(*read);
  auto loaded = Machine::load(facts, device_key, topics, disk, pinned_root, now(), effects, anchored);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  machine = std::move(*loaded);
  carry_out(effects);
}

void MachineFixture::power_cut() {
  running = 0;
  half_.clear();
  serving_ = Serving{};
  boot();
  if (machine) connect();
}

void MachineFixture::connect(bool is_opened) {
  if (!machine) return;
  connected = true;
  give(Connected{is_opened});
  if (!machine) return;
  for (const auto& filter : machine->subscriptions()) {
    const auto found = retained.find(filter.first);
    if (found != retained.end()) receive(found->first, found->second);
  }
}

void MachineFixture::disconnect() {
  connected = false;
  serving_ = Serving{};  // a broker drops the session with the connection
  std::erase_if(queue_, [](const Event& event) { return std::holds_alternative<MessageArrived>(event); });
  give(Disconnected{});
}

void MachineFixture::give(Event event) {
  if (!machine) return;
  Effects effects;
  machine->handle(event, now(), effects);
  machine->assert_invariants();
  carry_out(effects);
}

void MachineFixture::settle() {
  for (int i = 0; i < 100'000 && !queue_.empty(); ++i) {
    auto event = std::move(queue_.front());
    queue_.pop_front();
    give(std::move(event));
    if (dead_) revive();
  }
  ASSERT_TRUE(queue_.empty());
}

void MachineFixture::pass(std::int64_t ms) {
  monotonic = monotonic + ms;
  wall = wall + ms;
}

void MachineFixture::run(std::int64_t ms) {
  if (dead_) revive();
  settle();
  for (std::int64_t passed = 0; passed < ms; passed += 500) {
    pass(500);
    give(Ticked{});
    if (dead_) revive();
    settle();
  }
}

std::vector<wire::Step> MachineFixture::steps() const {
  std::vector<wire::Step> out;
  for (const auto& report : applied) out.push_back(report.step);
  return out;
}

bool MachineFixture::logged(std::string_view part) const {
  return std::ranges::any_of(log, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

void MachineFixture::revive() {
  dead_ = false;
  power_cut_after = -1;
  power_cut();
}

void MachineFixture::carry_out(Effects& effects) {
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

void MachineFixture::carry(Persist& effect) {
  trace.emplace_back("persist");
  if (!effect.anchor.empty()) {
    anchor = std::move(effect.anchor);
    ++anchor_writes;
  }
  disk = std::move(effect.state);
  ++persists;
}

void MachineFixture::carry(Resubscribe&) {
  trace.emplace_back("resubscribe");
  for (const auto& filter : machine->subscriptions()) {
    const auto found = retained.find(filter.first);
    if (found != retained.end()) queue_.emplace_back(MessageArrived{found->first, found->second});
  }
}

void MachineFixture::carry(Publish& effect) {
  EXPECT_EQ(effect.opens, !connected);
  if (effect.opens) {
    const auto fetch = wire::decode_fetch(effect.payload);
    ASSERT_TRUE(fetch.has_value()) << "nothing else opens a connection";
    openings.push_back(*fetch);
  }
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

void MachineFixture::take_report(const Bytes& payload) {
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

void MachineFixture::ack(std::uint64_t sequence, Code code) {
  queue_.emplace_back(MessageArrived{topics.device(facts.device, wire::TopicKind::device_ack),
                                     wire::encode(wire::Ack{sequence, code, ""})});
}

void MachineFixture::serve(const wire::Fetch& fetch) {
  if (fetch.session < serving_.session) return;
  if (fetch.session > serving_.session) serving_ = Serving{fetch.session, {}, {}, 0, 0};
  if (!fetch.pack && fetch.received_bytes == serving_.received) answer_position();
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

}  // namespace instar::revision
