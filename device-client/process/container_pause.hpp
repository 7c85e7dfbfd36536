// Pauses what runs in this client's containers, for moments: on a full disk a container that writes without a pause
// takes whatever the client frees for itself before the client can use it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace instar::device {

// For one thread. Containers that a client left paused, which was killed, go on when the next one makes this.
class ContainerPause {
 public:
  // Where the payload cgroups of all containers are that may be paused.
  using FindCgroups = std::function<std::vector<std::string>()>;

  // All containers that LXC keeps below `lxcpath`.
  explicit ContainerPause(const std::string& lxcpath);
  explicit ContainerPause(FindCgroups find);
  ContainerPause(const ContainerPause&) = delete;
  ContainerPause& operator=(const ContainerPause&) = delete;
  ~ContainerPause();

  // Returns when nothing runs there any more, or after a tenth of a second: a process that waits for a device cannot be
  // paused, and writes nothing meanwhile. Nothing happens while they are paused already.
  void pause();
  [[nodiscard]] bool is_paused() const noexcept { return !paused_.empty(); }
  void resume();
  // To be called between two pieces of work that may have called pause(): resumes them when there is no more to do, and
  // when they have been paused for long enough. Returns for how many milliseconds the work is to rest now, so that they
  // get on as well.
  [[nodiscard]] int resume_if_due(bool has_more_to_do);

 private:
  FindCgroups find_;
  std::vector<std::string> paused_;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace instar::device
