#include "device-client/containers/client_slots.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/base/limits.hpp"
#include "device-client/process/own_program.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

// The system's client sets these for the client that it runs.
constexpr const char* kArtifact = "INSTAR_CLIENT_ARTIFACT";
constexpr const char* kSystem = "INSTAR_CLIENT_SYSTEM";
constexpr const char* kGivenUp = "INSTAR_CLIENT_GIVEN_UP";

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::optional<ArtifactId> ClientSlots::read(const char* link) const {
  char target[80];
  const ssize_t length = ::readlink((folder_ + "/" + link).c_str(), target, sizeof target);
  if (length <= 0) return std::nullopt;
  const auto artifact = ArtifactId::from_hex(std::string_view(target, static_cast<std::size_t>(length)));
  return artifact ? std::optional(*artifact) : std::nullopt;
}

Status ClientSlots::point(const char* link, const ArtifactId& artifact) const {
  INSTAR_CHECK(files::replace_link(folder_ + "/" + link, artifact.hex()));
  return files::sync_folder(folder_);
}

Status ClientSlots::drop(const char* link) const {
  if (::unlink((folder_ + "/" + link).c_str()) == 0) return files::sync_folder(folder_);
  if (errno == ENOENT) return {};
  return fail(Code::io, "cannot remove " + folder_ + "/" + link + ": " + std::strerror(errno));
}

std::uint32_t ClientSlots::starts() const {
  const auto bytes = files::read_file(folder_ + "/starts", 32);
  std::uint32_t number = 0;
  if (bytes) std::from_chars(as_text(*bytes).data(), as_text(*bytes).data() + bytes->size(), number);
  return number;
}

Status ClientSlots::count(std::uint32_t starts) const {
  return files::write_file_atomic(folder_ + "/starts", as_bytes(std::to_string(starts) + "\n"), 0600);
}

ClientSlots::Choice ClientSlots::choose() const {
  const auto try_one = [&](const std::optional<ArtifactId>& artifact, std::uint32_t starts_max, std::string& why) {
    if (!artifact) return false;
    const auto so_far = starts();
    const auto shown = "client " + artifact->short_hex();
    if (so_far >= starts_max)
      why = shown + " was started " + std::to_string(so_far) + " times in a row and did not last";
    else if (::access(program(*artifact).c_str(), X_OK) != 0)
      why = shown + " cannot be run: " + std::strerror(errno);
    else if (const auto counted = count(so_far + 1); !counted)
      why = shown + " is not started, as that cannot be counted: " + counted.error().message;
    else
      return true;
    return false;
  };
  Choice choice;
  if (const auto trial = trying(); try_one(trial, limits::kClientTrialStartsMax, choice.given_up))
    return {trial, program(*trial), ""};
  // As long as there is a trial, the count is that of the trial: the committed client has lasted before.
  const auto starts_max = trying() ? ~std::uint32_t{0} : limits::kClientStartsMax;
  if (const auto committed = current(); try_one(committed, starts_max, choice.given_up))
    return {committed, program(*committed), choice.given_up};
  return choice;
}

Status ClientSlots::put(const std::string& tree, const ArtifactId& artifact) const {
  if (::access((tree + "/instar-device").c_str(), X_OK) != 0)
    return fail(Code::not_found, "the payload has no program instar-device at the top of its tree");
  const std::string slot = folder_ + "/" + artifact.hex();
  INSTAR_CHECK(files::make_folders(slot, 0700));
  std::error_code error;
  for (fs::directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    if (!fs::is_regular_file(it->symlink_status(error))) continue;
    const std::string to = slot + "/" + it->path().filename().string();
    if (::link(it->path().c_str(), to.c_str()) != 0 && errno != EEXIST)
      return fail(errno == ENOSPC ? Code::no_space : Code::io, "cannot link " + to + ": " + std::strerror(errno));
  }
  if (error) return fail(Code::io, "cannot read " + tree + ": " + error.message());
  INSTAR_CHECK(files::sync_folder(slot));
  return files::sync_folder(folder_);
}

// The count is reset first: a trial begins without starts.
Status ClientSlots::try_out(const ArtifactId& artifact) const {
  INSTAR_CHECK(count(0));
  return point("trying", artifact);
}

Status ClientSlots::keep(const std::optional<ArtifactId>& artifact) const {
  if (artifact != current()) INSTAR_CHECK(artifact ? point("current", *artifact) : drop("current"));
  return end_trial();
}

Status ClientSlots::end_trial() const {
  if (trying()) {
    INSTAR_CHECK(drop("trying"));
    INSTAR_CHECK(count(0));
  }
  const auto kept = current();
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const auto slot = ArtifactId::from_hex(it->path().filename().string());
    // This may be the client that runs: its file stays until the process ends.
    if (slot && slot != kept) INSTAR_CHECK(files::remove_tree(it->path().string()));
  }
  return {};
}

void ClientSlots::lasted() const {
  if (starts() != 0) static_cast<void>(count(0));
}

std::optional<ArtifactId> running_client() {
  const auto artifact = ArtifactId::from_hex(variable(kArtifact));
  return artifact ? std::optional(*artifact) : std::nullopt;
}

std::string client_given_up() {
  return variable(kGivenUp);
}

void run_chosen_client(const std::string& state_dir, char** arguments) {
  if (!variable(kSystem).empty()) return;  // this process was chosen already
  const auto choice = ClientSlots(state_dir).choose();
  if (!choice.given_up.empty()) ::setenv(kGivenUp, choice.given_up.c_str(), 1);
  if (!choice.artifact) return;
  const auto system = own_program();
  if (!system)
    return static_cast<void>(
        ::setenv(kGivenUp, (choice.program + " is not run: " + system.error().message).c_str(), 1));
  ::setenv(kArtifact, choice.artifact->hex().c_str(), 1);
  ::setenv(kSystem, system->c_str(), 1);
  ::execv(choice.program.c_str(), arguments);
  ::setenv(kGivenUp, (choice.program + " cannot be run: " + std::strerror(errno)).c_str(), 1);
  ::unsetenv(kArtifact);
  ::unsetenv(kSystem);
}

Error run_client_again(char** arguments) {
  std::string system = variable(kSystem);
  if (system.empty()) {
    auto own = own_program();
    if (!own) return own.error();
    system = std::move(*own);
  }
  for (const char* name : {kArtifact, kSystem, kGivenUp}) ::unsetenv(name);
  ::execv(system.c_str(), arguments);
  return {Code::io, "cannot run " + system + ": " + std::strerror(errno)};
}

}  // namespace instar::device
