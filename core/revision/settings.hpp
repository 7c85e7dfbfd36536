// Which LXC settings a signed manifest may make by itself (docs/lxc-settings.md). Everything else gives the container
// power over the host and needs the device's own configuration to allow it too.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// What `lxc.prlimit.NAME` can bound: the limits of getrlimit(2).
inline constexpr std::array kResources = {
    std::string_view("as"),      std::string_view("core"),     std::string_view("cpu"),
    std::string_view("data"),    std::string_view("fsize"),    std::string_view("locks"),
    std::string_view("memlock"), std::string_view("msgqueue"), std::string_view("nice"),
    std::string_view("nofile"),  std::string_view("nproc"),    std::string_view("rss"),
    std::string_view("rtprio"),  std::string_view("rttime"),   std::string_view("sigpending"),
    std::string_view("stack"),
};
// By these names, the hard limits that a container would have without a setting. UINT64_MAX = unlimited.
using HardLimits = std::map<std::string, std::uint64_t, std::less<>>;

// True if `key` with this value only takes away, on any host.
[[nodiscard]] bool is_safe_setting(std::string_view key, std::string_view value) noexcept;

// Whether the device's owner allows the key, with whatever value: "lxc.mount.entry" allows exactly that key,
// "lxc.net.*" what starts so.
[[nodiscard]] bool is_allowed_key(std::string_view key, std::span<const std::string> keys_allowed) noexcept;

// `keys_allowed`: what the device's owner allows beyond the safe settings. Errors: refused; the message names
// container, key and value.
[[nodiscard]] Status check_settings(const wire::Container& container, std::span<const std::string> keys_allowed);

// The value for LXC's configuration. A limit that a release sets by itself never exceeds the device's own hard one; a
// limit that `own` does not name becomes 0. Any other value stays as it is.
[[nodiscard]] std::string lowered_value(const wire::Setting& setting, std::span<const std::string> keys_allowed,
                                        const HardLimits& own);

}  // namespace instar::revision
