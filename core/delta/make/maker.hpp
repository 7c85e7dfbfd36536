// Makes the streams of a delta pack. Pure: the publisher reads the files, runs match_file() on as many threads as it
// likes, and hands the results over in index order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/delta/decoder.hpp"
#include "core/delta/delta_head.hpp"
#include "core/delta/file_control.hpp"

namespace instar::delta {

struct PartDelta;

// One file, matched against its base: everything that goes into the streams.
struct FileDelta {
  FileControl control;
  std::vector<Operation> operations;
  Bytes difference;
  Bytes extra;
  std::uint64_t size = 0;    // of the new file
  std::uint64_t blocks = 0;  // of 4096 bytes that it takes up, without holes
  // A rough guess of its share of the compressed pack, in bytes; for choosing among bases.
  std::uint64_t cost_estimate = 0;
  std::vector<PartDelta> parts;  // of a file of blocks, which has no operations
};

// A part of a file of blocks, its content matched.
struct PartDelta {
  PartControl control;
  FileDelta content;
  std::vector<BlockStep> steps;
};

struct MatchOptions {
  bool references = true;  // reference prediction where it pays
  bool gzip = true;        // look inside gzip files that can be made again
  bool archives = true;    // look inside archives (match_archive.hpp)
  bool forward = false;    // copies follow each other in `old`, which a device reads in order only
};

// Matches `now` against `old`; without a base, `old` is empty and has_base false. The caller sets control.base and
// control.base_path. Any thread; no state is shared. Memory: 6 bytes for each byte of `old` (the suffix array), 3 of
// `now`. The outcome depends on the arguments alone.
[[nodiscard]] FileDelta match_file(ByteView old, ByteView now, const MatchOptions& options = {});

// How alike two files are, cheaply: a sketch of min-hashes over content-defined pieces. For finding a base for a file
// whose path is new.
struct Sketch {
  std::vector<std::uint64_t> values;  // ascending, at most 64
};
[[nodiscard]] Sketch make_sketch(ByteView content);
// 0 (nothing in common) … 1.
[[nodiscard]] double similarity(const Sketch& a, const Sketch& b) noexcept;

// Joins the files to solid streams. One thread. Memory: the differences and extras of all files, raw, and about 12
// times the windows.
class DeltaMaker {
 public:
  DeltaMaker();
  ~DeltaMaker();
  // Files in index order, control.base set.
  void add(const FileDelta& file);
  // A file of blocks, with `size` and `blocks` as in FileDelta; then as many parts as control.blocks says.
  void begin_blocks(const FileControl& control, std::uint64_t size, std::uint64_t blocks);
  void add_part(const PartControl& control, const FileDelta& content, const std::vector<BlockStep>& steps);

  struct Made {
    DeltaHeader header;  // all but entry_count and index_delta_bytes
    Bytes body;
  };
  // Once, after the last file. Takes most of the time of small packs: several settings of the compressor are tried.
  [[nodiscard]] Made finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace instar::delta
