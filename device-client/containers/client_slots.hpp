// Which client runs: the one that was installed with the system, or one that came with a release (docs/handlers.md).
//
//   <state_dir>/client/<artifact>/   a client: hard links to the files of its release's tree, so that it outlives the
//   revision <state_dir>/client/current       link to the one that was committed; absent: the system's own
//   <state_dir>/client/trying        link to the one on trial
//   <state_dir>/client/starts        how often in a row one of these was started and did not last
//
// The system's client is what the service manager starts, always; it chooses, counts, and runs the chosen one in its
// own place (execve: the same process). The count is on disk before that, so that one that crashes, hangs or is cut off
// cannot be started for ever. Links are replaced by a rename, and each function is durable when it returns: a crash
// leaves the old or the new.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::device {

class ClientSlots {
 public:
  // Starts in a row of one on trial, and of a committed one, that did not last.
  static constexpr std::uint32_t kTrialStartsMax = 3;
  static constexpr std::uint32_t kStartsMax = 5;
  // What has run for so long, or was ended by SIGTERM, has lasted.
  static constexpr std::int64_t kLastedMs = 120'000;

  explicit ClientSlots(const std::string& state_dir) : folder_(state_dir + "/client") {}

  struct Choice {
    std::optional<ArtifactId> artifact;  // nullopt: the system's own
    std::string program;
    std::string given_up;  // why it is not the one it should be; empty: it is
  };
  // Counts the start. A client that cannot be counted is not started. Never fails: the system's own can always run.
  [[nodiscard]] Choice choose() const;

  // Makes the slot of a client out of the regular files at the top of `tree`. Errors: not_found (no instar-device
  // there), io, no_space.
  [[nodiscard]] Status put(const std::string& tree, const ArtifactId& artifact) const;
  // It is run from the next start on.
  [[nodiscard]] Status try_out(const ArtifactId& artifact) const;
  // It is the one from now on; nullopt: the system's own. A trial ends.
  [[nodiscard]] Status keep(const std::optional<ArtifactId>& artifact) const;
  // All slots go but the current one's.
  [[nodiscard]] Status end_trial() const;
  // The client that runs has lasted.
  void lasted() const;

  [[nodiscard]] std::optional<ArtifactId> current() const { return read("current"); }
  [[nodiscard]] std::optional<ArtifactId> trying() const { return read("trying"); }
  [[nodiscard]] std::string program(const ArtifactId& artifact) const {
    return folder_ + "/" + artifact.hex() + "/instar-device";
  }

 private:
  [[nodiscard]] std::optional<ArtifactId> read(const char* link) const;
  [[nodiscard]] Status point(const char* link, const ArtifactId& artifact) const;
  [[nodiscard]] Status drop(const char* link) const;
  [[nodiscard]] std::uint32_t starts() const;
  [[nodiscard]] Status count(std::uint32_t starts) const;

  std::string folder_;
};

// The release that this process's client came with; nullopt: it is the system's own.
[[nodiscard]] std::optional<ArtifactId> running_client();
// Why the client that should run does not; empty: it does.
[[nodiscard]] std::string client_given_up();

// In the system's client, before anything else: runs the chosen client in this process's place, if that is another one.
// Returns when this one is to run.
void run_chosen_client(const std::string& state_dir, char** arguments);
// Runs the system's client, which chooses anew, in this process's place. Returns only if that cannot be.
[[nodiscard]] Error run_client_anew(char** arguments);

}  // namespace instar::device
