#include "tests/sim/releases.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/trust/digest.hpp"

namespace instar::sim {
namespace {

class MemorySource final : public artifact::ContentSource {
 public:
  std::map<std::string, const Bytes*> files;
  Result<std::size_t> read(const artifact::Entry& entry, std::uint64_t offset, std::span<std::uint8_t> out) override {
    const auto& content = *files.at(entry.path);
    const auto count = std::min<std::size_t>(out.size(), content.size() - offset);
    std::memcpy(out.data(), content.data() + offset, count);
    return count;
  }
};

class MemorySink final : public artifact::PackSink {
 public:
  std::vector<Bytes> head;
  std::vector<Bytes> body;
  Status put(bool is_head, std::uint32_t ordinal, const artifact::ChunkRef&, ByteView encoded) override {
    auto& chunks = is_head ? head : body;
    INSTAR_ASSERT(ordinal == chunks.size());
    chunks.push_back(to_bytes(encoded));
    return {};
  }
};

trust::SecretKey key_of(std::uint8_t fill) {
  return *trust::SecretKey::from_seed(Bytes(32, fill));
}

}  // namespace

std::string nature_name(Nature nature) {
  switch (nature) {
    case Nature::good: return "good";
    case Nature::probe_fails: return "probe fails";
    case Nature::does_not_start: return "does not start";
    case Nature::stops: return "stops";
    case Nature::cuts_link: return "cuts the link";
  }
  return "";
}

Keys make_keys() {
  Keys keys{key_of(1), key_of(2), key_of(3), {}};
  trust::RootDocument root;
  root.issued = kRootIssued;
  const auto add = [&](const trust::SecretKey& key, trust::RoleName role) {
    root.keys.push_back({key.public_key(), "", ""});
    root.roles.push_back({role, 1, {key.public_key().id()}});
  };
  add(keys.root, trust::RoleName::root);
  add(keys.release, trust::RoleName::release);
  add(keys.gate, trust::RoleName::gate);
  keys.pinned_root = trust::seal(trust::Kind::root, trust::encode_root(root), keys.root);
  return keys;
}

ReleaseMaker::ReleaseMaker(Random& random, const Keys& keys) : random_(random), keys_(keys) {
  for (int i = 0; i < 6; ++i) {
    files_.push_back(
        {"file-" + std::to_string(i), random_.noise(static_cast<std::size_t>(random_.between(1'000, 120'000)))});
  }
}

void ReleaseMaker::add_delta(const ArtifactId& base, const Bytes& index, const Bytes& changed, wire::Artifact& artifact,
                             Release& release) const {
  constexpr std::size_t kChunkBytes = 16 * 1024;
  ReleasePack made{{artifact::PackKind::delta, artifact.id, base, 1, {}}, {}, {}};
  std::vector<artifact::ChunkRef> body;
  for (std::size_t at = 0; at < changed.size(); at += kChunkBytes) {
    const auto piece = ByteView(changed).subspan(at, std::min(kChunkBytes, changed.size() - at));
    const auto bytes = static_cast<std::uint32_t>(piece.size());
    body.push_back({ChunkHash(trust::digest(piece)), bytes, bytes, artifact::Codec::raw});
    made.encoded.push_back(to_bytes(piece));
  }
  Bytes head = index;
  const auto table = artifact::encode_body_table(body);
  head.insert(head.end(), table.begin(), table.end());
  const auto head_bytes = static_cast<std::uint32_t>(head.size());
  made.directory.chunks.push_back({ChunkHash(trust::digest(head)), head_bytes, head_bytes, artifact::Codec::raw});
  made.encoded.insert(made.encoded.begin(), std::move(head));
  made.directory.chunks.insert(made.directory.chunks.end(), body.begin(), body.end());
  made.bytes = artifact::encode_directory(made.directory);
  wire::Pack pack;
  pack.kind = artifact::PackKind::delta;
  pack.id = PackId(trust::digest(made.bytes));
  pack.base = base;
  pack.head.push_back(made.directory.chunks.front());
  pack.body_count = static_cast<std::uint32_t>(body.size());
  pack.head_bytes = made.directory.head_bytes();
  pack.body_bytes = made.directory.body_bytes();
  artifact.packs.push_back(pack);
  release.packs[pack.id] = std::move(made);
}

Release ReleaseMaker::make(Nature nature, std::vector<GroupPath> groups, wire::Policy policy, ReleaseDates dates,
                           std::string product) {
  auto& changed = files_[random_.below(files_.size())];
  changed.content = random_.noise(static_cast<std::size_t>(random_.between(1'000, 120'000)));
  std::vector<artifact::Entry> entries(1);
  entries[0].type = artifact::EntryType::directory;
  entries[0].mode = 0755;
  MemorySource source;
  for (const auto& file : files_) {
    artifact::Entry entry;
    entry.path = file.path;
    entry.size = file.content.size();
    entry.content = trust::digest(file.content);
    entries.push_back(entry);
    source.files[file.path] = &file.content;
  }
  Bytes index;
  artifact::IndexWriter writer(index);
  for (const auto& entry : entries) INSTAR_ASSERT(writer.append(entry).has_value());
  wire::Artifact artifact;
  artifact.id = *writer.finish();
  artifact.entry_count = static_cast<std::uint32_t>(entries.size());
  artifact.index_bytes = static_cast<std::uint32_t>(index.size());
  for (const auto& file : files_) artifact.content_bytes += file.content.size();

  Release release;
  release.nature = nature;
  for (const auto kind : {artifact::PackKind::full, artifact::PackKind::dedupe}) {
    MemorySink sink;
    artifact::PackOptions options;
    options.kind = kind;
    options.level = 1;
    const auto directory = artifact::make_pack(index, entries, source, sink, options);
    INSTAR_ASSERT(directory.has_value());
    ReleasePack made{*directory, artifact::encode_directory(*directory), std::move(sink.head)};
    made.encoded.insert(made.encoded.end(), sink.body.begin(), sink.body.end());
    wire::Pack pack;
    pack.kind = kind;
    pack.id = PackId(trust::digest(made.bytes));
    pack.head.assign(directory->chunks.begin(), directory->chunks.begin() + directory->head_count);
    pack.body_count = static_cast<std::uint32_t>(directory->chunks.size()) - directory->head_count;
    pack.head_bytes = directory->head_bytes();
    pack.body_bytes = directory->body_bytes();
    artifact.packs.push_back(pack);
    release.packs[pack.id] = std::move(made);
  }
  // From the release before, and sometimes from the one before that.
  for (std::size_t back = 1; back <= std::min<std::size_t>(artifacts_.size(), random_.chance(5'000) ? 2 : 1); ++back) {
    add_delta(artifacts_[artifacts_.size() - back], index, changed.content, artifact, release);
  }
  artifacts_.push_back(artifact.id);
  auto& manifest = release.manifest;
  manifest.product = std::move(product);
  manifest.sequence = ++sequence_;
  manifest.release = "r" + std::to_string(sequence_);
  manifest.issued = dates.issued;
  manifest.expires = dates.expires;
  manifest.groups = std::move(groups);
  wire::Container container;
  container.name = "app";
  container.artifact = artifact.id;
  container.health.settle_ms = static_cast<std::uint32_t>(random_.between(1'000, 15'000));
  container.health.probe = wire::Probe{{"/bin/check"}, 2'000, 1'000, 3};
  manifest.artifacts = {std::move(artifact)};
  manifest.containers = {std::move(container)};
  manifest.policy = std::move(policy);
  manifest.policy.salt = to_bytes(manifest.release);
  const auto payload = wire::encode_manifest(manifest);
  release.rollout = ManifestId(trust::digest(payload));
  release.envelope = trust::seal(trust::Kind::manifest, payload, keys_.release);
  return release;
}

}  // namespace instar::sim
