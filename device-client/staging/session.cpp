// The phases of a session. Pieces of chunks: session_pieces.cpp.
#include "device-client/staging/session.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::device {

namespace {

std::uint64_t saturated(std::uint64_t a, std::uint64_t b) noexcept {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

std::string revision_folder(const std::string& state_dir, std::uint32_t revision) {
  return state_dir + "/revisions/" + std::to_string(revision);
}

}  // namespace

std::vector<ArtifactId> artifact_folders(const std::string& path) {
  std::vector<ArtifactId> artifacts;
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return artifacts;
  while (const dirent* item = ::readdir(dir)) {
    if (const auto artifact = ArtifactId::from_hex(item->d_name)) artifacts.push_back(*artifact);
  }
  ::closedir(dir);
  std::ranges::sort(artifacts);
  return artifacts;
}

StagingSession::StagingSession(const StagerOptions& options, revision::OpenStaging what)
    : options_(options), what_(std::move(what)) {}

std::string StagingSession::folder() const {
  return revision_folder(options_.state_dir, what_.revision);
}

// Earlier stages are those before the one under the cursor.
Stage::Neighbours StagingSession::neighbours() {
  Stage::Neighbours neighbours{sources_, {}};
  for (std::size_t i = 0; i < std::min(cursor_, stages_.size()); ++i) {
    if (const ArtifactStage* stage = stages_[i]->with_tables()) neighbours.earlier.push_back(stage);
  }
  return neighbours;
}

template <typename Work>
Result<bool> StagingSession::each_stage(Work work) {
  while (cursor_ < stages_.size()) {
    INSTAR_TRY(const bool done, work(*stages_[cursor_]));
    if (!done) return false;
    ++cursor_;
  }
  cursor_ = 0;
  return true;
}

Result<bool> StagingSession::step(StagingEvents& out) {
  if (sync_due_) INSTAR_CHECK(sync(out));
  const Phase before = phase_;
  INSTAR_TRY(const bool done, run_phase(out));
  if (done && phase_ == before) phase_ = static_cast<Phase>(static_cast<int>(phase_) + 1);
  if (sync_due_) return true;
  switch (phase_) {
    case Phase::await_heads: return done || !reported_heads_;
    case Phase::fetch: return done || !reported_wants_ || (finish_asked_ && has_all());
    case Phase::staged: return finish_asked_;
    case Phase::parked: return false;
    default: return true;
  }
}

Result<bool> StagingSession::run_phase(StagingEvents& out) {
  const StagingSlice slice = options_.slice;
  switch (phase_) {
    case Phase::begin: return begin(out);
    case Phase::check_heads: return each_stage([](Stage& stage) { return stage.check_head(); });
    case Phase::read_sources: return read_sources();
    case Phase::find_held: return find_held(out);
    case Phase::await_heads: return await_heads(out);
    case Phase::read_heads: return each_stage([](Stage& stage) { return stage.read_head(); });
    case Phase::find_chunks: return find_chunks();
    case Phase::match: return each_stage([&](Stage& stage) { return stage.match(neighbours(), slice); });
    case Phase::count_space: return count_space(out);
    case Phase::take_back_names: return each_stage([&](Stage& stage) { return stage.take_back_names(slice); });
    case Phase::lay_out: return each_stage([&](Stage& stage) { return stage.lay_out(neighbours(), slice); });
    case Phase::fill: {
      auto done = each_stage([&](Stage& stage) { return stage.fill(neighbours(), slice); });
      sync_due_ = pending_bytes() >= options_.sync_bytes || (done && *done && pending_bytes() > 0);
      return done;
    }
    case Phase::fetch: return fetch(out);
    case Phase::verify: return each_stage([&](Stage& stage) { return stage.verify(neighbours(), slice); });
    case Phase::seal_folders: return seal_folders(out);
    case Phase::conclude: return conclude(out);
    case Phase::staged: {
      if (finish_asked_) out.push_back(revision::StagingDone{what_.revision});
      finish_asked_ = false;
      return false;
    }
    case Phase::parked: return false;
  }
  return false;
}

Result<bool> StagingSession::begin(StagingEvents& out) {
  const auto marker = files::read_file(folder() + "/staged", 64 * 1024);
  if (marker && as_text(*marker) == staged_text()) {
    for (const auto& choice : what_.choices)
      out.push_back(revision::StagingWants{what_.revision, choice.pack, {}, {}, 0, true});
    phase_ = Phase::staged;
    return true;
  }
  INSTAR_CHECK(files::make_folders(folder() + "/incoming", 0700));
  // There is a staging of another content under this number, which was never finished or is not wanted any more.
  if (::unlink((folder() + "/staged").c_str()) != 0 && errno != ENOENT)
    return files::os_error("removing", folder() + "/staged", errno);
  INSTAR_CHECK(open_stages());
  // The tables of what is held grow with it, so they are made only for stages that use them.
  if (std::ranges::any_of(stages_, [](const auto& stage) { return stage->with_tables() != nullptr; })) open_sources();
  find_part();
  return true;
}

Status StagingSession::open_stages() {
  stages_.clear();
  const std::vector<std::string> running = running_trees();
  const std::int64_t time = time_of_new_files(running);
  for (const auto& choice : what_.choices) {
    const wire::Artifact* artifact = what_.manifest.artifact(choice.artifact);
    if (artifact == nullptr)
      return fail(Code::internal, "artifact " + choice.artifact.short_hex() + " is not in the manifest");
    const auto pack = std::ranges::find(artifact->packs, choice.pack, &wire::Pack::id);
    if (pack == artifact->packs.end())
      return fail(Code::internal, "pack " + choice.pack.short_hex() + " is not in the manifest");
    StageSetup setup{folder() + "/artifacts/" + artifact->id.hex(),
                     *artifact,
                     *pack,
                     wire::VolumePaths(what_.manifest, artifact->id),
                     {.devices_allowed = options_.devices_allowed},
                     options_.log,
                     time,
                     running};
    if (pack->kind == artifact::PackKind::delta) {
      INSTAR_CHECK(adopt_folder(artifact->id, std::nullopt));
      INSTAR_TRY(auto stage, DeltaStage::open(std::move(setup), held_artifacts()));
      stages_.push_back(std::move(stage));
    } else {
      INSTAR_CHECK(adopt_folder(artifact->id, pack->id));
      INSTAR_TRY(auto stage, ArtifactStage::open(std::move(setup)));
      stages_.push_back(std::move(stage));
    }
  }
  return {};
}

// Takes over the folder that an abandoned staging has of the same artifact. Its bitmap says of which pack it is. With
// `pack`, the folder is taken over only if it is of that pack; chunks of another are copied (StagingSource).
Status StagingSession::adopt_folder(const ArtifactId& artifact, const std::optional<PackId>& pack) const {
  const std::string here = folder() + "/artifacts/" + artifact.hex();
  if (files::exists(here)) return {};
  for (const std::uint32_t base : what_.bases) {
    const std::string path = revision_folder(options_.state_dir, base);
    const std::string there = path + "/artifacts/" + artifact.hex();
    if (base == what_.revision || files::exists(path + "/staged") || !files::exists(there)) continue;
    const auto its_pack = files::read_file(there + "/pack", 33);
    if (pack && (!its_pack || its_pack->size() != 33 || Hash256::from_bytes(ByteView(*its_pack).first(32)) != *pack))
      continue;
    INSTAR_CHECK(files::make_folders(folder() + "/artifacts", 0700));
    if (::rename(there.c_str(), here.c_str()) != 0) return files::os_error("taking over " + there + " as", here, errno);
    return {};
  }
  return {};
}

std::vector<HeldArtifact> StagingSession::held_artifacts() const {
  std::vector<HeldArtifact> held;
  for (const std::uint32_t base : what_.bases) {
    const std::string path = revision_folder(options_.state_dir, base);
    if (base == what_.revision || !files::exists(path + "/staged")) continue;
    for (const ArtifactId& artifact : artifact_folders(path + "/artifacts"))
      held.push_back({artifact, path + "/artifacts/" + artifact.hex()});
  }
  return held;
}

void StagingSession::open_sources() {
  sources_.clear();
  for (const std::uint32_t base : what_.bases) {
    if (base != what_.revision) open_sources_of(base);
  }
}

void StagingSession::open_sources_of(std::uint32_t revision) {
  const std::string path = revision_folder(options_.state_dir, revision);
  const bool complete = files::exists(path + "/staged");
  for (const ArtifactId& artifact : artifact_folders(path + "/artifacts")) {
    auto source =
        StagingSource::open(path + "/artifacts/" + artifact.hex(), artifact, complete, {.devices_allowed = true});
    if (source) {
      sources_.push_back(std::move(*source));
    } else if (complete) {
      options_.log(LogLevel::warning,
                   "revision " + std::to_string(revision) + " cannot be used as a base: " + source.error().message);
    }
  }
}

// If a base cannot be read, more bytes are fetched, but the update goes on.
Result<bool> StagingSession::read_sources() {
  while (source_cursor_ < sources_.size()) {
    const auto done = sources_[source_cursor_].read_index(options_.slice.entries);
    if (done && !*done) return false;
    if (done) {
      ++source_cursor_;
      continue;
    }
    if (sources_[source_cursor_].is_complete())
      options_.log(LogLevel::warning, "a base cannot be used: " + done.error().message);
    sources_.erase(sources_.begin() + static_cast<std::ptrdiff_t>(source_cursor_));
  }
  source_cursor_ = 0;
  return true;
}

Result<bool> StagingSession::find_held(StagingEvents& out) {
  INSTAR_TRY(const bool done, each_stage([&](Stage& stage) {
               return stage.find_held({sources_, {}}, options_.slice);
             }));
  if (!done) return false;
  INSTAR_TRY([[maybe_unused]] const bool parked, report_shortfalls(out, false));
  return true;
}

Result<bool> StagingSession::report_shortfalls(StagingEvents& out, bool time) {
  for (const auto& stage : stages_) {
    const auto shortfall = stage->shortfall();
    if (!shortfall || stage->is_held()) continue;
    const bool now = time || shortfall->missing.files == 0;
    if (now) {
      INSTAR_CHECK(stage->hand_over());
      phase_ = Phase::parked;
    }
    out.push_back(revision::PackUnusable{what_.revision, stage->pack().id, shortfall->error, shortfall->missing, now});
  }
  return phase_ == Phase::parked;
}

Result<bool> StagingSession::await_heads(StagingEvents& out) {
  const bool complete =
      std::ranges::all_of(stages_, [](const auto& stage) { return stage->is_held() || stage->is_head_complete(); });
  if (!reported_heads_) {
    SpaceNeed need;
    // Even if the new trees contained all that the bases hold, the rest would still have to be written.
    std::uint64_t shared_bytes_max = 0;
    for (const auto& source : sources_) shared_bytes_max += source.contents().stream_bytes();
    for (const auto& stage : stages_) {
      const SpaceNeed one = stage->space_foreseen(shared_bytes_max);
      need.bytes += one.bytes;
      need.inodes += one.inodes;
    }
    if (need.bytes > 0) INSTAR_CHECK(check_space(need, "at least "));
    reported_heads_ = true;
    if (!complete) report_wants(out, false);
  }
  if (!complete) return false;
  INSTAR_CHECK(sync(out));
  return true;
}

Result<bool> StagingSession::find_chunks() {
  const auto wants_chunks = [](const auto& stage) { return !stage->is_held() && stage->with_tables() != nullptr; };
  const bool any = std::ranges::any_of(stages_, wants_chunks);
  while (any && source_cursor_ < sources_.size()) {
    for (const auto& stage : stages_) {
      if (!wants_chunks(stage)) continue;
      const auto kind = stage->pack().kind;
      const auto done = sources_[source_cursor_].find_chunks(kind, options_.slice.bytes);
      if (done && !*done) return false;
      if (!done) {
        options_.log(LogLevel::warning, "a base can be used for whole files only: " + done.error().message);
        sources_[source_cursor_].forget_chunks(kind);
      }
    }
    ++source_cursor_;
  }
  source_cursor_ = 0;
  return true;
}

Result<bool> StagingSession::count_space(StagingEvents& out) {
  INSTAR_TRY(const bool parked, report_shortfalls(out, false));
  if (parked) return true;
  SpaceNeed need;
  INSTAR_TRY(const bool done, each_stage([&](Stage& stage) -> Result<bool> {
               const SpaceNeed one = stage.space_needed(neighbours(), kBlockBytes);
               need.bytes += one.bytes;
               need.inodes += one.inodes;
               return true;
             }));
  INSTAR_CHECK(check_space(need, ""));
  return done;
}

Status StagingSession::check_space(SpaceNeed need, const char* what) const {
  INSTAR_TRY(const files::Space space, files::free_space(options_.state_dir));
  const auto lent = options_.lent ? options_.lent() : std::nullopt;
  const bool has_margin = options_.has_margin && options_.has_margin();
  const std::uint64_t own_bytes = need.bytes == 0 ? 0 : need.bytes + need.bytes / 64;
  const std::uint64_t bytes = own_bytes == 0 || has_margin ? own_bytes : own_bytes + options_.margin_bytes;
  if (bytes > space.bytes_free && (!lent || own_bytes > saturated(space.bytes_free, lent->bytes_free))) {
    return fail(Code::no_space,
                "revision " + std::to_string(what_.revision) + " needs " + what + std::to_string(bytes) + " bytes on " +
                    options_.state_dir + ", where " + std::to_string(space.bytes_free) + " are free: free " +
                    std::to_string(bytes - space.bytes_free) + " bytes there, or publish a smaller release");
  }
  const std::uint64_t inodes = need.inodes == 0 || has_margin ? need.inodes : need.inodes + options_.margin_inodes;
  if (inodes > space.inodes_free && (!lent || need.inodes > saturated(space.inodes_free, lent->inodes_free))) {
    return fail(Code::no_space, "revision " + std::to_string(what_.revision) + " needs " + what +
                                    std::to_string(inodes) + " more files on " + options_.state_dir + ", where " +
                                    std::to_string(space.inodes_free) + " can be made: remove files there");
  }
  return {};
}

Result<bool> StagingSession::fetch(StagingEvents& out) {
  if (!reported_wants_) {
    if (has_all()) INSTAR_CHECK(sync(out));
    report_wants(out, true);
    reported_wants_ = true;
    if (!has_all()) finish_asked_ = false;
  }
  if (!finish_asked_) return false;
  if (!has_all()) {
    // finish() came too early, so what is missing is reported again.
    finish_asked_ = false;
    report_wants(out, true);
    return false;
  }
  INSTAR_CHECK(sync(out));
  finish_asked_ = false;
  return true;
}

Result<bool> StagingSession::seal_folders(StagingEvents& out) {
  if (std::ranges::any_of(stages_, [](const auto& stage) { return stage->is_damaged(); })) {
    INSTAR_CHECK(restart());
    return true;
  }
  INSTAR_TRY(const bool parked, report_shortfalls(out, true));
  if (parked) return true;
  return each_stage([&](Stage& stage) { return stage.seal_folders(options_.slice); });
}

// Something on disk is not what was written. All phases run again, and find what is missing now.
Status StagingSession::restart() {
  if (++recoveries_ > limits::kStagingRecoveriesMax) {
    return fail(Code::corrupt,
                "revision " + std::to_string(what_.revision) + " was damaged on disk " + std::to_string(recoveries_) +
                    " times while it was being staged: the storage under " + options_.state_dir + " is failing");
  }
  stages_.clear();
  sources_.clear();
  cursor_ = source_cursor_ = 0;
  reported_heads_ = reported_wants_ = false;
  finish_asked_ = true;
  phase_ = Phase::begin;
  return {};
}

std::string StagingSession::staged_text() const {
  std::vector<std::string> lines;
  for (const auto& choice : what_.choices) lines.push_back(choice.artifact.hex() + "\n");
  std::ranges::sort(lines);
  std::string text = "instar-staged-v1\n";
  for (const std::string& line : lines) text += line;
  return text;
}

Result<bool> StagingSession::conclude(StagingEvents& out) {
  INSTAR_CHECK(files::sync_file_system(folder()));
  INSTAR_CHECK(files::write_file_atomic(folder() + "/staged", as_bytes(staged_text()), 0600));
  for (const auto& stage : stages_) stage->clean_up();
  drop_part();
  static_cast<void>(files::remove_tree(folder() + "/incoming"));
  stages_.clear();
  sources_.clear();
  out.push_back(revision::StagingDone{what_.revision});
  return true;
}

bool StagingSession::has_all() const {
  return std::ranges::all_of(stages_, [](const auto& stage) { return stage->has_all(); });
}

}  // namespace instar::device
