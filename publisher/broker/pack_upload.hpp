// Uploads packs to the broker: first the directory, then the chunks that the broker lacks. What is not yet durable is
// never more than four of the largest chunks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "core/wire/messages.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/broker/session.hpp"

namespace instar::publisher {

// The upload of one pack, without a clock or a connection. It says what to send next, and takes the broker's answers.
class PackUpload {
 public:
  // `pack` must outlive it.
  explicit PackUpload(const PackFile& pack) : pack_(pack) {}

  // Begins, or begins again after the connection was lost. What is durable already is not sent twice.
  void restart();
  // The next message. nullopt: the upload waits for the broker's answer, or is done. Errors: io, corrupt (the file
  // changed).
  [[nodiscard]] Result<std::optional<wire::Put>> next();
  // Errors: the broker's own (its code and reason), malformed (it names chunks that the pack does not have).
  [[nodiscard]] Status on_stored(const wire::Stored& stored);

  [[nodiscard]] bool is_complete() const noexcept { return complete_; }
  // Whether the broker has said which chunks it lacks.
  [[nodiscard]] bool is_directory_answered() const noexcept { return directory_answered_; }
  // Encoded bytes of the pack that the broker holds durably.
  [[nodiscard]] std::uint64_t bytes_done() const noexcept { return bytes_done_; }
  [[nodiscard]] std::uint64_t bytes_all() const noexcept { return pack_.wire_bytes(); }
  // Bytes that were sent and that the broker has not answered yet.
  [[nodiscard]] std::size_t bytes_on_their_way() const noexcept {
    return directory_answered_ ? in_flight_bytes_ : directory_sent_;
  }
  // Encoded bytes that next() has returned for sending.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }

 private:
  [[nodiscard]] Status take_missing(const std::vector<wire::OrdinalRange>& missing);
  [[nodiscard]] Status take_durable(const std::vector<wire::OrdinalRange>& durable);
  [[nodiscard]] Status check_range(const wire::OrdinalRange& range) const;
  [[nodiscard]] bool has_room(std::uint32_t ordinal) const noexcept;
  wire::Put directory_piece();
  wire::Put chunk_piece();

  const PackFile& pack_;
  std::size_t directory_sent_ = 0;  // bytes of the directory that next() has returned since restart()
  bool directory_answered_ = false;
  std::deque<std::uint32_t> missing_;  // not yet begun
  std::set<std::uint32_t> in_flight_;  // begun, not yet durable
  std::size_t in_flight_bytes_ = 0;
  std::optional<std::uint32_t> sending_;  // the one of them whose pieces are being sent
  Bytes chunk_;
  std::size_t chunk_sent_ = 0;
  bool complete_ = false;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_sent_ = 0;
};

struct UploadResult {
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_all = 0;
};

// Uploads each pack in turn. Goes on after lost connections and restarts of the broker, and gives up when nothing
// becomes durable for long. Errors: refused (by the broker), timed_out, and those of PackUpload.
using UploadProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;
[[nodiscard]] Outcome<UploadResult> upload_packs(Session& session, const std::vector<const PackFile*>& packs,
                                                 const UploadProgress& progress);

}  // namespace instar::publisher
