#include "mqtt/testing/fake_broker.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <initializer_list>
#include <vector>

namespace instar::mqtt {

FakeBroker::FakeBroker(FakeAnswer answer, std::uint8_t connack_code) : answer_(answer), connack_code_(connack_code) {
  EXPECT_EQ(::listen(port_.socket(), 1), 0);
  thread_ = std::thread([this] { serve(); });
}

FakeBroker::~FakeBroker() {
  ::shutdown(port_.socket(), SHUT_RDWR);
  thread_.join();
}

std::string FakeBroker::uri() const {
  return "tcp://127.0.0.1:" + std::to_string(port_.number());
}

void FakeBroker::serve() const {
  for (int fd = accept_one(); fd >= 0; fd = accept_one()) serve_one(fd);
}

int FakeBroker::accept_one() const {
  return ::accept(port_.socket(), nullptr, nullptr);
}

void FakeBroker::serve_one(int fd) const {
  std::uint8_t in[512];
  const auto answer = [fd](std::initializer_list<std::uint8_t> bytes) {
    static_cast<void>(::send(fd, bytes.begin(), bytes.size(), MSG_NOSIGNAL));
  };
  const bool has_connect = ::read(fd, in, sizeof in) > 0;
  if (answer_ != FakeAnswer::nothing && answer_ != FakeAnswer::hangs_up) answer({0x20, 2, 0, connack_code_});
  if (answer_ == FakeAnswer::sends_too_much) {
    // 100,000,000 as MQTT writes it, and the topic.
    answer({0x30, 0x80, 0xc2, 0xd7, 0x2f, 0, 1, 't'});
    const std::vector<std::uint8_t> block(64 * 1024);
    for (std::size_t sent = 0; sent < 100'000'000; sent += block.size())
      if (::send(fd, block.data(), block.size(), MSG_NOSIGNAL) < 0) break;
  }
  if (answer_ == FakeAnswer::cuts_a_message) {
    answer({0x30, 103, 0, 1, 't'});
    const std::vector<std::uint8_t> start(40, 'x');
    static_cast<void>(::send(fd, start.data(), start.size(), MSG_NOSIGNAL));
    ::close(fd);
    return;
  }
  if (answer_ == FakeAnswer::refuses_subscription && ::read(fd, in, sizeof in) > 4)
    answer({0x90, 3, in[2], in[3], 0x80});
  while (has_connect && answer_ != FakeAnswer::hangs_up && ::read(fd, in, sizeof in) > 0) {
  }
  ::close(fd);
}

}  // namespace instar::mqtt
