// Head, chunks and end of a delta pack. What is decided before anything is fetched: delta_survey.cpp.
#include "device-client/staging/delta_stage.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/artifact/pack_formats.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::device {

Result<std::unique_ptr<Stage>> DeltaStage::open(StageSetup setup, std::vector<HeldArtifact> held) {
  if (setup.pack.kind != artifact::PackKind::delta || !artifact::is_known_format(setup.pack.kind, setup.pack.format)) {
    return fail(Code::unsupported, "pack " + setup.pack.id.short_hex() +
                                       " is of a kind that this version cannot stage: update the client");
  }
  std::unique_ptr<DeltaStage> stage(new DeltaStage(std::move(setup), std::move(held)));
  INSTAR_CHECK(stage->open_folders());
  return stage;
}

bool DeltaStage::blames_pack(Code code) noexcept {
  return code == Code::malformed || code == Code::corrupt || code == Code::too_large || code == Code::unsupported;
}

void DeltaStage::give_up(Error error) {
  given_up_ = with_context(std::move(error), "delta pack " + setup_.pack.id.short_hex());
  base_.reset();
  survey_ = nullptr;
  build_.reset();
}

const HeldArtifact* DeltaStage::find(const ArtifactId& artifact) const {
  const auto found = std::ranges::find(held_artifacts_, artifact, &HeldArtifact::artifact);
  return found == held_artifacts_.end() ? nullptr : &*found;
}

Result<bool> DeltaStage::read_head() {
  if (held_ || given_up_ || body_known_) return true;
  INSTAR_ASSERT(is_head_complete());
  const auto taken = take_head();
  if (!taken && !blames_pack(taken.error().code)) return fail(taken.error());
  if (!taken) give_up(taken.error());
  return true;
}

Status DeltaStage::take_head() {
  INSTAR_TRY(head_, delta::read_delta_head(
                        [this](std::uint64_t offset, std::span<std::uint8_t> out) {
                          return files::read_at(head_file_.get(), out, offset, file("head"));
                        },
                        head_bytes()));
  INSTAR_CHECK(check_head_numbers());
  INSTAR_TRY(const bool has_body, has_body_file());
  if (!has_body) {
    // If the file is missing, its bits must not be used.
    remove_files({"bitmap"});
    INSTAR_CHECK(files::sync_folder(setup_.folder));
  }
  INSTAR_TRY(ChunkBits durable, ChunkBits::open(file("bitmap"), setup_.pack.id, setup_.pack.body_count));
  take_body(std::move(durable), setup_.pack.body_count);
  return {};
}

// Checks the head against the manifest, which says how much will be fetched and how much memory that takes.
Status DeltaStage::check_head_numbers() const {
  const delta::DeltaHeader& header = head_.header;
  if (header.body_bytes() != setup_.pack.body_bytes || header.body_chunks() != setup_.pack.body_count ||
      head_.body.size() != setup_.pack.body_count) {
    return fail(Code::malformed, "its head is for a body of " + std::to_string(header.body_bytes()) +
                                     " bytes, the manifest says " + std::to_string(setup_.pack.body_bytes) +
                                     ": publish it again");
  }
  if (header.format() != setup_.pack.format) {
    return fail(Code::malformed, "its head has format " + std::to_string(header.format()) + ", the manifest says " +
                                     std::to_string(setup_.pack.format) + ": publish it again");
  }
  if (header.entry_count != setup_.artifact.entry_count) {
    return fail(Code::malformed, "its head is for " + std::to_string(header.entry_count) +
                                     " entries, the manifest says " + std::to_string(setup_.artifact.entry_count) +
                                     ": publish it again");
  }
  if (setup_.pack.memory_bytes != 0 && header.memory_bytes() > setup_.pack.memory_bytes) {
    return fail(Code::too_large, "decoding it takes " + std::to_string(header.memory_bytes()) +
                                     " bytes of memory, the manifest says " + std::to_string(setup_.pack.memory_bytes) +
                                     ": publish it again");
  }
  return {};
}

