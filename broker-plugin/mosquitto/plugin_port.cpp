#include "broker-plugin/mosquitto/plugin_port.hpp"

#include <mosquitto_broker.h>
#include <sys/syslog.h>

// mosquitto.h is where the MOSQ_LOG_ and MOSQ_ERR_ numbers are.
#include <mosquitto.h>

#include <algorithm>
#include <cstring>

#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

[[nodiscard]] int mosquitto_level(int syslog_level) noexcept {
  if (syslog_level <= LOG_ERR) return MOSQ_LOG_ERR;
  if (syslog_level == LOG_WARNING) return MOSQ_LOG_WARNING;
  if (syslog_level == LOG_NOTICE) return MOSQ_LOG_NOTICE;
  return syslog_level == LOG_INFO ? MOSQ_LOG_INFO : MOSQ_LOG_DEBUG;
}

}  // namespace

void MosquittoPort::publish(const std::string& topic, ByteView payload, int qos, bool retain) {
  // Mosquitto counts its memory: only what its own malloc gave may be given to it.
  void* copy = ::mosquitto_malloc(payload.size() + 1);
  if (copy == nullptr) return log(LOG_ERR, "out of memory: a message on " + topic + " is lost");
  if (!payload.empty()) std::memcpy(copy, payload.data(), payload.size());
  const int rc =
      ::mosquitto_broker_publish(nullptr, topic.c_str(), static_cast<int>(payload.size()), copy, qos, retain, nullptr);
  if (rc == MOSQ_ERR_SUCCESS) return;
  ::mosquitto_free(copy);
  log(LOG_ERR, "the broker did not take a message on " + topic + ": " + std::to_string(rc));
}

void MosquittoPort::log(int level, const std::string& line) {
  std::string clean = "instar: " + line;
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  ::mosquitto_log_printf(mosquitto_level(level), "%s", clean.c_str());
}

}  // namespace instar::broker
