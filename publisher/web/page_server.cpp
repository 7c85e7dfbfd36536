// With libwebsockets: HTTP, WebSockets, and the sockets towards the broker in one loop of one thread.
#include "publisher/web/page_server.hpp"

#include <libwebsockets.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <list>
#include <string_view>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "publisher/web/channel.hpp"

namespace instar::publisher {
namespace {

// Of one write and one read.
constexpr std::size_t kTurnBytes = 16 * 1024;
constexpr std::size_t kHeaderRoom = 1024;
constexpr unsigned kTimeoutS = 20;
constexpr int kEnded = -1;  // what a callback returns to have its connection ended

constexpr std::string_view kPageHeaders =
    "x-content-type-options: nosniff\r\n"
    "referrer-policy: no-referrer\r\n"
    "cross-origin-resource-policy: same-origin\r\n"
    "content-security-policy: frame-ancestors 'none'\r\n";

std::string header_of(lws* link, lws_token_indexes name) {
  std::array<char, kHeaderRoom> text{};
  const int size = lws_hdr_copy(link, text.data(), static_cast<int>(text.size()), name);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

// Takes as long whatever differs.
bool is_same_secret(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  unsigned differs = 0;
  for (std::size_t i = 0; i < one.size(); ++i) differs |= static_cast<unsigned char>(one[i] ^ other[i]);
  return differs == 0;
}

class WebsocketServer final : public PageServer {
 public:
  explicit WebsocketServer(PageServerOptions options)
      : options_(std::move(options)), folder_("/" + options_.token + "/") {}
  ~WebsocketServer() override {
    if (context_ != nullptr) lws_context_destroy(context_);
  }
  [[nodiscard]] Status listen();
  [[nodiscard]] std::string address() const override { return "http://" + own_host() + "/" + options_.token; }
  void serve(std::uint32_t wait_ms) override;

 private:
  static WebsocketServer& of(lws* link) {
    return *static_cast<WebsocketServer*>(lws_context_user(lws_get_context(link)));
  }
  static Channel* channel_of(lws* link) { return static_cast<Channel*>(lws_get_opaque_user_data(link)); }
  static int on_http(lws* link, lws_callback_reasons reason, void* user, void* in, std::size_t size);
  static int on_browser(lws* link, lws_callback_reasons reason, void* user, void* in, std::size_t size);
  static int on_broker(lws* link, lws_callback_reasons reason, void* user, void* in, std::size_t size);

  [[nodiscard]] std::string own_host() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] bool is_host(std::string_view host) const {
    return host == own_host() || host == "localhost:" + std::to_string(port_);
  }
  [[nodiscard]] bool may_speak(lws* link) const;
  [[nodiscard]] int answer(lws* link, std::string_view path) const;
  [[nodiscard]] int send_on(lws* link, const std::string& host) const;
  [[nodiscard]] int open(lws* browser);
  [[nodiscard]] static int take(Channel* channel, Side& from, ByteView bytes);
  [[nodiscard]] static int give(Channel* channel, Side& to, lws_write_protocol kind);
  void end(lws* link, Channel* channel, Side& side);

  const PageServerOptions options_;
  const std::string folder_;
  int port_ = 0;
  lws_context* context_ = nullptr;
  lws_sorted_usec_list_t wake_{};
  std::list<Channel> channels_;
};

int WebsocketServer::on_http(lws* link, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
  switch (reason) {
    case LWS_CALLBACK_HTTP: return of(link).answer(link, {static_cast<const char*>(in), size});
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return kEnded;  // a WebSocket for something else than MQTT
    default: return lws_callback_http_dummy(link, reason, user, in, size);
  }
}

int WebsocketServer::on_browser(lws* link, lws_callback_reasons reason, void*, void* in, std::size_t size) {
  auto* const channel = channel_of(link);
  switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return of(link).may_speak(link) ? 0 : kEnded;
    case LWS_CALLBACK_ESTABLISHED: return of(link).open(link);
    case LWS_CALLBACK_RECEIVE:
      if (channel == nullptr || lws_frame_is_binary(link) == 0) return kEnded;
      return take(channel, channel->browser, {static_cast<const std::uint8_t*>(in), size});
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return channel == nullptr ? kEnded : give(channel, channel->browser, LWS_WRITE_BINARY);
    case LWS_CALLBACK_CLOSED:
      if (channel != nullptr) of(link).end(link, channel, channel->browser);
      return 0;
    default: return 0;
  }
}

int WebsocketServer::on_broker(lws* link, lws_callback_reasons reason, void*, void* in, std::size_t size) {
  if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION) return kEnded;  // nothing for browsers
  auto* const channel = link == nullptr ? nullptr : channel_of(link);
  if (channel == nullptr) return 0;
  switch (reason) {
    case LWS_CALLBACK_RAW_RX: return take(channel, channel->broker, {static_cast<const std::uint8_t*>(in), size});
    case LWS_CALLBACK_RAW_WRITEABLE: return give(channel, channel->broker, LWS_WRITE_RAW);
    case LWS_CALLBACK_RAW_CLOSE: of(link).end(link, channel, channel->broker); return 0;
    default: return 0;
  }
}

