// For tests: a supervisor with a state folder of its own and a fake instar-lxc.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "device-client/containers/supervisor.hpp"
#include "device-client/testing/fake_helper.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {

using Events = std::vector<revision::Event>;

wire::Container container(const std::string& name, std::uint8_t artifact, std::uint32_t order = 0);
wire::Manifest manifest(std::vector<wire::Container> containers);

class SupervisorFixture : public ::testing::Test {
 protected:
  SupervisorFixture();
  // Makes a new supervisor that remembers nothing, as after a kill of the daemon.
  void restart_daemon();
  static MonotonicMs now();

  // Makes the trees that a stager would have made.
  const wire::Manifest& staged(std::uint32_t revision, const wire::Manifest& of);

  void poll(Events& events) { poll_at(now(), events); }
  void poll_at(MonotonicMs when, Events& events);
  // Lets the supervisor work until it has reported `count` events and has nothing more to do.
  Events work(std::size_t count = 1);
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
  Log log{std::nullopt, false};
  std::unique_ptr<Supervisor> supervisor;
};

}  // namespace instar::device
