#include "broker-plugin/chunk_server.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

// A session that is over is kept for a little, because the device may ask for more. Opening it again costs nothing.
constexpr std::int64_t kOverMs = 10'000;

}  // namespace

ChunkServer::ChunkServer(storage::Store& store, Send send, Account account, ChunkServerOptions options)
    : store_(store),
      send_(std::move(send)),
      account_(std::move(account)),
      options_(options),
      chunks_(options.cache_bytes_max),
      directories_(options.directory_bytes_max),
      self_(std::make_shared<ChunkServer*>(this)) {
  if (options_.window_bytes_max == 0 || options_.window_bytes_max > limits::kWindowBytesMax) {
    options_.window_bytes_max = limits::kWindowBytesMax;
  }
  if (options_.in_flight_bytes_max == 0) options_.in_flight_bytes_max = limits::kInFlightBytesMax;
}

void ChunkServer::fetch(const DeviceId& device, const wire::Fetch& fetch, MonotonicMs now) {
  auto found = sessions_.find(device);
  if (found == sessions_.end()) {
    // This only returns credit of a session that is not known here. There is nothing to do or to remember.
    if (!fetch.pack.has_value()) return send_position(device, fetch.session, nullptr);
    found = sessions_.try_emplace(device).first;
    begin(found->second, fetch, now);
  } else if (fetch.session > found->second.number) {
    begin(found->second, fetch, now);
  } else if (fetch.session < found->second.number) {
    return;
  }
  auto& session = found->second;
  session.last_fetch = now;
  session.window = std::min(fetch.window_bytes, options_.window_bytes_max);
  session.piece_bytes_max = std::clamp(fetch.piece_bytes_max, limits::kPieceBytesMin, limits::kPieceBytesMax);
  if (fetch.rollout != 0) session.rollout = fetch.rollout;
  const auto received = since_origin(session, fetch.received_bytes);
  const bool asks_where = !fetch.pack.has_value() && received == session.received;
  take_credit(session, received);
  if (asks_where) send_position(device, session.number, &session);
  if (fetch.pack.has_value()) add_ranges(device, session, fetch);
  if (!session.wanted.empty()) wake(device);
  pump();
}

// A session starts with nothing of its own in flight. A device's count may go on from what an earlier connection took:
// wherever it starts, here it is counted from 0, so that no number of a device can make a sum overflow.
void ChunkServer::begin(Session& session, const wire::Fetch& fetch, MonotonicMs now) {
  Session next;
  next.in_ring = session.in_ring;
  next.number = fetch.session;
  next.origin = fetch.received_bytes;
  next.carried_bytes = session.carried_bytes + in_flight(session);
  next.carried_pieces = session.carried_pieces + session.piece_ends.size();
  next.carried_since = session.carried_pieces > 0 ? session.carried_since : now;
  session = std::move(next);
}

// A count from before the session says that nothing of it has arrived.
std::uint64_t ChunkServer::since_origin(const Session& session, std::uint64_t received) {
  return received > session.origin ? received - session.origin : 0;
}

void ChunkServer::take_credit(Session& session, std::uint64_t received) {
  INSTAR_ASSERT(session.received <= session.sent);
  // Neither back nor past what was sent, whatever a device says.
  const auto now = std::clamp(received, session.received, session.sent);
  if (now == session.received) return;
  INSTAR_ASSERT(in_flight_bytes_ >= now - session.received);
  in_flight_bytes_ -= now - session.received;
  session.received = now;
  std::erase_if(session.piece_ends, [now](std::uint64_t end) { return end <= now; });
  release_carried(session);
}

void ChunkServer::release_carried(Session& session) {
  INSTAR_ASSERT(in_flight_bytes_ >= session.carried_bytes);
  in_flight_bytes_ -= session.carried_bytes;
  session.carried_bytes = 0;
  session.carried_pieces = 0;
}

void ChunkServer::release(Session& session) {
  release_carried(session);
  INSTAR_ASSERT(in_flight_bytes_ >= in_flight(session));
  in_flight_bytes_ -= in_flight(session);
  session.received = session.sent;
}

void ChunkServer::add_ranges(const DeviceId& device, Session& session, const wire::Fetch& fetch) {
  for (const auto& range : fetch.ranges) {
    if (session.wanted.size() >= limits::kSessionRangesMax)
      return fault(device, session, range.first, wire::ChunkFault::busy);
    session.wanted.push_back({*fetch.pack, range.first, range.count, range.offset});
  }
}

void ChunkServer::drop(const DeviceId& device) {
  const auto found = sessions_.find(device);
  if (found == sessions_.end()) return;
  release(found->second);
  sessions_.erase(found);
}

void ChunkServer::drop_stalled(MonotonicMs now) {
  const bool tight = in_flight_bytes_ > options_.in_flight_bytes_max / 2;
  const auto limit_ms = tight ? options_.stall_ms_when_tight : options_.stall_ms;
  std::vector<DeviceId> stalled;
  for (auto& [device, session] : sessions_) {
    if (now - session.last_fetch >= (is_over(session) ? kOverMs : limit_ms)) stalled.push_back(device);
    // Pieces that were sent before the device had subscribed are lost, so no credit comes for them.
    if (session.carried_pieces > 0 && now - session.carried_since >= limit_ms) release_carried(session);
  }
  for (const auto& device : stalled) drop(device);
}

