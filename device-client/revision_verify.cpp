#include "device-client/revision_verify.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "device-client/factory.hpp"
#include "device-client/process/json_line.hpp"
#include "device-client/staging/hashing.hpp"
#include "device-client/staging/index.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {
namespace {

using artifact::Entry;
using artifact::EntryType;
using files::StagingTree;

// The hash of the index is compared at the end.
constexpr artifact::IndexRules kRules{.devices_allowed = true, .hardlinks_looked_up = false, .contents_known = true};
constexpr std::string_view kUnreadable = "cannot be read";

class TreeCheck {
 public:
  TreeCheck(StagingTree tree, TreeVerdict& verdict) : tree_(std::move(tree)), verdict_(verdict) {}

  void entry(const Entry& entry) {
    ++verdict_.entries;
    switch (entry.type) {
      case EntryType::directory: return folder(entry);
      case EntryType::file: return file(entry);
      case EntryType::symlink: {
        const auto target = tree_.read_symlink(entry.path);
        if (!target || *target != entry.target) fault(entry.path, "is not the link it should be");
        return;
      }
      case EntryType::hardlink:
        if (!is_name_of(entry.path, entry.target)) fault(entry.path, "is not another name of " + entry.target);
        return;
      case EntryType::char_device:
      case EntryType::block_device:
      case EntryType::fifo: {
        const auto special = tree_.is_special(entry);
        if (!special || !*special) fault(entry.path, "is not the device node it should be");
        return;
      }
    }
  }

  // Finds entries that the index does not name.
  void count(std::uint64_t expected) {
    std::uint64_t found = 1;  // the folder itself
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(tree_.path(), error), end; !error && it != end;
         it.increment(error))
      ++found;
    if (error) return fault("", "cannot be listed: " + error.message());
    if (found != expected)
      fault("", "holds " + std::to_string(found) + " entries where its index names " + std::to_string(expected));
  }

  void fault(std::string_view path, std::string_view what) {
    if (verdict_.faults++ == 0) verdict_.first_fault = tree_.shown(path) + " " + std::string(what);
  }

 private:
  // Of a file with more names than the file system allows, some are names of a copy (LinkGroups).
  [[nodiscard]] bool is_name_of(const std::string& path, const std::string& target) const {
    auto opened = tree_.open_file(path, false);
    if (!opened) return false;
    if (tree_.same_file(path, tree_, target)) return true;
    auto other = tree_.open_file(target, false);
    if (!other) return false;
    const auto one = metadata_digest(opened->get(), path, true);
    const auto two = metadata_digest(other->get(), target, true);
    if (!one || !two || *one != *two) return false;
    return digest_of(std::move(*opened), path) == digest_of(std::move(*other), target);
  }
  static std::optional<Hash256> digest_of(files::Fd opened, const std::string& path) {
    FileHash hashing(std::move(opened));
    std::uint64_t budget = std::numeric_limits<std::uint64_t>::max();
    const auto digest = hashing.hash_some(budget, path);
    return digest ? *digest : std::nullopt;
  }
  void metadata(int fd, const Entry& entry) {
    const auto found = metadata_digest(fd, tree_.shown(entry.path), entry.time.has_value());
    if (!found || *found != metadata_digest(entry))
      fault(entry.path, "has another mode, owner or xattrs than it should have");
  }
  void folder(const Entry& entry) {
    const auto opened = tree_.open_folder(entry.path);
    if (!opened) return fault(entry.path, kUnreadable);
    metadata(opened->get(), entry);
  }
  void file(const Entry& entry) {
    auto opened = tree_.open_file(entry.path, false);
    if (!opened) return fault(entry.path, kUnreadable);
    metadata(opened->get(), entry);
    FileHash hashing(std::move(*opened));
    std::uint64_t budget = std::numeric_limits<std::uint64_t>::max();
    const auto digest = hashing.hash_some(budget, tree_.shown(entry.path));
    verdict_.bytes += hashing.size();
    if (!digest || !*digest) return fault(entry.path, kUnreadable);
    // An index need not have the hash of an empty file.
    const bool same = hashing.size() == entry.size && (entry.size == 0 || **digest == entry.content);
    if (!same) fault(entry.path, "does not have the content it should have");
  }

