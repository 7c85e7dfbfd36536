#include "broker-plugin/testing/service_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::broker {

void FakeBroker::publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) {
  published.push_back({topic, to_bytes(payload), qos, retain});
  if (retain == wire::Retain::yes) retained[topic] = to_bytes(payload);
}

void FakeBroker::log(LogLevel level, const std::string& line) {
  lines.push_back(std::to_string(static_cast<int>(level)) + " " + line);
}

std::vector<Published> FakeBroker::on(const std::string& topic) const {
  std::vector<Published> out;
  std::copy_if(published.begin(), published.end(), std::back_inserter(out),
               [&](const Published& p) { return p.topic == topic; });
  return out;
}

bool FakeBroker::logged(const std::string& text) const {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

trust::SecretKey test_key(int fill) {
  return *trust::SecretKey::from_seed(Bytes(32, static_cast<std::uint8_t>(fill)));
}

DeviceId device_id(std::string_view text) {
  return *DeviceId::parse(text);
}

ClientId client_id(std::string_view text) {
  return *ClientId::parse(text);
}

GroupPath group_path(std::string_view text) {
  return *GroupPath::parse(text);
}

trust::RootDocument test_root(std::uint32_t version, std::optional<Hash256> previous) {
  trust::RootDocument root;
  root.version = version;
  root.issued = {1'760'000'000'000};
  root.previous = previous;
  root.keys = {{test_key(kRootKey).public_key(), "", "root"},
               {test_key(kReleaseKey).public_key(), "", "release"},
               {test_key(kPlant7Key).public_key(), "plant-7/#", "plant 7"},
               {test_key(kGateKey).public_key(), "", "gate"}};
  root.roles = {
      {trust::RoleName::root, 1, {test_key(kRootKey).public_key().id()}},
      {trust::RoleName::release, 1, {test_key(kReleaseKey).public_key().id(), test_key(kPlant7Key).public_key().id()}},
      {trust::RoleName::gate, 1, {test_key(kGateKey).public_key().id()}}};
  return root;
}

Bytes seal_root(const trust::RootDocument& root, int key) {
  return trust::seal(trust::Kind::root, trust::encode_root(root), test_key(key));
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  std::uint64_t state = seed * 2'654'435'761U + 88'172'645'463'325'252U;
  for (auto& byte : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::uint8_t>(state);
  }
  return out;
}

PackFixture make_pack(std::uint64_t seed, std::size_t body, std::size_t chunk_bytes) {
  PackFixture pack;
  pack.directory.artifact = ArtifactId(trust::digest(noise(16, seed)));
  pack.directory.head_count = 1;
  for (std::size_t i = 0; i <= body; ++i) {
    const auto decoded = noise(i == 0 ? 500 : chunk_bytes, seed * 1'000 + i);
    const auto encoded = artifact::encode_chunk(decoded, 1);
    pack.directory.chunks.push_back({ChunkHash(trust::digest(decoded)),
                                     static_cast<std::uint32_t>(encoded.bytes.size()),
                                     static_cast<std::uint32_t>(decoded.size()), encoded.codec});
    pack.encoded.push_back(encoded.bytes);
  }
  pack.bytes = artifact::encode_directory(pack.directory);
  pack.id = PackId(trust::digest(pack.bytes));
  return pack;
}

wire::Manifest make_manifest(const PackFixture& pack, std::uint64_t sequence, std::vector<GroupPath> groups) {
  wire::Pack offer;
  offer.id = pack.id;
  offer.head = {pack.directory.chunks[0]};
  offer.body_count = static_cast<std::uint32_t>(pack.directory.chunks.size() - 1);
  offer.head_bytes = pack.directory.head_bytes();
  offer.body_bytes = pack.directory.body_bytes();
  wire::Artifact artifact;
  artifact.id = pack.directory.artifact;
  artifact.content_bytes = 400'000;
  artifact.entry_count = 3;
  artifact.index_bytes = 300;
  artifact.packs = {offer};
  wire::Container container;
  container.name = "web";
  container.artifact = artifact.id;
  wire::Manifest manifest;
  manifest.product = "gateway-2";
  manifest.release = "1." + std::to_string(sequence);
  manifest.sequence = sequence;
  manifest.issued = {1'760'000'000'000};
  manifest.groups = std::move(groups);
  manifest.artifacts = {artifact};
  manifest.containers = {container};
  return manifest;
}

Bytes seal_manifest(const wire::Manifest& manifest, int key) {
  return trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest), test_key(key));
}

