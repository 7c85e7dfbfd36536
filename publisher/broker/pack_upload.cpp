#include "publisher/broker/pack_upload.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::publisher {
namespace {

constexpr std::uint32_t kUploadTurnMs = 50;
// What is on its way may take so long on the slowest link, 64 kbit/s, before the broker can answer it.
constexpr std::size_t kSlowestBytesAMs = 8;
// Before the directory is sent again to a broker that has no room for it yet.
constexpr std::int64_t kNoRoomPauseMs = 2'000;
// An upload that was never answered is looked into after so long, and one that was after the longer time, since looking
// ends the connection. It counts from when all has arrived at the broker.
constexpr std::int64_t kFirstSilenceMs = 3'000;
constexpr std::int64_t kLaterSilenceMs = 8'000;
// So long it is looked for why a piece was lost, before the broker's own words are the reason.
constexpr std::int64_t kLossLookMs = 15'000;

}  // namespace

void PackUpload::restart() {
  directory_sent_ = 0;
  directory_answered_ = false;
  missing_.clear();
  in_flight_.clear();
  in_flight_bytes_ = 0;
  sending_.reset();
}

bool PackUpload::has_room(std::uint32_t ordinal) const noexcept {
  if (in_flight_.empty()) return true;
  return in_flight_.size() < limits::kUploadInFlightChunksMax &&
         in_flight_bytes_ + pack_.directory().chunks[ordinal].encoded_bytes <= limits::kUploadInFlightBytesMax;
}

wire::Put PackUpload::directory_piece() {
  const auto& bytes = pack_.directory_bytes();
  const std::size_t size = std::min<std::size_t>(limits::kPutPieceBytesMax, bytes.size() - directory_sent_);
  wire::Put put;
  put.kind = wire::PutKind::directory;
  put.pack = pack_.id();
  put.total_bytes = static_cast<std::uint32_t>(bytes.size());
  put.offset = static_cast<std::uint32_t>(directory_sent_);
  put.data = to_bytes(ByteView(bytes).subspan(directory_sent_, size));
  directory_sent_ += size;
  return put;
}

wire::Put PackUpload::chunk_piece() {
  INSTAR_ASSERT(sending_.has_value());
  const std::size_t size = std::min<std::size_t>(limits::kPutPieceBytesMax, chunk_.size() - chunk_sent_);
  wire::Put put;
  put.kind = wire::PutKind::chunk;
  put.pack = pack_.id();
  put.ordinal = *sending_;
  put.total_bytes = static_cast<std::uint32_t>(chunk_.size());
  put.offset = static_cast<std::uint32_t>(chunk_sent_);
  put.data = to_bytes(ByteView(chunk_).subspan(chunk_sent_, size));
  chunk_sent_ += size;
  bytes_sent_ += size;
  if (chunk_sent_ == chunk_.size()) sending_.reset();
  return put;
}

Result<std::optional<wire::Put>> PackUpload::next() {
  if (complete_) return std::nullopt;
  if (directory_sent_ < pack_.directory_bytes().size()) return directory_piece();
  if (!directory_answered_) return std::nullopt;
  if (!sending_) {
    if (missing_.empty() || !has_room(missing_.front())) return std::nullopt;
    const std::uint32_t ordinal = missing_.front();
    INSTAR_TRY(chunk_, pack_.read_chunk(ordinal));
    missing_.pop_front();
    in_flight_.insert(ordinal);
    in_flight_bytes_ += chunk_.size();
    sending_ = ordinal;
    chunk_sent_ = 0;
  }
  return chunk_piece();
}

Status PackUpload::check_range(const wire::OrdinalRange& range) const {
  const std::uint64_t end = std::uint64_t{range.first} + range.count;
  if (range.count >= 1 && end <= pack_.directory().chunks.size()) return {};
  return fail(Code::malformed, "the broker speaks of chunks " + std::to_string(range.first) + " to " +
                                   std::to_string(end) + " of a pack that has " +
                                   std::to_string(pack_.directory().chunks.size()));
}

Status PackUpload::take_missing(const std::vector<wire::OrdinalRange>& missing) {
  missing_.clear();
  in_flight_.clear();
  in_flight_bytes_ = 0;
  sending_.reset();
  std::uint64_t missing_bytes = 0;
  for (const auto& range : missing) {
    INSTAR_CHECK(check_range(range));
    for (std::uint32_t i = 0; i < range.count; ++i) {
      missing_.push_back(range.first + i);
      missing_bytes += pack_.directory().chunks[range.first + i].encoded_bytes;
    }
    if (missing_.size() > pack_.directory().chunks.size())
      return fail(Code::malformed, "the broker names chunks twice as missing");
  }
  directory_answered_ = true;
  bytes_done_ = bytes_all() - std::min(missing_bytes, bytes_all());
  return {};
}

