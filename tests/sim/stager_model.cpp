#include "tests/sim/stager_model.hpp"

#include <algorithm>

#include "core/artifact/codec.hpp"

namespace instar::sim {
namespace {

constexpr std::uint64_t kPermilleOfWear = 10;  // chunks in ten thousand that arrive broken while faults are on
// Deltas in ten thousand whose base has been written to, and that make another tree than they should.
constexpr std::uint64_t kDamagedBases = 2'000;
constexpr std::uint64_t kWrongDeltas = 500;

}  // namespace

void StagerModel::reset() {
  revision_ = 0;
  packs_.clear();
  half_of_.reset();
  half_.clear();
}

void StagerModel::open(const revision::OpenStaging& what) {
  reset();
  revision_ = what.revision;
  bases_ = what.bases;
  auto& folder = disk_.revisions[revision_];
  folder.manifest = what.manifest;
  for (const auto& choice : what.choices) {
    const auto* artifact = what.manifest.artifact(choice.artifact);
    const auto pack = std::ranges::find(artifact->packs, choice.pack, &wire::Pack::id);
    if (pack->kind == artifact::PackKind::delta && !has_base(*pack)) {
      tell_unusable(1, pack->id, 0, true);
      continue;
    }
    packs_[choice.pack] = OpenPack{*pack, artifact->id, artifact->index_bytes, false, {}};
    auto& open = packs_[choice.pack];
    if (folder.packs[choice.pack].head.size() == open.pack.head.size()) read_head(open);
    tell_wants(open);
  }
}

bool StagerModel::has_base(const wire::Pack& pack) const {
  return std::ranges::any_of(bases_, [&](std::uint32_t base) {
    const auto found = disk_.revisions.find(base);
    return found != disk_.revisions.end() && found->second.staged &&
           found->second.manifest.artifact(pack.base) != nullptr;
  });
}

// Decided once for a revision: what is wrong with a base, or with a pack, stays so.
DeltaFate StagerModel::fate_of(const wire::Pack& pack) {
  if (pack.kind != artifact::PackKind::delta) return DeltaFate::works;
  auto& deltas = disk_.revisions[revision_].deltas;
  const auto known = deltas.find(pack.id);
  if (known != deltas.end()) return known->second;
  auto fate = DeltaFate::works;
  if (world_.faults && world_.random.chance(kWrongDeltas)) fate = DeltaFate::is_wrong;
  if (world_.faults && world_.random.chance(kDamagedBases)) fate = DeltaFate::lacks_files;
  return deltas[pack.id] = fate;
}

void StagerModel::tell_unusable(std::int64_t ms, const PackId& pack, std::uint32_t files, bool now) {
  world_.note("a delta falls short by " + (files == 0 ? std::string("everything") : std::to_string(files) + " files"));
  tell_(ms, revision::PackUnusable{
                revision_, pack, Error{Code::corrupt, "the base is not what it was"}, {files, files * 1'000}, now});
}

// Of a tree that a delta has made, for the most part, three chunks in four are found.
bool StagerModel::is_there(const artifact::ChunkRef& ref) const {
  return disk_.revisions.at(revision_).made_by_delta && ref.hash.bytes[0] % 4 != 0;
}

bool StagerModel::is_held(const Hash256& content) const {
  return std::ranges::any_of(bases_, [&](std::uint32_t base) {
    const auto found = disk_.revisions.find(base);
    return found != disk_.revisions.end() && std::ranges::any_of(found->second.packs, [&](const auto& entry) {
             return entry.second.contents.contains(content);
           });
  });
}

void StagerModel::tell_wants(const OpenPack& open) {
  const auto& have = disk_.revisions[revision_].packs[open.pack.id];
  revision::StagingWants wants{revision_, open.pack.id, {}, {}, 0, open.head_read};
  const auto add = [&](std::uint32_t ordinal, std::uint32_t bytes) {
    wants.ranges.push_back({ordinal, 1, 0});
    wants.chunk_bytes.push_back(bytes);
    wants.bytes_wanted += bytes;
  };
  const auto heads = static_cast<std::uint32_t>(open.pack.head.size());
  for (std::uint32_t i = 0; i < heads; ++i) {
    if (!have.head.contains(i)) add(i, open.pack.head[i].encoded_bytes);
  }
  for (std::uint32_t i = 0; i < open.body.size(); ++i) {
    if (have.body.contains(heads + i) || is_held(open.body[i].hash) || is_there(open.body[i])) continue;
    add(heads + i, open.body[i].encoded_bytes);
  }
  const auto ms = world_.random.between(1, 50);
  if (open.head_read && fate_of(open.pack) == DeltaFate::lacks_files) tell_unusable(ms, open.pack.id, 2, false);
  tell_(ms, wants);
}

void StagerModel::read_head(OpenPack& open) {
  open.body.clear();
  artifact::PackHeadReader reader(
      open.index_bytes, [](const artifact::Entry&) -> Status { return {}; },
      [&](const artifact::BodyChunk& chunk) -> Status {
        open.body.push_back(chunk.ref);
        return {};
      });
  for (const auto& [ordinal, bytes] : disk_.revisions[revision_].packs[open.pack.id].head) {
    if (auto fed = reader.feed(bytes); !fed)
      return world_.found("a head that was signed cannot be read: " + fed.error().message);
  }
  const auto id = reader.finish();
  if (!id || *id != open.artifact) return world_.found("a head that was signed has another artifact in it");
  open.head_read = true;
}

const artifact::ChunkRef* StagerModel::ref_of(const OpenPack& open, std::uint32_t ordinal) const {
  const auto heads = open.pack.head.size();
  if (ordinal < heads) return &open.pack.head[ordinal];
  return ordinal - heads < open.body.size() ? &open.body[ordinal - heads] : nullptr;
}

void StagerModel::piece(const revision::StagePiece& piece) {
  if (piece.revision != revision_) return world_.found("a piece for a staging that is not open");
  const auto found = packs_.find(piece.pack);
  const auto* ref = found == packs_.end() ? nullptr : ref_of(found->second, piece.ordinal);
  if (ref == nullptr) return world_.found("a piece of a chunk that was not wanted");
  const std::pair key{piece.pack, piece.ordinal};
  if (piece.offset == 0) {
    half_of_ = key;
    half_.clear();
  }
  if (half_of_ != key || half_.size() != piece.offset) return world_.found("pieces of a chunk do not come in order");
  half_.insert(half_.end(), piece.data.begin(), piece.data.end());
  if (half_.size() < ref->encoded_bytes) return;
  half_of_.reset();
  if (world_.faults && world_.random.chance(kPermilleOfWear)) half_[world_.random.below(half_.size())] ^= 1;
  auto decoded = artifact::decode_chunk(*ref, half_);
  if (!decoded) return tell_(1, revision::ChunkRefused{revision_, piece.pack, piece.ordinal, decoded.error()});
  // Written; durable when the next sync has been.
  later_(world_.random.between(1, 900), [this, piece_pack = piece.pack, ordinal = piece.ordinal, revision = revision_,
                                         bytes = ref->encoded_bytes, content = std::move(*decoded)]() mutable {
    if (revision == revision_) sync(piece_pack, ordinal, std::move(content), bytes);
  });
}

void StagerModel::sync(const PackId& pack, std::uint32_t ordinal, Bytes decoded, std::uint32_t encoded_bytes) {
  const auto found = packs_.find(pack);
  if (found == packs_.end()) return;
  auto& open = found->second;
  auto& have = disk_.revisions[revision_].packs[pack];
  if (ordinal < open.pack.head.size()) {
    have.head[ordinal] = std::move(decoded);
  } else {
    have.body.insert(ordinal);
    have.contents.insert(ref_of(open, ordinal)->hash);
  }
  durable_(encoded_bytes);
  tell_(0, revision::ChunkDurable{revision_, pack, ordinal, encoded_bytes});
  if (!open.head_read && have.head.size() == open.pack.head.size()) {
    read_head(open);
    tell_wants(open);
  }
}

void StagerModel::remove(std::uint32_t revision) {
  if (revision == revision_) reset();
  disk_.revisions.erase(revision);
}

void StagerModel::finish(std::uint32_t revision) {
  if (revision != revision_) return world_.found("a staging is to be finished that is not open");
  auto& folder = disk_.revisions[revision_];
  for (auto& [id, open] : packs_) {
    auto& have = folder.packs[id];
    if (!open.head_read) return world_.found("a staging is to be finished whose head is not there");
    for (std::uint32_t i = 0; i < open.body.size(); ++i) {
      const auto ordinal = static_cast<std::uint32_t>(open.pack.head.size()) + i;
      if (!have.body.contains(ordinal) && !is_held(open.body[i].hash) && !is_there(open.body[i]))
        return world_.found("a staging is to be finished that lacks a chunk");
    }
    const auto fate = fate_of(open.pack);
    if (fate == DeltaFate::works) continue;
    return later_(world_.random.between(10, 400), [this, revision, pack = id, fate] {
      if (revision != revision_) return;
      disk_.revisions[revision_].made_by_delta = fate == DeltaFate::lacks_files;
      tell_unusable(0, pack, fate == DeltaFate::lacks_files ? 2 : 0, true);
    });
  }
  later_(world_.random.between(10, 400), [this, revision] {
    if (revision != revision_) return;
    auto& staged = disk_.revisions[revision_];
    for (auto& [id, open] : packs_) {
      for (const auto& ref : open.body) staged.packs[id].contents.insert(ref.hash);
    }
    staged.staged = true;
    tell_(0, revision::StagingDone{revision});
  });
}

}  // namespace instar::sim
