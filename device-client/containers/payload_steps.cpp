#include "device-client/containers/payload_steps.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/revision/requirements.hpp"

namespace instar::device {
namespace {

// A handler may write to slow flash, or to another processor over a slow bus.
constexpr std::uint32_t kHandlerMs = 1'800'000;
// The exit code of a handler whose work takes effect with the next boot.
constexpr int kRebootCode = 10;
constexpr std::uint32_t kRebootS = 600;

}  // namespace

PayloadSteps::PayloadSteps(const Config& config, const Log& log, std::vector<PayloadStep> steps)
    : config_(&config), log_(&log), client_(config.state_dir), steps_(std::move(steps)) {
  std::ranges::reverse(steps_);
}

PayloadSteps::Answer PayloadSteps::next() {
  INSTAR_ASSERT(!steps_.empty() && !is_running());
  if (std::exchange(boot_by_, std::nullopt))
    return fail_step({Code::io, "the device was to boot, and did not within " + std::to_string(kRebootS) + " s"});
  const auto& [action, plan] = steps_.back();
  if (action == PayloadAction::install)
    if (const auto written = write_record(PayloadState::installing); !written) return fail_step(written.error());
  if (plan.kind == revision::kClientHandler) {
    if (action != PayloadAction::install) return take_client();
    auto command = client_.prepare(plan);
    return command ? run(Command::client_version, std::move(*command)) : fail_step(command.error());
  }
  log_->info("handler " + plan.kind + ": " + std::string(action_name(action)) + " of payload " + plan.name);
  return run(Command::handler, handler_command(*config_, action_name(action), plan, kHandlerMs));
}

PayloadSteps::Answer PayloadSteps::run(Command which, HelperCommand command) {
  running_ = which;
  return {.run = std::move(command), .failure = {}};
}

PayloadSteps::Answer PayloadSteps::not_run(Error error) {
  INSTAR_ASSERT(is_running());
  running_ = Command::none;
  return fail_step(std::move(error));
}

PayloadSteps::Answer PayloadSteps::ended(const HelperEnd& end, MonotonicMs now) {
  INSTAR_ASSERT(is_running());
  const auto command = std::exchange(running_, Command::none);
  if (command == Command::boot) {
    if (!end.ok()) return fail_step({Code::io, "the device was to boot: reboot_command: " + end.text()});
    boot_by_ = now + std::int64_t{kRebootS} * 1'000;
    return {};
  }
  if (end.ok()) return command == Command::client_version ? take_client() : finish_step();
  const bool boots = !end.timed_out && end.signal == 0 && end.exit_code == kRebootCode &&
                     steps_.back().action != PayloadAction::commit;
  return boots ? ask_for_boot() : fail_step({Code::unhealthy, end.text()});
}

PayloadSteps::Answer PayloadSteps::ask_for_boot() {
  const auto& command = config_->reboot_command;
  if (command.empty())
    return fail_step(
        {Code::refused,
         "it takes effect with a boot, and this device's configuration does not say how to make one (reboot_command)"});
  log_->notice("handler " + steps_.back().plan.kind + " wants the device to boot: " + command);
  return run(Command::boot, {"/bin/sh", {"-c", command}, {kRebootS * 1'000, {}, true}});
}

// The install of a client is on record only once that client runs: until then the step is repeated, in the client that
// it has put in place.
PayloadSteps::Answer PayloadSteps::take_client() {
  const PayloadStep step = steps_.back();
  auto [done, runs] = client_.take(step);
  if (!done) return fail_step(done.error());
  if (runs || step.action != PayloadAction::install) {
    auto finished = finish_step();
    if (finished.failure || runs) return finished;
  }
  log_->notice("going on in another client: " + std::string(action_name(step.action)) + " of payload " +
               step.plan.name);
  return {.run = {}, .failure = {}, .other_client = true};
}

PayloadSteps::Answer PayloadSteps::finish_step() {
  if (const auto written = write_outcome(); !written) return fail_step(written.error());
  steps_.pop_back();
  return {};
}

Status PayloadSteps::write_outcome() const {
  const auto& [action, plan] = steps_.back();
  if (plan.tree.empty()) return remove_payload_record(config_->state_dir, plan.name);
  return write_record(action == PayloadAction::install ? PayloadState::installed : PayloadState::committed);
}

Status PayloadSteps::write_record(PayloadState state) const {
  const auto& plan = steps_.back().plan;
  return write_payload_record(config_->state_dir, {plan.name, plan.kind, plan.artifact, plan.revision, state});
}

PayloadSteps::Answer PayloadSteps::fail_step(Error error) {
  const PayloadStep step = steps_.back();
  const auto& plan = step.plan;
  std::erase_if(steps_, [&](const PayloadStep& each) { return each.plan.name == plan.name; });
  return {.run = {},
          .failure = Failure{plan.name, with_context(std::move(error), "handler " + plan.kind + ", " +
                                                                           std::string(action_name(step.action)) +
                                                                           " of payload " + plan.name)}};
}

void PayloadSteps::assert_invariants() const {
  INSTAR_ASSERT(!is_running() || !steps_.empty());
  INSTAR_ASSERT(!boot_by_ || !steps_.empty());
  INSTAR_ASSERT(!is_running() || !boot_by_);
}

}  // namespace instar::device
