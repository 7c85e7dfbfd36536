// Where a path leads in a container whose root is a tree: links are followed as the container's kernel does, never out
// of the tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"

namespace instar::publisher {

// The content of a tree's files.
class TreeContent {
 public:
  virtual ~TreeContent() = default;
  // Reads up to `size` bytes of a regular file; fewer only at its end. Errors: io, corrupt.
  [[nodiscard]] virtual Result<Bytes> read(const artifact::Entry& file, std::uint64_t offset, std::size_t size) = 0;
};

struct PlaceInTree {
  enum class End : std::uint8_t {
    found,      // `entry`: no link of either kind
    missing,    // `path` is not there
    loop,       // links lead to each other
    no_folder,  // `path` is on the way, and is no folder
    hidden,     // `hidden_by`, a folder that is empty at first, covers `path` when the container runs
    unknown,    // something else is mounted at `path`
  };
  End end = End::missing;
  const artifact::Entry* entry = nullptr;
  std::string path;   // absolute, without links
  std::string links;  // the last link that was followed: "/bin/sh -> dash"; empty = none
  std::string hidden_by;
};

class TreePaths {
 public:
  // Keeps references to the entries, which must be those of a whole index.
  explicit TreePaths(const std::vector<artifact::Entry>& entries);

  // What the container sees there is not the tree's, but a volume (`by` names it), or another mount (`by` is empty).
  void cover(std::string_view path, std::string by);

  enum class Covers : std::uint8_t { in_place, taken_off };
  // `path` is absolute, or below `from`, an absolute path.
  [[nodiscard]] PlaceInTree find(std::string_view path, std::string_view from = "/",
                                 Covers covers = Covers::in_place) const;
  // Whether a regular file is there.
  [[nodiscard]] bool has_file(std::string_view path) const;

  [[nodiscard]] const std::vector<artifact::Entry>& entries() const noexcept { return entries_; }

 private:
  [[nodiscard]] const artifact::Entry* entry_at(std::string_view path) const;
  const std::vector<artifact::Entry>& entries_;
  std::unordered_map<std::string_view, const artifact::Entry*> by_path_;
  std::unordered_map<std::string, std::string> covers_;  // absolute path → by what
};

// What stands at the end of a path that led to no file, as the predicate of a sentence: "/bin/sh is not in the tree",
// "/bin/sh leads to /bin/dash, which is not in the tree (/bin/sh -> dash)". Of a place that was found: that it is no
// regular file; empty if it is one.
[[nodiscard]] std::string what_stands_at(const PlaceInTree& place, std::string_view asked);

}  // namespace instar::publisher
