// One machine with a device around it. The disk, the containers and the broker are as simple as they can be;
// a power cut may come after any effect, and a broker may keep its acks to itself.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/testing/some_hash.hpp"
#include "core/revision/machine.hpp"
#include "core/trust/keys.hpp"
#include "core/trust/root.hpp"

namespace instar::revision {

[[nodiscard]] trust::SecretKey key_of(std::uint8_t seed);

[[nodiscard]] GroupPath group_of(std::string_view text);

[[nodiscard]] SomeHash hash_of(std::string_view text);

// An artifact with a full pack of chunks of these sizes; with `kind` dedupe such a pack as well.
[[nodiscard]] wire::Artifact artifact_of(const std::string& name, const std::vector<std::uint32_t>& head,
                                         const std::vector<std::uint32_t>& body,
                                         artifact::PackKind kind = artifact::PackKind::full);

// Offers the artifact as a delta from `base` too.
wire::Pack& add_delta(wire::Artifact& artifact, const ArtifactId& base, std::uint32_t head_bytes,
                      std::uint64_t body_bytes);

struct Stored {
  std::vector<std::uint32_t> sizes;  // encoded size by ordinal
  std::uint32_t head_count = 0;
};

class MachineFixture {
 public:
  // --- the world ------------------------------------------------------------------------------------
  trust::SecretKey root_key = key_of(1), release_key = key_of(2), gate_key = key_of(3), device_key = key_of(4);
  trust::RootDocument root;
  Bytes pinned_root;
  DeviceFacts facts;
  wire::Topics topics;
  WallMs wall{1'700'000'000'000};
  MonotonicMs monotonic{1'000};
  std::map<std::string, Bytes> retained;
  std::map<PackId, Stored> packs;

  // --- switches of a test -----------------------------------------------------------------------------
  bool acks = true;
  bool serves = true;
  bool connected = false;
  std::set<std::string> bad_releases;    // whose probes fail
  std::set<std::string> unstartable;     // whose start fails
  std::set<std::string> stopping;        // whose container stops after its start
  std::multiset<std::uint32_t> corrupt;  // ordinals that arrive broken, once for each time they are named
  std::optional<Error> staging_fails;    // answer to OpenStaging, so often
  int staging_failures = 1;
  std::optional<Error> finish_fails;  // answer to FinishStaging, once
  // Deltas that fall short, as the stager finds out: with files, once their head is read and again at the end; without,
  // at once.
  std::map<PackId, PackUnusable> short_packs;
  int switch_back_failures = 0;
  std::string switch_remark;                // of the next starts
  std::int64_t power_cut_after = -1;        // effects until the power goes; -1 = never
  std::function<bool(const Effect&)> drop;  // true: the effect is lost, and nothing follows from it

  // --- what happened ----------------------------------------------------------------------------------
  std::unique_ptr<Machine> machine;
  Bytes disk;                         // the state file
  Bytes anchor;                       // its file
  std::vector<wire::Report> applied;  // as a broker applies them: in order, once
  std::vector<wire::Report> sent;     // every report that went out
  std::vector<wire::Hello> hellos;
  std::vector<wire::Fetch> fetches;
  std::vector<wire::Fetch> openings;  // fetches that a connection is to begin with
  std::vector<std::string> log;
  std::vector<std::string> trace;  // names of the effects, in order
  std::map<std::pair<PackId, std::uint32_t>, int> chunks_sent;
  std::uint64_t bytes_sent = 0;
  std::uint32_t running = 0;                                                   // revision whose containers run
  std::map<std::uint32_t, std::map<PackId, std::set<std::uint32_t>>> folders;  // revision → pack → durable chunks
  std::map<std::uint32_t, wire::Manifest> staged;
  std::map<std::uint32_t, OpenStaging> opened;
  std::map<std::uint32_t, std::vector<ArtifactId>> trimmed;  // what was to stay
  std::uint64_t persists = 0;
  std::uint64_t anchor_writes = 0;
  std::uint64_t effects_done = 0;
  std::uint32_t boots = 0;

  MachineFixture();

  [[nodiscard]] Now now() const { return {wall, monotonic}; }

  // A release of one container "app".
  [[nodiscard]] wire::Manifest release(std::uint64_t sequence);

  [[nodiscard]] Bytes seal(const wire::Manifest& manifest) const;

  [[nodiscard]] static ManifestId rollout_of(const wire::Manifest& manifest);

  [[nodiscard]] wire::Gate gate_for(const wire::Manifest& manifest, std::uint64_t issue = 1) const;

  void store_packs(const wire::Manifest& manifest);

  // Retained, and received at once when connected.
  void put(const std::string& topic, Bytes payload);
  void put_gate(const wire::Gate& gate);
  void publish(const wire::Manifest& manifest);

  // --- the device -------------------------------------------------------------------------------------
  void boot();

  // A container of the current revision ends by itself.
  void stop_container(const std::string& name) { give(ContainerStopped{view().current_revision, name, "exit 1"}); }

  // Power off and on: what was not persisted is gone, containers stop.
  void power_cut();

  // `is_opened`: with the last of `openings`.
  void connect(bool is_opened = false);
  void disconnect();
  void receive(const std::string& topic, Bytes payload) { give(MessageArrived{topic, std::move(payload)}); }

  // Hands one event to the machine and carries out what follows.
  void give(Event event);

  // Everything that follows by itself, without time passing.
  void settle();

  void pass(std::int64_t ms);

  // Lets time pass in steps of half a second.
  void run(std::int64_t ms);

  [[nodiscard]] Machine::View view() const { return machine->view(); }
  [[nodiscard]] std::string phase() const { return view().phase; }
  [[nodiscard]] std::string running_release() const { return view().running ? view().running->release : ""; }
  [[nodiscard]] std::vector<wire::Step> steps() const;
  [[nodiscard]] bool logged(std::string_view part) const;

 private:
  void revive();

  void carry_out(Effects& effects);

  void carry(Persist& effect);
  void carry(Log& effect) { log.push_back(effect.message); }
  void carry(PointCurrent&) { trace.emplace_back("point"); }
  void carry(Resubscribe&);

  void carry(Publish& effect);

  void take_report(const Bytes& payload);

 public:
  void ack(std::uint64_t sequence, Code code = Code::ok);
  void forget_applied(std::uint64_t applied_now) { applied_ = applied_now; }

  // Pieces of what is asked for; no more than the window ahead of what was received.
  void serve(const wire::Fetch& fetch);

 private:
  void answer_position();

  void notify_wants(std::uint32_t revision, const PackId& pack, bool head_only);

  [[nodiscard]] bool head_missing(std::uint32_t revision, const PackId& pack);

  void carry(OpenStaging& effect);

  void notify_shortfall(std::uint32_t revision, const PackId& pack, bool now);

  void carry(StagePiece& effect);

  void carry(FinishStaging& effect);

  void carry(RemoveRevision& effect);

  void carry(TrimRevision& effect);

  void carry(StartTry& effect);

  void carry(RunProbe& effect);

  void carry(SwitchBack& effect);

  void carry(EnsureRunning& effect);

  struct Serving {
    std::uint32_t session = 0;
    PackId pack;
    std::vector<wire::ChunkRange> ranges;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };
  std::deque<Event> queue_;
  std::map<std::pair<PackId, std::uint32_t>, std::uint32_t> half_;
  Serving serving_;
  std::uint64_t applied_ = 0;
  bool dead_ = false;
};

}  // namespace instar::revision
