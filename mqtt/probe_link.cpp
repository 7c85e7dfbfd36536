#include "mqtt/probe_link.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "core/base/limits.hpp"
#include "mqtt/certificate_fault.hpp"

namespace instar::mqtt {
namespace {

constexpr int kLookMs = 100;  // between two looks at whether it was stopped
constexpr std::size_t kCarriedBytes = 16 * 1024;

std::string openssl_text(unsigned long code) {
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "no reason given";
}

// "tlsv1 alert unknown ca" is what OpenSSL says: the alert is what the other side means.
std::string alert_text(std::string text) {
  const auto at = text.find("alert ");
  return at == std::string::npos ? text : text.substr(at + 6);
}

bool is_about_client_certificate(int reason) {
  constexpr std::array<int, 9> kReasons{
      SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,     SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
      SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
      SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
      SSL_R_TLSV1_ALERT_ACCESS_DENIED,       SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
      SSL_R_TLSV1_ALERT_DECRYPT_ERROR};
  return std::ranges::find(kReasons, reason) != kReasons.end();
}

bool is_about_versions(int reason) {
  constexpr std::array<int, 7> kReasons{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,
                                        SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY,
                                        SSL_R_UNSUPPORTED_PROTOCOL,
                                        SSL_R_NO_PROTOCOLS_AVAILABLE,
                                        SSL_R_NO_SHARED_CIPHER,
                                        SSL_R_NO_CIPHERS_AVAILABLE,
                                        SSL_R_VERSION_TOO_LOW};
  return std::ranges::find(kReasons, reason) != kReasons.end();
}

bool is_no_tls(int reason) {
  return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
         reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_RECORD_LENGTH_MISMATCH ||
         reason == SSL_R_UNEXPECTED_MESSAGE;
}

int socket_error(int fd) {
  int number = 0;
  socklen_t size = sizeof number;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0) return errno;
  return number;
}

}  // namespace

int Patience::wait_ms() const {
  if (stopped_->load()) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, kLookMs));
}

Endpoint endpoint_in(std::string_view server_uri) {
  const auto scheme = server_uri.find("://");
  auto rest = scheme == std::string_view::npos ? server_uri : server_uri.substr(scheme + 3);
  rest = rest.substr(0, rest.find('/'));
  const auto colon = rest.rfind(':');
  const auto bracket = rest.rfind(']');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return {std::string(rest.substr(0, has_port ? colon : rest.size())),
          has_port ? std::string(rest.substr(colon + 1)) : "1883"};
}

struct ProbeLink::Tls {
  SSL_CTX* context = nullptr;
  SSL* connection = nullptr;
  std::vector<VerifyFault> faults;
  bool asked = false;

  Tls() = default;
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls() {
    for (const auto& one : faults) X509_free(one.certificate);
    SSL_free(connection);
    SSL_CTX_free(context);
  }

  static Tls& of(const SSL* connection) { return *static_cast<Tls*>(SSL_get_app_data(connection)); }

  // All that is wrong with the chain, and not only the first.
  static int note_fault(int ok, X509_STORE_CTX* store) {
    if (ok == 1) return 1;
    const auto* const connection =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* const certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate == nullptr) return 0;
    X509_up_ref(certificate);
    of(connection)
        .faults.push_back({X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store), certificate});
    return 1;
  }
  static int verify(X509_STORE_CTX* store, void*) {
    X509_STORE_CTX_set_verify_cb(store, note_fault);
    const auto* const connection =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const int result = X509_verify_cert(store);
    const auto& faults = of(connection).faults;
    if (faults.empty()) return result;
    X509_STORE_CTX_set_error(store, faults.front().error);
    return 0;
  }
  static int want_certificate(SSL* connection, X509**, EVP_PKEY**) {
    of(connection).asked = true;
    return 0;
  }

  // The files that the options name. A finding when one of them cannot be used.
  Finding load(const Options& options) const {
    const auto bad = [](const std::string& file) {
      const auto reason = openssl_text(ERR_peek_last_error());
      ERR_clear_error();
      return found(Fault::tls_file, {{"file", file}, {"reason", reason}});
    };
    if (options.ca_file.empty()) {
      SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
      return bad(options.ca_file);
    }
    if (options.certificate_file.empty()) {
      SSL_CTX_set_client_cert_cb(context, want_certificate);
      return {};
    }
    if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1)
      return bad(options.certificate_file);
    const auto& key = options.key_file.empty() ? options.certificate_file : options.key_file;
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) return bad(key);
    return {};
  }

  void expect(const std::string& name) const {
    auto* const param = SSL_get0_param(connection);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) == 1) return;
    X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size());
    // What SSL_set_tlsext_host_name() is, without its cast.
    SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str()));
  }
};