void ChunkServer::wake(const DeviceId& device) {
  const auto found = sessions_.find(device);
  if (found == sessions_.end() || found->second.in_ring) return;
  found->second.in_ring = true;
  ring_.push_back(device);
}

void ChunkServer::pump() {
  const auto sent_before = in_flight_bytes_;
  std::size_t idle = 0;  // sessions since the last piece that could not send one
  while (!ring_.empty() && idle < ring_.size() && in_flight_bytes_ - sent_before < options_.pump_bytes_max) {
    const auto device = std::move(ring_.front());
    ring_.pop_front();
    const auto found = sessions_.find(device);
    if (found == sessions_.end()) continue;
    found->second.in_ring = false;
    const auto what = step(device, found->second);
    if (what == Step::waits) continue;
    idle = what == Step::sent ? 0 : idle + 1;
    wake(device);
  }
}

void ChunkServer::assert_invariants() const {
  std::size_t out = 0;
  for (const auto& [device, session] : sessions_) {
    INSTAR_ASSERT(session.received <= session.sent);
    INSTAR_ASSERT(session.piece_ends.size() <= limits::kWindowPiecesMax);
    INSTAR_ASSERT(session.wanted.size() <= limits::kSessionRangesMax);
    out += in_flight(session) + session.carried_bytes;
  }
  INSTAR_ASSERT(out == in_flight_bytes_);
  INSTAR_ASSERT(chunk_loads_.size() <= limits::kChunkLoadsMax);
}

ChunkServer::Step ChunkServer::step(const DeviceId& device, Session& session) {
  while (!session.wanted.empty()) {
    const auto wanted = session.wanted.front();
    const auto* cached = directories_.get(wanted.pack);
    if (cached == nullptr) {
      load_directory(device, wanted.pack);
      return Step::waits;
    }
    const auto& refs = (*cached)->chunks;
    const bool inside = wanted.first < refs.size() && wanted.count <= refs.size() - wanted.first;
    if (inside && wanted.count > 0 && wanted.offset < refs[wanted.first].encoded_bytes) {
      const auto ref = refs[wanted.first];
      return send_piece(device, session, ref);
    }
    if (wanted.count > 0) fault(device, session, wanted.first, wire::ChunkFault::out_of_range);
    session.wanted.erase(session.wanted.begin());
  }
  return Step::waits;
}

ChunkServer::Step ChunkServer::send_piece(const DeviceId& device, Session& session, const artifact::ChunkRef& ref) {
  const auto wanted = session.wanted.front();
  const auto out = in_flight(session);
  INSTAR_ASSERT(out <= limits::kWindowBytesMax);
  const auto whole = std::min(session.piece_bytes_max, ref.encoded_bytes - wanted.offset);
  const auto room = out >= session.window ? 0 : static_cast<std::uint32_t>(session.window - out);
  // A piece is cut short only when there will never be room for a whole one.
  const auto bytes = room >= whole ? whole : out == 0 ? room : 0;
  if (bytes == 0 || session.piece_ends.size() >= limits::kWindowPiecesMax) return Step::waits;
  // A device that opens one session after the other must not fill the broker: it gets two windows in all.
  const bool room_beside_carried = session.carried_pieces + session.piece_ends.size() < 2 * limits::kWindowPiecesMax &&
                                   session.carried_bytes + out + bytes <= 2 * std::uint64_t{options_.window_bytes_max};
  if (!room_beside_carried) return Step::waits;
  if (in_flight_bytes_ + bytes > options_.in_flight_bytes_max) return Step::blocked;
  const auto key = storage::chunk_key(ref.hash, ref.encoded_bytes);
  const auto* cached = chunks_.get(key);
  if (cached == nullptr) return load_chunk(device, key) ? Step::waits : Step::blocked;
  const auto chunk = *cached;
  if (chunk->size() != ref.encoded_bytes) {
    fail_pack(device, session, wire::ChunkFault::unknown_pack);
    return Step::sent;
  }
  const auto refusal = account_({device, wanted.pack, session.rollout, wanted.first, wanted.offset, bytes});
  if (refusal != wire::ChunkFault::none) {
    fail_pack(device, session, refusal);
    return Step::sent;
  }
  wire::ChunkPiece piece;
  piece.session = session.number;
  piece.ordinal = wanted.first;
  piece.offset = wanted.offset;
  piece.data = to_bytes(ByteView(*chunk).subspan(wanted.offset, bytes));
  session.sent += bytes;
  session.piece_ends.push_back(session.sent);
  in_flight_bytes_ += bytes;
  advance(session, ref.encoded_bytes, bytes);
  send_(device, piece);
  return Step::sent;
}

