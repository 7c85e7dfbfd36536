#include "tests/powercut/fs/releases.hpp"

#include "core/trust/envelope.hpp"
#include "core/trust/root.hpp"
#include "core/wire/messages.hpp"

namespace instar::powercut {
namespace {

using device::ArtifactFixture;
using device::noise;
using device::TreeFixture;

constexpr WallMs kIssued{1'700'000'000'000};

TreeFixture tree(std::uint64_t which) {
  TreeFixture made;
  made.folder("bin");
  auto app = noise(200'000, 1);
  for (std::size_t i = 0; i < app.size(); i += 5'000) app[i] = static_cast<std::uint8_t>(which);
  made.file("bin/app", app, 0755);
  made.file("bin/same", noise(150'000, 2), 0755);
  made.hardlink("bin/same-too", "bin/same");
  made.folder("lib");
  for (int i = 0; i < 8; ++i) made.file("lib/" + std::to_string(i), noise(40'000, i < 4 ? 10 + i : which * 100 + i));
  auto& owned = made.file("owned", noise(700, which), 0600);
  owned.uid = 1'000;
  owned.gid = 100;
  if (which == 2) made.file("second", noise(90'000, 7));
  made.symlink("to-app", "bin/app");
  return made;
}

trust::SecretKey key(std::uint8_t fill) {
  return trust::SecretKey::from_seed(Bytes(32, fill)).value();
}

}  // namespace

Releases::Releases() : root_(key(1)), release_(key(2)), gate_(key(3)) {
  trees_.emplace_back(tree(1));
  trees_.emplace_back(tree(2));
  const auto to_second = device::make_delta(trees_[0].tree, trees_[1].tree);
  const auto to_first = device::make_delta(trees_[1].tree, trees_[0].tree);
  device::add_delta(trees_[1], trees_[0], to_second);
  device::add_delta(trees_[0], trees_[1], to_first);
}

wire::Manifest Releases::manifest(std::uint64_t sequence) const {
  wire::Manifest made;
  made.product = kProduct;
  made.release = "r" + std::to_string(sequence);
  made.sequence = sequence;
  made.issued = kIssued;
  made.groups = {GroupPath::parse(kGroup).value()};
  made.artifacts = {trees_[sequence % 2].artifact};
  // By turns also without a delta.
  if (sequence % 4 < 2)
    std::erase_if(made.artifacts.front().packs,
                  [](const auto& pack) { return pack.kind == artifact::PackKind::delta; });
  wire::Container container;
  container.name = "app";
  container.artifact = made.artifacts.front().id;
  container.init = {"/bin/app"};
  container.health.settle_ms = 5;
  container.health.probe = wire::Probe{{"check", is_bad(sequence) ? "bad" : "good"}, 1'000, 5, 1};
  made.containers = {container};
  return made;
}

Bytes Releases::signed_manifest(std::uint64_t sequence) const {
  return trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest(sequence)), release_);
}

Bytes Releases::signed_gate(std::uint64_t sequence, WallMs now) const {
  wire::Gate gate;
  gate.group = GroupPath::parse(kGroup).value();
  gate.product = kProduct;
  gate.manifest = ManifestId(trust::digest(wire::encode_manifest(manifest(sequence))));
  gate.sequence = sequence;
  gate.admitted_bp = 10'000;
  gate.issue = 1;
  gate.fresh = now;
  gate.wave_opened = {kIssued};
  return trust::seal(trust::Kind::gate, wire::encode(gate), gate_);
}

Bytes Releases::signed_root() const {
  trust::RootDocument root;
  for (const auto* each : {&root_, &release_, &gate_}) root.keys.push_back({each->public_key(), "", ""});
  root.roles = {{trust::RoleName::root, 1, {root_.public_key().id()}},
                {trust::RoleName::release, 1, {release_.public_key().id()}},
                {trust::RoleName::gate, 1, {gate_.public_key().id()}}};
  return trust::seal(trust::Kind::root, trust::encode_root(root), root_);
}

}  // namespace instar::powercut
