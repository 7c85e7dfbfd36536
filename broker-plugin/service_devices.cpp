// What devices send.
#include <utility>
#include <vector>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
Status ServiceImpl::take_device_message(const Sender& sender, const wire::Topic& topic, ByteView payload) {
  const auto intent = topic.kind == wire::TopicKind::device_hello    ? Intent::hello
                      : topic.kind == wire::TopicKind::device_report ? Intent::report
                                                                     : Intent::fetch;
  const auto client = Intake::client_of(sender, topic.device.str());
  if (const auto refusal = intake_.check(client, sender, intent, payload.size(), now_.monotonic))
    return turn_away(topic.device, intent, *refusal);
  if (sender.identity_known && connected_.insert(topic.device).second) tracker_.is_there(topic.device);
  switch (topic.kind) {
    case wire::TopicKind::device_hello:
    case wire::TopicKind::device_report: return let_in(sender, client, topic.device, intent, payload);
    case wire::TopicKind::device_fetch: return take_fetch(sender, client, topic.device, payload);
    default: return fail(Code::refused, "only the broker publishes here");
  }
}

Status ServiceImpl::let_in(const Sender& sender, const std::string& client, const DeviceId& device, Intent intent,
                           ByteView payload) {
  if (commits_.is_behind()) return fail(Code::unavailable, "the store is behind or down; the device sends it again");
  const auto refusal = intake_.push(client, device, sender.identity_known, intent, payload, now_.monotonic);
  while (const auto dropped = intake_.take_dropped()) {
    const Error error{Code::unavailable, "the broker has all that it can check: send again later"};
    complaints_.add(intake_.sender_of(dropped->client), "a message of device " + dropped->device.str(), error,
                    now_.monotonic);
    static_cast<void>(turn_away(dropped->device, Intent::hello, {error, dropped->tell}));
  }
  if (refusal.has_value()) return turn_away(device, intent, *refusal);
  check_waiting();
  return {};
}

// A device that is told so says hello again after a while; reports it sends again by itself. What it sent is not
// durable, and the ack does not say so: it can go at once, whatever the store has to do.
Status ServiceImpl::turn_away(const DeviceId& device, Intent intent, const Intake::Refusal& refusal) {
  if (refusal.tell && (intent == Intent::hello || intent == Intent::report))
    outbox_.ack(device, {0, refusal.error.code, refusal.error.message, 0, 0});
  return fail(refusal.error);
}

void ServiceImpl::check_waiting() {
  while (!commits_.is_behind()) {
    auto next = intake_.next();
    if (!next.has_value()) return;
    check(std::move(*next));
  }
}

// Reports are believed by the key that the device was first seen with, or, where the deployment says so, by its
// connection.
void ServiceImpl::check(Intake::Next next) {
  const auto& [intent, device, own_connection, payload] = next.message;
  const auto bytes = payload.size();
  if (intent == Intent::hello) {
    const auto via = own_connection ? rollout::Via::own_connection : rollout::Via::bridge;
    return opener_->hello(device, payload,
                          [this, client = next.client, device = device, via, bytes](const Result<wire::Hello>& hello) {
                            intake_.done(client, Intent::hello, bytes);
                            hello_opened(client, device, via, hello);
                          });
  }
  const auto* known = tracker_.device(device);
  const auto key = known == nullptr ? std::nullopt : known->record.pinned_key();
  const auto opened = [this, client = next.client, device = device, bytes](const Result<wire::Report>& report) {
    intake_.done(client, Intent::report, bytes);
    report_opened(client, device, report);
  };
  if (!key.has_value())
    return opened(fail(Code::not_found, "device " + device.str() + " is not known here: it must say hello first"));
  if (options_.trust_connections && own_connection) return opened(open_report(device, payload, std::nullopt));
  opener_->report(device, payload, *key, opened);
}

void ServiceImpl::hello_opened(const std::string& client, const DeviceId& device, rollout::Via via,
                               const Result<wire::Hello>& hello) {
  if (commits_.is_down()) return;
  if (!hello.has_value()) return refuse_device(client, device, hello.error());
  rollout::Effects effects;
  const auto status = tracker_.hello(*hello, {via, login_of(intake_.sender_of(client))}, now_, effects);
  if (!status.has_value()) {
    if (!effects.empty()) carry_out(std::move(effects));
    return refuse_device(client, device, status.error());
  }
  if (const auto line = roots_.note_held(device, hello->description.root_version, now_.monotonic); line.has_value())
    log_.write(LogLevel::warning, *line);
  // It may have gone while its hello was opened.
  if (via == rollout::Via::own_connection && !connected_.contains(hello->device)) tracker_.gone(hello->device, now_);
  carry_out(std::move(effects));
}

