#include "core/delta/file_control.hpp"

#include "core/artifact/varint.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/zigzag.hpp"

namespace instar::delta {
namespace {

constexpr std::uint8_t kBaseMask = 0x03;
constexpr std::uint8_t kPredicts = 0x04;
constexpr std::uint8_t kBaseIsGzip = 0x08;
constexpr std::uint8_t kIsGzip = 0x10;
constexpr std::uint8_t kIsBlocks = 0x20;  // of a file
constexpr unsigned kSpecShift = 5;        // of a part: two bits
constexpr std::uint8_t kSpecMask = 0x60;
constexpr std::uint8_t kIsArm = 0x80;  // with kPredicts: for 32-bit Arm
static_assert(limits::kBlockSpecsMax <= 4);

std::uint8_t flags_of(const FileControl& file) {
  std::uint8_t flags = static_cast<std::uint8_t>(file.base);
  if (file.predicts) flags |= kPredicts;
  if (file.base_is_gzip) flags |= kBaseIsGzip;
  if (file.is_gzip) flags |= kIsGzip;
  if (file.arm_modes) flags |= kIsArm;
  return flags;
}

void append_arm_modes(Bytes& out, const FileControl& file) {
  if (!file.arm_modes) return;
  INSTAR_ASSERT(file.predicts && file.arm_modes->switches().size() <= limits::kDeltaArmSwitchesMax);
  artifact::append_varint(out, file.arm_modes->switches().size());
  std::uint32_t reached = 0;
  for (const std::uint32_t at : file.arm_modes->switches()) {
    artifact::append_varint(out, at - reached);
    reached = at;
  }
}

void append_recipe(Bytes& out, const FileControl& file) {
  if (!file.is_gzip) return;
  Bytes recipe;
  append_gzip_recipe(recipe, file.recipe);
  artifact::append_text(out, as_text(recipe));
}

// Sets what flags say. Errors: malformed.
Status take_flags(FileControl& file, std::uint8_t flags) {
  if ((flags & kBaseMask) > static_cast<std::uint8_t>(BaseKind::path))
    return fail(Code::malformed, "a file of the delta has unknown flags");
  file.base = static_cast<BaseKind>(flags & kBaseMask);
  file.predicts = (flags & kPredicts) != 0;
  file.base_is_gzip = (flags & kBaseIsGzip) != 0;
  file.is_gzip = (flags & kIsGzip) != 0;
  const bool has_base = file.base != BaseKind::none;
  if ((!has_base && (file.predicts || file.base_is_gzip)) || (file.predicts && (file.base_is_gzip || file.is_gzip)) ||
      ((flags & kIsArm) != 0 && !file.predicts)) {
    return fail(Code::malformed, "a file of the delta has flags that contradict each other");
  }
  return {};
}

}  // namespace

void append_file_control(Bytes& out, const FileControl& file) {
  out.push_back(static_cast<std::uint8_t>(flags_of(file) | (file.is_blocks ? kIsBlocks : 0)));
  if (file.base == BaseKind::path) artifact::append_text(out, file.base_path);
  append_recipe(out, file);
  append_arm_modes(out, file);
  if (file.is_blocks) append_block_head(out, file.blocks);
}

void append_part_control(Bytes& out, const PartControl& part) {
  INSTAR_ASSERT(part.file.base != BaseKind::path && !part.file.is_blocks);
  out.push_back(static_cast<std::uint8_t>(flags_of(part.file) | part.spec << kSpecShift));
  if (part.file.base != BaseKind::none) append_extents(out, part.extents);
  append_recipe(out, part.file);
  append_arm_modes(out, part.file);
}

void append_operations(Bytes& out, const std::vector<Operation>& operations) {
  artifact::append_varint(out, operations.size());
  for (const Operation& operation : operations) artifact::append_varint(out, operation.copy_bytes);
  for (const Operation& operation : operations) artifact::append_varint(out, operation.extra_bytes);
  std::int64_t expected = 0;
  for (const Operation& operation : operations) {
    if (operation.copy_bytes == 0) continue;
    artifact::append_varint(out, zigzag(std::int64_t{operation.old_start} - expected));
    expected = std::int64_t{operation.old_start} + operation.copy_bytes + operation.extra_bytes;
  }
}

Result<std::uint64_t> ControlReader::number(std::uint64_t value_max, const char* what) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    std::uint8_t byte = 0;
    INSTAR_CHECK(read_(std::span(&byte, 1)));
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) != 0) continue;
    if ((byte == 0 && shift != 0) || value > value_max) break;
    return value;
  }
  return fail(Code::malformed, std::string(what) + " of the delta is out of bounds");
}

