// The daemon: one thread that owns everything. It passes events to the revision machine and carries out its effects in
// order, Persist first: only what is in the state file counts as decided.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/revision/machine.hpp"
#include "device-client/clock_watch.hpp"
#include "device-client/containers/supervisor.hpp"
#include "device-client/disk_watch.hpp"
#include "device-client/link_words.hpp"
#include "device-client/owner.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/container_pause.hpp"
#include "device-client/process/log.hpp"
#include "device-client/staging/port.hpp"
#include "device-client/watchdog.hpp"
#include "files/reserve.hpp"
#include "mqtt/client.hpp"

namespace instar::device {

struct DaemonParts {
  Config config;  // its state_dir is prepared
  revision::DeviceFacts facts;
  HostFacts host;
  std::string helper;
  trust::SecretKey key;
  Log log;
  std::unique_ptr<StagingPort> staging;
  std::function<std::unique_ptr<mqtt::Client>(mqtt::Options)> make_client;
  std::function<Now()> clocks;
  std::function<std::int32_t(WallMs)> utc_offset_s;  // how many seconds local time is east of UTC at that time
  // Runs the system's client in the place of this process. Returns only if that fails (client_slots.hpp).
  std::function<Error()> run_client_again = [] {
    return Error{Code::unsupported, "this process cannot become another client"};
  };
  std::optional<Watchdog> watchdog = std::nullopt;
  // A release that the owner has as a file (install.hpp). Zero: none.
  ManifestId install = {};
  // How good the clock is.
  std::function<wire::ClockState()> clock_state = [] { return wire::ClockState::free; };
  // What is left to the client on a full disk; null: nothing.
  std::shared_ptr<files::Reserve> reserve = nullptr;
  // What makes room from it pauses containers with this first; null: nothing does.
  std::shared_ptr<ContainerPause> pause = nullptr;
  // What does not work on this machine, as sentences, for as long as the process runs.
  std::vector<std::string> troubles = {};
};

class Daemon {
 public:
  // Loads the state, or starts from the anchor or the pinned root. A state file that cannot be read is kept under
  // another name, with all that was staged. A connection that cannot even be tried is no error: containers run, the
  // device says why, and it is tried again. Errors: those of the pinned root; io; no_space (the state cannot be
  // written).
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> open(DaemonParts parts);

  // Runs until `stop_fd` becomes readable. Returns the exit code. 0: it was asked to stop (containers run on). 1: the
  // state could not be written.
  [[nodiscard]] int run(int stop_fd);

  // Does one turn of the loop, and waits at most `wait_ms_max`. Returns false when the state could not be written.
  [[nodiscard]] bool turn(int stop_fd, int wait_ms_max);

  [[nodiscard]] const revision::Machine& machine() const noexcept { return *machine_; }

 private:
  explicit Daemon(DaemonParts parts);
  [[nodiscard]] Status load();
  // nullopt: there is none, or it cannot be read.
  [[nodiscard]] std::optional<revision::Anchor> load_anchor();
  // Of a device without a state file: empty, unless there are folders of revisions.
  [[nodiscard]] Bytes state_after_folders(const Bytes& pinned, const std::optional<revision::Anchor>& anchor) const;
  [[nodiscard]] Status move_aside(const std::string& ending) const;
  [[nodiscard]] Bytes factory_state() const;
  [[nodiscard]] Status connect();
  // Connects, or says why not; once a minute until there is a connection to try.
  void connect_when_due();
  [[nodiscard]] int wait_ms(int wait_ms_max);
  void wait(int stop_fd, int wait_ms_max);
  void take_messages();
  void lost_link(const mqtt::Event& event);
  void explain(const mqtt::Event& event);
  [[nodiscard]] bool is_ack(const std::string& topic) const;
  void publish_presence(bool online);
  // A message came on that topic.
  void take_cut_piece(const mqtt::Event& event);
  void leave_if_unwanted(const std::string& topic);
  // Nobody answers the hello: the cause is looked for, once a day.
  void look_at_silence();
  void handle(const revision::Event& event);
  void handle_all();
  void carry_out(revision::Effects& effects);
  void tick();
  // Passes on the owner's instruction, local time and the clock when they have changed, and free space now and then.
  void look_around();
  // --- the disk (daemon_disk.cpp)
  // Fills the reserve, says what is short, and clears what containers have written where that may be.
  void look_at_disk();
  [[nodiscard]] bool is_disk_full() const;
  // Writes some of what is staged.
  void stage();
  // A part of the reserve, for LXC and the file system of a container. False: it is spent.
  [[nodiscard]] bool make_start_room();
  // Something on the disk can still make way for a release.
  [[nodiscard]] bool has_more_to_give() const;
  void clear_dead_layers(const files::Space& space);
  void clear_full_layer();
  [[nodiscard]] std::string largest_layer() const;
  void say_trouble();
  void remove_deferred();
  void remember_leftover_revisions();
  void become_other_client();

