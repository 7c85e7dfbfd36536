#include "files/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "files/posix.hpp"

namespace instar::files {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status write_new_file(const std::string& path, ByteView content, std::uint32_t mode) {
  INSTAR_TRY(const Fd file, open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  if (::fchmod(file.get(), static_cast<mode_t>(mode)) != 0) return os_error("setting the mode of", path, errno);
  INSTAR_CHECK(write_all(file.get(), content, path));
  return sync_fd(file.get(), path);
}

Result<Bytes> read_whole(const Fd& file, const std::string& path, std::size_t bytes_max) {
  Bytes content;
  constexpr std::size_t kStep = 64 * 1024;
  while (true) {
    const std::size_t have = content.size();
    const std::size_t step = std::min(kStep, bytes_max + 1 - have);
    content.resize(have + step);
    INSTAR_TRY(const std::size_t got, read_at(file.get(), std::span(content).subspan(have), have, path));
    content.resize(have + got);
    if (content.size() > bytes_max) {
      return fail(Code::too_large, path + " has more than " + std::to_string(bytes_max) + " bytes");
    }
    if (got < step) return content;
  }
}

// Removes at most a given number of entries of a tree, on one file system.
class Remover {
 public:
  Remover(dev_t device, std::uint32_t entries_max) : device_(device), left_(entries_max) {}
  Status remove(int folder, const char* name, const std::string& shown) {
    if (left_ == 0) return {};
    if (::unlinkat(folder, name, 0) == 0 || errno == ENOENT) {
      --left_;
      return {};
    }
    if (errno != EISDIR && errno != EPERM) return os_error("removing", shown, errno);
    const int unlink_errno = errno;
    Fd child(::openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child.is_open()) return os_error("removing", shown, errno == ENOTDIR ? unlink_errno : errno);
    struct stat status {};
    if (::fstat(child.get(), &status) != 0) return os_error("looking at", shown, errno);
    if (status.st_dev != device_) {
      return fail(Code::io, "removing " + shown + ": another file system is mounted there; unmount it first");
    }
    INSTAR_CHECK(remove_contents(std::move(child), shown));
    if (left_ == 0) return {};
    --left_;
    if (::unlinkat(folder, name, AT_REMOVEDIR) != 0) return os_error("removing", shown, errno);
    return {};
  }

 private:
  Status remove_contents(Fd folder, const std::string& shown) {
    const int fd = folder.get();
    const OpenFolder dir(::fdopendir(fd));
    if (dir == nullptr) return os_error("listing", shown, errno);
    static_cast<void>(folder.release());
    while (left_ > 0) {
      errno = 0;
      const dirent* item = ::readdir(dir.get());
      if (item == nullptr) {
        if (errno != 0) return os_error("listing", shown, errno);
        return {};
      }
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      INSTAR_CHECK(remove(fd, item->d_name, shown + "/" + std::string(name)));
    }
    return {};
  }

