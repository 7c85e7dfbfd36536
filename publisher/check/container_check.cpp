#include "publisher/check/container_check.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>

#include "core/base/limits.hpp"
#include "core/wire/image_format.hpp"
#include "publisher/archive/origin.hpp"
#include "publisher/check/pack_content.hpp"
#include "publisher/check/program_check.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kDefaultInit = "/sbin/init";
constexpr std::string_view kOtherInits[] = {
    "/init", "/usr/sbin/init", "/bin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/linuxrc"};

std::uint32_t number_of(const std::string& text) {
  std::uint32_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// How LXC starts the container's init: the client's defaults, and the settings of the release over them.
ProgramStart start_of(const wire::Container& container) {
  ProgramStart start;
  for (const auto& [key, value] : container.settings) {
    if (key == "lxc.environment" && value.starts_with("PATH=")) start.search_path = value.substr(5);
    if (key == "lxc.environment" && value.starts_with("LD_LIBRARY_PATH=")) start.library_path = value.substr(16);
    if (key == "lxc.init.cwd") start.folder = value;
    if (key == "lxc.init.uid") start.uid = number_of(value);
    if (key == "lxc.init.gid") start.gid = number_of(value);
  }
  return start;
}

std::vector<std::string> init_of(const wire::Container& container) {
  if (!container.init.empty()) return container.init;
  for (const auto& [key, value] : container.settings) {
    if (key != "lxc.init.cmd") continue;
    if (auto words = split_words(value); words && !words->empty()) return *std::move(words);
  }
  return {kDefaultInit};
}

// What the container sees of its tree only until it starts.
void cover_mounts(const wire::Container& container, TreePaths& paths) {
  for (const auto* folder : {"/proc", "/sys", "/dev"}) paths.cover(folder, "");
  for (const auto& volume : container.volumes) paths.cover(volume.path, "the volume '" + volume.name + "'");
  for (const auto& [key, value] : container.settings) {
    if (key != "lxc.mount.entry") continue;
    const auto words = split_words(value);
    if (words && words->size() > 1) paths.cover((*words)[1], "");
  }
}

// Also one that is a link to nothing; not where only a folder on the way is a link.
bool has_default_init(const TreePaths& paths) {
  const auto place = paths.find(kDefaultInit);
  return place.end != PlaceInTree::End::missing || place.links.find("/init -> ") != std::string::npos;
}

std::string other_init(const TreePaths& paths) {
  for (const auto path : kOtherInits)
    if (paths.has_file(path)) return " (there is " + std::string(path) + ")";
  return {};
}

class ContainerChecker {
 public:
  ContainerChecker(const wire::Container& container, const std::vector<artifact::Entry>& entries, TreeContent& content,
                   TreeFindings& findings)
      : container_(container), paths_(entries), programs_(paths_, content), findings_(findings) {
    cover_mounts(container, paths_);
  }

  Status run() {
    const auto start = start_of(container_);
    check_folder(start.folder);
    const auto init = init_of(container_);
    const bool is_default = container_.init.empty() && init.front() == kDefaultInit;
    if (is_default && !has_default_init(paths_)) {
      findings_.wrong.push_back(named("init") + "the tree has no " + kDefaultInit +
                                ": name what starts instead by --init, or by `init` in the release file" +
                                other_init(paths_));
    } else {
      INSTAR_CHECK(check("init", init, start));
    }
    if (!container_.health.probe || container_.health.probe->command.empty()) return {};
    return check("probe", container_.health.probe->command, ProgramStart{});
  }

 private:
  [[nodiscard]] std::string named(std::string_view what) const {
    return "container '" + container_.name + "', " + std::string(what) + ": ";
  }

  void check_folder(const std::string& folder) {
    const auto place = paths_.find(folder);
    const bool is_seen = place.end != PlaceInTree::End::hidden && place.end != PlaceInTree::End::unknown;
    const bool is_folder = place.entry != nullptr && place.entry->type == artifact::EntryType::directory;
    if (is_seen && !is_folder)
      findings_.wrong.push_back(named("lxc.init.cwd") + "there is no folder " + folder + " in the tree: add it");
  }

  Status check(std::string_view what, const std::vector<std::string>& command, const ProgramStart& start) {
    INSTAR_TRY(auto checked, programs_.check(command, start));
    for (auto& sentence : checked.wrong) findings_.wrong.push_back(named(what) + sentence);
    for (auto& sentence : checked.notes) findings_.notes.push_back(named(what) + sentence);
    if (checked.machine)
      findings_.machines.push_back({checked.path + " of container '" + container_.name + "'", *checked.machine});
    return {};
  }

  const wire::Container& container_;
  TreePaths paths_;
  ProgramCheck programs_;
  TreeFindings& findings_;
};

// An artifact folder whose files can be read.
struct OpenFolder {
  std::vector<artifact::Entry> entries;
  std::unique_ptr<PackContent> content;
};

Result<std::unique_ptr<OpenFolder>> open_folder(const ArtifactFolder& folder) {
  auto opened = std::make_unique<OpenFolder>();
  INSTAR_TRY(opened->entries, read_index_of(folder));
  opened->content = std::make_unique<PackContent>(folder, opened->entries);
  return opened;
}

void check_machines(const wire::Requirements& requirements, TreeFindings& findings) {
  for (const auto& program : findings.machines) {
    const auto& first = findings.machines.front();
    if (!may_share_kernel(first.machine, program.machine)) {
      findings.wrong.push_back(program.program + " is for " + machine_name(program.machine) + ", and " + first.program +
                               " for " + machine_name(first.machine) +
                               ": no device runs both; pack trees for one machine");
      return;
    }
    for (const auto& name : requirements.architectures) {
      if (may_run_on(program.machine, name)) continue;
      findings.wrong.push_back(program.program + " is for " + machine_name(program.machine) +
                               ", and the release asks for devices of " + name +
                               ": pack a tree for them, or take it out of --requires-arch");
      return;
    }
  }
}

}  // namespace

