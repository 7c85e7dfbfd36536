// A small file system on a loop device, whose power can be cut: what its page cache holds is gone, and what was written
// without a sync may be there in part. (The ioctl is ext4's and XFS's "shutdown" without flushing, flag
// EXT4_GOING_FLAGS_NOLOGFLUSH.)
#pragma once

#include <string>

#include "core/base/result.hpp"

namespace instar::powercut {

class Flash {
 public:
  // Makes `folder`/flash.img and an ext4 of `megabytes` in it. Needs root. Errors: io, with what the command said.
  [[nodiscard]] static Result<Flash> make(const std::string& folder, int megabytes);
  Flash(Flash&& other) noexcept;
  Flash& operator=(Flash&&) = delete;
  ~Flash();

  // ext4 commits its journal by itself each second.
  [[nodiscard]] Status mount() const;
  [[nodiscard]] Status cut() const;
  // After a cut, when no process holds a file of it any more.
  [[nodiscard]] Status unmount() const;
  // e2fsck -fn: the file system itself, unmounted.
  [[nodiscard]] Status check() const;
  [[nodiscard]] const std::string& path() const noexcept { return mountpoint_; }

 private:
  Flash() = default;
  std::string mountpoint_;
  std::string loop_;
};

}  // namespace instar::powercut
