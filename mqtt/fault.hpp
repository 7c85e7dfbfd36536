// What may stand between a client and its broker: each cause has a name, a sentence that says it, and the line that
// mends it. `instar` and `instar-device` say these words and no others, and docs/troubleshooting.md lists them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace instar::mqtt {

enum class Fault : std::uint8_t {
  unknown,  // what the library said is all there is
  // The network.
  name_unknown,
  resolver_silent,
  refused,
  unreachable,
  no_answer,
  closed,
  says_nothing,
  not_mqtt,
  websockets_there,
  no_websockets_there,
  // TLS.
  tls_there,
  no_tls_there,
  clock_lost,
  certificate_expired,
  certificate_not_yet_valid,
  ca_expired,
  other_host,
  unknown_ca,
  self_signed,
  certificate_refused,
  client_certificate_missing,
  client_certificate_refused,
  tls_nothing_in_common,
  tls_file,
  tls_failed,
  // Who may connect.
  login_missing,
  login_refused,
  banned,
  client_id_refused,
  session_taken_over,
  broker_full,
  mqtt_version,
  keepalive_too_long,
  // What the broker takes.
  packet_too_large,
  message_too_large,
  qos_too_high,
  no_retained,
  // Rights, and who answers.
  may_not_write,
  may_not_read,
  mount_point,
  no_plugin,
  not_answered,
};

// What the fault does to a command: it cannot connect, the broker refuses what it sends, or nobody answers.
enum class FaultKind : std::uint8_t { no_connection, not_allowed, silence };

struct FaultEntry {
  Fault fault = Fault::unknown;
  FaultKind kind = FaultKind::no_connection;
  // It does not pass by itself: somebody has to change a setting, a file or a clock.
  bool lasts = false;
  std::string_view name;      // of the docs' row
  std::string_view sentence;  // {names} in braces stand for what was seen
  std::string_view cure;
};

// All faults but `unknown`, in the order of the enum.
[[nodiscard]] std::span<const FaultEntry> fault_table() noexcept;
// `fault` is not `unknown`.
[[nodiscard]] const FaultEntry& entry_of(Fault fault) noexcept;
// Whether it is worth trying again without a change.
[[nodiscard]] bool lasts(Fault fault) noexcept;

// A fault that was found, with its words.
struct Finding {
  Fault fault = Fault::unknown;
  std::string sentence;  // empty: nothing was found

  // The sentence and the line that mends it.
  [[nodiscard]] std::string text() const;
};

// The sentence of the fault, with each {name} of `seen` filled in.
[[nodiscard]] Finding found(Fault fault, std::initializer_list<std::pair<std::string_view, std::string_view>> seen);

}  // namespace instar::mqtt
