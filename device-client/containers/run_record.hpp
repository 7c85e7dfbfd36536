// What a running container was started as: a small file beside its LXC configuration. It says nothing about a stopped
// container, so it need not survive a power cut. A torn or missing record reads as "unknown", and the container is
// restarted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::device {

struct RunRecord {
  std::uint32_t revision = 0;
  std::uint32_t start_order = 0;
  std::string container;
  Hash256 fingerprint;
  friend bool operator==(const RunRecord&, const RunRecord&) = default;
};

// "<lxc folder>/instar".
[[nodiscard]] std::string run_record_path(const std::string& lxc_folder);
[[nodiscard]] std::string format_run_record(const RunRecord& record);
[[nodiscard]] std::optional<RunRecord> parse_run_record(std::string_view text);
[[nodiscard]] std::optional<RunRecord> read_run_record(const std::string& lxc_folder);

}  // namespace instar::device
