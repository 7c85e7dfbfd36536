// The devices that the broker knows: what they said of themselves, whether they are connected, what they should take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/devices/enrolments.hpp"
#include "core/rollout/devices/newcomers.hpp"
#include "core/rollout/devices/tombstones.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/rollout/exchange/record.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

struct Device {
  DeviceRecord record;
  std::optional<ManifestId> target;  // the rollout that it should take
  bool online = false;
  MonotonicMs heard;  // when its last message came, or its connection ended
  // Another key that has said hello under its name, which was refused, and when: new hardware, a client that was
  // installed again, or somebody else. Not kept over a restart of the broker: it comes again.
  trust::KeyId other_key = 0;
  WallMs other_key_at;
};

// Whether a hello came from a client that MQTT knows as this device, or over a bridge where that is not known.
enum class Via : std::uint8_t { own_connection, bridge };

// Where a hello came from. `login`: who answers for the connection, its user name or its address.
struct Origin {
  Origin(Via by, std::string whose = {}) : via(by), login(std::move(whose)) {}  // a Via alone will do
  Via via;
  std::string login;
};

class Roster {
 public:
  void load(const DeviceId& device, DeviceRecord record);
  // It is the last hello that was taken, once more.
  [[nodiscard]] bool is_repeated(const wire::Hello& hello) const noexcept;
  // Errors: untrusted_key (another key is pinned, or this one was taken back), refused and expired (see
  // Enrolments::check()), unavailable (kDevicesMax, or the login has brought too many that never took part), stale (not
  // later than the last hello).
  [[nodiscard]] Status check(const wire::Hello& hello, const Origin& origin, WallMs now) const;
  // A hello that is stale may still show that two devices have one name and key. True: that is news, to be saved.
  [[nodiscard]] bool note_stale(const wire::Hello& hello, Now now, Effects& effects);
  // One that was refused for its key, unless that was taken back.
  void note_other_key(const wire::Hello& hello, WallMs now) noexcept;
  // Takes over what a hello that passed check() says of the device, pins the key of a new one, and takes it for
  // connected.
  Device& describe(const wire::Hello& hello, Now now, Effects& effects, const std::string& login = {});
  // It has taken part in a rollout: its login may bring another.
  void note_part(Device& device);
  [[nodiscard]] Device* find(const DeviceId& device) noexcept;
  [[nodiscard]] const Device* find(const DeviceId& device) const noexcept;
  // False: it was connected already.
  bool connect(Device& device) noexcept;
  void disconnect(Device& device, Now now) noexcept;
  void erase(const DeviceId& device);
  // Takes the device's key back: `key`, or the first other one if that is 0, is pinned by its next hello. All else that
  // is known of it stays, but for what its hardware ran.
  void await_key(const DeviceId& device, Device& known, trust::KeyId key, WallMs now, Effects& effects);

  [[nodiscard]] const std::map<DeviceId, Device>& all() const noexcept { return devices_; }
  [[nodiscard]] std::map<DeviceId, Device>& all() noexcept { return devices_; }
  [[nodiscard]] bool is_online(const DeviceId& device) const noexcept;
  [[nodiscard]] std::size_t online_count() const noexcept { return online_; }
  [[nodiscard]] const Newcomers& newcomers() const noexcept { return newcomers_; }
  void bound_newcomers(std::size_t login_max) noexcept { newcomers_.bound(login_max); }
  [[nodiscard]] const Tombstones& tombstones() const noexcept { return tombstones_; }
  [[nodiscard]] Tombstones& tombstones() noexcept { return tombstones_; }
  [[nodiscard]] const Enrolments& enrolments() const noexcept { return enrolments_; }
  [[nodiscard]] Enrolments& enrolments() noexcept { return enrolments_; }
  void assert_invariants() const;

 private:
  void pin(const wire::Hello& hello, DeviceRecord& record, bool is_new, Effects& effects);
  // By the starts of the client that are known. True: two devices speak under one name and key, and that is news.
  [[nodiscard]] static bool note_clone(const wire::Hello& hello, DeviceRecord& record, bool is_taken, Now now,
                                       Effects& effects);

  std::map<DeviceId, Device> devices_;
  std::size_t online_ = 0;
  Newcomers newcomers_;
  Tombstones tombstones_;
  Enrolments enrolments_;
};

}  // namespace instar::rollout
