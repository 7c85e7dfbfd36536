// The staging of one revision, from OpenStaging to StagingDone. It takes all artifacts through the same phases, one
// phase after the other, so that the space for all of them is counted before any body is fetched.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.hpp"
#include "core/base/time.hpp"
#include "core/revision/machine.hpp"
#include "device-client/staging/content_stage.hpp"
#include "device-client/staging/delta_stage.hpp"
#include "files/files.hpp"

namespace instar::device {

// The artifacts in revisions/<n>/artifacts, by hash.
[[nodiscard]] std::vector<ArtifactId> artifact_folders(const std::string& path);

struct StagerOptions {
  std::string state_dir;
  bool devices_allowed = false;
  StagingLog log;
  // How much one step() does.
  StagingSlice slice;
  // How many received bytes may wait for a sync, and how long. A power cut may lose these. No more than a credit
  // window.
  std::uint64_t sync_bytes = limits::kWindowBytesMax;
  std::int64_t sync_ms = 1'000;
  // Space that is kept free beyond what a revision needs, for state files and for the file system itself.
  std::uint64_t margin_bytes = 512 * 1024;
  std::uint64_t margin_inodes = 64;
  // A reserve is the margin: none is kept of what is free while it is whole. Empty: there is no reserve.
  std::function<bool()> has_margin;
  // Room beyond what is free that the reserve lends to the staging, which then keeps no margin.
  std::function<std::optional<files::Space>()> lent;
};

using StagingEvents = std::vector<revision::Event>;

class StagingSession {
 public:
  // Nothing is done before the first step().
  StagingSession(const StagerOptions& options, revision::OpenStaging what);

  [[nodiscard]] std::uint32_t revision() const noexcept { return what_.revision; }
  // Does a bounded piece of work. Returns false when there is nothing to do until a piece, a finish() or a tick()
  // comes. An error ends the session: the caller reports StagingFailed and drops it. What is on disk stays for the next
  // one.
  [[nodiscard]] Result<bool> step(StagingEvents& out);
  [[nodiscard]] Status piece(const revision::StagePiece& piece, StagingEvents& out);
  void finish() noexcept { finish_asked_ = true; }
  void tick(MonotonicMs now) noexcept;
  [[nodiscard]] std::optional<MonotonicMs> sync_deadline() const;

 private:
  enum class Phase : std::uint8_t {
    begin,
    check_heads,
    read_sources,
    find_held,
    await_heads,
    read_heads,
    find_chunks,
    match,
    count_space,
    take_back_names,
    lay_out,
    fill,
    fetch,
    verify,
    seal_folders,
    conclude,
    staged,
    parked,  // a pack was not enough: waits for an OpenStaging with another one
  };
  // The chunk whose pieces are being received.
  struct Part {
    std::size_t stage = 0;
    std::uint32_t ordinal = 0;
    Bytes bytes;
    files::Fd file;
    std::string path;
  };

  [[nodiscard]] Result<bool> run_phase(StagingEvents& out);
  [[nodiscard]] Result<bool> begin(StagingEvents& out);
  [[nodiscard]] Result<bool> read_sources();
  [[nodiscard]] Result<bool> find_held(StagingEvents& out);
  [[nodiscard]] Result<bool> await_heads(StagingEvents& out);
  [[nodiscard]] Result<bool> find_chunks();
  [[nodiscard]] Result<bool> count_space(StagingEvents& out);
  [[nodiscard]] Result<bool> fetch(StagingEvents& out);
  [[nodiscard]] Result<bool> seal_folders(StagingEvents& out);
  [[nodiscard]] Result<bool> conclude(StagingEvents& out);
  // Reports packs that are not enough. If one of them can make nothing, or if it is `time` for them, the session is
  // parked and this returns true.
  [[nodiscard]] Result<bool> report_shortfalls(StagingEvents& out, bool time);
  [[nodiscard]] Status restart();
  template <typename Work>
  [[nodiscard]] Result<bool> each_stage(Work work);

  [[nodiscard]] std::string folder() const;
  [[nodiscard]] Stage::Neighbours neighbours();
  [[nodiscard]] Status open_stages();
  [[nodiscard]] std::vector<std::string> running_trees() const;
  [[nodiscard]] std::int64_t time_of_new_files(const std::vector<std::string>& running) const;
  [[nodiscard]] Status adopt_folder(const ArtifactId& artifact, const std::optional<PackId>& pack) const;
  [[nodiscard]] std::vector<HeldArtifact> held_artifacts() const;
  void open_sources();
  void open_sources_of(std::uint32_t revision);
  [[nodiscard]] std::string staged_text() const;
  [[nodiscard]] Status check_space(SpaceNeed need, const char* what) const;
  [[nodiscard]] Status sync(StagingEvents& out);
  [[nodiscard]] std::uint64_t pending_bytes() const;
  [[nodiscard]] bool has_all() const;

  void report_wants(StagingEvents& out, bool exact);
  [[nodiscard]] std::optional<Stage::Half> half_of(std::size_t stage) const;
  void find_part();
  void drop_part();
  [[nodiscard]] Status begin_part(std::size_t stage, std::uint32_t ordinal);
  [[nodiscard]] Status end_part(StagingEvents& out);
  void refuse_part(StagingEvents& out, const revision::StagePiece& piece, Code code, const std::string& why);

  const StagerOptions& options_;
  revision::OpenStaging what_;
  Phase phase_ = Phase::begin;
  std::size_t cursor_ = 0;
  std::size_t source_cursor_ = 0;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<StagingSource> sources_;
  std::optional<Part> part_;
  bool reported_heads_ = false;
  bool reported_wants_ = false;
  bool finish_asked_ = false;
  bool sync_due_ = false;
  int recoveries_ = 0;
  MonotonicMs now_;
  std::optional<MonotonicMs> pending_since_;
};

}  // namespace instar::device
