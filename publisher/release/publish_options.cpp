#include "publisher/release/publish_options.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/limits.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/policy_spec.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kDefaultContainer = "app";

constexpr const char* kNoContent =
    "a release needs content: give --image FILE, --artifact OUT, --container NAME=OUT or --spec FILE";
constexpr const char* kNoProduct = "a release needs a product, the kind of device that it is for: --product NAME";
constexpr const char* kNoRelease = "a release needs a name, like 2.4.1: --release NAME";
constexpr const char* kNoGroup = "a release needs at least one group of devices: --group PATH, like plant-7/line-a";

tl::unexpected<Error> bad_options(std::string message) {
  return fail(Code::invalid_argument, std::move(message));
}

bool describes_container(const PublishOptions& options) {
  return !options.init.empty() || !options.probe.empty() || !options.settle.empty() || !options.settings.empty() ||
         !options.volumes.empty();
}

Status add_containers(const PublishOptions& options, ReleaseSpec& spec) {
  if (!options.artifact.empty()) spec.containers.push_back({options.artifact, {}});
  if (!options.artifact.empty()) spec.containers.back().container.name = kDefaultContainer;
  for (const auto& text : options.containers) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      return bad_options("container '" + text + "' must be NAME=OUT, like web=out/web-2.4.1");
    }
    spec.containers.push_back({text.substr(equals + 1), {}});
    spec.containers.back().container.name = text.substr(0, equals);
  }
  if (spec.containers.empty()) return bad_options(kNoContent);
  if (!describes_container(options)) return {};
  if (spec.containers.size() != 1) {
    return bad_options(
        "--init, --probe, --settle, --set and --volume are for a release of one container: describe several with "
        "--spec FILE");
  }
  auto& container = spec.containers.front().container;
  INSTAR_TRY(container.init, command_words(options.init));
  for (const auto& text : options.settings) {
    INSTAR_TRY(auto setting, parse_setting(text));
    container.settings.push_back(std::move(setting));
  }
  for (const auto& text : options.volumes) {
    INSTAR_TRY(auto volume, parse_volume(text));
    container.volumes.push_back(std::move(volume));
  }
  if (!options.settle.empty()) {
    INSTAR_TRY(const auto settle_ms, parse_duration_ms(options.settle));
    if (settle_ms > 0xFFFF'FFFF) return bad_options("--settle " + options.settle + " is too long");
    container.health.settle_ms = static_cast<std::uint32_t>(settle_ms);
  }
  if (!options.probe.empty()) {
    wire::Probe probe;
    INSTAR_TRY(probe.command, command_words(options.probe));
    container.health.probe = std::move(probe);
  }
  return {};
}

// Options of the command line override the file. Waves and windows replace all of the file's.
Status set_policy(const PublishOptions& options, ReleaseSpec& spec) {
  auto& policy = spec.policy;
  if (!options.waves.empty()) policy.waves.clear();
  for (const auto& text : options.waves) {
    INSTAR_TRY(auto wave, parse_wave(text));
    policy.waves.push_back(std::move(wave));
  }
  if (!options.windows.empty()) policy.windows.clear();
  for (const auto& text : options.windows) {
    INSTAR_TRY(const auto window, parse_window(text));
    policy.windows.push_back(window);
  }
  if (!options.failures_max.empty()) INSTAR_CHECK(parse_failures(options.failures_max, policy));
  if (!options.on_failure.empty()) {
    INSTAR_TRY(policy.budget_action, parse_action(options.on_failure));
  }
  if (options.in_flight > 0) policy.in_flight_max = options.in_flight;
  if (options.starts_per_minute > 0) policy.starts_per_minute_max = options.starts_per_minute;
  if (options.attempts > 0) policy.attempts_max = options.attempts;
  if (!options.start_within.empty()) {
    INSTAR_TRY(spec.deadline_after_ms, parse_duration_ms(options.start_within));
  }
  if (!options.stale_after.empty()) {
    INSTAR_TRY(const auto stale_ms, parse_duration_ms(options.stale_after));
    policy.stale_after_s = static_cast<std::uint32_t>(std::min<std::int64_t>(stale_ms / 1'000, 0xFFFF'FFFF));
  }
  if (!options.device_bytes.empty()) {
    INSTAR_TRY(policy.device_bytes_max, parse_size(options.device_bytes));
  }
  if (!options.rollout_bytes.empty()) {
    INSTAR_TRY(policy.rollout_bytes_max, parse_size(options.rollout_bytes));
  }
  if (!options.rate.empty()) {
    INSTAR_TRY(const auto rate, parse_size(options.rate));
    policy.rate_bytes_per_s_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, 0xFFFF'FFFF));
  }
  policy.metered_fallback = policy.metered_fallback || options.metered_fallback;
  policy.download_any_time = policy.download_any_time || options.download_any_time;
  policy.consent = policy.consent || options.consent;
  policy.unmetered_only = policy.unmetered_only || options.unmetered_only;
  if (options.fall_back_stops > 0) policy.fall_back_stops = options.fall_back_stops;
  policy.revert_allowed = policy.revert_allowed || options.revert_allowed;
  if (!options.approval.empty()) INSTAR_CHECK(parse_approval(options.approval, policy));
  return complete_policy(policy);
}

