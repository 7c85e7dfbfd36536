// What the daemon asks of the stager; device-client/stager.hpp is behind it, tests put their own there.
#pragma once

#include <vector>

#include "core/base/time.hpp"
#include "core/revision/machine.hpp"

namespace instar::device {

class StagingPort {
 public:
  using Events = std::vector<revision::Event>;
  virtual ~StagingPort() = default;
  virtual void open(const revision::OpenStaging& effect, Events& out) = 0;
  virtual void piece(const revision::StagePiece& effect, Events& out) = 0;
  virtual void finish(const revision::FinishStaging& effect, Events& out) = 0;
  virtual void remove(const revision::RemoveRevision& effect, Events& out) = 0;
  // A bounded bit of what finish() began; true while more is left.
  virtual bool step(Events& out) = 0;
  virtual void tick(MonotonicMs now, Events& out) = 0;
};

}  // namespace instar::device
