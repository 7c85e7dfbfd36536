#include "broker-plugin/packs.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

KnownPack describe(const artifact::PackDirectory& directory, WallMs now) {
  KnownPack pack;
  pack.kind = directory.kind;
  pack.artifact = directory.artifact;
  pack.base = directory.base;
  pack.chunks = static_cast<std::uint32_t>(directory.chunks.size());
  pack.bytes = directory.head_bytes() + directory.body_bytes();
  pack.used = now;
  return pack;
}

}  // namespace

const char* pack_state_name(PackState state) noexcept {
  switch (state) {
    case PackState::incomplete: return "incomplete";
    case PackState::complete: return "complete";
    case PackState::removing: return "removing";
  }
  return "unknown";
}

bool is_unused(const KnownPack& pack, std::int64_t unused_ms, WallMs now) noexcept {
  const auto since = now - pack.used;
  return since >= unused_ms || since <= -unused_ms;
}

Packs::Packs(storage::Store& store, Commit commit)
    : store_(store),
      commit_(std::move(commit)),
      removal_(store, commit_, [this](const std::vector<PackId>& gone) { removed(gone); }) {}

Status Packs::load(WallMs now) {
  packs_.clear();
  removal_.reset();
  now_ = now;
  // A directory that cannot be read is a pack without chunks: it can be removed.
  INSTAR_CHECK(store_.scan(storage::Column::packs, storage::kDirectoryPrefix, [&](ByteView key, ByteView value) {
    const auto pack = storage::parse_directory_key(key);
    const auto directory = artifact::decode_directory(value);
    if (pack.has_value()) packs_[*pack] = directory.has_value() ? describe(*directory, now) : KnownPack{};
    return true;
  }));
  INSTAR_CHECK(store_.scan(storage::Column::packs, storage::kCompletePrefix, [&](ByteView key, ByteView value) {
    if (const auto pack = storage::parse_complete_key(key)) {
      packs_[*pack].state = PackState::complete;
      packs_[*pack].used = storage::parse_used_value(value);
    }
    return true;
  }));
  INSTAR_CHECK(store_.scan(storage::Column::packs, storage::kRemovingPrefix, [&](ByteView key, ByteView) {
    if (const auto pack = storage::parse_removing_key(key)) packs_[*pack].state = PackState::removing;
    return true;
  }));
  removing_ = removing_count();
  return {};
}

bool Packs::is(const PackId& pack, PackState state) const {
  const auto found = packs_.find(pack);
  return found != packs_.end() && found->second.state == state;
}

std::size_t Packs::complete_count() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(packs_, [](const auto& pack) { return pack.second.state == PackState::complete; }));
}

std::size_t Packs::removing_count() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(packs_, [](const auto& pack) { return pack.second.state == PackState::removing; }));
}

std::uint64_t Packs::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [id, pack] : packs_) sum += pack.state == PackState::removing ? 0 : pack.bytes;
  return sum;
}

void Packs::began(const PackId& pack, const artifact::PackDirectory& directory) {
  INSTAR_ASSERT(!is_removing(pack));
  removal_.keep(directory);
  packs_[pack] = describe(directory, now_);
}

Bytes Packs::complete_value() const {
  return storage::used_value(now_);
}

void Packs::completed(const PackId& pack) {
  const auto found = packs_.find(pack);
  if (found == packs_.end() || found->second.state == PackState::removing) return;
  found->second.state = PackState::complete;
  found->second.used = now_;
}

void Packs::served(const PackId& pack) {
  const auto found = packs_.find(pack);
  if (found == packs_.end() || found->second.state != PackState::complete) return;
  if (!is_unused(found->second, limits::kPackUsedMs, now_)) return;
  found->second.used = now_;
  commit_({{storage::Column::packs, storage::complete_key(pack), storage::used_value(now_)}}, [] {});
}

// The marks are durable before a chunk goes: what a crash interrupts is found by them.
void Packs::remove(const std::vector<PackId>& packs) {
  storage::Batch batch;
  for (const auto& pack : packs) {
    const auto found = packs_.find(pack);
    if (found == packs_.end() || found->second.state == PackState::removing) continue;
    found->second.state = PackState::removing;
    ++removing_;
    batch.push_back({storage::Column::packs, storage::removing_key(pack), Bytes{}});
    batch.push_back({storage::Column::packs, storage::complete_key(pack), std::nullopt});
  }
  if (!batch.empty()) commit_(std::move(batch), [] {});
}

void Packs::tick(WallMs now) {
  now_ = now;
  if (removing_ > 0 && removal_.is_idle()) begin_removal();
}

// As many together as memory allows: what stays is compared with all of them in one go.
void Packs::begin_removal() {
  std::vector<PackId> going;
  std::vector<PackId> staying;
  std::size_t chunks = 0;
  for (const auto& [id, pack] : packs_) {
    if (pack.state != PackState::removing) {
      staying.push_back(id);
    } else if (going.empty() || chunks + pack.chunks <= limits::kRemovalChunksMax) {
      chunks += pack.chunks;
      going.push_back(id);
    }
  }
  INSTAR_ASSERT(!going.empty());
  removal_.begin(std::move(going), std::move(staying));
}

void Packs::removed(const std::vector<PackId>& gone) {
  for (const auto& pack : gone) {
    INSTAR_ASSERT(is_removing(pack) && removing_ > 0);
    packs_.erase(pack);
    --removing_;
  }
  if (removing_ == 0) store_.reclaim();
}

void Packs::assert_invariants() const {
  removal_.assert_invariants();
  INSTAR_ASSERT(removing_ == removing_count());
  INSTAR_ASSERT(removal_.is_idle() || removing_ > 0);
}

}  // namespace instar::broker
