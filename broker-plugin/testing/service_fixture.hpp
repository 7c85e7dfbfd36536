// A service over a store in memory and a broker that records what it gets, with operators and devices that send
// messages to it.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker-plugin/service.hpp"
#include "core/artifact/pack.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "storage/memory_store.hpp"

namespace instar::broker {

struct Published {
  std::string topic;
  Bytes payload;
  wire::Qos qos = wire::Qos::at_most_once;
  wire::Retain retain = wire::Retain::no;
};

class FakeBroker final : public BrokerPort {
 public:
  void publish(const std::string& topic, ByteView payload, wire::Qos qos, wire::Retain retain) override;
  void log(LogLevel level, const std::string& line) override;

  [[nodiscard]] std::vector<Published> on(const std::string& topic) const;
  [[nodiscard]] bool logged(const std::string& text) const;

  std::vector<Published> published;
  std::map<std::string, Bytes> retained;
  std::vector<std::string> lines;  // each after the number of its level
};

[[nodiscard]] trust::SecretKey test_key(int fill);
[[nodiscard]] DeviceId device_id(std::string_view text);
[[nodiscard]] ClientId client_id(std::string_view text);
[[nodiscard]] GroupPath group_path(std::string_view text);

inline constexpr int kRootKey = 1;
inline constexpr int kReleaseKey = 2;
inline constexpr int kGateKey = 3;
inline constexpr int kPlant7Key = 4;  // release, limited to plant-7/#
inline constexpr int kStrangerKey = 9;

[[nodiscard]] trust::RootDocument test_root(std::uint32_t version = 1, std::optional<Hash256> previous = std::nullopt);
[[nodiscard]] Bytes seal_root(const trust::RootDocument& root, int key = kRootKey);

// Bytes that do not compress, the same for the same seed.
[[nodiscard]] Bytes noise(std::size_t size, std::uint64_t seed);

struct PackFixture {
  artifact::PackDirectory directory;
  std::vector<Bytes> encoded;
  Bytes bytes;  // of the directory
  PackId id;
};
// One head chunk of 500 bytes and `body` chunks of `chunk_bytes`.
[[nodiscard]] PackFixture make_pack(std::uint64_t seed, std::size_t body = 4, std::size_t chunk_bytes = 100'000);

[[nodiscard]] wire::Manifest make_manifest(const PackFixture& pack, std::uint64_t sequence,
                                           std::vector<GroupPath> groups = {group_path("plant-7")});
[[nodiscard]] Bytes seal_manifest(const wire::Manifest& manifest, int key = kReleaseKey);
[[nodiscard]] ManifestId rollout_of(const wire::Manifest& manifest);

// The device's side of the protocol, as far as the broker sees it.
struct FakeDevice {
  explicit FakeDevice(std::string_view name, int key_fill = 100);
  DeviceId id;
  trust::SecretKey key;
  std::uint64_t last_sequence = 0;
  std::uint64_t acked = 0;
  std::uint32_t connect = 0;
  std::vector<GroupPath> groups{group_path("plant-7/line-a")};
  std::optional<wire::RevisionInfo> running;
  ManifestId rollout;
  wire::Step step = wire::Step::idle;

  [[nodiscard]] wire::Hello hello_message() const;
  [[nodiscard]] Bytes hello();
  [[nodiscard]] wire::Report report_message(const ManifestId& of, wire::Step to, std::uint64_t sequence) const;
  [[nodiscard]] Bytes seal_report(const wire::Report& report) const;
  [[nodiscard]] Bytes report(const ManifestId& of, wire::Step to);
};

class ServiceFixture {
 public:
  ServiceFixture();

  ServiceOptions& options() { return options_; }
  storage::MemoryStore& store() { return store_; }
  FakeBroker& broker() { return *broker_; }
  Service& service() { return *service_; }
  const wire::Topics& topics() const { return options_.topics; }
  Now now() const { return now_; }
  std::uint64_t transferred_bytes = 0;

  Status start();
  // The power is cut and comes back. The broker has lost its retained messages too.
  Status restart();
  void tick(std::int64_t ms = 0);
  // Somebody sets the broker's wall clock by so much.
  void set_clock(std::int64_t by_ms) { now_.wall = now_.wall + by_ms; }
  void settle();
  Verdict send(std::string_view client, const std::string& topic, ByteView payload,
               wire::Retain retain = wire::Retain::no);

  // --- operators ---
  Verdict put(const wire::Put& put, std::string_view client = "op-1");
  void put_directory(const PackFixture& pack, std::string_view client = "op-1");
  void put_chunk(const PackFixture& pack, std::uint32_t ordinal, std::string_view client = "op-1");
  void put_object(wire::PutKind kind, const PackId& pack, std::uint32_t ordinal, const Bytes& bytes,
                  std::string_view client = "op-1");
  void upload(const PackFixture& pack, std::string_view client = "op-1");
  std::vector<wire::Stored> stored(std::string_view client = "op-1") const;
  Verdict publish(const Bytes& envelope, std::string_view group = "plant-7", wire::Retain retain = wire::Retain::yes,
                  std::string_view product = "gateway-2");
  Verdict publish(const wire::Manifest& manifest);
  // Puts the device into these groups. An empty list withdraws that.
  Verdict assign(const FakeDevice& device, std::vector<GroupPath> groups = {group_path("plant-7")},
                 const Sender& sender = {"op-1", "", true});
  // Uploads the pack and publishes the manifest.
  ManifestId release(std::uint64_t sequence, const PackFixture& pack);
  nlohmann::json control(const std::string& request, const Sender& sender = {"op-1", "", true});
  // Sends one command and returns its response.
  nlohmann::json command(nlohmann::json command);
  nlohmann::json status(const ManifestId& rollout) const;
  std::optional<wire::Gate> gate(std::string_view group, std::string_view product = "gateway-2") const;

  // --- devices ---
  Verdict hello(FakeDevice& device);
  Verdict report(FakeDevice& device, const ManifestId& rollout, wire::Step step);
  Verdict from(const FakeDevice& device, wire::TopicKind kind, const Bytes& payload);
  Verdict fetch(const FakeDevice& device, const wire::Fetch& fetch);
  std::vector<wire::Ack> acks(const FakeDevice& device) const;
  std::vector<wire::ChunkPiece> pieces(const FakeDevice& device) const;
  void forget_published() { broker_->published.clear(); }

 private:
  ServiceOptions options_{.topics = {},
                          .gate_key = test_key(kGateKey),
                          .pinned_root = {},
                          .operators = {},
                          .transfer_log = {},
                          .window_bytes_max = 0};
  storage::MemoryStore store_;
  std::unique_ptr<FakeBroker> broker_ = std::make_unique<FakeBroker>();
  std::unique_ptr<Service> service_;
  Now now_{{1'760'000'100'000}, {1'000'000}};
};

}  // namespace instar::broker