Result<FileControl> ControlReader::file(const BlockPromise& promise) {
  std::uint8_t flags = 0;
  INSTAR_CHECK(read_(std::span(&flags, 1)));
  FileControl file;
  const std::uint8_t known = kBaseMask | kPredicts | kBaseIsGzip | kIsGzip |
                             (promise.block_bytes_max > 0 ? kIsBlocks : 0) | (takes_arm_ ? kIsArm : 0);
  if ((flags & ~known) != 0) return fail(Code::malformed, "a file of the delta has unknown flags");
  INSTAR_CHECK(take_flags(file, flags));
  file.is_blocks = (flags & kIsBlocks) != 0;
  if (file.is_blocks && (file.base == BaseKind::none || file.predicts || file.base_is_gzip || file.is_gzip))
    return fail(Code::malformed, "a file of the delta has flags that contradict each other");
  if (file.base == BaseKind::path) {
    INSTAR_TRY(const std::uint64_t bytes, number(limits::kPathBytesMax, "a path"));
    if (bytes == 0) return fail(Code::malformed, "a file of the delta has an empty path for its base");
    file.base_path.resize(static_cast<std::size_t>(bytes));
    INSTAR_CHECK(read_(std::span(reinterpret_cast<std::uint8_t*>(file.base_path.data()), file.base_path.size())));
  }
  if (file.is_gzip) {
    INSTAR_TRY(file.recipe, recipe());
  }
  if ((flags & kIsArm) != 0) {
    INSTAR_TRY(file.arm_modes, arm_modes());
  }
  if (file.is_blocks) {
    INSTAR_TRY(file.blocks, read_block_head(*this, promise));
  }
  return file;
}

Result<PartControl> ControlReader::part(const BlockHead& head) {
  std::uint8_t flags = 0;
  INSTAR_CHECK(read_(std::span(&flags, 1)));
  PartControl part;
  part.spec = static_cast<std::uint8_t>((flags & kSpecMask) >> kSpecShift);
  if (part.spec >= head.specs.size() || (!takes_arm_ && (flags & kIsArm) != 0) ||
      (flags & kBaseMask) > static_cast<std::uint8_t>(BaseKind::same_path))
    return fail(Code::malformed, "a part of the delta has unknown flags");
  INSTAR_CHECK(take_flags(part.file, static_cast<std::uint8_t>(flags & ~kSpecMask)));
  if (part.file.base != BaseKind::none) {
    INSTAR_TRY(part.extents, read_extents(*this, head.old));
  }
  if (part.file.is_gzip) {
    INSTAR_TRY(part.file.recipe, recipe());
  }
  if ((flags & kIsArm) != 0) {
    INSTAR_TRY(part.file.arm_modes, arm_modes());
  }
  return part;
}

Result<GzipRecipe> ControlReader::recipe() {
  INSTAR_TRY(const std::uint64_t bytes,
             number(limits::kGzipHeaderBytesMax + 16 + 10 * limits::kGzipCutsMax, "a gzip recipe"));
  Bytes encoded(static_cast<std::size_t>(bytes));
  INSTAR_CHECK(read_(encoded));
  return decode_gzip_recipe(encoded);
}

Result<ArmModes> ControlReader::arm_modes() {
  INSTAR_TRY(const std::uint64_t count, number(limits::kDeltaArmSwitchesMax, "a number of switches of A32 and Thumb"));
  std::vector<std::uint32_t> switches;
  switches.reserve(static_cast<std::size_t>(count));
  std::uint64_t reached = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    INSTAR_TRY(const std::uint64_t gap, number(limits::kDeltaFileBytesMax - reached, "a switch of A32 and Thumb"));
    reached += gap;
    switches.push_back(static_cast<std::uint32_t>(reached));
  }
  return ArmModes(std::move(switches));
}

Status ControlReader::operations(CopyMap& map, std::uint32_t operations_max) {
  INSTAR_ASSERT(map.size() == 0);
  INSTAR_TRY(const std::uint64_t count, number(operations_max, "a number of operations"));
  map.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    INSTAR_TRY(const std::uint64_t bytes, number(limits::kDeltaFileBytesMax, "a copy"));
    map.set_copy_bytes(i, static_cast<std::uint32_t>(bytes));
  }
  std::uint64_t now = 0;
  for (std::size_t i = 0; i < count; ++i) {
    INSTAR_TRY(const std::uint64_t bytes, number(limits::kDeltaFileBytesMax, "an insertion"));
    map.set_now_start(i, static_cast<std::uint32_t>(now));
    now += map.copy_bytes(i) + bytes;
    if (now > limits::kDeltaFileBytesMax) return fail(Code::malformed, "a file of the delta is larger than 4 GiB");
  }
  map.set_now_bytes(static_cast<std::uint32_t>(now));
  std::int64_t expected = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Operation operation = map.operation(i);
    if (operation.copy_bytes == 0) continue;
    INSTAR_TRY(const std::uint64_t distance, number(std::uint64_t{1} << 34, "a distance"));
    const std::int64_t start = expected + unzigzag(distance);
    if (start < 0 || start + std::int64_t{operation.copy_bytes} > std::int64_t{limits::kDeltaFileBytesMax}) {
      return fail(Code::malformed, "a copy of the delta is from outside of its base");
    }
    map.set_old_start(i, static_cast<std::uint32_t>(start));
    expected = start + operation.copy_bytes + operation.extra_bytes;
  }
  map.seal();
  return {};
}

}  // namespace instar::delta
