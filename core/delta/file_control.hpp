// The part of the control stream for one file: where its base is, how it is made, and its operations
// (docs/formats/delta.md).
#pragma once

#include <string>
#include <vector>

#include "core/delta/copy_map.hpp"
#include "core/delta/decoder.hpp"
#include "core/delta/gzip_recipe.hpp"

namespace instar::delta {

struct FileControl {
  BaseKind base = BaseKind::none;
  std::string base_path;
  bool predicts = false;      // references are predicted
  bool base_is_gzip = false;  // operations speak of the content of the base's gzip file, and only move forward in it
  bool is_gzip = false;       // what is rebuilt is the content of a gzip file
  GzipRecipe recipe;          // by which that file is made again
};

// The file's header; its operations follow, see append_operations().
void append_file_control(Bytes& out, const FileControl& file);
// The count, then all copies, all extras, and all distances from where a copy would go on to where it really is. So
// numbers of one kind are together.
void append_operations(Bytes& out, const std::vector<Operation>& operations);

// A number from the control stream, and what else file headers are made of. One byte at a time: nothing past the file
// is read.
class ControlReader {
 public:
  using ReadBytes = std::function<Status(std::span<std::uint8_t>)>;
  explicit ControlReader(ReadBytes read) : read_(std::move(read)) {}

  // Errors: malformed (also for numbers above the bounds, of operations that leave a file of 4 GiB), too_large, those
  // of `read`.
  [[nodiscard]] Result<FileControl> file();
  // Into an empty map, sealed. `operations_max`: what the header promises.
  [[nodiscard]] Status operations(CopyMap& map, std::uint32_t operations_max);

 private:
  [[nodiscard]] Result<std::uint64_t> number(std::uint64_t value_max, const char* what);
  [[nodiscard]] Result<GzipRecipe> recipe();
  ReadBytes read_;
};

}  // namespace instar::delta
