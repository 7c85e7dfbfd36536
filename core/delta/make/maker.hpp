// Makes the streams of a delta pack. Pure: the publisher reads the files, runs match_file() on as many threads as it likes, and hands the
// results over in index order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/delta/decoder.hpp"
#include "core/delta/delta_head.hpp"

namespace instar::delta {

// One file, matched against its base: everything that goes into the streams. Opaque to the publisher but for its figures.
struct FileDelta {
  Bytes control;
  Bytes difference;
  Bytes extra;
  std::uint32_t operation_count = 0;
  std::uint64_t size = 0;       // of the new file
  std::uint64_t base_size = 0;  // of the base's file
  BaseKind base = BaseKind::none;
  bool is_gzip = false;
  // A rough guess of its share of the compressed pack; for choosing among bases.
  std::uint64_t cost_estimate = 0;
};

struct MatchOptions {
  bool references = true;  // reference prediction where it pays
  bool gzip = true;        // look inside .gz files that can be re-created
};

// Matches `now` against `old` (empty: no base). Any thread; no state is shared. Memory: about 5 bytes for each byte of `old` (the suffix array), 6 of `now`.
// The outcome depends on its arguments alone.
[[nodiscard]] FileDelta match_file(ByteView old, ByteView now, const MatchOptions& options = {});

// How alike two files are, cheaply: a sketch of min-hashes over content-defined pieces. For finding a base for a file whose path is new.
struct Sketch {
  std::vector<std::uint64_t> values;  // ascending, at most 64
};
[[nodiscard]] Sketch make_sketch(ByteView content);
// 0 (nothing in common) … 1.
[[nodiscard]] double similarity(const Sketch& a, const Sketch& b) noexcept;

// Joins the files to solid streams. One thread. Memory: the compressed streams, and the encoders' (about 12 times the windows).
class DeltaMaker {
 public:
  DeltaMaker();
  ~DeltaMaker();
  // Files in index order. `base_path` for BaseKind::path (set by the caller in `file.base` with it).
  [[nodiscard]] Status add(const FileDelta& file, const std::string& base_path);

  struct Made {
    DeltaHeader header;  // all but entry_count and index_delta_bytes
    Bytes body;
  };
  [[nodiscard]] Result<Made> finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace instar::delta
