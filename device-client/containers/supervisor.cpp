#include "device-client/containers/supervisor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/base/assert.hpp"
#include "core/revision/requirements.hpp"
#include "device-client/containers/run_record.hpp"
#include "device-client/process/switch_files.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

// How long a helper may take before it is killed: far more than LXC needs on a slow device.
constexpr std::uint32_t kLookMs = 20'000;
constexpr std::uint32_t kStartMs = 120'000;
constexpr std::uint32_t kStopExtraMs = 60'000;
constexpr std::uint32_t kProbeExtraMs = 15'000;
// A handler may write to slow flash, or to another processor over a slow bus.
constexpr std::uint32_t kHandlerMs = 1'800'000;
constexpr std::uint32_t kClientVersionMs = 60'000;
// What a handler ends with when its work takes effect with the next boot.
constexpr int kRebootCode = 10;
constexpr std::uint32_t kRebootS = 600;
// Between looks at containers on kernels that cannot tell of a process's end.
constexpr std::int64_t kPollMs = 500;

Status write_plain(const std::string& path, std::string_view content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool ok = fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!ok) return fail(Code::io, "cannot write " + path + ": " + std::strerror(error));
  return {};
}

std::uint32_t clamp_ms(std::int64_t ms) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, 0xffff'ffff));
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options) : options_(std::move(options)), clients_(options_.config.state_dir) {
  INSTAR_ASSERT(options_.log != nullptr);
}

Supervisor::~Supervisor() = default;

void Supervisor::begin(Goal goal, std::uint32_t revision, const wire::Manifest* manifest) {
  Job job;
  job.goal = goal;
  job.revision = revision;
  wanted_payloads_.clear();
  if (manifest != nullptr) {
    if (auto plans = plan_containers(options_.config, options_.host, revision, *manifest))
      job.plans = std::move(*plans);
    else
      job.error = plans.error();
    job.given_up = job.error.has_value();
    wanted_payloads_ = plan_payloads(options_.config, revision, *manifest);
  }
  const auto records = read_payload_records(options_.config.state_dir);
  job.payloads = goal == Goal::try_new ? steps_to_try(records, wanted_payloads_)
                 : goal == Goal::back  ? steps_back(records, wanted_payloads_, revision)
                                       : steps_to_keep(records, wanted_payloads_);
  std::ranges::reverse(job.payloads);
  wanted_revision_ = revision;
  wanted_ = job.plans;
  helper_is_stale_ = helper_.has_value();
  job_ = std::move(job);
}

void Supervisor::start_try(const revision::StartTry& effect) {
  begin(Goal::try_new, effect.to, &effect.manifest);
}
void Supervisor::switch_back(const revision::SwitchBack& effect) {
  begin(Goal::back, effect.to, effect.manifest.has_value() && effect.to != 0 ? &*effect.manifest : nullptr);
}
void Supervisor::ensure_running(const revision::EnsureRunning& effect) {
  begin(Goal::ensure, effect.revision, &effect.manifest);
}

// The handler is asked itself; in a container instar-lxc runs the command, and has a while more to tell of it.
void Supervisor::run_probe(const revision::RunProbe& effect, MonotonicMs now) {
  const auto payload = std::ranges::find(wanted_payloads_, effect.container, &PayloadPlan::name);
  const bool by_handler = payload != wanted_payloads_.end();
  auto process =
      by_handler ? HelperProcess::spawn(
                       options_.config.handlers_dir + "/" + payload->kind, {"verify"},
                       {effect.probe.timeout_ms, handler_environment(options_.config, "verify", *payload), true}, now)
                 : HelperProcess::spawn(options_.helper, probe_arguments(effect),
                                        {clamp_ms(std::int64_t{effect.probe.timeout_ms} + kProbeExtraMs)}, now);
  if (process)
    probes_.push_back({effect.revision, effect.container, effect.probe.timeout_ms, by_handler, std::move(*process)});
  else
    pending_.push_back(revision::ProbeEnded{effect.revision, effect.container, false, process.error().message});
}

std::vector<std::string> Supervisor::probe_arguments(const revision::RunProbe& effect) const {
  std::vector<std::string> arguments = {"probe",
                                        "--lxcpath",
                                        options_.config.state_dir + "/lxc",
                                        "--name",
                                        lxc_name(options_.config.device_id, effect.container),
                                        "--timeout-ms",
                                        std::to_string(effect.probe.timeout_ms),
                                        "--"};
  arguments.insert(arguments.end(), effect.probe.command.begin(), effect.probe.command.end());
  return arguments;
}

