// build_artifact(): a tree on disk, an image file, an archive or a container image becomes an artifact folder.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "core/artifact/index.hpp"
#include "files/files.hpp"
#include "files/tree.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/artifact/source_tree.hpp"

namespace instar::publisher {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(100);

bool ours(const std::string& name) {
  return name == kArtifactFile || name == kIndexFile || name.ends_with(".pack") || name.ends_with(".pack.body") ||
         name.ends_with(".new");
}

// The folder that an artifact is made in. Unless keep() is called, the destructor removes what we wrote, and the folder
// itself if it was new; what was moved aside comes back.
class OutFolder {
 public:
  // Opens a folder that is new, empty, or an earlier artifact folder. Nothing in it is changed before begin().
  static Result<OutFolder> prepare(const BuildOptions& options) {
    const auto names = list_names(options.out);
    for (const auto& name : names) {
      if (!ours(name)) {
        return fail(Code::invalid_argument, options.out + " holds '" + name +
                                                "', which is not part of an artifact: choose a new or empty folder");
      }
    }
    const bool is_new = real_path(options.out).empty();
    INSTAR_CHECK(files::make_folders(options.out));
    OutFolder folder(options.out, is_new);
    if (real_path(options.tree).empty()) return fail(Code::not_found, options.tree + ": no such folder or file");
    if (lies_inside(options.out, options.tree)) {
      folder.keep();
      if (is_new) ::rmdir(options.out.c_str());
      return fail(Code::invalid_argument,
                  options.out + " lies inside the tree " + options.tree + ", and would be packed too: choose another");
    }
    return folder;
  }

  // Empties it for the artifact `id`. One of other content is moved aside, if it may be replaced. Errors:
  // invalid_argument, io.
  Status begin(const ArtifactId& id, bool replace) {
    if (is_artifact_folder(path_)) {
      const auto before = listed_artifact(path_);
      const bool is_same = before && *before == id;
      if (!is_same && !replace)
        return fail(Code::invalid_argument,
                    path_ + " holds another artifact" + (before ? " (" + before->short_hex() + ")" : "") +
                        ". Where devices run it, it is the base of their next delta: choose another folder with -o, or "
                        "give --replace, which keeps that artifact beside the new one");
      if (!is_same && before) INSTAR_CHECK(move_aside(*before));
    }
    is_begun_ = true;
    empty();
    return files::sync_folder(path_);
  }

  OutFolder(OutFolder&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        is_new_(other.is_new_),
        is_begun_(other.is_begun_),
        aside_(std::exchange(other.aside_, {})),
        is_moved_(other.is_moved_) {}
  OutFolder& operator=(OutFolder&&) = delete;
  ~OutFolder() {
    if (path_.empty()) return;
    if (is_begun_) empty();
    if (is_new_) ::rmdir(path_.c_str());
    if (is_moved_) ::rename(aside_.c_str(), path_.c_str());
  }
  void keep() noexcept { path_.clear(); }
  // Where the artifact is that stood here; empty: none did.
  [[nodiscard]] const std::string& aside() const noexcept { return aside_; }

 private:
  OutFolder(std::string path, bool is_new) : path_(std::move(path)), is_new_(is_new) {}
  // To a folder beside this one, where `publish` finds it as a base.
  Status move_aside(const ArtifactId& id) {
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
    aside_ = path_ + "-" + id.short_hex();
    if (const auto there = listed_artifact(aside_); there && *there == id) return {};  // kept by an earlier run
    if (::rename(path_.c_str(), aside_.c_str()) != 0) {
      const int number = errno;
      return files::os_error("keeping the artifact that is there, as " + aside_ + ", from", path_, number);
    }
    is_moved_ = is_new_ = true;
    return files::make_folders(path_);
  }
  void empty() const {
    ::unlink((path_ + "/" + std::string(kArtifactFile)).c_str());
    for (const auto& name : list_names(path_)) {
      if (ours(name)) ::unlink((path_ + "/" + name).c_str());
    }
  }
  std::string path_;
  bool is_new_;
  bool is_begun_ = false;
  std::string aside_;
  bool is_moved_ = false;
};

// Passes chunks on until the work is to stop.
class StoppableSink final : public artifact::PackSink {
 public:
  StoppableSink(artifact::PackSink& sink, const Work& work) : sink_(sink), work_(work) {}
  Status put(bool head, std::uint32_t ordinal, const artifact::ChunkRef& ref, ByteView encoded) override {
    INSTAR_CHECK(work_.go_on());
    return sink_.put(head, ordinal, ref, encoded);
  }

