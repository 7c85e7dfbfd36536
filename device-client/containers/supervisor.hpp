// Makes the containers that run be those of one revision: carries out StartTry, SwitchBack, EnsureRunning and RunProbe
// through `instar-lxc`, one helper process at a time (probes beside it), and tells how it went as events. A container
// that stops by itself, or that EnsureRunning could not start, is told as ContainerStopped; whether and when to try
// again is the machine's to say.
//
// Payloads of host handlers go with them (host_payload.hpp): before the containers when something is tried or taken
// back, as it is they that containers stand on, and after them when what is committed is made sure of. Handlers are
// called one at a time. A client that is to be tried, kept or left asks for this process to be replaced:
// wants_other_client().
//
// A container whose fingerprint is that of the wanted one is left running, whichever revision it was started for. What
// runs is asked of LXC and of the record beside each container's configuration, never remembered: so a daemon that was
// killed finds it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/revision/machine.hpp"
#include "device-client/containers/client_slots.hpp"
#include "device-client/containers/container_config.hpp"
#include "device-client/containers/host_payload.hpp"
#include "device-client/process/helper_process.hpp"
#include "device-client/process/log.hpp"
#include "device-client/process/process_watch.hpp"

namespace instar::device {

struct SupervisorOptions {
  Config config;
  HostFacts host;
  std::string helper;  // path of instar-lxc
  Log* log = nullptr;
};

class Supervisor {
 public:
  explicit Supervisor(SupervisorOptions options);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Each of these three replaces what is under way: its helper finishes, the rest of it is dropped without an event.
  void start_try(const revision::StartTry& effect);
  void switch_back(const revision::SwitchBack& effect);
  void ensure_running(const revision::EnsureRunning& effect);
  void run_probe(const revision::RunProbe& effect, MonotonicMs now);

  // Does what can be done without waiting. Call when a descriptor of fds() is readable and at next_deadline().
  void poll(MonotonicMs now, std::vector<revision::Event>& out);
  [[nodiscard]] std::vector<int> fds() const;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(MonotonicMs now) const;

  // No switch is under way.
  [[nodiscard]] bool is_settled() const noexcept { return !job_ && !helper_; }
  // Nothing is under way, and LXC has been asked: revisions_in_use() is the whole truth.
  [[nodiscard]] bool knows_what_runs() const { return is_settled() && (looked_ || known_names().empty()); }
  // All containers that should run do, as far as it knows; before anything should, true.
  [[nodiscard]] bool is_well() const;
  // What is under way goes on in another client: ClientSlots::choose() says in which.
  [[nodiscard]] bool wants_other_client() const noexcept { return other_client_; }
  // Revisions whose trees are under running containers: their folders must stay.
  [[nodiscard]] std::set<std::uint32_t> revisions_in_use() const;

 private:
  enum class Goal : std::uint8_t { try_new, back, ensure };
  enum class Stage : std::uint8_t { look, change };
  // What is to be run; plans in start order.
  struct Job {
    Goal goal = Goal::ensure;
    std::uint32_t revision = 0;
    std::vector<ContainerPlan> plans;
    std::vector<PayloadStep> payloads;   // next one last
    bool payload_runs = false;           // the helper is its handler
    bool reboots = false;                // the helper makes the device boot
    std::optional<MonotonicMs> boot_by;  // it was told to
    std::optional<Error> error;
    Stage stage = Stage::look;
    std::vector<std::string> to_stop;     // LXC names, next one last
    std::vector<ContainerPlan> to_start;  // next one last
    // By the helper's clock: when the first container that ran was told to stop, and when the last was there again.
    std::optional<std::int64_t> down_ms;
    std::int64_t up_ms = 0;
    bool given_up = false;
    std::string failed_container;
  };
  struct Running {
    std::uint32_t revision = 0;  // whose tree is under it; 0 = unknown
    ProcessWatch watch;
    MonotonicMs since;
    bool stopping = false;  // on our word
  };
  struct RunningProbe {
    std::uint32_t revision = 0;
    std::string container;
    std::uint32_t timeout_ms = 0;
    bool is_handler = false;
    HelperProcess process;
  };

  [[nodiscard]] std::vector<std::string> probe_arguments(const revision::RunProbe& effect) const;
  void begin(Goal goal, std::uint32_t revision, const wire::Manifest* manifest);
  void step(MonotonicMs now, std::vector<revision::Event>& out);
  void spawn(const std::vector<std::string>& arguments, std::uint32_t timeout_ms, MonotonicMs now);
  void next_command(MonotonicMs now, std::vector<revision::Event>& out);
  void run_payload(MonotonicMs now);
  void payload_ended(const HelperEnd& end, MonotonicMs now);
  [[nodiscard]] Status note_payload(const PayloadStep& step);
  void payload_failed(const PayloadStep& step, Error error);
  void client_step(const PayloadStep& step, MonotonicMs now);
  void take_client(const PayloadStep& step);
  // What was done to the clients on disk, and whether the one that the step is to end in runs already.
  struct ClientTaken {
    Status done;
    bool runs = false;
  };
  [[nodiscard]] ClientTaken try_client(const PayloadPlan& plan) const;
  [[nodiscard]] ClientTaken keep_client(const PayloadPlan& plan) const;
  [[nodiscard]] ClientTaken give_back_client(const PayloadPlan& plan) const;
  void reboot(const PayloadStep& step, MonotonicMs now);
  void look(MonotonicMs now);
  void take_states(const std::vector<JsonFields>& lines, MonotonicMs now);
  void answered(const HelperProcess& helper, MonotonicMs now);
  void take_change(const JsonFields& line, MonotonicMs now);
  void change(MonotonicMs now);
  // Of the container that was to be stopped or started next.
  void command_failed(Error error);
  void start_failed(Error error);
  void note_error(Error error);
  void finish(std::vector<revision::Event>& out);
  void check_running(MonotonicMs now, std::vector<revision::Event>& out);
  void check_probes(MonotonicMs now, std::vector<revision::Event>& out);
  // LXC names of this device's containers that have a configuration.
  [[nodiscard]] std::vector<std::string> known_names() const;
  // Folders, volumes, and the files that say how it is to run from its next start on; what runs notices nothing.
  [[nodiscard]] Status prepare(const ContainerPlan& plan) const;
  void remove_leftovers();

  SupervisorOptions options_;
  std::optional<Job> job_;
  std::optional<HelperProcess> helper_;
  bool looked_ = false;
  bool helper_is_stale_ = false;            // it belongs to a job that was replaced
  std::map<std::string, Running> running_;  // by LXC name
  std::vector<RunningProbe> probes_;
  std::vector<revision::Event> pending_;
  // What should run.
  std::uint32_t wanted_revision_ = 0;
  std::vector<ContainerPlan> wanted_;
  std::vector<PayloadPlan> wanted_payloads_;
  ClientSlots clients_;
  bool other_client_ = false;
};

}  // namespace instar::device
