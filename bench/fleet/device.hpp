// A device of the fleet: the real machine over a real connection. Its flash, containers and owner are a few lines each.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/fleet/link.hpp"
#include "core/artifact/pack.hpp"
#include "core/revision/machine.hpp"

namespace instar::fleet {

// What all devices know.
struct Plan {
  std::string host = "127.0.0.1";
  int port = 1883;
  std::string product;
  std::vector<GroupPath> groups;
  Bytes root;                                       // envelope of the pinned root document
  Bytes running_manifest;                           // envelope of what runs at the beginning; empty: nothing
  std::map<PackId, artifact::PackDirectory> packs;  // of the releases to come
  std::set<ChunkHash> held;                         // chunks that what runs at the beginning holds
  std::uint32_t fail_percent = 0;
  std::uint64_t seed = 1;
};

// Sums over the fleet.
struct Totals {
  std::uint64_t chunk_bytes = 0;
  std::uint64_t gates = 0;
  std::uint64_t manifests = 0;
  std::uint64_t acks = 0;
  std::uint64_t reports = 0;
  std::uint64_t corrupt_chunks = 0;
  std::uint64_t wave_contradictions = 0;  // gates that open a wave a second time, or close one
};

[[nodiscard]] Now read_clocks();

class Device {
 public:
  Device(const Plan& plan, Totals& totals, std::uint32_t number);

  [[nodiscard]] Link& link() noexcept { return link_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool is_online() const noexcept { return online_; }
  [[nodiscard]] bool wants_connection(MonotonicMs now) const noexcept { return !open_ && now >= connect_at_; }
  // Opens the socket.
  void connect(Now now);
  // Goes away until `until`.
  void leave(Now now, MonotonicMs until);
  // The socket was closed.
  void lost(Now now);
  void tick(Now now);
  [[nodiscard]] MonotonicMs next_tick() const noexcept { return next_tick_; }

  [[nodiscard]] revision::Machine::View view() const { return machine_->view(); }
  // Its result: the release that it runs, and how its attempts ended.
  struct Truth {
    std::uint64_t last_report = 0;
    std::uint64_t pending = 0;
    std::string running;
    std::map<std::string, std::string> outcomes;  // rollout → step
  };
  [[nodiscard]] Truth truth() const;

 private:
  void give(const revision::Event& event);
  void settle();
  void hear(const std::string& topic, ByteView payload);
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

  const Plan& plan_;
  Totals& totals_;
  std::string name_;
  bool fails_ = false;
  Link link_;
  Now now_;
  std::unique_ptr<revision::Machine> machine_;
  Bytes state_;
  std::deque<revision::Event> events_;
  Bytes half_;  // of the chunk that is under way
  std::map<Hash256, std::vector<WallMs>> opened_;
  bool open_ = false;
  bool online_ = false;
  MonotonicMs connect_at_;
  MonotonicMs next_tick_;
};

}  // namespace instar::fleet
