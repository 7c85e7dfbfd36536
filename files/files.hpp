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

// Writes a temporary file beside it, syncs it, renames it over `path`, and syncs the folder. After success the new
// content is durable. After a failure or a crash the old content, or the new one, is there whole.
[[nodiscard]] Status write_file_atomic(const std::string& path, ByteView content, std::uint32_t mode = 0644);

// mkdir -p. Each folder in which one was made is synced.
[[nodiscard]] Status make_folders(const std::string& path, std::uint32_t mode = 0755);
// rm -rf, but it stays on one file system and never follows a link.
[[nodiscard]] Status remove_tree(const std::string& path);
// The same, but removes at most `entries_max` files and folders. True when nothing is left.
[[nodiscard]] Result<bool> remove_some(const std::string& path, std::uint32_t entries_max);
// Points the symbolic link `path` at `target`, in one step; durable once its folder is synced.
[[nodiscard]] Status replace_link(const std::string& path, const std::string& target);
// True when there is something of that name, even a link that leads nowhere.
[[nodiscard]] bool exists(const std::string& path) noexcept;
[[nodiscard]] Status sync_folder(const std::string& path);
// syncfs() of the file system that holds `path`.
[[nodiscard]] Status sync_file_system(const std::string& path);
// What is left on a file system.
struct Space {
  std::uint64_t bytes_free = 0;  // for a writer that is not root: without the blocks that are reserved for root
  std::uint64_t inodes_free = 0;
};
// Of the file system that holds `path`.
[[nodiscard]] Result<Space> free_space(const std::string& path);
// From the kernel, good enough for keys.
[[nodiscard]] Result<Bytes> random_bytes(std::size_t count);

}  // namespace instar::files
