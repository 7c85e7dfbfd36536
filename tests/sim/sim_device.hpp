// A device with the real machine in it, on a flash that survives, behind a link that does not.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/revision/machine.hpp"
#include "tests/sim/checks.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/sim_broker.hpp"
#include "tests/sim/stager_model.hpp"

namespace instar::sim {

class SimDevice final : public Client {
 public:
  struct Checks {
    RunningCheck& running;
    TransferCheck& transfers;
    AdmissionCheck& admissions;
    TurnCheck& turns;
    ByteCheck& bytes;
    StrangerCheck& strangers;
  };
  SimDevice(World& world, SimBroker& broker, const Keys& keys, const Canaries& canaries, Checks checks,
            const std::string& name, std::vector<GroupPath> groups);

  void power_on();
  // Everything that is not on flash is gone.
  void power_cut(std::int64_t off_ms);
  // The client process dies; containers go on.
  void kill(std::int64_t down_ms);
  void drop_link(std::int64_t away_ms);
  // The power goes after so many more effects.
  void cut_after(std::uint64_t effects) { cut_after_ = effects; }
  void owner_says(revision::OwnerInstruction word);
  // Its clock is off by so much from now on. One that keeps no time is never ahead.
  void set_clock_error(std::int64_t ms);
  [[nodiscard]] wire::ClockState clock() const noexcept { return clock_; }
  // Begins as a copy of the other's flash, under the same name. What must hold of one device alone is asked of neither
  // any more.
  void clone(const SimDevice& other);
  // It is switched off for good.
  void retire();
  void fill_disk(std::int64_t ms) { full_until_ = world_.now() + ms; }

  [[nodiscard]] const DeviceId& id() const override { return facts_.device; }
  [[nodiscard]] Link& link() override { return link_; }
  void receive(const std::string& topic, const Bytes& payload) override;
  void lost() override;

  [[nodiscard]] const revision::Machine* machine() const noexcept { return machine_.get(); }
  [[nodiscard]] std::uint32_t running() const noexcept { return running_; }
  [[nodiscard]] const Disk& disk() const noexcept { return disk_; }
  [[nodiscard]] std::string describe() const;

 private:
  struct Outgoing {
    std::uint64_t number = 0;
    std::string topic;
    Bytes payload;
    wire::Qos qos = wire::Qos::at_most_once;
  };
  // As its programs see it; own_time(): as they are to see it.
  [[nodiscard]] Now now() const;
  [[nodiscard]] WallMs own_time() const { return {world_.wall().value + clock_error_ms_}; }
  void boot();
  void tell_time();
  void give(const revision::Event& event);
  // The same, after `ms`, if this process still lives.
  void give_later(std::int64_t ms, revision::Event event);
  void later(std::int64_t ms, std::function<void()> what);
  void carry_out(revision::Effects& effects);
  [[nodiscard]] bool mishap();
  void stop_process();
  void connect();
  void subscribe();
  void reconnect_later(std::int64_t ms);
  void send(const Outgoing& message);
  void note_start();
  void tick();
  [[nodiscard]] const Release* release_of(const wire::Manifest& manifest) const;
  [[nodiscard]] bool link_is_cut() const;

  void carry(revision::Persist& effect);
  void carry(revision::Publish& effect);
  void carry(revision::OpenStaging& effect);
  void carry(revision::StagePiece& effect);
  void carry(revision::FinishStaging& effect);
  void carry(revision::RemoveRevision& effect);
  void carry(revision::TrimRevision& effect);
  void carry(revision::StartTry& effect);
  void carry(revision::RunProbe& effect);
  void carry(revision::SwitchBack& effect);
  void carry(revision::EnsureRunning& effect);
  void carry(revision::PointCurrent& effect);
  void carry(revision::Resubscribe& effect);
  void carry(revision::Log& effect);

  World& world_;
  SimBroker& broker_;
  const Keys& keys_;
  const Canaries& canaries_;
  Checks checks_;
  std::uint64_t cut_after_ = 0;
  revision::OwnerInstruction owner_;
  MonotonicMs full_until_;
  std::set<std::pair<ManifestId, std::uint32_t>> started_;  // rollout, attempt
  std::pair<ManifestId, std::uint32_t> waited_;             // for what, as the disk has it
  Link link_;
  revision::DeviceFacts facts_;
  trust::SecretKey key_;
  std::int64_t clock_error_ms_;
  wire::ClockState clock_;    // how good it is
  revision::LocalTime told_;  // what the programs know of it
  std::int32_t utc_offset_s_ = 0;
  std::string shows_as_;  // among the checks
  bool is_retired_ = false;
  Disk disk_;
  std::uint32_t running_ = 0;
  const Release* running_release_ = nullptr;
  std::unique_ptr<revision::Machine> machine_;
  StagerModel stager_;
  std::uint64_t life_ = 0;
  bool powered_ = false;
  MonotonicMs booted_;
  MonotonicMs away_until_;
  std::deque<Outgoing> unconfirmed_;
  std::uint64_t number_ = 0;
};

}  // namespace instar::sim