void Supervisor::poll(MonotonicMs now, std::vector<revision::Event>& out) {
  std::ranges::move(pending_, std::back_inserter(out));
  pending_.clear();
  check_probes(now, out);
  check_running(now, out);
  step(now, out);
}

void Supervisor::step(MonotonicMs now, std::vector<revision::Event>& out) {
  while (true) {
    if (helper_) {
      if (!helper_->poll(now)) return;
      const auto helper = std::move(*helper_);
      helper_.reset();
      if (!std::exchange(helper_is_stale_, false)) answered(helper, now);
      if (helper_) continue;  // the answer asked for another one
    }
    if (!job_ || other_client_ || (job_->boot_by && now < *job_->boot_by)) return;
    next_command(now, out);
  }
}

// Starts the next helper, or ends the job.
void Supervisor::next_command(MonotonicMs now, std::vector<revision::Event>& out) {
  Job& job = *job_;
  if (job.given_up) return finish(out);
  if (job.goal != Goal::ensure && !job.payloads.empty()) return run_payload(now);
  if (job.stage == Stage::look) return look(now);
  if (!job.to_stop.empty() || !job.to_start.empty()) return change(now);
  if (!job.payloads.empty()) return run_payload(now);
  finish(out);
}

// --- payloads of host handlers ------------------------------------------------------------------------

// What is on record before a handler is called is what it may have done.
void Supervisor::run_payload(MonotonicMs now) {
  Job& job = *job_;
  const PayloadStep step = job.payloads.back();
  const auto& [action, plan] = step;
  if (std::exchange(job.boot_by, std::nullopt))
    return payload_failed(step,
                          {Code::io, "the device was to boot, and did not within " + std::to_string(kRebootS) + " s"});
  if (action == PayloadAction::install) {
    const auto noted = write_payload_record(
        options_.config.state_dir, {plan.name, plan.kind, plan.artifact, plan.revision, PayloadState::installing});
    if (!noted) return payload_failed(step, noted.error());
  }
  if (plan.kind == revision::kClientHandler) return client_step(step, now);
  const std::string name(action_name(action));
  options_.log->info("handler " + plan.kind + ": " + name + " of payload " + plan.name);
  auto process = HelperProcess::spawn(options_.config.handlers_dir + "/" + plan.kind, {name},
                                      {kHandlerMs, handler_environment(options_.config, name, plan), true}, now);
  if (!process) return payload_failed(step, process.error());
  job.payload_runs = true;
  helper_ = std::move(*process);
}

void Supervisor::payload_ended(const HelperEnd& end, MonotonicMs now) {
  Job& job = *job_;
  const PayloadStep step = job.payloads.back();
  if (std::exchange(job.reboots, false)) {
    if (!end.ok()) return payload_failed(step, {Code::io, "the device was to boot: reboot_command: " + end.text()});
    job.boot_by = now + std::int64_t{kRebootS} * 1'000;
    return;
  }
  if (end.ok() && step.plan.kind == revision::kClientHandler) return take_client(step);
  const bool boots =
      !end.timed_out && end.signal == 0 && end.exit_code == kRebootCode && step.action != PayloadAction::commit;
  if (boots) return reboot(step, now);
  if (!end.ok()) return payload_failed(step, {Code::unhealthy, end.text()});
  if (const auto noted = note_payload(step); !noted) return payload_failed(step, noted.error());
  job.payloads.pop_back();
}

Status Supervisor::note_payload(const PayloadStep& step) {
  const auto& plan = step.plan;
  if (plan.tree.empty()) return remove_payload_record(options_.config.state_dir, plan.name);
  const auto state = step.action == PayloadAction::install ? PayloadState::installed : PayloadState::committed;
  return write_payload_record(options_.config.state_dir, {plan.name, plan.kind, plan.artifact, plan.revision, state});
}

// A try ends at the first failure. Otherwise the others are seen to, and all of it is tried again later.
void Supervisor::payload_failed(const PayloadStep& step, Error error) {
  Job& job = *job_;
  if (job.failed_container.empty()) job.failed_container = step.plan.name;
  std::erase_if(job.payloads, [&](const PayloadStep& each) { return each.plan.name == step.plan.name; });
  if (job.goal == Goal::try_new) job.given_up = true;
  note_error(with_context(std::move(error), "handler " + step.plan.kind + ", " + std::string(action_name(step.action)) +
                                                " of payload " + step.plan.name));
}

