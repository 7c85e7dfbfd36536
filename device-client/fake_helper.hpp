// For tests: a script that stands in for instar-lxc. Containers are `sleep` processes, named in files of a folder that the test
// can read and change; every command is noted in `calls`.
#pragma once

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "files/temporary_folder.hpp"

namespace instar::device {

class FakeHelper {
 public:
  FakeHelper() {
    std::ofstream(path()) << R"SH(#!/bin/bash
here=$(dirname "$0")
command=$1; shift
names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in --name) names+=("$2"); name=$2;; --lxcpath) lxcpath=$2;; esac
  shift 2
done
shift
echo "$command ${names[*]}${1:+ -- $*}" >> "$here/calls"
pid_of() { cat "$here/run.$1" 2>/dev/null; }
alive() { [ -n "$(pid_of "$1")" ] && grep -q '^State:.[^Z]' "/proc/$(pid_of "$1")/status" 2>/dev/null; }
[ -e "$here/hang.$command" ] && sleep 1000
if [ -e "$here/fail.$command.$name" ]; then echo "{\"error\":\"$(cat "$here/fail.$command.$name")\"}"; exit 1; fi
case $command in
  state)
    for each in "${names[@]}"; do
      if alive "$each"; then echo "{\"name\":\"$each\",\"state\":\"RUNNING\",\"pid\":$(pid_of "$each")}"
      else echo "{\"name\":\"$each\",\"state\":\"STOPPED\",\"pid\":-1}"; fi
    done;;
  start)
    [ -e "$lxcpath/$name/config" ] || { echo '{"error":"no config"}'; exit 1; }
    setsid sleep 1000 >/dev/null 2>&1 </dev/null &
    echo $! > "$here/run.$name"
    echo "{\"state\":\"RUNNING\",\"pid\":$!,\"ms\":1,\"orphans\":0}";;
  stop)
    alive "$name" && kill -9 "$(pid_of "$name")"
    rm -f "$here/run.$name"
    sleep 0.05
    echo '{"state":"STOPPED","forced":false,"ms":1,"orphans":0}';;
  probe) cat "$here/probe.$name" 2>/dev/null || echo '{"line":"fine","ms":1,"exit":0}';;
esac
)SH";
    ::chmod(path().c_str(), 0755);
  }
  ~FakeHelper() {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      if (entry.path().filename().string().starts_with("run.")) kill_container(entry.path().filename().string().substr(4));
  }
  FakeHelper(const FakeHelper&) = delete;
  FakeHelper& operator=(const FakeHelper&) = delete;

  std::string path() const { return folder_ / "helper"; }
  // The commands so far, and forgets them.
  std::vector<std::string> take_calls() {
    std::ifstream file(folder_ / "calls");
    std::vector<std::string> calls;
    for (std::string line; std::getline(file, line);) calls.push_back(line);
    ::unlink((folder_ / "calls").c_str());
    return calls;
  }
  int pid(const std::string& name) const {
    int pid = 0;
    std::ifstream(folder_ / ("run." + name)) >> pid;
    return pid;
  }
  bool runs(const std::string& name) const {
    std::ifstream status("/proc/" + std::to_string(pid(name)) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("State:")) return line.find('Z') == std::string::npos;  // a zombie waits for who reaps it
    return false;
  }
  void kill_container(const std::string& name) const {
    if (pid(name) <= 0) return;
    ::kill(pid(name), SIGKILL);
    while (runs(name)) ::usleep(1'000);
  }
  void fail(const std::string& command, const std::string& name, const std::string& why) const {
    std::ofstream(folder_ / ("fail." + command + "." + name)) << why;
  }
  void heal(const std::string& command, const std::string& name) const { ::unlink((folder_ / ("fail." + command + "." + name)).c_str()); }
  void answer_probe(const std::string& name, const std::string& json) const { std::ofstream(folder_ / ("probe." + name)) << json << "\n"; }
  void hang(const std::string& command) const { std::ofstream(folder_ / ("hang." + command)) << ""; }

 private:
  files::TemporaryFolder folder_;
};

}  // namespace instar::device
