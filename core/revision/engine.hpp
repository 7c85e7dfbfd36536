// The inside of Machine, split over files by what is being decided: engine.cpp (dispatch, restart, effects), offers.cpp
// (manifests and gates), permission.cpp (what may go on now), attempt.cpp (one release from its first byte to its end),
// transfer.cpp (chunks), trial.cpp (try, commit, roll back).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/revision/fetch_session.hpp"
#include "core/revision/health.hpp"
#include "core/revision/machine.hpp"
#include "core/revision/reporter.hpp"
#include "core/revision/state_codec.hpp"
#include "core/revision/stop_log.hpp"
#include "core/revision/transitions.hpp"
#include "core/trust/root.hpp"

namespace instar::revision {

// A manifest whose signatures have been checked.
struct ReceivedManifest {
  Hash256 message;  // digest of the whole envelope
  Hash256 hash;     // of the payload: the rollout
  Bytes envelope;
  wire::Manifest manifest;
};

// What is still wanted of one pack of the candidate.
struct PackFetch {
  enum class ChunkState : std::uint8_t { wanted, asked, handed, durable };
  struct Chunk {
    std::uint32_t ordinal = 0;
    std::uint32_t bytes = 0;
    std::uint32_t offset = 0;
    ChunkState state = ChunkState::wanted;
  };
  Hash256 pack;
  std::uint32_t head_count = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t likely_bytes = 0;  // what will be fetched, as far as the manifest tells: of a dedupe pack the head
  bool told = false;
  bool exact = false;
  bool was_inexact = false;
  std::vector<Chunk> chunks;  // ascending; durable ones fall out at the next telling

  // Encoded bytes that are not durable; `body_only` leaves out the head.
  [[nodiscard]] std::uint64_t bytes_left(bool body_only) const noexcept;

  [[nodiscard]] Chunk* find(std::uint32_t ordinal) noexcept;
  [[nodiscard]] bool has(ChunkState state) const noexcept;
  [[nodiscard]] bool all_durable() const noexcept;
};

// The device's own file vouches for what is in it: no signature is checked again.
[[nodiscard]] std::optional<wire::Manifest> manifest_in(const Bytes& envelope_bytes);
[[nodiscard]] wire::Step step_of(Phase phase) noexcept;

class Engine {
 public:
  Engine(DeviceFacts facts, trust::SecretKey key, wire::Topics topics, trust::TrustStore trust, DeviceState state);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // The restart action of the persisted phase.
  void start(Now now, Effects& effects);
  void handle(const Event& event, Now now, Effects& effects);
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  [[nodiscard]] std::vector<std::pair<std::string, int>> subscriptions() const;
  [[nodiscard]] Machine::View view() const;
  void assert_invariants() const {}

 private:
  // --- engine.cpp
  void finish(Effects& effects);
  void on(const Connected& event);
  void on(const Disconnected& event);
  void on(const MessageArrived& event);
  void on(const Ticked& event);
  void on_ack(ByteView payload);
  void say_hello();
  void report(wire::Report report);
  // Where this device is in that rollout, for a word that changes nothing of it: what it waits for, the attempt, or how
  // that ended.
  [[nodiscard]] wire::Report report_as_it_stands(const Hash256& hash) const;
  // A report about the candidate, with its counts.
  [[nodiscard]] wire::Report about_candidate(wire::Step step, Code code, std::string reason) const;
  void log(int level, std::string message);
  void emit(Effect effect) { out_.push_back(std::move(effect)); }
  void enter(Trigger trigger);
  [[nodiscard]] WallMs clock() const noexcept;
  void note_time(WallMs time);

  // --- offers.cpp
  void on_root(ByteView payload);
  void on_manifest(const std::string& topic, const GroupPath& group, Bytes payload);
  void on_gate(const std::string& topic, const GroupPath& group, Bytes payload);
  // Errors: why this manifest is not for us. nullopt: quietly ignored.
  [[nodiscard]] Result<std::optional<ReceivedManifest>> open_manifest(ByteView payload, const Hash256& message,
                                                                      const GroupPath& group);
  void remember_refused(const Hash256& digest);
  void refuse_message(const Hash256& message, ByteView payload, const Error& error);
  void refuse_release(const ReceivedManifest& heard, std::uint32_t retry_epoch, const Error& error);
  void record_outcome(const ReceivedManifest& heard, std::uint32_t attempt, std::uint32_t epoch, wire::Step step,
                      Code code);
  [[nodiscard]] const Outcome* outcome_of(const Hash256& manifest) const noexcept;
  [[nodiscard]] bool is_known(const Hash256& manifest) const noexcept;
  [[nodiscard]] bool hears(const GroupPath& group) const noexcept;
  // By the owner, in a file.
  [[nodiscard]] bool is_brought(const Hash256& hash) const noexcept {
    return !hash.is_zero() && owner_.install == hash;
  }
  // The gate lets this device start `heard` now.
  [[nodiscard]] bool is_admitted(const wire::Manifest& manifest, const Hash256& hash) const noexcept;
  [[nodiscard]] std::shared_ptr<const ReceivedManifest> best_offer() const;
  void consider();
  void stop_if_aborted();

