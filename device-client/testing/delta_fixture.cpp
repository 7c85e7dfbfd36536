#include "device-client/testing/delta_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"
#include "core/delta/index_delta.hpp"
#include "core/delta/make/image_plan.hpp"
#include "core/delta/make/maker.hpp"
#include "core/trust/digest.hpp"

namespace instar::device {
namespace {

// As the publisher does, but each part is compared with the base's file of its path only.
void add_image(delta::DeltaMaker& maker, const Bytes& old, const Bytes& now) {
  const auto old_map = delta::map_squashfs(old);
  auto now_map = delta::map_squashfs(now);
  ASSERT_TRUE(old_map && now_map);
  const auto plan = delta::plan_image(old, *old_map, now, *now_map, [](std::size_t count, const auto& run) {
    for (std::size_t i = 0; i < count; ++i) run(i);
  });
  ASSERT_TRUE(plan);
  delta::FileControl control;
  control.base = delta::BaseKind::same_path;
  control.is_blocks = true;
  control.blocks = plan->head;
  maker.begin_blocks(control, now.size(), (now.size() + 4095) / 4096);
  for (const delta::PlannedPart& part : plan->parts) {
    delta::PartControl made;
    made.spec = part.spec;
    made.extents = part.extents;
    Bytes base;
    if (part.is_exact) {
      base.resize(static_cast<std::size_t>(part.content_bytes));
    } else if (const auto at = std::ranges::find(old_map->files, part.path, &delta::ImageFile::path);
               at != old_map->files.end()) {
      base = delta::unpack_runs(old, *old_map, at->runs).value();
      made.extents = plan->old_files[static_cast<std::size_t>(at - old_map->files.begin())];
    }
    const Bytes content = part.is_exact ? base : delta::unpack_runs(now, *now_map, part.runs).value();
    const auto matched = delta::match_file(base, content);
    made.file = matched.control;
    made.file.base = base.empty() ? delta::BaseKind::none : delta::BaseKind::same_path;
    maker.add_part(made, matched, part.steps);
  }
}

}  // namespace

DeltaFixture make_delta(const TreeFixture& base, const TreeFixture& fresh) {
  const auto index = delta::make_index_delta(base.entries, fresh.entries);
  EXPECT_TRUE(index) << index.error().message;
  delta::DeltaMaker maker;
  for (const auto& next : index->entries) {
    if (next.from != delta::ContentFrom::decode) continue;
    const bool placed = !next.source.empty();
    const Bytes& now = fresh.contents.at(next.entry.path);
    if (placed && delta::map_squashfs(now)) {
      add_image(maker, base.contents.at(next.source), now);
      continue;
    }
    auto file = delta::match_file(placed ? base.contents.at(next.source) : Bytes{}, now);
    file.control.base = placed ? delta::BaseKind::same_path : delta::BaseKind::none;
    maker.add(file);
  }
  auto made = maker.finish();
  made.header.entry_count = static_cast<std::uint32_t>(fresh.entries.size());
  made.header.index_delta_bytes = static_cast<std::uint32_t>(index->bytes.size());
  return {made.header, index->bytes, made.body};
}

DeltaFixture make_unlike_delta(const TreeFixture& base, const TreeFixture& fresh) {
  const auto index = delta::make_index_delta(base.entries, fresh.entries);
  EXPECT_TRUE(index) << index.error().message;
  const auto old_bytes = static_cast<std::uint32_t>(base.contents.at("image").size());
  const Bytes content(1'000, 'x');
  delta::FileControl control;
  control.base = delta::BaseKind::same_path;
  control.is_blocks = true;
  control.blocks.block_bytes = 65'536;
  control.blocks.specs = {delta::BlockSpec{}};
  EXPECT_TRUE(control.blocks.old.add({old_bytes, old_bytes}));
  control.blocks.part_count = 1;
  delta::DeltaMaker maker;
  maker.begin_blocks(control, content.size(), 1);
  maker.add_part({}, delta::match_file({}, content), {{delta::BlockStepKind::block, 500, 1'000, 0}});
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
  pack.format = made.header.format();
  published.artifact.packs.push_back(pack);
  published.chunks[pack.id] = std::move(encoded);
}

ArtifactFixture published_from(TreeFixture tree, const ArtifactFixture& base) {
  ArtifactFixture published(std::move(tree));
  add_delta(published, base, make_delta(base.tree, published.tree));
  return published;
}

}  // namespace instar::device
