// The frame of the service: what comes in, and whose turn it is.
#include "broker-plugin/service.hpp"

#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// Counted bytes are saved a part of the devices at a time, so often; all of those that wait within kSavesARound of
// these, and what is counted meanwhile in the round after.
constexpr std::int64_t kSaveBytesMs = 500;
constexpr std::size_t kSavesARound = 40;
constexpr std::int64_t kCheckSessionsMs = 10'000;
// Soaks, silence and turns are looked at so often.
constexpr std::int64_t kTickMs = 1'000;

ChunkServerOptions chunk_options(const ServiceOptions& options) {
  ChunkServerOptions out;
  out.window_bytes_max = options.window_bytes_max;
  return out;
}

}  // namespace

ServiceImpl::ServiceImpl(ServiceOptions options, storage::Store& store, BrokerPort& broker, TransferLog transfer_log,
                         std::unique_ptr<Opener> opener)
    : options_(std::move(options)),
      store_(store),
      broker_(broker),
      transfer_log_(std::move(transfer_log)),
      chunks_(
          store,
          [this](const DeviceId& device, const wire::ChunkPiece& piece) {
            broker_.publish(options_.topics.device(device, wire::TopicKind::device_chunk), wire::encode(piece),
                            wire::Qos::at_most_once, wire::Retain::no);
          },
          [this](const SentPiece& sent) {
            switch (tracker_.charge(sent.device, sent.rollout, sent.bytes)) {
              case rollout::Charge::ok: break;
              case rollout::Charge::device_spent: return wire::ChunkFault::over_budget;
              case rollout::Charge::rollout_spent:
              case rollout::Charge::wait: return wire::ChunkFault::busy;
            }
            if (transfer_log_) transfer_log_(sent.device, sent.pack, sent.ordinal, sent.offset, sent.bytes);
            return wire::ChunkFault::none;
          },
          chunk_options(options_)),
      upload_(
          store, complete_packs_,
          [this](storage::Batch batch, std::function<void()> act) { when_durable(std::move(batch), std::move(act)); },
          [this](const ClientId& client, const wire::Stored& stored) {
            broker_.publish(options_.topics.stored(client), wire::encode(stored), wire::Qos::at_least_once,
                            wire::Retain::no);
          }),
      complaints_([this](LogLevel level, const std::string& line) { log(level, line); }),
      opener_(opener != nullptr ? std::move(opener) : std::make_unique<InlineOpener>()),
      self_(std::make_shared<ServiceImpl*>(this)) {}

