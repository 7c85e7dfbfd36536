#include "device-client/bundle_link.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::device {

BundleLink::BundleLink(files::Bundle bundle, Documents documents)
    : bundle_(std::move(bundle)),
      documents_(std::move(documents)),
      event_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (const auto envelope = trust::parse_envelope(documents_.manifest)) rollout_ = ManifestId(envelope->payload_hash);
}

BundleLink::~BundleLink() {
  if (event_fd_ >= 0) ::close(event_fd_);
}

Result<std::unique_ptr<BundleLink>> BundleLink::make(files::Bundle bundle, Documents documents) {
  std::unique_ptr<BundleLink> link(new BundleLink(std::move(bundle), std::move(documents)));
  INSTAR_CHECK(link->read_directories());
  return link;
}

Status BundleLink::read_directories() {
  for (const auto& part : bundle_.parts()) {
    if (part.kind != files::BundlePart::pack) continue;
    INSTAR_TRY(const auto head, bundle_.read(part, 0, artifact::kDirectoryHeadBytes));
    INSTAR_TRY(const auto size, artifact::directory_bytes(head));
    INSTAR_TRY(const auto bytes, bundle_.read(part, 0, size));
    INSTAR_TRY(auto directory, artifact::decode_directory(bytes));
    Pack pack{part, std::move(directory.chunks), {}};
    std::uint64_t at = bytes.size();
    for (const auto& chunk : pack.chunks) {
      pack.offsets.push_back(at);
      at += chunk.encoded_bytes;
    }
    packs_.emplace(trust::digest(bytes), std::move(pack));
  }
  return {};
}

Status BundleLink::start() {
  push(mqtt::EventKind::connected, {}, {});
  push(mqtt::EventKind::message, documents_.topics.root(), documents_.root);
  push(mqtt::EventKind::message, documents_.topics.manifest(documents_.group, documents_.product), documents_.manifest);
  return {};
}

Status BundleLink::subscribe(mqtt::Subscription subscription) {
  const auto topic = documents_.topics.parse(subscription.filter);
  if (!topic || topic->kind != wire::TopicKind::root_version) return {};
  const auto found = documents_.older_roots.find(topic->root_version);
  if (found != documents_.older_roots.end()) push(mqtt::EventKind::message, subscription.filter, found->second);
  return {};
}

void BundleLink::push(mqtt::EventKind kind, std::string topic, Bytes payload) {
  events_.push_back({kind, {std::move(topic), std::move(payload), wire::Qos::at_least_once, wire::Retain::no}, {}});
  const std::uint64_t one = 1;
  static_cast<void>(!::write(event_fd_, &one, sizeof one));
}

std::optional<mqtt::Event> BundleLink::take(std::uint32_t /*timeout_ms*/) {
  if (events_.empty()) {
    std::uint64_t count = 0;
    static_cast<void>(!::read(event_fd_, &count, sizeof count));
    return std::nullopt;
  }
  auto event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Status BundleLink::publish(mqtt::Message message) {
  const auto topic = documents_.topics.parse(message.topic);
  if (topic && topic->kind == wire::TopicKind::device_fetch) {
    if (const auto fetch = wire::decode_fetch(message.payload)) serve(*fetch);
  }
  if (topic && topic->kind == wire::TopicKind::device_report) {
    const auto envelope = trust::parse_envelope(message.payload);
    auto report = envelope ? wire::decode_report(envelope->payload) : Result<wire::Report>(fail(envelope.error()));
    const bool ends = report && report->rollout == rollout_ && wire::is_final(report->step) && !report->again;
    if (ends) ending_ = std::move(*report);
  }
  return {};
}

// Does the work of the broker's chunk server for one device, on a link that loses nothing.
void BundleLink::serve(const wire::Fetch& fetch) {
  if (fetch.session < session_) return;
  if (fetch.session > session_) {
    session_ = fetch.session;
    origin_ = fetch.received_bytes;
    sent_ = received_ = 0;
    wanted_.clear();
  }
  const auto received = fetch.received_bytes > origin_ ? fetch.received_bytes - origin_ : 0;
  const bool asks_where = !fetch.pack && received == received_;
  received_ = std::clamp(received, received_, sent_);
  window_ = std::min(fetch.window_bytes, limits::kWindowBytesMax);
  piece_bytes_ = std::clamp(fetch.piece_bytes_max, limits::kPieceBytesMin, limits::kPieceBytesMax);
  if (asks_where) {
    wire::ChunkPiece piece;
    piece.fault = wire::ChunkFault::position;
    piece.ordinal = wanted_.empty() ? wire::kNoOrdinal : wanted_.front().range.first;
    piece.offset = wanted_.empty() ? 0 : wanted_.front().range.offset;
    send(std::move(piece));
  }
  if (fetch.pack) {
    for (const auto& range : fetch.ranges) wanted_.push_back({*fetch.pack, range});
  }
  pump();
}

void BundleLink::pump() {
  while (!wanted_.empty()) {
    auto& [id, range] = wanted_.front();
    const auto found = packs_.find(id);
    wire::ChunkPiece piece;
    piece.ordinal = range.first;
    piece.offset = range.offset;
    const bool known = found != packs_.end() && range.count > 0 && range.first < found->second.chunks.size() &&
                       range.offset < found->second.chunks[range.first].encoded_bytes;
    if (!known) {
      piece.fault = found == packs_.end() ? wire::ChunkFault::unknown_pack : wire::ChunkFault::out_of_range;
      wanted_.pop_front();
      send(std::move(piece));
      continue;
    }
    const auto& pack = found->second;
    const auto left = pack.chunks[range.first].encoded_bytes - range.offset;
    const auto bytes = std::min(piece_bytes_, left);
    const auto out = sent_ - received_;
    if (out > 0 && out + bytes > window_) return;
    auto data = bundle_.read(pack.part, pack.offsets[range.first] + range.offset, bytes);
    if (!data) {
      piece.fault = wire::ChunkFault::busy;
      wanted_.clear();
      return send(std::move(piece));
    }
    piece.data = std::move(*data);
    sent_ += bytes;
    range.offset += bytes;
    if (bytes == left) {
      range.offset = 0;
      ++range.first;
      if (--range.count == 0) wanted_.pop_front();
    }
    send(std::move(piece));
  }
}

void BundleLink::send(wire::ChunkPiece piece) {
  piece.session = session_;
  push(mqtt::EventKind::message, documents_.topics.device(documents_.device, wire::TopicKind::device_chunk),
       wire::encode(piece));
}

}  // namespace instar::device
