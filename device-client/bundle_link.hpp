// Takes the place of the link while a release comes from a file. It offers the manifest, serves chunks within the
// device's window, and receives reports without acks, so that the broker gets all of them later.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/wire/messages.hpp"
#include "device-client/process/config.hpp"
#include "files/bundle.hpp"
#include "mqtt/client.hpp"

namespace instar::device {

class BundleLink final : public mqtt::Client {
 public:
  struct Documents {
    Bytes root;
    Bytes manifest;                              // envelopes
    std::map<std::uint32_t, Bytes> older_roots;  // by version, for a device that asks for one
    wire::Topics topics;
    DeviceId device;
    GroupPath group;  // of the device, and of the manifest
    std::string product;
  };
  // The bundle's packs are read when they are needed. Errors: those of the bundle; malformed (a pack's directory).
  [[nodiscard]] static Result<std::unique_ptr<BundleLink>> make(files::Bundle bundle, Documents documents);
  ~BundleLink() override;

  // How the release ended, once the device has reported that.
  [[nodiscard]] const std::optional<wire::Report>& ending() const noexcept { return ending_; }

  Status start() override;
  Status publish(mqtt::Message message) override;
  std::optional<mqtt::Event> take(std::uint32_t timeout_ms) override;
  bool is_connected() const noexcept override { return true; }
  Status subscribe(mqtt::Subscription subscription) override;
  Status unsubscribe(const std::string& /*filter*/) override { return {}; }
  int event_fd() const noexcept override { return event_fd_; }
  std::uint64_t dropped_messages() const noexcept override { return 0; }
  void stop(std::uint32_t /*timeout_ms*/) override {}

 private:
  struct Pack {
    files::Bundle::Part part;
    std::vector<artifact::ChunkRef> chunks;
    std::vector<std::uint64_t> offsets;  // of each chunk in the part
  };
  BundleLink(files::Bundle bundle, Documents documents);
  [[nodiscard]] Status read_directories();
  void push(mqtt::EventKind kind, std::string topic, Bytes payload);
  void serve(const wire::Fetch& fetch);
  void pump();
  void send(wire::ChunkPiece piece);

  files::Bundle bundle_;
  Documents documents_;
  ManifestId rollout_;
  std::map<PackId, Pack> packs_;
  std::deque<mqtt::Event> events_;
  std::optional<wire::Report> ending_;
  int event_fd_ = -1;
  // The session of the last fetch.
  struct Wanted {
    PackId pack;
    wire::ChunkRange range;
  };
  std::uint32_t session_ = 0;
  std::uint64_t origin_ = 0;  // the device's count when the session began; the next two are counted from there
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint32_t window_ = 0;
  std::uint32_t piece_bytes_ = 0;
  std::deque<Wanted> wanted_;
};

}  // namespace instar::device
