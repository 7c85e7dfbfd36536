#include "device-client/testing/fake_helper.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace instar::device {
namespace {

constexpr const char* kScript = R"SH(#!/bin/bash
here=$(dirname "$0")
command=$1; shift
names=() stops=() starts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in --name) names+=("$2");; --stop) stops+=("$2");; --start) starts+=("$2");; --lxcpath) lxcpath=$2;; esac
  shift 2
done
shift
pid_of() { cat "$here/run.$1" 2>/dev/null; }
alive() { [ -n "$(pid_of "$1")" ] && grep -q '^State:.[^Z]' "/proc/$(pid_of "$1")/status" 2>/dev/null; }
fails() {
  [ -e "$here/fail.$1.$2" ] || return 1
  why=$(cat "$here/fail.$1.$2") no_room=false
  case $why in *"No space left"*) no_room=true;; esac
  echo "{\"name\":\"$2\",\"failed\":\"$why\",\"no_room\":$no_room}"
}
now() { date +%s%3N; }
[ $command = switch ] || echo "$command ${names[*]}${1:+ -- $*}" >> "$here/calls"
[ -e "$here/hang.$command" ] && sleep 1000
case $command in
  state)
    for each in "${names[@]}"; do
      if alive "$each"; then echo "{\"name\":\"$each\",\"state\":\"RUNNING\",\"pid\":$(pid_of "$each")}"
      else echo "{\"name\":\"$each\",\"state\":\"STOPPED\",\"pid\":-1}"; fi
    done;;
  switch)
    for each in "${stops[@]}"; do
      echo "stop $each" >> "$here/calls"
      fails stop "$each" && exit 0
      at=$(now) ran=false
      alive "$each" && ran=true && kill -9 "$(pid_of "$each")"
      rm -f "$here/run.$each"
      sleep 0.05
      ending=$(cat "$here/ending.$each" 2>/dev/null || echo itself)
      how="\"ending\":\"$ending\",\"signal\":\"SIGTERM\",\"at_ms\":$at"
      echo "{\"name\":\"$each\",\"state\":\"STOPPED\",\"ran\":$ran,$how,\"ms\":$(($(now) - at)),\"orphans\":0}"
    done
    for each in "${starts[@]}"; do
      for file in config init image instar; do mv "$lxcpath/$each/$file.next" "$lxcpath/$each/$file" 2>/dev/null; done
      echo "start $each -- $(tr '\0' ' ' < "$lxcpath/$each/init" | sed 's/ $//')" >> "$here/calls"
      [ -e "$here/hang.start.$each" ] && sleep 1000
      fails start "$each" && exit 0
      [ -e "$lxcpath/$each/config" ] || { echo '{"error":"no config"}'; exit 1; }
      setsid sleep 1000 >/dev/null 2>&1 </dev/null &
      echo $! > "$here/run.$each"
      echo "{\"name\":\"$each\",\"state\":\"RUNNING\",\"pid\":$!,\"at_ms\":$(now),\"ms\":1,\"orphans\":0}"
    done;;
  probe) cat "$here/probe.${names[0]}" 2>/dev/null || echo '{"line":"fine","ms":1,"exit":0}';;
esac
)SH";

}  // namespace

FakeHelper::FakeHelper() {
  std::ofstream(path()) << kScript;
  ::chmod(path().c_str(), 0755);
}

FakeHelper::~FakeHelper() {
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    if (entry.path().filename().string().starts_with("run."))
      kill_container(entry.path().filename().string().substr(4));
}

std::vector<std::string> FakeHelper::take_calls() {
  std::ifstream file(folder_ / "calls");
  std::vector<std::string> calls;
  for (std::string line; std::getline(file, line);) calls.push_back(line);
  ::unlink((folder_ / "calls").c_str());
  return calls;
}

int FakeHelper::pid(const std::string& name) const {
  int pid = 0;
  std::ifstream(folder_ / ("run." + name)) >> pid;
  return pid;
}

bool FakeHelper::runs(const std::string& name) const {
  std::ifstream status("/proc/" + std::to_string(pid(name)) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("State:")) return line.find('Z') == std::string::npos;  // a zombie waits to be reaped
  return false;
}

void FakeHelper::kill_container(const std::string& name) const {
  if (pid(name) <= 0) return;
  ::kill(pid(name), SIGKILL);
  while (runs(name)) ::usleep(1'000);
}

void FakeHelper::fail(const std::string& command, const std::string& name, const std::string& why) const {
  std::ofstream(folder_ / ("fail." + command + "." + name)) << why;
}

void FakeHelper::heal(const std::string& command, const std::string& name) const {
  ::unlink((folder_ / ("fail." + command + "." + name)).c_str());
}

void FakeHelper::answer_probe(const std::string& name, const std::string& json) const {
  std::ofstream(folder_ / ("probe." + name)) << json << "\n";
}

void FakeHelper::end_as(const std::string& name, const std::string& ending) const {
  std::ofstream(folder_ / ("ending." + name)) << ending;
}

void FakeHelper::hang(const std::string& command) const {
  std::ofstream(folder_ / ("hang." + command)) << "";
}

}  // namespace instar::device
