// What the operator's command reads of artifacts: pack files, artifact.json beside files that are as they should be,
// and the superblocks of images. The first byte picks one.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/artifact/codec.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/image_file.hpp"
#include "publisher/console/console.hpp"
#include "tests/fuzz/memory_file.hpp"
#include "tests/fuzz/scratch_folder.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_artifact {
namespace {

using namespace instar::publisher;

// What opens is as long as its directory says, and every chunk has the size that was promised or is an error.
void pack_file(ByteView input) {
  const fuzz::MemoryFile file(input);
  const auto pack = PackFile::open(file.path());
  if (!pack.has_value()) {
    INSTAR_ASSERT(!pack.error().message.empty());
    return;
  }
  const auto& directory = pack->directory();
  INSTAR_ASSERT(artifact::encode_directory(directory) == pack->directory_bytes());
  INSTAR_ASSERT(pack->file_bytes() == input.size());
  INSTAR_ASSERT(pack->wire_bytes() == directory.head_bytes() + directory.body_bytes());
  for (std::uint32_t ordinal = 0; ordinal < directory.chunks.size(); ++ordinal) {
    const auto encoded = pack->read_chunk(ordinal);
    INSTAR_ASSERT(encoded.has_value() && encoded->size() == directory.chunks[ordinal].encoded_bytes);
    const auto decoded = pack->decode_chunk(ordinal);
    if (decoded.has_value()) INSTAR_ASSERT(decoded->size() == directory.chunks[ordinal].decoded_bytes);
  }
  INSTAR_ASSERT(!pack->read_chunk(static_cast<std::uint32_t>(directory.chunks.size())).has_value());
  (void)pack->verify({});
  (void)framing_bytes(directory);
}

void write(const std::string& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
}

// A tree of three files, packed once.
class Packed {
 public:
  Packed() {
    std::filesystem::create_directories(folder_ / "tree/etc");
    write(folder_ / "tree/etc/config", as_bytes("hello\n"));
    write(folder_ / "tree/etc/copy", as_bytes("hello\n"));
    write(folder_ / "tree/program", Bytes(3000, 7));
    // Whoever runs this, and whenever: the same artifact.
    for (const auto* name : {"tree", "tree/etc", "tree/etc/config", "tree/etc/copy", "tree/program"}) {
      std::filesystem::last_write_time(folder_ / name, std::filesystem::file_time_type{});
      std::filesystem::permissions(folder_ / name, std::filesystem::perms{0755});
    }
    const auto built = build_artifact({.tree = folder_ / "tree", .out = path(), .level = 1, .work = {}});
    INSTAR_ASSERT(built.has_value());
    id_ = built->id;
  }
  [[nodiscard]] std::string path() const { return folder_ / "out"; }
  [[nodiscard]] const ArtifactId& id() const { return id_; }

 private:
  fuzz::ScratchFolder folder_;
  ArtifactId id_;
};

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

// In the input "@@" stands for the artifact's id. What opens says the same when it is written and opened again.
void listing(ByteView input) {
  static const Packed packed;
  std::string text(as_text(input));
  replace_all(text, "@@", packed.id().hex());
  const std::string path = packed.path() + "/" + std::string(kArtifactFile);
  write(path, as_bytes(text));
  const auto listed = listed_artifact(packed.path());
  const auto first = open_artifact(packed.path());
  if (!first.has_value()) {
    INSTAR_ASSERT(!first.error().message.empty());
    return;
  }
  INSTAR_ASSERT(listed.has_value() && *listed == packed.id() && first->id == packed.id());
  INSTAR_ASSERT(full_pack(*first).directory().artifact == packed.id());
  INSTAR_ASSERT(!artifact_text(*first).empty());
  write(path, as_bytes(dump(artifact_json(*first))));
  const auto second = open_artifact(packed.path());
  INSTAR_ASSERT(second.has_value());
  INSTAR_ASSERT(second->weights == first->weights && second->packs.size() == first->packs.size());
  INSTAR_ASSERT(artifact_json(*second) == artifact_json(*first));
}

// Three bytes say how long the file is, in units of 64 KiB and some.
void image(ByteView input) {
  if (input.size() < 3) return;
  const std::uint64_t file_bytes = (input[0] | std::uint64_t{input[1]} << 8) * 65'536 + input[2];
  const ByteView first = input.subspan(3);
  const auto format = probe_image(first, file_bytes, "image.bin");
  if (format.has_value()) {
    INSTAR_ASSERT(*format != wire::ImageFormat::none);
    INSTAR_ASSERT(probe_image(first, file_bytes + 1, "image.bin").has_value());
  } else {
    INSTAR_ASSERT(format.error().code == Code::invalid_argument);
    INSTAR_ASSERT(format.error().message.starts_with("image.bin"));
  }
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  switch (data[0] % 3) {
    case 0: pack_file(input); break;
    case 1: listing(input); break;
    default: image(input); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_artifact

INSTAR_FUZZ_TARGET(artifact, instar::fuzz_artifact::run)
