// What a rollout promises, computed a second time from the signed manifests, the gates and acks that the broker
// really sent, the records that are durable in its store, and the true time. None of it calls what it checks. Each in
// its own file: check_admission.cpp, check_waves.cpp, check_turns.cpp, check_bytes.cpp.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/wire/messages.hpp"
#include "storage/store.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// The place of a device, by the page docs/formats/gate.md alone.
[[nodiscard]] std::uint32_t place_of(const wire::Policy& policy, const std::string& device);
// Its wave given the limits of the waves opened so far; -1: none.
[[nodiscard]] int wave_of_device(const wire::Policy& policy, const std::vector<std::uint64_t>& limits,
                                 const std::string& device);

// No device begins what its signed policy, its own clock and some gate of the broker do not let it begin, nor by an
// older gate than the newest that it has kept; none falls back to an older release, but where its rollout was taken
// back.
class AdmissionCheck {
 public:
  explicit AdmissionCheck(World& world) : world_(world) {}
  void published(const Release& release) { releases_[release.rollout] = &release; }
  void gate(const wire::Gate& gate) { gates_[gate.manifest].push_back(gate); }
  struct Start {
    std::string device;
    std::string shows_as;  // of two under one name, which of them
    ManifestId rollout;
    bool held = false;
    bool consented = false;
    bool metered = false;
    bool is_first = true;  // its first attempt at this release
    // The device's own clock, as its programs are to see it.
    WallMs wall;
    std::int32_t utc_offset_s = 0;
    wire::ClockState clock = wire::ClockState::free;
  };
  void started(const Start& start);
  // Somebody with the gate key says that it is later than it is. A device whose clock cannot tell may obey that.
  void said_ahead(const wire::Gate& gate) { said_ahead_[gate.manifest].push_back(gate); }
  // The device has persisted the number of a gate.
  void kept(const std::string& device, const ManifestId& rollout, std::uint64_t issue);
  // What it runs now.
  void runs(const std::string& device, const wire::RevisionInfo& running);

 private:
  [[nodiscard]] bool is_admitted(const Start& start, const Release& release);
  void check_clock(const Start& start, const wire::Manifest& manifest);
  void check_newest(const Start& start, const std::string& name);

  World& world_;
  std::map<ManifestId, const Release*> releases_;
  std::map<ManifestId, std::vector<wire::Gate>> gates_;
  std::map<ManifestId, std::vector<wire::Gate>> said_ahead_;
  std::map<std::pair<std::string, ManifestId>, std::uint64_t> kept_;
  std::map<std::string, wire::RevisionInfo> running_;
};

// A wave opens once, in its turn, after its soak, with its approval, and when enough of the fleet before it have
// committed.
class WaveCheck {
 public:
  explicit WaveCheck(World& world) : world_(world) {}
  void published(const Release& release) { releases_[release.rollout] = &release; }
  void approved(const ManifestId& rollout, std::uint32_t wave) { approved_.emplace(rollout, wave); }
  // Leaves the broker now; everything it follows from is durable.
  void gate(const wire::Gate& gate, storage::Store& store);
  // Waves opened over all rollouts.
  [[nodiscard]] std::uint32_t opened() const noexcept { return opened_; }

 private:
  struct Seen {
    std::vector<WallMs> opened;
    std::vector<std::uint64_t> limits;
    std::vector<MonotonicMs> when;
    std::uint64_t issue = 0;
  };
  void check_opening(const Release& release, const Seen& seen, storage::Store& store);
  World& world_;
  std::map<ManifestId, const Release*> releases_;
  std::set<std::pair<ManifestId, std::uint32_t>> approved_;
  std::map<ManifestId, Seen> seen_;
  std::uint32_t opened_ = 0;
};

// No more in flight, no more starts in a minute than the policy says, and nobody begins before its turn.
class TurnCheck {
 public:
  explicit TurnCheck(World& world) : world_(world) {}
  void published(const Release& release) { by_prefix_[release.rollout.prefix64()] = &release; }
  void ack(const std::string& device, const wire::Ack& ack, storage::Store& store);
  // Two devices have this name: what must hold of one alone is not asked any more.
  void twin(const std::string& device) { twins_.insert(device); }
  void heard(const std::string& device) { heard_[device] = world_.now(); }
  void connected(const std::string& device, bool is) {
    online_[device] = is;
    if (is) connected_[device] = world_.now();
  }
  void started(const std::string& device, const ManifestId& rollout, std::uint32_t attempt);
  // The device waits for that attempt no more, and has not begun it: its turn, if it had one, is over, and it has to
  // ask again.
  void given_up(const std::string& device, const ManifestId& rollout, std::uint32_t attempt);
  [[nodiscard]] std::uint32_t given() const noexcept { return given_; }

 private:
  World& world_;
  std::map<std::uint64_t, const Release*> by_prefix_;
  std::set<std::string> twins_;
  std::set<std::tuple<std::string, std::uint64_t, std::uint32_t>> turns_;
  // The turns of the last minute: when each arrived, its device and its attempt.
  std::map<std::uint64_t, std::deque<std::pair<MonotonicMs, std::pair<std::string, std::uint32_t>>>> starts_;
  std::map<std::string, MonotonicMs> heard_;
  std::map<std::string, bool> online_;
  std::map<std::string, MonotonicMs> connected_;  // since when
  std::uint32_t given_ = 0;
};

// A rollout's byte budget holds over all crashes; a device's plan fits its own.
class ByteCheck {
 public:
  explicit ByteCheck(World& world) : world_(world) {}
  void published(const Release& release);
  void sent(const std::string& device, const PackId& pack, std::uint32_t bytes);
  void report(const wire::Report& report);

 private:
  World& world_;
  std::map<PackId, const Release*> by_pack_;
  std::map<ManifestId, const Release*> releases_;
  std::map<ManifestId, std::uint64_t> sent_;
};

}  // namespace instar::sim
