// What the client says to `instar-lxc` and what the answers mean: its command lines and the lines that it prints.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/wire/manifest.hpp"
#include "device-client/containers/run_record.hpp"
#include "device-client/process/helper_process.hpp"

namespace instar::device {

// One container as LXC sees it now.
struct ContainerState {
  std::string name;  // LXC name
  bool runs = false;
  bool is_stopped = false;               // neither: between the two, or frozen
  pid_t pid = -1;                        // of its init
  std::optional<RunRecord> record = {};  // what it was started as; the helper does not say
};

// One container that was stopped or started, or could not be.
struct ContainerChange {
  std::string name;  // LXC name
  std::optional<std::string> failed;
  bool no_room = false;  // that was why
  bool ran = false;      // before it was stopped
  pid_t pid = -1;
  std::int64_t at_ms = 0;  // by the helper's clock, when it began with it
  std::int64_t took_ms = 0;
  std::int64_t orphans = 0;  // processes of an earlier container of the name that it ended
  std::string ending = {};   // how the first program of one that ran ended: "itself", "deaf", "late" (ask_to_end.hpp)
  std::string signal = {};   // that it was asked with, or should have been
  std::string note = {};     // of one that was started: what it does without
};

// What people want to know of a container that was stopped.
struct StopText {
  std::string text;
  bool is_notable = false;  // its program did not end when it was asked to
  bool is_slow = false;     // and that took all the time there is
};
[[nodiscard]] StopText describe_stop(const ContainerChange& change);

class LxcCommands {
 public:
  // `helper`: path of instar-lxc. A container that is asked to stop is killed after `stop_ms`.
  LxcCommands(std::string helper, std::string lxc_folder, std::uint32_t stop_ms);

  // Asks for the states of these.
  [[nodiscard]] HelperCommand state(const std::vector<std::string>& names) const;
  // Stops some containers and then starts others, each in the given order.
  [[nodiscard]] HelperCommand change(const std::vector<std::string>& stops,
                                     const std::vector<std::string>& starts) const;
  // Runs a probe's command in the container.
  [[nodiscard]] HelperCommand probe(const std::string& name, const wire::Probe& probe) const;

  [[nodiscard]] static std::vector<ContainerState> read_states(const std::vector<JsonFields>& lines);
  [[nodiscard]] static ContainerChange read_change(const JsonFields& line);

 private:
  std::string helper_;
  std::string lxc_folder_;
  std::uint32_t stop_ms_ = 0;
};

// As a duration: what is negative becomes 0, what does not fit becomes the largest.
[[nodiscard]] std::uint32_t clamp_ms(std::int64_t ms) noexcept;

}  // namespace instar::device
