// What must hold at every moment, each in its own file: check_running.cpp, check_transfer.cpp, check_reports.cpp.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/revision/state_codec.hpp"
#include "core/wire/messages.hpp"
#include "storage/store.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/releases.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// Nothing unverified runs; a device always has a revision that runs, once it had one.
class RunningCheck {
 public:
  explicit RunningCheck(World& world) : world_(world) {}
  void published(const Release& release) { releases_[release.rollout] = &release; }
  // Containers of `revision` are about to be started.
  void start(const std::string& device, std::uint32_t revision, const wire::Manifest& manifest, const Disk& disk);
  void remove(const std::string& device, std::uint32_t revision, std::uint32_t running);
  // Now and then, of a client that has been up for a while.
  void look(const std::string& device, const std::string& phase, std::uint32_t current, std::uint32_t candidate,
            std::uint32_t running);
  [[nodiscard]] const Release* release(const ManifestId& rollout) const;

 private:
  World& world_;
  std::map<ManifestId, const Release*> releases_;
  std::map<std::string, bool> had_one_;
};

// What is durable on a device is not asked for, and no more than a window and a chunk is sent again after each mishap.
class TransferCheck {
 public:
  explicit TransferCheck(World& world) : world_(world) {}
  void asked(const std::string& device, const wire::Fetch& fetch, const Disk& disk, std::uint32_t revision);
  void durable(const std::string& device, std::uint32_t bytes);
  void sent(const std::string& device, std::uint32_t bytes);
  // Two devices have this name: what must hold of one alone is not asked any more.
  void twin(const std::string& device) { twins_.insert(device); }
  // A lost link, a kill, a power cut, a refused chunk, a new session for whatever reason.
  void mishap(const std::string& device);
  // Bytes sent and not accounted for by a durable chunk or a mishap.
  void at_end(const std::string& device);

 private:
  struct Account {
    std::uint64_t sent = 0;
    std::uint64_t durable = 0;
    std::uint64_t mishaps = 0;
    std::uint32_t session = 0;
  };
  World& world_;
  std::map<std::string, Account> accounts_;
  std::set<std::string> twins_;
};

// An acked report is durable at the broker; each is applied once; in the end both sides agree on every attempt.
class ReportCheck {
 public:
  explicit ReportCheck(World& world) : world_(world) {}
  void acked(const std::string& device, std::uint64_t sequence);
  // Right after the power of the broker was cut.
  void broker_crashed(storage::Store& store);
  // `twins`: two devices had the name for a while. What the one has done in a rollout the other may have reported.
  void at_end(storage::Store& store, const std::map<std::string, revision::DeviceState>& devices,
              const std::set<std::string>& twins);
  // The retained status of one rollout: its counts are those of the members in the store.
  void status_at_end(const Release& release, storage::Store& store, const Bytes& status);

 private:
  World& world_;
  std::map<std::string, std::uint64_t> acked_;
};

}  // namespace instar::sim
