// What containers get of the host so that their programs find other machines, and themselves, by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/time.hpp"

namespace instar::device {

// The text of a container's /etc/hosts: localhost, its own name `name` at 127.0.1.1, and what `host_file`, the host's
// own, says of other machines. "" as `host_file` where the container is in another network.
[[nodiscard]] std::string hosts_text(std::string_view name, std::string_view host_file);

// The text of a resolv.conf for a container with a network of its own, in which loopback is its own: without name
// servers there. Nothing when `host_file` has no other.
[[nodiscard]] std::optional<std::string> resolver_text(std::string_view host_file);

// Keeps copies of the host's resolv.conf in <state_dir>/names, for containers: `resolv.conf` for those in the host's
// network and `resolv.own.conf` for those with one of their own. A file that is bound into a container must stay the
// same file, while the host's is replaced by another at each change: so these are written in place.
class HostNames {
 public:
  // `root`: where the host's /etc and /run are, for tests.
  explicit HostNames(const std::string& state_dir, std::string root = "");

  // Looks at the host's file and writes the copies if they differ. Errors: io, no_space (a copy; it may be cut short).
  [[nodiscard]] Status refresh(MonotonicMs now);
  // The same, unless it was called less than kResolverLookMs ago.
  [[nodiscard]] Status refresh_now_and_then(MonotonicMs now);
  // When the next look is due; nothing before the first.
  [[nodiscard]] std::optional<MonotonicMs> due() const;
  // hosts_text() with the host's file or without it.
  [[nodiscard]] std::string hosts_for(std::string_view name, bool in_host_network) const;

 private:
  [[nodiscard]] std::string read(const char* path) const;

  std::string folder_;
  std::string root_;
  std::optional<MonotonicMs> looked_;
};

// Where the copies are.
[[nodiscard]] std::string resolver_path(const std::string& state_dir, bool in_host_network);

}  // namespace instar::device
