// Makes the containers that run be those of one revision. It carries out StartTry, SwitchBack, EnsureRunning and
// RunProbe through `instar-lxc`, one helper process at a time (probes run beside it), and reports the outcome as
// events. A container that stops by itself, or that EnsureRunning could not start, is reported as ContainerStopped; the
// revision machine decides whether and when to try again.
//
// Payloads of host handlers are part of it (host_payload.hpp). When something is tried or taken back, they come before
// the containers, because containers may depend on them. When what is committed is ensured, they come after the
// containers. Handlers are called one at a time. When the client itself is the payload, the process must be replaced
// by another client: wants_other_client().
//
// What runs is asked of LXC, and of the record beside each container's configuration; nothing is remembered. So a
// daemon that was killed finds its containers.
//
// This class only says which part is asked, and in which order. The parts answer and do not know it:
//   ContainerFolders   prepares and removes what lies on disk
//   LxcCommands        speaks to instar-lxc
//   HelperSlot         the program that works for the job
//   RunningContainers  what runs, and what stopped by itself
//   Probes             the probes that run
//   of the job under way: JobOutcome, PayloadSteps, ContainerSwitch
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/revision/effects.hpp"
#include "core/revision/events.hpp"
#include "device-client/containers/container_config.hpp"
#include "device-client/containers/container_folders.hpp"
#include "device-client/containers/container_switch.hpp"
#include "device-client/containers/helper_slot.hpp"
#include "device-client/containers/host_payload.hpp"
#include "device-client/containers/job_outcome.hpp"
#include "device-client/containers/lxc_commands.hpp"
#include "device-client/containers/payload_steps.hpp"
#include "device-client/containers/probes.hpp"
#include "device-client/containers/running_containers.hpp"
#include "device-client/process/log.hpp"

namespace instar::device {

struct SupervisorOptions {
  Config config;
  HostFacts host;
  std::string helper;  // path of instar-lxc
  Log* log = nullptr;
  // The disk is full: containers that change are stopped first, as one of them may be what fills it, and then room is
  // made for the start of the others: before it where it is their first, and each time that one fails for want of room.
  // make_room: false: there is no more to make.
  std::function<bool()> is_full = [] { return false; };
  std::function<bool()> make_room = [] { return false; };
};

// What one container has written.
struct Layer {
  std::string container;
  std::string lxc_name;
  std::string folder;
};

class Supervisor {
 public:
  explicit Supervisor(SupervisorOptions options);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Each of these three replaces what is under way: its helper finishes, the rest of it is dropped without an event.
  void start_try(const revision::StartTry& effect);
  void switch_back(const revision::SwitchBack& effect);
  void ensure_running(const revision::EnsureRunning& effect);
  void run_probe(const revision::RunProbe& effect, MonotonicMs now);

  // The layers of the containers that should run and do.
  [[nodiscard]] std::vector<Layer> layers() const;
  // Stops a container that should run, clears its layer, and starts it again. Only when it is settled.
  void clear_layer(const std::string& lxc_name);

  // Does what can be done without waiting. Call when a descriptor of fds() is readable and at next_deadline().
  void poll(MonotonicMs now, std::vector<revision::Event>& out);
  [[nodiscard]] std::vector<int> fds() const;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(MonotonicMs now) const;

  // No switch is under way.
  [[nodiscard]] bool is_settled() const noexcept { return !job_ && !helper_.is_busy(); }
  // Nothing is under way, and LXC has been asked: revisions_in_use() is the whole truth.
  [[nodiscard]] bool knows_what_runs() const;
  // All containers that should run do, as far as it knows. True as long as none should.
  [[nodiscard]] bool is_well() const;
  // The job goes on in another client: ClientSlots::choose() says in which.
  [[nodiscard]] bool wants_other_client() const noexcept { return other_client_; }
  // Revisions whose trees are under running containers: their folders must stay.
  [[nodiscard]] std::set<std::uint32_t> revisions_in_use() const { return running_.revisions(); }

  // Those of the parts; and a helper whose answer is awaited belongs to a job.
  void assert_invariants() const;

 private:
  // What should run.
  struct Wanted {
    std::uint32_t revision = 0;
    std::vector<ContainerPlan> containers;
    std::vector<PayloadPlan> payloads;
  };
  struct Job {
    JobOutcome outcome;
    PayloadSteps payloads;
    ContainerSwitch containers;
  };

  void begin(JobGoal goal, std::uint32_t revision, const wire::Manifest* manifest);
  void refresh_names(MonotonicMs now);
  [[nodiscard]] bool reaches_others() const;
  void step(MonotonicMs now, std::vector<revision::Event>& out);
  void next_command(MonotonicMs now, std::vector<revision::Event>& out);
  void helper_ended(const HelperProcess& helper, MonotonicMs now);
  void take_payload_answer(const PayloadSteps::Answer& answer, MonotonicMs now);
  void ask_for_states(MonotonicMs now);
  void take_states(std::vector<ContainerState> states, MonotonicMs now);
  void change_containers(MonotonicMs now);
  [[nodiscard]] Status prepare(const ContainerPlan& plan, bool is_stopped);
  void take_change(const ContainerChange& change, MonotonicMs now);
  void run_lxc(const HelperCommand& command, MonotonicMs now);
  void containers_failed(ContainerSwitch::Failure failure);
  void finish(std::vector<revision::Event>& out);
  void report_stopped(MonotonicMs now, std::vector<revision::Event>& out);
  void remove_leftovers() const;

  SupervisorOptions options_;
  ContainerFolders folders_;
  LxcCommands lxc_;
  HelperSlot helper_;
  RunningContainers running_;
  Probes probes_;
  Wanted wanted_;
  std::optional<Job> job_;
  std::set<std::string> cleared_;  // LXC names of those whose layers are cleared before they start
  bool other_client_ = false;
  std::string names_error_;  // why refresh_names() failed last
};

}  // namespace instar::device
