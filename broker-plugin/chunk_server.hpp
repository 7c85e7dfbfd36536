// Serves pieces of chunks to devices. Each device gets what its credit allows, all of them share one budget, and they
// take turns, one piece each. What a device has not asked for or not taken is never in memory: a session is a few
// numbers, and a chunk is read when it can be sent.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker-plugin/lru_cache.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/base/time.hpp"
#include "core/wire/messages.hpp"
#include "storage/store.hpp"

namespace instar::broker {

struct ChunkServerOptions {
  std::uint32_t window_bytes_max = 0;  // 0 = limits.hpp
  std::size_t cache_bytes_max = limits::kChunkCacheBytesMax;
  std::size_t directory_bytes_max = limits::kDirectoryCacheBytesMax;
  std::size_t in_flight_bytes_max = 0;  // 0 = limits.hpp
  // A session that is silent for so long is dropped. The shorter time counts when half of the common budget is taken.
  // A session that wants nothing, and has confirmed all that was sent, is over.
  std::int64_t stall_ms = 600'000;
  std::int64_t stall_ms_when_tight = 60'000;
  std::size_t pump_bytes_max = limits::kPumpBytesMax;
};

// A piece that is about to be sent, for accounting.
struct SentPiece {
  const DeviceId& device;
  const PackId& pack;
  std::uint64_t rollout = 0;
  std::uint32_t ordinal = 0;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

class ChunkServer {
 public:
  using Send = std::function<void(const DeviceId&, const wire::ChunkPiece&)>;
  // Called before each piece is sent. Anything but `none` is the fault that the device gets instead.
  using Account = std::function<wire::ChunkFault(const SentPiece&)>;

  ChunkServer(storage::Store& store, Send send, Account account, ChunkServerOptions options = {});

  // A fetch message of a device that may speak as itself. A higher session replaces the one before; a lower one is
  // ignored.
  void fetch(const DeviceId& device, const wire::Fetch& fetch, MonotonicMs now);
  // The device is gone.
  void drop(const DeviceId& device);
  // Sends what credit allows; O(1) when there is nothing to send.
  void pump();
  // Drops sessions that have stalled or are over. To be called now and then.
  void drop_stalled(MonotonicMs now);

  [[nodiscard]] std::size_t in_flight_bytes() const noexcept { return in_flight_bytes_; }
  [[nodiscard]] std::size_t session_count() const noexcept { return sessions_.size(); }
  [[nodiscard]] std::size_t cached_bytes() const noexcept { return chunks_.bytes(); }
  void assert_invariants() const;

 private:
  struct Wanted {
    PackId pack;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t offset = 0;
  };
  struct Session {
    std::uint32_t number = 0;
    std::uint64_t rollout = 0;
    std::uint64_t origin = 0;  // `received_bytes` of the session's first fetch: the device's count begins there
    std::uint64_t sent = 0;    // these two are counted from 0
    std::uint64_t received = 0;
    std::uint32_t window = 0;
    std::uint32_t piece_bytes_max = 0;
    std::vector<std::uint64_t> piece_ends;  // `sent` after each piece that is still out; at most kWindowPiecesMax
    // What the device's earlier sessions had in flight: the broker may still hold it. The connection keeps the order,
    // so the first credit of this session shows that all of it has arrived.
    std::uint64_t carried_bytes = 0;
    std::size_t carried_pieces = 0;
    MonotonicMs carried_since;
    std::vector<Wanted> wanted;  // next first; at most limits::kSessionRangesMax
    bool in_ring = false;
    MonotonicMs last_fetch;  // when the device last sent a fetch message
  };
  enum class Step : std::uint8_t {
    sent,     // a piece was sent: the session is asked again, after the others
    waits,    // for credit or for a read, or it has nothing to do: something else puts it back into the ring
    blocked,  // by a bound that all share: it stays in the ring
  };
  using Chunk = std::shared_ptr<const Bytes>;
  using Directory = std::shared_ptr<const artifact::PackDirectory>;

  [[nodiscard]] std::uint64_t in_flight(const Session& session) const { return session.sent - session.received; }
  [[nodiscard]] bool is_over(const Session& session) const {
    return session.wanted.empty() && in_flight(session) == 0 && session.carried_pieces == 0;
  }
  [[nodiscard]] static std::uint64_t since_origin(const Session& session, std::uint64_t received);
  Step step(const DeviceId& device, Session& session);
  Step send_piece(const DeviceId& device, Session& session, const artifact::ChunkRef& ref);
  void take_credit(Session& session, std::uint64_t received);
  void begin(Session& session, const wire::Fetch& fetch, MonotonicMs now);
  void release_carried(Session& session);
  void release(Session& session);
  void add_ranges(const DeviceId& device, Session& session, const wire::Fetch& fetch);
  void fault(const DeviceId& device, const Session& session, std::uint32_t ordinal, wire::ChunkFault fault);
  void send_position(const DeviceId& device, std::uint32_t number, const Session* session);
  void fail_pack(const DeviceId& device, Session& session, wire::ChunkFault fault);
  void advance(Session& session, std::uint32_t chunk_bytes, std::uint32_t sent);
  void wake(const DeviceId& device);
  // Key of the chunk that the session wants next, if its directory is in memory.
  [[nodiscard]] std::optional<std::string> next_chunk(const Session& session);
  void load_directory(const DeviceId& device, const PackId& pack);
  [[nodiscard]] bool load_chunk(const DeviceId& device, const std::string& key);
  void directory_loaded(const PackId& pack, Result<std::optional<Bytes>> value);
  void chunk_loaded(const std::string& key, Result<std::optional<Bytes>> value);

  storage::Store& store_;
  Send send_;
  Account account_;
  ChunkServerOptions options_;
  std::unordered_map<DeviceId, Session> sessions_;
  std::deque<DeviceId> ring_;
  std::size_t in_flight_bytes_ = 0;
  LruCache<std::string, Chunk> chunks_;
  LruCache<PackId, Directory> directories_;
  std::map<std::string, std::set<DeviceId>> chunk_loads_;  // key → devices that wait for it
  std::map<PackId, std::set<DeviceId>> directory_loads_;
  std::shared_ptr<ChunkServer*> self_;  // store callbacks hold it weakly
};

}  // namespace instar::broker