Status set_sequence(const std::string& text, ReleaseSpec& spec) {
  if (text.empty()) return {};
  if (text == "auto") {
    spec.sequence.reset();
    return {};
  }
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || value == 0) {
    return bad_options("sequence '" + text + "' must be auto or a number from 1");
  }
  spec.sequence = value;
  return {};
}

// The first character that no name has, whole; empty: there is none.
std::string bad_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_name("x" + std::string(1, text[i]))) continue;
    std::size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
    return std::string(text.substr(i, end - i));
  }
  return {};
}

// The name with a dash for what cannot be in one: 2.4.1-rc1 for 2.4.1~rc1. Empty: nothing comes of it.
std::string near_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool fits = is_name("x" + std::string(1, c));
    if (fits || !out.ends_with('-')) out += fits ? c : '-';
  }
  while (out.starts_with('.') || out.starts_with('-')) out.erase(0, 1);
  while (out.ends_with('-')) out.pop_back();
  return is_name(out) ? out : std::string();
}

// Errors: invalid_argument, with what is wrong with the name.
Status check_name(std::string_view what, const std::string& text) {
  if (is_name(text)) return {};
  std::string why;
  if (text.size() > limits::kNameBytesMax) {
    why = "it has " + std::to_string(text.size()) + " characters, " + std::to_string(limits::kNameBytesMax) +
          " at most are taken";
  } else if (text.front() == '.') {
    why = "a name does not begin with a dot";
  } else {
    why = "'" + bad_character(text) + "' is none of the characters of a name: A-Z a-z 0-9 . _ -";
  }
  const auto other = near_name(text);
  return bad_options(std::string(what) + " '" + text + "' cannot be used: " + why +
                     (other.empty() ? "" : "; take " + other));
}

Status check_release(const ReleaseSpec& spec) {
  if (spec.product.empty()) return bad_options(kNoProduct);
  if (spec.release.empty()) return bad_options(kNoRelease);
  if (spec.groups.empty()) return bad_options(kNoGroup);
  if (!is_product(spec.product))
    return bad_options("product '" + spec.product.substr(0, 80) + "' " + std::string(kProductRule));
  return check_name("release", spec.release);
}

}  // namespace

Result<std::vector<std::string>> command_words(const std::vector<std::string>& words) {
  if (words.size() != 1) return words;
  return split_words(words.front());
}

std::string missing_option(const PublishOptions& options) {
  if (!options.spec_path.empty()) return {};
  if (options.artifact.empty() && options.containers.empty()) return kNoContent;
  if (options.product.empty() && options.product_default.empty()) return kNoProduct;
  if (options.release.empty()) return kNoRelease;
  if (options.groups.empty() && options.groups_default.empty()) return kNoGroup;
  return {};
}

Result<ReleaseSpec> release_of(const PublishOptions& options) {
  ReleaseSpec spec;
  if (!options.spec_path.empty()) {
    if (!options.artifact.empty() || !options.containers.empty() || describes_container(options)) {
      return bad_options("the containers are described either by --spec or on the command line, not by both");
    }
    INSTAR_TRY(spec, load_release(options.spec_path));
  } else {
    INSTAR_CHECK(add_containers(options, spec));
  }
  if (!options.product.empty()) spec.product = options.product;
  if (!options.release.empty()) spec.release = options.release;
  if (!options.notes.empty()) spec.notes = options.notes;
  if (spec.product.empty()) spec.product = options.product_default;
  if (!options.groups.empty()) spec.groups.clear();
  for (const auto& name : spec.groups.empty() && options.groups.empty() ? options.groups_default : options.groups) {
    INSTAR_TRY(auto group, GroupPath::parse(name));
    spec.groups.push_back(std::move(group));
  }
  if (!options.expires.empty()) {
    INSTAR_TRY(spec.expires_after_ms, parse_duration_ms(options.expires));
  }
  if (!options.architectures.empty()) spec.requirements.architectures = options.architectures;
  INSTAR_CHECK(set_policy(options, spec));
  INSTAR_CHECK(set_sequence(options.sequence, spec));
  INSTAR_CHECK(check_release(spec));
  return spec;
}

}  // namespace instar::publisher
