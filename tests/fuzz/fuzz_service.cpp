// The broker's service as clients reach it: a few messages one after the other. $CONTROL commands, and messages whose
// signatures hold and whose payloads are the input's, so that what is behind the signatures is reached. Nothing that
// comes in breaks an invariant, every answer is JSON, and the service starts again from what it has stored.
#include <array>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/assert.hpp"
#include "core/trust/envelope.hpp"
#include "json/read.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_service {
namespace {

using namespace instar::broker;

constexpr Sender kOperator{"op-1", "", true};
constexpr Sender kStranger{"op-2", "mallory", false};
constexpr std::size_t kStepsMax = 8;

// A rollout that a device takes part in.
class Scene {
 public:
  Scene() {
    static const PackFixture kPack = make_pack(1, 1, 200);
    INSTAR_ASSERT(fixture_.start().has_value());
    (void)fixture_.hello(device_);
    rollout_ = fixture_.release(1, kPack);
    fixture_.settle();
  }

  void step(std::uint8_t kind, ByteView body);
  void check();

 private:
  void from_device(wire::TopicKind kind, const Bytes& payload) {
    (void)fixture_.send("gw-01", fixture_.topics().device(device_.id, kind), payload);
  }
  void sealed(trust::Kind kind, wire::TopicKind topic, ByteView body) {
    from_device(topic, trust::seal(kind, body, device_.key));
  }
  void published(trust::Kind kind, const std::string& topic, ByteView body, int key) {
    (void)fixture_.send("op-1", topic, trust::seal(kind, body, test_key(key)), wire::Retain::yes);
  }
  void command(ByteView body, const Sender& sender);
  void any_topic(ByteView body);

  ServiceFixture fixture_;
  FakeDevice device_{"gw-01"};
  ManifestId rollout_;
};

// "@@" stands for the rollout.
void Scene::command(ByteView body, const Sender& sender) {
  std::string text(as_text(body));
  const auto id = rollout_.short_hex();
  for (auto at = text.find("@@"); at != std::string::npos; at = text.find("@@", at + id.size()))
    text.replace(at, 2, id);
  fixture_.service().on_control(sender, text, fixture_.now());
}

// The topic ends at the first line feed.
void Scene::any_topic(ByteView body) {
  const auto text = as_text(body);
  const auto topic = text.substr(0, text.find('\n'));
  const ByteView payload = body.subspan(std::min(body.size(), topic.size() + 1));
  for (const auto& sender : {kOperator, kStranger, Sender{"gw-01", "gw-01", true}}) {
    (void)fixture_.service().may_read(sender, topic);
    if (fixture_.service().may_write(sender, topic)) (void)fixture_.send(sender.client_id, std::string(topic), payload);
  }
}

void Scene::step(std::uint8_t kind, ByteView body) {
  using wire::TopicKind;
  const auto& topics = fixture_.topics();
  const std::uint8_t first = body.empty() ? 0 : body[0];
  switch (kind % 12) {
    case 0: command(body, kOperator); break;
    case 1: command(body, kStranger); break;
    case 2: sealed(trust::Kind::hello, TopicKind::device_hello, body); break;
    case 3: sealed(trust::Kind::report, TopicKind::device_report, body); break;
    case 4: from_device(TopicKind::device_fetch, to_bytes(body)); break;
    case 5: (void)fixture_.send("op-1", topics.put(client_id("op-1")), body); break;
    case 6:
      published(trust::Kind::manifest, topics.manifest(group_path("plant-7"), "gateway-2"), body, kReleaseKey);
      break;
    case 7:
      published(trust::Kind::assignment, topics.device(device_.id, TopicKind::device_assignment), body, kReleaseKey);
      break;
    case 8: published(trust::Kind::root, topics.root(), body, kRootKey); break;
    case 9: fixture_.tick(std::int64_t{first} * 60'000); break;
    case 10: any_topic(body); break;
    default:
      (void)fixture_.hello(device_);
      (void)fixture_.report(device_, rollout_, static_cast<wire::Step>(first % wire::kStepCount));
      break;
  }
  fixture_.tick(100);
}

void Scene::check() {
  fixture_.settle();
  for (const auto& answer : fixture_.broker().on(fixture_.topics().control_response()))
    INSTAR_ASSERT(json::read(as_text(answer.payload)).has_value());
  for (const auto& [topic, payload] : fixture_.broker().retained) {
    const auto parsed = fixture_.topics().parse(topic);
    INSTAR_ASSERT(parsed.has_value());
    if (parsed->kind == wire::TopicKind::rollout_status && !payload.empty())
      INSTAR_ASSERT(json::read(as_text(payload)).has_value());
  }
  INSTAR_ASSERT(fixture_.restart().has_value());
  fixture_.settle();
}

// Steps are a kind, two bytes of length, and so many bytes. What the last one lacks it does without.
void run(ByteView input) {
  Scene scene;
  for (std::size_t steps = 0; steps < kStepsMax && input.size() >= 3; ++steps) {
    const std::uint8_t kind = input[0];
    const std::size_t length = std::min<std::size_t>(input[1] | std::size_t{input[2]} << 8, input.size() - 3);
    scene.step(kind, input.subspan(3, length));
    input = input.subspan(3 + length);
  }
  scene.check();
}

}  // namespace
}  // namespace instar::fuzz_service

INSTAR_FUZZ_TARGET(service, instar::fuzz_service::run)
