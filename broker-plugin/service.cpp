// The calls of the port: what comes in, and whose turn it is.
#include "broker-plugin/service.hpp"

#include <utility>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/reply.hpp"
#include "broker-plugin/service_impl.hpp"

namespace instar::broker {
namespace {

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
      log_(broker),
      outbox_(broker, options_.topics, options_.gate_key),
      access_(options_.topics, options_.operators, options_.device_identity),
      clock_(options_.clock),
      transfer_log_(std::move(transfer_log)),
      complaints_(log_),
      commits_(store, log_),
      chunks_(
          store, [this](const DeviceId& device, const wire::ChunkPiece& piece) { outbox_.piece(device, piece); },
          [this](const SentPiece& sent) { return account(sent); }, chunk_options(options_)),
      upload_(
          store,
          [this](storage::Batch batch, std::function<void()> act) {
            commits_.when_durable(std::move(batch), std::move(act));
          },
          [this](const ClientId& client, const wire::Stored& stored) { outbox_.stored(client, stored); }, {},
          [this](std::uint64_t bytes) { return make_room(bytes); }),
      opener_(opener != nullptr ? std::move(opener) : std::make_unique<InlineOpener>()),
      self_(std::make_shared<ServiceImpl*>(this)) {}

Status ServiceImpl::start(Now now) {
  now_ = now;
  INSTAR_CHECK(load());
  INSTAR_CHECK(start_clock());
  check_gate_key();
  check_approvals();
  warn_of_expiry();
  publish_retained();
  chores_.started(now.monotonic);
  return {};
}

Verdict ServiceImpl::on_message(const Sender& sender, std::string_view topic, ByteView payload, wire::Qos /*qos*/,
                                wire::Retain /*retain*/, Now now) {
  note_time(now);
  const auto parsed = options_.topics.parse(topic);
  if (!parsed.has_value() && !options_.topics.owns(topic)) return Verdict::route;
  if (auto status = access_.check_message(sender, parsed, payload.size()); !status.has_value()) {
    return refuse(sender, topic, status.error());
  }
  if (!parsed.has_value()) return Verdict::route;  // it clears what somebody has left there
  Status status;
  switch (parsed->kind) {
    case wire::TopicKind::device_presence: return Verdict::route;
    case wire::TopicKind::root:
    case wire::TopicKind::root_version: return take_root(sender, topic, payload);
    case wire::TopicKind::group_manifest: return take_manifest(sender, *parsed, topic, payload);
    case wire::TopicKind::device_assignment: return take_assignment(sender, parsed->device, topic, payload);
    case wire::TopicKind::operator_put: status = take_put(sender, parsed->client, payload); break;
    default: status = take_device_message(sender, *parsed, payload); break;
  }
  if (!status.has_value()) return refuse(sender, topic, status.error());
  return Verdict::consume;
}

Verdict ServiceImpl::refuse(const Sender& sender, std::string_view topic, const Error& error) {
  complaints_.add(sender, "a message on " + std::string(topic.substr(0, 200)), error, now_.monotonic);
  return Verdict::refuse;
}

void ServiceImpl::on_control(const Sender& sender, std::string_view payload, Now now) {
  note_time(now);
  const auto reply = std::make_shared<Reply>([this, self = std::weak_ptr(self_)](const std::string& json) {
    if (!self.expired()) outbox_.answer(json);
  });
  const auto request = access_.may_command(sender)
                           ? read_request(payload)
                           : Result<Json>(fail(Code::refused, "user '" + std::string(sender.username.substr(0, 128)) +
                                                                  "' is not among the operators"));
  if (!request.has_value()) {
    complaints_.add(sender, "a control message", request.error(), now.monotonic);
    static_cast<void>(reply->add({{"command", "Unknown command"}, {"error", sentence(request.error())}}));
    return reply->done();
  }
  rollout::Effects effects;
  const CommandContext context{tracker_,
                               intake_,
                               chunks_,
                               upload_,
                               roots_,
                               complaints_,
                               clock_,
                               options_.topics,
                               store_,
                               name_of(sender),
                               now,
                               effects,
                               std::string(sender.client_id)};
  for (const auto& command : *request) run_command(context, command, commits_.is_down(), reply);
  if (commits_.is_down()) return reply->done();
  // What the answers say, they say when it is durable.
  const auto lost = [reply](const Error& why) {
    reply->fail_all(why);
    reply->done();
  };
  carry_out(std::move(effects), {.batch = {}, .before = {}, .after = [reply] { reply->done(); }, .lost = lost});
}

void ServiceImpl::on_disconnect(std::string_view client_id, Now now) {
  note_time(now);
  if (const auto client = ClientId::parse(client_id); client.has_value()) upload_.drop(*client);
  const auto device = DeviceId::parse(client_id);
  if (!device.has_value()) return;
  connected_.erase(*device);
  tracker_.gone(*device, now);
  chunks_.drop(*device);
}

void ServiceImpl::on_tick(Now now) {
  note_time(now);
  store_.poll();
  opener_->poll();
  check_waiting();
  intake_.sweep(now.monotonic);
  complaints_.tick(now.monotonic);
  send_acks();
  try_recovery();
  upload_.send_answers();
  if (!commits_.is_behind()) upload_.packs().tick(now.wall);
  chunks_.pump();
  if (!commits_.is_down()) do_chores();
  store_.flush();
}

void ServiceImpl::on_stop() {
  if (commits_.is_down()) return;
  rollout::Effects effects;
  tracker_.save_bytes(tracker_.unsaved_bytes(), effects);
  carry_out(std::move(effects));
  if (clock_.may_save(now_.monotonic)) save_clock();
  store_.flush();
}

void ServiceImpl::do_chores() {
  const auto now = now_.monotonic;
  for (const auto& rollout : statuses_.due(now)) publish_status(rollout);
  if (chores_.tick_is_due(now, tracker_.is_urgent())) {
    rollout::Effects effects;
    tracker_.tick(now_, effects);
    if (!effects.empty()) carry_out(std::move(effects));
  }
  if (const auto devices = chores_.saves_due(now, tracker_.unsaved_bytes()); devices > 0) {
    rollout::Effects effects;
    tracker_.save_bytes(devices, effects);
    if (tracker_.unsaved_bytes() == 0) chores_.all_saved();
    if (!effects.empty()) carry_out(std::move(effects));
  }
  if (chores_.session_check_is_due(now)) chunks_.drop_stalled(now);
  if (chores_.silence_check_is_due(now) && tracker_.unknown_count() > 0 && clock_.is_believed()) forget_silent();
  if (chores_.expiry_check_is_due(now)) warn_of_expiry();
  if (chores_.gate_refresh_is_due(now)) {
    rollout::Effects effects;
    tracker_.refresh_gates(now_, effects);
    carry_out(std::move(effects));
  }
  if (clock_.save_is_due(now_)) save_clock();
  if (clock_.line_is_due(now)) write_clock_line();
}

void ServiceImpl::send_acks() {
  for (auto& [device, ack] : acks_.take(now_.monotonic)) {
    // The device may have given its turn up since.
    if (ack.start_rollout != 0 && !tracker_.has_turn(device, ack.start_rollout, ack.start_attempt))
      ack.start_rollout = ack.start_attempt = 0;
    outbox_.ack(device, ack);
  }
}

bool ServiceImpl::may_write(const Sender& sender, std::string_view topic) const {
  return access_.may_write(sender, topic);
}

bool ServiceImpl::may_read(const Sender& sender, std::string_view topic) const {
  return access_.may_read(sender, topic);
}

void ServiceImpl::assert_invariants() const {
  tracker_.assert_invariants();
  complaints_.assert_invariants();
  commits_.assert_invariants();
  chunks_.assert_invariants();
  upload_.assert_invariants();
  roots_.assert_invariants();
  intake_.assert_invariants();
  acks_.assert_invariants();
  statuses_.assert_invariants(now_.monotonic);
  chores_.assert_invariants(now_.monotonic);
}

std::unique_ptr<Service> make_service(ServiceOptions options, storage::Store& store, BrokerPort& broker,
                                      TransferLog transfer_log, std::unique_ptr<Opener> opener) {
  return std::make_unique<ServiceImpl>(std::move(options), store, broker, std::move(transfer_log), std::move(opener));
}

}  // namespace instar::broker
