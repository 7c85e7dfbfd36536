// Carries out what the revision machine wants of the disk: OpenStaging, StagePiece, FinishStaging, RemoveRevision
// (docs/formats/staging.md). One thread; each call does a bounded piece of work, so that the device's other duties wait
// at most for that and for the disk.
//
// After each call, call step() until it says false, doing other work in between.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.hpp"
#include "core/revision/machine.hpp"
#include "device-client/staging/port.hpp"
#include "device-client/staging/session.hpp"

namespace instar::device {

class Stager final : public StagingPort {
 public:
  explicit Stager(StagerOptions options);

  // Makes or reopens the staging of a revision; the one that was open before is left as it is on disk. Later:
  // StagingWants for each choice, and again when the heads have been read; or StagingFailed.
  void open(const revision::OpenStaging& effect, Events& out) override;
  // Pieces for anything but the open staging are dropped.
  void piece(const revision::StagePiece& effect, Events& out) override;
  // Later: StagingDone, or StagingWants when something on disk turned out to be damaged, or StagingFailed.
  void finish(const revision::FinishStaging& effect, Events& out) override;
  // The revision is out of the way at once; its space is free after some steps, before any staging goes on.
  void remove(const revision::RemoveRevision& effect) override;
  // The same for the artifacts that are not to be kept.
  void trim(const revision::TrimRevision& effect) override;

  // True while there is more to do.
  [[nodiscard]] bool step(Events& out) override;
  // Received chunks become durable at the latest at next_deadline(), if tick() and step() are called then.
  void tick(MonotonicMs now) override;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const override;

  // FreeSpace as it is now.
  void tell_free_space(Events& out) const override;
  // Where the tree of an artifact of a staged revision is.
  [[nodiscard]] std::string tree_path(std::uint32_t revision, const ArtifactId& artifact) const;

 private:
  void fail_session(const Error& error, StagingEvents& out);
  [[nodiscard]] bool empty_trash(StagingEvents& out);
  // Renames it into the trash, as `name` there; what is not there is no error.
  [[nodiscard]] Status throw_away(const std::string& path, const std::string& name);

  StagerOptions options_;
  std::unique_ptr<StagingSession> session_;
  bool session_busy_ = false;
  bool trash_ = true;  // something may be there from before
  MonotonicMs now_;
};

}  // namespace instar::device
