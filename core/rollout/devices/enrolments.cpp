#include "core/rollout/devices/enrolments.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

void Enrolments::set(wire::Enrolment enrolment) {
  refused_.erase(enrolment.device);
  auto device = enrolment.device;
  enrolments_.insert_or_assign(std::move(device), std::move(enrolment));
}

void Enrolments::load_spent(const DeviceId& device, const Hash256& token_hash) {
  spent_[device] = token_hash;
}

void Enrolments::assign(const DeviceId& device, std::vector<GroupPath> groups) {
  if (groups.empty()) {
    assigned_.erase(device);
  } else {
    assigned_[device] = std::move(groups);
  }
}

const wire::Enrolment* Enrolments::find(const DeviceId& device) const noexcept {
  const auto found = enrolments_.find(device);
  return found == enrolments_.end() ? nullptr : &found->second;
}

bool Enrolments::is_spent(const wire::Enrolment& enrolment) const {
  const auto found = spent_.find(enrolment.device);
  return found != spent_.end() && found->second == enrolment.token_hash;
}

Status Enrolments::check(const wire::Hello& hello, bool is_pinned, WallMs now) const {
  if (!listed_) return {};
  const auto* listed = find(hello.device);
  const auto device = "device " + hello.device.str();
  if (listed == nullptr) {
    return fail(Code::refused, device +
                                   " is not enrolled here (plugin_opt_enrolment listed): enrol it first (instar "
                                   "devices enrol)");
  }
  if (listed->key.has_value() && *listed->key != hello.key)
    return fail(Code::untrusted_key, device + " is enrolled with another key: enrol it with its own");
  if (is_pinned) return {};
  if (listed->expires.value != 0 && listed->expires <= now)
    return fail(Code::expired, "the enrolment of " + device + " has expired: enrol it again");
  if (listed->key.has_value()) return {};
  if (is_spent(*listed)) {
    return fail(Code::refused, "the one-time token of " + device +
                                   " was used for another key: enrol it again with a new token, or with its key");
  }
  if (hello.token.empty() || hash_of_token(hello.token) != listed->token_hash)
    return fail(Code::refused, device + " has not the one-time token of its enrolment (enrolment_token_file)");
  return {};
}

void Enrolments::note_pinned(const wire::Hello& hello, Effects& effects) {
  const auto* listed = find(hello.device);
  if (listed == nullptr || listed->token_hash.is_zero() || hello.token.empty()) return;
  const auto hash = hash_of_token(hello.token);
  if (hash != listed->token_hash) return;
  spent_[hello.device] = hash;
  effects.emplace_back(SpendToken{hello.device, hash});
}

void Enrolments::apply(const DeviceId& device, wire::Description& description) const {
  const auto* listed = listed_ ? find(device) : nullptr;
  if (listed == nullptr) return;
  description.product = listed->product;
  const auto assigned = assigned_.find(device);
  description.groups = assigned == assigned_.end() ? listed->groups : assigned->second;
}

void Enrolments::note_refused(const wire::Hello& hello, const std::string& login, const Error& error, WallMs now) {
  ++refused_hellos_;
  if (!refused_.contains(hello.device) && refused_.size() == limits::kRefusedDevicesMax) {
    refused_.erase(std::ranges::min_element(
        refused_, [](const auto& one, const auto& other) { return one.second.last < other.second.last; }));
  }
  auto& entry = refused_[hello.device];
  entry.login = login;
  entry.why = error.message;
  ++entry.hellos;
  entry.last = now;
}

void Enrolments::assert_invariants() const {
  INSTAR_ASSERT(refused_.size() <= limits::kRefusedDevicesMax);
  for (const auto& [device, groups] : assigned_) INSTAR_ASSERT(!groups.empty());
}

}  // namespace instar::rollout