Status PackUpload::take_durable(const std::vector<wire::OrdinalRange>& durable) {
  for (const auto& range : durable) {
    INSTAR_CHECK(check_range(range));
    for (std::uint32_t i = 0; i < range.count; ++i) {
      const std::uint32_t ordinal = range.first + i;
      if (ordinal == sending_ || in_flight_.erase(ordinal) == 0) continue;
      const std::size_t bytes = pack_.directory().chunks[ordinal].encoded_bytes;
      bytes_done_ += bytes;
      in_flight_bytes_ -= bytes;
    }
  }
  bytes_done_ = std::min(bytes_done_, bytes_all());
  return {};
}

Status PackUpload::on_stored(const wire::Stored& stored) {
  if (stored.pack != pack_.id()) return {};
  if (stored.code != Code::ok)
    return fail(stored.code, stored.reason.empty() ? std::string(code_name(stored.code)) : stored.reason);
  if (stored.complete) {
    complete_ = true;
    bytes_done_ = bytes_all();
    return {};
  }
  if (stored.directory) {
    // If the directory has been sent again only in part, this answers the one before it.
    if (directory_sent_ < pack_.directory_bytes().size()) return {};
    return take_missing(stored.missing);
  }
  INSTAR_CHECK(take_durable(stored.durable));
  // One answer names only a limited number of missing chunks, so the directory is sent again to get the rest.
  if (directory_answered_ && missing_.empty() && in_flight_.empty()) restart();
  return {};
}

namespace {

class Uploader {
 public:
  Uploader(Session& session, const UploadProgress& progress, UploadResult& result)
      : session_(session),
        progress_(progress),
        result_(result),
        stored_topic_(session.topics().stored(session.client_id())) {}

  Outcome<void> run(const PackFile& pack, std::uint64_t done_before) {
    PackUpload upload(pack);
    upload.restart();
    waiting_.reset();
    silences_ = 0;
    refused_since_.reset();
    paused_until_.reset();
    heard_ = monotonic_now();
    while (!upload.is_complete()) {
      if (interrupted())
        return fail(Exit::interrupted, Code::unavailable,
                    "interrupted; what the broker holds already is not sent again next time");
      if (session_.fault()) return fail(*session_.fault());
      if (loss_ && monotonic_now() - lost_at_ >= kLossLookMs) return fail(*loss_);
      if (!is_pausing() && !loss_) INSTAR_CHECK(send(upload));
      INSTAR_CHECK(hear(upload, pack));
      if (progress_) progress_(done_before + upload.bytes_done(), result_.bytes_all);
    }
    result_.bytes_sent += upload.bytes_sent();
    return {};
  }

 private:
  [[nodiscard]] bool is_pausing() {
    const auto now = monotonic_now();
    if (paused_until_.has_value() && now >= *paused_until_) {
      paused_until_.reset();
      heard_ = now;
    }
    return paused_until_.has_value();
  }

  // The broker has no room for the pack yet: it removes others, or this one, and is asked again for as long as an
  // answer is waited for.
  [[nodiscard]] bool is_refused_for_now(const PackUpload& upload, const PackFile& pack, const wire::Stored& stored) {
    if (stored.pack != pack.id() || stored.code != Code::unavailable || upload.is_directory_answered()) return false;
    if (!refused_since_.has_value()) refused_since_ = monotonic_now();
    return monotonic_now() - *refused_since_ < session_.timeout_ms();
  }

  // Sends what may be sent now. A message that the connection does not take is kept.
  Outcome<void> send(PackUpload& upload) {
    while (true) {
      if (!waiting_) {
        INSTAR_TRY(auto put, upload.next());
        if (!put) return {};
        waiting_ = mqtt::Message{session_.topics().put(session_.client_id()), wire::encode(*put),
                                 wire::Qos::at_least_once, wire::Retain::no};
      }
      if (!session_.try_publish(*waiting_)) return {};
      if (!largest_sent_ || waiting_->payload.size() >= largest_sent_->payload.size())
        largest_sent_ = std::move(*waiting_);
      waiting_.reset();
    }
  }

