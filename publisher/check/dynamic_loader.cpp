#include "publisher/check/dynamic_loader.hpp"

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

using artifact::EntryType;

constexpr std::string_view kLoaderCache = "/etc/ld.so.cache";
constexpr std::size_t kMissingShown = 4;

// Each build of glibc looks in some of them. A file for another machine does no harm.
constexpr std::array kGlibcFolders = {"/lib64",  "/usr/lib64", "/lib",         "/usr/lib",
                                      "/lib32",  "/usr/lib32", "/lib64/lp64d", "/usr/lib64/lp64d",
                                      "/libx32", "/usr/libx32"};
constexpr std::string_view kMuslFolders = "/lib:/usr/local/lib:/usr/lib";

bool is_triplet_folder(std::string_view path) {
  for (const std::string_view parent : {"lib/", "usr/lib/"}) {
    if (!path.starts_with(parent)) continue;
    const auto name = path.substr(parent.size());
    return name.find('/') == std::string_view::npos && name.find("-linux-") != std::string_view::npos;
  }
  return false;
}

void replace_all_of(std::string& text, std::string_view what, std::string_view with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

void add_once(std::vector<std::string>& list, std::string item) {
  if (std::ranges::find(list, item) == list.end()) list.push_back(std::move(item));
}

}  // namespace

Result<ElfFile> read_elf_of(TreeContent& content, const artifact::Entry& file) {
  return read_elf([&](std::uint64_t offset, std::size_t size) { return content.read(file, offset, size); }, file.size);
}

DynamicLoader::DynamicLoader(const TreePaths& paths, TreeContent& content) : paths_(paths), content_(content) {
  for (const auto& entry : paths.entries())
    if (is_triplet_folder(entry.path)) folders_of_debian_.push_back("/" + entry.path);
}

DynamicLoader::Kind DynamicLoader::kind_of(std::string_view loader) noexcept {
  if (loader.starts_with("ld-musl-")) return Kind::musl;
  if (loader.starts_with("ld-linux") || loader.starts_with("ld64.so") || loader.starts_with("ld.so."))
    return Kind::glibc;
  return Kind::other;
}

Result<std::string> DynamicLoader::read_text(std::string_view path) {
  const auto place = paths_.find(path);
  if (place.end != PlaceInTree::End::found || place.entry->type != EntryType::file) return std::string();
  if (place.entry->size > limits::kLoaderCacheBytesMax) return std::string();
  INSTAR_TRY(const auto bytes, content_.read(*place.entry, 0, static_cast<std::size_t>(place.entry->size)));
  return std::string(as_text(bytes));
}

// The loader of musl has its folders in a file named after itself, by lines or colons.
Status DynamicLoader::read_musl_folders() {
  const auto end = loader_.find(".so");
  const std::string path = "/etc/" + loader_.substr(0, end) + ".path";
  std::string text(kMuslFolders);
  if (paths_.has_file(path)) {
    INSTAR_TRY(text, read_text(path));
  }
  std::ranges::replace(text, '\n', ':');
  for (std::size_t at = 0; at < text.size();) {
    const auto colon = std::min(text.find(':', at), text.size());
    if (colon > at) add_once(standard_folders_, text.substr(at, colon - at));
    at = colon + 1;
  }
  return {};
}

// The cache is a table and its texts, which end with zero bytes. The paths among them are all that is wanted.
Status DynamicLoader::read_cache() {
  if (cache_) return {};
  cache_.emplace();
  INSTAR_TRY(const auto text, read_text(kLoaderCache));
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\0', at), text.size());
    if (text[at] == '/') {
      const auto path = text.substr(at, end - at);
      cache_->emplace(base_name(path), path);
    }
    at = end + 1;
  }
  return {};
}

// Folders of a list with colons. $ORIGIN and $LIB stand for folders, $PLATFORM for what nobody can say here.
void DynamicLoader::add_folders(const std::string& list, const Object& owner, std::vector<std::string>& folders) const {
  for (std::size_t at = 0; at <= list.size() && !list.empty();) {
    const auto colon = std::min(list.find(':', at), list.size());
    const std::string folder = colon == at ? "/" : list.substr(at, colon - at);
    at = colon + 1;
    if (folders.size() > limits::kElfLibrariesMax) return;
    for (const auto& origin : owner.origins) {
      std::string made = folder;
      replace_all_of(made, "${ORIGIN}", origin);
      replace_all_of(made, "$ORIGIN", origin);
      replace_all_of(made, "${LIB}", "$LIB");
      if (made.find("PLATFORM") != std::string::npos) continue;
      if (made.find("$LIB") == std::string::npos) {
        add_once(folders, made);
        continue;
      }
      std::vector<std::string> values{"lib", "lib64"};
      for (const auto& known : folders_of_debian_) values.push_back("lib/" + base_name(known));
      for (const auto& value : values) {
        std::string one = made;
        replace_all_of(one, "$LIB", value);
        add_once(folders, std::move(one));
      }
    }
  }
}

std::vector<std::string> DynamicLoader::candidates(std::size_t by, const std::string& name,
                                                   const std::string& library_path) const {
  std::vector<std::string> folders;
  const Object& object = objects_[by];
  if (kind_ == Kind::musl) add_folders(library_path, object, folders);
  if (kind_ == Kind::musl || object.elf.runpath.empty()) {
    for (std::size_t number = by;; number = objects_[number].loaded_by) {
      const Object& owner = objects_[number];
      if (kind_ == Kind::musl && !owner.elf.runpath.empty()) add_folders(owner.elf.runpath, owner, folders);
      if (owner.elf.runpath.empty()) add_folders(owner.elf.rpath, owner, folders);
      if (number == owner.loaded_by) break;
    }
  }
  if (kind_ == Kind::glibc) {
    add_folders(library_path, object, folders);
    add_folders(object.elf.runpath, object, folders);
  }
  std::vector<std::string> paths;
  for (const auto& folder : folders) paths.push_back(folder + "/" + name);
  if (kind_ == Kind::glibc && cache_) {
    const auto [begin, end] = cache_->equal_range(name);
    for (auto at = begin; at != end; ++at) paths.push_back(at->second);
  }
  for (const auto& folder : standard_folders_) paths.push_back(folder + "/" + name);
  return paths;
}

