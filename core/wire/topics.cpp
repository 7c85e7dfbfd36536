#include "core/wire/topics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::wire {
namespace {

constexpr std::string_view kControl = "$CONTROL/";
constexpr std::string_view kResponse = "/response";

constexpr std::array<std::pair<std::string_view, TopicKind>, 7> kDeviceTopics{
    {{"fetch", TopicKind::device_fetch},
     {"chunk", TopicKind::device_chunk},
     {"report", TopicKind::device_report},
     {"ack", TopicKind::device_ack},
     {"hello", TopicKind::device_hello},
     {"presence", TopicKind::device_presence},
     {"assign", TopicKind::device_assignment}}};

// Removes the first level from `rest`, with the slash after it.
std::string_view take_first(std::string_view& rest) noexcept {
  const auto slash = rest.find('/');
  const auto level = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  return level;
}

// Removes the last level from `rest`, with the slash before it.
std::string_view take_last(std::string_view& rest) noexcept {
  const auto slash = rest.rfind('/');
  const auto level = slash == std::string_view::npos ? rest : rest.substr(slash + 1);
  rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(0, slash);
  return level;
}

bool is_rollout(std::string_view text) noexcept {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 16 && std::ranges::all_of(text, is_digit);
}

// A number from 1 on, written in one way only.
std::optional<Topic> of_root(std::string_view rest) {
  Topic topic;
  topic.kind = TopicKind::root_version;
  const auto* const end = rest.data() + rest.size();
  const auto [stop, bad] = std::from_chars(rest.data(), end, topic.root_version);
  if (bad != std::errc() || stop != end || rest.front() == '0') return std::nullopt;
  return topic;
}

// A group, and a product after it.
std::optional<Topic> of_group(TopicKind kind, std::string_view rest) {
  const auto product = take_last(rest);
  auto group = GroupPath::parse(rest);
  if (!group || !is_product(product)) return std::nullopt;
  Topic topic;
  topic.kind = kind;
  topic.group = std::move(*group);
  topic.product = product;
  return topic;
}

std::optional<Topic> of_device(std::string_view rest) {
  auto device = DeviceId::parse(take_first(rest));
  const auto found = std::ranges::find(kDeviceTopics, rest, &std::pair<std::string_view, TopicKind>::first);
  if (!device || found == kDeviceTopics.end()) return std::nullopt;
  Topic topic;
  topic.kind = found->second;
  topic.device = std::move(*device);
  return topic;
}

std::optional<Topic> of_rollout(std::string_view rest) {
  const auto rollout = take_first(rest);
  if (!is_rollout(rollout) || rest != "status") return std::nullopt;
  Topic topic;
  topic.kind = TopicKind::rollout_status;
  topic.rollout = rollout;
  return topic;
}

std::optional<Topic> of_operator(std::string_view rest) {
  auto client = ClientId::parse(take_first(rest));
  if (!client || (rest != "put" && rest != "stored")) return std::nullopt;
  Topic topic;
  topic.kind = rest == "put" ? TopicKind::operator_put : TopicKind::operator_stored;
  topic.client = std::move(*client);
  return topic;
}

}  // namespace

Result<Topics> Topics::with_prefix(std::string_view prefix) {
  // A group path has the grammar that a prefix needs, but may be longer.
  const bool fits = GroupPath::parse(prefix).has_value();
  if (!fits || static_cast<std::size_t>(std::ranges::count(prefix, '/')) >= limits::kPrefixLevelsMax) {
    return fail(Code::invalid_argument, "topic prefix '" + std::string(prefix.substr(0, 160)) +
                                            "' must be 1 or 2 levels of A-Z a-z 0-9 _ - joined by '/', like instar/v1");
  }
  Topics topics;
  topics.prefix_ = prefix;
  return topics;
}

bool Topics::owns(std::string_view topic) const noexcept {
  return topic.size() > prefix_.size() && topic.starts_with(prefix_) && topic[prefix_.size()] == '/';
}

std::optional<Topic> Topics::parse(std::string_view topic) const {
  Topic simple;
  if (topic.starts_with(kControl)) {
    topic.remove_prefix(kControl.size());
    simple.kind = topic == prefix_ ? TopicKind::control : TopicKind::control_response;
    const bool is_response = topic.starts_with(prefix_) && topic.substr(prefix_.size()) == kResponse;
    return topic == prefix_ || is_response ? std::optional(simple) : std::nullopt;
  }
  if (!owns(topic)) return std::nullopt;
  auto rest = topic.substr(prefix_.size() + 1);
  if (rest == "root") return simple;
  // Every form below has a bounded number of levels, so none has more than kTopicSlashesMax slashes.
  const auto branch = take_first(rest);
  if (branch == "root") return of_root(rest);
  if (branch == "manifest") return of_group(TopicKind::group_manifest, rest);
  if (branch == "gate") return of_group(TopicKind::group_gate, rest);
  if (branch == "d") return of_device(rest);
  if (branch == "r") return of_rollout(rest);
  if (branch == "o") return of_operator(rest);
  return std::nullopt;
}

std::string Topics::root() const {
  return prefix_ + "/root";
}

std::string Topics::root(std::uint32_t version) const {
  return root() + "/" + std::to_string(version);
}

std::string Topics::root_versions() const {
  return root() + "/+";
}

std::string Topics::manifest(const GroupPath& group, std::string_view product) const {
  INSTAR_ASSERT(is_product(product));
  return prefix_ + "/manifest/" + group.str() + "/" + std::string(product);
}

std::string Topics::gate(const GroupPath& group, std::string_view product) const {
  INSTAR_ASSERT(is_product(product));
  return prefix_ + "/gate/" + group.str() + "/" + std::string(product);
}

std::string Topics::device(const DeviceId& device, TopicKind kind) const {
  const auto found = std::ranges::find(kDeviceTopics, kind, &std::pair<std::string_view, TopicKind>::second);
  INSTAR_ASSERT(found != kDeviceTopics.end());
  return prefix_ + "/d/" + device.str() + "/" + std::string(found->first);
}

std::string Topics::status(std::string_view rollout) const {
  return prefix_ + "/r/" + std::string(rollout) + "/status";
}

std::string Topics::put(const ClientId& client) const {
  return prefix_ + "/o/" + client.str() + "/put";
}

std::string Topics::stored(const ClientId& client) const {
  return prefix_ + "/o/" + client.str() + "/stored";
}

std::string Topics::control() const {
  return std::string(kControl) + prefix_;
}

std::string Topics::control_response() const {
  return control() + std::string(kResponse);
}

}  // namespace instar::wire
