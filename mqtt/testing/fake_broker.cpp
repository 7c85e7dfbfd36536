#include "mqtt/testing/fake_broker.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

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
  const int fd = ::accept(port_.socket(), nullptr, nullptr);
  if (fd < 0) return;
  std::uint8_t in[512];
  EXPECT_GT(::read(fd, in, sizeof in), 0);
  if (answer_ == FakeAnswer::refuses_connect || answer_ == FakeAnswer::refuses_subscription) {
    const std::uint8_t connack[] = {0x20, 2, 0, connack_code_};
    EXPECT_EQ(::write(fd, connack, sizeof connack), 4);
  }
  if (answer_ == FakeAnswer::refuses_subscription && ::read(fd, in, sizeof in) > 4) {
    const std::uint8_t suback[] = {0x90, 3, in[2], in[3], 0x80};
    EXPECT_EQ(::write(fd, suback, sizeof suback), 5);
  }
  while (answer_ != FakeAnswer::hangs_up && ::read(fd, in, sizeof in) > 0) {
  }
  ::close(fd);
}

}  // namespace instar::mqtt