  // --- permission.cpp
  enum class Stage : std::uint8_t { start, fetch, change };
  [[nodiscard]] const wire::Manifest* manifest_of(const Hash256& hash) const noexcept;
  void vet_gate(const Hash256& hash);
  // The gate that counts: none is known, or it breaks its manifest's policy: null.
  [[nodiscard]] const wire::Gate* gate_of(const Hash256& hash) const noexcept;
  void say_once(std::string_view kind, const Hash256& hash, wire::Report report_text);
  // What the owner, the window, the link stand in the way with; empty: nothing.
  [[nodiscard]] std::string hindrance(const wire::Manifest& manifest, const Hash256& hash, Stage stage) const;
  [[nodiscard]] bool may_go_on(Stage stage);
  void note_waits(const std::string& text);
  // The same of the candidate, unless a newer release is waited for: that one is told of.
  void note_pause(const std::string& text);
  // Forgets the attempt that was to come, and its turn. Its number.
  std::uint32_t stop_waiting();
  // Tells that the attempt that was to come will not; nothing, if none was told of.
  void give_up_waiting(Code code, const std::string& reason);
  // Gives up waiting for a release that has expired, whose rollout was ended, or that is not offered any more for
  // `reason` (empty: it may only not have been heard yet).
  void check_waiting(const std::string& reason);
  [[nodiscard]] bool may_start(const wire::Manifest& manifest, const Hash256& hash);
  [[nodiscard]] bool has_turn(const Hash256& hash) const noexcept;
  [[nodiscard]] std::uint32_t next_attempt(const Hash256& hash) const noexcept;
  void on_turn(const wire::Ack& ack);
  void on(const OwnerInstruction& event);
  void on(const LocalTime& event);
  void look_again();
  [[nodiscard]] std::optional<MonotonicMs> window_deadline() const;
  void go_back_if_told();
  // A revision to go back to.
  struct Before {
    RevisionRecord record;
    Bytes envelope;
    wire::Manifest manifest;
  };
  // From the committed revision to that one; the caller has seen that this may be run.
  void go_back(Before before, std::uint32_t retry_epoch, Trigger trigger, Code code, std::string reason);
  // The revision before, unless it is gone, or has failed here: then why.
  [[nodiscard]] Result<Before> release_before() const;
  // The factory revision, unless there is none, it runs, or it has failed here.
  [[nodiscard]] std::optional<Before> factory_release() const;
  void on_assignment(ByteView payload);
  [[nodiscard]] Status take_assignment(ByteView payload);
  [[nodiscard]] static std::optional<wire::Assignment> assignment_in(const Bytes& envelope_bytes);

  // --- attempt.cpp
  // From idle, or in place of an older candidate. Refuses what is not possible here.
  void begin(const ReceivedManifest& heard);
  void retry();
  [[nodiscard]] artifact::Holdings holdings() const;
  [[nodiscard]] Result<std::vector<PackChoice>> choose_packs(const wire::Manifest& manifest) const;
  [[nodiscard]] std::uint32_t retry_epoch_of(const Hash256& hash) const noexcept;
  [[nodiscard]] Status check_byte_budget(const wire::Manifest& manifest, const std::vector<PackChoice>& choices) const;
  // Makes `heard` the candidate in a new revision and opens its staging.
  void take_candidate(const ReceivedManifest& heard, const std::vector<PackChoice>& choices, Trigger trigger);
  void open_staging();
  void end_attempt(const Error& error, wire::Step step, bool fresh_revision);
  void stop_attempt(Code code, const std::string& reason);
  void record_candidate_outcome(wire::Step step, Code code);
  [[nodiscard]] bool attempts_left() const noexcept;
  // Gives the candidate up. What it holds stays for a release that shares content with it, in place of what earlier
  // ones left: until a commit, or until room is needed.
  enum class Leftover : std::uint8_t { keep, remove };
  void drop_candidate(Leftover leftover);
  // The same, and all folders stay.
  void forget_candidate();
  // Of the disposable revisions all but this one go.
  void keep_one_leftover(std::optional<std::uint32_t> kept);
  // True: the release is looked at again when there is more room.
  [[nodiscard]] bool makes_room_first(const std::string& release);
  void on(const FreeSpace& event);
  void overtake(const ReceivedManifest& heard);
  void use_new_revision();
  void remove_revision(std::uint32_t number);
  // Neither the current, the previous, the candidate nor the factory revision.
  [[nodiscard]] std::vector<std::uint32_t> disposable_revisions() const;
  [[nodiscard]] bool is_factory(const std::optional<RevisionRecord>& record) const noexcept {
    return record && facts_.factory && record->number == facts_.factory->number;
  }
  [[nodiscard]] bool make_room();
  // A way that costs more than the one announced may be taken without asking the owner.
  [[nodiscard]] bool may_cost_more() const noexcept;
  // A chosen delta is made from an artifact that the previous revision alone has.
  [[nodiscard]] bool needs_previous() const;
  void on(const PackUnusable& event);
  void take_pack(std::size_t artifact, const wire::Pack& pack, const PackUnusable& event);
  void note_pack_kind();
  void on(const StagingDone& event);
  // Nothing has come but what tells what is wanted: that it cannot be had here says nothing of the release.
  [[nodiscard]] bool has_heads_only() const noexcept;
  void on(const StagingFailed& event);

