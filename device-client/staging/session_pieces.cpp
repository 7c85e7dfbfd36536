// Takes pieces of chunks as they arrive, and reports to the machine about them.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/artifact/codec.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "device-client/staging/session.hpp"
#include "files/files.hpp"

namespace instar::device {

namespace {

constexpr std::string_view kPartSuffix = ".part";

std::string part_name(const PackId& pack, std::uint32_t ordinal) {
  return pack.short_hex() + "-" + std::to_string(ordinal) + std::string(kPartSuffix);
}

}  // namespace

void StagingSession::report_wants(StagingEvents& out, bool exact) {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    out.push_back(stages_[i]->wants(what_.revision, half_of(i), exact || stages_[i]->is_held()));
  }
}

std::optional<Stage::Half> StagingSession::half_of(std::size_t stage) const {
  if (!part_ || part_->stage != stage || part_->bytes.empty()) return std::nullopt;
  const auto ref = stages_[stage]->chunk(part_->ordinal);
  if (!ref || part_->bytes.size() >= ref->encoded_bytes) return std::nullopt;
  return Stage::Half{part_->ordinal, static_cast<std::uint32_t>(part_->bytes.size())};
}

// What an earlier process has received of one chunk. It may be anything: in the end the chunk's hash is checked.
void StagingSession::find_part() {
  part_.reset();
  const std::string path = folder() + "/incoming";
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(path.c_str())) {
    while (const dirent* item = ::readdir(dir)) {
      if (std::string_view(item->d_name).ends_with(kPartSuffix)) names.emplace_back(item->d_name);
    }
    ::closedir(dir);
  }
  for (const std::string& name : names) {
    const std::string file = path + "/" + name;
    for (std::size_t i = 0; i < stages_.size() && !part_; ++i) {
      const std::string prefix = stages_[i]->pack().id.short_hex() + "-";
      std::uint32_t ordinal = 0;
      const char* end = name.data() + name.size() - kPartSuffix.size();
      if (!name.starts_with(prefix) || std::from_chars(name.data() + prefix.size(), end, ordinal).ptr != end) continue;
      auto bytes = files::read_file(file, limits::kChunkEncodedBytesMax);
      auto opened = files::open_file(file, O_WRONLY | O_APPEND | O_NOFOLLOW);
      if (bytes && opened && !bytes->empty()) part_ = Part{i, ordinal, std::move(*bytes), std::move(*opened), file};
    }
    if (!part_ || part_->path != file) ::unlink(file.c_str());
  }
}

void StagingSession::drop_part() {
  if (part_) ::unlink(part_->path.c_str());
  part_.reset();
}

Status StagingSession::begin_part(std::size_t stage, std::uint32_t ordinal) {
  drop_part();
  Part part;
  part.stage = stage;
  part.ordinal = ordinal;
  part.path = folder() + "/incoming/" + part_name(stages_[stage]->pack().id, ordinal);
  INSTAR_TRY(part.file, files::open_file(part.path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0600));
  part_ = std::move(part);
  return {};
}

void StagingSession::refuse_part(StagingEvents& out, const revision::StagePiece& piece, Code code,
                                 const std::string& why) {
  drop_part();
  out.push_back(revision::ChunkRefused{what_.revision, piece.pack, piece.ordinal, Error{code, why}});
}

Status StagingSession::piece(const revision::StagePiece& piece, StagingEvents& out) {
  const auto found = std::ranges::find_if(stages_, [&](const auto& stage) { return stage->pack().id == piece.pack; });
  if (found == stages_.end()) return {};
  const auto index = static_cast<std::size_t>(found - stages_.begin());
  Stage& stage = **found;
  const auto ref = stage.chunk(piece.ordinal);
  const bool body = piece.ordinal >= stage.pack().head.size();
  // This session did not ask for the piece. An earlier one may have. If it is needed, it comes again.
  if (!ref || (body && phase_ != Phase::fetch) || (!body && phase_ != Phase::await_heads)) return {};
  if (stage.has(piece.ordinal)) {
    const bool last = std::uint64_t{piece.offset} + piece.data.size() >= ref->encoded_bytes;
    if (last && !stage.is_pending(piece.ordinal)) {
      out.push_back(revision::ChunkDurable{what_.revision, piece.pack, piece.ordinal, ref->encoded_bytes});
    }
    return {};
  }
  const bool goes_on = part_ && part_->stage == index && part_->ordinal == piece.ordinal;
  if (piece.offset == 0) {
    INSTAR_CHECK(begin_part(index, piece.ordinal));
  } else if (!goes_on || part_->bytes.size() != piece.offset) {
    refuse_part(out, piece, Code::unavailable, "a piece before this one is missing");
    return {};
  }
  if (piece.data.size() > ref->encoded_bytes - part_->bytes.size()) {
    refuse_part(out, piece, Code::corrupt, "more bytes came than chunk " + ref->hash.short_hex() + " has");
    return {};
  }
  part_->bytes.insert(part_->bytes.end(), piece.data.begin(), piece.data.end());
  if (part_->bytes.size() == ref->encoded_bytes) return end_part(out);
  return files::write_all(part_->file.get(), piece.data, part_->path);
}

Status StagingSession::end_part(StagingEvents& out) {
  Stage& stage = *stages_[part_->stage];
  const std::uint32_t ordinal = part_->ordinal;
  const auto decoded = artifact::decode_chunk(*stage.chunk(ordinal), part_->bytes);
  drop_part();
  if (!decoded) {
    out.push_back(revision::ChunkRefused{what_.revision, stage.pack().id, ordinal, decoded.error()});
    return {};
  }
  INSTAR_CHECK(stage.store(ordinal, *decoded, true));
  if (!pending_since_) pending_since_ = now_;
  const bool heads_complete =
      std::ranges::all_of(stages_, [](const auto& each) { return each->is_held() || each->is_head_complete(); });
  const bool phase_complete = phase_ == Phase::await_heads ? heads_complete : has_all();
  sync_due_ = sync_due_ || phase_complete || pending_bytes() >= options_.sync_bytes;
  return {};
}

std::uint64_t StagingSession::pending_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& stage : stages_) bytes += stage->pending_bytes();
  return bytes;
}

// Syncs the data first, then the bits that name it, and reports to the machine last.
Status StagingSession::sync(StagingEvents& out) {
  sync_due_ = false;
  pending_since_.reset();
  if (pending_bytes() == 0) return {};
  INSTAR_CHECK(files::sync_file_system(folder()));
  for (const auto& stage : stages_) {
    INSTAR_TRY(const std::vector<std::uint32_t> durable, stage->mark_durable());
    for (const std::uint32_t ordinal : durable) {
      out.push_back(
          revision::ChunkDurable{what_.revision, stage->pack().id, ordinal, stage->chunk(ordinal)->encoded_bytes});
    }
  }
  return {};
}

void StagingSession::tick(MonotonicMs now) noexcept {
  now_ = now;
  if (pending_since_ && now - *pending_since_ >= options_.sync_ms) sync_due_ = true;
}

std::optional<MonotonicMs> StagingSession::sync_deadline() const {
  if (!pending_since_) return std::nullopt;
  return *pending_since_ + options_.sync_ms;
}

}  // namespace instar::device
