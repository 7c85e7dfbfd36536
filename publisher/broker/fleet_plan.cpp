#include "publisher/broker/fleet_plan.hpp"

#include <algorithm>

#include "core/artifact/plan.hpp"
#include "core/revision/requirements.hpp"
#include "core/wire/placement.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kNamesShown = 5;

// Artifacts of the running and the previous release.
std::vector<ArtifactId> held_by(const wire::Description& device) {
  std::vector<ArtifactId> held;
  for (const auto* revision : {&device.running, &device.previous}) {
    if (*revision) held.insert(held.end(), (*revision)->artifacts.begin(), (*revision)->artifacts.end());
  }
  return held;
}

// The device passes over deltas of a format that it does not know.
std::vector<artifact::PackOffer> offers_of(const wire::Artifact& artifact, const wire::Description& device) {
  std::vector<artifact::PackOffer> offers;
  for (const auto& pack : artifact.packs) {
    const auto capability = artifact::pack_capability(pack.kind, pack.format);
    const bool known = std::ranges::find(device.pack_formats, capability) != device.pack_formats.end();
    if (pack.format > artifact::kPackFormat && !known) continue;
    offers.push_back({pack.kind, pack.id, pack.base, pack.format, pack.head_bytes, pack.body_bytes, pack.memory_bytes,
                      pack.body_count});
  }
  return offers;
}

// What one device would fetch.
struct Choice {
  std::string kinds;
  std::uint64_t bytes = 0;
  bool exact = true;
};

// The device matches against all trees that it has. So it fetches no more than with the best of them alone, and the
// lowest of these numbers is a safe bound.
std::uint64_t dedupe_bytes(const wire::Pack& pack, const std::vector<ArtifactId>& held_here, const DedupeCosts& costs,
                           bool& exact) {
  std::optional<std::uint64_t> least;
  for (const auto& held : held_here) {
    const auto known = costs.find({pack.id, held});
    if (known != costs.end()) least = std::min(least.value_or(known->second), known->second);
  }
  if (least) return *least;
  exact = held_here.empty();  // the device has no artifact, so it fetches all of the pack
  return pack.head_bytes + pack.body_bytes;
}

Result<Choice> choose(const wire::Manifest& manifest, const wire::Description& device, const DedupeCosts& costs,
                      WallMs now) {
  // The owner of a device may allow more settings than the list, which is not known here.
  revision::DeviceFacts facts;
  facts.description = device;
  for (const auto& container : manifest.containers) {
    for (const auto& setting : container.settings) facts.lxc_keys_allowed.push_back(setting.key);
  }
  if (const auto deadline = manifest.policy.deadline; deadline.value != 0 && now >= deadline)
    return fail(Code::expired, "the release was to start before " + utc_text(deadline));
  INSTAR_CHECK(revision::check_requirements(manifest, facts, device.free_bytes));
  const auto held = held_by(device);
  artifact::Holdings holdings{held, device.memory_bytes / 2, true};
  Choice choice;
  for (const auto& artifact : manifest.artifacts) {
    if (std::ranges::find(held, artifact.id) != held.end()) {
      choice.kinds += (choice.kinds.empty() ? "" : "+") + std::string("held");
      continue;
    }
    const auto offers = offers_of(artifact, device);
    const auto usable = artifact::usable_packs(offers, holdings);
    if (usable.empty())
      return fail(Code::unsupported,
                  "no pack of artifact " + artifact.id.short_hex() + " can be used (format or memory)");
    const auto& pack = artifact.packs[usable.front().offer];
    choice.kinds += (choice.kinds.empty() ? "" : "+") + std::string(artifact::pack_kind_name(pack.kind));
    choice.bytes += pack.framing_bytes;
    choice.bytes += pack.kind == artifact::PackKind::dedupe ? dedupe_bytes(pack, held, costs, choice.exact)
                                                            : pack.head_bytes + pack.body_bytes;
  }
  const auto budget = manifest.policy.device_bytes_max;
  if (budget != 0 && choice.bytes > budget) {
    return fail(Code::refused, "its cheapest way is over the budget of " + std::to_string(budget) + " bytes a device");
  }
  return choice;
}

// Reasons that contain a device's own numbers would differ for each device, so the numbers are left out.
std::string short_reason(const Error& error) {
  const auto comma = error.message.rfind(", ");
  const bool has_numbers = comma != std::string::npos && error.message.find("this device", comma) == comma + 2;
  return std::string(code_name(error.code)) + ": " + (has_numbers ? error.message.substr(0, comma) : error.message);
}

void add_waves(const wire::Manifest& manifest, std::vector<std::string>& devices, GroupPlan& plan) {
  const auto& policy = manifest.policy;
  std::vector<std::uint32_t> points;
  for (const auto& name : devices) points.push_back(wire::placement_point(policy.salt, *DeviceId::parse(name)));
  std::vector<std::uint64_t> limits;
  for (std::size_t wave = 0; wave < wire::wave_count(policy); ++wave) {
    auto limit = wire::point_max(policy, wave);
    const auto count = wire::wave_of(policy, wave).device_count;
    if (count > 0 && count < points.size()) {
      auto sorted = points;
      std::nth_element(sorted.begin(), sorted.begin() + count, sorted.end());
      limit = std::min<std::uint64_t>(limit, sorted[count]);
    }
    limits.push_back(std::max(limit, limits.empty() ? 0 : limits.back()));
  }
  plan.waves.assign(limits.size(), 0);
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const auto wave = wire::first_wave(policy, limits, *DeviceId::parse(devices[i]), points[i]);
    if (wave) ++plan.waves[*wave];
  }
}

