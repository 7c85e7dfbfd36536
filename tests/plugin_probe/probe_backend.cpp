// A backend that messages control, so that tests can drive the Mosquitto adapter alone through each of
// the broker's corners. Payloads on a topic of ours:
//   route | consume | refuse | throw        the verdict, or an exception
//   flood COUNT BYTES                       so many pieces to the sender's `chunk`, QoS 0
//   publish TOPIC QOS RETAIN TEXT           a message of the broker's
//   say …                                   the payload goes to the log as it is
//   commit                                  a store write; "durable" to the sender's `ack` once it is
//   commit-unwoken                          the same, but nobody wakes the broker's loop for it
// Whatever else comes is consumed. All that happens is logged.
#include <atomic>
#include <sstream>
#include <stdexcept>

#include "broker-plugin/mosquitto/backend.hpp"
#include "storage/rocks_store.hpp"

namespace instar::broker {
namespace {

class ProbeService final : public Service {
 public:
  ProbeService(wire::Topics topics, storage::Store& store, BrokerPort& port, std::shared_ptr<std::atomic<bool>> mute)
      : topics_(std::move(topics)), store_(store), port_(port), mute_(std::move(mute)) {}

  Status start(Now) override {
    port_.log(LogLevel::notice, "probe starts");
    port_.publish(topics_.root(), as_bytes("root of the start"), wire::Qos::at_least_once, wire::Retain::yes);
    return {};
  }
  Verdict on_message(const Sender& sender, std::string_view topic, ByteView payload, wire::Qos qos, wire::Retain retain,
                     Now) override {
    port_.log(LogLevel::notice, "probe message " + std::string(sender.client_id) + " " + std::string(topic) + " " +
                                    std::to_string(payload.size()) + " q" + std::to_string(static_cast<int>(qos)) +
                                    (retain == wire::Retain::yes ? " retain" : "") +
                                    (sender.identity_known ? "" : " bridge"));
    std::istringstream words{std::string(as_text(payload.first(std::min<std::size_t>(payload.size(), 1024))))};
    std::string verb;
    words >> verb;
    if (verb == "route") return Verdict::route;
    if (verb == "refuse") return Verdict::refuse;
    if (verb == "throw") throw std::runtime_error("as told");
    if (verb == "say") port_.log(LogLevel::notice, std::string(as_text(payload)));
    if (verb == "flood") flood(sender, words);
    if (verb == "publish") publish(words);
    if (verb == "commit" || verb == "commit-unwoken") commit(sender, verb == "commit-unwoken");
    return Verdict::consume;
  }
  void on_control(const Sender& sender, std::string_view payload, Now) override {
    if (payload == "throw") throw 7;
    port_.publish(topics_.control_response(), as_bytes(std::string(sender.username) + " said " + std::string(payload)),
                  wire::Qos::at_most_once, wire::Retain::no);
  }
  void on_disconnect(std::string_view client_id, Now) override {
    port_.log(LogLevel::notice, "probe gone " + std::string(client_id));
  }
  void on_tick(Now) override { (void)store_.poll(); }
  void on_stop() override {}

  bool may_write(const Sender& sender, std::string_view topic) const override {
    const auto parsed = topics_.parse(topic);
    if (!parsed.has_value()) return false;
    switch (parsed->kind) {
      case wire::TopicKind::device_chunk:
      case wire::TopicKind::device_ack:
      case wire::TopicKind::group_gate: return false;
      case wire::TopicKind::device_fetch:
      case wire::TopicKind::device_report:
      case wire::TopicKind::device_hello:
      case wire::TopicKind::device_presence: return !sender.identity_known || parsed->device.str() == sender.client_id;
      default: return true;
    }
  }
  bool may_read(const Sender& sender, std::string_view topic) const override {
    const auto parsed = topics_.parse(topic);
    if (!parsed.has_value()) return false;
    const bool is_private =
        parsed->kind == wire::TopicKind::device_chunk || parsed->kind == wire::TopicKind::device_ack;
    return !is_private || parsed->device.str() == sender.client_id;
  }

 private:
  [[nodiscard]] std::string topic_of(const Sender& sender, wire::TopicKind kind) const {
    const auto device = DeviceId::parse(sender.client_id);
    return device.has_value() ? topics_.device(*device, kind) : topics_.root();
  }
  void flood(const Sender& sender, std::istream& words) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    words >> count >> bytes;
    const Bytes piece(bytes, 'x');
    for (std::size_t i = 0; i < count; ++i)
      port_.publish(topic_of(sender, wire::TopicKind::device_chunk), piece, wire::Qos::at_most_once, wire::Retain::no);
  }
  void publish(std::istream& words) {
    std::string topic;
    std::string text;
    int qos = 0;
    bool retain = false;
    words >> topic >> qos >> retain >> text;
    port_.publish(topic, as_bytes(text), static_cast<wire::Qos>(qos), static_cast<wire::Retain>(retain));
  }
  void commit(const Sender& sender, bool unwoken) {
    mute_->store(unwoken);
    storage::Batch batch{{storage::Column::history, std::to_string(++count_), to_bytes(std::string_view("x"))}};
    store_.commit(std::move(batch),
                  [this, topic = topic_of(sender, wire::TopicKind::device_ack)](const Status& status) {
                    port_.publish(topic, as_bytes(status.has_value() ? "durable" : "failed"), wire::Qos::at_most_once,
                                  wire::Retain::no);
                  });
  }

  wire::Topics topics_;
  storage::Store& store_;
  BrokerPort& port_;
  std::shared_ptr<std::atomic<bool>> mute_;
  std::uint64_t count_ = 0;
};

}  // namespace

Result<Backend> open_backend(const PluginOptions& options, BrokerPort& port, TransferLog, std::function<void()> wake) {
  INSTAR_TRY(auto topics, wire::Topics::with_prefix(options.prefix));
  Backend backend;
  INSTAR_TRY(backend.store, storage::RocksStore::open(options.store_dir));
  auto mute = std::make_shared<std::atomic<bool>>(false);
  backend.store->on_ready([wake = std::move(wake), mute] {
    if (!mute->load()) wake();
  });
  backend.service = std::make_unique<ProbeService>(std::move(topics), *backend.store, port, std::move(mute));
  return backend;
}

}  // namespace instar::broker
