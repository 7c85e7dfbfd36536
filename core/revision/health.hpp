// The judge of a try: do the new containers run and stay well, and is the broker still there? Pure. docs/health.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/time.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// What a try is judged by besides the containers themselves.
struct LinkBefore {
  bool reachable = false;       // the broker, just before the switch
  bool release_differs = true;  // something of the release is new on this device: it can be the cause of a lost link
  std::uint32_t grace_ms = 0;   // how long the broker may stay away once all containers have settled
};

// How a container, or a payload of a host handler (whose `verify` is asked), is found well; nullopt: by running alone.
[[nodiscard]] std::optional<wire::Probe> probe_of(const wire::Container& container);

struct Verdict {
  bool passed = false;
  std::string reason;  // of a failure; or what a person should know about a pass
};

class HealthJudge {
 public:
  HealthJudge(const wire::Manifest& manifest, LinkBefore before, MonotonicMs started);

  void container_stopped(std::string_view container, std::string_view detail);
  void probe_ended(std::string_view container, bool passed, std::string_view detail, MonotonicMs now);

  // Containers whose probe is due now; they count as running from then on.
  [[nodiscard]] std::vector<std::string> probes_due(MonotonicMs now);
  // nullopt: not yet known.
  [[nodiscard]] std::optional<Verdict> verdict(bool connected, MonotonicMs now);
  // When to ask again at the latest.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  // What has a probe either runs it or knows when to.
  void assert_invariants() const;

 private:
  struct Watch {
    std::string container;
    MonotonicMs settled;
    std::optional<wire::Probe> probe;
    std::optional<MonotonicMs> probe_next;      // nullopt while one runs
    std::optional<MonotonicMs> probe_deadline;  // while one runs: no answer by then is a failure
    std::uint32_t failures = 0;                 // in a row
    bool last_passed = false;
    std::string last_detail;
  };
  void probe_failed(Watch& watch, std::string_view detail, MonotonicMs now);
  [[nodiscard]] std::optional<Verdict> link_verdict(bool connected, MonotonicMs now);

  LinkBefore before_;
  std::vector<Watch> watches_;
  std::optional<Verdict> failed_;
  MonotonicMs settled_;                   // of all
  bool settle_seen_ = false;              // verdict() has been asked after that
  std::optional<MonotonicMs> grace_end_;  // set once all are well and only the broker is missing
};

}  // namespace instar::revision
