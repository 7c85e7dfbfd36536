#include "device-client/containers/client_payload.hpp"

#include <algorithm>

namespace instar::device {
namespace {

constexpr std::uint32_t kVersionMs = 60'000;

}  // namespace

Result<HelperCommand> ClientPayload::prepare(const PayloadPlan& plan) const {
  INSTAR_CHECK(slots_.put(plan.tree, plan.artifact));
  return HelperCommand{slots_.program(plan.artifact), {"version"}, {kVersionMs, {}, true}};
}

ClientPayload::Taken ClientPayload::take(const PayloadStep& step) const {
  switch (step.action) {
    case PayloadAction::install: return try_out(step.plan);
    case PayloadAction::commit: return keep(step.plan);
    case PayloadAction::rollback: break;
  }
  return give_back(step.plan);
}

ClientPayload::Taken ClientPayload::try_out(const PayloadPlan& plan) const {
  if (running_client() == plan.artifact) return {{}, true};
  if (slots_.trying() != plan.artifact) return {slots_.try_out(plan.artifact), false};
  return {
      fail(Code::unhealthy, client_given_up().empty() ? "it was started and did not come so far" : client_given_up()),
      false};
}

ClientPayload::Taken ClientPayload::keep(const PayloadPlan& plan) const {
  return {slots_.keep(plan.artifact), running_client() == plan.artifact || !client_given_up().empty()};
}

// A committed client goes only when it is the one that is taken back. Otherwise only what is left of a trial goes.
ClientPayload::Taken ClientPayload::give_back(const PayloadPlan& plan) const {
  Status done;
  if (!plan.tree.empty()) {
    done = slots_.put(plan.tree, plan.artifact);
    if (done) done = slots_.keep(plan.artifact);
  } else {
    const auto records = read_payload_records(state_dir_);
    const auto record = std::ranges::find(records, plan.name, &PayloadRecord::name);
    const bool was_kept = record != records.end() && slots_.current() == record->artifact;
    done = was_kept ? slots_.keep(std::nullopt) : slots_.end_trial();
  }
  return {done, running_client() == slots_.current() || !client_given_up().empty()};
}

}  // namespace instar::device
