// For tests: one value of each message with every field set. They are the worked examples of docs/formats. The tests
// break them in many ways.
#pragma once

#include <string>

#include "core/base/testing/some_hash.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/root.hpp"
#include "core/wire/approval.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::wire::examples {

inline SomeHash hash(std::string_view name) {
  return SomeHash(trust::digest(as_bytes(name)));
}

// Keys made from a seed of 32 equal bytes.
inline trust::SecretKey key(int fill) {
  return trust::SecretKey::from_seed(Bytes(32, static_cast<std::uint8_t>(fill))).value();
}
inline constexpr int kRootKey = 0x01;
inline constexpr int kReleaseKey = 0x02;
inline constexpr int kGateKey = 0x03;
inline constexpr int kDeviceKey = 0x04;
inline constexpr int kPlantKey = 0x05;

inline DeviceId device() {
  return DeviceId::parse("gw-01").value();
}

inline GroupPath group(std::string_view path) {
  return GroupPath::parse(path).value();
}

inline trust::RootDocument root() {
  trust::RootDocument root;
  root.issued = {1'760'000'000'000};
  root.keys = {{key(kRootKey).public_key(), "", "Root, in the safe"},
               {key(kReleaseKey).public_key(), "", "Release"},
               {key(kPlantKey).public_key(), "plant-7/#", "Plant 7"},
               {key(kGateKey).public_key(), "", "Broker"}};
  root.roles = {{trust::RoleName::root, 1, {key(kRootKey).public_key().id()}},
                {trust::RoleName::release, 1, {key(kReleaseKey).public_key().id(), key(kPlantKey).public_key().id()}},
                {trust::RoleName::gate, 1, {key(kGateKey).public_key().id()}}};
  return root;
}

inline Pack full_pack() {
  Pack pack;
  pack.id = hash("full");
  pack.head = {{hash("head 0"), 1'000, 4'000, artifact::Codec::zstd}, {hash("head 1"), 500, 500, artifact::Codec::raw}};
  pack.body_count = 40;
  pack.head_bytes = 1'500;
  pack.body_bytes = 3'000'000;
  pack.memory_bytes = 1'048'576;
  pack.framing_bytes = 9'000;
  return pack;
}

