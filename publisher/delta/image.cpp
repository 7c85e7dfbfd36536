#include "publisher/delta/image.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "core/artifact/holes.hpp"
#include "core/delta/make/image_plan.hpp"
#include "core/trust/digest.hpp"
#include "publisher/delta/match.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using delta::BaseKind;
using delta::FileDelta;
using delta::ImageMap;
using delta::ImageRun;
using delta::PlannedPart;

// Files in an image, or parts of them.
class ImageContents final : public Contents {
 public:
  // Both must outlive this object.
  ImageContents(ByteView image, const ImageMap& map) : image_(image), map_(map) {}
  // `number`: by which the caller knows it.
  void add(const std::string& path, const std::vector<ImageRun>& runs, std::size_t number) {
    Entry entry;
    entry.path = path;
    for (const ImageRun& run : runs) entry.size += run.bytes;
    // Stands for its content: each has another, since what files of an image share is in it once.
    entry.content = trust::digest(as_bytes(path + "#" + std::to_string(number)));
    entries_.push_back(std::move(entry));
    files_.push_back({&runs, number});
  }
  [[nodiscard]] const std::vector<Entry>& entries() const override { return entries_; }
  [[nodiscard]] Result<Bytes> read(const Entry& file) const override {
    return delta::unpack_runs(image_, map_, *files_[at(file)].runs);
  }
  [[nodiscard]] std::size_t number(const Entry& file) const { return files_[at(file)].number; }

 private:
  struct File {
    const std::vector<ImageRun>* runs = nullptr;
    std::size_t number = 0;
  };
  [[nodiscard]] std::size_t at(const Entry& file) const { return static_cast<std::size_t>(&file - entries_.data()); }

  ByteView image_;
  const ImageMap& map_;
  std::vector<Entry> entries_;
  std::vector<File> files_;
};

delta::RunTasks on_threads(unsigned jobs, const Work& work) {
  return [jobs, &work](std::size_t count, const std::function<void(std::size_t)>& run) {
    std::atomic<std::size_t> next = 0;
    const auto loop = [&] {
      for (std::size_t i = next++; i < count && work.go_on(); i = next++) run(i);
    };
    const unsigned threads = jobs == 0 ? std::max(1U, std::thread::hardware_concurrency()) : jobs;
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back(loop);
    loop();
    for (auto& thread : others) thread.join();
  };
}

class ImageDelta {
 public:
  ImageDelta(ByteView old, const ImageMap& old_map, ByteView now, const ImageMap& now_map, delta::ImagePlan plan)
      : plan_(std::move(plan)), old_(old, old_map), now_(now, now_map) {
    std::unordered_set<std::string> paths;
    for (std::size_t i = 0; i < old_map.files.size(); ++i) {
      const auto& file = old_map.files[i];
      const bool is_first = paths.insert(file.path).second;
      if (is_first && !plan_.old_files[i].empty()) old_.add(file.path, file.runs, i);
    }
    for (std::size_t i = 0; i < plan_.parts.size(); ++i) {
      if (!plan_.parts[i].is_exact) now_.add(plan_.parts[i].path, plan_.parts[i].runs, i);
    }
    for (const Entry& entry : old_.entries()) by_path_.emplace(entry.path, &entry);
  }

  Status add_to(delta::DeltaMaker& maker, const DeltaOptions& options) {
    std::vector<DeltaMatcher::Task> tasks;
    for (const Entry& entry : now_.entries()) tasks.push_back({&entry, place_of(entry.path)});
    DeltaMatcher matcher(old_, now_, tasks, options.jobs, options.match_bytes_max, options.work);
    std::uint64_t all = 0;
    std::uint64_t done = 0;
    for (const PlannedPart& part : plan_.parts) all += part.content_bytes;
    for (const PlannedPart& part : plan_.parts) {
      options.work.tell("comparing", done, all);
      INSTAR_CHECK(options.work.go_on());
      if (part.is_exact) {
        maker.add_part(exact_control(part), exact(part), part.steps);
      } else {
        INSTAR_TRY(auto matched, matcher.next());
        const auto control = control_of(part, matched);
        maker.add_part(control, matched, part.steps);
      }
      done += part.content_bytes;
    }
    options.work.tell("comparing", done, all);
    return {};
  }

  [[nodiscard]] const delta::BlockHead& head() const { return plan_.head; }

 private:
  const Entry* place_of(const std::string& path) const {
    const auto found = by_path_.find(path);
    return found == by_path_.end() ? nullptr : found->second;
  }

  static delta::PartControl exact_control(const PlannedPart& part) {
    delta::PartControl control;
    control.spec = part.spec;
    control.extents = part.extents;
    if (part.content_bytes > 0) control.file.base = BaseKind::same_path;
    return control;
  }

  static FileDelta exact(const PlannedPart& part) {
    FileDelta made;
    made.size = part.content_bytes;
    if (made.size == 0) return made;
    made.operations.push_back({0, static_cast<std::uint32_t>(made.size), 0});
    made.difference.resize(static_cast<std::size_t>(made.size));
    return made;
  }

  delta::PartControl control_of(const PlannedPart& part, const FileDelta& matched) const {
    delta::PartControl control;
    control.spec = part.spec;
    control.file = matched.control;
    if (matched.control.base == BaseKind::none) return control;
    const std::string& path = matched.control.base == BaseKind::path ? matched.control.base_path : part.path;
    control.extents = plan_.old_files[old_.number(*place_of(path))];
    control.file.base = BaseKind::same_path;
    control.file.base_path.clear();
    return control;
  }

  delta::ImagePlan plan_;
  ImageContents old_;
  ImageContents now_;
  std::unordered_map<std::string_view, const Entry*> by_path_;
};

}  // namespace

bool may_be_image(ByteView start) noexcept {
  return as_text(start).starts_with("hsqs");
}

Result<bool> add_image(ByteView old, ByteView now, const DeltaOptions& options, delta::DeltaMaker& maker) {
  const auto old_map = delta::map_squashfs(old);
  auto now_map = old_map ? delta::map_squashfs(now) : std::nullopt;
  if (!now_map) return false;
  auto plan = delta::plan_image(old, *old_map, now, *now_map, on_threads(options.jobs, options.work));
  INSTAR_CHECK(options.work.go_on());
  if (!plan) return false;
  ImageDelta image(old, *old_map, now, *now_map, std::move(*plan));
  delta::FileControl control;
  control.base = BaseKind::same_path;
  control.is_blocks = true;
  control.blocks = image.head();
  maker.begin_blocks(control, now.size(), artifact::blocks_without_holes(now));
  INSTAR_CHECK(image.add_to(maker, options));
  return true;
}

}  // namespace instar::publisher
