// What `instar pack` reads of archives and container images. The first byte picks one: a layer, a compressed one, a
// config, an origin, a whole file, users, texts.
#include "core/base/assert.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "json/read.hpp"
#include "publisher/archive/archive_reader.hpp"
#include "publisher/archive/archive_tree.hpp"
#include "publisher/archive/image_container.hpp"
#include "publisher/archive/image_users.hpp"
#include "tests/fuzz/memory_file.hpp"
#include "tests/fuzz/scratch_folder.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_archive {
namespace {

using namespace instar::publisher;

constexpr std::uint64_t kRoomBytes = 1 << 20;
constexpr std::size_t kRoomEntries = 1000;

// An empty folder for one input.
class Place {
 public:
  Place() {
    static const fuzz::ScratchFolder folder;
    path_ = folder / "input";
    INSTAR_ASSERT(files::remove_tree(path_).has_value() && files::make_folders(path_ + "/contents").has_value() &&
                  files::make_folders(path_ + "/tree").has_value());
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void check_words(const Error& error) {
  INSTAR_ASSERT(error.code != Code::internal && !error.message.empty());
}

// Whatever a layer says, what comes of it is an index, or a refusal.
void layers(ByteSource& source) {
  const Place place;
  ContentStore store(place / "contents");
  MergedTree tree;
  LayerNotes notes;
  ArchiveRoom room{.bytes = kRoomBytes, .entries = kRoomEntries};
  const auto applied = apply_layer(source, {.has_whiteouts = true}, room, store, tree, notes, {});
  if (!applied.has_value()) return check_words(applied.error());
  const auto entries = tree.finish(place / "tree", {});
  if (!entries.has_value()) return check_words(entries.error());
  for (const auto& entry : *entries) {
    if (entry.type != artifact::EntryType::file) continue;
    const auto content = files::read_file(place / ("tree/" + entry.path), kRoomBytes);
    INSTAR_ASSERT(content.has_value() && content->size() == entry.size && trust::digest(*content) == entry.content);
  }
}

void packed_layer(ByteView input) {
  MemorySource packed(input);
  const auto source = UnpackedSource::open(packed, kRoomBytes);
  if (!source.has_value()) return check_words(source.error());
  layers(**source);
}

void origin(const Json& json) {
  const auto parsed = parse_origin(json, "x");
  if (!parsed.has_value()) return check_words(parsed.error());
  const auto again = parse_origin(origin_json(*parsed), "x");
  INSTAR_ASSERT(again.has_value() && origin_json(*again) == origin_json(*parsed));
  wire::Container container;
  complete_container(parsed->container, container);
  (void)notes_of(*parsed);
  (void)remarks_text(*parsed);
}

void config(std::string_view text) {
  auto json = json::read(text);
  if (!json.has_value()) return;
  MergedTree tree;
  Origin made;
  made.config_digest = "sha256:";
  const auto taken = take_image_config({{"config", std::move(*json)}}, tree, made);
  if (!taken.has_value()) return check_words(taken.error());
  origin(origin_json(made));
}

void whole_file(ByteView input) {
  const Place place;
  const fuzz::MemoryFile file(input);
  ArchiveOptions options;
  options.room = {.bytes = kRoomBytes, .entries = kRoomEntries};
  const auto tree = read_archive(file.path(), place / "whole", options);
  if (!tree.has_value()) return check_words(tree.error());
  INSTAR_ASSERT(!tree->entries.empty() && tree->entries.front().path.empty());
}

void user(std::string_view text) {
  const auto line = text.find('\n');
  const auto files = line == std::string_view::npos ? std::string_view() : text.substr(line + 1);
  const auto found = find_image_user(text.substr(0, line), files, files);
  if (!found.has_value()) check_words(found.error());
}

void texts(std::string_view text) {
  if (const auto digest = parse_blob_digest(text); digest.has_value()) {
    INSTAR_ASSERT(digest->str() == text && digest->hex.find_first_of("./") == std::string::npos);
  }
  if (const auto path = tree_path(text); path.has_value()) INSTAR_ASSERT(artifact::check_path(*path).has_value());
  (void)fit_of({"linux", "arm", std::string(text)}, text);
  (void)looks_like_archive(as_bytes(text));
}

void run(ByteView input) {
  const auto body = input.subspan(1);
  MemorySource source(body);
  switch (input.front() % 7) {
    case 0: return layers(source);
    case 1: return packed_layer(body);
    case 2: return config(as_text(body));
    case 3:
      if (const auto json = json::read(as_text(body)); json.has_value()) origin(*json);
      return;
    case 4: return whole_file(body);
    case 5: return user(as_text(body));
    default: return texts(as_text(body));
  }
}

}  // namespace

}  // namespace instar::fuzz_archive

INSTAR_FUZZ_TARGET(archive, instar::fuzz_archive::run)
