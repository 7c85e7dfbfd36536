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

// Reads a small file as a whole. Errors: not_found, too_large (over `bytes_max`), io.
[[nodiscard]] Result<Bytes> read_file(const std::string& path, std::size_t bytes_max);

// The same for a secret key. Errors besides: refused, when its group or everybody may read or write it; the text begins
// with `what`.
[[nodiscard]] Result<Bytes> read_secret_file(const std::string& path, std::size_t bytes_max, std::string_view what);

struct Password {
  std::string text;     // the first line of the file
  std::string warning;  // not empty: others than the owner may read the file
};
// Errors: those of read_file(); refused, when others than its owner may write it. One that others may read is used all
// the same, with a warning: a device must not lose its broker over it.
[[nodiscard]] Result<Password> read_password_file(const std::string& path, std::size_t bytes_max);
// Whether a program may use the private key of a certificate at `path`, which a library will read. A group may, because
// systems have one for that. Errors: refused (everybody may read it), not_found, io.
[[nodiscard]] Status check_private_key_file(const std::string& path);

// Writes a temporary file beside `path`, syncs it, renames it over `path`, and syncs the folder. After success the new
// content is durable. After a failure or a crash the file has all of the old content or all of the new one.
[[nodiscard]] Status write_file_atomic(const std::string& path, ByteView content, std::uint32_t mode = 0644);

// As mkdir -p. Each folder in which one was made is synced.
[[nodiscard]] Status make_folders(const std::string& path, std::uint32_t mode = 0755);
// As rm -rf, but stays on one file system and never follows a link.
[[nodiscard]] Status remove_tree(const std::string& path);
// The same, but removes at most `entries_max` files and folders. Returns true when nothing is left.
[[nodiscard]] Result<bool> remove_some(const std::string& path, std::uint32_t entries_max);
// Points the symbolic link `path` at `target`, in one step. This is durable once the link's folder is synced.
[[nodiscard]] Status replace_link(const std::string& path, const std::string& target);
// Whether there is something of that name, even a link to nothing.
[[nodiscard]] bool exists(const std::string& path) noexcept;
[[nodiscard]] Status sync_folder(const std::string& path);
// syncfs() of the file system that holds `path`.
[[nodiscard]] Status sync_file_system(const std::string& path);
// The free space of a file system.
struct Space {
  std::uint64_t bytes_free = 0;  // for a writer that is not root: without the blocks that are reserved for root
  std::uint64_t inodes_free = 0;
  std::uint64_t bytes = 0;   // of the whole file system
  std::uint64_t inodes = 0;  // the same; 0: it makes them when needed
};
// The free space of the file system that holds `path`.
[[nodiscard]] Result<Space> free_space(const std::string& path);
// Random bytes from the kernel, good enough for keys.
[[nodiscard]] Result<Bytes> random_bytes(std::size_t count);

}  // namespace instar::files
