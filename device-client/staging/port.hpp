// What the daemon needs of the stager (stager.hpp). Tests have a stager of their own.
#pragma once

#include <optional>
#include <string>
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
  virtual void remove(const revision::RemoveRevision& effect) = 0;
  virtual void trim(const revision::TrimRevision& effect) = 0;
  // Moves a file or folder of the state folder into the trash under `name`, to be removed in pieces. A stager that
  // keeps no trash leaves it.
  virtual void discard(const std::string& path, const std::string& name) {
    static_cast<void>(path);
    static_cast<void>(name);
  }
  // Does a bounded piece of work. Returns true while more is left. To be called after each of the others.
  [[nodiscard]] virtual bool step(Events& out) = 0;
  virtual void tick(MonotonicMs now) = 0;
  virtual void tell_free_space(Events& out) const = 0;
  [[nodiscard]] virtual std::optional<MonotonicMs> next_deadline() const = 0;
};

}  // namespace instar::device
