// The part of the control stream for one file: where its base is, how it is made, and its operations
// (docs/formats/delta.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/delta/arm_modes.hpp"
#include "core/delta/block_control.hpp"
#include "core/delta/copy_map.hpp"
#include "core/delta/decoder.hpp"
#include "core/delta/gzip_recipe.hpp"

namespace instar::delta {

struct FileControl {
  BaseKind base = BaseKind::none;
  std::string base_path;
  bool predicts = false;  // references are predicted
  // Of a program for 32-bit Arm whose references are predicted.
  std::optional<ArmModes> arm_modes;
  bool base_is_gzip = false;  // operations speak of the content of the base's gzip file, and only move forward in it
  bool is_gzip = false;       // what is rebuilt is the content of a gzip file
  GzipRecipe recipe;          // by which that file is made again
  bool is_blocks = false;     // the file is made of blocks, by parts that follow
  BlockHead blocks;           // of such a file
};

// What comes before the operations of a part of a file of blocks. It is like a file; its base is runs of the base's
// file as it unpacks.
struct PartControl {
  FileControl file;  // `base` is none or same_path
  std::vector<BlockExtent> extents;
  std::uint8_t spec = 0;  // by which its blocks are compressed
};

// The file's header; its operations follow, see append_operations().
void append_file_control(Bytes& out, const FileControl& file);
// A part's header; its operations follow, then its steps.
void append_part_control(Bytes& out, const PartControl& part);
// The count, then all copies, all extras, and all distances from where a copy would go on to where it really is. So
// numbers of one kind are together.
void append_operations(Bytes& out, const std::vector<Operation>& operations);

// A number from the control stream, and what else file headers are made of. One byte at a time: nothing past the file
// is read.
class ControlReader {
 public:
  using ReadBytes = std::function<Status(std::span<std::uint8_t>)>;
  // `takes_arm`: the header says that references of 32-bit Arm may be predicted.
  explicit ControlReader(ReadBytes read, bool takes_arm = false) : read_(std::move(read)), takes_arm_(takes_arm) {}

  // Errors: malformed (also for numbers above the bounds, of operations that leave a file of 4 GiB), too_large, those
  // of `read`.
  // `promise`: what the header promises of files of blocks.
  [[nodiscard]] Result<FileControl> file(const BlockPromise& promise = {});
  [[nodiscard]] Result<PartControl> part(const BlockHead& head);
  // Into an empty map, sealed. `operations_max`: what the header promises.
  [[nodiscard]] Status operations(CopyMap& map, std::uint32_t operations_max);

  [[nodiscard]] Result<std::uint64_t> number(std::uint64_t value_max, const char* what);
  [[nodiscard]] Status bytes(std::span<std::uint8_t> out) { return read_(out); }

 private:
  [[nodiscard]] Result<GzipRecipe> recipe();
  [[nodiscard]] Result<ArmModes> arm_modes();
  ReadBytes read_;
  bool takes_arm_ = false;
};

}  // namespace instar::delta