inline Pack delta_pack() {
  Pack pack;
  pack.kind = artifact::PackKind::delta;
  pack.id = hash("delta");
  pack.base = hash("artifact 1");
  pack.head = {{hash("delta head"), 700, 4'000, artifact::Codec::zstd}};
  pack.body_count = 2;
  pack.head_bytes = 700;
  pack.body_bytes = 90'000;
  pack.memory_bytes = 4'194'304;
  pack.format = 2;
  pack.framing_bytes = 300;
  return pack;
}

inline Container container() {
  Container container;
  container.name = "web";
  container.artifact = hash("artifact 2");
  container.init = {"/usr/sbin/nginx", "-g", "daemon off;"};
  container.settings = {{"lxc.cgroup2.memory.max", "32M"}, {"lxc.environment", "TZ=UTC"}};
  container.volumes = {{"certificates", "/etc/ssl/site", 0750, 33, 34}};
  container.health.settle_ms = 5'000;
  container.health.probe = Probe{{"/usr/bin/curl", "-fsS", "http://127.0.0.1/"}, 3'000, 500, 2};
  container.health.ready_timeout_ms = 20'000;
  container.start_order = 7;
  container.handler = "lxc";
  return container;
}

inline Policy policy() {
  Policy policy;
  policy.waves = {{100, 5, {"gw-01", "gw-02"}, 9'900, 3'600, true, 8'000}, {10'000, 0, {}, 10'000, 0, false}};
  policy.failures_max = 3;
  policy.failures_bp = 200;
  policy.budget_action = BudgetAction::abort;
  policy.in_flight_max = 50;
  policy.starts_per_minute_max = 10;
  policy.attempts_max = 2;
  policy.backoff_s = 120;
  policy.deadline = {1'765'000'000'000};
  policy.windows = {{31, 120, 240}};
  policy.device_bytes_max = 5'000'000;
  policy.rollout_bytes_max = 500'000'000;
  policy.rate_bytes_per_s_max = 100'000;
  policy.metered_fallback = true;
  policy.consent = true;
  policy.revert_allowed = true;
  policy.silent_s = 7'200;
  policy.download_any_time = true;
  policy.unmetered_only = true;
  policy.fall_back_stops = 5;
  policy.salt = {0xde, 0xad, 0xbe, 0xef};
  return policy;
}

inline Manifest manifest() {
  Manifest manifest;
  manifest.product = "gateway-2";
  manifest.release = "2.4.1";
  manifest.sequence = 42;
  manifest.issued = {1'760'000'000'000};
  manifest.expires = {1'790'000'000'000};
  manifest.groups = {group("plant-7/line-a"), group("plant-9")};
  manifest.artifacts = {
      {hash("artifact 2"), ArtifactKind::tree, 12'000'000, 1'234, 98'765, {full_pack(), delta_pack()}}};
  manifest.containers = {container()};
  manifest.requirements = {{"aarch64", "x86_64"}, "5.10", "0.1.0", 64'000'000, 16'000'000};
  manifest.policy = policy();
  manifest.notes = "Fixes the clock.\nSee the release notes.";
  return manifest;
}

inline RevisionInfo running() {
  return {"gateway-2", "2.4.0", 41, hash("manifest 41"), {hash("artifact 1")}};
}

inline Gate gate() {
  Gate gate;
  gate.group = group("plant-7/line-a");
  gate.product = "gateway-2";
  gate.manifest = hash("manifest 42");
  gate.sequence = 42;
  gate.state = GateState::paused;
  gate.admitted_bp = 2'500;
  gate.wave = 1;
  gate.fresh = {1'760'000'100'000};
  gate.wave_opened = {{1'760'000'000'500}, {1'760'000'090'000}};
  gate.issue = 9;
  gate.retry_epoch = 1;
  gate.admitted_point = 1'073'741'824;
  return gate;
}

inline Hello hello() {
  Hello hello;
  hello.device = device();
  hello.key = key(kDeviceKey).public_key();
  hello.description.product = "gateway-2";
  hello.description.groups = {group("plant-7/line-a"), group("lab")};
  hello.description.architecture = "aarch64";
  hello.description.kernel = "6.1.0-18-arm64";
  hello.description.client_version = "0.1.0";
  hello.description.memory_bytes = 67'108'864;
  hello.description.free_bytes = 12'345'678;
  hello.description.metered = true;
  hello.description.running = running();
  hello.description.previous = RevisionInfo{"gateway-2", "2.3.9", 40, hash("manifest 40"), {hash("artifact 0")}};
  hello.rollout = hash("manifest 42");
  hello.step = Step::fetching;
  hello.attempt = 1;
  hello.last_sequence = 17;
  hello.acked_sequence = 15;
  hello.boot = 6;
  hello.connect = 3;
  hello.description.pack_formats = {1};
  hello.description.root_version = 1;
  hello.description.highest_sequence = 41;
  hello.asks_start = true;
  hello.description.degraded = {"state file was damaged, started from defaults"};
  hello.description.image_formats = {ImageFormat::squashfs, ImageFormat::ext4};
  hello.description.handlers = {"kernel"};
  return hello;
}

inline Report report() {
  Report report;
  report.device = device();
  report.sequence = 17;
  report.rollout = hash("manifest 42");
  report.attempt = 1;
  report.step = Step::rolled_back;
  report.code = Code::unhealthy;
  report.reason = "web: probe exited 1 three times; 2.4.0 runs again";
  report.bytes_planned = 91'000;
  report.bytes_fetched = 90'700;
  report.bytes_full = 3'001'500;
  report.pack_kind = artifact::PackKind::delta;
  report.downtime_ms = 850;
  report.switch_ms = 6'200;
  report.device_time = {1'760'000'200'000};
  report.running = running();
  report.again = true;
  report.asks_start = true;
  return report;
}

inline Fetch fetch() {
  Fetch fetch;
  fetch.session = 0x00060003;
  fetch.pack = hash("full");
  fetch.ranges = {{0, 2, 0}, {7, 1, 4'096}};
  fetch.received_bytes = 123'456;
  fetch.window_bytes = 65'536;
  fetch.piece_bytes_max = 16'384;
  fetch.rollout = hash("manifest 42").prefix64();
  return fetch;
}

inline ChunkPiece piece() {
  return {0x00060003, 7, 4'096, to_bytes("0123456789abcdef"), ChunkFault::none};
}

inline Ack ack() {
  return {17, Code::untrusted_key, "another key is pinned for gw-01; forgetDevice makes room for a new one",
          hash("manifest 42").prefix64(), 2};
}

inline Approval approval() {
  return {"gateway-2", hash("manifest 42"), 1, {1'760'000'400'000}};
}

inline Assignment assignment() {
  return {device(), {group("plant-7/line-b"), group("lab")}, {1'760'000'300'000}};
}

inline Put put() {
  return {PutKind::chunk, hash("full"), 7, 20'000, 4'096, to_bytes("0123456789abcdef")};
}

inline Stored stored() {
  return {hash("full"), {{3, 1}, {9, 33}}, {{0, 3}}, false, true, Code::unavailable, "the store is busy; send again"};
}

}  // namespace instar::wire::examples
