// Power cuts by the thousand: the real client on a small ext4 whose power is cut at random moments of fetch, staging,
// switch, try, commit, rollback and clearing away, again and again on the same flash (docs/reliability.md).
//
// After each cut: the state can be read; a revision is current, it is one that was published, and every file of it is
// what was signed, as is every file of the one before and of one that is on trial; what the broker has got (a
// commit, a report) has not been forgotten. At the end the power stays on, and the last release is committed.
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/base/limits.hpp"
#include "core/revision/anchor.hpp"
#include "device-client/device_status.hpp"
#include "device-client/host.hpp"
#include "device-client/revision_verify.hpp"
#include "files/files.hpp"
#include "files/spared_file.hpp"
#include "tests/powercut/fs/flash.hpp"
#include "tests/powercut/fs/life.hpp"

namespace {

bool syncs = true;  // see --never-sync

}  // namespace

// In the place of libc's, for this program alone; what comes next may be fail_nth.so.
extern "C" {
int fsync(int fd) {
  static auto* const next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fsync"));
  return syncs ? next(fd) : 0;
}
int fdatasync(int fd) {
  static auto* const next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
  return syncs ? next(fd) : 0;
}
int syncfs(int fd) noexcept {
  static auto* const next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "syncfs"));
  return syncs ? next(fd) : 0;
}
}

namespace instar::powercut {
namespace {

namespace fs = std::filesystem;

constexpr int kFlashMegabytes = 32;
constexpr int kSkipped = 77;
// A flash that breaks, is full, or was mounted read-only by the kernel; a machine without memory for a process.
struct FaultKind {
  const char* kind;
  int error;
  bool on;
};
constexpr FaultKind kFaults[] = {{"write", EIO, false},   {"write", ENOSPC, true},   {"sync", EIO, false},
                                 {"sync", EIO, true},     {"rename", EIO, false},    {"rename", EROFS, true},
                                 {"link", EMLINK, false}, {"link", EIO, true},       {"make", ENOSPC, false},
                                 {"make", EROFS, true},   {"attribute", EIO, false}, {"remove", EIO, false},
                                 {"remove", EROFS, true}, {"read", EIO, false},      {"spawn", ENOMEM, false}};
// No client that works needs so long for one step, however busy the machine is.
constexpr std::chrono::minutes kHangs{5};
constexpr std::uint64_t kCheckEvery = 500;  // cuts between two looks at the file system itself

struct Options {
  std::uint64_t cuts = 100;
  std::uint64_t seed = 1;
  int jobs = 1;
  double minutes = 0;
  std::string report;
  bool verbose = false;
  bool faults = false;
  std::uint64_t stride = 1;
  bool never_syncs = false;  // a canary: the client's syncs do nothing
};

struct Row {
  std::uint64_t cuts = 0;
  std::uint64_t faults = 0;
};

struct Tally {
  std::map<std::string, Row> phases;  // by the phase that the flash says after the cut
  std::vector<std::string> faults;
  std::uint64_t cuts = 0, commits = 0, rollbacks = 0, overtaken = 0, bytes_sent = 0;
  double seconds = 0;
};

void to_json(nlohmann::json& json, const Tally& tally) {
  json = {{"cuts", tally.cuts},           {"commits", tally.commits},          {"rollbacks", tally.rollbacks},
          {"overtaken", tally.overtaken}, {"bytes_sent", tally.bytes_sent},    {"seconds", tally.seconds},
          {"faults", tally.faults},       {"phases", nlohmann::json::object()}};
  for (const auto& [phase, row] : tally.phases) json["phases"][phase] = {{"cuts", row.cuts}, {"faults", row.faults}};
}

class Cutter {
 public:
  Cutter(const Options& options, std::uint64_t seed, const std::string& folder, Flash& flash, Outside& outside)
      : options_(options), dice_(seed), flash_(flash), outside_(outside) {
    life_.state_dir = flash.path() + "/instar";
    life_.root_file = folder + "/root";
    life_.run_dir = folder + "/run";
    life_.verbose = options.verbose;
    fs::create_directories(life_.run_dir);
    ok(files::write_file_atomic(life_.root_file, releases_.signed_root()), "the root document");
  }

  Tally run(std::uint64_t cuts, std::chrono::steady_clock::time_point until) {
    const auto began = std::chrono::steady_clock::now();
    ok(flash_.mount(), "mount");
    live_until_committed();
    while (tally_.cuts < cuts && std::chrono::steady_clock::now() < until && tally_.faults.size() < 10) {
      power_on();
      std::this_thread::sleep_for(std::chrono::microseconds(lifetime_us()));
      power_off();
      look();
    }
    outside_.goes_on = false;
    live_until_committed();
    tally_.commits = outside_.commits;
    tally_.rollbacks = outside_.rollbacks;
    tally_.overtaken = outside_.overtaken;
    tally_.bytes_sent = outside_.bytes_sent;
    tally_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return tally_;
  }