Status WebsocketServer::listen() {
  if (auto page = files::read_file(options_.page, limits::kPageBytesMax); !page) return fail(page.error());
  lws_set_log_level(0, nullptr);
  static const std::array<lws_protocols, 4> protocols{{
      {"http", on_http, 0, kTurnBytes, 0, nullptr, 0},
      {"mqtt", on_browser, 0, kTurnBytes, 0, nullptr, 0},
      {"broker", on_broker, 0, kTurnBytes, 0, nullptr, 0},
      {nullptr, nullptr, 0, 0, 0, nullptr, 0},
  }};
  lws_context_creation_info info{};
  info.iface = "127.0.0.1";
  info.port = options_.port;
  info.protocols = protocols.data();
  info.user = this;
  info.timeout_secs = kTimeoutS;
  info.fd_limit_per_thread = limits::kPageConnectionsMax;
  // With IPv6 it would listen on all addresses, whatever `iface` says.
  info.options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_DISABLE_IPV6;
  context_ = lws_create_context(&info);
  if (context_ == nullptr)
    return fail(Code::io, "cannot listen on port " + std::to_string(options_.port) +
                              " of this machine: is something else there? --port names another one");
  port_ = lws_get_vhost_listen_port(lws_get_vhost_by_name(context_, "default"));
  return {};
}

void WebsocketServer::serve(std::uint32_t wait_ms) {
  lws_sul_schedule(
      context_, 0, &wake_, [](lws_sorted_usec_list_t*) {}, lws_usec_t{wait_ms} * LWS_US_PER_MS);
  lws_service(context_, 0);
}

// A page of another origin names itself in Origin, and one whose name was made to lead here (DNS rebinding) in Host.
bool WebsocketServer::may_speak(lws* link) const {
  const auto host = header_of(link, WSI_TOKEN_HOST);
  return is_host(host) && header_of(link, WSI_TOKEN_ORIGIN) == "http://" + host &&
         is_same_secret(header_of(link, WSI_TOKEN_GET_URI), folder_);
}

int WebsocketServer::answer(lws* link, std::string_view path) const {
  const auto host = header_of(link, WSI_TOKEN_HOST);
  const bool is_known = is_host(host) && lws_hdr_total_length(link, WSI_TOKEN_GET_URI) > 0;
  if (is_known && is_same_secret(path, folder_)) {
    const int sent = lws_serve_http_file(link, options_.page.c_str(), "text/html; charset=utf-8", kPageHeaders.data(),
                                         static_cast<int>(kPageHeaders.size()));
    return sent < 0 || (sent > 0 && lws_http_transaction_completed(link) != 0) ? kEnded : 0;
  }
  if (is_known && is_same_secret(path, folder_.substr(0, folder_.size() - 1))) return send_on(link, host);
  const bool failed = lws_return_http_status(link, HTTP_STATUS_NOT_FOUND, nullptr) < 0;
  return failed || lws_http_transaction_completed(link) != 0 ? kEnded : 0;
}

