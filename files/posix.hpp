// For code that works on file descriptors: owning one, naming what went wrong, and opening a file below a folder
// without following a link.
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::files {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept;
  void close() noexcept;

 private:
  int fd_ = -1;
};

// An error such as "opening /x/y: Permission denied; …what to do". Code: not_found for ENOENT, no_space for a full
// disk, otherwise io.
[[nodiscard]] tl::unexpected<Error> os_error(std::string_view doing, std::string_view path, int error_number);

// Frees room for about so many bytes and one file, from a reserve. False: there is none left.
using RoomMaker = std::function<bool(std::uint64_t bytes)>;
// What every operation of this folder asks when the disk or a quota is full: as long as it frees room, the operation is
// tried again. One for the process, for the thread that writes; an empty one takes it away.
void set_room_maker(RoomMaker maker);
// For a call that has failed with `error_number` and wanted `bytes`: whether to make it again.
[[nodiscard]] bool make_room(int error_number, std::uint64_t bytes);
// Makes `call`, which returns below zero and sets errno when it fails, again as long as room is made for it.
template <typename Call>
auto with_room(std::uint64_t bytes, Call call) {
  auto done = call();
  while (done < 0 && make_room(errno, bytes)) done = call();
  return done;
}

// open(2) of a path as given. O_CLOEXEC is added.
[[nodiscard]] Result<Fd> open_file(const std::string& path, int flags, std::uint32_t mode = 0);
// Opens `path` below the folder `root`, component by component with O_NOFOLLOW. A symlink anywhere in the path is an
// error (io), so the result is always inside the folder. `path` is relative and has no "." or ".."; "" is the folder
// itself. `shown_root` names the folder in errors.
[[nodiscard]] Result<Fd> open_below(int root, std::string_view path, int flags, std::string_view shown_root,
                                    std::uint32_t mode = 0);
// Opens the folder that holds `path`, in the same way as open_below(). The last component is what follows the last
// slash.
[[nodiscard]] Result<Fd> open_parent_below(int root, std::string_view path, std::string_view shown_root);
[[nodiscard]] std::string last_component(std::string_view path);

[[nodiscard]] Status write_all(int fd, ByteView bytes, std::string_view path);
[[nodiscard]] Status write_all_at(int fd, ByteView bytes, std::uint64_t offset, std::string_view path);
// Returns fewer bytes than asked for only at the end of the file.
[[nodiscard]] Result<std::size_t> read_at(int fd, std::span<std::uint8_t> out, std::uint64_t offset,
                                          std::string_view path);
// Makes the file `size` bytes large, and reserves the room for them if the file system can. So a full disk is noticed
// before anything is written.
[[nodiscard]] Status take_room(int fd, std::uint64_t size, std::string_view path);
// Reserves the room for [offset, offset + bytes) of a file that is that large already.
[[nodiscard]] Status take_room_at(int fd, std::uint64_t offset, std::uint64_t bytes, std::string_view path);
[[nodiscard]] Status sync_fd(int fd, std::string_view path);

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};
// A folder that is being listed.
using OpenFolder = std::unique_ptr<DIR, CloseFolder>;

}  // namespace instar::files
