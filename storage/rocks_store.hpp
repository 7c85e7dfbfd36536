// The Store on RocksDB. One thread writes (group commit: all commits that wait go into one synced write), one thread
// reads, and one gives back the room of what was deleted. The owner's thread waits for the disk only in open, scan,
// reopen and the destructor.
// docs/formats/store.md
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "storage/store.hpp"

namespace instar::storage {

// These sizes suit a gateway with little memory. A big broker gains little from larger ones.
struct RocksOptions {
  // Index, filter and data blocks of all columns, and chunks as they are stored.
  std::size_t cache_bytes = 4 * 1024 * 1024;
  // Unflushed writes of all columns together.
  std::size_t write_buffer_bytes = 8 * 1024 * 1024;
  // A write-ahead log that is longer than this is cut by flushing. This bounds both the disk and the time to open.
  std::size_t log_bytes_max = 8 * 1024 * 1024;
  // Values of the column `chunks` from this size on are kept in blob files, which compaction does not rewrite.
  std::size_t blob_bytes_min = 4 * 1024;
  // A blob file is closed at this size. Garbage is collected file by file.
  std::size_t blob_file_bytes = 32 * 1024 * 1024;
  // Files held open.
  int open_files_max = 128;
  // Reads that may wait. Past this bound a read is answered with `unavailable`.
  std::size_t reads_max = 4096;
};

class RocksStore {
 public:
  RocksStore() = delete;
  // Opens or makes the store in the folder `path` (its parent exists). Waits for the disk.
  // Errors: unavailable (another store, in this process or another, has this path open), unsupported (written by a
  // newer version; nothing was changed), corrupt, io. The destructor finishes the commits that were asked for, without
  // callbacks.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(const std::string& path, RocksOptions options = {});
};

}  // namespace instar::storage