// The short address leads to the one that tells the page where the broker is.
int WebsocketServer::send_on(lws* link, const std::string& host) const {
  const auto to = "http://" + host + folder_ + "?broker=ws://" + host + folder_ + "&prefix=" + options_.prefix;
  std::array<unsigned char, LWS_PRE + 2 * kHeaderRoom> buffer{};
  auto* at = buffer.data() + LWS_PRE;
  const int sent = lws_http_redirect(link, HTTP_STATUS_FOUND, as_bytes(to).data(), static_cast<int>(to.size()), &at,
                                     buffer.data() + buffer.size());
  return sent < 0 || lws_http_transaction_completed(link) != 0 ? kEnded : 0;
}

int WebsocketServer::open(lws* browser) {
  if (channels_.size() >= limits::kPageChannelsMax) return kEnded;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) return kEnded;
  lws_sock_file_fd_type own{};
  own.sockfd = ends[0];
  // On failure the library closes it.
  auto* const broker = lws_adopt_descriptor_vhost(lws_get_vhost(browser), LWS_ADOPT_SOCKET, own, "broker", nullptr);
  if (broker == nullptr) {
    ::close(ends[1]);
    return kEnded;
  }
  auto& channel = channels_.emplace_back();
  channel.browser.link = browser;
  channel.broker.link = broker;
  lws_set_opaque_user_data(browser, &channel);
  lws_set_opaque_user_data(broker, &channel);
  options_.connect(ends[1]);
  return 0;
}

int WebsocketServer::take(Channel* channel, Side& from, ByteView bytes) {
  auto& to = channel->other(from);
  // The other side has gone: what comes now is for nobody.
  if (to.link == nullptr) return kEnded;
  to.waiting.add(bytes);
  if (to.waiting.is_full() && !from.is_paused) {
    from.is_paused = true;
    lws_rx_flow_control(from.link, 0);
  }
  lws_callback_on_writable(to.link);
  return 0;
}

int WebsocketServer::give(Channel* channel, Side& to, lws_write_protocol kind) {
  auto& from = channel->other(to);
  std::array<std::uint8_t, LWS_PRE + kTurnBytes> buffer{};
  const auto part = to.waiting.front(kTurnBytes);
  if (!part.empty()) {
    std::memcpy(buffer.data() + LWS_PRE, part.data(), part.size());
    if (lws_write(to.link, buffer.data() + LWS_PRE, part.size(), kind) < static_cast<int>(part.size())) return kEnded;
    to.waiting.drop(part.size());
  }
  if (from.is_paused && !to.waiting.is_full()) {
    from.is_paused = false;
    if (from.link != nullptr) lws_rx_flow_control(from.link, 1);
  }
  if (!to.waiting.is_empty()) {
    lws_callback_on_writable(to.link);
    return 0;
  }
  // All that the other side has said before it went is said.
  return from.link == nullptr ? kEnded : 0;
}

// `side` is gone. The other one gets what is under way, and ends then.
void WebsocketServer::end(lws* link, Channel* channel, Side& side) {
  lws_set_opaque_user_data(link, nullptr);
  side.link = nullptr;
  if (auto* const other = channel->other(side).link; other != nullptr) lws_callback_on_writable(other);
  if (channel->is_over()) channels_.remove_if([&](const Channel& one) { return &one == channel; });
}

}  // namespace

Result<std::unique_ptr<PageServer>> open_page_server(PageServerOptions options) {
  auto server = std::make_unique<WebsocketServer>(std::move(options));
  INSTAR_CHECK(server->listen());
  return server;
}

}  // namespace instar::publisher