// The step is repeated after the boot: it is then that the handler can say whether it has come to what it should.
void Supervisor::reboot(const PayloadStep& step, MonotonicMs now) {
  Job& job = *job_;
  const auto& command = options_.config.reboot_command;
  if (command.empty())
    return payload_failed(
        step,
        {Code::refused,
         "it takes effect with a boot, and this device's configuration does not say how to make one (reboot_command)"});
  options_.log->notice("handler " + step.plan.kind + " wants the device to boot: " + command);
  auto process = HelperProcess::spawn("/bin/sh", {"-c", command}, {kRebootS * 1'000, {}, true}, now);
  if (!process) return payload_failed(step, process.error());
  job.payload_runs = job.reboots = true;
  helper_ = std::move(*process);
}

// A client is asked for its version first: one that cannot even do that (another architecture, a library that is
// missing) is not tried.
void Supervisor::client_step(const PayloadStep& step, MonotonicMs now) {
  Job& job = *job_;
  if (step.action != PayloadAction::install) return take_client(step);
  if (const auto put = clients_.put(step.plan.tree, step.plan.artifact); !put) return payload_failed(step, put.error());
  auto process =
      HelperProcess::spawn(clients_.program(step.plan.artifact), {"version"}, {kClientVersionMs, {}, true}, now);
  if (!process) return payload_failed(step, process.error());
  job.payload_runs = true;
  helper_ = std::move(*process);
}

// Noted at the end of the way there: until then the step is repeated, in the client that it has put in place.
void Supervisor::take_client(const PayloadStep& step) {
  auto [done, runs] = step.action == PayloadAction::install  ? try_client(step.plan)
                      : step.action == PayloadAction::commit ? keep_client(step.plan)
                                                             : give_back_client(step.plan);
  const bool noted = runs || step.action != PayloadAction::install;
  if (done && noted) done = note_payload(step);
  if (!done) return payload_failed(step, done.error());
  if (noted) job_->payloads.pop_back();
  if (runs) return;
  options_.log->notice("going on in another client: " + std::string(action_name(step.action)) + " of payload " +
                       step.plan.name);
  other_client_ = true;
}

Supervisor::ClientTaken Supervisor::try_client(const PayloadPlan& plan) const {
  if (running_client() == plan.artifact) return {{}, true};
  if (clients_.trying() != plan.artifact) return {clients_.try_out(plan.artifact), false};
  return {
      fail(Code::unhealthy, client_given_up().empty() ? "it was started and did not come so far" : client_given_up()),
      false};
}

Supervisor::ClientTaken Supervisor::keep_client(const PayloadPlan& plan) const {
  return {clients_.keep(plan.artifact), running_client() == plan.artifact || !client_given_up().empty()};
}

// Only what is left of a trial goes, or what was committed and is taken back.
Supervisor::ClientTaken Supervisor::give_back_client(const PayloadPlan& plan) const {
  Status done;
  if (!plan.tree.empty()) {
    done = clients_.put(plan.tree, plan.artifact);
    if (done) done = clients_.keep(plan.artifact);
  } else {
    const auto records = read_payload_records(options_.config.state_dir);
    const auto record = std::ranges::find(records, plan.name, &PayloadRecord::name);
    const bool was_kept = record != records.end() && clients_.current() == record->artifact;
    done = was_kept ? clients_.keep(std::nullopt) : clients_.end_trial();
  }
  return {done, running_client() == clients_.current() || !client_given_up().empty()};
}

// One helper for all of it, and everything prepared before the first container stops: what is away is away for LXC's
// time alone.
void Supervisor::change(MonotonicMs now) {
  Job& job = *job_;
  for (auto plan = job.to_start.rbegin(); plan != job.to_start.rend(); ++plan) {
    const auto ready = prepare(*plan);
    if (ready) continue;
    // As if it had been its turn.
    std::rotate(std::prev(plan.base()), plan.base(), job.to_start.end());
    return start_failed(ready.error());
  }
  const std::uint32_t stop_ms = options_.config.stop_timeout_s * 1000;
  std::vector<std::string> arguments = {"switch", "--lxcpath", options_.config.state_dir + "/lxc", "--timeout-ms",
                                        std::to_string(stop_ms)};
  for (auto name = job.to_stop.rbegin(); name != job.to_stop.rend(); ++name)
    arguments.insert(arguments.end(), {"--stop", *name});
  for (auto plan = job.to_start.rbegin(); plan != job.to_start.rend(); ++plan)
    arguments.insert(arguments.end(), {"--start", plan->lxc_name});
  const auto allowed_ms = static_cast<std::int64_t>(job.to_stop.size()) * (stop_ms + kStopExtraMs) +
                          static_cast<std::int64_t>(job.to_start.size()) * kStartMs;
  spawn(arguments, clamp_ms(allowed_ms), now);
}

void Supervisor::spawn(const std::vector<std::string>& arguments, std::uint32_t timeout_ms, MonotonicMs now) {
  auto process = HelperProcess::spawn(options_.helper, arguments, {timeout_ms}, now);
  if (process)
    helper_ = std::move(*process);
  else
    command_failed(process.error());
}

std::vector<std::string> Supervisor::known_names() const {
  const std::string prefix = options_.config.device_id.str() + ".";
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(options_.config.state_dir + "/lxc", error), end; !error && it != end;
       it.increment(error))
    if (const auto name = it->path().filename().string();
        name.starts_with(prefix) && fs::exists(it->path() / "config", error))
      names.push_back(name);
  std::ranges::sort(names);
  return names;
}

void Supervisor::look(MonotonicMs now) {
  const auto names = known_names();
  if (names.empty()) return take_states({}, now);
  std::vector<std::string> arguments = {"state", "--lxcpath", options_.config.state_dir + "/lxc"};
  for (const auto& name : names) {
    arguments.emplace_back("--name");
    arguments.push_back(name);
  }
  spawn(arguments, kLookMs, now);
}

void Supervisor::take_states(const std::vector<JsonFields>& lines, MonotonicMs now) {
  Job& job = *job_;
  std::map<std::string, Running> running;
  std::vector<std::pair<std::uint32_t, std::string>> stops;  // by start order
  std::set<std::string> kept;
  for (const auto& line : lines) {
    const std::string name = line.text("name").value_or("");
    const std::string state = line.text("state").value_or("");
    const auto record = read_run_record(options_.config.state_dir + "/lxc/" + name);
    const auto plan = std::ranges::find(job.plans, name, &ContainerPlan::lxc_name);
    const bool wanted = plan != job.plans.end() && record && record->fingerprint == plan->fingerprint;
    if (state == "RUNNING") {
      auto found = running_.find(name);
      const pid_t pid = static_cast<pid_t>(line.integer("pid").value_or(-1));
      const bool same = found != running_.end() && found->second.watch.pid() == pid;
      running.emplace(
          name, Running{record ? record->revision : 0, ProcessWatch(pid), same ? found->second.since : now, !wanted});
    }
    if (state == "RUNNING" && wanted)
      kept.insert(name);
    else if (state != "STOPPED" || plan == job.plans.end())
      stops.emplace_back(record ? record->start_order : 0, name);
  }
  running_ = std::move(running);
  looked_ = true;
  std::ranges::stable_sort(stops);
  for (auto& [order, name] : stops) job.to_stop.push_back(std::move(name));  // the last to start is the first to stop
  for (auto plan = job.plans.rbegin(); plan != job.plans.rend(); ++plan)
    if (!kept.contains(plan->lxc_name)) job.to_start.push_back(*plan);
  job.stage = Stage::change;
}

void Supervisor::answered(const HelperProcess& helper, MonotonicMs now) {
  INSTAR_ASSERT(job_.has_value());
  if (std::exchange(job_->payload_runs, false)) return payload_ended(helper.ended(), now);
  const auto reply = helper.result();
  if (job_->stage == Stage::look) return reply ? take_states(*reply, now) : command_failed(reply.error());
  // What was done before it failed, or was killed, is done.
  for (const auto& line : helper.told()) take_change(line, now);
  if (!reply) command_failed(reply.error());
}

// Containers come in the order in which they were asked for.
void Supervisor::take_change(const JsonFields& line, MonotonicMs now) {
  Job& job = *job_;
  const auto name = line.text("name").value_or("");
  if (const auto why = line.text("failed")) return command_failed({Code::io, *why});
  const auto ms = line.integer("ms").value_or(0);
  const auto at_ms = line.integer("at_ms").value_or(0);
  job.up_ms = at_ms + ms;
  if (!job.to_stop.empty() && job.to_stop.back() == name) {
    if (line.flag("ran") && !job.down_ms) job.down_ms = at_ms;
    options_.log->info("container " + name + " is stopped, in " + std::to_string(ms) + " ms");
    running_.erase(name);
    job.to_stop.pop_back();
  } else if (!job.to_start.empty() && job.to_start.back().lxc_name == name) {
    const ContainerPlan plan = std::move(job.to_start.back());
    job.to_start.pop_back();
    const auto pid = static_cast<pid_t>(line.integer("pid").value_or(-1));
    running_.insert_or_assign(name, Running{plan.revision, ProcessWatch(pid), now, false});
    if (const auto orphans = line.integer("orphans").value_or(0); orphans > 0)
      options_.log->warning("ended " + std::to_string(orphans) + " processes of an earlier " + plan.container +
                            " whose LXC monitor had died");
    options_.log->info("container " + plan.container + " of revision " + std::to_string(plan.revision) +
                       " runs, started in " + std::to_string(ms) + " ms");
  }
}

void Supervisor::command_failed(Error error) {
  Job& job = *job_;
  if (job.stage == Stage::change && job.to_stop.empty() && !job.to_start.empty()) return start_failed(std::move(error));
  if (job.stage == Stage::change && !job.to_stop.empty())
    error = with_context(std::move(error), "stopping container " + job.to_stop.back());
  job.to_stop.clear();
  job.to_start.clear();
  job.given_up = true;
  note_error(std::move(error));
}

// A try ends at the first failure. Otherwise what can run is started all the same.
void Supervisor::start_failed(Error error) {
  Job& job = *job_;
  job.failed_container = job.to_start.back().container;
  job.to_start.pop_back();
  if (job.goal == Goal::try_new) job.given_up = true;
  note_error(with_context(std::move(error), "starting container " + job.failed_container));
}

void Supervisor::note_error(Error error) {
  options_.log->warning(error.message);
  if (!job_->error) job_->error = std::move(error);
}

void Supervisor::finish(std::vector<revision::Event>& out) {
  const Job job = std::move(*job_);
  job_.reset();
  const std::uint32_t down_ms = job.down_ms ? clamp_ms(job.up_ms - *job.down_ms) : 0;
  if (job.error) {
    switch (job.goal) {
      case Goal::try_new: out.emplace_back(revision::TryFailed{job.revision, *job.error}); break;
      case Goal::back: out.emplace_back(revision::SwitchBackFailed{*job.error}); break;
      case Goal::ensure:
        out.emplace_back(revision::ContainerStopped{job.revision, job.failed_container, job.error->message});
        break;
    }
    return;
  }
  if (job.goal == Goal::try_new) out.emplace_back(revision::TryStarted{job.revision, down_ms});
  if (job.goal == Goal::back) out.emplace_back(revision::SwitchedBack{job.revision, down_ms});
  remove_leftovers();
}

Status Supervisor::prepare(const ContainerPlan& plan) const {
  std::error_code error;
  if (!fs::is_directory(plan.tree, error))
    return fail(Code::not_found, "its tree " + plan.tree + " is missing; the revision must be fetched again");
  INSTAR_CHECK(files::make_folders(plan.writable + "/upper"));
  // The root of the container is the upper folder: it looks as the tree's root does. An image's shows when it is
  // mounted.
  struct stat root {};
  if (plan.image.empty() && (::stat(plan.tree.c_str(), &root) != 0 ||
                             ::chmod((plan.writable + "/upper").c_str(), root.st_mode & 07777U) != 0 ||
                             ::chown((plan.writable + "/upper").c_str(), root.st_uid, root.st_gid) != 0))
    return fail(Code::io, "cannot prepare " + plan.writable + "/upper: " + std::strerror(errno));
  INSTAR_CHECK(files::make_folders(plan.lxc_folder));
  for (const auto& volume : plan.volumes) {
    const std::string path = options_.config.state_dir + "/volumes/" + volume.name;
    if (fs::exists(path, error)) continue;
    INSTAR_CHECK(files::make_folders(path));
    if (::chown(path.c_str(), volume.uid, volume.gid) != 0 || ::chmod(path.c_str(), volume.mode) != 0)
      return fail(Code::io, "cannot make volume " + path + ": " + std::strerror(errno));
  }
  std::string init;
  for (const auto& argument : plan.init) init += argument + '\0';
  const RunRecord record{plan.revision, plan.start_order, plan.container, plan.fingerprint};
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextConfig, plan.config));
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextInit, init));
  INSTAR_CHECK(write_plain(plan.lxc_folder + kNextImage, plan.image));
  return write_plain(plan.lxc_folder + kNextRecord, format_run_record(record));
}