  dev_t device_;
  std::uint32_t left_;
};

Result<mode_t> mode_of(const Fd& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return os_error("looking at", path, errno);
  return status.st_mode;
}

}  // namespace

Result<Bytes> read_file(const std::string& path, std::size_t bytes_max) {
  INSTAR_TRY(const Fd file, open_file(path, O_RDONLY));
  return read_whole(file, path, bytes_max);
}

Result<Bytes> read_secret_file(const std::string& path, std::size_t bytes_max, std::string_view what) {
  INSTAR_TRY(const Fd file, open_file(path, O_RDONLY));
  INSTAR_TRY(const auto mode, mode_of(file, path));
  if ((mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(Code::refused, std::string(what) + " " + path +
                                   " can be read or written by others than its owner: run chmod 600 " + path);
  }
  return read_whole(file, path, bytes_max);
}

Result<Password> read_password_file(const std::string& path, std::size_t bytes_max) {
  INSTAR_TRY(const Fd file, open_file(path, O_RDONLY));
  INSTAR_TRY(const auto mode, mode_of(file, path));
  const auto remedy = " by others than its owner: run chmod 600 " + path;
  if ((mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::refused, "password file " + path + " can be written" + remedy);
  INSTAR_TRY(const auto bytes, read_whole(file, path, bytes_max));
  Password password;
  const auto text = as_text(bytes);
  password.text = text.substr(0, text.find('\n'));
  if (password.text.ends_with('\r')) password.text.pop_back();
  if ((mode & (S_IRGRP | S_IROTH)) != 0) password.warning = "password file " + path + " can be read" + remedy;
  return password;
}

Status check_private_key_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return os_error("looking at", path, errno);
  if ((status.st_mode & S_IRWXO) == 0) return {};
  return fail(Code::refused, "private key " + path + " can be read or written by everybody: run chmod 600 " + path);
}

Status write_file_atomic(const std::string& path, ByteView content, std::uint32_t mode) {
  // A file has one writer. The next write replaces a temporary file that a crash left behind.
  const std::string temporary = path + ".new";
  Status status = write_new_file(temporary, content, mode);
  if (status && with_room(0, [&] { return ::rename(temporary.c_str(), path.c_str()); }) != 0)
    status = os_error("renaming " + temporary + " to", path, errno);
  if (!status) {
    ::unlink(temporary.c_str());
    return status;
  }
  return sync_folder(folder_of(path));
}

Status make_folders(const std::string& path, std::uint32_t mode) {
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (part.empty() || part.back() == '/') continue;
    if (with_room(0, [&] { return ::mkdir(part.c_str(), static_cast<mode_t>(mode)); }) == 0) {
      INSTAR_CHECK(sync_folder(folder_of(part)));
      continue;
    }
    if (errno != EEXIST) return os_error("making the folder", part, errno);
    struct stat status {};
    if (::stat(part.c_str(), &status) != 0) return os_error("looking at", part, errno);
    if (!S_ISDIR(status.st_mode))
      return fail(Code::io, "making the folder " + part + ": something that is not a folder is there");
  }
  return {};
}

Status remove_tree(const std::string& path) {
  INSTAR_TRY([[maybe_unused]] const bool done, remove_some(path, UINT32_MAX));
  return {};
}

Result<bool> remove_some(const std::string& path, std::uint32_t entries_max) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return true;
    return os_error("looking at", path, errno);
  }
  Remover remover(status.st_dev, entries_max);
  INSTAR_CHECK(remover.remove(AT_FDCWD, path.c_str(), path));
  return ::lstat(path.c_str(), &status) != 0 && errno == ENOENT;
}

Status replace_link(const std::string& path, const std::string& target) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  if (with_room(0, [&] { return ::symlink(target.c_str(), fresh.c_str()); }) != 0)
    return os_error("making", fresh, errno);
  if (with_room(0, [&] { return ::rename(fresh.c_str(), path.c_str()); }) != 0)
    return os_error("pointing", path + " at " + target, errno);
  return {};
}

bool exists(const std::string& path) noexcept {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

Status sync_folder(const std::string& path) {
  INSTAR_TRY(const Fd folder, open_file(path, O_RDONLY | O_DIRECTORY));
  return sync_fd(folder.get(), path);
}

Status sync_file_system(const std::string& path) {
  INSTAR_TRY(const Fd file, open_file(path, O_RDONLY));
  if (::syncfs(file.get()) != 0) return os_error("syncing the file system of", path, errno);
  return {};
}

Result<Space> free_space(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) return os_error("asking for the free space of", path, errno);
  Space space;
  space.bytes_free = std::uint64_t{status.f_bavail} * status.f_frsize;
  space.bytes = std::uint64_t{status.f_blocks} * status.f_frsize;
  // File systems that make inodes when needed (btrfs, overlay on it) report 0 of 0.
  space.inodes_free = status.f_files == 0 ? UINT64_MAX : std::uint64_t{status.f_favail};
  space.inodes = status.f_files;
  return space;
}

Result<Bytes> random_bytes(std::size_t count) {
  Bytes bytes(count);
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::getrandom(bytes.data() + done, count - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error("reading", "the kernel's random numbers", errno);
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace instar::files
