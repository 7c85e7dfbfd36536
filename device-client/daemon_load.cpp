// How the daemon comes by its state: from the state file, the anchor, the factory revision, or the pinned root.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "core/base/limits.hpp"
#include "core/trust/root.hpp"
#include "device-client/daemon.hpp"
#include "device-client/factory.hpp"
#include "device-client/host.hpp"
#include "files/files.hpp"
#include "files/spared_file.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

std::vector<std::uint32_t> revision_folders(const std::string& state_dir) {
  std::vector<std::uint32_t> numbers;
  std::error_code error;
  for (fs::directory_iterator it(state_dir + "/revisions", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::uint32_t number = 0;
    const auto [stop, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (bad == std::errc() && stop == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

Status Daemon::load() {
  const Config& config = parts_.config;
  Bytes state;
  if (auto read = files::read_spared_file(state_path(config.state_dir), limits::kStateFileBytesMax))
    state = std::move(*read);
  else if (read.error().code != Code::not_found)
    return fail(read.error());
  // An empty file is what a power cut made of it on a file system that keeps no order: as good as none.
  const bool has_file = !state.empty();
  if (!has_file) state = factory_state();
  revision::Effects effects;
  const auto anchor = load_anchor();
  auto root = files::read_file(config.root_file, limits::kMessageBytesMax);
  if (!root && state.empty() && !anchor)
    return fail(with_context(root.error(), "root_file (the fleet's first root document, from `instar keygen`)"));
  const Bytes pinned = root ? std::move(*root) : Bytes();
  if (state.empty()) state = state_after_folders(pinned, anchor);
  if (!has_file && anchor)
    parts_.facts.description.degraded.push_back("the state file was lost: started anew from the anchor");
  const auto make = [&] {
    return revision::Machine::load(parts_.facts, parts_.key, config.topics, state, pinned, now_, effects, anchor);
  };
  auto machine = make();
  if (!machine && has_file && (machine.error().code == Code::corrupt || machine.error().code == Code::malformed)) {
    const std::string aside = ".unreadable-" + std::to_string(now_.wall.value);
    parts_.log.error("the state file cannot be read (" + machine.error().message +
                     "); starting anew, what was there is kept with the ending " + aside);
    INSTAR_CHECK(move_aside(aside));
    state = factory_state();
    effects.clear();
    parts_.facts.description.degraded.push_back(
        "the state file was damaged: started anew" + std::string(state.empty() ? "" : " from the factory revision") +
        (anchor ? ", with the root document and the sequence of the anchor" : ""));
    machine = make();
  }
  if (!machine) return fail(machine.error());
  machine_ = std::move(*machine);
  remember_leftover_revisions();
  carry_out(effects);
  if (failed_) return fail(with_context(failure_, "the state file could not be written"));
  return {};
}

std::optional<revision::Anchor> Daemon::load_anchor() {
  const auto path = anchor_path(parts_.config.state_dir);
  const auto bytes = files::read_spared_file(path, limits::kStateFileBytesMax);
  if (!bytes && bytes.error().code == Code::not_found) return std::nullopt;
  auto anchor = bytes ? revision::decode_anchor(*bytes) : Result<revision::Anchor>(fail(bytes.error()));
  if (anchor) return std::move(*anchor);
  parts_.log.error(path + " cannot be read (" + anchor.error().message + "); it is made anew from the state file");
  parts_.facts.description.degraded.push_back("the anchor file was damaged: made anew from the state file");
  return std::nullopt;
}

// Folders of a state that was lost keep their numbers, because containers may run from them.
Bytes Daemon::state_after_folders(const Bytes& pinned, const std::optional<revision::Anchor>& anchor) const {
  std::uint32_t last = 0;
  for (const auto number : revision_folders(parts_.config.state_dir)) last = std::max(last, number);
  if (last == 0) return {};
  revision::DeviceState fresh;
  fresh.root = anchor && !trust::claimed_version(pinned) ? anchor->root : pinned;
  fresh.revisions.next_number = last + 1;
  return revision::encode_state(fresh);
}

// Revision numbers start again, so what was staged is moved away. The factory revision stays, with its numbers.
// Containers run on, because their mounts stay. The state file is moved last, so that after a crash all of this is done
// again.
Status Daemon::move_aside(const std::string& ending) const {
  const std::string& folder = parts_.config.state_dir;
  const auto& factory = parts_.facts.factory;
  INSTAR_CHECK(files::make_folders(folder + "/revisions" + ending, 0700));
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder + "/revisions", error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  for (const auto& name : names) {
    if (factory && name == std::to_string(factory->number)) continue;
    fs::rename(folder + "/revisions/" + name, folder + "/revisions" + ending + "/" + name, error);
    if (error) return fail(Code::io, "cannot move revision " + name + " aside: " + error.message());
  }
  fs::rename(state_path(folder), state_path(folder) + ending, error);
  if (error) return fail(Code::io, "cannot move the state file aside: " + error.message());
  return files::sync_folder(folder);
}

// What a device without a state starts from. Empty: it starts from nothing.
Bytes Daemon::factory_state() const {
  const auto factory = read_factory(parts_.config.state_dir);
  return factory && *factory ? revision::encode_state(**factory) : Bytes();
}

// Folders of revisions that the state does not know. A daemon that was killed before it removed them left them behind.
void Daemon::remember_leftover_revisions() {
  const auto view = machine_->view();
  for (const auto number : revision_folders(parts_.config.state_dir)) {
    if (parts_.facts.factory && number == parts_.facts.factory->number) continue;
    if (!view.revisions.contains(number)) deferred_.insert(number);
  }
}

}  // namespace instar::device
