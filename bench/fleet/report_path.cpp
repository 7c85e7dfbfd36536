// What the broker's plugin does with one report of a device, without broker and store: checks its signature, reads it,
// and applies it to the rollout. report_path.py builds it twice, with the flags that harden and without.
// Prints one JSON document.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "broker-plugin/opener.hpp"
#include "core/base/assert.hpp"
#include "core/rollout/testing/messages.hpp"
#include "core/rollout/tracker.hpp"
#include "core/trust/envelope.hpp"

namespace instar {
namespace {

constexpr std::size_t kDevices = 100;
constexpr std::uint64_t kReportsEach = 100;

struct Sent {
  DeviceId device;
  Bytes envelope;
};

double cpu_us() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

DeviceId device(std::size_t number) {
  return rollout::id("device-" + std::to_string(number));
}

// Of an attempt that is fetching, as a device reports it each time that it goes on.
std::vector<Sent> reports(const trust::SecretKey& key) {
  std::vector<Sent> out;
  for (std::uint64_t sequence = 1; sequence <= kReportsEach; ++sequence) {
    for (std::size_t number = 0; number < kDevices; ++number) {
      const auto id = device(number);
      auto report = rollout::report(id.str(), sequence, rollout::hash(1), wire::Step::fetching);
      report.bytes_planned = 1'000'000;
      report.bytes_fetched = sequence * 1'000;
      report.device_time = {1'760'000'000'000};
      out.push_back({id, trust::seal(trust::Kind::report, wire::encode(report), key)});
    }
  }
  return out;
}

int run() {
  const auto key = wire::examples::key(wire::examples::kDeviceKey);
  rollout::Tracker tracker;
  rollout::Effects effects;
  INSTAR_ASSERT(tracker.take_manifest(rollout::hash(1), rollout::manifest(1), {}, "bench", rollout::kNow, effects));
  for (std::size_t number = 0; number < kDevices; ++number) {
    auto hello = rollout::hello(device(number).str());
    hello.connect = 1;
    INSTAR_ASSERT(tracker.hello(hello, rollout::Via::own_connection, rollout::kNow, effects));
  }
  const auto sent = reports(key);
  const auto pinned = key.public_key();
  std::vector<wire::Report> opened;
  opened.reserve(sent.size());
  const auto begin = cpu_us();
  for (const auto& one : sent) {
    auto report = broker::open_report(one.device, one.envelope, pinned);
    INSTAR_ASSERT(report.has_value());
    opened.push_back(std::move(*report));
  }
  const auto between = cpu_us();
  std::size_t done = 0;
  for (const auto& report : opened) {
    effects.clear();
    INSTAR_ASSERT(tracker.report(report, rollout::kNow, effects));
    done += effects.size();
  }
  const auto end = cpu_us();
  INSTAR_ASSERT(done > opened.size());  // each was applied, and gets an ack
  const auto count = static_cast<double>(opened.size());
  std::printf("{\"reports\": %zu, \"check_us\": %.3f, \"apply_us\": %.3f}\n", opened.size(), (between - begin) / count,
              (end - between) / count);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace instar

int main() {
  return instar::run();
}
