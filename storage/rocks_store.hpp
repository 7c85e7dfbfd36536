// The Store on RocksDB. One thread writes (group commit: whatever has been asked for goes into one synced write), one
// reads; the owner's thread never waits for the disk but in open, scan, reopen and the destructor.
// docs/formats/store.md
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "storage/store.hpp"

namespace instar::storage {

// Sized for a gateway with little memory; a big broker gains little from more.
struct RocksOptions {
  // Index, filter and data blocks of all columns, and chunks as they are stored.
  std::size_t cache_bytes = 4 * 1024 * 1024;
  // Unflushed writes of all columns together.
  std::size_t write_buffer_bytes = 8 * 1024 * 1024;
  // The write-ahead log is cut by flushing when it is longer than this: bounds both disk and the time to open.
  std::size_t log_bytes_max = 8 * 1024 * 1024;
  // Values of the column `chunks` from this size on are kept in blob files, out of the way of compaction.
  std::size_t blob_bytes_min = 4 * 1024;
  // Blob files are closed at this size; garbage is collected by the file.
  std::size_t blob_file_bytes = 32 * 1024 * 1024;
  // Files held open.
  int open_files_max = 128;
  // Reads asked for and not yet done; past it they are answered `unavailable`.
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
