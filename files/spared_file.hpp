// A small file that can be replaced on a full disk. Beside it lies a spare of the same size, "<path>.spare", with
// blocks and an inode of its own. New content is written over the spare, which takes no room, and synced; then the two
// change names in one step (renameat2 with RENAME_EXCHANGE), which takes none either.
//
// Both are larger than their content, so that the blocks stay theirs while the content changes its size. What comes
// after the content has no meaning, up to the last 16 bytes: "INSTSPAR" and the size of the content, little-endian. A
// file that does not end so is content from its first to its last byte.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::files {

// Durable when it returns. After a failure or a crash the file has all of the old content or all of the new one. Room
// is asked of the disk only for the first two writes, and when content has outgrown its file. Where files cannot change
// names in one step, it is write_file_atomic(). Errors: no_space, io.
[[nodiscard]] Status write_spared_file(const std::string& path, ByteView content, std::uint32_t mode);

// Errors: not_found, too_large (the file, over `bytes_max`), io.
[[nodiscard]] Result<Bytes> read_spared_file(const std::string& path, std::size_t bytes_max);

}  // namespace instar::files