Result<bool> DeltaStage::has_body_file() const {
  struct stat status {};
  if (::lstat(file("delta").c_str(), &status) == 0) {
    return S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) == body_bytes();
  }
  if (errno == ENOENT) return false;
  return files::os_error("looking at", file("delta"), errno);
}

Result<bool> DeltaStage::lay_out(const Neighbours&, StagingSlice) {
  if (held_ || body_file_.is_open()) return true;
  INSTAR_TRY(const bool has_body, has_body_file());
  if (has_body) {
    INSTAR_TRY(body_file_, files::open_file(file("delta"), O_RDWR | O_NOFOLLOW));
    return true;
  }
  remove_files({"delta"});
  // The file has another name until it has its size. The final name shows that its bits count.
  INSTAR_TRY(body_file_, files::open_file(file("delta.new"), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  INSTAR_CHECK(files::take_room(body_file_.get(), body_bytes(), file("delta")));
  if (::rename(file("delta.new").c_str(), file("delta").c_str()) != 0)
    return files::os_error("renaming", file("delta.new"), errno);
  INSTAR_CHECK(files::sync_folder(setup_.folder));
  return true;
}

artifact::ChunkRef DeltaStage::body_chunk(std::uint32_t body) const {
  const std::uint64_t offset = std::uint64_t{body} * limits::kDeltaChunkBytes;
  const auto bytes =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(limits::kDeltaChunkBytes, body_bytes() - offset));
  return {head_.body[body], bytes, bytes, artifact::Codec::raw};
}

Status DeltaStage::write_body(std::uint32_t body, ByteView decoded) {
  return files::write_all_at(body_file_.get(), decoded, std::uint64_t{body} * limits::kDeltaChunkBytes, file("delta"));
}

// A chunk that a killed process received is in the file, even if its bit did not reach the disk, and is not fetched
// again. If a tree came out wrong, all chunks that it was made from are checked once more.
Result<bool> DeltaStage::fill(const Neighbours&, StagingSlice slice) {
  if (held_) return true;
  const bool doubted = files::exists(file("redone"));
  for (; fill_at_ < have_.size(); ++fill_at_) {
    if (have_[fill_at_] && !doubted) continue;
    if (slice.bytes == 0) return false;
    slice.bytes -= std::min<std::uint64_t>(slice.bytes, body_chunk(fill_at_).encoded_bytes);
    INSTAR_TRY(const bool whole, is_whole_in_file(fill_at_));
    if (whole == have_[fill_at_]) continue;
    have_[fill_at_] = whole;
    if (whole) {
      note_found(fill_at_, body_chunk(fill_at_).encoded_bytes);
      continue;
    }
    setup_.log(LogLevel::warning,
               "chunk " + std::to_string(fill_at_) + " in " + file("delta") + " is not what came: it is fetched again");
    INSTAR_CHECK(durable_->set(fill_at_, false));
    INSTAR_CHECK(durable_->sync());
  }
  return true;
}

Result<bool> DeltaStage::is_whole_in_file(std::uint32_t body) const {
  const artifact::ChunkRef ref = body_chunk(body);
  Bytes bytes(ref.encoded_bytes);
  INSTAR_TRY(const std::size_t got,
             files::read_at(body_file_.get(), bytes, std::uint64_t{body} * limits::kDeltaChunkBytes, file("delta")));
  return got == bytes.size() && trust::digest(bytes) == ref.hash;
}

Result<bool> DeltaStage::verify(const Neighbours&, StagingSlice slice) {
  INSTAR_ASSERT(base_ && proven_);
  Result<bool> done = false;
  if (build_) {
    done = build_->step(slice);
    if (done && *done) {
      const auto ended = end_build();
      if (!ended) done = fail(ended.error());
    }
  } else if (const auto begun = begin_build(); !begun) {
    done = fail(begun.error());
  }
  if (done || !blames_pack(done.error().code)) return done;
  INSTAR_CHECK(make_again(done.error()));
  return true;
}

Status DeltaStage::begin_build() {
  DeltaBuild::Parts parts;
  parts.tree = &tree_;
  parts.base = base_.get();
  parts.running = &running_;
  parts.groups = &groups_;
  parts.rules = setup_.rules;
  INSTAR_TRY(parts.entries, new_entries());
  if (!held_ && head_.header.file_count > 0) {
    INSTAR_TRY(parts.decoder,
               delta::Decoder::open(head_.header, [this](std::uint64_t offset, std::span<std::uint8_t> out) {
                 return files::read_at(body_file_.get(), out, offset, file("delta"));
               }));
  }
  parts.progress = FileProgress(file("progress"), setup_.pack.id);
  INSTAR_TRY(parts.log, MadeLog::open(file("decoded"), held_ ? Hash256(setup_.artifact.id) : Hash256(setup_.pack.id)));
  parts.index_path = file("index.new");
  INSTAR_TRY(parts.index, files::open_file(parts.index_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  build_ = std::make_unique<DeltaBuild>(std::move(parts));
  return {};
}

Status DeltaStage::end_build() {
  const auto id = build_->id();
  missing_ = build_->missing();
  build_.reset();
  if (id && *id != setup_.artifact.id) {
    return fail(Code::corrupt, "what was made from it hashes to " + id->short_hex() + ", not to the signed artifact " +
                                   setup_.artifact.id.short_hex());
  }
  if (missing_.files > 0) return {};
  if (::rename(file("index.new").c_str(), file("index").c_str()) != 0)
    return files::os_error("renaming", file("index.new"), errno);
  return files::sync_folder(setup_.folder);
}

Status DeltaStage::make_again(const Error& error) {
  // A library of this device that compresses otherwise will do so again.
  if (error.code == Code::unsupported || files::exists(file("redone"))) {
    give_up(error);
    return {};
  }
  setup_.log(LogLevel::warning, "delta pack " + setup_.pack.id.short_hex() + ": " + error.message +
                                    "; all is made again from what was received");
  build_.reset();
  { INSTAR_TRY(const files::Fd marker, files::open_file(file("redone"), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600)); }
  INSTAR_CHECK(files::sync_folder(setup_.folder));
  remove_files({"decoded", "progress", "index.new"});
  INSTAR_CHECK(files::remove_tree(file("tree")));
  damaged_ = true;
  return {};
}

std::optional<Stage::Shortfall> DeltaStage::shortfall() const {
  if (given_up_) return Shortfall{*given_up_, {}};
  if (missing_.files == 0) return std::nullopt;
  return Shortfall{Error{Code::corrupt, describe_damage()}, missing_};
}

std::string DeltaStage::describe_damage() const {
  const std::uint32_t others = base_->damaged_files() - 1;
  return base_->first_damage() +
         (others == 0 ? "" : ", and so were " + std::to_string(others) + " other files of the base") + ": " +
         std::to_string(missing_.files) + (missing_.files == 1 ? " file" : " files") + " cannot be made from it";
}

// Leaves the tree to an ArtifactStage, which finds each chunk that is complete in the tree, takes back further names,
// and removes what its index does not name.
Status DeltaStage::hand_over() {
  body_file_.close();
  if (given_up_) {
    remove_files({"head", "delta", "bitmap", "decoded", "progress", "index.new", "redone"});
    return files::remove_tree(file("tree"));
  }
  INSTAR_CHECK(files::sync_file_system(setup_.folder));
  for (const char* name : {"laid-out", "finishing", "made"}) {
    INSTAR_TRY(const files::Fd marker, files::open_file(file(name), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
  }
  return files::sync_folder(setup_.folder);
}

void DeltaStage::clean_up() {
  head_file_.close();
  body_file_.close();
  durable_.reset();
  remove_files(
      {"head", "delta", "bitmap", "decoded", "progress", "redone", "index.new", "laid-out", "finishing", "made"});
}

}  // namespace instar::device
