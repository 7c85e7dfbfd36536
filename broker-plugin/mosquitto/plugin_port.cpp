#include "broker-plugin/mosquitto/plugin_port.hpp"

#include <mosquitto_broker.h>

// mosquitto.h defines the MOSQ_LOG_ and MOSQ_ERR_ numbers.
#include <mosquitto.h>

#include <cstring>

#include "core/base/text.hpp"

namespace instar::broker {
namespace {

[[nodiscard]] int mosquitto_level(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::error: return MOSQ_LOG_ERR;
    case LogLevel::warning: return MOSQ_LOG_WARNING;
    case LogLevel::notice: return MOSQ_LOG_NOTICE;
    case LogLevel::info: return MOSQ_LOG_INFO;
    case LogLevel::debug: return MOSQ_LOG_DEBUG;
  }
  return MOSQ_LOG_ERR;
}

}  // namespace

void MosquittoPort::publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) {
  // Mosquitto counts its memory, so it may only get memory from its own malloc.
  void* copy = ::mosquitto_malloc(payload.size() + 1);
  if (copy == nullptr) return log(LogLevel::error, "out of memory: a message on " + topic + " is lost");
  if (!payload.empty()) std::memcpy(copy, payload.data(), payload.size());
  const int rc = ::mosquitto_broker_publish(nullptr, topic.c_str(), static_cast<int>(payload.size()), copy,
                                            static_cast<int>(qos), retain == wire::Retain::yes, nullptr);
  if (rc == MOSQ_ERR_SUCCESS) return;
  ::mosquitto_free(copy);
  log(LogLevel::error, "the broker did not take a message on " + topic + ": " + std::to_string(rc));
}

void MosquittoPort::log(LogLevel level, const std::string& line) {
  const std::string clean = "instar: " + clean_line(line);
  ::mosquitto_log_printf(mosquitto_level(level), "%s", clean.c_str());
}

}  // namespace instar::broker
