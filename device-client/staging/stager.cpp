#include "device-client/staging/stager.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {

namespace {

// How many entries one step removes.
constexpr std::uint32_t kRemoveEntries = 512;

std::string trash_folder(const StagerOptions& options) {
  return options.state_dir + "/trash";
}

}  // namespace

Stager::Stager(StagerOptions options) : options_(std::move(options)) {
  if (!options_.log) options_.log = [](LogLevel, const std::string&) {};
}

void Stager::open(const revision::OpenStaging& effect, StagingEvents& out) {
  session_ = std::make_unique<StagingSession>(options_, effect);
  session_->tick(now_);
  session_busy_ = true;
  tell_free_space(out);
}

void Stager::piece(const revision::StagePiece& effect, StagingEvents& out) {
  if (!session_ || session_->revision() != effect.revision) return;
  if (const auto status = session_->piece(effect, out); !status) return fail_session(status.error(), out);
  session_busy_ = true;
}

void Stager::finish(const revision::FinishStaging& effect, StagingEvents& out) {
  if (!session_ || session_->revision() != effect.revision) {
    out.push_back(revision::StagingFailed{
        effect.revision,
        Error{Code::internal, "revision " + std::to_string(effect.revision) + " is not being staged"}});
    return;
  }
  session_->finish();
  session_busy_ = true;
}

void Stager::remove(const revision::RemoveRevision& effect) {
  if (session_ && session_->revision() == effect.revision) {
    session_.reset();
    session_busy_ = false;
  }
  const auto number = std::to_string(effect.revision);
  const auto done = throw_away(options_.state_dir + "/revisions/" + number, number);
  if (!done) options_.log(LogLevel::error, "revision " + number + " cannot be removed: " + done.error().message);
}

void Stager::trim(const revision::TrimRevision& effect) {
  const auto number = std::to_string(effect.revision);
  const auto folder = options_.state_dir + "/revisions/" + number + "/artifacts/";
  for (const ArtifactId& artifact : artifact_folders(folder)) {
    if (std::ranges::find(effect.keep, artifact) != effect.keep.end()) continue;
    const auto done = throw_away(folder + artifact.hex(), number + "-" + artifact.short_hex());
    if (!done)
      options_.log(LogLevel::error, "artifact " + artifact.short_hex() + " of revision " + number +
                                        " cannot be removed: " + done.error().message);
  }
}

void Stager::discard(const std::string& path, const std::string& name) {
  const auto done = throw_away(path, name);
  if (!done) options_.log(LogLevel::error, path + " cannot be removed: " + done.error().message);
}

Status Stager::throw_away(const std::string& path, const std::string& name) {
  trash_ = true;
  if (!files::exists(path)) return {};
  const std::string to = trash_folder(options_) + "/" + name;
  INSTAR_CHECK(files::make_folders(trash_folder(options_), 0700));
  // The trash may still have something of that name.
  INSTAR_CHECK(files::remove_tree(to));
  if (files::with_room(0, [&] { return ::rename(path.c_str(), to.c_str()); }) != 0)
    return files::os_error("moving " + path + " to", to, errno);
  return {};
}

// The trash is emptied first, because a staging needs its room.
bool Stager::step(StagingEvents& out) {
  if (trash_) {
    trash_ = empty_trash(out);
    return trash_ || session_busy_;
  }
  if (session_busy_) {
    const auto more = session_->step(out);
    if (!more) {
      fail_session(more.error(), out);
    } else {
      session_busy_ = *more;
    }
    if (!out.empty() && std::holds_alternative<revision::StagingDone>(out.back())) tell_free_space(out);
  }
  return session_busy_;
}

bool Stager::empty_trash(StagingEvents& out) {
  const auto done = files::remove_some(trash_folder(options_), kRemoveEntries);
  if (done && !*done) return true;
  if (!done) options_.log(LogLevel::warning, "the trash cannot be emptied: " + done.error().message);
  tell_free_space(out);
  return false;
}

void Stager::fail_session(const Error& error, StagingEvents& out) {
  const std::uint32_t revision = session_->revision();
  session_.reset();
  session_busy_ = false;
  Error shown = error;
  // Another program filled the disk after the space was counted.
  const auto space = files::free_space(options_.state_dir);
  if (shown.code == Code::no_space && space && shown.message.find("are free") == std::string::npos) {
    shown.message += "; " + std::to_string(space->bytes_free) + " bytes are free on " + options_.state_dir;
  }
  out.push_back(revision::StagingFailed{revision, std::move(shown)});
  tell_free_space(out);
}

void Stager::tick(MonotonicMs now) {
  now_ = now;
  if (!session_) return;
  session_->tick(now);
  const auto deadline = session_->sync_deadline();
  if (deadline && *deadline <= now) session_busy_ = true;
}

std::optional<MonotonicMs> Stager::next_deadline() const {
  return session_ ? session_->sync_deadline() : std::nullopt;
}

void Stager::tell_free_space(StagingEvents& out) const {
  const auto space = files::free_space(options_.state_dir);
  if (space) out.push_back(revision::FreeSpace{space->bytes_free, space->inodes_free});
}

std::string Stager::tree_path(std::uint32_t revision, const ArtifactId& artifact) const {
  return options_.state_dir + "/revisions/" + std::to_string(revision) + "/artifacts/" + artifact.hex() + "/tree";
}

}  // namespace instar::device
