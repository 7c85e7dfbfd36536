#include "device-client/containers/container_config.hpp"

#include <algorithm>

#include "core/artifact/image.hpp"
#include "core/base/limits.hpp"
#include "core/revision/settings.hpp"
#include "core/trust/digest.hpp"
#include "core/wire/volume_paths.hpp"
#include "device-client/containers/host_names.hpp"
#include "device-client/process/container_files.hpp"
#include "device-client/process/container_image.hpp"
#include "device-client/process/container_volumes.hpp"
#include "device-client/process/switch_files.hpp"

namespace instar::device {
namespace {

// What remains is what Docker leaves to a container, without mknod: enough for a service that starts as root, binds a
// low port and drops to another user.
constexpr std::string_view kCapabilitiesDropped =
    "audit_control audit_read block_suspend bpf checkpoint_restore dac_read_search ipc_lock ipc_owner lease "
    "linux_immutable mac_admin mac_override mknod net_admin net_broadcast perfmon sys_admin sys_boot sys_module "
    "sys_nice sys_pacct sys_ptrace sys_rawio sys_resource sys_time sys_tty_config syslog wake_alarm";

// null, zero, full, random, urandom, tty, console, ptmx, pts: nothing else may be opened.
constexpr std::string_view kDevicesAllowed[] = {"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm",
                                                "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"};

class Writer {
 public:
  void line(std::string_view key, std::string_view value) {
    text_ += key;
    text_ += " = ";
    text_ += value;
    text_ += '\n';
  }
  void comment(std::string_view text) {
    text_ += "# ";
    text_ += text;
    text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

bool has_setting(const wire::Container& container, std::string_view prefix) {
  return std::ranges::any_of(container.settings, [&](const auto& setting) { return setting.key.starts_with(prefix); });
}

// The value of the last setting of that key; empty: there is none.
std::string_view setting_of(const wire::Container& container, std::string_view key) {
  const auto found = std::find_if(container.settings.rbegin(), container.settings.rend(),
                                  [&](const auto& setting) { return setting.key == key; });
  return found == container.settings.rend() ? std::string_view() : std::string_view(found->value);
}

Reach reach_of(const Config& config, const wire::Container& container) {
  if (has_setting(container, "lxc.net.")) {
    auto reach = Reach::itself;
    for (const auto& [key, value] : container.settings) {
      if (!key.starts_with("lxc.net.") || !key.ends_with(".type") || value == "empty") continue;
      if (value == "none") return Reach::host;
      reach = Reach::own;
    }
    return reach;
  }
  switch (config.network) {
    case Network::host: return Reach::host;
    case Network::bridge: return Reach::own;
    case Network::loopback: break;
  }
  return Reach::itself;
}

void write_network(Writer& out, const Config& config, const wire::Container& container) {
  if (has_setting(container, "lxc.net.")) return;  // the release brings its own, as the device's configuration allows
  switch (config.network) {
    case Network::loopback:
      out.line("lxc.net.0.type", "empty");
      out.line("lxc.net.0.flags", "up");
      break;
    case Network::host: out.line("lxc.net.0.type", "none"); break;
    case Network::bridge:
      out.line("lxc.net.0.type", "veth");
      out.line("lxc.net.0.link", config.bridge);
      out.line("lxc.net.0.flags", "up");
      break;
  }
}

// Memory files: bounded, and gone with the container. LXC makes the mount points, so none of them is below a folder of
// the container's files: /dev is new at each start, and a link at /tmp is neither passed nor replaced ("optional").
void write_memory_files(Writer& out, const HostFacts& host, const wire::Container& container) {
  const auto bytes = tmpfs_bytes(host.memory_bytes);
  const std::string bounds = "mode=1777,size=" + std::to_string(bytes) +
                             ",nr_inodes=" + std::to_string(bytes / limits::kTmpfsFileBytes) + ",create=dir";
  out.line("lxc.mount.entry", "tmpfs dev/shm tmpfs nosuid,nodev,noexec," + bounds + " 0 0");
  if (std::ranges::find(container.volumes, "/tmp", &wire::Volume::path) == container.volumes.end())
    out.line("lxc.mount.entry", "tmpfs tmp tmpfs nosuid,nodev," + bounds + ",optional 0 0");
}

// Defaults that a release may override.
void write_defaults(Writer& out, const Config& config, const HostFacts& host, const wire::Container& container) {
  out.line("lxc.uts.name", container.name);
  out.line("lxc.tty.max", "0");
  out.line("lxc.pty.max", "64");
  // A command that the release names is stopped by SIGTERM; for a tree's /sbin/init LXC knows the right signal.
  if (!container.init.empty()) out.line("lxc.signal.halt", "SIGTERM");
  out.line("lxc.environment", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  out.line("lxc.environment", "INSTAR_DEVICE=" + config.device_id.str());
  write_network(out, config, container);
  write_memory_files(out, host, container);
}

// Limits that a release cannot lift, unless the device's own configuration allows it. They come last on purpose: in LXC
// an empty value clears a list, and a list that the release cleared is filled again here.
void write_bounds(Writer& out, const HostFacts& host, const wire::Container& container) {
  out.line("lxc.autodev", "1");
  if (!has_setting(container, "lxc.mount.auto")) out.line("lxc.mount.auto", "proc:mixed sys:ro cgroup:ro");
  if (!has_setting(container, "lxc.cap.keep")) out.line("lxc.cap.drop", kCapabilitiesDropped);
  if (!host.seccomp_profile.empty() && !has_setting(container, "lxc.seccomp.profile"))
    out.line("lxc.seccomp.profile", host.seccomp_profile);
  // Otherwise LXC leaves its filter out, and says nothing, where the client runs under one itself.
  if (!host.seccomp_profile.empty() || has_setting(container, "lxc.seccomp.profile"))
    out.line("lxc.seccomp.allow_nesting", "1");
  if (host.apparmor && !has_setting(container, "lxc.apparmor.profile")) out.line("lxc.apparmor.profile", "generated");
  for (const std::string prefix : {"lxc.cgroup.devices.", "lxc.cgroup2.devices."}) {
    if (has_setting(container, prefix)) continue;
    out.line(prefix + "deny", "a");
    for (const auto device : kDevicesAllowed) out.line(prefix + "allow", device);
  }
}

// Not a mount entry of LXC: that would make the mount point on a way that the container's files decide, before the
// container has its root. A volume below another one comes after it.
std::string mounts_of(const Config& config, const wire::Container& container) {
  std::vector<ContainerVolume> volumes;
  for (const auto& volume : container.volumes)
    volumes.push_back({volume.name, config.state_dir + "/volumes/" + volume.name, volume.path});
  std::ranges::sort(volumes, {}, &ContainerVolume::path);
  return format_container_volumes(volumes);
}

// A hook is one process more than the container's first one, and what it does is no must.
bool may_have_one_process_only(const wire::Container& container) {
  return std::ranges::any_of(container.settings, [](const auto& setting) {
    return setting.key.ends_with(".pids.max") && (setting.value == "0" || setting.value == "1");
  });
}

std::string files_of(const Config& config, const ContainerPlan& plan, const wire::Container& container) {
  if (may_have_one_process_only(container)) return {};
  std::vector<ContainerFile> files = {{plan.lxc_folder + kHosts, "hosts", Giving::copy_missing},
                                      {"/etc/localtime", "localtime", Giving::bind_missing}};
  if (plan.reach != Reach::itself) {
    const bool is_hosts = plan.reach == Reach::host;
    // In a network of its own a program of the container, such as a DHCP client, may know better.
    files.push_back(
        {resolver_path(config.state_dir, is_hosts), "resolv.conf", is_hosts ? Giving::bind : Giving::copy_missing});
  }
  return format_container_files(files);
}

// What the overlay is mounted with. With an identity map it is mounted by the container's own root, who may not write
// where folders went.
std::string overlay_options(const Config& config, const HostFacts& host, const wire::Container& container,
                            bool is_image) {
  std::string options;
  if (host.renames_folders && !has_setting(container, "lxc.idmap") && !has_setting(container, "lxc.rootfs.options"))
    options = "redirect_dir=on";
  // An image is not searched for device nodes, so they are made useless.
  if (is_image && !config.devices_allowed) options += options.empty() ? "nodev" : ",nodev";
  return options;
}

std::string config_text(const Config& config, const HostFacts& host, const ContainerPlan& plan,
                        const wire::Container& container) {
  Writer out;
  out.comment("Made by instar-device at each start of the container: changes are lost.");
  const bool is_image = !plan.image.empty();
  out.line("lxc.rootfs.path",
           "overlay:" + (is_image ? plan.lxc_folder + kLower : plan.tree) + ":" + plan.writable + "/upper");
  write_defaults(out, config, host, container);
  for (const auto& setting : container.settings)
    out.line(setting.key, revision::lowered_value(setting, config.lxc_keys_allowed, host.hard_limits));
  write_bounds(out, host, container);
  if (const auto options = overlay_options(config, host, container, is_image); !options.empty())
    out.line("lxc.rootfs.options", options);
  out.line("lxc.log.file", plan.lxc_folder + "/log");
  out.line("lxc.log.level", "WARN");
  return out.take();
}

void set_places(const Config& config, std::uint32_t revision, const wire::Container& container, wire::ImageFormat image,
                ContainerPlan& plan) {
  const std::string folder = config.state_dir + "/revisions/" + std::to_string(revision);
  plan.revision = revision;
  plan.tree = folder + "/artifacts/" + container.artifact.hex() + "/tree";
  plan.writable = folder + "/containers/" + container.name;
  if (image == wire::ImageFormat::none) return;
  plan.image = format_container_image({std::string(wire::image_format_name(image)),
                                       plan.tree + "/" + std::string(artifact::kImagePath), plan.writable + "/upper",
                                       config.devices_allowed});
}

}  // namespace

std::uint64_t tmpfs_bytes(std::uint64_t memory_bytes) noexcept {
  const auto part = memory_bytes / limits::kTmpfsShare;
  return std::max(part - part % limits::kTmpfsBytesMin, limits::kTmpfsBytesMin);
}

std::string lxc_name(const DeviceId& device, const std::string& container) {
  return device.str() + "." + container;
}

Result<ContainerPlan> plan_container(const Config& config, const HostFacts& host, std::uint32_t revision,
                                     const wire::Container& container, wire::ImageFormat image) {
  INSTAR_CHECK(revision::check_settings(container, config.lxc_keys_allowed));
  INSTAR_CHECK(wire::check_volume_paths(container));
  ContainerPlan plan;
  plan.container = container.name;
  plan.lxc_name = lxc_name(config.device_id, container.name);
  plan.lxc_folder = config.state_dir + "/lxc/" + plan.lxc_name;
  plan.init = container.init;
  plan.volumes = container.volumes;
  plan.mounts = mounts_of(config, container);
  plan.reach = reach_of(config, container);
  plan.files = files_of(config, plan, container);
  const auto own_name = setting_of(container, "lxc.uts.name");
  plan.host_name = own_name.empty() ? container.name : std::string(own_name);
  plan.start_order = container.start_order;

  // The fingerprint is that of the plan for revision 0: the same for every revision that runs the container in the same
  // way.
  set_places(config, 0, container, image, plan);
  trust::Hasher hasher;
  hasher.update(as_bytes(config_text(config, host, plan, container)));
  hasher.update(as_bytes(plan.image));
  const std::uint8_t end = 0;
  hasher.update(as_bytes(plan.mounts));
  hasher.update({&end, 1});
  hasher.update(as_bytes(plan.files));
  hasher.update({&end, 1});
  for (const auto& argument : container.init) {
    hasher.update(as_bytes(argument));
    hasher.update({&end, 1});
  }
  plan.fingerprint = hasher.finish();

  set_places(config, revision, container, image, plan);
  plan.config = config_text(config, host, plan, container);
  return plan;
}

Result<std::vector<ContainerPlan>> plan_containers(const Config& config, const HostFacts& host, std::uint32_t revision,
                                                   const wire::Manifest& manifest) {
  std::vector<ContainerPlan> plans;
  for (const auto& container : manifest.containers) {
    if (!container.handler.empty()) continue;
    const auto* const artifact = manifest.artifact(container.artifact);
    const auto image = artifact == nullptr ? wire::ImageFormat::none : artifact->image_format;
    INSTAR_TRY(auto plan, plan_container(config, host, revision, container, image));
    plans.push_back(std::move(plan));
  }
  std::ranges::stable_sort(plans, {}, &ContainerPlan::start_order);
  return plans;
}

}  // namespace instar::device
