// Which files of a tree that is being made from a delta are finished, with their hashes: `decoded`
// (docs/formats/staging.md). It is written as files are finished. The reader checks what it says against the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "files/posix.hpp"

namespace instar::device {

class MadeLog {
 public:
  // Opens the log of what is being built (`of`: a pack, or an artifact if no pack is used). Begins a new one when there
  // is none, or when it is of something else. Errors: io, no_space.
  [[nodiscard]] static Result<MadeLog> open(const std::string& path, const Hash256& of);
  // What an earlier process noted about entry `number`. Numbers must rise from call to call. Errors: io.
  [[nodiscard]] Result<std::optional<Hash256>> find(std::uint32_t number);
  // Notes a file, or replaces its note. To be called after find() with the same number.
  [[nodiscard]] Status note(std::uint32_t number, const Hash256& content);

 private:
  struct Record {
    std::uint32_t number = 0;
    Hash256 content;
  };
  [[nodiscard]] Result<std::optional<Record>> read(std::uint64_t at) const;

  files::Fd file_;
  std::string path_;
  std::uint64_t records_ = 0;  // complete ones in the file
  std::uint64_t at_ = 0;       // the first record with a number not below the last one that find() looked for
};

}  // namespace instar::device
