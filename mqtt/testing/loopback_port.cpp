#include "mqtt/testing/loopback_port.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/assert.hpp"

namespace instar::mqtt {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

LoopbackPort::LoopbackPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int on = 1;
  INSTAR_ASSERT(::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  INSTAR_ASSERT(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  INSTAR_ASSERT(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  number_ = ntohs(address.sin_port);
}

LoopbackPort::~LoopbackPort() {
  ::close(socket_);
}

bool LoopbackPort::listens() const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(number_);
  const bool listens = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return listens;
}

}  // namespace instar::mqtt
