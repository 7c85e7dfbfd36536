// Makes the LXC configuration that runs a container of a manifest (docs/device.md). Only text is made: nothing on the
// device is touched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/revision/settings.hpp"
#include "core/wire/manifest.hpp"
#include "device-client/process/config.hpp"

namespace instar::device {

// Whose network a container is in.
enum class Reach : std::uint8_t {
  itself,  // loopback alone
  own,     // one of its own
  host,    // the host's
};

// What a container runs from. Paths are below `state_dir`:
//   revisions/<n>/artifacts/<hash>/tree         the lower layer, shared by hard links and never written
//   revisions/<n>/artifacts/<hash>/tree/image   or a file system in a file, which instar-lxc mounts at
//                                               lxc/<device>.<name>/lower
//   revisions/<n>/containers/<name>/upper       what the container writes; it is removed with the revision
//   volumes/<volume>                            outlives all revisions
//   lxc/<device>.<name>/config                  where LXC expects it: lxc-ls -P <state_dir>/lxc and the like just work
struct ContainerPlan {
  std::string container;
  // <device>.<container>. A device id has no dot, so the names of two devices on one machine never collide.
  std::string lxc_name;
  std::uint32_t revision = 0;     // the one whose tree it is
  std::string tree;               // must exist
  std::string writable;           // folder of `upper`; made when absent
  std::string lxc_folder;         // <state_dir>/lxc/<lxc_name>
  std::vector<std::string> init;  // argv; empty = /sbin/init of the tree
  std::vector<wire::Volume> volumes;
  std::uint32_t start_order = 0;
  std::string config;     // text for lxc_folder + "/config"
  std::string image;      // text for lxc_folder + "/image" (container_image.hpp); empty = it runs from a tree
  std::string mounts;     // text for lxc_folder + "/volumes" (container_volumes.hpp); empty = it has none
  std::string files;      // text for lxc_folder + "/files" (container_files.hpp); empty = it gets none
  std::string host_name;  // its own
  Reach reach = Reach::itself;
  // Two plans with the same fingerprint differ in nothing that a running container could notice, even if they were made
  // for different revisions.
  Hash256 fingerprint;
};

struct HostFacts {
  // LXC's system call filter, if the host has it: /usr/share/lxc/config/common.seccomp.
  std::string seccomp_profile;
  // LXC can make an AppArmor profile for each container, and the kernel enforces it.
  bool apparmor = false;
  // Those of the client, which its containers inherit.
  revision::HardLimits hard_limits = {};
  // Of the whole machine; 0: not known.
  std::uint64_t memory_bytes = 0;
  // The kernel's overlay can rename folders of the lower layer (redirect_dir, since Linux 4.10).
  bool renames_folders = false;
};

// Bytes of /dev/shm, and of /tmp, of each container on a machine with so much memory.
[[nodiscard]] std::uint64_t tmpfs_bytes(std::uint64_t memory_bytes) noexcept;

[[nodiscard]] std::string lxc_name(const DeviceId& device, const std::string& container);

// `image`: the file system of the container's artifact; none = the artifact is a tree.
// Errors: refused (a setting that is not safe and that `config` does not allow).
[[nodiscard]] Result<ContainerPlan> plan_container(const Config& config, const HostFacts& host, std::uint32_t revision,
                                                   const wire::Container& container,
                                                   wire::ImageFormat image = wire::ImageFormat::none);
// All containers of a manifest, in start order. Payloads of host handlers are not containers.
[[nodiscard]] Result<std::vector<ContainerPlan>> plan_containers(const Config& config, const HostFacts& host,
                                                                 std::uint32_t revision,
                                                                 const wire::Manifest& manifest);

}  // namespace instar::device
