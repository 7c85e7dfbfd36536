#include "publisher/artifact/out_folder.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::publisher {
namespace {

struct Closer {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

}  // namespace

std::vector<std::string> list_names(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, Closer> folder(::opendir(path.c_str()));
  if (!folder) return names;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  return resolved ? std::string(resolved.get()) : std::string();
}

bool lies_inside(const std::string& path, const std::string& folder) {
  const std::string inner = real_path(path);
  const std::string outer = real_path(folder);
  return inner == outer || inner.starts_with(outer == "/" ? outer : outer + "/");
}

std::string parent_folder(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Result<ScratchFolder> ScratchFolder::make(const std::string& parent) {
  std::string path = parent;
  if (path.empty()) {
    const char* given = std::getenv("TMPDIR");
    path = given != nullptr && *given != '\0' ? given : "/tmp";
  }
  path += "/.instar-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return files::os_error("making a temporary folder", path, errno);
  return ScratchFolder(std::move(path));
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}

ScratchFolder& ScratchFolder::operator=(ScratchFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

ScratchFolder::~ScratchFolder() {
  // If something cannot be removed, it stays in a folder for temporary files, so the error is ignored.
  if (!path_.empty()) static_cast<void>(files::remove_tree(path_));
}

Result<NewFolder> NewFolder::make(const std::string& path) {
  struct stat info {};
  const bool was_there = ::lstat(path.c_str(), &info) == 0;
  if (was_there && (!S_ISDIR(info.st_mode) || !list_names(path).empty())) {
    return fail(Code::invalid_argument,
                path + (S_ISDIR(info.st_mode) ? " is not empty" : " is no folder") + ": choose a new or empty folder");
  }
  if (!was_there) INSTAR_CHECK(files::make_folders(path, 0700));
  return NewFolder(path, was_there);
}

NewFolder::NewFolder(NewFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), was_there_(other.was_there_) {}

NewFolder::~NewFolder() {
  if (path_.empty()) return;
  if (!was_there_) {
    static_cast<void>(files::remove_tree(path_));
    return;
  }
  for (const auto& name : list_names(path_)) static_cast<void>(files::remove_tree(path_ + "/" + name));
}

}  // namespace instar::publisher
