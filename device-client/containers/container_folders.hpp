// The folders of this device's containers: <state_dir>/lxc/<device>.<container>, where LXC has its configuration and
// the client its record, and what lies elsewhere but must be there before a container starts: its upper folder and its
// volumes.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "device-client/containers/container_config.hpp"
#include "device-client/containers/host_names.hpp"
#include "device-client/containers/run_record.hpp"

namespace instar::device {

class ContainerFolders {
 public:
  ContainerFolders(const DeviceId& device, std::string state_dir);

  // <state_dir>/lxc, which is LXC's path.
  [[nodiscard]] const std::string& lxc_folder() const noexcept { return lxc_folder_; }
  // LXC names of this device's containers that have a configuration, sorted. Those that this state folder's client has
  // started under another name of the device are among them.
  [[nodiscard]] std::vector<std::string> names() const;
  // What the container was started as; nothing when that cannot be read.
  [[nodiscard]] std::optional<RunRecord> record(const std::string& name) const;
  // Keeps what containers know of the host's names up to date while they run. Errors: io, no_space.
  [[nodiscard]] Status refresh_names(MonotonicMs now) { return names_.refresh_now_and_then(now); }
  [[nodiscard]] std::optional<MonotonicMs> names_due() const { return names_.due(); }
  // Makes the folders and volumes that the container needs, and writes the files that hold from its next start on. A
  // container that runs notices nothing. Errors: not_found (its tree), io.
  [[nodiscard]] Status prepare(const ContainerPlan& plan) const;
  // Of a container that does not run: what it has written goes into the trash, which is the stager's to empty. Errors:
  // io, no_space.
  [[nodiscard]] Status clear_layer(const ContainerPlan& plan) const;
  // Removes the folders of all containers but these. Returns what could not be removed.
  [[nodiscard]] std::vector<Error> remove_all_but(const std::set<std::string>& kept) const;

 private:
  [[nodiscard]] bool is_ours(const std::string& name) const;
  [[nodiscard]] Status make_upper(const ContainerPlan& plan) const;
  [[nodiscard]] Status make_volume(const wire::Volume& volume) const;

  std::string state_dir_;
  std::string lxc_folder_;
  std::string prefix_;  // of this device's LXC names
  HostNames names_;
};

}  // namespace instar::device
