// The stager on the device's own disk, as the daemon asks for it.
#pragma once

#include "device-client/config.hpp"
#include "device-client/log.hpp"
#include "device-client/stager.hpp"
#include "device-client/staging_port.hpp"

namespace instar::device {

class DiskStaging final : public StagingPort {
 public:
  DiskStaging(const Config& config, const Log& log) : stager_(options(config, log)) {}
  void open(const revision::OpenStaging& effect, Events& out) override { stager_.open(effect, out); }
  void piece(const revision::StagePiece& effect, Events& out) override { stager_.piece(effect, out); }
  void finish(const revision::FinishStaging& effect, Events& out) override { stager_.finish(effect, out); }
  void remove(const revision::RemoveRevision& effect) override { stager_.remove(effect); }
  void trim(const revision::TrimRevision& effect) override { stager_.trim(effect); }
  bool step(Events& out) override { return stager_.step(out); }
  void tick(MonotonicMs now) override { stager_.tick(now); }
  void tell_free_space(Events& out) const override { stager_.tell_free_space(out); }
  std::optional<MonotonicMs> next_deadline() const override { return stager_.next_deadline(); }

 private:
  static StagerOptions options(const Config& config, const Log& log) {
    StagerOptions made;
    made.state_dir = config.state_dir;
    made.devices_allowed = config.devices_allowed;
    made.log = [log](int level, const std::string& message) { log.write(level, message); };
    return made;
  }
  Stager stager_;
};

}  // namespace instar::device