ProbeLink::ProbeLink() = default;

ProbeLink::~ProbeLink() {
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
}

bool ProbeLink::was_asked_for_certificate() const noexcept {
  return tls_ && tls_->asked;
}

// 0, or the error number of why not.
int ProbeLink::connect_to(const void* address, const Patience& patience) const {
  const auto& one = *static_cast<const addrinfo*>(address);
  if (::connect(fd_, one.ai_addr, one.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  while (!patience.is_over()) {
    pollfd waiting{fd_, POLLOUT, 0};
    if (::poll(&waiting, 1, patience.wait_ms()) > 0) return socket_error(fd_);
  }
  return ETIMEDOUT;
}

Finding ProbeLink::resolve_and_connect(const Patience& patience) {
  std::string host = endpoint_.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int rc = ::getaddrinfo(host.c_str(), endpoint_.port.c_str(), &hints, &list); rc != 0) {
    const auto fault = rc == EAI_AGAIN ? Fault::resolver_silent : Fault::name_unknown;
    return found(fault, {{"host", endpoint_.host}, {"reason", ::gai_strerror(rc)}});
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(list, &::freeaddrinfo);
  int number = ETIMEDOUT;
  for (const auto* one = list; one != nullptr && !patience.is_over(); one = one->ai_next) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, one->ai_protocol);
    if (fd_ < 0) continue;
    const int failed = connect_to(one, patience);
    if (failed == 0) return {};
    // Of several addresses, one that is refused says more than one that has no route.
    if (number != ECONNREFUSED) number = failed;
  }
  if (number == ETIMEDOUT)
    return found(Fault::no_answer,
                 {{"endpoint", endpoint_.str()}, {"seconds", std::to_string(limits::kProbeStepMs / 1000)}});
  return found(number == ECONNREFUSED ? Fault::refused : Fault::unreachable,
               {{"endpoint", endpoint_.str()}, {"reason", std::strerror(number)}});
}

