// Contents of files while an archive is read: each in a file of its own, whose name has nothing to do with the archive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "publisher/archive/archive_reader.hpp"

namespace instar::publisher {

// One content. The destructor removes its file, unless it was moved.
class StoredContent {
 public:
  StoredContent(std::string path, std::uint64_t size) : path_(std::move(path)), size_(size) {}
  StoredContent(const StoredContent&) = delete;
  StoredContent& operator=(const StoredContent&) = delete;
  ~StoredContent();
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const Hash256& hash() const noexcept { return hash_; }
  void set_hash(const Hash256& hash) noexcept { hash_ = hash; }
  // The content itself. Errors: io, too_large.
  [[nodiscard]] Result<Bytes> read(std::size_t bytes_max) const;
  // Renames its file. Errors: io.
  [[nodiscard]] Status move_to(const std::string& path);

 private:
  std::string path_;  // empty: moved
  std::uint64_t size_;
  Hash256 hash_;  // BLAKE2b-256
};

class ContentStore {
 public:
  // `folder` exists, is this process's own, and has nothing in it.
  explicit ContentStore(std::string folder) : folder_(std::move(folder)) {}
  // Stores the content of the entry that `reader` read last, of `size` bytes; zeros take up no space. Errors: those of
  // read_content(), io, no_space.
  [[nodiscard]] Result<std::shared_ptr<StoredContent>> store(ArchiveReader& reader, std::uint64_t size);

 private:
  std::string folder_;
  std::uint64_t next_ = 0;
};

}  // namespace instar::publisher