// Reasons come from devices: one entry of the log is one line, whatever they hold.
void ServiceImpl::log(LogLevel level, std::string line) {
  for (auto& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  broker_.log(level, line);
}

Status ServiceImpl::start(Now now) {
  now_ = now;
  INSTAR_CHECK(load());
  check_gate_key();
  publish_retained();
  gates_refreshed_ = now.monotonic;
  return {};
}

Verdict ServiceImpl::on_message(const Sender& sender, std::string_view topic, ByteView payload, wire::Qos /*qos*/,
                                wire::Retain how, Now now) {
  now_ = now;
  const bool retain = how == wire::Retain::yes;
  const auto parsed = options_.topics.parse(topic);
  if (!parsed.has_value() && !options_.topics.owns(topic)) return Verdict::route;
  if (auto status = check_message(sender, parsed, payload); !status.has_value()) return refuse(topic, status.error());
  if (parsed->kind == wire::TopicKind::device_presence) return Verdict::route;
  if (parsed->kind == wire::TopicKind::root) return take_root(payload);
  if (parsed->kind == wire::TopicKind::group_manifest)
    return take_manifest(sender, parsed->group, topic, payload, retain);
  if (parsed->kind == wire::TopicKind::device_assignment)
    return take_assignment(parsed->device, topic, payload, retain);

  if (parsed->kind != wire::TopicKind::operator_put) note_connected(sender, parsed->device);
  Status status;
  switch (parsed->kind) {
    case wire::TopicKind::device_hello: status = take_hello(sender, parsed->device, payload); break;
    case wire::TopicKind::device_report: status = take_report(sender, parsed->device, payload); break;
    case wire::TopicKind::device_fetch: status = take_fetch(parsed->device, payload); break;
    case wire::TopicKind::operator_put: status = take_put(parsed->client, payload); break;
    default: status = fail(Code::refused, "only the broker publishes here"); break;
  }
  if (!status.has_value()) return refuse(topic, status.error());
  return Verdict::consume;
}

// What can be said without looking into the payload.
Status ServiceImpl::check_message(const Sender& sender, const std::optional<wire::Topic>& topic,
                                  ByteView payload) const {
  if (!topic.has_value()) return fail(Code::malformed, "no such topic is known");
  if (payload.size() > limits::kMessageBytesMax) {
    return fail(Code::too_large, std::to_string(payload.size()) + " bytes; a message has at most " +
                                     std::to_string(limits::kMessageBytesMax));
  }
  switch (topic->kind) {
    case wire::TopicKind::device_hello:
    case wire::TopicKind::device_report:
    case wire::TopicKind::device_fetch:
    case wire::TopicKind::device_presence:
      if (sender.identity_known && sender.client_id != topic->device.str()) {
        return fail(Code::refused, "client '" + std::string(sender.client_id) + "' is not that device");
      }
      return {};
    case wire::TopicKind::operator_put:
      if (sender.identity_known && sender.client_id != topic->client.str()) {
        return fail(Code::refused, "client '" + std::string(sender.client_id) + "' is not that client");
      }
      [[fallthrough]];
    case wire::TopicKind::root:
    case wire::TopicKind::device_assignment:
    case wire::TopicKind::group_manifest:
      if (!is_operator(sender))
        return fail(Code::refused, "user '" + std::string(sender.username) + "' is not among the operators");
      return {};
    default: return fail(Code::refused, "only the broker publishes here");
  }
}

Verdict ServiceImpl::refuse(std::string_view topic, const Error& error) {
  complaints_.add("a message on " + std::string(topic.substr(0, 200)), error, now_.monotonic);
  return Verdict::refuse;
}

void ServiceImpl::on_disconnect(std::string_view client_id, Now now) {
  now_ = now;
  if (const auto client = ClientId::parse(client_id); client.has_value()) upload_.drop(*client);
  const auto device = DeviceId::parse(client_id);
  if (!device.has_value()) return;
  connected_.erase(*device);
  tracker_.gone(*device, now);
  chunks_.drop(*device);
}

void ServiceImpl::on_tick(Now now) {
  now_ = now;
  store_.poll();
  opener_->poll();
  send_acks();
  if (store_is_down_) try_recovery();
  upload_.send_answers();
  chunks_.pump();
  if (!store_is_down_) do_chores();
  store_.flush();
}

void ServiceImpl::on_stop() {
  if (store_is_down_) return;
  rollout::Effects effects;
  tracker_.save_bytes(tracker_.unsaved_bytes(), effects);
  carry_out(std::move(effects));
  store_.flush();
}

void ServiceImpl::do_chores() {
  const auto now = now_.monotonic;
  if (!status_due_.empty()) publish_due_statuses();
  if (now - ticked_ >= kTickMs || tracker_.is_urgent()) {
    ticked_ = now;
    rollout::Effects effects;
    tracker_.tick(now_, effects);
    if (!effects.empty()) carry_out(std::move(effects));
  }
  if (now - bytes_saved_ >= kSaveBytesMs) {
    bytes_saved_ = now;
    bytes_a_save_ = std::max(bytes_a_save_, tracker_.unsaved_bytes() / kSavesARound + 1);
    rollout::Effects effects;
    tracker_.save_bytes(bytes_a_save_, effects);
    if (tracker_.unsaved_bytes() == 0) bytes_a_save_ = 0;
    if (!effects.empty()) carry_out(std::move(effects));
  }
  if (now - sessions_checked_ >= kCheckSessionsMs) {
    sessions_checked_ = now;
    chunks_.drop_stalled(now);
  }
  if (now - gates_refreshed_ >= limits::kGateRefreshMs) {
    gates_refreshed_ = now;
    rollout::Effects effects;
    tracker_.refresh_gates(now_, effects);
    carry_out(std::move(effects));
  }
}

std::unique_ptr<Service> make_service(ServiceOptions options, storage::Store& store, BrokerPort& broker,
                                      TransferLog transfer_log, std::unique_ptr<Opener> opener) {
  return std::make_unique<ServiceImpl>(std::move(options), store, broker, std::move(transfer_log), std::move(opener));
}

}  // namespace instar::broker
