#include "device-client/testing/artifact_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/artifact/holes.hpp"
#include "core/trust/digest.hpp"

namespace instar::device {

Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (auto& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<std::uint8_t>((state >> 56) & 0x7f);
  }
  return bytes;
}

TreeFixture::TreeFixture() {
  folder("");
}

TreeFixture TreeFixture::image(const Bytes& content) {
  TreeFixture tree;
  tree.file("image", content);
  return tree;
}

artifact::Entry& TreeFixture::add(std::string path, artifact::EntryType type) {
  artifact::Entry entry;
  entry.path = std::move(path);
  entry.type = type;
  entries.push_back(entry);
  return entries.back();
}

artifact::Entry& TreeFixture::folder(const std::string& path, std::uint16_t mode) {
  auto& entry = add(path, artifact::EntryType::directory);
  entry.mode = mode;
  return entry;
}

artifact::Entry& TreeFixture::file(const std::string& path, const Bytes& content, std::uint16_t mode) {
  auto& entry = add(path, artifact::EntryType::file);
  entry.mode = mode;
  entry.size = content.size();
  entry.content = trust::digest(content);
  contents[path] = content;
  return entry;
}

artifact::Entry& TreeFixture::symlink(const std::string& path, const std::string& target) {
  auto& entry = add(path, artifact::EntryType::symlink);
  entry.target = target;
  return entry;
}

artifact::Entry& TreeFixture::hardlink(const std::string& path, const std::string& target) {
  auto& entry = add(path, artifact::EntryType::hardlink);
  entry.target = target;
  return entry;
}

ArtifactFixture::ArtifactFixture(TreeFixture of) : tree(std::move(of)) {
  artifact::IndexWriter writer(index, {.devices_allowed = true});
  for (const auto& entry : tree.entries) {
    const auto status = writer.append(entry);
    EXPECT_TRUE(status) << status.error().message;
  }
  const auto id = writer.finish();
  EXPECT_TRUE(id);
  publish(*id);
}

ArtifactFixture::ArtifactFixture(TreeFixture of, Bytes raw_index) : tree(std::move(of)), index(std::move(raw_index)) {
  publish(ArtifactId(trust::digest(index)));
}

const wire::Pack& ArtifactFixture::pack(artifact::PackKind kind) const {
  const auto found = std::ranges::find(artifact.packs, kind, &wire::Pack::kind);
  EXPECT_NE(found, artifact.packs.end());
  return *found;
}

ArtifactFixture& ArtifactFixture::as_image() {
  artifact.kind = wire::ArtifactKind::image;
  artifact.image_format = wire::ImageFormat::squashfs;
  return *this;
}

Result<std::size_t> ArtifactFixture::read(const artifact::Entry& entry, std::uint64_t offset,
                                          std::span<std::uint8_t> out) {
  const Bytes& content = tree.contents.at(entry.path);
  const std::size_t count = std::min<std::size_t>(out.size(), content.size() - offset);
  std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
  return count;
}

Status ArtifactFixture::put(bool head, std::uint32_t, const artifact::ChunkRef&, ByteView encoded) {
  (head ? head_ : body_).push_back(to_bytes(encoded));
  return {};
}

void ArtifactFixture::publish(const ArtifactId& id) {
  artifact.id = id;
  artifact.index_bytes = static_cast<std::uint32_t>(index.size());
  artifact.entry_count = static_cast<std::uint32_t>(tree.entries.size());
  for (const auto& file : artifact::stream_files(tree.entries)) artifact.content_bytes += file.size;
  for (const auto kind : {artifact::PackKind::full, artifact::PackKind::dedupe}) {
    head_.clear();
    body_.clear();
    const auto directory =
        artifact::make_pack(index, tree.entries, *this, *this, {.kind = kind, .level = 1, .progress = {}});
    EXPECT_TRUE(directory);
    wire::Pack pack;
    pack.kind = kind;
    auto encoded = artifact::encode_directory(*directory);
    pack.id = PackId(trust::digest(encoded));
    directories[pack.id] = std::move(encoded);
    pack.head.assign(directory->chunks.begin(), directory->chunks.begin() + directory->head_count);
    pack.body_count = static_cast<std::uint32_t>(body_.size());
    pack.head_bytes = directory->head_bytes();
    pack.body_bytes = directory->body_bytes();
    std::uint64_t zeros = 0;
    for (std::size_t i = directory->head_count; i < directory->chunks.size(); ++i)
      zeros += artifact::ZeroChunks().contains(directory->chunks[i]) ? directory->chunks[i].decoded_bytes : 0;
    artifact.hole_bytes = std::max(artifact.hole_bytes, zeros);
    artifact.packs.push_back(pack);
    auto& all = chunks[pack.id];
    all = head_;
    all.insert(all.end(), body_.begin(), body_.end());
  }
}

}  // namespace instar::device