bool ProbeLink::wait_for_tls(int result, const Patience& patience) const {
  const int wanted = SSL_get_error(tls_->connection, result);
  if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) return false;
  pollfd waiting{fd_, static_cast<short>(wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
  ::poll(&waiting, 1, patience.wait_ms());
  return !patience.is_over();
}

Finding ProbeLink::tls_reason(const Options& options) const {
  if (auto finding = certificate_finding(tls_->faults, endpoint_.host); finding.fault != Fault::unknown) return finding;
  const auto code = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(code);
  const std::string text = openssl_text(code);
  if (code == 0) return {};
  if (tls_->asked && (is_about_client_certificate(reason) || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE))
    return found(Fault::client_certificate_missing, {});
  if (!options.certificate_file.empty() && is_about_client_certificate(reason))
    return found(Fault::client_certificate_refused, {{"file", options.certificate_file}, {"reason", alert_text(text)}});
  if (is_no_tls(reason)) return found(Fault::no_tls_there, {{"endpoint", endpoint_.str()}});
  if (is_about_versions(reason) || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
    return found(Fault::tls_nothing_in_common, {{"endpoint", endpoint_.str()}, {"reason", alert_text(text)}});
  return found(Fault::tls_failed, {{"endpoint", endpoint_.str()}, {"reason", alert_text(text)}});
}

Finding ProbeLink::shake_hands(const Options& options, const Patience& patience) {
  ERR_clear_error();
  while (true) {
    const int result = SSL_connect(tls_->connection);
    if (result == 1) return {};
    if (wait_for_tls(result, patience)) continue;
    if (patience.is_over())
      return found(Fault::says_nothing,
                   {{"endpoint", endpoint_.str()}, {"seconds", std::to_string(limits::kProbeStepMs / 1000)}});
    auto finding = tls_reason(options);
    // OpenSSL 3 reports an end without a word as an error of its own.
    const bool eof = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    ERR_clear_error();
    if (finding.fault != Fault::unknown && !eof) return finding;
    ended_silently_ = true;
    return found(Fault::closed, {{"endpoint", endpoint_.str()}});
  }
}

Finding ProbeLink::start_tls(const Options& options, Encryption encryption, const Patience& patience) {
  tls_ = std::make_unique<Tls>();
  tls_->context = SSL_CTX_new(TLS_client_method());
  if (tls_->context == nullptr)
    return found(Fault::tls_failed, {{"endpoint", endpoint_.str()}, {"reason", openssl_text(ERR_peek_last_error())}});
  // A key with a passphrase would be asked for at the terminal.
  SSL_CTX_set_default_passwd_cb(tls_->context, [](char*, int, int, void*) { return 0; });
  if (encryption == Encryption::tls) {
    if (auto bad = tls_->load(options); bad.fault != Fault::unknown) return bad;
    SSL_CTX_set_verify(tls_->context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(tls_->context, Tls::verify, nullptr);
  }
  tls_->connection = SSL_new(tls_->context);
  if (tls_->connection == nullptr)
    return found(Fault::tls_failed, {{"endpoint", endpoint_.str()}, {"reason", openssl_text(ERR_peek_last_error())}});
  SSL_set_app_data(tls_->connection, tls_.get());
  if (encryption == Encryption::tls) {
    auto name = endpoint_.host;
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
    tls_->expect(name);
  }
  SSL_set_fd(tls_->connection, fd_);
  return shake_hands(options, patience);
}

Finding ProbeLink::open(const Options& options, Encryption encryption, const Patience& patience) {
  options_ = &options;
  endpoint_ = endpoint_in(options.server_uri);
  if (auto finding = resolve_and_connect(patience); finding.fault != Fault::unknown) return finding;
  return encryption == Encryption::none ? Finding{} : start_tls(options, encryption, patience);
}

bool ProbeLink::is_usable() const noexcept {
  return fd_ >= 0 && (!tls_ || tls_->connection != nullptr);
}

bool ProbeLink::send(ByteView bytes, const Patience& patience) {
  if (!is_usable()) return false;
  while (!bytes.empty()) {
    if (patience.is_over()) return false;
    int sent = 0;
    if (tls_) {
      ERR_clear_error();
      sent = SSL_write(tls_->connection, bytes.data(), static_cast<int>(bytes.size()));
      if (sent <= 0 && wait_for_tls(sent, patience)) continue;
    } else {
      sent = static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
      if (sent < 0 && errno == EAGAIN) {
        pollfd waiting{fd_, POLLOUT, 0};
        ::poll(&waiting, 1, patience.wait_ms());
        continue;
      }
    }
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

ProbeLink::Heard ProbeLink::receive(Bytes& bytes, const Patience& patience) {
  if (!is_usable()) return Heard::closed;
  std::uint8_t block[4096];
  while (!patience.is_over()) {
    int got = 0;
    if (tls_) {
      ERR_clear_error();
      got = SSL_read(tls_->connection, block, sizeof block);
      if (got <= 0 && wait_for_tls(got, patience)) continue;
      if (got <= 0 && patience.is_over()) break;
      if (got <= 0) ended_by_ = tls_reason(*options_);
    } else {
      got = static_cast<int>(::recv(fd_, block, sizeof block, 0));
      if (got < 0 && errno == EAGAIN) {
        pollfd waiting{fd_, POLLIN, 0};
        ::poll(&waiting, 1, patience.wait_ms());
        continue;
      }
    }
    if (got <= 0) return Heard::closed;
    bytes.insert(bytes.end(), block, block + got);
    return Heard::bytes;
  }
  return Heard::nothing;
}

ProbeLink::Next ProbeLink::after(int result, Next wanted) const {
  if (result > 0) return Next::goes_on;
  if (!tls_) return result < 0 && (errno == EAGAIN || errno == EINTR) ? wanted : Next::ended;
  const int error = SSL_get_error(tls_->connection, result);
  if (error == SSL_ERROR_WANT_READ) return Next::wants_read;
  return error == SSL_ERROR_WANT_WRITE ? Next::wants_write : Next::ended;
}

ProbeLink::Next ProbeLink::try_read(Bytes& bytes) {
  std::array<std::uint8_t, kCarriedBytes> block{};
  ERR_clear_error();
  const int got = tls_ ? SSL_read(tls_->connection, block.data(), static_cast<int>(block.size()))
                       : static_cast<int>(::recv(fd_, block.data(), block.size(), 0));
  const auto next = after(got, Next::wants_read);
  if (tls_ && next == Next::ended) ended_by_ = tls_reason(*options_);
  if (got > 0) bytes.assign(block.begin(), block.begin() + got);
  return next;
}

ProbeLink::Next ProbeLink::try_write(Bytes& bytes) {
  ERR_clear_error();
  const int sent = tls_ ? SSL_write(tls_->connection, bytes.data(), static_cast<int>(bytes.size()))
                        : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  const auto next = after(sent, Next::wants_write);
  if (sent > 0) bytes.erase(bytes.begin(), bytes.begin() + sent);
  return next;
}

}  // namespace instar::mqtt
