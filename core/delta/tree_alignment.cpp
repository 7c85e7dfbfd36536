#include "core/delta/tree_alignment.hpp"

#include <algorithm>

#include "core/artifact/entry_fields.hpp"
#include "core/base/assert.hpp"
#include "core/delta/index_delta_form.hpp"
#include "core/delta/path_edits.hpp"

namespace instar::delta {
namespace {

using artifact::Entry;
using artifact::EntryType;
using Numbers = std::vector<std::uint32_t>;

// How many entries without a match are compared each with each. This bounds the work to 16,000 comparisons per block.
constexpr std::size_t kBlockEntries = 128;
// How many children are compared to decide whether two folders are the same.
constexpr std::size_t kChildrenCompared = 64;

class Tree {
 public:
  explicit Tree(std::span<const Entry> entries) : entries_(entries), ends_(entries.size()) {
    Numbers open;
    const auto close_until = [&](std::uint32_t at, auto stays) {
      while (!open.empty() && !stays(entries_[open.back()].path)) {
        ends_[open.back()] = at;
        open.pop_back();
      }
    };
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
      const std::string_view parent = parent_of(entries_[i].path);
      close_until(i, [&](std::string_view folder) { return i > 0 && folder == parent; });
      ends_[i] = i + 1;
      if (entries_[i].type == EntryType::directory) open.push_back(i);
    }
    close_until(static_cast<std::uint32_t>(entries_.size()), [](std::string_view) { return false; });
  }

  [[nodiscard]] const Entry& entry(std::uint32_t i) const { return entries_[i]; }
  [[nodiscard]] std::string_view name(std::uint32_t i) const { return name_of(entries_[i].path); }
  // The number after those of the entry and all below it.
  [[nodiscard]] std::uint32_t end(std::uint32_t i) const { return ends_[i]; }
  [[nodiscard]] Numbers children(std::uint32_t folder, std::size_t count_max) const {
    Numbers found;
    for (std::uint32_t i = folder + 1; i < ends_[folder] && found.size() < count_max; i = ends_[i]) found.push_back(i);
    return found;
  }

 private:
  std::span<const Entry> entries_;
  Numbers ends_;
};

class Aligner {
 public:
  Aligner(std::span<const Entry> base, std::span<const Entry> fresh) : base_(base), fresh_(fresh) {}

  std::vector<Place> align() {
    pair(0, 0);
    return std::move(places_);
  }

 private:
  void pair(std::uint32_t base, std::uint32_t fresh);
  void match_children(std::uint32_t base, std::uint32_t fresh);
  void pair_renamed(std::span<const std::uint32_t> base, std::span<const std::uint32_t> fresh);
  void pair_block(std::span<const std::uint32_t> base, std::span<const std::uint32_t> fresh);
  [[nodiscard]] int likeness(std::uint32_t base, std::uint32_t fresh) const;
  [[nodiscard]] bool hold_alike(std::uint32_t base, std::uint32_t fresh) const;
  void remove(std::uint32_t base) {
    for (std::uint32_t i = base; i < base_.end(base); ++i) places_.push_back({i, kNoEntry});
  }
  void insert(std::uint32_t fresh) {
    for (std::uint32_t i = fresh; i < fresh_.end(fresh); ++i) places_.push_back({kNoEntry, i});
  }

