// Folders that a command makes or fills.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace instar::publisher {

// Names in a folder except "." and "..", in no order. None if there is no such folder.
[[nodiscard]] std::vector<std::string> list_names(const std::string& path);
// The path without links and dots. Empty if there is no such path.
[[nodiscard]] std::string real_path(const std::string& path);
// Both must exist. True for the folder itself too.
[[nodiscard]] bool lies_inside(const std::string& path, const std::string& folder);
// "a/b" → "a", "a" → ".", "/a" → "/".
[[nodiscard]] std::string parent_folder(const std::string& path);
// "a/b" → "b"
[[nodiscard]] std::string base_name(const std::string& path);

// A folder of this process. The destructor removes it with all that is in it.
class ScratchFolder {
 public:
  // Makes a folder in `parent`, which must exist. Empty: in $TMPDIR, or /tmp. Errors: io, no_space.
  [[nodiscard]] static Result<ScratchFolder> make(const std::string& parent);
  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&& other) noexcept;
  ~ScratchFolder();
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// A folder that starts empty and is filled. Unless keep() is called, the destructor empties it, or removes it if it was
// new.
class NewFolder {
 public:
  // Errors: invalid_argument (it is not empty, or is no folder), io.
  [[nodiscard]] static Result<NewFolder> make(const std::string& path);
  NewFolder(NewFolder&& other) noexcept;
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder();
  void keep() noexcept { path_.clear(); }

 private:
  NewFolder(std::string path, bool was_there) : path_(std::move(path)), was_there_(was_there) {}
  std::string path_;  // empty: there is nothing to undo
  bool was_there_;
};

}  // namespace instar::publisher
