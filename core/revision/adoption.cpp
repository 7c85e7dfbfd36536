#include "core/revision/adoption.hpp"

namespace instar::revision {
namespace {

void give_up_candidate(DeviceState& state) {
  const bool is_before_switch =
      state.phase == Phase::waiting || state.phase == Phase::fetching || state.phase == Phase::staging;
  if (!is_before_switch) return;
  state.phase = Phase::idle;
  state.revisions.candidate.reset();
  state.revisions.candidate_manifest.clear();
  state.attempt = {};
}

}  // namespace

std::vector<std::string> adopt(DeviceState& state, const DeviceId& device, const std::string& product) {
  std::vector<std::string> said;
  if (!state.device.empty() && state.device != device.str()) {
    said.push_back("this device's state is that of " + state.device +
                   ": what runs there runs on under the name of this device, " + device.str() +
                   ", and nothing is fetched for that");
    state.reports = {};
    state.assignment.clear();
    state.permission = {};
  }
  if (!state.product.empty() && state.product != product) {
    said.push_back("this device's product was " + state.product + " and is " + product +
                   " now: releases count from the first sequence again (" + state.product + " was at " +
                   std::to_string(state.history.highest_sequence) + "), and what runs stays until one comes");
    state.history = {};
    state.gates.clear();
    state.permission = {};
    give_up_candidate(state);
  }
  state.device = device.str();
  state.product = product;
  return said;
}

}  // namespace instar::revision
