// The packets of MQTT 5 that a diagnosis sends and reads. Unlike 3.1.1, MQTT 5 says why: CONNACK, PUBACK, SUBACK and
// DISCONNECT have a reason code, and CONNACK has the broker's limits. Field names and codes are those of the OASIS
// standard, "MQTT Version 5.0". Nothing here does I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "mqtt/client.hpp"

namespace instar::mqtt::v5 {

enum class Type : std::uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  subscribe = 8,
  suback = 9,
  disconnect = 14,
};

// Reason codes that mean something to us.
namespace reason {
// What Mosquitto 2.0 answers to a message past its message_size_limit.
inline constexpr std::uint8_t kImplementation = 0x83;
inline constexpr std::uint8_t kUnsupportedVersion = 0x84;
inline constexpr std::uint8_t kClientIdNotValid = 0x85;
inline constexpr std::uint8_t kBadLogin = 0x86;
inline constexpr std::uint8_t kNotAuthorized = 0x87;
inline constexpr std::uint8_t kServerUnavailable = 0x88;
inline constexpr std::uint8_t kServerBusy = 0x89;
inline constexpr std::uint8_t kBanned = 0x8a;
inline constexpr std::uint8_t kBadMethod = 0x8c;
inline constexpr std::uint8_t kTakenOver = 0x8e;
inline constexpr std::uint8_t kPacketTooLarge = 0x95;
inline constexpr std::uint8_t kQuotaExceeded = 0x97;
inline constexpr std::uint8_t kRetainNotSupported = 0x9a;
inline constexpr std::uint8_t kQosNotSupported = 0x9b;
inline constexpr std::uint8_t kRateExceeded = 0x9f;
// From here on a code is a failure.
inline constexpr std::uint8_t kFirstFailure = 0x80;
}  // namespace reason

// CONNECT with the login, the will and the session of the options. A session that lasts stays untouched: it is taken
// up, and kept.
[[nodiscard]] Bytes connect_packet(const Options& options);
// CONNECT of nobody: an empty client id, no login, no will.
[[nodiscard]] Bytes anonymous_connect_packet();
[[nodiscard]] Bytes subscribe_packet(std::uint16_t id, const std::vector<std::string>& filters);
[[nodiscard]] Bytes publish_packet(std::uint16_t id, const Message& message);
// An orderly end: the will is not sent.
[[nodiscard]] Bytes disconnect_packet();

struct Packet {
  Type type = Type::connack;
  std::uint8_t flags = 0;
  Bytes body;
};

// Cuts a stream of bytes into packets.
class Reader {
 public:
  void add(ByteView bytes) { buffer_.insert(buffer_.end(), bytes.begin(), bytes.end()); }
  // nullopt: more bytes are needed, or is_broken().
  [[nodiscard]] std::optional<Packet> next();
  // What came is no MQTT, or larger than limits::kPacketBytesMax.
  [[nodiscard]] bool is_broken() const noexcept { return broken_; }

 private:
  Bytes buffer_;
  bool broken_ = false;
};

struct Connack {
  std::uint8_t code = 0;
  bool old_form = false;  // of a broker that knows MQTT 3.1.1 only: `code` is one of that
  std::optional<std::uint32_t> packet_bytes_max;
  std::uint8_t qos_max = 2;
  bool retain_available = true;
  std::optional<std::uint16_t> keepalive_s;
  std::string reason;  // the broker's own text
};
// nullopt: the body is malformed. Properties that are not known end what is read of them.
[[nodiscard]] std::optional<Connack> decode_connack(ByteView body);

// Of PUBACK.
struct Acked {
  std::uint16_t id = 0;
  std::uint8_t code = 0;
};
[[nodiscard]] std::optional<Acked> decode_puback(ByteView body);
// The codes of SUBACK, in the order of the filters.
[[nodiscard]] std::optional<Bytes> decode_suback(ByteView body);
// Of DISCONNECT.
[[nodiscard]] std::uint8_t decode_disconnect(ByteView body) noexcept;
// The topic of PUBLISH.
[[nodiscard]] std::string publish_topic(ByteView body);

// "not authorized": the standard's name of a reason code.
[[nodiscard]] std::string reason_name(std::uint8_t code);

}  // namespace instar::mqtt::v5
