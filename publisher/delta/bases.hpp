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
#include "publisher/console/work.hpp"
#include "publisher/delta/contents.hpp"

namespace instar::publisher {

// A base that is this much larger than the new file is not considered: its suffix array costs more than it can save.
[[nodiscard]] std::uint64_t largest_base_in_proportion(std::uint64_t fresh_bytes) noexcept;
[[nodiscard]] bool is_base_in_proportion(std::uint64_t base_bytes, std::uint64_t fresh_bytes) noexcept;

// Any thread may call. The base's files are read and sketched once, at the first call.
class DeltaBases {
 public:
  // `base` must outlive this object.
  DeltaBases(const Contents& base, const Work& work) : base_(base), work_(work) {}

  // Up to three files, the most promising first: the two that are most like `content`, and the one whose name is most
  // like `path`. The answer depends only on the contents, not on earlier calls. Errors: io, corrupt (the base changed),
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

  const Contents& base_;
  const Work& work_;
  std::once_flag looked_;
  Status status_;
  std::vector<File> files_;  // distinct contents, in index order
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_value_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> by_stem_;
};

// The last component of a path with one '#' for each run of digits, so that a name stays the same in a new version.
[[nodiscard]] std::string stem_of(std::string_view path);

}  // namespace instar::publisher
