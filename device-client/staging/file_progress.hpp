// How far a large file that is made of blocks has come: `progress` (docs/formats/staging.md). It is written after each
// few megabytes, when they are durable, so that a kill or a power cut does not begin an image anew.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/delta/decoder.hpp"

namespace instar::device {

class FileProgress {
 public:
  FileProgress() = default;
  // `pack`: what is being built from.
  FileProgress(std::string path, const PackId& pack) : path_(std::move(path)), pack_(pack) {}

  // What an earlier process noted about entry `number`. A file that cannot be read, or is of something else, says
  // nothing.
  [[nodiscard]] std::optional<delta::BlockProgress> find(std::uint32_t number) const;
  // Replaces the note. The bytes of the file must be durable. Errors: io, no_space.
  [[nodiscard]] Status note(std::uint32_t number, const delta::BlockProgress& progress) const;

 private:
  [[nodiscard]] Bytes encode(std::uint32_t number, const delta::BlockProgress& progress) const;

  std::string path_;
  PackId pack_;
};

}  // namespace instar::device
