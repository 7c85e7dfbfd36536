// The inside of Machine: for each event, what is asked, in which order. The state is in the parts; three flows ask
// those about one thing: Choosing (which release to go for) above Fetching (until it is staged), and Trying (the
// switch, and every way back).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/revision/anchor.hpp"
#include "core/revision/choosing.hpp"
#include "core/revision/fetching.hpp"
#include "core/revision/machine.hpp"
#include "core/revision/parts.hpp"
#include "core/revision/trying.hpp"

namespace instar::revision {

class Engine {
 public:
  // `anchor`: as it is on disk; empty: there is none that can be read.
  Engine(DeviceFacts facts, trust::SecretKey key, wire::Topics topics, trust::TrustStore trust, DeviceState state,
         Anchor anchor);

  // The restart action of the persisted phase.
  void start(Now now, Effects& effects);
  void handle(const Event& event, Now now, Effects& effects);
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  [[nodiscard]] std::vector<std::pair<std::string, wire::Qos>> subscriptions() const;
  [[nodiscard]] Machine::View view() const;
  void assert_invariants() const { parts_.assert_invariants(); }

 private:
  void restart();
  void finish(Effects& effects);
  void on(const Connected& event);
  void on(const Disconnected& event);
  void on(const MessageArrived& event);
  void on(const Ticked& event);
  void on(const FreeSpace& event);
  void on(const HostTrouble& event);
  void on(const StagingDone& event);
  void on(const SwitchedBack& event);
  void on(const OwnerInstruction& event);
  void on(const LocalTime& event);
  // --- engine_roots.cpp: root documents
  void on_root(ByteView payload);
  void root_taken(Inbox::Root taken);
  void leave_chain();
  void on_other_root(ByteView payload, const Error& error);
  void on_chained_root(std::uint32_t version, ByteView payload);
  // After a root document was taken. True: it was not the newest on offer, and the others are seen to first.
  [[nodiscard]] bool follow_chain();
  // A version that was asked for may not have come.
  void check_chain();
  // The document in force may expire soon.
  void warn_of_expiry();
  void on_manifest(const std::string& topic, const GroupPath& group, Bytes payload);
  // `topic`: where it came, for people.
  void on_gate(const std::string& topic, Bytes payload);
  void on_ack(ByteView payload);
  void on_stale(const wire::Ack& ack);
  void on_assignment(ByteView payload);
  void look_at_early_assignment();
  // Something that may stand in the way has changed.
  void look_again();
  void finish_commit();

  std::uint64_t generation_;
  Anchor anchored_;  // as it was last persisted
  Parts parts_;
  Fetching fetching_;
  Choosing choosing_;
  Trying trying_;
};

}  // namespace instar::revision
