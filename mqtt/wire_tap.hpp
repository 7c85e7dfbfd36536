// Two things that Paho cannot do, at the calls by which it reads and writes (wire_tap.cpp has them, as packet_bound.cpp
// has the bound):
// - MQTT lets a client send right behind CONNECT, without waiting for CONNACK (3.1.4 of the standard). That saves a
//   round trip each time a link comes back.
// - What has arrived of a packet when the connection ends is paid for. Paho drops it; here it can be had.
// Both are for the one connection that a program holds. With several at a time nothing breaks, and what they say is of
// any of them. All functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/bytes.hpp"

namespace instar::mqtt {

// The next CONNECT that is sent has these bytes, whole packets, behind it; once. Empty: none has.
void send_behind_connect(Bytes packets);
// Whether they have been sent, since they were set.
[[nodiscard]] bool was_sent_behind_connect();

// The start of a packet whose rest never came.
struct CutPacket {
  Bytes start;            // behind the fixed header
  std::size_t bytes = 0;  // that it would have had there
};
// Of the connection that was read last; once. To be asked for when it has ended.
[[nodiscard]] std::optional<CutPacket> take_cut_packet();
void forget_cut_packet();

// --- for the calls
// What goes behind `bytes`, the start of what is written, if that is a CONNECT; it counts as sent then.
[[nodiscard]] Bytes take_what_follows(std::span<const std::uint8_t> start, bool has_more);
void note_following_failed();
// A call that wanted `wanted` bytes has read these. `source`: the connection.
void note_read(const void* source, std::size_t wanted, std::span<const std::uint8_t> read);

}  // namespace instar::mqtt
