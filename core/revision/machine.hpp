// The device's machine: receives manifests and gates, fetches, stages, tries, commits or rolls back, reports. Pure:
// events go in, effects come out. One thread.
//
// The shell carries the effects of one call out in order, under one rule: Persist is always first, and nothing after it
// happens before the state is durable. If the write fails the process stops, and starts again from the file. Effects
// may come again after a restart: each must be harmless when it is done already. Presence, with its last will, is the
// shell's own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/revision/anchor.hpp"
#include "core/revision/device_facts.hpp"
#include "core/revision/effects.hpp"
#include "core/revision/events.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/delivery.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"

namespace instar::revision {

class Machine {
 public:
  // `state`: the persisted bytes, empty at the very first start (then `pinned_root` is root 1 from provisioning), and
  // when the state was lost. `anchor`: as it was persisted, nullopt when there is none that can be read; the state goes
  // on from it where that is further.
  // Errors: corrupt or malformed state (the shell moves the file aside and starts from `pinned_root`: a safe default),
  // or a pinned root that does not verify (the shell stops and says so).
  [[nodiscard]] static Result<std::unique_ptr<Machine>> load(DeviceFacts facts, trust::SecretKey key,
                                                             wire::Topics topics, ByteView state, ByteView pinned_root,
                                                             Now now, Effects& effects,
                                                             const std::optional<Anchor>& anchor = std::nullopt);
  ~Machine();

  // Appends to `effects`; never fails on input from outside (it reports and logs).
  void handle(const Event& event, Now now, Effects& effects);

  // When Ticked is wanted next at the latest.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  // Topic filters that this device subscribes to, each with its QoS.
  [[nodiscard]] std::vector<std::pair<std::string, wire::Qos>> subscriptions() const;

  // Stops the process when what the parts of the machine hold does not fit together. For tests: after each call.
  void assert_invariants() const;

  // For status commands and tests.
  struct View {
    std::string phase;  // name of the persisted phase
    std::string waits;  // what it waits for; empty = for nothing
    std::optional<wire::RevisionInfo> running;
    std::uint32_t current_revision = 0;
    std::uint32_t previous_revision = 0;
    std::uint32_t candidate_revision = 0;
    // These, and what ended attempts have left. What is on disk beyond them is of no use.
    std::set<std::uint32_t> revisions;
    std::uint64_t bytes_fetched = 0;
    std::size_t pending_reports = 0;
    std::uint64_t last_report = 0;
  };
  [[nodiscard]] View view() const;

 private:
  struct State;
  explicit Machine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace instar::revision