void ChunkServer::advance(Session& session, std::uint32_t chunk_bytes, std::uint32_t sent) {
  auto& wanted = session.wanted.front();
  wanted.offset += sent;
  INSTAR_ASSERT(wanted.offset <= chunk_bytes);
  if (wanted.offset < chunk_bytes) return;
  wanted.offset = 0;
  ++wanted.first;
  if (--wanted.count > 0) return;
  session.wanted.erase(session.wanted.begin());
  if (session.wanted.empty()) session.wanted.shrink_to_fit();
}

void ChunkServer::fault(const DeviceId& device, const Session& session, std::uint32_t ordinal, wire::ChunkFault fault) {
  wire::ChunkPiece piece;
  piece.session = session.number;
  piece.ordinal = ordinal;
  piece.fault = fault;
  send_(device, piece);
}

// The answer to a device that receives nothing and asks. It arrives after all that is on its way, so it shows whether
// anything was lost.
void ChunkServer::send_position(const DeviceId& device, std::uint32_t number, const Session* session) {
  wire::ChunkPiece piece;
  piece.session = number;
  piece.fault = wire::ChunkFault::position;
  const bool more = session != nullptr && !session->wanted.empty();
  piece.ordinal = more ? session->wanted.front().first : wire::kNoOrdinal;
  piece.offset = more ? session->wanted.front().offset : 0;
  send_(device, piece);
}

// Sends one answer for all that the session wants of the pack at the front.
void ChunkServer::fail_pack(const DeviceId& device, Session& session, wire::ChunkFault why) {
  const auto pack = session.wanted.front().pack;
  fault(device, session, session.wanted.front().first, why);
  std::erase_if(session.wanted, [&](const Wanted& wanted) { return wanted.pack == pack; });
}

void ChunkServer::load_directory(const DeviceId& device, const PackId& pack) {
  auto& waiting = directory_loads_[pack];
  const bool asked = !waiting.empty();
  waiting.insert(device);
  if (asked) return;
  store_.read(storage::Column::packs, storage::directory_key(pack),
              [pack, self = std::weak_ptr(self_)](Result<std::optional<Bytes>> value) {
                if (const auto server = self.lock()) (*server)->directory_loaded(pack, std::move(value));
              });
}

void ChunkServer::directory_loaded(const PackId& pack, Result<std::optional<Bytes>> value) {
  const auto waiting = std::move(directory_loads_[pack]);
  directory_loads_.erase(pack);
  auto why = wire::ChunkFault::none;
  if (!value.has_value()) {
    why = wire::ChunkFault::busy;
  } else if (!value->has_value()) {
    why = wire::ChunkFault::unknown_pack;
  } else if (auto directory = artifact::decode_directory(**value); directory.has_value()) {
    const auto bytes = directory->chunks.size() * sizeof(artifact::ChunkRef);
    directories_.put(pack, std::make_shared<const artifact::PackDirectory>(std::move(*directory)), bytes);
  } else {
    why = wire::ChunkFault::unknown_pack;
  }
  for (const auto& device : waiting) {
    const auto found = sessions_.find(device);
    if (found == sessions_.end()) continue;
    auto& session = found->second;
    const bool wants_it = !session.wanted.empty() && session.wanted.front().pack == pack;
    if (why != wire::ChunkFault::none && wants_it) fail_pack(device, session, why);
    wake(device);
  }
  pump();
}

bool ChunkServer::load_chunk(const DeviceId& device, const std::string& key) {
  const auto loading = chunk_loads_.find(key);
  if (loading != chunk_loads_.end()) {
    loading->second.insert(device);
    return true;
  }
  if (chunk_loads_.size() >= limits::kChunkLoadsMax) return false;
  chunk_loads_[key].insert(device);
  store_.read(storage::Column::chunks, key, [key, self = std::weak_ptr(self_)](Result<std::optional<Bytes>> value) {
    if (const auto server = self.lock()) (*server)->chunk_loaded(key, std::move(value));
  });
  return true;
}

std::optional<std::string> ChunkServer::next_chunk(const Session& session) {
  if (session.wanted.empty()) return std::nullopt;
  const auto* directory = directories_.get(session.wanted.front().pack);
  const auto ordinal = session.wanted.front().first;
  if (directory == nullptr || ordinal >= (*directory)->chunks.size()) return std::nullopt;
  const auto& ref = (*directory)->chunks[ordinal];
  return storage::chunk_key(ref.hash, ref.encoded_bytes);
}

void ChunkServer::chunk_loaded(const std::string& key, Result<std::optional<Bytes>> value) {
  const auto waiting = std::move(chunk_loads_[key]);
  chunk_loads_.erase(key);
  const bool found_it = value.has_value() && value->has_value();
  if (found_it) {
    const auto bytes = (*value)->size();
    chunks_.put(key, std::make_shared<const Bytes>(std::move(**value)), bytes);
  }
  for (const auto& device : waiting) {
    const auto found = sessions_.find(device);
    if (found == sessions_.end()) continue;
    if (!found_it && next_chunk(found->second) == key) {
      // It is not in the store: the pack was never uploaded completely.
      fail_pack(device, found->second, value.has_value() ? wire::ChunkFault::unknown_pack : wire::ChunkFault::busy);
    }
    wake(device);
  }
  pump();
}

}  // namespace instar::broker
