// Images with compressed file systems, and archives, as a publisher takes them apart: two of them in one input, behind
// two bytes with the size of the first. Whatever they are: no plan, or one by which the second is made again from the
// first.
#include <algorithm>
#include <cstdint>

#include "core/base/assert.hpp"
#include "core/delta/block_writer.hpp"
#include "core/delta/file_control.hpp"
#include "core/delta/make/archive_plan.hpp"
#include "core/delta/make/image_plan.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_image {
namespace {

using namespace instar::delta;

ReadAt reader_of(ByteView bytes) {
  return [bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t at = static_cast<std::size_t>(std::min<std::uint64_t>(offset, bytes.size()));
    const std::size_t count = std::min(out.size(), bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, out.begin());
    return count;
  };
}

void run_all(std::size_t count, const std::function<void(std::size_t)>& run) {
  for (std::size_t i = 0; i < count; ++i) run(i);
}

// The steps of a part, as they are read from a delta.
Bytes steps_of(const std::vector<BlockStep>& list, std::uint32_t& copied) {
  Bytes steps;
  for (const BlockStep& step : list) append_block_step(steps, step, copied);
  append_block_step(steps, {}, copied);
  return steps;
}

Bytes content_of(const PlannedPart& part, ByteView now, const ImageMap& map, BlockReader& base) {
  const Bytes content = unpack_runs(now, map, part.runs).value();
  if (!part.is_exact) return content;
  ExtentView view(base, part.extents);
  Bytes same(static_cast<std::size_t>(part.content_bytes));
  INSTAR_ASSERT(view.size() == same.size() && view.read(0, same).value() == same.size());
  INSTAR_ASSERT(same == content);
  return same;
}

// Makes the parts, whose contents are given, and compares the outcome.
template <typename Part, typename ContentOf>
void make_again(const BlockHead& head, const std::vector<Part>& parts, ContentOf content_of, ByteView old,
                ByteView wanted) {
  Bytes steps;
  std::size_t at = 0;
  ControlReader control([&](std::span<std::uint8_t> out) -> Status {
    INSTAR_ASSERT(out.size() <= steps.size() - at);
    std::copy_n(steps.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    at += out.size();
    return {};
  });
  Bytes made;
  BlockWriter writer(head, control, reader_of(old), [&](ByteView bytes) -> Status {
    made.insert(made.end(), bytes.begin(), bytes.end());
    return {};
  });
  std::uint32_t copied = 0;
  std::uint32_t number = 0;
  for (const Part& part : parts) {
    steps = steps_of(part.steps, copied);
    at = 0;
    writer.begin_part(number++, part.spec);
    INSTAR_ASSERT(writer.take(content_of(part)));
    while (writer.advance().value()) {
    }
    INSTAR_ASSERT(writer.end_part() && at == steps.size());
  }
  INSTAR_ASSERT(writer.finish());
  INSTAR_ASSERT(std::ranges::equal(made, wanted));
}

void images(ByteView old, ByteView now) {
  const auto old_map = map_squashfs(old);
  auto now_map = map_squashfs(now);
  if (!old_map || !now_map) return;
  const auto plan = plan_image(old, *old_map, now, *now_map, run_all);
  if (!plan) return;
  BlockReader base(plan->head.old, plan->head.old_method, reader_of(old), plan->head.block_bytes);
  make_again(
      plan->head, plan->parts, [&](const PlannedPart& part) { return content_of(part, now, *now_map, base); }, old,
      now);
}

void archives(ByteView old, ByteView now) {
  const auto old_map = map_archive(old);
  auto now_map = map_archive(now);
  if (!old_map || !now_map) return;
  const auto plan = plan_archive(old, *old_map, now, std::move(*now_map));
  if (!plan) return;
  BlockReader base(plan->head.old, plan->head.old_method, reader_of(old), plan->head.block_bytes,
                   plan->head.old_dictionary_bytes);
  Bytes unpacked(plan->base.size());
  INSTAR_ASSERT(plan->head.old.unpacked_bytes() == unpacked.size() && base.read(0, unpacked));
  INSTAR_ASSERT(unpacked == plan->base);
  make_again(
      plan->head, plan->parts, [](const ArchivePart& part) { return part.content; }, old, now);
}

void run(ByteView data) {
  if (data.size() < 2) return;
  const std::size_t split = std::min<std::size_t>(data.size() - 2, data[0] | data[1] << 8);
  const ByteView old = data.subspan(2, split);
  const ByteView rest = data.subspan(2 + split);
  const ByteView now = rest.empty() ? old : rest;
  if (may_be_archive(old)) {
    archives(old, now);
  } else {
    images(old, now);
  }
}

}  // namespace
}  // namespace instar::fuzz_image

INSTAR_FUZZ_TARGET(image, instar::fuzz_image::run)
