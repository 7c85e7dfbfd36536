#include "core/revision/requirements.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string>

#include "core/revision/settings.hpp"
#include "core/wire/placement.hpp"
#include "core/wire/volume_paths.hpp"

namespace instar::revision {
namespace {

constexpr std::size_t kVersionNumbers = 4;

std::array<std::uint64_t, kVersionNumbers> numbers_of(std::string_view version) noexcept {
  std::array<std::uint64_t, kVersionNumbers> numbers{};
  for (auto& number : numbers) {
    const auto* end = version.data() + version.size();
    const auto [rest, error] = std::from_chars(version.data(), end, number);
    if (error != std::errc{}) break;
    version = std::string_view(rest, static_cast<std::size_t>(end - rest));
    if (!version.starts_with('.')) break;
    version.remove_prefix(1);
  }
  return numbers;
}

Status check_machine(const wire::Requirements& needs, const DeviceFacts& facts, std::uint64_t free_bytes) {
  if (!needs.architectures.empty() &&
      std::ranges::find(needs.architectures, facts.description.architecture) == needs.architectures.end()) {
    std::string all;
    for (const auto& name : needs.architectures) all += (all.empty() ? "" : ", ") + name;
    return fail(Code::unsupported, "the release is for " + all + ", this device is " + facts.description.architecture);
  }
  if (!needs.kernel_min.empty() && !version_at_least(facts.description.kernel, needs.kernel_min)) {
    return fail(Code::unsupported, "the release needs kernel " + needs.kernel_min + " or later, this device runs " +
                                       facts.description.kernel);
  }
  if (!needs.client_min.empty() && !version_at_least(facts.description.client_version, needs.client_min)) {
    return fail(Code::unsupported, "the release needs client " + needs.client_min + " or later, this is " +
                                       facts.description.client_version);
  }
  if (needs.memory_bytes_min > facts.description.memory_bytes) {
    return fail(Code::unsupported, "the release needs " + std::to_string(needs.memory_bytes_min) +
                                       " bytes of memory, this device has " +
                                       std::to_string(facts.description.memory_bytes));
  }
  if (free_bytes != 0 && needs.free_bytes_min > free_bytes) {
    return fail(Code::no_space, "the release needs " + std::to_string(needs.free_bytes_min) +
                                    " bytes free on the device, " + std::to_string(free_bytes) + " are");
  }
  return {};
}

// Well-formed wishes that this version would have to ignore: refused, since each of them is a promise.
Status check_supported(const wire::Manifest& manifest) {
  const auto cannot = [](std::string what) {
    return fail(Code::unsupported,
                std::move(what) + ": this client version cannot keep that; update the client or change the release");
  };
  for (const auto& container : manifest.containers) {
    if (container.health.ready_timeout_ms != 0)
      return cannot("container '" + container.name + "' is to say itself that it is ready");
  }
  return {};
}

std::string names_of(const std::vector<wire::ImageFormat>& formats) {
  std::string names;
  for (const auto format : formats) names += (names.empty() ? "" : ", ") + std::string(wire::image_format_name(format));
  return names.empty() ? "none" : names;
}

// An image is mounted as it is: by a kernel that knows its file system, and with the owners that it has.
Status check_images(const wire::Manifest& manifest, const DeviceFacts& facts) {
  for (const auto& container : manifest.containers) {
    const auto* const artifact = manifest.artifact(container.artifact);
    if (!container.handler.empty() || artifact == nullptr || artifact->kind != wire::ArtifactKind::image) continue;
    const std::string what = "container '" + container.name + "' is an image (" +
                             std::string(wire::image_format_name(artifact->image_format)) + ")";
    if (std::ranges::find(facts.description.image_formats, artifact->image_format) ==
        facts.description.image_formats.end()) {
      return fail(Code::unsupported, what + ", this device can mount: " + names_of(facts.description.image_formats) +
                                         "; give its kernel that file system and loop devices, or publish a tree");
    }
    if (std::ranges::any_of(container.settings,
                            [](const auto& setting) { return setting.key.starts_with("lxc.idmap"); })) {
      return fail(
          Code::refused,
          what + " and asks for lxc.idmap: the owners in an image cannot be shifted; publish a tree whose owners are");
    }
  }
  return {};
}

Status check_handler(const wire::Container& payload, std::span<const std::string> handlers) {
  if (payload.handler.empty()) return {};
  const auto shown = "payload '" + payload.name + "'";
  if (!payload.init.empty() || !payload.settings.empty() || !payload.volumes.empty() || payload.health.probe)
    return fail(Code::refused, shown + " is for the handler " + payload.handler +
                                   " and has an init, settings, volumes or a probe: only containers have those");
  if (std::ranges::find(handlers, payload.handler) != handlers.end()) return {};
  if (payload.handler == kClientHandler)
    return fail(
        Code::refused,
        shown + " is a client: this device's configuration does not let its client be replaced (self_update = yes)");
  return fail(Code::unsupported, shown + " is for the handler " + payload.handler +
                                     ", and this device has none of that name (docs/handlers.md)");
}

Status check_can_run(const wire::Manifest& manifest, const DeviceFacts& facts) {
  const bool has_container =
      std::ranges::any_of(manifest.containers, [](const auto& one) { return one.handler.empty(); });
  if (!has_container || facts.no_containers.empty()) return {};
  return fail(Code::unsupported, "no container can run on this device: " + facts.no_containers);
}

}  // namespace

bool version_at_least(std::string_view version, std::string_view minimum) noexcept {
  return numbers_of(version) >= numbers_of(minimum);
}

Status check_requirements(const wire::Manifest& manifest, const DeviceFacts& facts, std::uint64_t free_bytes) {
  INSTAR_CHECK(check_supported(manifest));
  INSTAR_CHECK(check_can_run(manifest, facts));
  INSTAR_CHECK(check_images(manifest, facts));
  INSTAR_CHECK(wire::check_waves(manifest.policy));
  INSTAR_CHECK(check_machine(manifest.requirements, facts, free_bytes));
  for (const auto& container : manifest.containers) {
    INSTAR_CHECK(check_handler(container, facts.description.handlers));
    INSTAR_CHECK(check_settings(container, facts.lxc_keys_allowed));
    INSTAR_CHECK(wire::check_volume_paths(container));
  }
  std::vector<const wire::Container*> containers;
  for (const auto& container : manifest.containers) containers.push_back(&container);
  return wire::check_shared_volumes(containers);
}

}  // namespace instar::revision