// Folders of containers that no longer are: they are stopped, nothing is lost.
void Supervisor::remove_leftovers() {
  for (const auto& name : known_names()) {
    if (running_.contains(name) || std::ranges::find(wanted_, name, &ContainerPlan::lxc_name) != wanted_.end())
      continue;
    if (const auto removed = files::remove_tree(options_.config.state_dir + "/lxc/" + name); !removed)
      options_.log->warning(removed.error().message);
  }
}

void Supervisor::check_running(MonotonicMs now, std::vector<revision::Event>& out) {
  for (auto it = running_.begin(); it != running_.end();) {
    if (it->second.stopping || !it->second.watch.ended()) {
      ++it;
      continue;
    }
    const auto plan = std::ranges::find(wanted_, it->first, &ContainerPlan::lxc_name);
    const std::string container = plan == wanted_.end() ? it->first : plan->container;
    const std::int64_t lived_ms = now - it->second.since;
    it = running_.erase(it);
    const std::string detail = "it stopped or restarted by itself after " + std::to_string(lived_ms) + " ms";
    options_.log->warning("container " + container + " of revision " + std::to_string(wanted_revision_) + ": " +
                          detail);
    out.emplace_back(revision::ContainerStopped{wanted_revision_, container, detail});
  }
}

void Supervisor::check_probes(MonotonicMs now, std::vector<revision::Event>& out) {
  for (auto it = probes_.begin(); it != probes_.end();) {
    if (!it->process.poll(now)) {
      ++it;
      continue;
    }
    revision::ProbeEnded ended{it->revision, it->container, false, {}};
    if (it->is_handler) {
      const auto end = it->process.ended();
      ended.passed = end.ok();
      ended.detail = end.text();
    } else if (const auto reply = it->process.result(); !reply) {
      ended.detail = reply.error().message;
    } else {
      const JsonFields& fields = reply->front();
      const auto code = fields.integer("exit");
      ended.passed = code == 0;
      if (fields.flag("timed_out"))
        ended.detail = "timed out after " + std::to_string(it->timeout_ms) + " ms";
      else if (code)
        ended.detail = "exit code " + std::to_string(*code);
      else
        ended.detail = "killed by signal " + std::to_string(fields.integer("signal").value_or(0));
      if (const auto line = fields.text("line").value_or(""); !line.empty()) ended.detail += ": " + line;
    }
    out.emplace_back(std::move(ended));
    it = probes_.erase(it);
  }
}