Status check_container(const wire::Container& container, const std::vector<artifact::Entry>& entries,
                       TreeContent& content, TreeFindings& findings) {
  return ContainerChecker(container, entries, content, findings).run();
}

Result<TreeFindings> check_containers(std::span<const ContainerOfTree> containers,
                                      const wire::Requirements& requirements) {
  TreeFindings findings;
  std::map<std::string, std::unique_ptr<OpenFolder>> opened;
  for (const auto& [container, folder] : containers) {
    if (!container.handler.empty()) continue;
    if (folder.image_format != wire::ImageFormat::none) {
      findings.notes.push_back("container '" + container.name + "': not looked into, because " + folder.path +
                               " is an image (" + std::string(wire::image_format_name(folder.image_format)) + ")");
      continue;
    }
    auto& tree = opened[folder.path];
    if (!tree) {
      INSTAR_TRY(tree, open_folder(folder));
    }
    INSTAR_CHECK(check_container(container, tree->entries, *tree->content, findings));
  }
  check_machines(requirements, findings);
  return findings;
}

Result<std::vector<std::string>> check_default_init(const ArtifactFolder& folder) {
  if (folder.image_format != wire::ImageFormat::none) return std::vector<std::string>{};
  INSTAR_TRY(const auto tree, open_folder(folder));
  if (folder.origin && folder.origin->is_image()) {
    wire::Container container;
    container.name = "app";
    complete_container(folder.origin->container, container);
    TreeFindings findings;
    INSTAR_CHECK(check_container(container, tree->entries, *tree->content, findings));
    for (auto& note : findings.notes) findings.wrong.push_back(std::move(note));
    return std::move(findings.wrong);
  }
  const TreePaths paths(tree->entries);
  if (!has_default_init(paths)) return std::vector<std::string>{};
  ProgramCheck programs(paths, *tree->content);
  INSTAR_TRY(auto checked, programs.check({kDefaultInit}, {}));
  for (auto& note : checked.notes) checked.wrong.push_back(std::move(note));
  return std::move(checked.wrong);
}

Status refuse_if_wrong(const std::vector<std::string>& wrong) {
  if (wrong.empty()) return {};
  std::string text = "this release cannot run on its devices (--unchecked sends it all the same)";
  for (const auto& sentence : wrong) text += "\n  " + sentence;
  return fail(Code::invalid_argument, std::move(text));
}

}  // namespace instar::publisher
