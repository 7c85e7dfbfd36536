// One life of the device: the real daemon, stager and state file on the flash, from power on until its process is
// killed. The broker is in the same process (the real chunk server); containers are processes that do nothing, started
// by this program in the place of instar-lxc.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "tests/powercut/fs/releases.hpp"

namespace instar::powercut {

// In memory that outlives the device's process: what the world outside has seen.
struct Outside {
  std::atomic<std::uint64_t> target{1};     // sequence of the release that is published
  std::atomic<std::uint64_t> applied{0};    // highest report that the broker has acked
  std::atomic<std::uint64_t> ended{0};      // sequence of the newest release whose end was reported
  std::atomic<std::uint64_t> committed{0};  // sequence of the newest release reported as committed
  std::atomic<std::uint64_t> commits{0}, rollbacks{0}, overtaken{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<bool> goes_on{true};                 // publish the next release when one has ended
  std::atomic<unsigned long long> fault_calls{0};  // of the kind that is to fail, in this life
};

// The call that fails in a life (fail_nth.c).
struct Fault {
  std::string kind;  // empty: none
  std::uint64_t n = 0;
  int error = 0;
  bool on = false;  // and all after it
};

struct Life {
  std::string state_dir;
  std::string root_file;
  std::string run_dir;  // process ids of containers; not on the flash
  std::uint64_t number = 0;
  bool verbose = false;
  Fault fault;
};

// Never returns.
[[noreturn]] void live(const Life& life, const Releases& releases, Outside& outside);
[[nodiscard]] std::string config_text(const Life& life);

// Stands in for instar-lxc: switch, state, probe.
[[nodiscard]] int run_helper(int argc, char** argv);

}  // namespace instar::powercut