  Tree base_;
  Tree fresh_;
  std::vector<Place> places_;
};

// Depth is bounded by the components of a path.
void Aligner::pair(std::uint32_t base, std::uint32_t fresh) {
  INSTAR_ASSERT(base_.entry(base).type == fresh_.entry(fresh).type);
  places_.push_back({base, fresh});
  if (base_.entry(base).type == EntryType::directory) match_children(base, fresh);
}

void Aligner::match_children(std::uint32_t base, std::uint32_t fresh) {
  std::uint32_t left = base + 1;
  std::uint32_t right = fresh + 1;
  Numbers lost;   // of the base, since the last match
  Numbers found;  // of the new tree
  while (left < base_.end(base) || right < fresh_.end(fresh)) {
    int order = 0;
    if (left == base_.end(base)) {
      order = 1;
    } else if (right == fresh_.end(fresh)) {
      order = -1;
    } else {
      order = base_.name(left).compare(fresh_.name(right));
    }
    if (order == 0 && base_.entry(left).type == fresh_.entry(right).type) {
      pair_renamed(lost, found);
      lost.clear();
      found.clear();
      pair(left, right);
    } else {
      if (order <= 0) lost.push_back(left);
      if (order >= 0) found.push_back(right);
    }
    if (order <= 0) left = base_.end(left);
    if (order >= 0) right = fresh_.end(right);
  }
  pair_renamed(lost, found);
}

void Aligner::pair_renamed(std::span<const std::uint32_t> base, std::span<const std::uint32_t> fresh) {
  const std::size_t blocks = (std::max(base.size(), fresh.size()) + kBlockEntries - 1) / kBlockEntries;
  const auto part = [&](std::span<const std::uint32_t> all, std::size_t block) {
    const std::size_t first = all.size() * block / blocks;
    return all.subspan(first, all.size() * (block + 1) / blocks - first);
  };
  for (std::size_t block = 0; block < blocks; ++block) pair_block(part(base, block), part(fresh, block));
}

// The pairs, in the order of both, whose likeness is largest in sum.
void Aligner::pair_block(std::span<const std::uint32_t> base, std::span<const std::uint32_t> fresh) {
  const std::size_t width = fresh.size() + 1;
  std::vector<int> likenesses(base.size() * width);
  std::vector<int> best((base.size() + 1) * width);
  for (std::size_t i = base.size(); i-- > 0;) {
    for (std::size_t j = fresh.size(); j-- > 0;) {
      const int alike = likenesses[i * width + j] = likeness(base[i], fresh[j]);
      best[i * width + j] =
          std::max({best[(i + 1) * width + j], best[i * width + j + 1], alike + best[(i + 1) * width + j + 1]});
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < base.size() || j < fresh.size()) {
    if (i < base.size() && best[i * width + j] == best[(i + 1) * width + j]) {
      remove(base[i++]);
    } else if (j < fresh.size() && best[i * width + j] == best[i * width + j + 1]) {
      insert(fresh[j++]);
    } else {
      INSTAR_ASSERT(likenesses[i * width + j] > 0);
      pair(base[i++], fresh[j++]);
    }
  }
}

// 0 when they have nothing in common.
int Aligner::likeness(std::uint32_t base, std::uint32_t fresh) const {
  const Entry& old = base_.entry(base);
  const Entry& young = fresh_.entry(fresh);
  if (old.type != young.type) return 0;
  const std::string_view from = base_.name(base);
  const Edit edit = Edit::between(from, fresh_.name(fresh));
  const std::size_t longest = std::max(from.size(), fresh_.name(fresh).size());
  const std::size_t in_common = from.size() - static_cast<std::size_t>(edit.replaced);
  const int by_name = in_common * 2 >= longest ? static_cast<int>(in_common * 8 / longest) : 0;
  if (has_content(old) && old.content == young.content) return 16 + by_name;
  if (old.type == EntryType::directory && hold_alike(base, fresh)) return 16 + by_name;
  return by_name;
}

bool Aligner::hold_alike(std::uint32_t base, std::uint32_t fresh) const {
  const Numbers left = base_.children(base, kChildrenCompared);
  const Numbers right = fresh_.children(fresh, kChildrenCompared);
  std::size_t same = 0;
  for (std::size_t i = 0, j = 0; i < left.size() && j < right.size();) {
    const int order = base_.name(left[i]).compare(fresh_.name(right[j]));
    if (order == 0) ++same;
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  return same * 2 > std::max(left.size(), right.size());
}

}  // namespace

std::vector<Place> align_trees(std::span<const Entry> base, std::span<const Entry> fresh) {
  INSTAR_ASSERT(!base.empty() && !fresh.empty());
  return Aligner(base, fresh).align();
}

}  // namespace instar::delta
