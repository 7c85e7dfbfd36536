// For tests: trees in memory, and artifacts made from them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/wire/manifest.hpp"

namespace instar::device {

// The same bytes on any machine. They compress a little.
Bytes noise(std::size_t size, std::uint64_t seed);

// A tree as entries and contents. Paths must be added in index order.
struct TreeFixture {
  std::vector<artifact::Entry> entries;
  std::map<std::string, Bytes> contents;

  TreeFixture();
  // The tree of an image whose file has this content.
  static TreeFixture image(const Bytes& content);

  artifact::Entry& add(std::string path, artifact::EntryType type);
  artifact::Entry& folder(const std::string& path, std::uint16_t mode = 0755);
  artifact::Entry& file(const std::string& path, const Bytes& content, std::uint16_t mode = 0644);
  artifact::Entry& symlink(const std::string& path, const std::string& target);
  artifact::Entry& hardlink(const std::string& path, const std::string& target);
};

// An artifact with its full pack and its dedupe pack, as at a broker.
struct ArtifactFixture : artifact::ContentSource, artifact::PackSink {
  TreeFixture tree;
  wire::Artifact artifact;
  Bytes index;
  std::map<PackId, std::vector<Bytes>> chunks;  // encoded, by ordinal
  std::map<PackId, Bytes> directories;

  explicit ArtifactFixture(TreeFixture of);
  // Makes an artifact with an index that no writer would make.
  ArtifactFixture(TreeFixture of, Bytes raw_index);

  [[nodiscard]] const wire::Pack& pack(artifact::PackKind kind) const;
  // The manifest says that it is an image, whatever it is.
  ArtifactFixture& as_image();

  Result<std::size_t> read(const artifact::Entry& entry, std::uint64_t offset, std::span<std::uint8_t> out) override;
  Status put(bool head, std::uint32_t ordinal, const artifact::ChunkRef& ref, ByteView encoded) override;

 private:
  void publish(const ArtifactId& id);

  std::vector<Bytes> head_;
  std::vector<Bytes> body_;
};

}  // namespace instar::device
