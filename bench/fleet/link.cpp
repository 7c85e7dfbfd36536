#include "bench/fleet/link.hpp"

#include <mosquitto.h>

#include <cerrno>
#include <mutex>
#include <stdexcept>

namespace instar::fleet {
namespace {

constexpr int kKeepaliveS = 300;
constexpr int kPacketsARead = 64;

}  // namespace

struct Callbacks {
  static Link& of(void* object) { return *static_cast<Link*>(object); }
  static void connected(mosquitto* client, void* object, int code) noexcept {
    static_cast<void>(client);
    if (code != 0) return;
    of(object).up_ = true;
    of(object).events_.connected();
  }
  static void message(mosquitto* client, void* object, const mosquitto_message* message) noexcept {
    static_cast<void>(client);
    const auto* bytes = static_cast<const std::uint8_t*>(message->payload);
    of(object).events_.message(message->topic, ByteView(bytes, static_cast<std::size_t>(message->payloadlen)),
                               message->retain ? wire::Retain::yes : wire::Retain::no);
  }
  static void published(mosquitto* client, void* object, int id) noexcept {
    static_cast<void>(client);
    if (of(object).events_.confirmed) of(object).events_.confirmed(id);
  }
};

Link::Link(const std::string& client_id, Events events) : events_(std::move(events)) {
  static std::once_flag once;
  std::call_once(once, [] { mosquitto_lib_init(); });
  client_ = mosquitto_new(client_id.c_str(), false, this);
  if (client_ == nullptr) throw std::runtime_error("no memory for an MQTT client");
  mosquitto_connect_callback_set(client_, &Callbacks::connected);
  mosquitto_message_callback_set(client_, &Callbacks::message);
  mosquitto_publish_callback_set(client_, &Callbacks::published);
  mosquitto_max_inflight_messages_set(client_, 0);
  mosquitto_int_option(client_, MOSQ_OPT_TCP_NODELAY, 1);
}

Link::~Link() {
  mosquitto_destroy(client_);
}

bool Link::connect(const std::string& host, int port) {
  if (mosquitto_connect(client_, host.c_str(), port, kKeepaliveS) == MOSQ_ERR_SUCCESS) return true;
  if (errno == EMFILE)
    throw std::runtime_error("too many open files: a connection takes three; use fewer devices a process");
  return false;
}

void Link::disconnect() {
  up_ = false;
  mosquitto_disconnect(client_);
  static_cast<void>(mosquitto_loop_write(client_, 1));
}

void Link::subscribe(const std::string& filter, wire::Qos qos) {
  mosquitto_subscribe(client_, nullptr, filter.c_str(), static_cast<int>(qos));
}

int Link::publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) {
  int id = 0;
  if (!up_) return -1;
  const auto code = mosquitto_publish(client_, &id, topic.c_str(), static_cast<int>(payload.size()), payload.data(),
                                      static_cast<int>(qos), retain == wire::Retain::yes);
  return code == MOSQ_ERR_SUCCESS ? id : -1;
}

int Link::fd() const noexcept {
  return mosquitto_socket(client_);
}

bool Link::wants_write() const noexcept {
  return mosquitto_want_write(client_);
}

void Link::failed(int code) {
  if (code == MOSQ_ERR_SUCCESS) return;
  up_ = false;
  events_.lost();
}

void Link::read() {
  failed(mosquitto_loop_read(client_, kPacketsARead));
}

void Link::write() {
  failed(mosquitto_loop_write(client_, 1));
}

void Link::tend() {
  failed(mosquitto_loop_misc(client_));
}

}  // namespace instar::fleet
