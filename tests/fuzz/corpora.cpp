// Gives every target the inputs of its corpus once: what was found must stay fixed, whatever the compiler.
//   instar_fuzz_corpora CORPUS [TARGET ...]
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "tests/fuzz/target.hpp"

namespace instar::fuzz {
namespace {

std::map<std::string, Run>& all_targets() {
  static std::map<std::string, Run> targets;
  return targets;
}

// For the message of a target that ends.
std::string current;

void say_which(int number) {
  std::fprintf(stderr, "ended by signal %d with the input %s\n", number, current.c_str());
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// How many inputs there were; 0 is an error.
std::size_t run_corpus(const std::filesystem::path& folder, Run run) {
  std::vector<std::filesystem::path> paths;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) paths.push_back(entry.path());
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    current = path.string();
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (!text.empty()) run(as_bytes(text));
  }
  return paths.size();
}

int run_corpora(const std::filesystem::path& corpus, const std::vector<std::string>& only) {
  int failures = 0;
  const auto& targets = all_targets();
  for (const auto& [name, run] : targets) {
    if (!only.empty() && std::ranges::find(only, name) == only.end()) continue;
    const auto count = run_corpus(corpus / name, run);
    std::printf("%s: %zu inputs\n", name.c_str(), count);
    if (count == 0) ++failures;
  }
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(corpus, none)) {
    const auto name = entry.path().filename().string();
    if (targets.contains(name)) continue;
    std::printf("%s: a corpus without a target\n", name.c_str());
    ++failures;
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace

Registered::Registered(std::string_view name, Run run) {
  all_targets().emplace(name, run);
}

}  // namespace instar::fuzz

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: instar_fuzz_corpora CORPUS [TARGET ...]\n");
    return 2;
  }
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) std::signal(number, instar::fuzz::say_which);
  return instar::fuzz::run_corpora(words[1], {words + 2, words + count});
}
