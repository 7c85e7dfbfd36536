#include "device-client/containers/host_names.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "device-client/process/container_files.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {
namespace {

constexpr const char* kResolver = "/etc/resolv.conf";
// Where services that put themselves between, at an address of loopback, leave the servers that they ask.
constexpr const char* kServersBehind[] = {"/run/systemd/resolve/resolv.conf",
                                          "/run/NetworkManager/no-stub-resolv.conf"};

template <typename Take>
void each_text_line(std::string_view text, Take take) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    take(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
}

std::string with_mark(std::string_view text) {
  std::string marked = std::string(kCopyMark) + "\n" + std::string(text);
  if (!marked.ends_with('\n')) marked += '\n';
  return marked;
}

// The first word of a line, and the one after it.
std::pair<std::string_view, std::string_view> two_words(std::string_view line) {
  line = trim(line);
  const auto end = line.find_first_of(" \t");
  if (end == std::string_view::npos) return {line, {}};
  const auto rest = trim(line.substr(end));
  return {line.substr(0, end), rest.substr(0, rest.find_first_of(" \t"))};
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("::1") || address == "0.0.0.0" || address == "::";
}

// In place: no moment without the file, and none without any content.
Status write_in_place(const std::string& path, const std::string& content) {
  if (const auto now = files::read_file(path, limits::kHostNamesBytesMax + kCopyMark.size() + 2);
      now && as_text(*now) == content)
    return {};
  INSTAR_TRY(const files::Fd file, files::open_file(path, O_WRONLY | O_CREAT, 0644));
  INSTAR_CHECK(files::write_all_at(file.get(), as_bytes(content), 0, path));
  if (::fchmod(file.get(), 0644) != 0 || ::ftruncate(file.get(), static_cast<off_t>(content.size())) != 0)
    return files::os_error("writing", path, errno);
  return {};
}

}  // namespace

std::string hosts_text(std::string_view name, std::string_view host_file) {
  std::string text =
      "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 " + std::string(name) + "\n";
  each_text_line(host_file, [&](std::string_view line) {
    const auto address = two_words(line).first;
    if (address.empty() || address.starts_with('#') || is_loopback(address)) return;
    text.append(line).push_back('\n');
  });
  return with_mark(text);
}

std::optional<std::string> resolver_text(std::string_view host_file) {
  std::string text;
  bool has_server = false;
  each_text_line(host_file, [&](std::string_view line) {
    const auto [word, address] = two_words(line);
    if (word.starts_with('#') || word.starts_with(';')) return;
    if (word == "nameserver") {
      if (is_loopback(address)) return;
      has_server = true;
    }
    text.append(line).push_back('\n');
  });
  if (!has_server) return std::nullopt;
  return with_mark(text);
}

std::string resolver_path(const std::string& state_dir, bool in_host_network) {
  return state_dir + "/names/" + (in_host_network ? "resolv.conf" : "resolv.own.conf");
}

HostNames::HostNames(const std::string& state_dir, std::string root) : folder_(state_dir), root_(std::move(root)) {}

std::string HostNames::read(const char* path) const {
  const auto content = files::read_file(root_ + path, limits::kHostNamesBytesMax);
  return content ? std::string(as_text(*content)) : std::string();
}

Status HostNames::refresh(MonotonicMs now) {
  looked_ = now;
  const std::string host = read(kResolver);
  if (host.empty()) return {};  // it may be on its way; what is known stays
  INSTAR_CHECK(files::make_folders(folder_ + "/names", 0755));
  INSTAR_CHECK(write_in_place(resolver_path(folder_, true), with_mark(host)));
  auto own = resolver_text(host);
  for (const char* const behind : kServersBehind)
    if (!own) own = resolver_text(read(behind));
  return own ? write_in_place(resolver_path(folder_, false), *own) : Status();
}

Status HostNames::refresh_now_and_then(MonotonicMs now) {
  if (looked_ && now < *due()) return {};
  return refresh(now);
}

std::optional<MonotonicMs> HostNames::due() const {
  if (!looked_) return std::nullopt;
  return *looked_ + limits::kResolverLookMs;
}

std::string HostNames::hosts_for(std::string_view name, bool in_host_network) const {
  return hosts_text(name, in_host_network ? read("/etc/hosts") : "");
}

}  // namespace instar::device
