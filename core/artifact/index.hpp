// The index of a directory tree: every entry in path order, in one canonical form. Its hash is the artifact's id.
// docs/formats/index.md. It is written and read as a stream, so memory does not grow with the tree.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/item_buffer.hpp"
#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/trust/digest.hpp"

namespace instar::artifact {

// Frozen numbers.
enum class EntryType : std::uint8_t {
  directory = 0,
  file = 1,
  symlink = 2,
  hardlink = 3,
  char_device = 4,
  block_device = 5,
  fifo = 6
};

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
  // Permission bits with setuid, setgid, sticky. Symlinks have none (0); a hardlink has no mode, owner or xattrs of its
  // own (0).
  std::uint16_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<Xattr> xattrs;  // files and folders: by name, ascending; those of is_tree_xattr() only
  // Files and folders whose times are kept: seconds since 1970. Without it the device chooses (entry_time.hpp).
  std::optional<std::uint32_t> time;
  std::uint64_t size = 0;  // files
  Hash256 content;         // files: BLAKE2b-256 of the content
  std::string target;      // symlinks: as stored; hardlinks: path of an earlier file entry
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  friend bool operator==(const Entry&, const Entry&) = default;
};

struct IndexRules {
  // Device nodes and fifos are refused unless the deployment allows them.
  bool devices_allowed = false;
  // Whether a hard link's target is looked up among the earlier files, which takes 16 bytes for each file. Without it,
  // the target need only be an earlier path, and the code that makes the tree must check that it is a file without a
  // symlink on the way to it. For reading an index whose hash is verified, and for writing one that will be compared
  // with a signed hash.
  bool hardlinks_looked_up = true;
  // Whether a file's size and content hash are known. If not, they may be zero.
  bool contents_known = true;
};

// Whether a tree may carry an xattr of that name: file capabilities, POSIX ACLs, and `user.*`. Others act on the host's
// mounts (trusted.overlay.*, user.overlay.*) or belong to the host's policy (security.*).
[[nodiscard]] bool is_tree_xattr(std::string_view name) noexcept;

// Order of paths in an index: bytewise, component by component, so that a folder comes right before what it holds
// ("a" < "a/b" < "a.c").
[[nodiscard]] bool path_before(std::string_view left, std::string_view right) noexcept;

// Checks that a path has the form of Entry::path. Errors: malformed, too_large.
[[nodiscard]] Status check_path(std::string_view path);

// Checks one entry by itself, then against those before it: order, parents that exist and are folders, symlinks that
// stay inside the tree (an absolute target is inside the container and allowed; a relative one that leads above the
// root is refused), hardlinks to earlier files, bounds. Errors: malformed, too_large, refused. Memory: 16 bytes for
// each file, for the hardlinks, unless the rules leave them to the caller.
class IndexChecker {
 public:
  explicit IndexChecker(IndexRules rules = {}) : rules_(rules) {}
  // After an error the checker must not be used any more.
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
  [[nodiscard]] Status check_hardlink(const Entry& entry) const;

  IndexRules rules_;
  std::uint32_t entry_count_ = 0;
  std::string previous_path_;
  std::vector<std::size_t> open_folders_;  // lengths of the prefixes of previous_path_ that are folders
  PathSet files_;
};

// Writes entries as canonical bytes, in order, and hashes them. Entries are checked in the same way as by a reader.
// Memory: a few kilobytes, and the checker's. After an error the writer must not be used any more.
class IndexWriter {
 public:
  // Takes the next bytes of the index, some kilobytes at a time. Its errors end the writing.
  using Sink = std::function<Status(ByteView)>;
  explicit IndexWriter(Sink sink, IndexRules rules = {});
  // Appends to `out`, which must outlive the writer and is complete after finish().
  explicit IndexWriter(Bytes& out, IndexRules rules = {});
  [[nodiscard]] Status append(const Entry& entry);
  // Writes the trailer (entry count). Returns the artifact id. Call once.
  [[nodiscard]] Result<ArtifactId> finish();

 private:
  [[nodiscard]] Status hand_over();

  Sink sink_;
  IndexChecker checker_;
  trust::Hasher hasher_;
  Bytes pending_;
  std::uint64_t byte_count_ = 0;
  std::string previous_path_;
};

// Reads canonical bytes piece by piece: feed() takes pieces of any size and calls `visit` for each complete entry.
// Every entry has passed IndexChecker. Hostile bytes give an error and take no more memory than the largest entry.
class IndexReader {
 public:
  using Visitor = std::function<Status(const Entry&)>;
  explicit IndexReader(Visitor visit, IndexRules rules = {});
  [[nodiscard]] Status feed(ByteView piece);
  // Checks that the stream has ended with a trailer and the right count. Returns the artifact id of what was read.
  [[nodiscard]] Result<ArtifactId> finish();

 private:
  Visitor visit_;
  IndexChecker checker_;
  trust::Hasher hasher_;
  ItemBuffer pending_;
  std::string previous_path_;
  std::uint64_t byte_count_ = 0;
  bool header_seen_ = false;
  bool trailer_seen_ = false;

  // Consumes one header, entry or trailer at the start of `bytes`; 0 when more bytes are needed.
  [[nodiscard]] Result<std::size_t> read_one(ByteView bytes);
};

// A whole index in memory, for small tools and tests.
[[nodiscard]] Result<std::vector<Entry>> read_index(ByteView bytes, IndexRules rules = {});

}  // namespace instar::artifact
