#include "device-client/testing/delta_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"
#include "core/delta/index_delta.hpp"
#include "core/delta/make/maker.hpp"
#include "core/trust/digest.hpp"

namespace instar::device {

DeltaFixture make_delta(const TreeFixture& base, const TreeFixture& fresh) {
  const auto index = delta::make_index_delta(base.entries, fresh.entries);
  EXPECT_TRUE(index) << index.error().message;
  delta::DeltaMaker maker;
  for (const auto& next : index->entries) {
    if (next.from != delta::ContentFrom::decode) continue;
    const bool placed = !next.source.empty();
    auto file = delta::match_file(placed ? base.contents.at(next.source) : Bytes{}, fresh.contents.at(next.entry.path));
    file.control.base = placed ? delta::BaseKind::same_path : delta::BaseKind::none;
    maker.add(file);
  }
  auto made = maker.finish();
  made.header.entry_count = static_cast<std::uint32_t>(fresh.entries.size());
  made.header.index_delta_bytes = static_cast<std::uint32_t>(index->bytes.size());
  return {made.header, index->bytes, made.body};
}

void add_delta(ArtifactFixture& published, const ArtifactFixture& base, const DeltaFixture& made) {
  artifact::PackDirectory directory{artifact::PackKind::delta, published.artifact.id, base.artifact.id, 0, {}};
  std::vector<Bytes> encoded;
  std::vector<artifact::ChunkRef> body;
  std::vector<ChunkHash> hashes;
  for (std::size_t at = 0; at < made.body.size(); at += limits::kDeltaChunkBytes) {
    const auto piece =
        ByteView(made.body).subspan(at, std::min<std::size_t>(limits::kDeltaChunkBytes, made.body.size() - at));
    const auto bytes = static_cast<std::uint32_t>(piece.size());
    body.push_back({ChunkHash(trust::digest(piece)), bytes, bytes, artifact::Codec::raw});
    hashes.push_back(body.back().hash);
  }
  const Bytes head = delta::encode_delta_head(made.header, made.index, hashes);
  constexpr std::size_t kHeadChunkBytes = 200;  // small, so that there are several
  for (std::size_t at = 0; at < head.size(); at += kHeadChunkBytes) {
    const auto piece = ByteView(head).subspan(at, std::min(kHeadChunkBytes, head.size() - at));
    auto chunk = artifact::encode_chunk(piece, 1);
    directory.chunks.push_back({ChunkHash(trust::digest(piece)), static_cast<std::uint32_t>(chunk.bytes.size()),
                                static_cast<std::uint32_t>(piece.size()), chunk.codec});
    encoded.push_back(std::move(chunk.bytes));
  }
  directory.head_count = static_cast<std::uint32_t>(directory.chunks.size());
  std::size_t at = 0;
  for (const auto& ref : body) {
    directory.chunks.push_back(ref);
    encoded.push_back(to_bytes(ByteView(made.body).subspan(at, ref.encoded_bytes)));
    at += ref.encoded_bytes;
  }
  wire::Pack pack;
  pack.kind = artifact::PackKind::delta;
  auto encoded_directory = artifact::encode_directory(directory);
  pack.id = PackId(trust::digest(encoded_directory));
  published.directories[pack.id] = std::move(encoded_directory);
  pack.base = base.artifact.id;
  pack.head.assign(directory.chunks.begin(), directory.chunks.begin() + directory.head_count);
  pack.body_count = static_cast<std::uint32_t>(body.size());
  pack.head_bytes = directory.head_bytes();
  pack.body_bytes = directory.body_bytes();
  pack.memory_bytes = made.header.memory_bytes();
  published.artifact.packs.push_back(pack);
  published.chunks[pack.id] = std::move(encoded);
}

ArtifactFixture published_from(TreeFixture tree, const ArtifactFixture& base) {
  ArtifactFixture published(std::move(tree));
  add_delta(published, base, make_delta(base.tree, published.tree));
  return published;
}

}  // namespace instar::device