 private:
  artifact::PackSink& sink_;
  const Work& work_;
};

struct Job {
  artifact::PackKind kind;
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> all{0};
  std::future<Status> result;
};

// Runs on its own thread. It shares only the counters and the read-only index.
Status build_pack(const BuildOptions& options, ByteView index, const std::vector<artifact::Entry>& entries, Job& job) {
  const std::string path = options.out + "/" + std::string(artifact::pack_kind_name(job.kind)) + ".pack";
  INSTAR_TRY(auto writer, PackFileWriter::create(path));
  const auto source = files::tree_source(options.tree);
  artifact::PackOptions pack_options;
  pack_options.kind = job.kind;
  pack_options.level = options.level;
  pack_options.progress = [&job](std::uint64_t done, std::uint64_t all) {
    job.all = all;
    job.done = done;
  };
  StoppableSink sink(writer, options.work);
  INSTAR_TRY(const auto directory, artifact::make_pack(index, entries, *source, sink, pack_options));
  return writer.finish(directory);
}

Status build_packs(const BuildOptions& options, ByteView index, const std::vector<artifact::Entry>& entries) {
  std::vector<std::unique_ptr<Job>> jobs;
  for (const auto kind : options.kinds) {
    jobs.push_back(std::make_unique<Job>());
    jobs.back()->kind = kind;
  }
  for (auto& job : jobs) {
    job->result = std::async(std::launch::async, [&options, index, &entries, &job = *job] {
      return build_pack(options, index, entries, job);
    });
  }
  Status first_error;
  for (auto& job : jobs) {
    while (job->result.wait_for(kProgressInterval) != std::future_status::ready) {
      std::uint64_t done = 0;
      std::uint64_t all = 0;
      for (const auto& each : jobs) {
        done += each->done;
        all += each->all;
      }
      options.work.tell("compressing", done, all);
    }
    auto status = job->result.get();
    if (!status && first_error) first_error = std::move(status);
  }
  return first_error;
}

Result<Bytes> write_index(const std::vector<artifact::Entry>& entries, bool devices_allowed, ArtifactId& id) {
  Bytes bytes;
  artifact::IndexWriter writer(bytes, {.devices_allowed = devices_allowed});
  for (const auto& entry : entries) INSTAR_CHECK(writer.append(entry));
  INSTAR_TRY(id, writer.finish());
  return bytes;
}

Result<SourceTree> read_source(const BuildOptions& options) {
  SourceOptions how;
  how.rules.devices_allowed = options.devices_allowed;
  how.keep_times = options.keep_times;
  how.notes = options.notes;
  how.image = options.image;
  how.work = options.work;
  return open_source(options.tree, parent_folder(options.out), how);
}

}  // namespace

Result<ArtifactFolder> build_artifact(const BuildOptions& given, std::optional<SourceTree>* source_out) {
  BuildOptions options = given;
  std::ranges::sort(options.kinds);
  options.kinds.erase(std::unique(options.kinds.begin(), options.kinds.end()), options.kinds.end());
  if (options.kinds.empty() || options.kinds.front() != artifact::PackKind::full) {
    return fail(Code::invalid_argument,
                "every artifact needs the pack kind `full`: it is what a device takes when nothing else fits");
  }
  if (options.kinds.back() == artifact::PackKind::delta) {
    return fail(Code::invalid_argument,
                "a delta needs the artifact that it is against: only full and dedupe can be made of a tree alone");
  }
  INSTAR_TRY(auto out, OutFolder::prepare(options));
  INSTAR_TRY(auto source, read_source(options));
  options.tree = source.folder;
  const auto& entries = source.entries;
  ArtifactId id;
  INSTAR_TRY(const auto index, write_index(entries, options.devices_allowed, id));
  INSTAR_CHECK(out.begin(id, options.replace));
  INSTAR_CHECK(files::write_file_atomic(options.out + "/" + std::string(kIndexFile), index));
  INSTAR_CHECK(build_packs(options, index, entries));

  ArtifactFolder folder{.path = options.out, .id = id, .packs = {}, .weights = {}};
  folder.image_format = source.format;
  folder.origin = source.origin;
  for (const auto kind : options.kinds) {
    INSTAR_TRY(auto pack, PackFile::open(options.out + "/" + std::string(artifact::pack_kind_name(kind)) + ".pack"));
    folder.packs.push_back(std::move(pack));
  }
  count_holes(folder);
  const auto files = artifact::stream_files(entries);
  folder.content_bytes = files.empty() ? 0 : files.back().offset + files.back().size;
  folder.entry_count = static_cast<std::uint32_t>(entries.size());
  folder.index_bytes = static_cast<std::uint32_t>(index.size());
  INSTAR_CHECK(write_listing(folder));
  folder.kept_aside = out.aside();
  out.keep();
  if (source_out != nullptr) *source_out = std::move(source);
  return folder;
}

}  // namespace instar::publisher
