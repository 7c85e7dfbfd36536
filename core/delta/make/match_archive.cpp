#include "core/delta/make/match_archive.hpp"

#include <algorithm>

#include "core/artifact/holes.hpp"
#include "core/delta/make/archive_plan.hpp"

namespace instar::delta {
namespace {

// Saving less is not worth what it takes: memory of the device, and a format that older clients do not know.
constexpr std::uint64_t kArchiveWorthBytes = 1024;

Bytes bytes_of_extents(const ArchivePlan& plan, const std::vector<BlockExtent>& extents) {
  Bytes bytes;
  for (const BlockExtent& extent : extents) {
    const ByteView run = ByteView(plan.base).subspan(static_cast<std::size_t>(extent.unpacked), extent.bytes);
    bytes.insert(bytes.end(), run.begin(), run.end());
  }
  return bytes;
}

PartDelta match_part(const ArchivePlan& plan, const ArchivePart& part) {
  PartDelta made;
  const MatchOptions options{true, false, false, part.is_forward};
  made.content = match_file(bytes_of_extents(plan, part.base), part.content, options);
  made.control.file = made.content.control;
  made.control.spec = part.spec;
  made.steps = part.steps;
  const bool copies =
      std::ranges::any_of(made.content.operations, [](const Operation& operation) { return operation.copy_bytes > 0; });
  if (copies) {
    made.control.extents = part.base;
    made.control.file.base = BaseKind::same_path;
  }
  return made;
}

}  // namespace

std::optional<FileDelta> match_archive(ByteView old, ByteView now) {
  const auto old_map = map_archive(old);
  auto now_map = old_map ? map_archive(now) : std::nullopt;
  if (!now_map) return std::nullopt;
  auto plan = plan_archive(old, *old_map, now, std::move(*now_map));
  if (!plan) return std::nullopt;
  FileDelta made;
  made.size = now.size();
  made.blocks = artifact::blocks_without_holes(now);
  made.control.is_blocks = true;
  std::uint64_t extra_bytes = 0;
  for (ArchivePart& part : plan->parts) {
    made.parts.push_back(match_part(*plan, part));
    const PartDelta& matched = made.parts.back();
    extra_bytes += matched.content.extra.size();
    // The estimate has half of the new bytes.
    made.cost_estimate += matched.content.cost_estimate - matched.content.extra.size() / 2 +
                          3 * (matched.steps.size() + matched.control.extents.size());
    part = {};
  }
  // New content costs about what it does in the archive.
  made.cost_estimate += extra_bytes * plan->made_bytes / plan->made_content;
  if (made.cost_estimate + kArchiveWorthBytes > plan->made_bytes) return std::nullopt;
  made.control.blocks = std::move(plan->head);
  return made;
}

}  // namespace instar::delta
