#include "core/rollout/rollouts/sequences.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::rollout {
namespace {

// Those whose highest sequence is this one, from low to high.
struct AtSequence {
  std::uint64_t highest = 0;
  std::uint64_t devices = 0;
  std::uint64_t groups = 0;  // below those of the release: devices may join them that are not known yet
};

// Sums up to and without a sequence.
class Sums {
 public:
  explicit Sums(const std::map<std::uint64_t, AtSequence>& rows) {
    AtSequence sum;
    for (const auto& [highest, row] : rows) {
      sum.highest = highest;
      sum.devices += row.devices;
      sum.groups += row.groups;
      sums_.push_back(sum);
    }
  }
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> below(std::uint64_t sequence) const {
    const auto end = std::ranges::lower_bound(sums_, sequence, {}, &AtSequence::highest);
    if (end == sums_.begin()) return {0, 0};
    return {std::prev(end)->devices, std::prev(end)->groups};
  }
  // Devices, and groups, for which a release with this sequence is newer and not too far ahead.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> takers(std::uint64_t sequence) const {
    const auto upper = below(sequence);
    if (sequence <= limits::kSequenceStepMax) return upper;
    const auto lower = below(sequence - limits::kSequenceStepMax);
    return {upper.first - lower.first, upper.second - lower.second};
  }

 private:
  std::vector<AtSequence> sums_;
};

bool covers_any(const std::vector<GroupPath>& above, const std::vector<GroupPath>& below) {
  return std::ranges::any_of(above, [&](const GroupPath& group) {
    return std::ranges::any_of(below, [&](const GroupPath& other) { return group.covers(other); });
  });
}

}  // namespace

void Sequences::add(const ManifestId& rollout, const RolloutRecord& record) {
  entries_[rollout] = {record.product, record.sequence, record.groups, true};
}

void Sequences::remove(const ManifestId& rollout) {
  entries_.erase(rollout);
}

void Sequences::set_in_force(const ManifestId& rollout, bool in_force) {
  entries_.at(rollout).in_force = in_force;
}

std::uint64_t Sequences::highest(std::string_view product, const GroupPath& group) const {
  std::uint64_t out = 0;
  for (const auto& [rollout, entry] : entries_) {
    if (!entry.in_force || entry.sequence <= out || entry.product != product) continue;
    if (std::ranges::any_of(entry.groups, [&](const GroupPath& other) { return other.covers(group); }))
      out = entry.sequence;
  }
  return out;
}

Status Sequences::check(const wire::Manifest& manifest,
                        const std::function<std::vector<SequenceClaim>()>& claims) const {
  const auto is_far = [&](std::uint64_t known) {
    return manifest.sequence > known && manifest.sequence - known > limits::kSequenceStepMax;
  };
  for (const auto& group : manifest.groups) {
    const auto taken = highest(manifest.product, group);
    const std::string what = "sequence " + std::to_string(manifest.sequence) + " of product " + manifest.product;
    if (manifest.sequence <= taken) {
      return fail(Code::stale, what + " is not above the highest one taken so far for group " + group.str() + ", " +
                                   std::to_string(taken) + ": publish again with a higher one");
    }
    if (!is_far(taken)) continue;
    const auto known = next(manifest.product, {group}, claims()).sequence - 1;
    if (!is_far(known)) continue;
    return fail(Code::refused, what + " is more than " + std::to_string(limits::kSequenceStepMax) +
                                   " above the highest one known for group " + group.str() + ", " +
                                   std::to_string(known) +
                                   ": publish with a lower one (`auto` finds it), or to the other groups apart");
  }
  return {};
}

Sequences::Next Sequences::next(std::string_view product, const std::vector<GroupPath>& groups,
                                const std::vector<SequenceClaim>& claims) const {
  Next out;
  std::uint64_t floor = 0;
  for (const auto& group : groups) floor = std::max(floor, highest(product, group));
  std::map<std::uint64_t, AtSequence> rows;
  std::map<GroupPath, std::uint64_t> of_group;
  const auto cached = [&](const GroupPath& group) {
    const auto [row, is_new] = of_group.try_emplace(group, 0);
    if (is_new) row->second = highest(product, group);
    return row->second;
  };
  for (const auto& claim : claims) {
    if (!covers_any(groups, claim.groups)) continue;
    auto bar = claim.highest;
    for (const auto& own : claim.groups) bar = std::max(bar, cached(own));
    rows[bar].devices += claim.devices;
    out.devices += claim.devices;
  }
  for (const auto& [rollout, entry] : entries_) {
    if (!entry.in_force || entry.product != product) continue;
    for (const auto& below : entry.groups) {
      if (covers_any(groups, {below})) ++rows[cached(below)].groups;
    }
  }
  for (auto& [highest, row] : rows) row.highest = highest;
  const Sums sums(rows);
  out.sequence = floor + 1;
  auto best = sums.takers(out.sequence);
  for (const auto& [highest, row] : rows) {
    if (highest <= floor || highest == std::numeric_limits<std::uint64_t>::max()) continue;
    const auto takers = sums.takers(highest + 1);
    if (takers <= best) continue;
    best = takers;
    out.sequence = highest + 1;
  }
  out.takers = best.first;
  return out;
}

}  // namespace instar::rollout
