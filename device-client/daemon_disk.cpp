// What the daemon does about its disk: the reserve, what it says when there is no room, and what containers have
// written.
#include <filesystem>
#include <string>

#include "core/base/limits.hpp"
#include "device-client/containers/layers.hpp"
#include "device-client/daemon.hpp"
#include "device-client/host.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

// Between two looks at the disk: while there is work on it, while it is full, and while there is room.
constexpr std::int64_t kBusyMs = 1'000;
constexpr std::int64_t kFullMs = 5'000;
constexpr std::int64_t kRoomMs = 60'000;
// What a start of containers gets of the reserve, for LXC's log and the work folder of an overlay: a part of it, since
// disks are small where it is small, and XFS, which is large, wants a quarter of a MiB free to make one folder.
constexpr std::uint64_t kStartPart = 8;
constexpr std::uint32_t kStartInodes = 16;
// A layer is what fills a disk if it is so large a part of it.
constexpr std::uint64_t kLargePart = 8;

std::string layers_of(const std::string& state_dir, std::uint32_t revision) {
  return state_dir + "/revisions/" + std::to_string(revision) + "/containers";
}

}  // namespace

void Daemon::look_at_disk() {
  const auto phase = machine_->view().phase;
  const bool is_calm = (phase == "idle" || phase == "waiting") && !staging_busy_;
  const bool goes_on = parts_.reserve && is_calm && parts_.reserve->refill();
  const auto space = files::free_space(parts_.config.state_dir);
  if (space) {
    const bool is_whole = !parts_.reserve || parts_.reserve->is_whole();
    static_cast<void>(disk_.look(*space, is_whole, [this] { return largest_layer(); }));
  }
  if (space && is_calm) {
    clear_dead_layers(*space);
    clear_full_layer();
    // A layer comes into the trash when its container has stopped, which may be after the stager looked there.
    if (disk_.is_short()) parts_.staging->discard("", "");
  }
  disk_look_at_ = now_.monotonic + (staging_busy_ || goes_on ? kBusyMs : disk_.is_short() ? kFullMs : kRoomMs);
  say_trouble();
}

bool Daemon::is_disk_full() const {
  const auto space = files::free_space(parts_.config.state_dir);
  return space && is_full(*space);
}

bool Daemon::make_start_room() {
  if (!parts_.reserve) return false;
  const bool is_made = parts_.reserve->release(parts_.reserve->bytes_whole() / kStartPart);
  parts_.reserve->release_inodes(kStartInodes);
  disk_look_at_ = now_.monotonic;
  return is_made;
}

bool Daemon::has_more_to_give() const {
  const auto view = machine_->view();
  if (parts_.config.previous_makes_room && view.previous_revision != 0) return true;
  for (const auto number : view.revisions) {
    const bool is_kept = number == view.current_revision || number == view.previous_revision ||
                         number == view.candidate_revision ||
                         (parts_.facts.factory && number == parts_.facts.factory->number);
    if (!is_kept && !deferred_.contains(number) &&
        files::exists(parts_.config.state_dir + "/revisions/" + std::to_string(number)))
      return true;
  }
  return false;
}

// Nothing that runs, or may run as it was: what an ended attempt has left is there for its content. On a full disk the
// layers of the revisions that can be gone back to are less than what runs.
void Daemon::clear_dead_layers(const files::Space& space) {
  if (!supervisor_.knows_what_runs()) return;
  const auto used = supervisor_.revisions_in_use();
  const auto view = machine_->view();
  const bool is_short = is_full(space) || disk_.is_short();
  for (const auto number : view.revisions) {
    if (number == view.current_revision || used.contains(number)) continue;
    const bool can_come_back =
        number == view.previous_revision || (parts_.facts.factory && number == parts_.facts.factory->number);
    const auto path = layers_of(parts_.config.state_dir, number);
    if ((can_come_back && !is_short) || !files::exists(path)) continue;
    parts_.log.info("what the containers of revision " + std::to_string(number) + " have written is removed");
    parts_.staging->discard(path, "layers-" + std::to_string(number));
    staging_busy_ = true;
  }
}

std::string Daemon::largest_layer() const {
  std::string name;
  LayerSize largest;
  for (const auto& layer : supervisor_.layers()) {
    const auto size = size_of_layer(layer.folder);
    if (size.bytes < largest.bytes) continue;
    largest = size;
    name = layer.container;
  }
  if (name.empty()) return "";
  return "container '" + name + "' has written " + mib_text(largest.bytes) + " in " + std::to_string(largest.files) +
         " files beside its volumes" +
         (parts_.config.clear_full_layer ? "" : " (clear_full_layer = yes lets the client clear that)");
}

// One that is over its bound, or that fills the disk.
void Daemon::clear_full_layer() {
  const auto& config = parts_.config;
  const bool has_bound = config.layer_mib_max != 0 || config.layer_files_max != 0;
  layer_trouble_.clear();
  if ((!has_bound && !(disk_.is_short() && config.clear_full_layer)) || !supervisor_.knows_what_runs()) return;
  const auto space = files::free_space(config.state_dir);
  for (const auto& layer : supervisor_.layers()) {
    const auto size = size_of_layer(layer.folder);
    // A quota counts a little more than can be seen.
    const auto reaches = [](std::uint64_t has, std::uint64_t bound) { return bound != 0 && has >= bound - bound / 16; };
    const bool is_over =
        reaches(size.bytes, std::uint64_t{config.layer_mib_max} << 20U) || reaches(size.files, config.layer_files_max);
    const bool fills =
        disk_.is_short() && space &&
        (size.bytes >= space->bytes / kLargePart || (space->inodes != 0 && size.files >= space->inodes / kLargePart));
    if (!is_over && !fills) continue;
    const bool was_cleared = layer_cleared_ && now_.monotonic - *layer_cleared_ < limits::kLayerClearPauseMs;
    layer_trouble_ = "container '" + layer.container + "' has written as much as it may beside its volumes" +
                     (!config.clear_full_layer ? " (layer_mib_max, layer_files_max)"
                      : was_cleared            ? ", again within ten minutes"
                                               : "");
    if (!config.clear_full_layer || was_cleared) continue;
    parts_.log.warning("container " + layer.container + " has written " + mib_text(size.bytes) + " in " +
                       std::to_string(size.files) +
                       " files beside its volumes: it is stopped, that is cleared, and it is started again");
    layer_cleared_ = now_.monotonic;
    supervisor_.clear_layer(layer.lxc_name);
    parts_.staging->discard("", "");
    staging_busy_ = true;
    return;
  }
}

void Daemon::say_trouble() {
  auto lines = parts_.troubles;
  for (const auto& line : {disk_.trouble(), layer_trouble_, connect_trouble_})
    if (!line.empty()) lines.push_back(line);
  if (lines == troubles_) return;
  troubles_ = lines;
  handle(revision::HostTrouble{std::move(lines)});
}

}  // namespace instar::device
