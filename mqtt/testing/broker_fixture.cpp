#include "mqtt/testing/broker_fixture.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "mqtt/testing/client_fixture.hpp"

extern char** environ;

namespace instar::mqtt {

BrokerFixture::BrokerFixture(std::string lines) : lines_(std::move(lines)) {
  folder_ = (std::filesystem::temp_directory_path() / "instar-broker-XXXXXX").string();
  EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
}

BrokerFixture::~BrokerFixture() {
  kill();
  std::filesystem::remove_all(folder_);
}

std::string BrokerFixture::uri(const std::string& scheme, const std::string& host) const {
  return scheme + "://" + host + ":" + std::to_string(port());
}

void BrokerFixture::start() {
  const std::string config = folder_ + "/mosquitto.conf";
  std::ofstream(config) << "user root\nlistener " << port() << " 127.0.0.1\n" << lines_;
  const std::string log = folder_ + "/log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  // The kernel ends the broker when the test crashes.
  std::vector<std::string> words = {"/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/sbin/mosquitto", "-c", config};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ASSERT_EQ(::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
  while (!port_.listens()) {
    ASSERT_FALSE(has_ended()) << log_text();
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "mosquitto does not listen: " << log_text();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void BrokerFixture::kill(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void BrokerFixture::stand_still() const {
  ::kill(pid_, SIGSTOP);
}

void BrokerFixture::continue_running() const {
  ::kill(pid_, SIGCONT);
}

bool BrokerFixture::has_ended() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ <= 0;
}

std::string BrokerFixture::log_text() const {
  std::ostringstream text;
  text << std::ifstream(folder_ + "/log").rdbuf();
  return text.str();
}

}  // namespace instar::mqtt
