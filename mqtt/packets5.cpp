#include "mqtt/packets5.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::mqtt::v5 {
namespace {

constexpr std::uint8_t kVersion = 5;
constexpr std::uint32_t kForEver = 0xffffffff;

// Property identifiers, section 2.2.2.2.
constexpr std::uint8_t kSessionExpiry = 0x11;
constexpr std::uint8_t kAssignedClientId = 0x12;
constexpr std::uint8_t kServerKeepAlive = 0x13;
constexpr std::uint8_t kReasonString = 0x1f;
constexpr std::uint8_t kReceiveMaximum = 0x21;
constexpr std::uint8_t kTopicAliasMaximum = 0x22;
constexpr std::uint8_t kMaximumQos = 0x24;
constexpr std::uint8_t kRetainAvailable = 0x25;
constexpr std::uint8_t kUserProperty = 0x26;
constexpr std::uint8_t kMaximumPacketSize = 0x27;
constexpr std::array<std::uint8_t, 3> kOtherBytes{0x28, 0x29, 0x2a};  // what subscriptions are available
constexpr std::array<std::uint8_t, 3> kOtherTexts{0x1a, 0x1c, 0x15};  // response information, reference, method

void put16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put_text(Bytes& out, ByteView text) {
  const auto size = std::min<std::size_t>(text.size(), 0xffff);
  put16(out, size);
  out.insert(out.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
}

Bytes packet_of(std::uint8_t head, const Bytes& body) {
  Bytes out{head};
  auto size = body.size();
  do {
    const auto digit = static_cast<std::uint8_t>(size & 0x7fU);
    size >>= 7U;
    out.push_back(size > 0 ? static_cast<std::uint8_t>(digit | 0x80U) : digit);
  } while (size > 0);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

// Reads fields one after the other. Past the end all is zero, and `ok` is false.
struct Fields {
  ByteView left;
  bool ok = true;

  std::uint8_t byte() {
    if (left.empty()) {
      ok = false;
      return 0;
    }
    const auto value = left.front();
    left = left.subspan(1);
    return value;
  }
  std::uint16_t two() {
    const auto high = byte();
    return static_cast<std::uint16_t>(high << 8U | byte());
  }
  std::uint32_t four() {
    const std::uint32_t high = two();
    return high << 16U | two();
  }
  std::size_t length() {
    std::size_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const auto digit = byte();
      value |= static_cast<std::size_t>(digit & 0x7fU) << shift;
      if ((digit & 0x80U) == 0) return value;
    }
    ok = false;
    return 0;
  }
  ByteView take(std::size_t size) {
    if (size > left.size()) {
      ok = false;
      size = left.size();
    }
    const auto taken = left.first(size);
    left = left.subspan(size);
    return taken;
  }
  std::string text() { return std::string(as_text(take(two()))); }
};

template <typename List>
bool has(const List& list, std::uint8_t id) {
  return std::ranges::find(list, id) != list.end();
}

void read_property(Fields& fields, Connack& connack) {
  const auto id = fields.byte();
  if (id == kMaximumPacketSize) {
    connack.packet_bytes_max = fields.four();
  } else if (id == kMaximumQos) {
    connack.qos_max = fields.byte();
  } else if (id == kRetainAvailable) {
    connack.retain_available = fields.byte() != 0;
  } else if (id == kServerKeepAlive) {
    connack.keepalive_s = fields.two();
  } else if (id == kReasonString) {
    connack.reason = fields.text();
  } else if (id == kSessionExpiry) {
    fields.four();
  } else if (id == kReceiveMaximum || id == kTopicAliasMaximum) {
    fields.two();
  } else if (has(kOtherBytes, id)) {
    fields.byte();
  } else if (id == kAssignedClientId || has(kOtherTexts, id)) {
    fields.text();
  } else if (id == kUserProperty) {
    fields.text();
    fields.text();
  } else {
    fields.left = {};
  }
}

}  // namespace

Bytes connect_packet(const Options& options) {
  Bytes body;
  put_text(body, as_bytes("MQTT"));
  body.push_back(kVersion);
  std::uint8_t flags = options.clean_session ? 0x02 : 0;
  const auto& will = options.will;
  if (will) {
    flags |= static_cast<std::uint8_t>(0x04U | static_cast<unsigned>(will->qos) << 3U);
    if (will->retain == wire::Retain::yes) flags |= 0x20U;
  }
  if (!options.username.empty()) flags |= 0xc0U;
  body.push_back(flags);
  put16(body, options.keepalive_s);
  if (options.clean_session) {
    body.push_back(0);
  } else {
    body.push_back(5);
    body.push_back(kSessionExpiry);
    put16(body, kForEver >> 16U);
    put16(body, kForEver & 0xffffU);
  }
  put_text(body, as_bytes(options.client_id));
  if (will) {
    body.push_back(0);
    put_text(body, as_bytes(will->topic));
    put_text(body, will->payload);
  }
  if (!options.username.empty()) {
    put_text(body, as_bytes(options.username));
    put_text(body, as_bytes(options.password));
  }
  return packet_of(0x10, body);
}

Bytes anonymous_connect_packet() {
  Options nobody;
  nobody.clean_session = true;
  return connect_packet(nobody);
}

Bytes subscribe_packet(std::uint16_t id, const std::vector<std::string>& filters) {
  Bytes body;
  put16(body, id);
  body.push_back(0);
  for (const auto& filter : filters) {
    put_text(body, as_bytes(filter));
    body.push_back(1);  // QoS 1
  }
  return packet_of(0x82, body);
}

Bytes publish_packet(std::uint16_t id, const Message& message) {
  Bytes body;
  put_text(body, as_bytes(message.topic));
  put16(body, id);
  body.push_back(0);
  body.insert(body.end(), message.payload.begin(), message.payload.end());
  const std::uint8_t retain = message.retain == wire::Retain::yes ? 1 : 0;
  return packet_of(static_cast<std::uint8_t>(0x32U | retain), body);  // QoS 1: it has an answer
}

Bytes disconnect_packet() {
  return packet_of(0xe0, {});
}

std::optional<Packet> Reader::next() {
  if (broken_ || buffer_.size() < 2) return std::nullopt;
  Fields fields{ByteView(buffer_).subspan(1)};
  const auto size = fields.length();
  if (!fields.ok) {
    broken_ = buffer_.size() > 4;
    return std::nullopt;
  }
  const auto type = static_cast<std::uint8_t>(buffer_.front() >> 4U);
  if (type == 0 || size > limits::kPacketBytesMax) {
    broken_ = true;
    return std::nullopt;
  }
  if (fields.left.size() < size) return std::nullopt;
  Packet packet{static_cast<Type>(type), static_cast<std::uint8_t>(buffer_.front() & 0x0fU),
                to_bytes(fields.left.first(size))};
  const auto used = buffer_.size() - fields.left.size() + size;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used));
  return packet;
}

