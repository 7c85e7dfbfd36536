// From a container of a manifest to the LXC configuration that runs it (docs/device.md). Pure text: nothing is touched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "device-client/process/config.hpp"

namespace instar::device {

// What a container runs from: paths below `state_dir`.
//   revisions/<n>/artifacts/<hash>/tree     lower layer, shared by hard links, never written
//   revisions/<n>/artifacts/<hash>/tree/image   or a file system in a file, mounted by instar-lxc at
//   lxc/<device>.<name>/lower revisions/<n>/containers/<name>/upper   what the container writes; lives and dies with
//   the revision volumes/<volume>                        lives on lxc/<device>.<name>/config              LXC's own
//   place for it: lxc-ls -P <state_dir>/lxc and the like just work
struct ContainerPlan {
  std::string container;
  std::string lxc_name;  // <device>.<container>: no two devices of one machine collide, since a device id has no dot
  std::uint32_t revision = 0;     // whose tree it is
  std::string tree;               // must exist
  std::string writable;           // folder of upper; made new when absent
  std::string lxc_folder;         // <state_dir>/lxc/<lxc_name>
  std::vector<std::string> init;  // argv; empty = /sbin/init of the tree
  std::vector<wire::Volume> volumes;
  std::uint32_t start_order = 0;
  std::string config;  // text for lxc_folder + "/config"
  std::string image;   // text for lxc_folder + "/image" (container_image.hpp); empty = it runs from a tree
  // Equal when nothing that the running container could notice differs, whichever revision it was made for.
  Hash256 fingerprint;
};

struct HostFacts {
  // LXC's system call filter, if the host has it: /usr/share/lxc/config/common.seccomp.
  std::string seccomp_profile;
};

[[nodiscard]] std::string lxc_name(const DeviceId& device, const std::string& container);

// `image`: the file system that the container's artifact is, none = a tree.
// Errors: refused (a setting that is not safe and that `config` does not allow).
[[nodiscard]] Result<ContainerPlan> plan_container(const Config& config, const HostFacts& host, std::uint32_t revision,
                                                   const wire::Container& container,
                                                   wire::ImageFormat image = wire::ImageFormat::none);
// All containers of a manifest, in start order; payloads of host handlers are none.
[[nodiscard]] Result<std::vector<ContainerPlan>> plan_containers(const Config& config, const HostFacts& host,
                                                                 std::uint32_t revision,
                                                                 const wire::Manifest& manifest);

}  // namespace instar::device
