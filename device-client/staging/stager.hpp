// Carries out the revision machine's effects on the disk: OpenStaging, StagePiece, FinishStaging, RemoveRevision
// (docs/formats/staging.md). For one thread. Each call does a bounded piece of work, so that other work of the device
// does not wait long.
//
// After each call, step() is to be called until it returns false, with other work in between.
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

  // Makes or reopens the staging of a revision. The one that was open before stays as it is on disk. Later:
  // StagingWants for each choice, and again when the heads have been read; or StagingFailed.
  void open(const revision::OpenStaging& effect, Events& out) override;
  // Pieces that are not for the open staging are dropped.
  void piece(const revision::StagePiece& effect, Events& out) override;
  // Later: StagingDone, or StagingWants when something on disk turned out to be damaged, or StagingFailed.
  void finish(const revision::FinishStaging& effect, Events& out) override;
  // The revision is moved away at once. Its space is free after some steps, before any staging goes on.
  void remove(const revision::RemoveRevision& effect) override;
  // Does the same with the artifacts that are not to be kept.
  void trim(const revision::TrimRevision& effect) override;
  void discard(const std::string& path, const std::string& name) override;

  // Returns true while there is more to do.
  [[nodiscard]] bool step(Events& out) override;
  // Received chunks become durable by next_deadline() at the latest, if tick() and step() are called then.
  void tick(MonotonicMs now) override;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const override;

  // The current FreeSpace.
  void tell_free_space(Events& out) const override;
  // Where the tree of an artifact of a staged revision is.
  [[nodiscard]] std::string tree_path(std::uint32_t revision, const ArtifactId& artifact) const;

 private:
  void fail_session(const Error& error, StagingEvents& out);
  [[nodiscard]] bool empty_trash(StagingEvents& out);
  // Moves it into the trash under `name`. If there is no such thing, that is no error.
  [[nodiscard]] Status throw_away(const std::string& path, const std::string& name);

  StagerOptions options_;
  std::unique_ptr<StagingSession> session_;
  bool session_busy_ = false;
  bool trash_ = true;  // an earlier process may have left something in it
  MonotonicMs now_;
};

}  // namespace instar::device
