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
#include "device-client/owner.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/log.hpp"
#include "device-client/staging/port.hpp"
#include "device-client/watchdog.hpp"
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
};

class Daemon {
 public:
  // Loads the state, or starts from the anchor or the pinned root. A state file that cannot be read is kept under
  // another name, with all that was staged. Errors: those of the pinned root; io.
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
  [[nodiscard]] int wait_ms(int wait_ms_max);
  void wait(int stop_fd, int wait_ms_max);
  void take_messages();
  void publish_presence(bool online);
  void handle(const revision::Event& event);
  void handle_all();
  void carry_out(revision::Effects& effects);
  void tick();
  // Passes on the owner's instruction, local time and the clock when they have changed, and free space now and then.
  void look_around();
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
  bool connected_ = false;
  // Revisions that the machine has given up, while a container may still run from their trees.
  std::set<std::uint32_t> deferred_;
};

}  // namespace instar::device