  // Says what is waited for, and looks into it where it takes too long.
  void note_silence(const PackUpload& upload, const PackFile& pack, std::int64_t on_its_way) {
    const bool is_there = upload.bytes_on_their_way() > 0 && session_.unacknowledged() == 0;
    const auto silent = monotonic_now() - heard_ - (is_there ? 0 : on_its_way);
    session_.waits_for("the broker to store " + pack.path() + ", of which " + std::to_string(upload.bytes_done()) +
                       " of " + std::to_string(upload.bytes_all()) + " bytes are there" +
                       (is_pausing() ? " (" + no_room_ + ")" : ""));
    if (!is_pausing() && largest_sent_ && silent >= (was_answered_ ? kLaterSilenceMs : kFirstSilenceMs)) find_out_why();
  }

  void find_out_why() { session_.find_out_why({*largest_sent_, {stored_topic_}, true, was_answered_}); }

  // Pieces arrive in the order in which they are sent. One that does not follow what came before shows that the broker
  // has dropped another, as those do that are too large for it.
  Outcome<void> refused(const wire::Stored& stored, Failure failure) {
    if (loss_) return {};
    if (stored.code != Code::malformed || !largest_sent_) return fail(std::move(failure));
    loss_ = std::move(failure);
    lost_at_ = monotonic_now();
    find_out_why();
    return {};
  }

  Outcome<void> hear(PackUpload& upload, const PackFile& pack) {
    const auto event = session_.next(kUploadTurnMs);
    const auto now = monotonic_now();
    if (event && event->kind == mqtt::EventKind::connected) {
      upload.restart();
      waiting_.reset();
      heard_ = now;
    }
    if (event && event->kind == mqtt::EventKind::message && event->message.topic == stored_topic_) {
      heard_ = now;
      silences_ = 0;
      was_answered_ = true;
      session_.waits_no_more();
      auto stored = wire::decode_stored(event->message.payload);
      if (!stored) return fail(Failure(Exit::failed, with_context(stored.error(), "the broker's answer to an upload")));
      if (is_refused_for_now(upload, pack, *stored)) {
        upload.restart();
        waiting_.reset();
        no_room_ = stored->reason;
        paused_until_ = now + kNoRoomPauseMs;
        return {};
      }
      auto status = upload.on_stored(*stored);
      if (!status)
        return refused(*stored, Failure(stored->code == Code::ok ? Exit::failed : Exit::refused,
                                        with_context(status.error(), "uploading " + pack.path())));
    }
    const auto on_its_way = static_cast<std::int64_t>(upload.bytes_on_their_way() / kSlowestBytesAMs);
    note_silence(upload, pack, on_its_way);
    if (is_pausing() || loss_ || now - heard_ < session_.timeout_ms() + on_its_way) return {};
    heard_ = now;
    if (const auto lost = session_.lost()) return fail(*lost);
    // A directory is answered at once: who gets no answer to it may not write there, or is not answered at all.
    if (!upload.is_directory_answered() || ++silences_ >= limits::kUploadSilencesMax) {
      return fail(Exit::timed_out, Code::unavailable,
                  "the broker did not answer the upload of " + pack.path() + " within " +
                      std::to_string(session_.timeout_ms() / 1'000) + " s. May this user write to " +
                      session_.topics().put(session_.client_id()) + " and read " + stored_topic_ +
                      ", and is it among the plugin's operators? Run the same command again: what is stored stays" +
                      session_.words_of_silence());
    }
    upload.restart();
    waiting_.reset();
    return {};
  }

  Session& session_;
  const UploadProgress& progress_;
  UploadResult& result_;
  std::string stored_topic_;
  std::optional<mqtt::Message> waiting_;
  std::optional<mqtt::Message> largest_sent_;
  std::optional<Failure> loss_;  // a piece of the upload did not arrive
  MonotonicMs lost_at_;
  bool was_answered_ = false;
  std::string no_room_;  // why the broker takes nothing now
  MonotonicMs heard_;
  std::uint32_t silences_ = 0;
  std::optional<MonotonicMs> refused_since_;  // for now
  std::optional<MonotonicMs> paused_until_;
};

}  // namespace

Outcome<UploadResult> upload_packs(Session& session, const std::vector<const PackFile*>& packs,
                                   const UploadProgress& progress) {
  INSTAR_CHECK(session.subscribe(session.topics().stored(session.client_id())));
  UploadResult result;
  for (const auto* pack : packs) result.bytes_all += pack->wire_bytes();
  Uploader uploader(session, progress, result);
  std::uint64_t done = 0;
  for (const auto* pack : packs) {
    INSTAR_CHECK(uploader.run(*pack, done));
    done += pack->wire_bytes();
  }
  return result;
}

}  // namespace instar::publisher
