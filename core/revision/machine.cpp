#include "core/revision/machine.hpp"

#include "core/revision/adoption.hpp"
#include "core/revision/engine.hpp"
#include "core/revision/state_codec.hpp"

namespace instar::revision {

struct Machine::State {
  Engine engine;
};

Machine::Machine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Machine::~Machine() = default;

Result<std::unique_ptr<Machine>> Machine::load(DeviceFacts facts, trust::SecretKey key, wire::Topics topics,
                                               ByteView state, ByteView pinned_root, Now now, Effects& effects,
                                               const std::optional<Anchor>& anchor) {
  DeviceState remembered;
  if (state.empty()) {
    const auto pinned = trust::claimed_version(pinned_root).value_or(0);
    const auto anchored = anchor ? trust::claimed_version(anchor->root).value_or(0) : 0;
    if (anchored == 0 || pinned > anchored) remembered.root = to_bytes(pinned_root);
  } else {
    INSTAR_TRY(remembered, decode_state(state));
  }
  const bool is_raised = anchor && raise_to(remembered, *anchor);
  const auto adopted = adopt(remembered, facts.device, facts.description.product);
  const auto highest = remembered.history.highest_sequence;
  auto trust = trust::TrustStore::from_pinned(remembered.root);
  if (!trust) {
    return fail(with_context(trust.error(),
                             state.empty() ? "the pinned root document" : "the root document in the device state"));
  }
  const auto version = trust->root().version;
  auto inner =
      std::unique_ptr<State>(new State{Engine(std::move(facts), std::move(key), std::move(topics), std::move(*trust),
                                              std::move(remembered), anchor.value_or(Anchor()))});
  inner->engine.start(now, effects);
  for (const auto& line : adopted) effects.emplace_back(Log{LogLevel::notice, line});
  if (is_raised) {
    effects.emplace_back(
        Log{LogLevel::warning, "the state file was lost, or behind the anchor: going on with root document " +
                                   std::to_string(version) + ", and from sequence " + std::to_string(highest)});
  }
  return std::unique_ptr<Machine>(new Machine(std::move(inner)));
}

void Machine::handle(const Event& event, Now now, Effects& effects) {
  state_->engine.handle(event, now, effects);
}

void Machine::assert_invariants() const {
  state_->engine.assert_invariants();
}

std::optional<MonotonicMs> Machine::next_deadline() const {
  return state_->engine.next_deadline();
}

std::vector<std::pair<std::string, wire::Qos>> Machine::subscriptions() const {
  return state_->engine.subscriptions();
}

Machine::View Machine::view() const {
  return state_->engine.view();
}

}  // namespace instar::revision
