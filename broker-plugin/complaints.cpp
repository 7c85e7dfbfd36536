#include "broker-plugin/complaints.hpp"

#include "core/base/limits.hpp"
#include "core/base/text.hpp"

namespace instar::broker {
namespace {

std::string shown(std::string_view name) {
  return "'" + clean_text(name, limits::kNameBytesMax) + "'";
}

std::string described(const Sender& sender) {
  auto out = (sender.identity_known ? "client " : "bridge ") + shown(sender.client_id);
  out += sender.username.empty() ? ", no user name" : ", user " + shown(sender.username);
  if (!sender.address.empty()) out += ", address " + clean_text(sender.address, limits::kNameBytesMax);
  return out;
}

}  // namespace

void Complaints::add(const Sender& sender, const std::string& where, const Error& error, MonotonicMs now) {
  ++count_;
  if (!refusals_.may_write(std::string(sender.client_id), now)) return;
  log_.write(LogLevel::warning, "refused " + where + ": " + std::string(code_name(error.code)) + ": " + error.message +
                                    " (" + described(sender) + ")");
}

void Complaints::note(const DeviceId& device, LogLevel level, const std::string& text, MonotonicMs now) {
  if (notes_.may_write(device.str(), now)) log_.write(level, text);
}

void Complaints::tick(MonotonicMs now) {
  if (const auto refused = refusals_.take_left_out(now); refused > 0) {
    log_.write(LogLevel::warning, std::to_string(refused) +
                                      " more messages were refused and not logged one by one; a client has " +
                                      std::to_string(limits::kLinesPerSubjectMax) + " lines a minute");
  }
  if (const auto notes = notes_.take_left_out(now); notes > 0)
    log_.write(LogLevel::notice, std::to_string(notes) + " more lines about single devices were left out");
}

void Complaints::assert_invariants() const {
  refusals_.assert_invariants();
  notes_.assert_invariants();
}

}  // namespace instar::broker
