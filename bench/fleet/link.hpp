// One MQTT connection of many, without threads: libmosquitto with its socket in the caller's epoll. link.cpp is the
// only file that includes it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/wire/delivery.hpp"

struct mosquitto;

namespace instar::fleet {

class Link {
 public:
  struct Events {
    std::function<void()> connected;
    std::function<void()> lost;
    std::function<void(const std::string& topic, ByteView payload, wire::Retain retain)> message;
    std::function<void(int id)> confirmed;  // PUBACK
  };
  // `events` are called from read() and connect().
  Link(const std::string& client_id, Events events);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  // Opens the socket; false: not now. The handshake follows in read().
  [[nodiscard]] bool connect(const std::string& host, int port);
  void disconnect();
  void subscribe(const std::string& filter, wire::Qos qos);
  // The message's id; -1: not connected.
  int publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain = wire::Retain::no);

  [[nodiscard]] int fd() const noexcept;
  [[nodiscard]] bool wants_write() const noexcept;
  void read();
  void write();
  // Keepalive; every few seconds.
  void tend();

 private:
  friend struct Callbacks;
  void failed(int code);
  Events events_;
  mosquitto* client_ = nullptr;
  bool up_ = false;
};

}  // namespace instar::fleet