void ServiceImpl::report_opened(const std::string& client, const DeviceId& device, const Result<wire::Report>& report) {
  if (commits_.is_down()) return;
  if (!report.has_value()) return refuse_device(client, device, report.error());
  rollout::Effects effects;
  const auto status = tracker_.report(*report, now_, effects);
  if (!status.has_value()) return refuse_device(client, device, status.error());
  carry_out(std::move(effects));
}

// By an ack with the reason, so that the device can say why. A stale hello may be an old one that somebody has sent
// again, or be of a device that has lost its state: the ack says which start goes before, and the device knows.
void ServiceImpl::refuse_device(const std::string& client, const DeviceId& device, const Error& error) {
  complaints_.add(intake_.sender_of(client), "a message of device " + device.str(), error, now_.monotonic);
  const auto* known = tracker_.device(device);
  wire::Ack ack{known == nullptr ? 0 : known->record.applied_sequence, error.code, error.message, 0, 0};
  if (error.code == Code::stale && known != nullptr) {
    ack.boot = known->record.boot;
    ack.instance = known->record.instance;
  }
  commits_.when_durable({}, [this, device, ack = std::move(ack)] { outbox_.ack(device, ack); });
}

Status ServiceImpl::take_fetch(const Sender& sender, const std::string& client, const DeviceId& device,
                               ByteView payload) {
  INSTAR_TRY(const auto fetch, wire::decode_fetch(payload));
  if (tracker_.device(device) == nullptr) {
    return fail(Code::not_found, "device " + device.str() + " is not known here: it must say hello first");
  }
  if (fetch.pack.has_value()) {
    const auto refusal = intake_.check(client, sender, Intent::request, payload.size(), now_.monotonic);
    if (refusal.has_value()) {
      if (refusal->tell) outbox_.piece(device, {fetch.session, 0, 0, {}, wire::ChunkFault::busy});
      return fail(refusal->error);
    }
  }
  tracker_.heard(device, now_);
  chunks_.fetch(device, fetch, now_.monotonic);
  return {};
}

// By the wall clock, which may be wrong: what a clock that has jumped takes away here is nothing that a rollout goes
// by, and comes back with the next hello.
void ServiceImpl::forget_silent() {
  const auto& devices = tracker_.devices();
  const auto silent_ms = std::int64_t{options_.unknown_devices_days} * 24 * 3'600 * 1'000;
  std::vector<DeviceId> silent;
  auto next = devices.upper_bound(looked_at_);
  for (std::size_t i = 0; i < limits::kForgetLooksMax && next != devices.end(); ++i, ++next) {
    looked_at_ = next->first;
    // What was made up leaves nothing behind: its key is worth as little as another.
    if (is_silent(next->second, silent_ms, now_.wall) && !next->second.record.took_part) silent.push_back(next->first);
  }
  if (next == devices.end()) looked_at_ = DeviceId();
  if (silent.empty()) return;
  rollout::Effects effects;
  for (const auto& device : silent)
    static_cast<void>(tracker_.forget(device, rollout::OldKey::untouched, now_.wall, effects));
  carry_out(std::move(effects));
}

wire::ChunkFault ServiceImpl::account(const SentPiece& piece) {
  switch (tracker_.charge(piece.device, piece.rollout, piece.pack, piece.bytes)) {
    case rollout::Charge::ok: break;
    case rollout::Charge::device_spent: return wire::ChunkFault::over_budget;
    case rollout::Charge::rollout_spent:
    case rollout::Charge::wait: return wire::ChunkFault::busy;
    case rollout::Charge::not_offered: return wire::ChunkFault::not_offered;
  }
  upload_.packs().served(piece.pack);
  if (transfer_log_) transfer_log_(piece.device, piece.pack, piece.ordinal, piece.offset, piece.bytes);
  return wire::ChunkFault::none;
}

}  // namespace instar::broker