std::vector<int> Supervisor::fds() const {
  std::vector<int> fds;
  if (helper_ && helper_->fd() >= 0) fds.push_back(helper_->fd());
  for (const auto& probe : probes_)
    if (probe.process.fd() >= 0) fds.push_back(probe.process.fd());
  for (const auto& [name, running] : running_)
    if (!running.stopping && running.watch.fd() >= 0) fds.push_back(running.watch.fd());
  return fds;
}

std::optional<MonotonicMs> Supervisor::next_deadline(MonotonicMs now) const {
  std::optional<MonotonicMs> deadline;
  const auto at = [&](MonotonicMs when) { deadline = deadline ? std::min(*deadline, when) : when; };
  if (!pending_.empty() || (job_ && !helper_)) at(job_ && job_->boot_by ? *job_->boot_by : now);
  if (helper_) at(helper_->deadline(now));
  for (const auto& probe : probes_) at(probe.process.deadline(now));
  for (const auto& [name, running] : running_)
    if (running.watch.fd() < 0) at(now + kPollMs);
  return deadline;
}

bool Supervisor::is_well() const {
  return std::ranges::all_of(wanted_, [&](const ContainerPlan& plan) {
    const auto found = running_.find(plan.lxc_name);
    return found != running_.end() && !found->second.stopping;
  });
}

std::set<std::uint32_t> Supervisor::revisions_in_use() const {
  std::set<std::uint32_t> revisions;
  for (const auto& [name, running] : running_) revisions.insert(running.revision);
  return revisions;
}

}  // namespace instar::device
