// Bringing packs to the broker: the directory first, then the chunks that it says it lacks, no more of them not yet
// durable than four of the largest come to.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "core/base/limits.hpp"
#include "core/wire/messages.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/broker/session.hpp"

namespace instar::publisher {

// One pack's upload, without a clock or a connection: says what to send next, and takes the broker's answers.
class PackUpload {
 public:
  // `pack` must outlive it.
  explicit PackUpload(const PackFile& pack) : pack_(pack) {}

  // Begins, or begins again after the connection was lost: what is durable already is not sent twice.
  void restart();
  // The next message, or nullopt when the broker's word is awaited (or all is done). Errors: io, corrupt (the file
  // changed).
  [[nodiscard]] Result<std::optional<wire::Put>> next();
  // Errors: the broker's own (its code and reason), malformed (it names chunks that the pack does not have).
  [[nodiscard]] Status on_stored(const wire::Stored& stored);

  [[nodiscard]] bool is_complete() const noexcept { return complete_; }
  // The broker has said what it lacks.
  [[nodiscard]] bool is_directory_answered() const noexcept { return directory_answered_; }
  // Encoded bytes that the broker holds durably, of all.
  [[nodiscard]] std::uint64_t bytes_done() const noexcept { return bytes_done_; }
  [[nodiscard]] std::uint64_t bytes_all() const noexcept { return pack_.wire_bytes(); }
  // Encoded bytes handed out for sending.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }

  // Encoded bytes sent and not yet durable: four of the largest chunks. Bounds what the broker holds in memory for an
  // upload, and what is sent again after a lost connection.
  static constexpr std::size_t kBytesInFlightMax = 4 * limits::kChunkEncodedBytesMax;
  // The broker answers once a tick (0.1 s when idle): with small chunks it is their number that fills the time between.
  static constexpr std::size_t kChunksInFlightMax = 64;

 private:
  [[nodiscard]] Status take_missing(const std::vector<wire::OrdinalRange>& missing);
  [[nodiscard]] Status take_durable(const std::vector<wire::OrdinalRange>& durable);
  [[nodiscard]] Status check_range(const wire::OrdinalRange& range) const;
  [[nodiscard]] bool has_room(std::uint32_t ordinal) const noexcept;
  wire::Put directory_piece();
  wire::Put chunk_piece();

  const PackFile& pack_;
  std::size_t directory_sent_ = 0;  // bytes of the directory handed out since restart()
  bool directory_answered_ = false;
  std::deque<std::uint32_t> missing_;  // not yet begun
  std::set<std::uint32_t> in_flight_;  // begun, not yet durable
  std::size_t in_flight_bytes_ = 0;
  std::optional<std::uint32_t> sending_;  // the one of them whose pieces are going out
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

// Uploads each pack in turn. Rides out lost connections and broker restarts; gives up when nothing becomes durable for
// long. Errors: refused (the broker said no), timed_out, and those of PackUpload.
using UploadProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;
[[nodiscard]] Outcome<UploadResult> upload_packs(Session& session, const std::vector<const PackFile*>& packs,
                                                 const UploadProgress& progress);

}  // namespace instar::publisher
