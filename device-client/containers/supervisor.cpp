#include "device-client/containers/supervisor.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "device-client/containers/layers.hpp"

namespace instar::device {
namespace {

std::vector<PayloadStep> payload_steps(JobGoal goal, const std::vector<PayloadRecord>& records,
                                       const std::vector<PayloadPlan>& wanted, std::uint32_t revision) {
  switch (goal) {
    case JobGoal::try_new: return steps_to_try(records, wanted);
    case JobGoal::back: return steps_back(records, wanted, revision);
    case JobGoal::ensure: break;
  }
  return steps_to_keep(records, wanted);
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options)
    : options_(std::move(options)),
      folders_(options_.config.device_id, options_.config.state_dir),
      lxc_(options_.helper, folders_.lxc_folder(), options_.config.stop_timeout_s * 1000) {
  INSTAR_ASSERT(options_.log != nullptr);
}

void Supervisor::begin(JobGoal goal, std::uint32_t revision, const wire::Manifest* manifest) {
  JobOutcome outcome(goal, revision);
  wanted_ = {revision, {}, {}};
  if (manifest != nullptr) {
    if (auto plans = plan_containers(options_.config, options_.host, revision, *manifest))
      wanted_.containers = std::move(*plans);
    else
      outcome.give_up(plans.error());
    wanted_.payloads = plan_payloads(options_.config, revision, *manifest);
  }
  auto steps = payload_steps(goal, read_payload_records(options_.config.state_dir), wanted_.payloads, revision);
  helper_.disown();
  cleared_.clear();
  job_.emplace(Job{std::move(outcome), PayloadSteps(options_.config, *options_.log, std::move(steps)),
                   ContainerSwitch(wanted_.containers)});
}

void Supervisor::start_try(const revision::StartTry& effect) {
  begin(JobGoal::try_new, effect.to, &effect.manifest);
}
void Supervisor::switch_back(const revision::SwitchBack& effect) {
  begin(JobGoal::back, effect.to, effect.manifest.has_value() && effect.to != 0 ? &*effect.manifest : nullptr);
}
void Supervisor::ensure_running(const revision::EnsureRunning& effect) {
  begin(JobGoal::ensure, effect.revision, &effect.manifest);
}

// A payload is verified by its handler; in a container instar-lxc runs the probe's command.
void Supervisor::run_probe(const revision::RunProbe& effect, MonotonicMs now) {
  const auto payload = std::ranges::find(wanted_.payloads, effect.container, &PayloadPlan::name);
  if (payload != wanted_.payloads.end())
    probes_.start(effect, handler_command(options_.config, "verify", *payload, effect.probe.timeout_ms),
                  Probes::Runner::handler, now);
  else
    probes_.start(effect, lxc_.probe(lxc_name(options_.config.device_id, effect.container), effect.probe),
                  Probes::Runner::lxc_helper, now);
}

void Supervisor::poll(MonotonicMs now, std::vector<revision::Event>& out) {
  refresh_names(now);
  probes_.poll(now, out);
  report_stopped(now, out);
  step(now, out);
}

bool Supervisor::reaches_others() const {
  return std::ranges::any_of(wanted_.containers, [](const auto& plan) { return plan.reach != Reach::itself; });
}

// For containers that reach others. What cannot be written is said once.
void Supervisor::refresh_names(MonotonicMs now) {
  if (!reaches_others()) return;
  const auto refreshed = folders_.refresh_names(now);
  std::string error = refreshed ? std::string() : refreshed.error().message;
  if (!error.empty() && error != names_error_)
    options_.log->warning("containers do not learn of changes in the host's resolv.conf: " + error);
  names_error_ = std::move(error);
}

void Supervisor::step(MonotonicMs now, std::vector<revision::Event>& out) {
  while (true) {
    const auto ended = helper_.poll(now);
    if (ended) helper_ended(*ended, now);
    if (helper_.is_busy()) {
      if (ended) continue;  // its answer asked for another helper
      return;
    }
    if (!job_ || other_client_ || (job_->payloads.boot_by() && now < *job_->payloads.boot_by())) return;
    next_command(now, out);
  }
}

// Starts the next helper, or ends the job.
void Supervisor::next_command(MonotonicMs now, std::vector<revision::Event>& out) {
  auto& [outcome, payloads, containers] = *job_;
  if (outcome.is_given_up()) return finish(out);
  if (outcome.goal() != JobGoal::ensure && !payloads.is_done()) return take_payload_answer(payloads.next(), now);
  if (!containers.has_states()) return ask_for_states(now);
  if (!containers.is_done()) return change_containers(now);
  if (!payloads.is_done()) return take_payload_answer(payloads.next(), now);
  finish(out);
}

void Supervisor::helper_ended(const HelperProcess& helper, MonotonicMs now) {
  INSTAR_ASSERT(job_.has_value());
  auto& [outcome, payloads, containers] = *job_;
  if (payloads.is_running()) return take_payload_answer(payloads.ended(helper.ended(), now), now);
  const auto reply = helper.result();
  if (!containers.has_states()) {
    if (reply) return take_states(LxcCommands::read_states(*reply), now);
  } else {
    // A helper that failed or was killed has done what it printed before.
    for (const auto& line : helper.printed()) take_change(LxcCommands::read_change(line), now);
  }
  if (!reply) containers_failed(containers.failed(reply.error()));
}

void Supervisor::take_payload_answer(const PayloadSteps::Answer& answer, MonotonicMs now) {
  if (answer.other_client) other_client_ = true;
  if (answer.failure) {
    options_.log->warning(answer.failure->error.message);
    job_->outcome.payload_failed(answer.failure->payload, answer.failure->error);
  }
  if (!answer.run) return;
  const auto started = helper_.start(*answer.run, now);
  if (!started) take_payload_answer(job_->payloads.not_run(started.error()), now);
}

void Supervisor::run_lxc(const HelperCommand& command, MonotonicMs now) {
  const auto started = helper_.start(command, now);
  if (!started) containers_failed(job_->containers.failed(started.error()));
}

void Supervisor::ask_for_states(MonotonicMs now) {
  const auto names = folders_.names();
  if (names.empty()) return take_states({}, now);
  run_lxc(lxc_.state(names), now);
}

void Supervisor::take_states(std::vector<ContainerState> states, MonotonicMs now) {
  for (auto& state : states) state.record = folders_.record(state.name);
  running_.take_states(states, now);
  job_->containers.take_states(states);
  for (const auto& name : job_->containers.stops()) running_.will_stop(name);
}

// All containers are prepared before the first one stops, and one helper does all of it: so nothing is down for longer
// than LXC itself needs. Where there is no room, one helper stops and another one starts: what is stopped by then does
// not take the room that is made.
void Supervisor::change_containers(MonotonicMs now) {
  auto& containers = job_->containers;
  std::vector<std::string> starts;
  for (const auto& plan : containers.starts()) {
    if (const auto ready = prepare(plan, containers.stops().empty()); !ready)
      return containers_failed(containers.start_failed(plan.lxc_name, ready.error()));
    starts.push_back(plan.lxc_name);
  }
  const bool is_full = !starts.empty() && options_.is_full();
  if (!containers.stops().empty() && (is_full || !cleared_.empty()))
    return run_lxc(lxc_.change(containers.stops(), {}), now);
  // What ran before has its folders: room for it is made only when it is missed.
  if (is_full && job_->outcome.goal() != JobGoal::ensure) static_cast<void>(options_.make_room());
  run_lxc(lxc_.change(containers.stops(), starts), now);
}

Status Supervisor::prepare(const ContainerPlan& plan, bool is_stopped) {
  if (is_stopped && cleared_.erase(plan.lxc_name) > 0) INSTAR_CHECK(folders_.clear_layer(plan));
  INSTAR_CHECK(folders_.prepare(plan));
  const auto& config = options_.config;
  const LayerBound bound{std::uint64_t{config.layer_mib_max} << 20U, config.layer_files_max};
  if (const auto bounded = bound_layer(plan.writable, plan.lxc_name, plan.revision, bound); !bounded)
    options_.log->warning("what container " + plan.container + " writes is not bounded: " + bounded.error().message);
  return {};
}

// Of an earlier revision where a container runs on that did not change.
std::vector<Layer> Supervisor::layers() const {
  std::vector<Layer> layers;
  for (const auto& plan : wanted_.containers) {
    const auto revision = running_.revision_of(plan.lxc_name);
    if (revision == 0) continue;
    layers.push_back(
        {plan.container, plan.lxc_name,
         options_.config.state_dir + "/revisions/" + std::to_string(revision) + "/containers/" + plan.container});
  }
  return layers;
}

void Supervisor::clear_layer(const std::string& lxc_name) {
  INSTAR_ASSERT(is_settled());
  cleared_.insert(lxc_name);
  job_.emplace(Job{JobOutcome(JobGoal::ensure, wanted_.revision), PayloadSteps(options_.config, *options_.log, {}),
                   ContainerSwitch(wanted_.containers, {lxc_name})});
}

void Supervisor::take_change(const ContainerChange& change, MonotonicMs now) {
  auto& containers = job_->containers;
  if (change.failed) {
    // The same is tried again, until there is no more room to make.
    if (change.no_room && options_.make_room()) return options_.log->info("room is made: " + *change.failed);
    return containers_failed(containers.failed({change.no_room ? Code::no_space : Code::io, *change.failed}));
  }
  const auto [stopped, started] = containers.take_change(change);
  const auto took = std::to_string(change.took_ms) + " ms";
  if (stopped) {
    const auto [text, is_notable, is_slow] = describe_stop(change);
    options_.log->write(is_notable ? LogLevel::notice : LogLevel::info, text);
    if (is_slow) job_->outcome.remark(text);
    running_.stopped(change.name);
  }
  if (!started) return;
  running_.started(change.name, started->revision, change.pid, now);
  if (change.orphans > 0)
    options_.log->warning("ended " + std::to_string(change.orphans) + " processes of an earlier " + started->container +
                          " whose LXC monitor had died");
  if (!change.note.empty()) options_.log->notice("container " + started->container + " does without: " + change.note);
  options_.log->info("container " + started->container + " of revision " + std::to_string(started->revision) +
                     " runs, started in " + took);
}

void Supervisor::containers_failed(ContainerSwitch::Failure failure) {
  options_.log->warning(failure.error.message);
  if (failure.container.empty())
    job_->outcome.give_up(std::move(failure.error));
  else
    job_->outcome.container_failed(failure.container, std::move(failure.error));
}

void Supervisor::finish(std::vector<revision::Event>& out) {
  const Job job = std::move(*job_);
  job_.reset();
  if (auto event = job.outcome.event(job.containers.downtime_ms())) out.push_back(std::move(*event));
  if (job.outcome.is_good()) remove_leftovers();
}

// Containers that neither run nor should run need no folder: they are stopped, so nothing is lost.
void Supervisor::remove_leftovers() const {
  auto kept = running_.names();
  for (const auto& plan : wanted_.containers) kept.insert(plan.lxc_name);
  for (const auto& error : folders_.remove_all_but(kept)) options_.log->warning(error.message);
}

void Supervisor::report_stopped(MonotonicMs now, std::vector<revision::Event>& out) {
  for (const auto& [name, lived_ms] : running_.take_ended(now)) {
    const auto plan = std::ranges::find(wanted_.containers, name, &ContainerPlan::lxc_name);
    const std::string container = plan == wanted_.containers.end() ? name : plan->container;
    const std::string detail = "it stopped or restarted by itself after " + std::to_string(lived_ms) + " ms";
    options_.log->warning("container " + container + " of revision " + std::to_string(wanted_.revision) + ": " +
                          detail);
    out.emplace_back(revision::ContainerStopped{wanted_.revision, container, detail});
  }
}

std::vector<int> Supervisor::fds() const {
  std::vector<int> fds;
  if (helper_.fd() >= 0) fds.push_back(helper_.fd());
  for (const auto& part : {probes_.fds(), running_.fds()}) fds.insert(fds.end(), part.begin(), part.end());
  return fds;
}

std::optional<MonotonicMs> Supervisor::next_deadline(MonotonicMs now) const {
  std::optional<MonotonicMs> deadline;
  const auto at = [&](const std::optional<MonotonicMs>& when) {
    if (when) deadline = deadline ? std::min(*deadline, *when) : *when;
  };
  if (job_ && !helper_.is_busy()) at(job_->payloads.boot_by().value_or(now));
  at(helper_.next_deadline(now));
  at(probes_.next_deadline(now));
  at(running_.next_deadline(now));
  if (reaches_others()) at(folders_.names_due());
  return deadline;
}

bool Supervisor::knows_what_runs() const {
  return is_settled() && (running_.is_known() || folders_.names().empty());
}

bool Supervisor::is_well() const {
  return std::ranges::all_of(wanted_.containers, [&](const auto& plan) { return running_.is_well(plan.lxc_name); });
}

void Supervisor::assert_invariants() const {
  helper_.assert_invariants();
  running_.assert_invariants();
  INSTAR_ASSERT(job_ || !helper_.is_awaited());
  if (!job_) return;
  job_->outcome.assert_invariants();
  job_->payloads.assert_invariants();
  job_->containers.assert_invariants();
  INSTAR_ASSERT(!job_->payloads.is_running() || helper_.is_awaited());
}

}  // namespace instar::device
