// A web server on loopback for the operator's browser: it serves one page, and forwards what the page says by MQTT over
// WebSockets to connections to the broker, and back, as it is. Whoever knows the token of its address may use it, and
// nobody else: other pages in the browser do not know it, and Host and Origin must be its own.
//
// Two forms: with libwebsockets, and one of builds without that library, which only says so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.hpp"

namespace instar::publisher {

struct PageServerOptions {
  std::string page;        // the file
  std::uint16_t port = 0;  // 0: any that is free
  std::string token;       // the first level of the address
  std::string prefix;      // of the topics, for the page
  // Has a connection to the broker made, for the other end of this socket, which it owns from then on. Called within
  // serve().
  std::function<void(int fd)> connect;
};

class PageServer {
 public:
  virtual ~PageServer() = default;
  // What to open in a browser.
  [[nodiscard]] virtual std::string address() const = 0;
  // Does what is due, and waits for that at most `wait_ms`; a signal ends the wait.
  virtual void serve(std::uint32_t wait_ms) = 0;
};

// Listens when it returns. Errors: not_found (no page), io (the port is taken), unsupported (a build without the
// library).
[[nodiscard]] Result<std::unique_ptr<PageServer>> open_page_server(PageServerOptions options);

}  // namespace instar::publisher
