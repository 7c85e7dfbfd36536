#include "device-client/staging/delta_base.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "device-client/staging/hashing.hpp"

namespace instar::device {

using artifact::Entry;
using artifact::EntryType;

namespace {

// The index was checked in full when it was staged. Here its hash is compared.
constexpr artifact::IndexRules kProvenRules{
    .devices_allowed = true, .hardlinks_looked_up = false, .contents_known = true};

}  // namespace

Result<std::unique_ptr<DeltaBase>> DeltaBase::open(const HeldArtifact& held, StagingLog log) {
  std::unique_ptr<DeltaBase> base(new DeltaBase);
  base->index_path_ = held.folder + "/index";
  base->artifact_ = held.artifact;
  base->log_ = std::move(log);
  INSTAR_TRY(base->tree_, StagingTree::open(held.folder + "/tree"));
  INSTAR_TRY(base->walk_, base->entries());
  return base;
}

Result<std::unique_ptr<IndexStream>> DeltaBase::entries() const {
  return IndexStream::open(index_path_, kProvenRules);
}

Result<bool> DeltaBase::prove(StagingSlice slice) {
  for (; !proven_ && slice.entries > 0 && slice.bytes > 0; --slice.entries) {
    if (!hashing_) {
      INSTAR_TRY(const Entry* entry, walk_->next());
      if (entry == nullptr) {
        if (walk_->id() != artifact_) return fail(Code::corrupt, index_path_ + " does not match its name");
        walk_.reset();
        std::ranges::sort(oddities_, {}, &Oddity::path);
        proven_ = true;
        break;
      }
      if (entry->type != EntryType::file) continue;
      entry_ = *entry;
      auto file = tree_.open_file(entry_->path, false);
      if (!file) {
        INSTAR_CHECK(note("cannot be read any more", true));
        continue;
      }
      const auto metadata = metadata_digest(file->get(), entry_->path, entry_->time.has_value());
      if (!metadata || *metadata != metadata_digest(*entry_))
        INSTAR_CHECK(note("has another mode, owner or xattrs than it had", false));
      hashing_.emplace(std::move(*file));
    }
    const auto digest = hashing_->hash_some(slice.bytes, tree_.shown(entry_->path));
    if (digest && !*digest) return false;
    const bool same = digest && **digest == entry_->content;
    hashing_.reset();
    if (!same) INSTAR_CHECK(note(digest ? "was changed on this device" : "cannot be read any more", true));
  }
  return proven_;
}

Status DeltaBase::note(const std::string& what, bool content) {
  const std::string text = tree_.shown(entry_->path) + " " + what;
  log_(LogLevel::warning,
       text + (content ? ": nothing is made from it" : ": it is copied where it would have been linked"));
  if (content) {
    if (damaged_files_++ == 0) first_damage_ = text;
  }
  oddities_.push_back({path_key(entry_->path), entry_->size, content});
  if (oddities_.size() > limits::kDeltaDamagedMax) {
    return fail(Code::corrupt, first_damage_.empty() ? text
                                                     : first_damage_ + ", and with it over " +
                                                           std::to_string(limits::kDeltaDamagedMax) + " others");
  }
  return {};
}

const DeltaBase::Oddity* DeltaBase::find(std::string_view path) const {
  INSTAR_ASSERT(proven_);
  if (oddities_.empty()) return nullptr;
  const auto [first, last] = std::ranges::equal_range(oddities_, path_key(path), {}, &Oddity::path);
  if (first == last) return nullptr;
  const auto content = std::find_if(first, last, [](const Oddity& oddity) { return oddity.content; });
  return content == last ? &*first : &*content;
}

std::optional<std::uint64_t> DeltaBase::damaged_bytes(std::string_view path) const {
  const Oddity* oddity = find(path);
  if (oddity == nullptr || !oddity->content) return std::nullopt;
  return oddity->bytes;
}

bool DeltaBase::has_true_metadata(std::string_view path) const {
  return find(path) == nullptr;
}

}  // namespace instar::device
