// For tests: a real Mosquitto on a free port of the loopback interface, as a child process that this object owns.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

extern char** environ;

namespace instar::mqtt {

class TestBroker {
 public:
  // `extra`: lines for mosquitto.conf.
  explicit TestBroker(std::string extra = "allow_anonymous true\n") : extra_(std::move(extra)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "instar-broker-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    port_ = free_port();
  }
  ~TestBroker() {
    kill();
    std::filesystem::remove_all(folder_);
  }
  TestBroker(const TestBroker&) = delete;
  TestBroker& operator=(const TestBroker&) = delete;

  std::uint16_t port() const { return port_; }
  const std::string& folder() const { return folder_; }
  std::string uri(const std::string& scheme = "tcp") const { return scheme + "://localhost:" + std::to_string(port_); }

  // Starts it on the same port as before, and waits until it listens.
  void start() {
    const std::string config = folder_ + "/mosquitto.conf";
    std::ofstream(config) << "listener " << port_ << " 127.0.0.1\n"
                          << "user root\n"
                          << extra_;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string log = folder_ + "/log";
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    std::string program = "mosquitto";
    std::string flag = "-c";
    std::string path = config;
    char* argv[] = {program.data(), flag.data(), path.data(), nullptr};
    const char* const where = std::filesystem::exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
    ASSERT_EQ(::posix_spawnp(&pid_, where, &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!listens()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "mosquitto does not listen";
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  // SIGKILL: what a crash looks like from outside.
  void kill(int signal = SIGKILL) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // The process stands still: connections stay, nothing is read.
  void freeze() const { ::kill(pid_, SIGSTOP); }
  void thaw() const { ::kill(pid_, SIGCONT); }

 private:
  static sockaddr_in address(std::uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return result;
  }
  static std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in local = address(0);
    socklen_t size = sizeof local;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size), 0);
    ::close(fd);
    return ntohs(local.sin_port);
  }
  bool listens() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in remote = address(port_);
    const bool ok = ::connect(fd, reinterpret_cast<sockaddr*>(&remote), sizeof remote) == 0;
    ::close(fd);
    return ok;
  }

  std::string extra_;
  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace instar::mqtt