ManifestId rollout_of(const wire::Manifest& manifest) {
  return ManifestId(trust::digest(wire::encode_manifest(manifest)));
}

FakeDevice::FakeDevice(std::string_view name, int key_fill) : id(device_id(name)), key(test_key(key_fill)) {}

wire::Hello FakeDevice::hello_message() const {
  wire::Hello hello;
  hello.device = id;
  hello.key = key.public_key();
  hello.description.product = "gateway-2";
  hello.description.groups = groups;
  hello.description.architecture = "x86_64";
  hello.description.client_version = "0.1.0";
  hello.description.running = running;
  hello.rollout = rollout;
  hello.step = step;
  hello.attempt = step == wire::Step::idle ? 0 : 1;
  hello.last_sequence = last_sequence;
  hello.acked_sequence = acked;
  hello.boot = 1;
  hello.connect = connect;
  hello.description.root_version = 1;
  return hello;
}

Bytes FakeDevice::hello() {
  ++connect;
  return trust::seal(trust::Kind::hello, wire::encode(hello_message()), key);
}

wire::Report FakeDevice::report_message(const ManifestId& of, wire::Step to, std::uint64_t sequence) const {
  wire::Report report;
  report.device = id;
  report.sequence = sequence;
  report.rollout = of;
  report.attempt = 1;
  report.step = to;
  report.bytes_full = 400'500;
  return report;
}

Bytes FakeDevice::seal_report(const wire::Report& report) const {
  return trust::seal(trust::Kind::report, wire::encode(report), key);
}

Bytes FakeDevice::report(const ManifestId& of, wire::Step to) {
  rollout = of;
  step = to;
  return seal_report(report_message(of, to, ++last_sequence));
}

ServiceFixture::ServiceFixture() {
  options_.pinned_root = seal_root(test_root());
}

Status ServiceFixture::start() {
  service_ = make_service(options_, store_, *broker_,
                          [this](const DeviceId&, const PackId&, std::uint32_t, std::uint32_t, std::uint32_t bytes) {
                            transferred_bytes += bytes;
                          });
  return service_->start(now_);
}

Status ServiceFixture::restart() {
  service_.reset();
  store_.crash();
  broker_ = std::make_unique<FakeBroker>();
  return start();
}

void ServiceFixture::tick(std::int64_t ms) {
  now_.wall = now_.wall + ms;
  now_.monotonic = now_.monotonic + ms;
  service_->on_tick(now_);
  service_->assert_invariants();
}

void ServiceFixture::settle() {
  for (int i = 0; i < 20; ++i) tick();
}

Verdict ServiceFixture::send(std::string_view client, const std::string& topic, ByteView payload, wire::Retain retain) {
  const auto verdict = service_->on_message({client, "", true}, topic, payload, wire::Qos::at_least_once, retain, now_);
  service_->assert_invariants();
  return verdict;
}

Verdict ServiceFixture::put(const wire::Put& put, std::string_view client) {
  return send(client, topics().put(client_id(client)), wire::encode(put));
}

void ServiceFixture::put_directory(const PackFixture& pack, std::string_view client) {
  put_object(wire::PutKind::directory, pack.id, 0, pack.bytes, client);
}

void ServiceFixture::put_chunk(const PackFixture& pack, std::uint32_t ordinal, std::string_view client) {
  put_object(wire::PutKind::chunk, pack.id, ordinal, pack.encoded[ordinal], client);
}

void ServiceFixture::put_object(wire::PutKind kind, const PackId& pack, std::uint32_t ordinal, const Bytes& bytes,
                                std::string_view client) {
  constexpr std::size_t kPiece = 64 * 1024;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const auto size = std::min(kPiece, bytes.size() - at);
    put({kind, pack, ordinal, static_cast<std::uint32_t>(bytes.size()), static_cast<std::uint32_t>(at),
         to_bytes(ByteView(bytes).subspan(at, size))},
        client);
  }
}

void ServiceFixture::upload(const PackFixture& pack, std::string_view client) {
  put_directory(pack, client);
  settle();
  for (std::uint32_t i = 0; i < pack.encoded.size(); ++i) put_chunk(pack, i, client);
  settle();
}

std::vector<wire::Stored> ServiceFixture::stored(std::string_view client) const {
  std::vector<wire::Stored> out;
  for (const auto& published : broker_->on(topics().stored(client_id(client)))) {
    auto decoded = wire::decode_stored(published.payload);
    EXPECT_TRUE(decoded.has_value());
    if (decoded.has_value()) out.push_back(*decoded);
  }
  return out;
}

