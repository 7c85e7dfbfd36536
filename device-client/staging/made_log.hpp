// Which files of a tree that is being made from a delta are finished, and what they hashed to: `decoded`
// (docs/formats/staging.md). Written as files are finished; what it says is held against the disk by whoever reads it.
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
  // Opens the log of what is being built (`of`: a pack, or an artifact where no pack is used), or begins a new one when
  // there is none or it is of something else. Errors: io, no_space.
  [[nodiscard]] static Result<MadeLog> open(const std::string& path, const Hash256& of);
  // What an earlier process noted of entry `number`. Numbers must rise from call to call. Errors: io.
  [[nodiscard]] Result<std::optional<Hash256>> find(std::uint32_t number);
  // Notes a file, or notes it anew, after find() was asked for it.
  [[nodiscard]] Status note(std::uint32_t number, const Hash256& content);

 private:
  struct Record {
    std::uint32_t number = 0;
    Hash256 content;
  };
  [[nodiscard]] Result<std::optional<Record>> read(std::uint64_t at) const;

  files::Fd file_;
  std::string path_;
  std::uint64_t records_ = 0;  // whole ones in the file
  std::uint64_t at_ = 0;       // the first whose number is not below the last one asked for
};

}  // namespace instar::device