  // --- transfer.cpp
  void on(const StagingWants& event);
  void on(const ChunkDurable& event);
  void on(const ChunkRefused& event);
  void on_piece(ByteView payload);
  void on_fault(const wire::ChunkPiece& piece);
  void plan();
  void advance();
  void finish_staging();
  void want_more();
  void feed(PackFetch& pack);
  void close_session();
  void send(const std::vector<wire::Fetch>& fetches);
  void check_stall();
  [[nodiscard]] PackFetch* pack_of(const Hash256& pack) noexcept;
  [[nodiscard]] PackFetch* next_pack() noexcept;
  [[nodiscard]] std::uint32_t next_session();
  [[nodiscard]] bool is_candidate(std::uint32_t revision) const noexcept;

  // --- trial.cpp
  void try_if_allowed();
  void start_try(bool again);
  [[nodiscard]] bool count_start() noexcept;
  void emit_try();
  void on(const TryStarted& event);
  void on(const TryFailed& event);
  void on(const ContainerStopped& event);
  void on(const ProbeEnded& event);
  void on(const SwitchedBack& event);
  void on(const SwitchBackFailed& event);
  void judge();
  void commit();
  void roll_back(Trigger trigger, Code code, std::string reason);
  void emit_switch_back();
  // The revision to go back to cannot be started: to the factory revision, if there is one.
  [[nodiscard]] bool go_to_factory(const Error& error);
  void emit_ensure_running();
  void finish_commit();
  [[nodiscard]] bool release_differs() const;
  void note_stop(const std::string& container);
  // True if the committed release was given up for the one before.
  bool fall_back();
  void tell_degraded();

  DeviceFacts facts_;
  trust::SecretKey key_;
  wire::Topics topics_;
  trust::TrustStore trust_;
  DeviceState state_;
  Reporter reporter_;

  // Of one call.
  Now now_;
  Effects out_;
  bool dirty_ = false;

  // What is not persisted: heard again, or learnt again, after a start.
  bool connected_ = false;
  std::uint32_t connect_count_ = 0;
  MonotonicMs hello_at_;
  std::uint64_t free_bytes_ = 0;
  bool trimmed_ = false;       // what the candidate has no use for has made room already
  bool room_awaited_ = false;  // leftovers are on their way out for a release
  std::map<std::string, std::shared_ptr<const ReceivedManifest>> heard_;  // by topic
  std::map<std::string, Bytes> unverified_;  // by topic: tried again with the next root document
  std::map<Hash256, wire::Gate> gates_;      // by manifest
  std::set<Hash256> broken_gates_;
  std::vector<GroupPath> groups_;
  bool brought_begun_ = false;  // since the start: what fails is not begun again for the same word
  OwnerInstruction owner_;
  std::int32_t utc_offset_s_ = 0;
  std::uint64_t asked_report_ = 0;  // sequence of the report that asked for a turn last
  std::string pause_said_;          // what the attempt under way waits for, as it was last told
  bool staged_ = false;             // all is there and verified
  std::optional<wire::Manifest> candidate_;
  std::optional<wire::Manifest> current_;

  // Fetching.
  std::vector<PackFetch> packs_;
  std::map<std::pair<Hash256, std::uint32_t>, std::uint32_t> refusals_;
  FetchSession session_;
  std::uint16_t session_count_ = 0;
  std::optional<MonotonicMs> fetch_after_;  // the broker could not serve: not before
  std::int64_t fault_pause_ms_ = 0;
  bool finish_asked_ = false;
  MonotonicMs progress_;  // of the stager
  std::uint64_t bytes_persisted_ = 0;
  std::optional<MonotonicMs> gap_at_;  // when the last one was seen
  std::optional<MonotonicMs> retry_at_;
  bool retry_due_ = false;
  std::vector<std::uint32_t> removing_;  // asked for in the last call: done before the next

  // Trying.
  std::optional<HealthJudge> judge_;
  MonotonicMs switch_started_;
  std::uint32_t downtime_ms_ = 0;
  std::optional<MonotonicMs> switch_back_at_;
  std::int64_t switch_back_pause_ms_ = 0;
  std::uint32_t switch_back_failures_ = 0;  // in a row
  std::string stuck_;                       // why going back does not work, once it has failed often
  std::optional<MonotonicMs> ensure_at_;
  std::optional<MonotonicMs> ensured_;
  std::int64_t ensure_pause_ms_ = 0;
  StopLog stops_;                      // of the current revision's containers
  std::vector<std::string> degraded_;  // as it was last told
};

}  // namespace instar::revision
