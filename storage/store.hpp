// The Store port: where the broker service keeps its durable state. It is asynchronous: the caller never waits for the
// disk, except in open and scan, which run at start.
//
// One thread (the owner) calls all methods. Callbacks run on that thread, inside poll(). Those of commits run in the
// order of the commits, and those of reads in the order of the reads. Forms: RocksStore, MemoryStore (with crash(), and
// with faults: a commit that is slow, or fails at the N-th call).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::storage {

// The numbers are indices of arrays. Keys and names on disk are in key_layout.hpp.
enum class Column : std::uint8_t {
  meta = 0,      // schema version, chain of root documents
  devices = 1,   // device id → device record
  rollouts = 2,  // rollout hash → rollout record, and its manifest
  members = 3,   // rollout hash ‖ device id → the device's state in it
  packs = 4,     // pack id → directory, and whether the pack is complete
  chunks = 5,    // chunk hash ‖ encoded size → encoded bytes (blobs)
  history = 6,   // what happened: the last reports of each device, the last events of each rollout
};
inline constexpr std::size_t kColumnCount = 7;

struct Write {
  Column column = Column::meta;
  std::string key;
  std::optional<Bytes> value;  // nullopt: delete
};
// Applied completely or not at all.
using Batch = std::vector<Write>;

class Store {
 public:
  // ok: the batch is on disk (synced), and so is every batch before it. Error (io, unavailable): it is not, and neither
  // is any later one until reopen(); the owner must load again from the store. An empty batch is a barrier: its
  // callback says that everything before it is durable.
  using CommitDone = std::function<void(Status)>;
  // nullopt: no such key.
  using ReadDone = std::function<void(Result<std::optional<Bytes>>)>;
  using ContainsDone = std::function<void(Result<std::vector<bool>>)>;
  // Return false to stop.
  using Visitor = std::function<bool(ByteView key, ByteView value)>;

  virtual ~Store() = default;
  virtual void commit(Batch batch, CommitDone done) = 0;
  // Commits gather until the owner calls this or poll(), so that many are passed to the writer at once. The owner calls
  // one of the two before it waits for anything else.
  virtual void flush() {}
  virtual void read(Column column, std::string key, ReadDone done) = 0;
  virtual void contains(Column column, std::vector<std::string> keys, ContainsDone done) = 0;
  // Shows what is durable or was committed before the call, in key order. For the start and for operators' lists. It is
  // synchronous and may wait for the commits before it, but their callbacks still run in poll() only.
  [[nodiscard]] virtual Status scan(Column column, std::string_view prefix, const Visitor& visit) = 0;
  // Runs the callbacks of all commits and reads that have completed. Never waits. Returns how many ran.
  virtual std::size_t poll() = 0;
  // Commits whose callbacks have not yet run.
  [[nodiscard]] virtual std::size_t pending_commits() const noexcept = 0;
  // Much was deleted: gives its room on the disk back, in the background, as far as that goes without writing what is
  // left once more. Never waits.
  virtual void reclaim() {}
  // `wake` is called whenever poll() has something new to do, on another thread or within a call of the owner. It must
  // not wait or call the store. To be set before use; may be empty.
  virtual void on_ready(std::function<void()> wake) = 0;
  // To be called after a failed commit, when no callback is outstanding. Waits for the disk. ok: the store takes
  // commits again, and scan and read show what is durable. Errors: io, unavailable (callbacks are outstanding); try
  // again later.
  [[nodiscard]] virtual Status reopen() = 0;
};

}  // namespace instar::storage
