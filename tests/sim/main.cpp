// instar_sim: runs seeds, prints how to replay the first that finds something.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/scenario.hpp"

namespace instar::sim {
namespace {

struct Canary {
  const char* name;
  bool Canaries::*flag;
};

constexpr Canary kCanaries[] = {
    {"ack_before_durable", &Canaries::ack_before_durable},
    {"skip_persist", &Canaries::skip_persist},
    {"forged_times", &Canaries::forged_times},
    {"forget_turns", &Canaries::forget_turns},
    {"double_count", &Canaries::double_count},
    {"short_soak", &Canaries::short_soak},
    {"false_turn", &Canaries::false_turn},
    {"lost_lease", &Canaries::lost_lease},
    {"strangers_count", &Canaries::strangers_count},
    {"late_counts", &Canaries::late_counts},
    {"forget_hellos", &Canaries::forget_hellos},
    {"hidden_clone", &Canaries::hidden_clone},
    {"raised_issue", &Canaries::raised_issue},
    {"blind_clock", &Canaries::blind_clock},
    {"slow_clock", &Canaries::slow_clock},
    {"wrong_clock_stays", &Canaries::wrong_clock_stays},
    {"stolen_approval", &Canaries::stolen_approval},
};

struct Run {
  ScenarioOptions options;
  std::string canary;
  std::uint64_t first = 1;
  std::uint64_t seeds = 1;
  std::uint64_t step = 1;
  bool print_hashes = false;
};

// 0: nothing found, 1: something.
int run_seeds(Run run) {
  std::uint64_t events = 0;
  std::uint64_t devices = 0;
  std::uint64_t commits = 0;
  std::uint64_t rollbacks = 0;
  std::uint64_t waves = 0;
  std::uint64_t turns = 0;
  std::uint64_t count = 0;
  for (auto seed = run.first; seed < run.first + run.seeds; seed += run.step) {
    run.options.seed = seed;
    const auto result = run_scenario(run.options);
    ++count;
    events += result.events;
    devices += result.devices;
    commits += result.commits;
    rollbacks += result.rollbacks;
    waves += result.waves;
    turns += result.turns;
    if (run.print_hashes) std::printf("seed %llu %s\n", static_cast<unsigned long long>(seed), result.effects.c_str());
    if (result.findings.empty()) continue;
    std::printf("seed %llu found:\n", static_cast<unsigned long long>(seed));
    for (const auto& finding : result.findings) std::printf("  %s\n", finding.c_str());
    std::printf("replay: instar_sim --seed %llu --devices %u --verbose%s%s\n", static_cast<unsigned long long>(seed),
                result.devices, run.canary.empty() ? "" : " --canary ", run.canary.c_str());
    return 1;
  }
  std::printf(
      "%llu seeds, %llu devices: %llu events, %llu commits, %llu rollbacks, %llu waves opened, %llu turns given, "
      "nothing found\n",
      static_cast<unsigned long long>(count), static_cast<unsigned long long>(devices),
      static_cast<unsigned long long>(events), static_cast<unsigned long long>(commits),
      static_cast<unsigned long long>(rollbacks), static_cast<unsigned long long>(waves),
      static_cast<unsigned long long>(turns));
  return 0;
}

// Every job takes each jobs-th seed. The first that finds something ends the others.
int run_jobs(const Run& run, std::uint64_t jobs) {
  std::vector<pid_t> children;
  for (std::uint64_t job = 0; job < jobs; ++job) {
    const auto child = ::fork();
    if (child < 0) {
      std::perror("fork");
      return 2;
    }
    if (child == 0) {
      auto part = run;
      part.first = run.first + job;
      part.seeds = run.seeds > job ? run.seeds - job : 0;
      part.step = jobs;
      const auto code = run_seeds(part);
      std::fflush(stdout);
      ::_exit(code);
    }
    children.push_back(child);
  }
  int worst = 0;
  for (std::size_t left = children.size(); left > 0; --left) {
    int status = 0;
    const auto ended = ::wait(&status);
    if (ended < 0) return 2;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
    if (code != 0 && worst == 0) {
      worst = code;
      for (const auto child : children) {
        if (child != ended) ::kill(child, SIGTERM);
      }
    }
  }
  return worst;
}

}  // namespace
}  // namespace instar::sim

int main(int argc, char** argv) {
  instar::sim::Run run;
  std::uint64_t jobs = 1;
  bool expect_finding = false;
  std::vector<std::string> names;
  for (const auto& canary : instar::sim::kCanaries) names.emplace_back(canary.name);
  CLI::App app{"Simulates a broker and devices in one thread, from a seed"};
  app.add_option("--seed", run.first, "first seed")->capture_default_str();
  app.add_option("--seeds", run.seeds, "how many seeds, counting up")->capture_default_str();
  app.add_option("--devices", run.options.devices,
                 "devices of each run; 0: by the seed, mostly 5 to 20, every 50th 100, every 500th 1000")
      ->capture_default_str();
  app.add_option("--jobs", jobs, "processes; 0: one a core")->capture_default_str();
  app.add_flag("--hash", run.print_hashes,
               "print a hash of all effects of each seed: what decides alike prints the same (sort them with more than "
               "one job)");
  app.add_flag("--verbose", run.options.verbose, "tell the story");
  app.add_option("--canary", run.canary, "a bug that must be found")->check(CLI::IsMember(names));
  app.add_flag("--expect-finding", expect_finding, "exit 0 only if something is found");
  CLI11_PARSE(app, argc, argv);
  for (const auto& canary : instar::sim::kCanaries) {
    if (run.canary == canary.name) run.options.canaries.*canary.flag = true;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // lines of several jobs stay whole
  if (jobs == 0) jobs = std::max(1U, std::thread::hardware_concurrency());
  const int found = jobs == 1 ? instar::sim::run_seeds(run) : instar::sim::run_jobs(run, jobs);
  if (found > 1) return found;
  return (found == 1) == expect_finding ? 0 : 1;
}
