// Root documents: what follows from one that is taken; a device that was away follows the chain.
#include <string>
#include <utility>

#include "core/revision/engine.hpp"

namespace instar::revision {
namespace {

// Versions between it and the one that is held may lead to it.
bool may_be_ahead(Code code) noexcept {
  return code == Code::untrusted_key || code == Code::bad_signature || code == Code::malformed;
}

}  // namespace

void Engine::on_root(ByteView payload) {
  const auto taken = parts_.inbox.take_root(payload, parts_.topics);
  if (taken && *taken == Inbox::Root::known) return leave_chain();
  if (!taken) return on_other_root(payload, taken.error());
  root_taken(*taken);
}

// The newest document is the one that is held: what was offered before it was none of this fleet.
void Engine::leave_chain() {
  auto& chain = parts_.inbox.chain();
  if (!chain.wanted()) return;
  chain.close();
  parts_.out.emit(Resubscribe{});
  parts_.say_degraded();
  for (auto& [topic, message] : parts_.inbox.take_unverified()) on(MessageArrived{topic, std::move(message)});
}

void Engine::root_taken(Inbox::Root taken) {
  if (taken == Inbox::Root::known) return;
  parts_.out.log(LogLevel::notice, "root document " + std::to_string(parts_.inbox.root().version) + " is in force");
  parts_.history.forget_refused();
  parts_.time.set_root(parts_.inbox.root().issued);
  parts_.out.persist();
  if (taken == Inbox::Root::taken_with_keys) {
    parts_.start_over();
    choosing_.check_waiting("the release is signed by keys that are not in force any more");
  }
  if (follow_chain()) return;
  choosing_.vet_gates();
  for (auto& [topic, message] : parts_.inbox.take_unverified()) on(MessageArrived{topic, std::move(message)});
  look_again();
}

void Engine::on_other_root(ByteView payload, const Error& error) {
  auto& chain = parts_.inbox.chain();
  const auto held = parts_.inbox.root().version;
  const auto wanted = chain.wanted();
  if (may_be_ahead(error.code) && chain.offer(payload, held, parts_.out.time())) {
    if (wanted == chain.wanted()) return;
    parts_.out.log(LogLevel::notice, "the root document on offer does not follow version " + std::to_string(held) +
                                         ", which is held here: asking for version " + std::to_string(held + 1));
    return parts_.out.emit(Resubscribe{});
  }
  if (error.code == Code::stale) return;
  if (const auto version = trust::claimed_version(payload); version && *version <= held) {
    return parts_.out.log(LogLevel::warning, "the broker offers root document " + std::to_string(*version) +
                                                 ", and this device holds version " + std::to_string(held) +
                                                 ": was the broker restored? Give it the later ones (instar root "
                                                 "publish)");
  }
  parts_.out.log(LogLevel::warning, "a root document is not taken: " + error.message);
}

void Engine::on_chained_root(std::uint32_t version, ByteView payload) {
  if (payload.empty() || parts_.inbox.chain().wanted() != version) return;
  const auto taken = parts_.inbox.take_root(payload, parts_.topics);
  if (taken) return root_taken(*taken);
  parts_.out.log(LogLevel::warning, "root document " + std::to_string(version) +
                                        ", as the broker keeps it, is not taken: " + taken.error().message);
}

bool Engine::follow_chain() {
  auto& chain = parts_.inbox.chain();
  if (!chain.wanted()) return false;
  const auto held = parts_.inbox.root().version;
  parts_.out.emit(Resubscribe{});
  if (chain.offered_version() > held + 1) {
    chain.go_on(held, parts_.out.time());
    return true;
  }
  const bool is_next = chain.offered_version() == held + 1;
  const Bytes offered = chain.offered();
  chain.close();
  if (is_next) on_root(offered);
  parts_.say_degraded();
  // The broker is told once, at the end.
  if (parts_.out.is_connected() && parts_.out.hello_at() != parts_.out.time()) parts_.say_hello();
  return parts_.inbox.root().version != held || chain.wanted().has_value();
}

void Engine::check_chain() {
  if (!parts_.inbox.chain().is_missed(parts_.out.time())) return;
  parts_.say_degraded();
  for (auto& [topic, message] : parts_.inbox.take_unverified()) on(MessageArrived{topic, std::move(message)});
}

void Engine::warn_of_expiry() {
  auto warning = parts_.inbox.chain().expiry_to_say(parts_.inbox.root(), parts_.out.now().wall);
  if (warning) parts_.out.log(LogLevel::warning, std::move(*warning));
}

}  // namespace instar::revision