std::optional<Connack> decode_connack(ByteView body) {
  Connack connack;
  Fields fields{body};
  fields.byte();
  connack.code = fields.byte();
  connack.old_form = fields.left.empty();
  if (!fields.ok) return std::nullopt;
  if (connack.old_form) return connack;
  const auto size = fields.length();
  Fields properties{fields.take(size)};
  while (fields.ok && !properties.left.empty()) read_property(properties, connack);
  if (!fields.ok || !properties.ok) return std::nullopt;
  return connack;
}

std::optional<Acked> decode_puback(ByteView body) {
  Fields fields{body};
  Acked acked;
  acked.id = fields.two();
  if (!fields.ok) return std::nullopt;
  if (!fields.left.empty()) acked.code = fields.byte();
  return acked;
}

std::optional<Bytes> decode_suback(ByteView body) {
  Fields fields{body};
  fields.two();
  fields.take(fields.length());
  if (!fields.ok) return std::nullopt;
  return to_bytes(fields.left);
}

std::uint8_t decode_disconnect(ByteView body) noexcept {
  return body.empty() ? 0 : body.front();
}

std::string publish_topic(ByteView body) {
  Fields fields{body};
  return fields.text();
}

std::string reason_name(std::uint8_t code) {
  constexpr std::pair<std::uint8_t, std::string_view> kNames[] = {
      {0x80, "unspecified error"},
      {reason::kImplementation, "implementation specific error"},
      {reason::kServerUnavailable, "server unavailable"},
      {reason::kServerBusy, "server busy"},
      {0x8b, "server shutting down"},
      {0x8d, "keepalive timeout"},
      {reason::kNotAuthorized, "not authorized"},
      {reason::kTakenOver, "session taken over"},
      {reason::kPacketTooLarge, "packet too large"},
      {reason::kQuotaExceeded, "quota exceeded"},
      {0x98, "administrative action"},
      {reason::kRateExceeded, "connection rate exceeded"},
  };
  for (const auto& [known, name] : kNames)
    if (known == code) return std::string(name);
  return "reason code " + std::to_string(code);
}

}  // namespace instar::mqtt::v5