std::string hours(std::uint64_t bytes, std::uint64_t bytes_per_s) {
  return human_duration(static_cast<std::int64_t>(bytes * 1'000 / std::max<std::uint64_t>(bytes_per_s, 1)));
}

}  // namespace

std::uint64_t GroupPlan::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [kind, use] : packs) sum += use.bytes;
  return sum;
}

FleetPlan plan_release(const wire::Manifest& manifest, std::uint64_t manifest_bytes,
                       const std::vector<KnownDevice>& fleet, const DedupeCosts& costs, WallMs now) {
  FleetPlan plan;
  plan.manifest_bytes = manifest_bytes;
  std::vector<std::vector<std::string>> names(manifest.groups.size());
  for (const auto& group : manifest.groups) plan.groups.emplace_back().group = group.str();
  for (const auto& device : fleet) {
    const auto& description = device.description;
    if (description.product != manifest.product || !DeviceId::parse(device.device)) continue;
    const auto group = std::ranges::find_if(manifest.groups, [&](const GroupPath& one) {
      return std::ranges::any_of(description.groups, [&](const GroupPath& own) { return one.covers(own); });
    });
    if (group == manifest.groups.end()) continue;
    const auto index = static_cast<std::size_t>(group - manifest.groups.begin());
    auto& row = plan.groups[index];
    ++row.devices;
    row.online += device.online ? 1 : 0;
    names[index].push_back(device.device);
    if (description.running && description.running->sequence >= manifest.sequence) {
      ++row.newer;
      continue;
    }
    const auto choice = choose(manifest, description, costs, now);
    if (!choice) {
      row.refusals[short_reason(choice.error())].push_back(device.device);
      continue;
    }
    row.waiting += manifest.policy.unmetered_only && description.metered ? 1 : 0;
    auto& use = row.packs[choice->kinds];
    const auto bytes = choice->bytes + manifest_bytes;
    ++use.devices;
    use.bytes += bytes;
    use.bytes_max = std::max(use.bytes_max, bytes);
    use.exact = use.exact && choice->exact;
  }
  for (std::size_t i = 0; i < plan.groups.size(); ++i) add_waves(manifest, names[i], plan.groups[i]);
  return plan;
}

std::string plan_text(const FleetPlan& plan, const PlanOptions& options) {
  std::string out;
  for (const auto& group : plan.groups) {
    out += "group " + group.group + ": " + count_of(group.devices, "device") + ", " + std::to_string(group.online) +
           " connected\n";
    Table table;
    table.column("  PACK");
    table.column("DEVICES", Align::right);
    table.column("BYTES EACH, AT MOST", Align::right);
    table.column("BYTES IN ALL", Align::right);
    table.column("TIME EACH");
    for (const auto& [kind, use] : group.packs) {
      table.row({"  " + kind, std::to_string(use.devices), (use.exact ? "" : "≤ ") + std::to_string(use.bytes_max),
                 (use.exact ? "" : "≤ ") + std::to_string(use.bytes), hours(use.bytes_max, options.link_bytes_per_s)});
    }
    if (!table.empty()) {
      out += table.str();
      out += "  in all " + human_bytes(group.bytes()) + "; " + hours(group.bytes(), options.link_bytes_per_s) +
             " if they share one link\n";
    }
    if (group.waves.size() > 1) {
      out += "  waves:";
      for (const auto count : group.waves) out += " " + std::to_string(count);
      out += " devices\n";
    }
    if (group.newer > 0) out += "  " + count_of(group.newer, "device") + " run it, or something newer, already\n";
    if (group.waiting > 0) out += "  " + count_of(group.waiting, "device") + " on metered links would wait\n";
    for (const auto& [reason, devices] : group.refusals) {
      out += "  " + count_of(devices.size(), "device") + " would refuse: " + reason + "\n    ";
      for (std::size_t i = 0; i < std::min(devices.size(), kNamesShown); ++i) out += (i == 0 ? "" : ", ") + devices[i];
      if (devices.size() > kNamesShown) out += " and " + std::to_string(devices.size() - kNamesShown) + " more";
      out += "\n";
    }
    if (group.devices == 0)
      out += "  no device of this product is known there; those that join later take the release then\n";
  }
  return out + "Bytes count the manifest (" + std::to_string(plan.manifest_bytes) +
         "), the pack with its head, and MQTT's framing; times are for " + human_bytes(options.link_bytes_per_s) +
         " a second. Nothing was sent.\n";
}

Json plan_json(const FleetPlan& plan, const PlanOptions& options) {
  Json groups = Json::array();
  for (const auto& group : plan.groups) {
    Json packs = Json::array();
    for (const auto& [kind, use] : group.packs) {
      packs.push_back({{"pack", kind},
                       {"devices", use.devices},
                       {"bytes_each_max", use.bytes_max},
                       {"bytes", use.bytes},
                       {"exact", use.exact},
                       {"seconds_each", use.bytes_max / std::max<std::uint64_t>(options.link_bytes_per_s, 1)}});
    }
    Json refusals = Json::array();
    for (const auto& [reason, devices] : group.refusals) refusals.push_back({{"reason", reason}, {"devices", devices}});
    groups.push_back({{"group", group.group},
                      {"devices", group.devices},
                      {"online", group.online},
                      {"already", group.newer},
                      {"waiting", group.waiting},
                      {"bytes", group.bytes()},
                      {"packs", std::move(packs)},
                      {"waves", group.waves},
                      {"refusals", std::move(refusals)}});
  }
  return {{"manifest_bytes", plan.manifest_bytes},
          {"link_bytes_per_s", options.link_bytes_per_s},
          {"groups", std::move(groups)}};
}

}  // namespace instar::publisher
