#include "broker-plugin/intake.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// What a message costs beside its payload: its place in the queue, its names, and its place in the opener.
constexpr std::size_t kMessageCostBytes = 256;
// Bytes that a client may have checked before the next one has its turn.
constexpr std::size_t kTurnBytes = 2 * limits::kReportBytesMax;
// Buckets of the table of clients that one sweep looks at.
constexpr std::size_t kSweepBuckets = 1'024;

struct Bound {
  const char* name;
  std::size_t bytes_max;
  std::int64_t burst;        // messages that may come at once,
  std::int64_t interval_us;  // and one more each time this has passed
};

constexpr std::array<Bound, kIntents> kBounds{{
    {"hello", limits::kHelloBytesMax, limits::kHelloBurstMax, limits::kHelloIntervalUs},
    {"report", limits::kReportBytesMax, limits::kReportBurstMax, limits::kReportIntervalUs},
    {"fetch", limits::kFetchBytesMax, limits::kFetchBurstMax, limits::kFetchIntervalUs},
    {"fetch that asks for chunks", limits::kFetchBytesMax, limits::kRequestBurstMax, limits::kRequestIntervalUs},
    {"put", limits::kPutBytesMax, limits::kPutBurstMax, limits::kPutIntervalUs},
}};

const Bound& bound_of(Intent intent) noexcept {
  return kBounds.at(static_cast<std::size_t>(intent));
}

std::int64_t microseconds(MonotonicMs now) noexcept {
  return now.value * 1'000;
}

std::size_t cost_of(std::size_t payload_bytes) noexcept {
  return payload_bytes + kMessageCostBytes;
}

}  // namespace

IntakeOptions intake_options() noexcept {
  return {.bytes_max = limits::kIntakeBytesMax,
          .client_bytes_max = limits::kIntakeClientBytesMax,
          .clients_max = limits::kIntakeClientsMax,
          .checking_max = limits::kCheckingMax,
          .checking_bytes_max = limits::kCheckingBytesMax};
}

std::string Intake::client_of(const Sender& sender, std::string_view own_name) {
  if (sender.identity_known) return std::string(own_name);
  return std::string(sender.client_id) + "/" + std::string(own_name);
}

Intake::Client* Intake::client(const std::string& name, const Sender& sender) {
  const auto known = clients_.find(name);
  if (known != clients_.end()) {
    auto& found = known->second;
    // It may have come back by another login.
    if (found.client_id != sender.client_id) found.client_id = sender.client_id;
    if (found.username != sender.username) found.username = sender.username;
    if (found.address != sender.address) found.address = sender.address;
    return &found;
  }
  if (clients_.size() >= options_.clients_max) return nullptr;
  auto& made = clients_[name];
  made.number = ++last_number_;
  made.name = name;
  made.client_id = sender.client_id;
  made.username = sender.username;
  made.address = sender.address;
  made.own_connection = sender.identity_known;
  return &made;
}

bool Intake::may_tell(Client& client, MonotonicMs now) noexcept {
  if (client.told.has_value() && now - *client.told < limits::kIntakeTellMs) return false;
  client.told = now;
  return true;
}

