#include "mqtt/fault.hpp"

#include <array>

#include "core/base/assert.hpp"

namespace instar::mqtt {
namespace {
// Its own namespace: the short names of the enums stay in it.
namespace table {

using enum Fault;
using enum FaultKind;

constexpr std::string_view kCaFile = "Name the file of the CA that signed it: --ca of instar, ca_file of a device";
constexpr std::string_view kAcl =
    "Allow it at the broker: docs/broker.md has the lines for acl_file and for dynamic-security";

constexpr std::array kTable{
    FaultEntry{name_unknown, no_connection, false, "name", "the name {host} cannot be resolved: {reason}",
               "Check the name in the broker's address, and whether this machine knows it: getent hosts NAME"},
    FaultEntry{resolver_silent, no_connection, false, "name-server",
               "the name {host} cannot be resolved, because no name server answers: {reason}",
               "Check this machine's network and its /etc/resolv.conf"},
    FaultEntry{refused, no_connection, false, "refused", "nobody listens at {endpoint}: {reason}",
               "Is Mosquitto running there, on that port? A listener on 127.0.0.1 takes nobody from other machines"},
    FaultEntry{unreachable, no_connection, false, "unreachable", "{endpoint} cannot be reached: {reason}",
               "Check this machine's network: its address, its default route, its modem"},
    FaultEntry{no_answer, no_connection, false, "no-answer", "no answer from {endpoint} within {seconds} s",
               "Check the address; a firewall on the way may drop what goes to that port"},
    FaultEntry{closed, no_connection, false, "closed", "{endpoint} closes the connection without an answer",
               "The broker's log says why, or something else than a broker listens there"},
    FaultEntry{says_nothing, no_connection, false, "says-nothing",
               "{endpoint} takes the connection and says nothing for {seconds} s",
               "Is it a broker, and does it run? Its log says more"},
    FaultEntry{not_mqtt, no_connection, true, "not-mqtt", "{endpoint} does not speak MQTT: it answers \"{reply}\"",
               "Check the port: Mosquitto's is 1883, and 8883 with TLS"},
    FaultEntry{websockets_there, no_connection, true, "websockets", "{endpoint} speaks MQTT over WebSockets only",
               "Write the port of a listener without `protocol websockets`, or ws:// in the place of mqtt://"},
    FaultEntry{no_websockets_there, no_connection, true, "no-websockets",
               "{endpoint} does not speak MQTT over WebSockets",
               "Write the port of a listener with `protocol websockets`, or mqtt:// in the place of ws://"},
    FaultEntry{tls_there, no_connection, true, "tls", "{endpoint} wants TLS, and the broker's address has none",
               "Write mqtts://HOST:PORT, and name its CA: --ca of instar, ca_file of a device"},
    FaultEntry{no_tls_there, no_connection, true, "no-tls", "{endpoint} does not speak TLS",
               "Write the port of the broker's TLS listener (8883 by custom), or mqtt:// in the place of mqtts://"},
    FaultEntry{clock_lost, no_connection, true, "clock",
               "the broker's certificate is not yet valid for this machine, whose clock says {now}",
               "Set this machine's clock, by a time service or a clock with a battery: nothing is wrong with the "
               "certificate"},
    FaultEntry{certificate_expired, no_connection, true, "expired",
               "the broker's certificate expired on {time}; this machine's clock says {now}",
               "Renew it at the broker, or set this machine's clock if that is wrong"},
    FaultEntry{certificate_not_yet_valid, no_connection, true, "not-yet-valid",
               "the broker's certificate is not valid before {time}; this machine's clock says {now}",
               "Set the clock that is wrong: this machine's, or that of the machine that made the certificate"},
    FaultEntry{ca_expired, no_connection, true, "ca-expired",
               "the certificate of the CA {issuer} expired on {time}; this machine's clock says {now}",
               "Renew the CA and give its new certificate to the broker and to its clients"},
    FaultEntry{other_host, no_connection, true, "other-host", "the broker's certificate is for {names}, not for {host}",
               "Write a name of the certificate as the broker's address, or give the broker a certificate with that "
               "name (subjectAltName)"},
    FaultEntry{unknown_ca, no_connection, true, "unknown-ca",
               "the broker's certificate is signed by an unknown CA: {issuer}", kCaFile},
    FaultEntry{self_signed, no_connection, true, "self-signed",
               "the broker's certificate is signed by itself: {issuer}",
               "If it is yours, name its own file as the CA: --ca of instar, ca_file of a device"},
    FaultEntry{certificate_refused, no_connection, true, "certificate",
               "the broker's certificate cannot be trusted: {reason}", "Give the broker a certificate for servers"},
    FaultEntry{client_certificate_missing, no_connection, true, "client-certificate",
               "the broker wants a client certificate, and none is given",
               "Give one: --cert and --key-file of instar, certificate_file and key_file of a device"},
    FaultEntry{client_certificate_refused, no_connection, true, "client-certificate-refused",
               "the broker refuses the client certificate {file}: {reason}",
               "Is it signed by the CA in the broker's cafile, for a client, and neither expired nor revoked?"},
    FaultEntry{tls_nothing_in_common, no_connection, true, "tls-version",
               "this machine and {endpoint} have no version of TLS in common: {reason}",
               "Compare tls_version and ciphers of the broker's listener with what this machine's OpenSSL allows"},
    FaultEntry{tls_file, no_connection, true, "tls-file", "{file} cannot be used for TLS: {reason}",
               "It must be PEM, and the key must be that of the certificate"},
    FaultEntry{tls_failed, no_connection, false, "tls-failed", "TLS with {endpoint} fails: {reason}",
               "The broker's log says more"},
    FaultEntry{
        login_missing, no_connection, true, "login-missing",
        "the broker lets nobody in without a user name, and none is given",
        "Give one: --username and --password-file of instar, username and password_file of a device. Where others need "
        "none, check clientid_prefixes of the broker"},
    FaultEntry{login_refused, no_connection, true, "login",
               "the broker refuses the user '{user}', its password, or the client id '{client}'",
               "Check the password, the broker's password_file, and whether that user may use that client id"},
    FaultEntry{banned, no_connection, true, "banned", "the broker has banned the client '{client}'",
               "Lift the ban at the broker, or connect as another client"},
    FaultEntry{client_id_refused, no_connection, true, "client-id", "the broker refuses the client id '{client}'",
               "Check clientid_prefixes of the broker; a device's client id is its device_id"},
    FaultEntry{session_taken_over, no_connection, true, "taken-over",
               "another client connects as '{client}' and takes the connection over",
               "Two machines have one device_id, or one user name where the broker has use_username_as_clientid: give "
               "each its own"},
    FaultEntry{broker_full, no_connection, false, "broker-full", "the broker takes no connection now: {reason}",
               "Check max_connections and max_queued_messages of the broker"},
    FaultEntry{mqtt_version, no_connection, true, "mqtt-version", "the broker does not speak MQTT 3.1.1",
               "Give the listener no other protocol: accept_protocol_versions must have 4"},
    FaultEntry{keepalive_too_long, no_connection, true, "keepalive",
               "the broker takes a keepalive of at most {limit} s, and this client asks for {seconds} s",
               "Lower keepalive_s in the device's configuration, or raise max_keepalive at the broker"},
    FaultEntry{packet_too_large, not_allowed, true, "packet-size",
               "the broker takes packets of at most {limit} bytes, and one of {bytes} bytes was sent",
               "Raise max_packet_size in mosquitto.conf to 262144, or take it out"},
    FaultEntry{message_too_large, not_allowed, true, "message-size",
               "the broker drops messages of {bytes} bytes on {topic}",
               "Raise message_size_limit in mosquitto.conf to 262144, or take it out"},
    FaultEntry{qos_too_high, not_allowed, true, "qos",
               "the broker takes messages of QoS {limit} at most, and this program sends QoS 1",
               "Set max_qos in mosquitto.conf to 1 or 2, or take it out"},
    FaultEntry{no_retained, not_allowed, true, "retain",
               "the broker keeps no retained messages, and this program sends them",
               "Set retain_available in mosquitto.conf to true, or take it out"},
    FaultEntry{may_not_write, not_allowed, true, "may-not-write",
               "the broker does not let this client write to {topic}", kAcl},
    FaultEntry{may_not_read, not_allowed, true, "may-not-read", "the broker does not let this client read {topic}",
               kAcl},
    FaultEntry{mount_point, silence, true, "mount-point",
               "the broker's listener has a mount_point, so what is sent to {topic} does not reach the plugin",
               "Take mount_point out of that listener in mosquitto.conf, or use another listener"},
    FaultEntry{
        no_plugin, silence, false, "no-plugin", "this client may write to {topic}, and nobody answers there",
        "Is the plugin mosquitto_instar.so loaded in that broker, with this prefix? The user must also be let read the "
        "topic's /response: by acl_file, or by publishClientReceive of dynamic-security"},
    FaultEntry{not_answered, silence, false, "not-answered",
               "the broker takes what is sent to {topic}, and no answer comes",
               "Is the plugin mosquitto_instar.so loaded in that broker, with this prefix, and may this client read "
               "the answer?"},
};
static_assert(kTable.size() == static_cast<std::size_t>(not_answered));

}  // namespace table
}  // namespace

std::span<const FaultEntry> fault_table() noexcept {
  return table::kTable;
}

const FaultEntry& entry_of(Fault fault) noexcept {
  INSTAR_ASSERT(fault != Fault::unknown);
  const auto& entry = table::kTable[static_cast<std::size_t>(fault) - 1];
  INSTAR_ASSERT(entry.fault == fault);
  return entry;
}

bool lasts(Fault fault) noexcept {
  return fault != Fault::unknown && entry_of(fault).lasts;
}

std::string Finding::text() const {
  if (fault == Fault::unknown) return sentence;
  return sentence + ". " + std::string(entry_of(fault).cure);
}

Finding found(Fault fault, std::initializer_list<std::pair<std::string_view, std::string_view>> seen) {
  const std::string_view sentence = entry_of(fault).sentence;
  std::string out;
  std::size_t at = 0;
  while (at < sentence.size()) {
    const auto open = sentence.find('{', at);
    const auto end = open == std::string_view::npos ? open : sentence.find('}', open);
    out += sentence.substr(at, open == std::string_view::npos ? open : open - at);
    if (end == std::string_view::npos) break;
    const auto name = sentence.substr(open + 1, end - open - 1);
    for (const auto& [key, value] : seen)
      if (key == name) out += value;
    at = end + 1;
  }
  return {fault, std::move(out)};
}

}  // namespace instar::mqtt
