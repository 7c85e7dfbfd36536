// For tests: a supervisor with a state folder of its own, on a stand-in for instar-lxc.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "device-client/containers/supervisor.hpp"
#include "device-client/host.hpp"
#include "device-client/testing/fake_helper.hpp"

namespace instar::device {

using Events = std::vector<revision::Event>;

inline wire::Container container(const std::string& name, std::uint8_t artifact, std::uint32_t order = 0) {
  wire::Container made;
  made.name = name;
  made.artifact.bytes.fill(artifact);
  made.init = {"/bin/" + name, "an argument"};
  made.start_order = order;
  return made;
}

inline wire::Manifest manifest(std::vector<wire::Container> containers) {
  wire::Manifest made;
  made.containers = std::move(containers);
  return made;
}

class SupervisorFixture : public ::testing::Test {
 protected:
  SupervisorFixture() {
    config = parse_config(
                 "device_id = d\nproduct = p\ngroups = g\nserver = tcp://x:1\nstate_dir = " + folder.path() + "\n", "x")
                 .value();
    restart_daemon();
  }
  // As a daemon that was killed and started again: nothing is remembered.
  void restart_daemon() {
    supervisor = std::make_unique<Supervisor>(SupervisorOptions{config, {}, helper.path(), &log});
  }

  // Puts the trees there that a stager would have made.
  const wire::Manifest& staged(std::uint32_t revision, const wire::Manifest& of) {
    for (const auto& each : of.containers)
      std::filesystem::create_directories(
          folder / ("revisions/" + std::to_string(revision) + "/artifacts/" + each.artifact.hex() + "/tree"));
    return of;
  }

  // Lets the supervisor work until it has told `count` events and has nothing under way.
  Events work(std::size_t count = 1) {
    Events events;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while ((events.size() < count || !supervisor->is_settled()) && std::chrono::steady_clock::now() < deadline) {
      std::vector<pollfd> waiting;
      for (const int fd : supervisor->fds()) waiting.push_back({fd, POLLIN, 0});
      ::poll(waiting.data(), waiting.size(), 20);
      supervisor->poll(read_clocks().monotonic, events);
    }
    EXPECT_EQ(events.size(), count);
    return events;
  }
  template <typename T>
  T only(const Events& events) {
    EXPECT_EQ(events.size(), 1U);
    if (events.empty() || !std::holds_alternative<T>(events[0])) {
      ADD_FAILURE() << "another event came";
      return {};
    }
    return std::get<T>(events[0]);
  }

  files::TemporaryFolder folder;
  FakeHelper helper;
  Config config;
  Log log{2, false};
  std::unique_ptr<Supervisor> supervisor;
};

}  // namespace instar::device