std::optional<Intake::Refusal> Intake::check(const std::string& name, const Sender& sender, Intent intent,
                                             std::size_t bytes, MonotonicMs now) {
  const auto& bound = bound_of(intent);
  auto* const from = client(name, sender);
  if (from == nullptr) {
    ++counts_.no_room;
    return Refusal{{Code::unavailable, "too many clients send at once: send again later"}, false};
  }
  if (bytes > bound.bytes_max) {
    ++counts_.too_large;
    return Refusal{{Code::too_large, "a " + std::string(bound.name) + " of " + std::to_string(bytes) +
                                         " bytes; it has at most " + std::to_string(bound.bytes_max)},
                   may_tell(*from, now)};
  }
  // The generic cell rate algorithm (ITU-T I.371): one time stands for the whole bucket.
  auto& used_until = from->used_until_us.at(static_cast<std::size_t>(intent));
  const auto at = microseconds(now);
  const auto used = std::max(used_until, at);
  if (used - at > (bound.burst - 1) * bound.interval_us) {
    ++counts_.too_often;
    return Refusal{{Code::unavailable, "a " + std::string(bound.name) + " too many: " + std::to_string(bound.burst) +
                                           " may come at once, then one in " +
                                           std::to_string(std::max<std::int64_t>(bound.interval_us / 1'000, 1)) +
                                           " ms; send again later"},
                   may_tell(*from, now)};
  }
  used_until = used + bound.interval_us;
  return std::nullopt;
}

// After each change of what a client has waiting: its weight, and its place in the round.
void Intake::weigh(Client& client, std::size_t waiting_bytes) {
  if (client.place.has_value()) heaviest_.erase(&client);
  client.waiting_bytes = waiting_bytes;
  if (!client.waiting.empty()) {
    heaviest_.insert(&client);
    if (!client.place.has_value()) {
      client.credit = 0;
      client.place = round_.insert(round_.end(), &client);
    }
  } else if (client.place.has_value()) {
    round_.erase(*client.place);
    client.place.reset();
  }
}

// From the client that has the most waiting, its newest message first: what came before it is not lost, and the order
// stays. Never from one that has no more than who wants the room.
bool Intake::make_room(const Client& wants, std::size_t cost, MonotonicMs now) {
  while (bytes_ + cost > options_.bytes_max) {
    if (heaviest_.empty()) return false;
    auto& heaviest = **heaviest_.rbegin();
    if (&heaviest == &wants || heaviest.waiting_bytes <= wants.waiting_bytes + cost) return false;
    const auto last = std::move(heaviest.waiting.back());
    heaviest.waiting.pop_back();
    const auto freed = cost_of(last.payload.size());
    weigh(heaviest, heaviest.waiting_bytes - freed);
    bytes_ -= freed;
    --waiting_;
    ++counts_.no_room;
    dropped_.push_back({heaviest.name, last.device, may_tell(heaviest, now)});
  }
  return true;
}

std::optional<Intake::Refusal> Intake::push(const std::string& name, const DeviceId& device, bool own_connection,
                                            Intent intent, ByteView payload, MonotonicMs now) {
  const auto found = clients_.find(name);
  INSTAR_ASSERT(found != clients_.end());
  auto& from = found->second;
  const auto cost = cost_of(payload.size());
  const bool has_room = from.waiting_bytes + from.checking_bytes + cost <= options_.client_bytes_max;
  if (!has_room || !make_room(from, cost, now)) {
    ++counts_.no_room;
    return Refusal{{Code::unavailable, has_room ? "the broker has all that it can check: send again later"
                                                : "what came before is still being checked: send again later"},
                   may_tell(from, now)};
  }
  from.waiting.push_back({intent, device, own_connection, to_bytes(payload)});
  weigh(from, from.waiting_bytes + cost);
  bytes_ += cost;
  ++waiting_;
  return std::nullopt;
}

Intake::Next Intake::take_from(Client& client) {
  Next out{client.name, std::move(client.waiting.front())};
  client.waiting.pop_front();
  const auto cost = cost_of(out.message.payload.size());
  weigh(client, client.waiting_bytes - cost);
  client.credit -= cost;
  client.checking_bytes += cost;
  ++client.checking;
  if (out.message.intent == Intent::hello) ++client.hellos_checking;
  --waiting_;
  ++checking_;
  checking_bytes_ += cost;
  return out;
}

// Deficit round robin (Shreedhar and Varghese): who is in front has its turn as long as its credit lasts, and then
// goes to the end.
std::optional<Intake::Next> Intake::next() {
  if (waiting_ == 0 || checking_ >= options_.checking_max || checking_bytes_ >= options_.checking_bytes_max)
    return std::nullopt;
  std::size_t held = 0;
  while (held < round_.size()) {
    auto& front = *round_.front();
    const auto cost = cost_of(front.waiting.front().payload.size());
    if (front.hellos_checking == 0 && front.credit >= cost) return take_from(front);
    if (front.hellos_checking > 0) {
      ++held;
    } else {
      held = 0;
      front.credit += kTurnBytes;
    }
    round_.splice(round_.end(), round_, round_.begin());
  }
  return std::nullopt;
}

void Intake::done(const std::string& name, Intent intent, std::size_t bytes) {
  const auto found = clients_.find(name);
  INSTAR_ASSERT(found != clients_.end());
  auto& from = found->second;
  const auto cost = cost_of(bytes);
  INSTAR_ASSERT(from.checking > 0 && from.checking_bytes >= cost);
  --from.checking;
  from.checking_bytes -= cost;
  if (intent == Intent::hello) --from.hellos_checking;
  --checking_;
  checking_bytes_ -= cost;
  bytes_ -= cost;
}

std::optional<Intake::Dropped> Intake::take_dropped() {
  if (dropped_.empty()) return std::nullopt;
  auto out = std::move(dropped_.front());
  dropped_.pop_front();
  return out;
}

bool Intake::is_at_rest(const Client& client, MonotonicMs now) noexcept {
  const auto is_full = [&](std::int64_t used_until) { return used_until <= microseconds(now); };
  return client.waiting.empty() && client.checking == 0 && std::ranges::all_of(client.used_until_us, is_full) &&
         (!client.told.has_value() || now - *client.told >= limits::kIntakeTellMs);
}

void Intake::sweep(MonotonicMs now) {
  if (clients_.empty()) return;
  std::vector<std::string> rested;
  const auto buckets = clients_.bucket_count();
  for (std::size_t i = 0; i < std::min(kSweepBuckets, buckets); ++i) {
    sweep_bucket_ = (sweep_bucket_ + 1) % buckets;
    for (auto it = clients_.begin(sweep_bucket_); it != clients_.end(sweep_bucket_); ++it) {
      if (is_at_rest(it->second, now)) rested.push_back(it->first);
    }
  }
  for (const auto& name : rested) clients_.erase(name);
}

Sender Intake::sender_of(const std::string& name) const {
  const auto found = clients_.find(name);
  if (found == clients_.end()) return {};
  const auto& known = found->second;
  return {.client_id = known.client_id,
          .username = known.username,
          .identity_known = known.own_connection,
          .address = known.address};
}

void Intake::assert_invariants() const {
  std::size_t waiting = 0;
  std::size_t checking = 0;
  std::size_t bytes = 0;
  std::size_t in_round = 0;
  for (const auto& [name, client] : clients_) {
    std::size_t own = 0;
    for (const auto& message : client.waiting) own += cost_of(message.payload.size());
    INSTAR_ASSERT(own == client.waiting_bytes && own + client.checking_bytes <= options_.client_bytes_max);
    INSTAR_ASSERT(client.place.has_value() == !client.waiting.empty());
    INSTAR_ASSERT(client.hellos_checking <= client.checking);
    waiting += client.waiting.size();
    checking += client.checking;
    bytes += own + client.checking_bytes;
    in_round += client.place.has_value() ? 1 : 0;
  }
  INSTAR_ASSERT(waiting == waiting_ && checking == checking_ && bytes == bytes_);
  INSTAR_ASSERT(bytes_ <= options_.bytes_max && clients_.size() <= options_.clients_max);
  INSTAR_ASSERT(round_.size() == in_round && heaviest_.size() == in_round);
}

}  // namespace instar::broker