  // Each call of an update that can fail, one after the other: the device comes through, and takes the next release
  // once nothing fails.
  Tally run_faults(std::uint64_t stride, std::chrono::steady_clock::time_point until) {
    const auto began = std::chrono::steady_clock::now();
    ok(flash_.mount(), "mount");
    live_until_committed();
    outside_.goes_on = false;
    for (const auto& fault : kFaults) {
      for (std::uint64_t n = 1; std::chrono::steady_clock::now() < until && tally_.faults.size() < 10; n += stride) {
        life_.fault = {fault.kind, n, fault.error, fault.on};
        const auto reached = fail_once();
        life_.fault = {};
        if (!reached) break;
      }
    }
    tally_.commits = outside_.commits;
    tally_.rollbacks = outside_.rollbacks;
    tally_.bytes_sent = outside_.bytes_sent;
    tally_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return tally_;
  }

 private:
  static void ok(const Status& status, const char* what) {
    if (status) return;
    std::fprintf(stderr, "%s: %s\n", what, status.error().message.c_str());
    std::exit(1);
  }
  // Most lives end in the middle of something; some go on past the time after which ext4 writes by itself.
  std::uint64_t lifetime_us() {
    std::uniform_int_distribution<int> percent(0, 99);
    const int which = percent(dice_);
    const int most_ms = which < 10 ? 20 : which < 98 ? 250 : 2'500;
    return static_cast<std::uint64_t>(std::uniform_int_distribution<int>(0, most_ms * 1'000)(dice_));
  }
  void power_on() {
    ++life_.number;
    child_ = ::fork();
    if (child_ != 0) return;
    syncs = !options_.never_syncs;
    live(life_, releases_, outside_);
  }
  // The device's processes end with it; all of them have come to this one (subreaper).
  void end_processes() {
    ::kill(child_, SIGKILL);
    for (const auto& each : fs::directory_iterator(life_.run_dir)) fs::remove(each.path());
    std::string path = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
    while (true) {
      std::ifstream list(path);
      int count = 0;
      for (int pid = 0; list >> pid; ++count) ::kill(pid, SIGKILL);
      if (count == 0) break;
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      ::usleep(500);
    }
    for (const auto& each : fs::directory_iterator(life_.run_dir)) fs::remove(each.path());
  }
  void power_off() {
    int status = 0;
    if (::waitpid(child_, &status, WNOHANG) == child_)
      fault("the client ended by itself, status " + std::to_string(status));
    ok(flash_.cut(), "cut");
    end_processes();
    ok(flash_.unmount(), "unmount");
    if (++tally_.cuts % kCheckEvery == 0) {
      // The journal is replayed first.
      ok(flash_.mount(), "mount");
      ok(flash_.unmount(), "unmount");
      ok(flash_.check(), "the file system itself");
    }
    ok(flash_.mount(), "mount");
  }
  void fault(const std::string& what) {
    tally_.faults.push_back("cut " + std::to_string(tally_.cuts) + ": " + what);
    std::fprintf(stderr, "FOUND %s\n", tally_.faults.back().c_str());
  }
  // It was written before the state, so it is as far at least.
  void look_at_anchor(const revision::DeviceState& state) {
    const auto bytes = files::read_spared_file(device::anchor_path(life_.state_dir), limits::kStateFileBytesMax);
    const auto anchor =
        bytes ? revision::decode_anchor(*bytes) : Result<revision::Anchor>(tl::unexpected(bytes.error()));
    if (!anchor) return fault("the anchor cannot be read: " + anchor.error().message);
    if (anchor->root != state.root || anchor->highest_sequence < state.history.highest_sequence)
      fault("the anchor is behind the state");
  }
  // What a device that starts now would find.
  void look() {
    const auto faults_before = tally_.faults.size();
    const auto config = device::parse_config(config_text(life_), "fs cuts").value();
    std::string phase = "unreadable";
    if (const auto status = device::read_status(config); !status) {
      fault("the state cannot be read: " + status.error().message);
    } else {
      const auto& state = status->state;
      phase = revision::phase_name(state.phase);
      if (!state.revisions.current) {
        fault("no revision is current");
      } else {
        const auto sequence = state.revisions.current->info.sequence;
        if (state.revisions.current->info.manifest !=
            trust::digest(wire::encode_manifest(releases_.manifest(sequence))))
          fault("what is current was not published");
        if (Releases::is_bad(sequence)) fault("a bad release is current: " + state.revisions.current->info.release);
        if (sequence < outside_.committed)
          fault("release r" + std::to_string(outside_.committed) + " was committed, current is r" +
                std::to_string(sequence));
      }
      look_at_anchor(state);
      if (state.reports.last_report < outside_.applied) fault("a report that was acked is not known any more");
      for (const auto& verdict : device::verify_revisions(life_.state_dir, state)) {
        if (verdict.tree.faults > 0) fault(verdict.role + " " + verdict.release + ": " + verdict.tree.first_fault);
      }
    }
    auto& row = tally_.phases[phase];
    ++row.cuts;
    row.faults += tally_.faults.size() - faults_before;
  }
  // False when the life had no such call any more.
  bool fail_once() {
    const auto target = next_good();
    power_on();
    int status = 0;
    bool gone = false;
    // Until the release has ended. Where the call fails for good it may never: a second and a half after the first
    // failure will do.
    std::optional<std::chrono::steady_clock::time_point> failed;
    const bool came_to_its_end = comes_true([&] {
      gone = ::waitpid(child_, &status, WNOHANG) == child_;
      const auto now = std::chrono::steady_clock::now();
      if (!failed && outside_.fault_calls >= life_.fault.n) failed = now;
      return gone || outside_.ended >= target || (failed && now - *failed > std::chrono::milliseconds(1'500));
    });
    const auto name = life_.fault.kind + " " + std::to_string(life_.fault.n) + " (" + std::strerror(life_.fault.error) +
                      (life_.fault.on ? ", and on)" : ")");
    const bool reached = outside_.fault_calls >= life_.fault.n;
    if (!came_to_its_end) fault(name + ": the client neither failed nor ended the release");
    if (gone && WIFSIGNALED(status))
      fault(name + ": the client was ended by signal " + std::to_string(WTERMSIG(status)));
    end_processes();
    ++tally_.cuts;
    const auto faults_before = tally_.faults.size();
    look();
    life_.fault = {};
    live_until_committed();
    if (tally_.faults.size() > faults_before) std::fprintf(stderr, "      after %s\n", name.c_str());
    auto& row = tally_.phases["call: " + name.substr(0, name.find(' '))];
    ++row.cuts;
    row.faults += tally_.faults.size() - faults_before;
    return reached;
  }
  // Publishes the next release that is good.
  std::uint64_t next_good() {
    do ++outside_.target;
    while (Releases::is_bad(outside_.target));
    return outside_.target;
  }
  // Asks until it is so. False: it did not come true within a time that only a client that hangs needs.
  template <typename Condition>
  [[nodiscard]] static bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kHangs;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      ::usleep(20'000);
    }
    return true;
  }
  // The client may be removing one meanwhile.
  [[nodiscard]] std::size_t revision_folders() const {
    std::size_t folders = 0;
    std::error_code error;
    for (fs::directory_iterator each(life_.state_dir + "/revisions", error), end; !error && each != end;
         each.increment(error)) {
      std::error_code gone;
      folders += each->is_directory(gone) ? 1 : 0;
    }
    return folders;
  }
  // The power stays on until the published release has come to an end, and something good runs.
  void live_until_committed() {
    const auto goes_on = outside_.goes_on.exchange(false);
    // What has come to its end is not tried again.
    if (outside_.ended >= outside_.target && outside_.committed < outside_.target) next_good();
    power_on();
    const auto target = outside_.target.load();
    const bool done = comes_true([&] {
      return (outside_.committed >= target || Releases::is_bad(target)) && fs::exists(life_.run_dir + "/d.app");
    });
    if (!done) fault("release r" + std::to_string(target) + " is not committed though the power is on");
    // After a commit the running and the previous one; a release that was taken back has left another.
    const std::size_t folders_max = Releases::is_bad(target) ? 3 : 2;
    if (!comes_true([&] { return revision_folders() <= folders_max; }))
      fault(std::to_string(revision_folders()) + " revisions are on the flash at rest");
    // Politely or not: nothing is under way.
    ok(flash_.cut(), "cut");
    end_processes();
    ok(flash_.unmount(), "unmount");
    ok(flash_.mount(), "mount");
    if (goes_on) ++outside_.target;
    outside_.goes_on = goes_on;
  }

  const Options& options_;
  std::mt19937_64 dice_;
  Flash& flash_;
  Outside& outside_;
  Releases releases_;
  Life life_;
  Tally tally_;
  pid_t child_ = -1;
};

// In a process of its own, since it takes over what its children leave.
void work(const Options& options, int job, const std::string& result, std::chrono::steady_clock::time_point until) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto folder = fs::path("/dev/shm") / ("instar-fs-cuts." + std::to_string(::getpid()));
  fs::create_directories(folder);
  auto* const shared = ::mmap(nullptr, sizeof(Outside), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto& outside = *new (shared) Outside;
  {
    auto flash = Flash::make(folder.string(), kFlashMegabytes);
    if (!flash) {
      std::fprintf(stderr, "no flash: %s\n", flash.error().message.c_str());
      std::exit(kSkipped);
    }
    const auto share = options.cuts / static_cast<std::uint64_t>(options.jobs);
    Cutter cutter(options, options.seed + static_cast<std::uint64_t>(job), folder.string(), *flash, outside);
    const nlohmann::json tally = options.faults ? cutter.run_faults(options.stride, until) : cutter.run(share, until);
    std::ofstream(result) << tally.dump();
  }
  fs::remove_all(folder);
  std::exit(0);
}

void print(const nlohmann::json& sum) {
  std::printf("%-12s %8s %8s\n", "phase", "cuts", "faults");
  for (const auto& [phase, row] : sum["phases"].items())
    std::printf("%-12s %8llu %8llu\n", phase.c_str(), row["cuts"].get<unsigned long long>(),
                row["faults"].get<unsigned long long>());
  std::printf("%llu power cuts, %llu releases committed, %llu taken back, %llu overtaken; %zu faults\n",
              sum["cuts"].get<unsigned long long>(), sum["commits"].get<unsigned long long>(),
              sum["rollbacks"].get<unsigned long long>(), sum["overtaken"].get<unsigned long long>(),
              sum["faults"].size());
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app{"Power cuts of the client's flash by the thousand"};
  app.add_option("--cuts", options.cuts)->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--jobs", options.jobs)->capture_default_str();
  app.add_option("--minutes", options.minutes, "end after so long, whatever is left");
  app.add_option("--report", options.report, "JSON file");
  app.add_flag("--verbose", options.verbose);
  app.add_flag("--faults", options.faults,
               "instead of cuts: let the first, second, third… call of each kind fail; needs LD_PRELOAD=fail_nth.so");
  app.add_option("--stride", options.stride, "with --faults: each so manieth call only")->check(CLI::PositiveNumber);
  app.add_flag("--never-sync", options.never_syncs, "a canary: the client's syncs do nothing, and that must be found");
  CLI11_PARSE(app, argc, argv);
  if (::geteuid() != 0) {
    std::fprintf(stderr, "needs root: it mounts file systems\n");
    return kSkipped;
  }
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::perror("a mount namespace of its own");
    return kSkipped;
  }
  const auto until = options.minutes > 0 ? std::chrono::steady_clock::now() +
                                               std::chrono::seconds(static_cast<std::int64_t>(options.minutes * 60))
                                         : std::chrono::steady_clock::time_point::max();
  const auto results = fs::temp_directory_path() / ("instar-fs-cuts-" + std::to_string(::getpid()));
  fs::create_directories(results);
  std::vector<pid_t> jobs;
  for (int job = 0; job < options.jobs; ++job) {
    const pid_t child = ::fork();
    if (child == 0) work(options, job, (results / std::to_string(job)).string(), until);
    jobs.push_back(child);
  }
  int worst = 0;
  for (const auto child : jobs) {
    int status = 0;
    ::waitpid(child, &status, 0);
    worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  if (worst != 0) return worst;
  nlohmann::json sum = Tally();
  for (int job = 0; job < options.jobs; ++job) {
    const auto one = nlohmann::json::parse(std::ifstream(results / std::to_string(job)));
    for (const auto* field : {"cuts", "commits", "rollbacks", "overtaken", "bytes_sent"})
      sum[field] = sum[field].get<std::uint64_t>() + one[field].get<std::uint64_t>();
    sum["seconds"] = std::max(sum["seconds"].get<double>(), one["seconds"].get<double>());
    for (const auto& fault : one["faults"]) sum["faults"].push_back(fault);
    for (const auto& [phase, row] : one["phases"].items()) {
      auto& all = sum["phases"][phase];
      for (const auto* field : {"cuts", "faults"})
        all[field] = (all.contains(field) ? all[field].get<std::uint64_t>() : 0) + row[field].get<std::uint64_t>();
    }
  }
  fs::remove_all(results);
  print(sum);
  if (!options.report.empty()) std::ofstream(options.report) << sum.dump(1) << "\n";
  return sum["faults"].empty() != options.never_syncs ? 0 : 1;
}

}  // namespace
}  // namespace instar::powercut

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "switch" || command == "state" || command == "probe") return instar::powercut::run_helper(argc, argv);
  return instar::powercut::main_of(argc, argv);
}
