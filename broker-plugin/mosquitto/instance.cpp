#include "broker-plugin/mosquitto/instance.hpp"

#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// An idle Mosquitto runs its loop ten times a second.
constexpr std::int64_t kNoTickMs = 5'000;
constexpr std::int64_t kLogLostMs = 60'000;

// Messages to the broker itself. The service takes them, so no client reads them, whatever it has subscribed to.
[[nodiscard]] bool is_for_broker_only(wire::TopicKind kind) noexcept {
  return kind == wire::TopicKind::device_fetch || kind == wire::TopicKind::device_report ||
         kind == wire::TopicKind::device_hello || kind == wire::TopicKind::operator_put;
}

}  // namespace

Instance::Instance(PluginOptions options, BrokerPort& port, wire::Topics topics)
    : options_(std::move(options)),
      port_(port),
      topics_(std::move(topics)),
      control_prefix_(topics_.control()),
      bridges_(options_.bridges.begin(), options_.bridges.end()) {}

// The service is destroyed before the store, and the store with its threads before the waker.
Instance::~Instance() = default;

void Instance::on_stop() {
  backend_.service->on_stop();
}

Result<std::unique_ptr<Instance>> Instance::open(PluginOptions options, BrokerPort& port, Now now) {
  INSTAR_TRY(auto topics, wire::Topics::with_prefix(options.prefix));
  std::unique_ptr<Instance> instance(new Instance(std::move(options), port, std::move(topics)));
  instance->now_ = now;
  instance->opened_ = now.monotonic;
  if (!instance->options_.transfer_log.empty()) {
    INSTAR_TRY(auto log, TransferFile::open(instance->options_.transfer_log));
    instance->transfer_file_.emplace(std::move(log));
  }
  TransferLog sink;
  if (instance->transfer_file_.has_value()) {
    sink = [self = instance.get()](const DeviceId& device, const PackId& pack, std::uint32_t ordinal,
                                   std::uint32_t offset, std::uint32_t bytes) {
      self->transfer_file_->add(self->now_.wall, device, pack, ordinal, offset, bytes);
    };
  }
  INSTAR_TRY(instance->waker_, Waker::install());
  INSTAR_TRY(instance->backend_, open_backend(instance->options_, port, std::move(sink),
                                              [waker = instance->waker_.get()] { waker->wake(); }));
  INSTAR_CHECK(instance->backend_.service->start(now));
  return instance;
}

bool Instance::guards(std::string_view topic) const noexcept {
  if (topics_.owns(topic)) return true;
  return topic.starts_with(control_prefix_) &&
         (topic.size() == control_prefix_.size() || topic[control_prefix_.size()] == '/');
}

Sender Instance::sender_of(const Client& client) const {
  return {.client_id = client.id,
          .username = client.username,
          .identity_known = !bridges_.contains(client.id),
          .address = client.address,
          .is_certified = client.is_certified};
}

bool Instance::may_write(const Client& client, std::string_view topic, std::size_t payload_bytes) const {
  return payload_bytes <= limits::kMessageBytesMax && backend_.service->may_write(sender_of(client), topic);
}

bool Instance::may_read(const Client& client, std::string_view topic) const {
  if (topic == swallowed_topic_) return false;
  const auto parsed = topics_.parse(topic);
  if (parsed.has_value() && is_for_broker_only(parsed->kind)) return false;
  return backend_.service->may_read(sender_of(client), topic);
}

// A message of QoS 0 or 1 is routed before anything else happens, so it is hidden by denying this one topic until then.
// A message of QoS 2 is routed at the client's PUBREL, whenever that comes: there, only what nobody may ever read is
// hidden.
MessageAnswer Instance::swallow(std::string_view topic, wire::Qos qos) {
  swallowed_topic_ = topic;
  if (qos != wire::Qos::exactly_once) return MessageAnswer::swallow;
  const auto parsed = topics_.parse(topic);
  return parsed.has_value() && is_for_broker_only(parsed->kind) ? MessageAnswer::swallow : MessageAnswer::deny;
}

AclAnswer Instance::fallthrough() const noexcept {
  return options_.acl_fallthrough == AclFallthrough::allow ? AclAnswer::allow : AclAnswer::defer;
}

