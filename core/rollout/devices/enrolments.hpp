// Who may be a device, where that is listed: an operator's signed word names each device with its product, its groups
// and its key or a one-time token. A part of the devices' side. docs/decisions/0016-who-a-device-is.md
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// One that said hello and is not on the list, or not as the list says.
struct Refused {
  std::string login;
  std::string why;
  std::uint64_t hellos = 0;
  WallMs last;
};

class Enrolments {
 public:
  // False, as at first: everybody may come, and what was enrolled is kept for later.
  void demand(bool listed) noexcept { listed_ = listed; }
  [[nodiscard]] bool is_demanded() const noexcept { return listed_; }

  // In the place of the device's one before. Its signatures have been checked.
  void set(wire::Enrolment enrolment);
  // The token with this hash was used for the device.
  void load_spent(const DeviceId& device, const Hash256& token_hash);
  // The assignment in force, whose groups go before those of the enrolment; none: there is none.
  void assign(const DeviceId& device, std::vector<GroupPath> groups);

  // nullptr: it is not enrolled.
  [[nodiscard]] const wire::Enrolment* find(const DeviceId& device) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return enrolments_.size(); }
  // Whether a hello is taken. `is_pinned`: by a key that is pinned here already. Errors: refused (not enrolled, or by a
  // wrong or used token), expired, untrusted_key (enrolled with another key).
  [[nodiscard]] Status check(const wire::Hello& hello, bool is_pinned, WallMs now) const;
  // The hello's key was pinned: a token is used up by that.
  void note_pinned(const wire::Hello& hello, Effects& effects);
  // Puts product and groups as they are listed in the place of what the device says. Nothing where nothing is demanded.
  void apply(const DeviceId& device, wire::Description& description) const;

  // A hello that check() has refused: counted, and of the last limits::kRefusedDevicesMax devices it is known who.
  void note_refused(const wire::Hello& hello, const std::string& login, const Error& error, WallMs now);
  [[nodiscard]] const std::map<DeviceId, Refused>& refused() const noexcept { return refused_; }
  [[nodiscard]] std::uint64_t refused_hellos() const noexcept { return refused_hellos_; }
  void assert_invariants() const;

 private:
  [[nodiscard]] bool is_spent(const wire::Enrolment& enrolment) const;

  bool listed_ = false;
  std::map<DeviceId, wire::Enrolment> enrolments_;
  std::map<DeviceId, Hash256> spent_;
  std::map<DeviceId, std::vector<GroupPath>> assigned_;
  std::map<DeviceId, Refused> refused_;
  std::uint64_t refused_hellos_ = 0;
};

}  // namespace instar::rollout
