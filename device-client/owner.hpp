// The word of the device's owner on updates: a small file that commands write and the daemon watches. docs/device.md
//
//   <state_dir>/owner/word    lines, in any order; absent or empty: nothing said
//     hold                    no release starts, is fetched further or switched to
//     allow                   releases that ask for consent may start
//     allow NAME              this one alone: a release's name, or the first 16 hex digits of its manifest's hash
#pragma once

#include <string>

#include "core/base/result.hpp"
#include "core/revision/machine.hpp"

namespace instar::device {

// Errors: malformed (names the line), io.
[[nodiscard]] Result<revision::OwnerInstruction> read_owner_word(const std::string& state_dir);
// Durable when it returns. Errors: io.
[[nodiscard]] Status write_owner_word(const std::string& state_dir, const revision::OwnerInstruction& word);

// Tells when the file has changed. One thread.
class OwnerWatch {
 public:
  // Makes the folder. Errors: io.
  [[nodiscard]] static Result<OwnerWatch> start(const std::string& state_dir);
  OwnerWatch(OwnerWatch&& other) noexcept;
  OwnerWatch& operator=(OwnerWatch&& other) noexcept;
  ~OwnerWatch();

  // Becomes readable when something has changed.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // Something has changed since the last call (or this is the first).
  [[nodiscard]] bool take_change();

 private:
  explicit OwnerWatch(int fd) : fd_(fd) {}
  int fd_ = -1;
  bool first_ = true;
};

}  // namespace instar::device