  void effect(const revision::Persist& persist);
  void effect(revision::Publish& publish);
  void effect(const revision::OpenStaging& open) {
    parts_.staging->open(open, fresh_);
    staging_busy_ = true;
  }
  void effect(const revision::StagePiece& piece) {
    parts_.staging->piece(piece, fresh_);
    staging_busy_ = true;
  }
  void effect(const revision::FinishStaging& finish) {
    parts_.staging->finish(finish, fresh_);
    staging_busy_ = true;
  }
  void effect(const revision::RemoveRevision& remove);
  void effect(const revision::TrimRevision& trim);
  void effect(const revision::StartTry& start) { supervisor_.start_try(start); }
  void effect(const revision::RunProbe& probe) { supervisor_.run_probe(probe, now_.monotonic); }
  void effect(const revision::SwitchBack& back) { supervisor_.switch_back(back); }
  void effect(const revision::EnsureRunning& ensure) { supervisor_.ensure_running(ensure); }
  void effect(const revision::PointCurrent& point);
  void effect(const revision::Resubscribe& again);
  void effect(const revision::Log& line) { parts_.log.write(line.level, line.message); }

  DaemonParts parts_;
  Supervisor supervisor_;
  ClientSlots clients_;
  std::optional<MonotonicMs> lasts_at_;  // when this client, which came with a release, has run for long enough
  std::unique_ptr<revision::Machine> machine_;
  std::unique_ptr<mqtt::Client> client_;
  std::vector<std::pair<std::string, wire::Qos>> subscribed_;
  std::optional<OwnerWatch> owner_watch_;
  ClockWatch clock_watch_;
  Now now_;
  std::optional<MonotonicMs> ticked_;
  std::optional<MonotonicMs> space_reported_;
  std::string phase_;  // at the last turn
  std::deque<revision::Event> events_;
  std::vector<revision::Event> fresh_;  // events that the last effects caused
  bool staging_busy_ = true;            // an earlier process may have left work
  bool failed_ = false;
  Error failure_;  // of the state file, when it has failed
  bool connected_ = false;
  LinkWords link_words_;
  // The hello of this connection, until the broker has answered anything.
  std::optional<mqtt::Message> unanswered_;
  MonotonicMs silent_since_;
  std::optional<MonotonicMs> looked_at_;
  std::optional<MonotonicMs> connect_at_;  // when it is tried next
  std::string connect_trouble_;
  std::optional<MonotonicMs> owner_read_;
  DiskWatch disk_;
  std::optional<MonotonicMs> disk_look_at_;  // when it is looked at next
  std::optional<MonotonicMs> layer_cleared_;
  std::string layer_trouble_;
  std::vector<std::string> troubles_;  // as they were last said
  // Revisions that the machine has given up, while a container may still run from their trees.
  std::set<std::uint32_t> deferred_;
};

}  // namespace instar::device