Verdict ServiceFixture::publish(const Bytes& envelope, std::string_view group, wire::Retain retain,
                                std::string_view product) {
  return send("op-1", topics().manifest(group_path(group), product), envelope, retain);
}

Verdict ServiceFixture::publish(const wire::Manifest& manifest) {
  return publish(seal_manifest(manifest), manifest.groups[0].str(), wire::Retain::yes, manifest.product);
}

Verdict ServiceFixture::assign(const FakeDevice& device, std::vector<GroupPath> groups, const Sender& sender) {
  const wire::Assignment assignment{device.id, std::move(groups), now_.wall};
  const auto envelope = trust::seal(trust::Kind::assignment, wire::encode(assignment), test_key(kReleaseKey));
  const auto topic = topics().device(device.id, wire::TopicKind::device_assignment);
  return service_->on_message(sender, topic, envelope, wire::Qos::at_least_once, wire::Retain::yes, now_);
}

ManifestId ServiceFixture::release(std::uint64_t sequence, const PackFixture& pack) {
  upload(pack);
  const auto manifest = make_manifest(pack, sequence);
  EXPECT_EQ(publish(manifest), Verdict::consume);
  settle();
  return rollout_of(manifest);
}

nlohmann::json ServiceFixture::control(const std::string& request, const Sender& sender) {
  const auto before = broker_->on(topics().control_response()).size();
  service_->on_control(sender, request, now_);
  settle();
  const auto responses = broker_->on(topics().control_response());
  EXPECT_EQ(responses.size(), before + 1);
  if (responses.size() <= before) return {};
  return nlohmann::json::parse(as_text(responses.back().payload), nullptr, false);
}

nlohmann::json ServiceFixture::command(nlohmann::json command) {
  const auto answer = control(nlohmann::json{{"commands", {std::move(command)}}}.dump());
  return answer.contains("responses") ? answer["responses"][0] : nlohmann::json{};
}

nlohmann::json ServiceFixture::status(const ManifestId& rollout) const {
  const auto found = broker_->retained.find(topics().status(rollout.short_hex()));
  if (found == broker_->retained.end()) return {};
  return nlohmann::json::parse(as_text(found->second), nullptr, false);
}

std::optional<wire::Gate> ServiceFixture::gate(std::string_view group, std::string_view product) const {
  const auto found = broker_->retained.find(topics().gate(group_path(group), product));
  if (found == broker_->retained.end()) return std::nullopt;
  const auto trust = trust::TrustStore::from_pinned(options_.pinned_root);
  const auto envelope = trust->open_gate(found->second);
  EXPECT_TRUE(envelope.has_value()) << envelope.error().message;
  return *wire::decode_gate(envelope->payload);
}

Verdict ServiceFixture::hello(FakeDevice& device) {
  return from(device, wire::TopicKind::device_hello, device.hello());
}

Verdict ServiceFixture::report(FakeDevice& device, const ManifestId& rollout, wire::Step step) {
  return from(device, wire::TopicKind::device_report, device.report(rollout, step));
}

Verdict ServiceFixture::from(const FakeDevice& device, wire::TopicKind kind, const Bytes& payload) {
  return send(device.id.str(), topics().device(device.id, kind), payload);
}

Verdict ServiceFixture::fetch(const FakeDevice& device, const wire::Fetch& fetch) {
  return from(device, wire::TopicKind::device_fetch, wire::encode(fetch));
}

std::vector<wire::Ack> ServiceFixture::acks(const FakeDevice& device) const {
  std::vector<wire::Ack> out;
  for (const auto& published : broker_->on(topics().device(device.id, wire::TopicKind::device_ack))) {
    out.push_back(*wire::decode_ack(published.payload));
  }
  return out;
}

std::vector<wire::ChunkPiece> ServiceFixture::pieces(const FakeDevice& device) const {
  std::vector<wire::ChunkPiece> out;
  for (const auto& published : broker_->on(topics().device(device.id, wire::TopicKind::device_chunk))) {
    EXPECT_EQ(published.qos, wire::Qos::at_most_once);
    EXPECT_EQ(published.retain, wire::Retain::no);
    out.push_back(*wire::decode_chunk_piece(published.payload));
  }
  return out;
}

}  // namespace instar::broker
