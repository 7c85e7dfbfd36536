// The Store port: where the broker service keeps its truth. Asynchronous: nothing here makes the caller wait for a
// disk, except open and scan, which run at start.
//
// One thread (the owner) calls all methods; callbacks run on that thread, inside poll(), in the order of the calls that
// asked for them within each of the two kinds (commits, reads). Forms: RocksStore, MemoryStore (with crash(), and with
// faults: a commit that is slow, or fails at the N-th call).
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

// Numbers index arrays; keys and names on disk are in key_layout.hpp.
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
// Applied wholly or not at all.
using Batch = std::vector<Write>;

class Store {
 public:
  // ok: the batch is on disk (synced) and so is every batch given before it. Error: it is not, nor is any later one
  // until reopen(); the owner must load again from the store (io, unavailable). An empty batch is a barrier: its
  // callback says that everything before it is durable.
  using CommitDone = std::function<void(Status)>;
  // nullopt: no such key.
  using ReadDone = std::function<void(Result<std::optional<Bytes>>)>;
  using ContainsDone = std::function<void(Result<std::vector<bool>>)>;
  // Return false to stop.
  using Visitor = std::function<bool(ByteView key, ByteView value)>;

  virtual ~Store() = default;
  virtual void commit(Batch batch, CommitDone done) = 0;
  // Commits gather until the owner lets them go, here or with poll(): one hand-over to the writer for many. Before the
  // owner waits for anything else it calls one of the two.
  virtual void flush() {}
  virtual void read(Column column, std::string key, ReadDone done) = 0;
  virtual void contains(Column column, std::vector<std::string> keys, ContainsDone done) = 0;
  // Synchronous, in key order, of what is durable or committed before the call; for start and for operators' lists.
  // It may wait for the commits before it; their callbacks still run in poll() only.
  [[nodiscard]] virtual Status scan(Column column, std::string_view prefix, const Visitor& visit) = 0;
  // Runs the callbacks of what has completed; never waits. Returns how many ran.
  virtual std::size_t poll() = 0;
  // Commits asked for and not yet called back.
  [[nodiscard]] virtual std::size_t pending_commits() const noexcept = 0;
  // `wake` is called, on another thread or within the call that asked, whenever poll() has something new to do. It must
  // not wait nor call the store. Set before use; may be empty.
  virtual void on_ready(std::function<void()> wake) = 0;
  // After a failed commit, with no callback outstanding: takes commits again if the disk does. Waits for the disk.
  // ok: what scan and read show is what is durable. Errors: io, unavailable (callbacks are outstanding); try again
  // later.
  [[nodiscard]] virtual Status reopen() = 0;
};

}  // namespace instar::storage
