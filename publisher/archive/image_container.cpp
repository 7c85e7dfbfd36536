#include "publisher/archive/image_container.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/wire/volume_paths.hpp"
#include "publisher/archive/image_users.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::int64_t kNanosecondsInMs = 1'000'000;
constexpr std::string_view kStopDefault = "SIGTERM";
constexpr std::size_t kUserFileBytes = 1024 * 1024;

// What is taken from the config, or says nothing of a container.
constexpr std::array<std::string_view, 22> kKnownKeys = {
    "Entrypoint",  "Cmd",          "Env",          "WorkingDir",   "User",      "StopSignal",
    "Volumes",     "Healthcheck",  "Labels",       "ExposedPorts", "Shell",     "Image",
    "AttachStdin", "AttachStdout", "AttachStderr", "Tty",          "OpenStdin", "StdinOnce",
    "ArgsEscaped", "Domainname",   "CreatedBy",    "Hostname"};

bool is_one_line(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

bool says_something(const Json& value) {
  if (value.is_null() || value == Json("") || value == Json(false) || value == Json(0)) return false;
  return !((value.is_array() || value.is_object()) && value.empty());
}

class ConfigReader {
 public:
  ConfigReader(const Json& config, MergedTree& tree, Origin& origin)
      : config_(config), tree_(tree), origin_(origin), out_(origin.container) {}

  Status read() {
    INSTAR_TRY(auto object, JsonObject::of(config_, "its config"));
    INSTAR_CHECK(take_init(object));
    INSTAR_TRY(const auto user_text, object.text_or("User", ""));
    INSTAR_TRY(const auto user, find_user(user_text));
    INSTAR_CHECK(take_environment(object, user));
    if (user.uid != 0) set("lxc.init.uid", std::to_string(user.uid), "User");
    if (user.gid != 0) set("lxc.init.gid", std::to_string(user.gid), "User");
    if (!user.more_groups.empty())
      remark("not kept: the further groups of its user: " + joined(user.more_groups, ", "));
    INSTAR_CHECK(take_folder(object));
    INSTAR_CHECK(take_stop_signal(object));
    INSTAR_CHECK(take_volumes(object));
    INSTAR_CHECK(take_healthcheck(object));
    take_labels();
    take_ports();
    name_the_others();
    return {};
  }

 private:
  void remark(std::string text) {
    if (origin_.remarks.size() < limits::kImageRemarksMax) origin_.remarks.push_back(std::move(text));
  }

  void set(const std::string& key, const std::string& value, const std::string& field) {
    if (!is_one_line(value) || value.size() > limits::kSettingValueBytesMax) {
      remark("not kept: " + field + ": its value has " +
             (is_one_line(value) ? "more than " + std::to_string(limits::kSettingValueBytesMax) + " bytes"
                                 : "several lines or a control character"));
    } else if (out_.settings.size() == limits::kSettingsMax) {
      remark("not kept: " + field + ": a container has at most " + std::to_string(limits::kSettingsMax) + " settings");
    } else {
      out_.settings.push_back({key, value});
    }
  }

  Status take_init(JsonObject& object) {
    INSTAR_TRY(out_.init, object.texts("Entrypoint"));
    INSTAR_TRY(const auto command, object.texts("Cmd"));
    out_.init.insert(out_.init.end(), command.begin(), command.end());
    if (out_.init.empty()) remark("it names no command (no Entrypoint, no Cmd): devices start /sbin/init of the tree");
    return {};
  }

  Result<std::string> content_of(const std::string& path) {
    const MergedItem* const item = tree_.find(path);
    if (item == nullptr || item->content == nullptr) return std::string();
    INSTAR_TRY(const auto bytes, item->content->read(kUserFileBytes));
    return std::string(as_text(bytes));
  }

  Result<ImageUser> find_user(const std::string& text) {
    INSTAR_TRY(const auto passwd, content_of("etc/passwd"));
    INSTAR_TRY(const auto group, content_of("etc/group"));
    return find_image_user(text, passwd, group);
  }

  Status take_environment(JsonObject& object, const ImageUser& user) {
    INSTAR_TRY(const auto variables, object.texts("Env"));
    bool has_home = false;
    for (const auto& variable : variables) {
      const auto equals = variable.find('=');
      const std::string name = variable.substr(0, equals);
      has_home = has_home || name == "HOME";
      if (equals == std::string::npos || equals == 0) {
        remark("not kept: Env " + shown_name(variable) + ": it is no NAME=VALUE");
      } else {
        set("lxc.environment", variable, "Env " + shown_name(name));
      }
    }
    // As container engines do it.
    if (!has_home) set("lxc.environment", "HOME=" + user.home, "HOME");
    return {};
  }

  Status take_folder(JsonObject& object) {
    INSTAR_TRY(const auto folder, object.text_or("WorkingDir", ""));
    if (folder.empty() || folder == "/") return {};
    auto path = tree_path(folder);
    if (!path) return fail(with_context(path.error(), "its config: WorkingDir"));
    if (tree_.find(*path) == nullptr) {
      auto item = std::make_shared<MergedItem>();
      item->entry.type = artifact::EntryType::directory;
      item->entry.mode = 0755;
      if (tree_.add(*path, std::move(item)))
        remark("made: the folder /" + *path + ", its WorkingDir, is not in the image");
    }
    set("lxc.init.cwd", "/" + *path, "WorkingDir");
    return {};
  }

  Status take_stop_signal(JsonObject& object) {
    INSTAR_TRY(auto signal, object.text_or("StopSignal", ""));
    const bool is_plain = std::ranges::all_of(
        signal, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-'; });
    const bool is_number = std::ranges::all_of(signal, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_plain) {
      remark("not kept: StopSignal " + shown_name(signal) + ": it is no signal; devices stop it by SIGTERM");
      return {};
    }
    if (!is_number && !signal.starts_with("SIG")) signal = "SIG" + signal;
    if (!signal.empty() && signal != kStopDefault) set("lxc.signal.halt", signal, "StopSignal");
    return {};
  }

  // Why no volume can be there; empty: nothing speaks against it.
  std::string why_no_volume(const std::string& path) {
    if (!wire::is_volume_path(path)) return "it is no path of a folder";
    wire::Container asked;
    asked.volumes.push_back({.name = "volume", .path = path});
    if (!wire::check_volume_paths(asked)) return "what is there belongs to the kernel";
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const MergedItem* const item = tree_.find(path.substr(1, end == std::string::npos ? end : end - 1));
      if (item == nullptr) return {};
      if (item->entry.type != artifact::EntryType::directory)
        return "a link or a file is on the way: name the folder itself, with --volume NAME:/PATH";
      if (end == std::string::npos) return {};
    }
  }

  Status take_volumes(JsonObject& object) {
    const Json* const volumes = object.find("Volumes");
    if (volumes == nullptr) return {};
    if (!volumes->is_object()) return fail(Code::malformed, object.where("Volumes") + " must be an object");
    for (const auto& [given, nothing] : volumes->items()) {
      std::string path = given;
      while (path.size() > 1 && path.ends_with('/')) path.pop_back();
      if (auto why = why_no_volume(path); !why.empty()) {
        remark("not kept: Volumes " + shown_name(given) + ": " + why);
        continue;
      }
      wire::Volume volume;
      volume.path = path;
      volume.name = volume_name(path);
      if (const MergedItem* const item = tree_.find(path.substr(1))) {
        volume.mode = item->entry.mode;
        volume.uid = item->entry.uid;
        volume.gid = item->entry.gid;
      }
      const bool is_twice = std::ranges::find(out_.volumes, volume.name, &wire::Volume::name) != out_.volumes.end();
      if (out_.volumes.size() == limits::kVolumesMax || is_twice) {
        remark("not kept: Volumes " + shown_name(given) + ": give it with --volume NAME:/PATH");
        continue;
      }
      if (tree_.has_children(path.substr(1)))
        remark("the volume " + volume.name + " begins empty: what the image has in " + shown_name(given) +
               " is hidden by it");
      out_.volumes.push_back(std::move(volume));
    }
    return {};
  }

  // "/var/lib/app" → "var-lib-app"
  static std::string volume_name(const std::string& path) {
    std::string name;
    for (const char c : path.substr(1)) name += is_name("x" + std::string(1, c)) ? c : '-';
    while (name.starts_with('.') || name.starts_with('-')) name.erase(0, 1);
    return name.empty() ? std::string("volume") : name.substr(0, limits::kNameBytesMax);
  }

  // Nanoseconds as milliseconds; `otherwise` where it is 0 or absent.
  static Result<std::uint32_t> milliseconds(JsonObject& object, std::string_view key, std::uint32_t otherwise) {
    INSTAR_TRY(const auto ns, object.number_or(key, 0, std::uint64_t{1} << 62));
    if (ns == 0) return otherwise;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(ns / kNanosecondsInMs, 1, limits::kHealthMsMax));
  }

  Status take_healthcheck(JsonObject& object) {
    const Json* const found = object.find("Healthcheck");
    if (found == nullptr) return {};
    INSTAR_TRY(auto check, JsonObject::of(*found, object.where("Healthcheck")));
    INSTAR_TRY(auto test, check.texts("Test"));
    if (test.empty() || test.front() == "NONE") return {};
    wire::Probe probe;
    if (test.front() == "CMD-SHELL") {
      INSTAR_TRY(probe.command, object.texts("Shell"));
      if (probe.command.empty()) probe.command = {"/bin/sh", "-c"};
    } else if (test.front() != "CMD") {
      remark("not kept: Healthcheck: its Test begins with '" + shown_name(test.front()) +
             "', not with CMD or CMD-SHELL");
      return {};
    }
    probe.command.insert(probe.command.end(), test.begin() + 1, test.end());
    if (probe.command.empty()) return {};
    INSTAR_TRY(probe.interval_ms, milliseconds(check, "Interval", probe.interval_ms));
    INSTAR_TRY(probe.timeout_ms, milliseconds(check, "Timeout", probe.timeout_ms));
    INSTAR_TRY(const auto start_ms, milliseconds(check, "StartPeriod", 0));
    INSTAR_TRY(const auto retries, check.number32_or("Retries", 0));
    if (retries > 0) probe.failures_max = retries;
    // Failures do not count while it starts: so many more are allowed, as probes run in that time.
    const std::uint64_t while_starting = (std::uint64_t{start_ms} + probe.interval_ms - 1) / probe.interval_ms;
    probe.failures_max =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(probe.failures_max + while_starting, limits::kHealthMsMax));
    if (const Json* const start = check.find("StartInterval"); start != nullptr && says_something(*start))
      remark("not kept: Healthcheck StartInterval: probes come at the same interval from the start");
    out_.probe = std::move(probe);
    return {};
  }

  void take_labels() {
    for (const auto& [name, value] : get(config_, "Labels").items()) {
      if (!value.is_string()) continue;
      if (origin_.labels.size() == limits::kImageLabelsMax || value.get<std::string>().size() > limits::kTextBytesMax) {
        remark("not kept: the label " + shown_name(name));
      } else {
        origin_.labels.emplace_back(name, value.get<std::string>());
      }
    }
  }

  void take_ports() {
    std::vector<std::string> ports;
    for (const auto& [port, nothing] : get(config_, "ExposedPorts").items()) ports.push_back(shown_name(port));
    if (ports.empty()) return;
    remark("it listens on " + joined(ports, ", ") +
           ": the device's configuration says which network containers have (network in docs/device.md); no port is "
           "forwarded");
  }

  void name_the_others() {
    for (const auto& [key, value] : config_.items()) {
      const bool is_known = std::ranges::find(kKnownKeys, key) != kKnownKeys.end();
      if (!is_known && says_something(value)) remark("not kept: " + shown_name(key));
    }
  }

  const Json& config_;
  MergedTree& tree_;
  Origin& origin_;
  ImageContainer& out_;
};

}  // namespace

Status take_image_config(const Json& document, MergedTree& tree, Origin& origin) {
  return ConfigReader(get(document, "config"), tree, origin).read();
}

}  // namespace instar::publisher
