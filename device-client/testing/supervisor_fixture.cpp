#include "device-client/testing/supervisor_fixture.hpp"

#include <poll.h>

#include <chrono>
#include <filesystem>
#include <utility>

namespace instar::device {
namespace {

// Even on a busy machine nothing takes so long. Only a supervisor that hangs does.
constexpr std::chrono::seconds kHangs{300};

}  // namespace

wire::Container container(const std::string& name, std::uint8_t artifact, std::uint32_t order) {
  wire::Container made;
  made.name = name;
  made.artifact.bytes.fill(artifact);
  made.init = {"/bin/" + name, "an argument"};
  made.start_order = order;
  return made;
}

wire::Manifest manifest(std::vector<wire::Container> containers) {
  wire::Manifest made;
  made.containers = std::move(containers);
  return made;
}

SupervisorFixture::SupervisorFixture() {
  config = parse_config(
               "device_id = d\nproduct = p\ngroups = g\nserver = tcp://x:1\nstate_dir = " + folder.path() + "\n", "x")
               .value();
  restart_daemon();
}

void SupervisorFixture::restart_daemon() {
  supervisor = std::make_unique<Supervisor>(SupervisorOptions{config, {}, helper.path(), &log});
}

MonotonicMs SupervisorFixture::now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

const wire::Manifest& SupervisorFixture::staged(std::uint32_t revision, const wire::Manifest& of) {
  for (const auto& each : of.containers)
    std::filesystem::create_directories(
        folder / ("revisions/" + std::to_string(revision) + "/artifacts/" + each.artifact.hex() + "/tree"));
  return of;
}

void SupervisorFixture::poll_at(MonotonicMs when, Events& events) {
  supervisor->poll(when, events);
  supervisor->assert_invariants();
}

Events SupervisorFixture::work(std::size_t count) {
  Events events;
  const auto deadline = std::chrono::steady_clock::now() + kHangs;
  while ((events.size() < count || !supervisor->is_settled()) && std::chrono::steady_clock::now() < deadline) {
    std::vector<pollfd> waiting;
    for (const int fd : supervisor->fds()) waiting.push_back({fd, POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), 20);
    poll(events);
  }
  EXPECT_EQ(events.size(), count);
  return events;
}

}  // namespace instar::device
