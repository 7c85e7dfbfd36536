#include "core/revision/machine.hpp"

#include "core/revision/engine.hpp"
#include "core/revision/state_codec.hpp"

namespace instar::revision {

struct Machine::State {
  Engine engine;
};

Machine::Machine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Machine::~Machine() = default;

Result<std::unique_ptr<Machine>> Machine::load(DeviceFacts facts, trust::SecretKey key, wire::Topics topics,
                                               ByteView state, ByteView pinned_root, Now now, Effects& effects) {
  DeviceState remembered;
  if (state.empty()) {
    remembered.root = to_bytes(pinned_root);
  } else {
    INSTAR_TRY(remembered, decode_state(state));
  }
  auto trust = trust::TrustStore::from_pinned(remembered.root);
  if (!trust) {
    return fail(with_context(trust.error(),
                             state.empty() ? "the pinned root document" : "the root document in the device state"));
  }
  auto inner = std::unique_ptr<State>(
      new State{Engine(std::move(facts), std::move(key), std::move(topics), std::move(*trust), std::move(remembered))});
  inner->engine.start(now, effects);
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
