#include "mqtt/wire_tap.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::mqtt {
namespace {

// The name of the protocol, with its length: what each CONNECT begins with behind its fixed header.
constexpr std::array<std::uint8_t, 6> kProtocol{0, 4, 'M', 'Q', 'T', 'T'};
constexpr std::uint8_t kConnect = 0x10;
// Paho reads a header byte by byte, and the rest of a packet with one call, again and again until it is there.
constexpr std::size_t kRestBytes = 32;

struct Tap {
  std::mutex mutex;
  Bytes behind;
  bool was_sent = false;
  const void* source = nullptr;
  CutPacket rest;
};

Tap& tap() {
  static Tap one;
  return one;
}

}  // namespace

void send_behind_connect(Bytes packets) {
  const std::scoped_lock lock(tap().mutex);
  tap().behind = std::move(packets);
  tap().was_sent = false;
}

bool was_sent_behind_connect() {
  const std::scoped_lock lock(tap().mutex);
  return tap().was_sent;
}

Bytes take_what_follows(std::span<const std::uint8_t> start, bool has_more) {
  const std::scoped_lock lock(tap().mutex);
  if (tap().behind.empty() || start.empty() || start.front() != kConnect) return {};
  const auto name = std::ranges::search(start, kProtocol);
  // Its fixed header has two to five bytes, and may be a piece of memory of its own.
  const bool is_connect = name.empty() ? has_more && start.size() <= 5 : name.begin() - start.begin() <= 5;
  if (!is_connect) return {};
  tap().was_sent = true;
  return std::exchange(tap().behind, {});
}

void note_following_failed() {
  const std::scoped_lock lock(tap().mutex);
  tap().was_sent = false;
}

void note_read(const void* source, std::size_t wanted, std::span<const std::uint8_t> read) {
  auto& now = tap();
  const std::scoped_lock lock(now.mutex);
  if (now.source != source) {
    now.source = source;
    now.rest = {};
  }
  const auto left = now.rest.bytes - now.rest.start.size();
  if (now.rest.bytes != 0 && wanted != left) now.rest = {};
  if (now.rest.bytes == 0) {
    if (wanted < kRestBytes || read.size() >= wanted) return;
    now.rest.bytes = wanted;
  }
  now.rest.start.insert(now.rest.start.end(), read.begin(), read.end());
  if (now.rest.start.size() >= now.rest.bytes) now.rest = {};
}

std::optional<CutPacket> take_cut_packet() {
  const std::scoped_lock lock(tap().mutex);
  auto found = std::exchange(tap().rest, {});
  if (found.start.empty()) return std::nullopt;
  return found;
}

void forget_cut_packet() {
  const std::scoped_lock lock(tap().mutex);
  tap().rest = {};
}

}  // namespace instar::mqtt
