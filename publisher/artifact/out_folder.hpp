// Folders that a command makes or fills.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace instar::publisher {

// Names in a folder but "." and "..", in no order; none if there is no such folder.
[[nodiscard]] std::vector<std::string> list_names(const std::string& path);
// Without links and dots; empty if there is no such path.
[[nodiscard]] std::string real_path(const std::string& path);
// Both must be there. True for the folder itself too.
[[nodiscard]] bool lies_inside(const std::string& path, const std::string& folder);
// "a/b" → "a", "a" → ".", "/a" → "/".
[[nodiscard]] std::string parent_folder(const std::string& path);
// "a/b" → "b"
[[nodiscard]] std::string base_name(const std::string& path);

// A folder of this process, removed with all that is in it when it goes.
class ScratchFolder {
 public:
  // In `parent`, which must be there; empty: in $TMPDIR, or /tmp. Errors: io, no_space.
  [[nodiscard]] static Result<ScratchFolder> make(const std::string& parent);
  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&& other) noexcept;
  ~ScratchFolder();
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// A folder that is filled from nothing: unless keep() is called, it is as it was when this goes, gone or empty.
class NewFolder {
 public:
  // Errors: invalid_argument (it holds something, or is no folder), io.
  [[nodiscard]] static Result<NewFolder> make(const std::string& path);
  NewFolder(NewFolder&& other) noexcept;
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder();
  void keep() noexcept { path_.clear(); }

 private:
  NewFolder(std::string path, bool was_there) : path_(std::move(path)), was_there_(was_there) {}
  std::string path_;  // empty: nothing to undo
  bool was_there_;
};

}  // namespace instar::publisher
