// A bound for packets that a broker sends, before they are in memory. Paho has none: it makes room for as many bytes as
// a packet's header names, up to 256 MB, and fills it. MQTT 5 has a field for it (Maximum Packet Size), which only an
// honest broker obeys.
//
// Paho reads the rest of a packet with one call, recv() or SSL_read(), that names how many bytes it still wants. In a
// program with an adapter these two lead here (packet_bound.cpp): a call for more than limits::kPacketBytesMax fails,
// so that Paho ends the connection.
#pragma once

#include <cstddef>

namespace instar::mqtt {

// Whether the rest of a packet, of so many bytes, may be read. One that may not is remembered. Any thread.
[[nodiscard]] bool takes_packet(std::size_t bytes) noexcept;

// The bytes of the packet that was refused since the last call; 0: none.
[[nodiscard]] std::size_t take_refused_packet() noexcept;

}  // namespace instar::mqtt
