// Durable file operations on Linux, shared by the publisher and the device client. Every error names the path and the
// cause.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::files {

// Whole small file. Errors: not_found, too_large (over `bytes_max`), io.
[[nodiscard]] Result<Bytes> read_file(const std::string& path, std::size_t bytes_max);

// Temporary file beside it → write → fsync → rename → fsync of the folder: after success the new content is durable,
// after failure or a crash the old content (or none) is there whole.
[[nodiscard]] Status write_file_atomic(const std::string& path, ByteView content, std::uint32_t mode = 0644);

// mkdir -p, with fsync of each folder made in.
[[nodiscard]] Status make_folders(const std::string& path, std::uint32_t mode = 0755);
// rm -rf that stays on one file system and never follows a link out.
[[nodiscard]] Status remove_tree(const std::string& path);
// The same for at most `entries_max` files and folders in it; true when nothing is left.
[[nodiscard]] Result<bool> remove_some(const std::string& path, std::uint32_t entries_max);
// Points the symbolic link `path` at `target`, in one step; durable once its folder is synced.
[[nodiscard]] Status replace_link(const std::string& path, const std::string& target);
// Something of that name is there, be it a link that leads nowhere.
[[nodiscard]] bool exists(const std::string& path) noexcept;
[[nodiscard]] Status sync_folder(const std::string& path);
// syncfs() of the file system that holds `path`.
[[nodiscard]] Status sync_file_system(const std::string& path);
// Bytes and inodes that an unprivileged (bytes) writer may still use there.
struct Space {
  std::uint64_t bytes_free = 0;
  std::uint64_t inodes_free = 0;
};
[[nodiscard]] Result<Space> free_space(const std::string& path);
// 32 bytes for keys and sessions from the kernel.
[[nodiscard]] Result<Bytes> random_bytes(std::size_t count);

}  // namespace instar::files
