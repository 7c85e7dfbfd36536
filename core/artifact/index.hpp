// The index of a directory tree: every entry in path order, in one canonical form whose hash names the artifact.
// docs/formats/index.md. Written and read as a stream: memory does not grow with the tree.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/trust/digest.hpp"

namespace instar::artifact {

// Frozen numbers.
enum class EntryType : std::uint8_t { directory = 0, file = 1, symlink = 2, hardlink = 3, char_device = 4, block_device = 5, fifo = 6 };

struct Xattr {
  std::string name;
  Bytes value;
  friend bool operator==(const Xattr&, const Xattr&) = default;
};

struct Entry {
  // Relative, '/'-joined, no leading or trailing slash, no empty, "." or ".." component; "" is the tree's root folder,
  // which every index has as its first entry.
  std::string path;
  EntryType type = EntryType::file;
  // Permission bits with setuid, setgid, sticky. Symlinks have none (0); a hardlink has no mode, owner or xattrs of its own (0).
  std::uint16_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<Xattr> xattrs;  // files and folders: by name, ascending; `security.capability` and `user.*` only
  std::uint64_t size = 0;     // files
  Hash256 content;            // files: BLAKE2b-256 of the content
  std::string target;         // symlinks: as stored; hardlinks: path of an earlier file entry
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  friend bool operator==(const Entry&, const Entry&) = default;
};

struct IndexRules {
  // Device nodes and fifos are refused unless the deployment allows them.
  bool devices_allowed = false;
};

// Order of paths in an index: bytewise, component by component, so that a folder comes right before what it holds
// ("a" < "a/b" < "a.c").
[[nodiscard]] bool path_before(std::string_view left, std::string_view right) noexcept;

// Checks one entry by itself, then against those before it: order, parents that exist and are folders, symlinks that stay
// inside the tree (absolute targets are taken as inside the container and allowed; a relative one that climbs above the root
// is refused), hardlinks to earlier files, bounds. Errors: malformed, too_large, refused.
// Memory: 16 bytes a file, for the hardlinks.
class IndexChecker {
 public:
  explicit IndexChecker(IndexRules rules = {}) : rules_(rules) {}
  // After an error the checker is of no further use.
  [[nodiscard]] Status check(const Entry& entry);
  [[nodiscard]] std::uint32_t entry_count() const noexcept { return entry_count_; }

 private:
  // Digests of the paths of files seen, as an open-addressing table: 0 = free.
  class PathSet {
   public:
    void add(std::string_view path);
    [[nodiscard]] bool holds(std::string_view path) const noexcept;

   private:
    std::vector<std::uint64_t> slots_;
    std::size_t count_ = 0;
  };

  [[nodiscard]] Status check_place(const Entry& entry);
  [[nodiscard]] Status check_kind(const Entry& entry) const;

  IndexRules rules_;
  std::uint32_t entry_count_ = 0;
  std::string previous_path_;
  std::vector<std::size_t> open_folders_;  // lengths of the prefixes of previous_path_ that are folders
  PathSet files_;
};

// Appends entries to canonical bytes, in order. Entries are checked as a reader would.
class IndexWriter {
 public:
  // Starts with the index header in `out`, which outlives the writer.
  explicit IndexWriter(Bytes& out, IndexRules rules = {});
  [[nodiscard]] Status append(const Entry& entry);
  // Writes the trailer (entry count). Returns the artifact id.
  [[nodiscard]] Result<Hash256> finish();

 private:
  Bytes& out_;
  std::size_t start_;
  IndexChecker checker_;
  std::string previous_path_;
};

// Reads canonical bytes piece by piece: feed() takes any cut of the stream and calls `visit` for each whole entry.
// Every entry has passed IndexChecker. Hostile bytes give an error, never unbounded memory (one entry's worst case).
class IndexReader {
 public:
  using Visitor = std::function<Status(const Entry&)>;
  explicit IndexReader(Visitor visit, IndexRules rules = {});
  [[nodiscard]] Status feed(ByteView piece);
  // The stream has ended: trailer seen, count right. Returns the artifact id of what was read.
  [[nodiscard]] Result<Hash256> finish();

 private:
  Visitor visit_;
  IndexChecker checker_;
  trust::Hasher hasher_;
  Bytes pending_;
  std::string previous_path_;
  std::uint64_t byte_count_ = 0;
  bool header_seen_ = false;
  bool trailer_seen_ = false;

  // Consumes one header, entry or trailer at the start of `bytes`; 0 when more bytes are needed.
  [[nodiscard]] Result<std::size_t> read_one(ByteView bytes);
};

// Whole index in memory, for small tools and tests.
[[nodiscard]] Result<std::vector<Entry>> read_index(ByteView bytes, IndexRules rules = {});

}  // namespace instar::artifact
