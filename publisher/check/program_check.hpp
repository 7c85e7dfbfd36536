// Whether a command can start in a container: from the link at /sbin/init through the scripts' interpreters to an ELF
// program, its loader and its libraries.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "publisher/check/dynamic_loader.hpp"
#include "publisher/check/machine.hpp"
#include "publisher/check/tree_paths.hpp"

namespace instar::publisher {

// What LXC and the client give every container (device-client/containers/container_config.cpp).
inline constexpr std::string_view kContainerPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// With what a command is started.
struct ProgramStart {
  std::string search_path = std::string(kContainerPath);  // PATH
  std::string library_path = {};                          // LD_LIBRARY_PATH
  std::string folder = "/";                               // where it starts
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

struct CheckedProgram {
  std::vector<std::string> wrong;  // why it cannot start: sentences that name the file and the way out
  std::vector<std::string> notes;  // what may be wrong
  // The program that the kernel runs in the end; nullopt when it was not found, or is no ELF file.
  std::optional<Machine> machine;
  std::string path;
};

class ProgramCheck {
 public:
  // Both must outlive it.
  ProgramCheck(const TreePaths& paths, TreeContent& content)
      : paths_(paths), content_(content), loader_(paths, content) {}

  // `command`: argv, not empty. Errors: io, corrupt.
  [[nodiscard]] Result<CheckedProgram> check(const std::vector<std::string>& command, const ProgramStart& start);

 private:
  // A file that is to be executed.
  struct Step {
    PlaceInTree place;
    std::string asked;    // the path by which it is named
    std::string because;  // "": the command itself; else a clause: "which the #! line of /sbin/init names"
    unsigned depth = 0;   // interpreters before it
  };
  [[nodiscard]] Status run(Step step);
  [[nodiscard]] Status run_script(const Step& step, ByteView first);
  [[nodiscard]] Status run_env(const Step& script, std::string_view argument);
  [[nodiscard]] Status run_without_line(const Step& step, ByteView first);
  [[nodiscard]] Status run_after_env(const std::vector<std::string>& command);
  void check_script_argument(const std::vector<std::string>& command);
  [[nodiscard]] Status run_elf(const Step& step);
  [[nodiscard]] Status check_loader(const Step& step, const ElfFile& elf);
  [[nodiscard]] std::optional<Step> at_path(const std::string& path, const std::string& because, unsigned depth);
  // The file at `path`, or of that name in PATH. nullopt when there is none; then it has been said.
  [[nodiscard]] std::optional<Step> named(const std::string& path, const std::string& because, unsigned depth);
  [[nodiscard]] bool is_executable(const Step& step);
  [[nodiscard]] static std::string shown(const Step& step);
  void wrong(std::string sentence) { checked_.wrong.push_back(std::move(sentence)); }

  const TreePaths& paths_;
  TreeContent& content_;
  DynamicLoader loader_;
  ProgramStart start_;
  CheckedProgram checked_;
};

}  // namespace instar::publisher
