#include "broker-plugin/pack_removal.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {

PackRemoval::PackRemoval(storage::Store& store, Commit commit, Ended ended)
    : store_(store),
      commit_(std::move(commit)),
      ended_(std::move(ended)),
      self_(std::make_shared<PackRemoval*>(this)) {}

std::function<void()> PackRemoval::in_round(void (PackRemoval::*act)()) {
  return [act, round = round_, self = std::weak_ptr(self_)] {
    const auto removal = self.lock();
    if (removal != nullptr && (*removal)->round_ == round) ((*removal)->*act)();
  };
}

void PackRemoval::begin(std::vector<PackId> going, std::vector<PackId> staying) {
  INSTAR_ASSERT(is_idle() && !going.empty());
  ++round_;
  phase_ = Phase::reading;
  going_ = std::move(going);
  staying_ = std::move(staying);
  next_ = 0;
  // A read shows what is durable: directories that were given to the store just now are to be among it.
  commit_({}, in_round(&PackRemoval::read_next));
}

void PackRemoval::read_next() {
  if (phase_ == Phase::reading && next_ == going_.size()) {
    sort_chunks();
    phase_ = Phase::comparing;
    next_ = 0;
  }
  if (phase_ == Phase::comparing && next_ == staying_.size()) {
    phase_ = Phase::deleting;
    next_ = 0;
    return delete_next();
  }
  const auto& pack = (phase_ == Phase::reading ? going_ : staying_)[next_];
  store_.read(storage::Column::packs, storage::directory_key(pack),
              [round = round_, self = std::weak_ptr(self_)](const Result<std::optional<Bytes>>& directory) {
                const auto removal = self.lock();
                if (removal != nullptr && (*removal)->round_ == round) (*removal)->take(directory);
              });
}

void PackRemoval::take(const Result<std::optional<Bytes>>& directory) {
  if (!directory.has_value()) return end_round();
  // One that is damaged serves nobody, and one that is not there lists nothing.
  if (directory->has_value()) {
    if (const auto pack = artifact::decode_directory(**directory); pack.has_value() && phase_ == Phase::comparing) {
      keep(*pack);
    } else if (pack.has_value()) {
      for (const auto& ref : pack->chunks) chunks_.push_back({{ref.hash, ref.encoded_bytes}, false});
    }
  }
  ++next_;
  read_next();
}

void PackRemoval::sort_chunks() {
  std::ranges::sort(chunks_, {}, &Chunk::key);
  const auto same = [](const Chunk& a, const Chunk& b) { return a.key == b.key; };
  chunks_.erase(std::unique(chunks_.begin(), chunks_.end(), same), chunks_.end());
  for (const auto& key : keeps_) mark(key);
  keeps_.clear();
}

void PackRemoval::mark(const ChunkKey& key) {
  const auto found = std::ranges::lower_bound(chunks_, key, {}, &Chunk::key);
  if (found != chunks_.end() && found->key == key) found->stays = true;
}

void PackRemoval::keep(const artifact::PackDirectory& directory) {
  if (is_idle()) return;
  for (const auto& ref : directory.chunks) {
    if (phase_ == Phase::reading) {
      keeps_.emplace_back(ref.hash, ref.encoded_bytes);
    } else {
      mark({ref.hash, ref.encoded_bytes});
    }
  }
}

void PackRemoval::delete_next() {
  storage::Batch batch;
  while (next_ < chunks_.size() && batch.size() < limits::kRemovalSliceMax) {
    const auto& chunk = chunks_[next_++];
    if (chunk.stays) continue;
    batch.push_back({storage::Column::chunks, storage::chunk_key(chunk.key.first, chunk.key.second), std::nullopt});
  }
  if (next_ < chunks_.size()) return commit_(std::move(batch), in_round(&PackRemoval::delete_next));
  // The mark goes with the last chunks: before that, a crash begins all of it again.
  for (const auto& pack : going_) {
    batch.push_back({storage::Column::packs, storage::directory_key(pack), std::nullopt});
    batch.push_back({storage::Column::packs, storage::removing_key(pack), std::nullopt});
  }
  commit_(std::move(batch), [round = round_, self = std::weak_ptr(self_)] {
    const auto removal = self.lock();
    if (removal == nullptr || (*removal)->round_ != round) return;
    const auto gone = std::move((*removal)->going_);
    (*removal)->end_round();
    (*removal)->ended_(gone);
  });
}

void PackRemoval::end_round() {
  ++round_;
  phase_ = Phase::idle;
  going_.clear();
  staying_ = {};
  chunks_ = {};
  keeps_ = {};
  next_ = 0;
}

void PackRemoval::reset() {
  end_round();
}

void PackRemoval::assert_invariants() const {
  INSTAR_ASSERT(is_idle() == going_.empty());
  INSTAR_ASSERT(phase_ != Phase::deleting || next_ <= chunks_.size());
  INSTAR_ASSERT(phase_ == Phase::reading || keeps_.empty());
}

}  // namespace instar::broker
