// instar_sim: runs seeds, prints how to replay the first that finds something.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/sim/scenario.hpp"

int main(int argc, char** argv) {
  instar::sim::ScenarioOptions options;
  std::uint64_t seeds = 1;
  bool expect_finding = false;
  CLI::App app{"Simulates a broker and devices in one thread, from a seed"};
  app.add_option("--seed", options.seed, "first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "how many seeds, counting up")->capture_default_str();
  app.add_option("--devices", options.devices, "devices of each run")->capture_default_str();
  app.add_flag("--verbose", options.verbose, "tell the story");
  app.add_flag("--canary-ack-before-durable", options.canaries.ack_before_durable, "a bug: the store calls commits durable too early");
  app.add_flag("--canary-skip-persist", options.canaries.skip_persist, "a bug: devices lose some of their state writes");
  app.add_flag("--expect-finding", expect_finding, "exit 0 only if something is found");
  CLI11_PARSE(app, argc, argv);

  std::uint64_t events = 0;
  std::uint64_t commits = 0;
  std::uint64_t rollbacks = 0;
  const auto first = options.seed;
  for (; options.seed < first + seeds; ++options.seed) {
    const auto result = instar::sim::run_scenario(options);
    events += result.events;
    commits += result.commits;
    rollbacks += result.rollbacks;
    if (result.findings.empty()) continue;
    std::printf("seed %llu found:\n", static_cast<unsigned long long>(options.seed));
    for (const auto& finding : result.findings) std::printf("  %s\n", finding.c_str());
    std::printf("replay: instar_sim --seed %llu --devices %u --verbose%s%s\n", static_cast<unsigned long long>(options.seed),
                options.devices, options.canaries.ack_before_durable ? " --canary-ack-before-durable" : "",
                options.canaries.skip_persist ? " --canary-skip-persist" : "");
    return expect_finding ? 0 : 1;
  }
  std::printf("%llu seeds, %u devices each: %llu events, %llu commits, %llu rollbacks, nothing found\n",
              static_cast<unsigned long long>(seeds), options.devices, static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(commits), static_cast<unsigned long long>(rollbacks));
  return expect_finding ? 1 : 0;
}
