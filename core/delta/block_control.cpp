#include "core/delta/block_control.hpp"

#include "core/artifact/varint.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/file_control.hpp"
#include "core/delta/zigzag.hpp"

namespace instar::delta {
namespace {

constexpr unsigned kKindBits = 3;
constexpr std::uint64_t kKindMask = (1U << kKindBits) - 1;

void append_spec(Bytes& out, const BlockSpec& spec) {
  INSTAR_ASSERT(is_sound(spec));
  out.push_back(static_cast<std::uint8_t>(spec.method));
  out.push_back(static_cast<std::uint8_t>(spec.level | spec.window_bits << 4));
  artifact::append_varint(out, spec.dictionary_bytes);
}

Result<BlockMethod> read_method(ControlReader& reader, const BlockPromise& promise) {
  INSTAR_TRY(const std::uint64_t method, reader.number(0xff, "a method of blocks"));
  if (method == 0 || method > kBlockMethodLast)
    return fail(Code::unsupported,
                "the delta has blocks of method " + std::to_string(method) + ", which this version does not know");
  if ((promise.methods >> method & 1U) == 0)
    return fail(Code::malformed, "the delta has blocks of a method that its head does not name");
  return static_cast<BlockMethod>(method);
}

// Of a stream of lzma2, which has what encoder and decoder need by a promise of its own.
Status check_dictionary(const BlockSpec& spec, const BlockPromise& promise) {
  if (!is_sound(spec)) return fail(Code::malformed, "blocks of the delta have settings that there are not");
  if (spec.method == BlockMethod::lzma2 && spec.dictionary_bytes > promise.dictionary_bytes_max)
    return fail(Code::malformed, "blocks of the delta have a larger dictionary than its head says");
  return {};
}

Result<BlockSpec> read_spec(ControlReader& reader, const BlockPromise& promise) {
  BlockSpec spec;
  INSTAR_TRY(spec.method, read_method(reader, promise));
  std::uint8_t numbers = 0;
  INSTAR_CHECK(reader.bytes(std::span(&numbers, 1)));
  spec.level = numbers & 0x0fU;
  spec.window_bits = static_cast<std::uint8_t>(numbers >> 4);
  INSTAR_TRY(const std::uint64_t dictionary, reader.number(limits::kBlockBytesMax, "a dictionary"));
  spec.dictionary_bytes = static_cast<std::uint32_t>(dictionary);
  INSTAR_CHECK(check_dictionary(spec, promise));
  return spec;
}

// A full block has one number, any other stretch two.
Result<BlockStretch> read_stretch(ControlReader& reader, std::uint32_t block_bytes, BlockMethod method) {
  INSTAR_TRY(const std::uint64_t first, reader.number(std::uint64_t{limits::kDeltaFileBytesMax} * 2 + 1, "a block"));
  BlockStretch stretch{static_cast<std::uint32_t>(first >> 1), block_bytes};
  if ((first & 1) == 0) {
    INSTAR_TRY(const std::uint64_t unpacked, reader.number(limits::kDeltaFileBytesMax, "a block"));
    stretch.unpacked_bytes = static_cast<std::uint32_t>(unpacked);
  }
  const bool is_plain = stretch.bytes == 0 || stretch.bytes == stretch.unpacked_bytes;
  if (!is_plain && !is_stream(method) && (stretch.bytes > block_bytes || stretch.unpacked_bytes > block_bytes))
    return fail(Code::malformed, "a block of the delta's base is larger than it may be");
  return stretch;
}

}  // namespace

void append_block_head(Bytes& out, const BlockHead& head) {
  out.push_back(static_cast<std::uint8_t>(head.old_method));
  if (head.old_method == BlockMethod::lzma2) artifact::append_varint(out, head.old_dictionary_bytes);
  artifact::append_varint(out, head.block_bytes);
  artifact::append_varint(out, head.specs.size());
  for (const BlockSpec& spec : head.specs) append_spec(out, spec);
  artifact::append_varint(out, head.old.size());
  for (std::size_t i = 0; i < head.old.size(); ++i) {
    const BlockStretch stretch = head.old.stretch(i);
    const bool is_full = stretch.unpacked_bytes == head.block_bytes;
    artifact::append_varint(out, std::uint64_t{stretch.bytes} * 2 + (is_full ? 1 : 0));
    if (!is_full) artifact::append_varint(out, stretch.unpacked_bytes);
  }
  artifact::append_varint(out, head.part_count);
}

Result<BlockHead> read_block_head(ControlReader& reader, const BlockPromise& promise) {
  BlockHead head;
  INSTAR_TRY(head.old_method, read_method(reader, promise));
  if (head.old_method == BlockMethod::lzma2) {
    INSTAR_TRY(const std::uint64_t dictionary, reader.number(limits::kBlockBytesMax, "a dictionary"));
    head.old_dictionary_bytes = static_cast<std::uint32_t>(dictionary);
    INSTAR_CHECK(check_dictionary({BlockMethod::lzma2, 6, 15, head.old_dictionary_bytes}, promise));
  }
  INSTAR_TRY(const std::uint64_t block_bytes, reader.number(promise.block_bytes_max, "the size of blocks"));
  if (block_bytes == 0) return fail(Code::malformed, "the delta has blocks of no size");
  head.block_bytes = static_cast<std::uint32_t>(block_bytes);
  INSTAR_TRY(const std::uint64_t specs, reader.number(limits::kBlockSpecsMax, "the number of settings of blocks"));
  if (specs == 0) return fail(Code::malformed, "the delta has blocks without settings");
  for (std::uint64_t i = 0; i < specs; ++i) {
    INSTAR_TRY(const BlockSpec spec, read_spec(reader, promise));
    head.specs.push_back(spec);
  }
  INSTAR_TRY(const std::uint64_t stretches, reader.number(promise.stretches_max, "the number of blocks"));
  head.old.reserve(static_cast<std::size_t>(stretches));
  for (std::uint64_t i = 0; i < stretches; ++i) {
    INSTAR_TRY(const BlockStretch stretch, read_stretch(reader, head.block_bytes, head.old_method));
    INSTAR_CHECK(head.old.add(stretch));
  }
  INSTAR_TRY(const std::uint64_t parts, reader.number(limits::kBlockPartsMax, "the number of parts"));
  head.part_count = static_cast<std::uint32_t>(parts);
  return head;
}

void append_block_step(Bytes& out, const BlockStep& step, std::uint32_t& copied) {
  artifact::append_varint(out, std::uint64_t{step.value} << kKindBits | static_cast<std::uint8_t>(step.kind));
  if (step.kind == BlockStepKind::block) artifact::append_varint(out, step.content);
  if (step.kind != BlockStepKind::copy) return;
  artifact::append_varint(out, zigzag(std::int64_t{step.from} - copied));
  copied = step.from + step.value;
}

Result<BlockStep> read_block_step(ControlReader& reader, std::uint32_t block_bytes, BlockMethod method,
                                  std::uint32_t& copied) {
  const auto bytes_max = is_stream(method) ? static_cast<std::uint32_t>(limits::kDeltaFileBytesMax) : block_bytes;
  INSTAR_TRY(const std::uint64_t first,
             reader.number(std::uint64_t{limits::kDeltaFileBytesMax} << kKindBits | kKindMask, "a step"));
  BlockStep step;
  step.kind = static_cast<BlockStepKind>(first & kKindMask);
  step.value = static_cast<std::uint32_t>(first >> kKindBits);
  switch (step.kind) {
    case BlockStepKind::end:
      if (step.value != 0) return fail(Code::malformed, "a step of the delta is out of bounds");
      break;
    case BlockStepKind::store:
    case BlockStepKind::drop: break;
    case BlockStepKind::hold:
    case BlockStepKind::held:
      // What is held is a block, and streams are made of no such thing.
      if (step.value > block_bytes || (step.kind == BlockStepKind::held && step.value != 0 && is_stream(method)))
        return fail(Code::malformed, "a step of the delta is out of bounds");
      break;
    case BlockStepKind::copy: {
      INSTAR_TRY(const std::uint64_t distance, reader.number(std::uint64_t{1} << 34, "a distance"));
      const std::int64_t from = std::int64_t{copied} + unzigzag(distance);
      if (step.value > limits::kBlockBytesMax || from < 0 ||
          from + step.value > std::int64_t{limits::kDeltaFileBytesMax}) {
        return fail(Code::malformed, "a step of the delta copies from outside of its base, or too much at once");
      }
      step.from = static_cast<std::uint32_t>(from);
      copied = step.from + step.value;
      break;
    }
    case BlockStepKind::full:
    case BlockStepKind::block: {
      step.content = block_bytes;
      if (step.kind == BlockStepKind::block) {
        INSTAR_TRY(const std::uint64_t content, reader.number(bytes_max, "the content of a block"));
        step.content = static_cast<std::uint32_t>(content);
      }
      if (step.value == 0 || step.value > bytes_max || step.content == 0)
        return fail(Code::malformed, "a step of the delta is out of bounds");
      break;
    }
  }
  return step;
}

void append_extents(Bytes& out, const std::vector<BlockExtent>& extents) {
  artifact::append_varint(out, extents.size());
  std::uint64_t expected = 0;
  for (const BlockExtent& extent : extents) {
    artifact::append_varint(out, zigzag(static_cast<std::int64_t>(extent.unpacked - expected)));
    artifact::append_varint(out, extent.bytes);
    expected = extent.unpacked + extent.bytes;
  }
}

Result<std::vector<BlockExtent>> read_extents(ControlReader& reader, const BlockTable& old) {
  INSTAR_TRY(const std::uint64_t count, reader.number(limits::kBlockExtentsMax, "the number of runs of a part"));
  std::vector<BlockExtent> extents;
  extents.reserve(static_cast<std::size_t>(count));
  std::int64_t expected = 0;
  std::uint64_t all = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    INSTAR_TRY(const std::uint64_t distance, reader.number(std::uint64_t{1} << 43, "a distance"));
    INSTAR_TRY(const std::uint64_t bytes, reader.number(limits::kDeltaFileBytesMax, "a run"));
    const std::int64_t start = expected + unzigzag(distance);
    const auto end = static_cast<std::uint64_t>(start) + bytes;
    all += bytes;
    if (start < 0 || bytes == 0 || end > old.unpacked_bytes() || all > limits::kDeltaFileBytesMax)
      return fail(Code::malformed, "a part of the delta is made from outside of its base");
    extents.push_back({static_cast<std::uint64_t>(start), static_cast<std::uint32_t>(bytes)});
    expected = static_cast<std::int64_t>(end);
  }
  return extents;
}

}  // namespace instar::delta
