// The owner's instruction on updates: a small file that commands write and the daemon watches. docs/device.md
//
//   <state_dir>/owner/word    lines, in any order; absent or empty: no instruction
//     hold                    no release starts, is fetched further or switched to
//     allow                   releases that ask for consent may start
//     allow NAME              only this one: a release's name, or the first 16 hex digits of its manifest's hash
#pragma once

#include <string>

#include "core/base/result.hpp"
#include "core/revision/machine.hpp"

namespace instar::device {

// Errors: malformed (names the line), io.
[[nodiscard]] Result<revision::OwnerInstruction> read_owner_word(const std::string& state_dir);
// Durable when it returns. Errors: io.
[[nodiscard]] Status write_owner_word(const std::string& state_dir, const revision::OwnerInstruction& word);

// Notices when the file has changed. For one thread.
class OwnerWatch {
 public:
  // Makes the folder. Errors: io.
  [[nodiscard]] static Result<OwnerWatch> start(const std::string& state_dir);
  OwnerWatch(OwnerWatch&& other) noexcept;
  OwnerWatch& operator=(OwnerWatch&& other) noexcept;
  ~OwnerWatch();

  // Becomes readable when something has changed.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // Whether something has changed since the last call. The first call returns true.
  [[nodiscard]] bool take_change();

 private:
  explicit OwnerWatch(int fd) : fd_(fd) {}
  int fd_ = -1;
  bool first_ = true;
};

}  // namespace instar::device
