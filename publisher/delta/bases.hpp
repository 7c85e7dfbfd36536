// Finds, for a new file, the files of a base tree that may hold much of it.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "core/delta/make/maker.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

// A base that is this much larger than the new file is not looked at: its suffix array costs more than it can save.
[[nodiscard]] std::uint64_t largest_base_in_proportion(std::uint64_t fresh_bytes) noexcept;
[[nodiscard]] bool is_base_in_proportion(std::uint64_t base_bytes, std::uint64_t fresh_bytes) noexcept;

// Calls come from any thread. The base's files are read and sketched when the first is asked for, once.
class DeltaBases {
 public:
  // `base` outlives it.
  DeltaBases(const ReadableTree& base, const Work& work) : base_(base), work_(work) {}

  // Up to three files, the most promising first: the two that are most like `content`, and the one whose name is most
  // like `path`. The same for the same trees, whatever is asked in which order. Errors: io, corrupt (the base changed),
  // unavailable (stopped).
  [[nodiscard]] Result<std::vector<const artifact::Entry*>> find(std::string_view path, ByteView content);
  // Whether two contents have so little in common that another base may serve better than the file of the same path.
  [[nodiscard]] static bool is_unlike(ByteView one, ByteView other);

 private:
  struct File {
    const artifact::Entry* entry = nullptr;
    delta::Sketch sketch;
  };
  [[nodiscard]] Status look_at_base();
  void add_alike(std::uint64_t size, const delta::Sketch& sketch, std::vector<const artifact::Entry*>& found) const;
  void add_namesake(std::string_view path, std::uint64_t size, std::vector<const artifact::Entry*>& found) const;

  const ReadableTree& base_;
  const Work& work_;
  std::once_flag looked_;
  Status status_;
  std::vector<File> files_;  // distinct contents, in index order
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_value_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> by_stem_;
};

// The last component of a path with each run of digits as one '#': what stays of a name when a version goes up.
[[nodiscard]] std::string stem_of(std::string_view path);

}  // namespace instar::publisher
