#include "publisher/commands/publish_image.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/tree_notes_view.hpp"

namespace instar::publisher {
namespace {

constexpr std::array<std::string_view, 8> kCompressedEnds = {".gz",  ".tgz", ".xz",   ".zst",
                                                             ".bz2", ".lz4", ".lzma", ".txz"};
constexpr std::array<std::string_view, 7> kArchiveEnds = {".tar",   ".cpio", ".oci", ".squashfs",
                                                          ".erofs", ".ext4", ".img"};

template <std::size_t kCount>
void take_end_off(std::string& name, const std::array<std::string_view, kCount>& ends) {
  const auto found = std::ranges::find_if(ends, [&](std::string_view end) { return name.ends_with(end); });
  if (found != ends.end()) name.resize(name.size() - found->size());
}

// "images/web.tar.gz" → "images/web.artifact"
std::string artifact_beside(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  take_end_off(path, kCompressedEnds);
  take_end_off(path, kArchiveEnds);
  return path + ".artifact";
}

}  // namespace

void add_image_choice(CLI::App& command, ImageWish& wish, const std::string& option) {
  command
      .add_option(option, wish.name, "Which one, where there are several container images: a name such as web:2.4.1")
      ->type_name("NAME");
  command
      .add_option("--expect", wish.digest,
                  "Refuse a container image that has another digest: of its manifest, its index or its config (its id)")
      ->type_name("sha256:HEX");
}

void add_packed_image(CLI::App& command, PackedImageOptions& options, PublishOptions& release) {
  command
      .add_option("--image", release.image,
                  "Pack this container image, archive, image file or tree first, for the one container; what the image "
                  "says of init, environment, volumes and probe holds where no option says it")
      ->type_name("FILE");
  command
      .add_option("--out", options.out,
                  "Folder for the artifact of --image; what is in it is kept beside it, for deltas [FILE.artifact]")
      ->type_name("OUT");
  add_image_choice(command, options.wish, "--image-name");
}

Outcome<void> settle_image(PackedImageOptions& options, PublishOptions& release) {
  if (release.image.empty()) {
    if (options.out.empty() && options.wish.name.empty() && options.wish.digest.empty()) return {};
    return fail(Exit::usage, Code::invalid_argument, "--out, --image-name and --expect belong to --image FILE");
  }
  if (!release.artifact.empty() || !release.containers.empty() || !release.spec_path.empty()) {
    return fail(Exit::usage, Code::invalid_argument,
                "--image is for a release of one container, which it packs itself: leave out --artifact, --container "
                "and the release file, or pack it with instar pack");
  }
  options.wish.architectures = release.architectures;
  release.artifact = options.out.empty() ? artifact_beside(release.image) : options.out;
  return {};
}

Outcome<Json> pack_image(const PackedImageOptions& options, const PublishOptions& release, bool unchecked,
                         const Console& console) {
  if (release.image.empty()) return Json();
  if (!unchecked) INSTAR_CHECK(check_shape(release.image, console));
  TerminalWork terminal(console);
  files::TreeNotes notes;
  BuildOptions build;
  build.tree = release.image;
  build.out = release.artifact;
  build.replace = true;
  build.notes = &notes;
  build.image = options.wish;
  build.work = terminal.work();
  auto folder = build_artifact(build);
  terminal.end();
  if (!folder) return fail(failure_of(std::move(folder.error())));
  console.text() << artifact_text(*folder) << tree_notes_text(notes)
                 << (folder->origin ? remarks_text(*folder->origin) : "") << "\n";
  Json json{{"folder", folder->path}, {"artifact", folder->id.hex()}};
  if (folder->origin) json["origin"] = origin_json(*folder->origin);
  if (!folder->kept_aside.empty()) json["kept_aside"] = folder->kept_aside;
  json["notes"] = tree_notes_json(notes);
  return json;
}

}  // namespace instar::publisher