  StagingTree tree_;
  TreeVerdict& verdict_;
};

void add(TreeVerdict& sum, const TreeVerdict& one) {
  sum.entries += one.entries;
  sum.bytes += one.bytes;
  if (sum.faults == 0) sum.first_fault = one.first_fault;
  sum.faults += one.faults;
}

RevisionVerdict verify_revision(const std::string& state_dir, const char* role,
                                const revision::RevisionRecord& record) {
  RevisionVerdict verdict{role, record.info.release, record.number, {}};
  for (const auto& artifact : record.info.artifacts) {
    const std::string folder =
        state_dir + "/revisions/" + std::to_string(record.number) + "/artifacts/" + artifact.hex();
    const auto tree = verify_artifact(folder, artifact);
    add(verdict.tree, tree ? *tree : TreeVerdict{0, 0, 1, tree.error().message});
  }
  return verdict;
}

}  // namespace

Result<TreeVerdict> verify_artifact(const std::string& folder, const ArtifactId& artifact) {
  TreeVerdict verdict;
  INSTAR_TRY(auto tree, StagingTree::open(folder + "/tree"));
  INSTAR_TRY(const auto index, IndexStream::open(folder + "/index", kRules));
  TreeCheck check(std::move(tree), verdict);
  while (true) {
    INSTAR_TRY(const Entry* entry, index->next());
    if (entry == nullptr) break;
    check.entry(*entry);
  }
  if (index->id() != artifact) check.fault("../index", "is not the one that the signed manifest names");
  check.count(verdict.entries);
  return verdict;
}

std::vector<RevisionVerdict> verify_revisions(const std::string& state_dir, const revision::DeviceState& state) {
  std::vector<RevisionVerdict> verdicts;
  if (state.revisions.current) verdicts.push_back(verify_revision(state_dir, "running", *state.revisions.current));
  if (state.revisions.previous) verdicts.push_back(verify_revision(state_dir, "previous", *state.revisions.previous));
  const bool whole = state.phase == revision::Phase::trying || state.phase == revision::Phase::committing;
  if (state.revisions.candidate && whole)
    verdicts.push_back(verify_revision(state_dir, "candidate", *state.revisions.candidate));
  const auto factory = read_factory(state_dir);
  if (factory && *factory &&
      std::ranges::find(verdicts, (*factory)->revisions.current->number, &RevisionVerdict::revision) == verdicts.end())
    verdicts.push_back(verify_revision(state_dir, "factory", *(*factory)->revisions.current));
  return verdicts;
}

bool is_sound(const std::vector<RevisionVerdict>& verdicts) noexcept {
  bool runs = false;
  for (const auto& verdict : verdicts) {
    if (verdict.tree.faults != 0) return false;
    runs = runs || verdict.role == "running";
  }
  return runs;
}

std::string verdicts_json(const std::vector<RevisionVerdict>& verdicts) {
  std::string list;
  for (const auto& verdict : verdicts) {
    JsonLine line;
    line.add("role", verdict.role).add("release", verdict.release).add("revision", std::int64_t{verdict.revision});
    line.add("entries", static_cast<std::int64_t>(verdict.tree.entries))
        .add("bytes", static_cast<std::int64_t>(verdict.tree.bytes));
    line.add("faults", static_cast<std::int64_t>(verdict.tree.faults)).add("first_fault", verdict.tree.first_fault);
    list += (list.empty() ? "" : ",") + line.str();
  }
  return JsonLine().add("ok", is_sound(verdicts)).add_raw("revisions", "[" + list + "]").str();
}

std::string verdicts_text(const std::vector<RevisionVerdict>& verdicts) {
  std::string text;
  for (const auto& verdict : verdicts) {
    text += verdict.role + " " + verdict.release + " (revision " + std::to_string(verdict.revision) + "): ";
    text += std::to_string(verdict.tree.entries) + " entries, " + std::to_string(verdict.tree.bytes) + " bytes, ";
    text += verdict.tree.faults == 0
                ? "all as signed"
                : std::to_string(verdict.tree.faults) + " faults; the first: " + verdict.tree.first_fault;
    text += "\n";
  }
  return text.empty() ? "nothing is installed\n" : text;
}

}  // namespace instar::device