AclAnswer Instance::on_acl(const Client& client, Access access, std::string_view topic, std::size_t payload_bytes) {
  if (access == Access::write) {
    swallowed_topic_.clear();
    checked_connection_ = client.connection;
    checked_topic_ = topic.data();
  }
  if (access == Access::other || !guards(topic)) return fallthrough();
  if (access == Access::read) return may_read(client, topic) ? fallthrough() : AclAnswer::deny;
  if (ended_connection_ != nullptr && client.connection == ended_connection_) {
    // A last will reaches subscribers without passing the service, so it may only say that a device is gone.
    const auto parsed = topics_.parse(topic);
    if (!parsed.has_value() || parsed->kind != wire::TopicKind::device_presence) return AclAnswer::deny;
  }
  return may_write(client, topic, payload_bytes) ? fallthrough() : AclAnswer::deny;
}

bool Instance::write_was_checked(const Client& client, std::string_view topic) const noexcept {
  return checked_connection_ == client.connection && checked_topic_ == topic.data();
}

void Instance::forget_last_event() noexcept {
  swallowed_topic_.clear();
  ended_connection_ = nullptr;
  checked_connection_ = nullptr;
}

MessageAnswer Instance::on_message(const Client& client, std::string_view topic, ByteView payload, wire::Qos qos,
                                   wire::Retain retain, Now now) {
  const bool checked = write_was_checked(client, topic);
  forget_last_event();
  if (!topics_.owns(topic)) return MessageAnswer::route;
  now_ = now;
  if (payload.size() > limits::kMessageBytesMax) return MessageAnswer::deny;
  if (!checked) {
    if (!may_write(client, topic, payload.size())) return MessageAnswer::deny;
    if (sender_of(client).identity_known && !std::exchange(logged_bypass_, true)) {
      port_.log(LogLevel::warning,
                "a message of " + std::string(client.id) + " on " + std::string(topic) +
                    " was let through before this plugin was asked: put its `plugin` line before that of any other "
                    "plugin that checks access, or name the client in plugin_opt_bridges if it is a bridge");
    }
  }
  if (!ticked_ && now.monotonic - opened_ > kNoTickMs && !std::exchange(logged_no_tick_, true)) {
    port_.log(LogLevel::error,
              "the broker calls no TICK: is per_listener_settings true? Devices are not served until it is false");
  }
  if (const auto replaced = connections_.seen(client.connection, client.id))
    backend_.service->on_disconnect(*replaced, now);
  switch (backend_.service->on_message(sender_of(client), topic, payload, qos, retain, now)) {
    case Verdict::route: return MessageAnswer::route;
    case Verdict::consume: return swallow(topic, qos);
    case Verdict::refuse: return MessageAnswer::deny;
  }
  return MessageAnswer::deny;
}

void Instance::on_control(const Client& client, ByteView payload, Now now) {
  now_ = now;
  forget_last_event();
  // Checked here too, because another plugin may have answered the ACL check before us.
  if (!may_write(client, control_prefix_, payload.size())) {
    if (!logged_command_.has_value() || now.monotonic - *logged_command_ >= kLogLostMs) {
      logged_command_ = now.monotonic;
      port_.log(LogLevel::notice, "refused a command of client " + std::string(client.id) + ", user " +
                                      std::string(client.username) + ", address " + std::string(client.address) +
                                      ": too large, or not one of plugin_opt_operators");
    }
    return;
  }
  backend_.service->on_control(sender_of(client), as_text(payload), now);
}

void Instance::on_disconnect(const Client& client, Now now) {
  now_ = now;
  forget_last_event();
  ended_connection_ = client.connection;
  if (const auto gone = connections_.gone(client.connection)) backend_.service->on_disconnect(*gone, now);
}

void Instance::on_tick(Now now) {
  now_ = now;
  ticked_ = true;
  forget_last_event();
  waker_->awake();
  backend_.service->on_tick(now);
  if (backend_.service->has_more()) waker_->wake();
  if (transfer_file_.has_value()) flush_transfers(now);
}

void Instance::flush_transfers(Now now) {
  transfer_file_->flush();
  if (now.monotonic - logged_lost_ < kLogLostMs) return;
  if (const auto lost = transfer_file_->take_lost(); lost > 0) {
    logged_lost_ = now.monotonic;
    port_.log(LogLevel::warning, std::to_string(lost) + " lines of the transfer log " + options_.transfer_log +
                                     " were lost: is its disk full?");
  }
}

void Instance::on_reload() {
  if (!transfer_file_.has_value()) return;
  if (const auto status = transfer_file_->reopen(); !status.has_value())
    port_.log(LogLevel::warning, status.error().message);
}

}  // namespace instar::broker
