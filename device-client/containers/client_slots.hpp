// Which client runs: the one that was installed with the system, or one that came with a release (docs/handlers.md).
//
//   <state_dir>/client/<artifact>/   a client: hard links to the files of its release's tree, so that the client is
//                                    still there when the revision is gone
//   <state_dir>/client/current       link to the committed client; absent: the system's own
//   <state_dir>/client/trying        link to the client on trial
//   <state_dir>/client/starts        how often in a row one of these was started and did not last
//
// The service manager always starts the system's client, which chooses a client, counts the start, and runs the chosen
// one in its own place (execve: the same process). The count is on disk before that, so a client that crashes, hangs or
// loses its power cannot be started for ever. Links are replaced by a rename, and each function is durable when it
// returns: a crash leaves the old state or the new one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::device {

class ClientSlots {
 public:
  // A client has lasted when it has run for so long, or was ended by SIGTERM.
  static constexpr std::int64_t kLastedMs = 120'000;

  explicit ClientSlots(const std::string& state_dir) : folder_(state_dir + "/client") {}

  struct Choice {
    std::optional<ArtifactId> artifact;  // nullopt: the system's own
    std::string program;
    std::string given_up;  // why another client was to run and does not; empty: the right one runs
  };
  // Counts the start. A client whose start cannot be counted is not chosen. Never fails: the system's own client can
  // always run.
  [[nodiscard]] Choice choose() const;

  // Makes the slot of a client out of the regular files at the top of `tree`. Errors: not_found (no instar-device
  // there), io, no_space.
  [[nodiscard]] Status put(const std::string& tree, const ArtifactId& artifact) const;
  // The client is run from the next start on.
  [[nodiscard]] Status try_out(const ArtifactId& artifact) const;
  // Commits the client, or the system's own for nullopt. A trial ends.
  [[nodiscard]] Status keep(const std::optional<ArtifactId>& artifact) const;
  // Removes all slots but that of the committed client.
  [[nodiscard]] Status end_trial() const;
  // The client that runs has lasted: its starts count from 0 again.
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

// The artifact that this process's program came from; nullopt: it is the system's own client.
[[nodiscard]] std::optional<ArtifactId> running_client();
// Why the client that should run does not run; empty: it does.
[[nodiscard]] std::string client_given_up();

// To be called first thing in the system's client: runs the chosen client in this process's place, if that is another
// one. Returns when this one is to run.
void run_chosen_client(const std::string& state_dir, char** arguments);
// Runs the system's client, which chooses again, in this process's place. Returns only if that fails.
[[nodiscard]] Error run_client_again(char** arguments);

}  // namespace instar::device
