// What instar-lxc would do, with a sleeping process for each container.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "device-client/process/switch_files.hpp"
#include "tests/powercut/fs/life.hpp"

namespace instar::powercut {
namespace {

std::string pid_file(const std::string& name) {
  return std::string(std::getenv("INSTAR_RUN_DIR")) + "/" + name;
}

int pid_of(const std::string& name) {
  int pid = 0;
  std::ifstream(pid_file(name)) >> pid;
  return pid > 0 && ::kill(pid, 0) == 0 ? pid : -1;
}

void stop(const std::string& name) {
  const int pid = pid_of(name);
  if (pid > 0) ::kill(pid, SIGKILL);
  ::unlink(pid_file(name).c_str());
  std::printf(
      "{\"name\":\"%s\",\"state\":\"STOPPED\",\"ran\":%s,\"ending\":\"itself\",\"at_ms\":0,\"ms\":1,\"orphans\":0}\n",
      name.c_str(), pid > 0 ? "true" : "false");
}

void start(const std::string& folder, const std::string& name) {
  using namespace device;  // NOLINT: names of files
  for (const auto& [from, to] :
       {std::pair(kNextConfig, kConfig), std::pair(kNextInit, kInit), std::pair(kNextRecord, kRecord)})
    static_cast<void>(std::rename((folder + from).c_str(), (folder + to).c_str()));
  if (::access((folder + kConfig).c_str(), F_OK) != 0) {
    std::printf("{\"name\":\"%s\",\"failed\":\"no configuration\"}\n", name.c_str());
    return;
  }
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();
    for (int fd = 0; fd < 64; ++fd) ::close(fd);
    static_cast<void>(!::chdir("/"));
    while (true) ::pause();
  }
  std::ofstream(pid_file(name)) << pid;
  std::printf("{\"name\":\"%s\",\"state\":\"RUNNING\",\"pid\":%d,\"at_ms\":1,\"ms\":1,\"orphans\":0}\n", name.c_str(),
              pid);
}

}  // namespace

int run_helper(int argc, char** argv) {
  const std::string command = argv[1];
  std::string lxcpath;
  std::vector<std::string> stops, starts, names;
  int i = 2;
  for (; i + 1 < argc && std::string(argv[i]) != "--"; i += 2) {
    const std::string key = argv[i];
    if (key == "--lxcpath") lxcpath = argv[i + 1];
    if (key == "--stop") stops.emplace_back(argv[i + 1]);
    if (key == "--start") starts.emplace_back(argv[i + 1]);
    if (key == "--name") names.emplace_back(argv[i + 1]);
  }
  if (command == "state") {
    for (const auto& name : names) {
      const int pid = pid_of(name);
      std::printf("{\"name\":\"%s\",\"state\":\"%s\",\"pid\":%d}\n", name.c_str(), pid > 0 ? "RUNNING" : "STOPPED",
                  pid);
    }
  } else if (command == "switch") {
    for (const auto& name : stops) stop(name);
    for (const auto& name : starts) start(lxcpath + "/" + name, name);
  } else {
    std::printf("{\"line\":\"\",\"ms\":1,\"exit\":%d}\n", std::string(argv[argc - 1]) == "good" ? 0 : 1);
  }
  return 0;
}

}  // namespace instar::powercut