// Whether the file is there and the loader takes it. It passes over files for other machines; `other` names the first.
Result<bool> DynamicLoader::try_file(std::size_t by, const std::string& path, std::string& other) {
  const auto place = paths_.find(path);
  // What is mounted there may hold it.
  if (place.end == PlaceInTree::End::hidden || place.end == PlaceInTree::End::unknown) return true;
  if (place.end != PlaceInTree::End::found || place.entry->type != EntryType::file) return false;
  auto elf = read_elf_of(content_, *place.entry);
  if (!elf) {
    if (elf.error().code != Code::malformed) return fail(elf.error());
    if (other.empty()) other = path + " is no whole ELF file: " + elf.error().message;
    return false;
  }
  if (elf->machine != objects_.front().elf.machine) {
    if (other.empty()) other = path + " is for " + machine_name(elf->machine);
    return false;
  }
  Object object{.name = path, .origins = {parent_folder(path)}, .elf = std::move(*elf), .loaded_by = by};
  add_once(object.origins, parent_folder(place.path));
  objects_.push_back(std::move(object));
  return true;
}

// musl is one file: the names of the parts of other C libraries mean itself.
bool DynamicLoader::is_loader_itself(const std::string& name) const {
  if (name == loader_) return true;
  if (kind_ != Kind::musl) return false;
  return std::ranges::any_of(std::array{"libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."},
                             [&](std::string_view own) { return name.starts_with(own); });
}

Result<bool> DynamicLoader::load(std::size_t by, const std::string& name, const std::string& library_path) {
  std::string other;
  const auto paths = name.find('/') == std::string::npos ? candidates(by, name, library_path) : std::vector{name};
  for (const auto& path : paths) {
    INSTAR_TRY(const bool is_there, try_file(by, path, other));
    if (is_there) return true;
  }
  missing_.push_back({name, objects_[by].name, other});
  return false;
}

// In the order of the loader: first what the program needs, then what that needs.
Status DynamicLoader::load_all(const std::string& library_path) {
  for (std::size_t number = 0; number < objects_.size(); ++number) {
    const auto needed = objects_[number].elf.needed;  // objects_ grows
    for (const auto& name : needed) {
      if (is_loader_itself(name) || !names_seen_.insert(name).second) continue;
      if (objects_.size() > limits::kElfLibrariesMax) return {};
      INSTAR_TRY([[maybe_unused]] const bool is_there, load(number, name, library_path));
    }
  }
  return {};
}

std::string DynamicLoader::way_out(const std::string& name) const {
  const auto elsewhere = std::ranges::find_if(paths_.entries(), [&](const auto& entry) {
    return entry.type != EntryType::directory && base_name(entry.path) == name;
  });
  if (elsewhere == paths_.entries().end()) return "add it to the tree, or link the program statically";
  const std::string folder = parent_folder("/" + elsewhere->path);
  const std::string list = kind_ == Kind::musl ? "/etc/" + loader_.substr(0, loader_.find(".so")) + ".path of the tree"
                                               : "/etc/ld.so.conf of the tree and run `ldconfig -r TREE`";
  return "there is /" + elsewhere->path + ", where its loader does not look: name " + folder + " in " + list +
         ", or set lxc.environment=LD_LIBRARY_PATH=" + folder;
}

std::string DynamicLoader::sentence() const {
  std::string names;
  const auto shown = std::min(missing_.size(), kMissingShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& each = missing_[i];
    names += (i == 0 ? "" : ", ") + each.name;
    if (each.needed_by != objects_.front().name) names += " (for " + each.needed_by + ")";
  }
  if (shown < missing_.size()) names += " and " + std::to_string(missing_.size() - shown) + " more";
  const auto& first = missing_.front();
  if (!first.other.empty())
    return "needs " + names + ", and " + first.other + ": put that for " + machine_name(objects_.front().elf.machine) +
           " into the tree";
  return "needs " + names + ", which its loader does not find in the tree: " + way_out(first.name);
}

Result<std::optional<std::string>> DynamicLoader::check(const PlaceInTree& program, const ElfFile& elf,
                                                        const std::string& library_path) {
  loader_ = base_name(elf.loader);
  kind_ = kind_of(loader_);
  if (kind_ == Kind::other || elf.loader.empty()) return std::nullopt;
  standard_folders_.clear();
  objects_.clear();
  names_seen_.clear();
  missing_.clear();
  if (kind_ == Kind::musl) {
    INSTAR_CHECK(read_musl_folders());
  } else {
    INSTAR_CHECK(read_cache());
    standard_folders_ = folders_of_debian_;
    // Where glibc itself was installed, elsewhere than usual too.
    add_once(standard_folders_, parent_folder(elf.loader));
    add_once(standard_folders_, parent_folder(paths_.find(elf.loader).path));
    for (const auto* folder : kGlibcFolders) standard_folders_.emplace_back(folder);
  }
  objects_.push_back({.name = program.path, .origins = {parent_folder(program.path)}, .elf = elf, .loaded_by = 0});
  INSTAR_CHECK(load_all(library_path));
  if (missing_.empty()) return std::nullopt;
  return sentence();
}

}  // namespace instar::publisher
