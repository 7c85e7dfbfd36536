#include "publisher/check/program_check.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/check/script_line.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

constexpr std::size_t kFirstBytes = 4096;

bool may_execute(const Entry& file, std::uint32_t uid, std::uint32_t gid) {
  if (uid == 0) return (file.mode & 0111) != 0;
  if (file.uid == uid) return (file.mode & 0100) != 0;
  return (file.mode & (file.gid == gid ? 0010 : 0001)) != 0;
}

// Shells and languages that run the file of their first argument.
bool is_interpreter(std::string_view name) {
  constexpr std::string_view kShells[] = {"sh", "ash", "bash", "dash", "ksh", "zsh"};
  constexpr std::string_view kLanguages[] = {"python", "node", "perl", "ruby", "php", "lua"};
  return std::ranges::find(kShells, name) != std::end(kShells) ||
         std::ranges::any_of(kLanguages, [&](auto language) { return name.starts_with(language); });
}

std::string octal_mode(std::uint16_t mode) {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3) digits += static_cast<char>('0' + (mode >> shift & 7));
  return digits;
}

// What a file is that neither a kernel nor a shell runs. Empty: it may be a text.
std::string foreign_kind(std::string_view text) {
  if (text.starts_with("MZ")) return "is a program for Windows";
  for (const std::string_view magic : {"\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe"})
    if (text.starts_with(magic)) return "is a program for macOS, or of Java";
  if (text.starts_with("version https://git-lfs.github.com/"))
    return "is a pointer of Git LFS, not the file itself (git lfs pull brings it)";
  if (text.starts_with("PK\x03\x04") || text.starts_with("\x1f\x8b")) return "is an archive";
  if (text.find('\0') != std::string_view::npos) return "is neither an ELF program nor a script";
  return {};
}

}  // namespace

std::string ProgramCheck::shown(const Step& step) {
  return step.because.empty() ? step.asked : step.asked + ", " + step.because + ",";
}

std::optional<ProgramCheck::Step> ProgramCheck::at_path(const std::string& path, const std::string& because,
                                                        unsigned depth) {
  Step step{paths_.find(path, start_.folder), path, because, depth};
  if (step.place.end == PlaceInTree::End::unknown) return std::nullopt;
  if (step.place.end == PlaceInTree::End::hidden) {
    const auto below = paths_.find(path, start_.folder, TreePaths::Covers::taken_off);
    if (below.end != PlaceInTree::End::found) {
      checked_.notes.push_back(shown(step) + " is expected in " + step.place.hidden_by +
                               ", which is empty at its first start");
      return std::nullopt;
    }
  }
  const auto what = what_stands_at(step.place, shown(step));
  if (what.empty()) return step;
  wrong(what + (step.place.end == PlaceInTree::End::hidden ? ": give it another path"
                                                           : ": put a program there, or name one that is in the tree"));
  return std::nullopt;
}

std::optional<ProgramCheck::Step> ProgramCheck::named(const std::string& path, const std::string& because,
                                                      unsigned depth) {
  if (path.find('/') != std::string::npos) return at_path(path, because, depth);
  const auto& list = start_.search_path;
  std::optional<Step> forbidden;  // found, but not to be executed
  for (std::size_t at = 0; at <= list.size();) {
    const auto colon = std::min(list.find(':', at), list.size());
    const std::string folder = colon == at ? start_.folder : list.substr(at, colon - at);
    at = colon + 1;
    Step step{paths_.find(folder + "/" + path, start_.folder), folder + "/" + path, because, depth};
    if (step.place.end == PlaceInTree::End::unknown) return std::nullopt;  // it may be there
    if (!what_stands_at(step.place, path).empty()) continue;
    if (may_execute(*step.place.entry, start_.uid, start_.gid)) return step;
    forbidden = step;
  }
  // Said by is_executable().
  if (forbidden) return forbidden;
  wrong("'" + path + "'" + (because.empty() ? "" : ", " + because + ",") + " is in no folder of PATH (" + list +
        "): add it to the tree, or give its whole path");
  return std::nullopt;
}

bool ProgramCheck::is_executable(const Step& step) {
  if (may_execute(*step.place.entry, start_.uid, start_.gid)) return true;
  const std::string who = start_.uid == 0 ? "" : " by user " + std::to_string(start_.uid);
  wrong(shown(step) + " may not be executed" + who + " (mode " + octal_mode(step.place.entry->mode) +
        "): chmod 755 TREE" + step.place.path + ", and pack again");
  return false;
}

Status ProgramCheck::run(Step step) {
  if (!is_executable(step)) return {};
  if (step.place.entry->size == 0) {
    wrong(shown(step) + " is empty: put a program there, and pack again");
    return {};
  }
  INSTAR_TRY(const auto first, content_.read(*step.place.entry, 0, kFirstBytes));
  if (is_elf(first)) return run_elf(step);
  if (parse_script_line(first).interpreter.empty()) return run_without_line(step, first);
  if (step.depth >= limits::kScriptNestingMax) {
    wrong(shown(step) + " is a script run by a script, deeper than Linux follows (" +
          std::to_string(limits::kScriptNestingMax) + "): name a program in its #! line");
    return {};
  }
  return run_script(step, first);
}

Status ProgramCheck::run_script(const Step& step, ByteView first) {
  const auto line = parse_script_line(first);
  if (line.ends_in_cr) {
    const auto word = line.argument.empty() ? line.interpreter : line.argument;
    wrong(shown(step) + " has the line ends of Windows, and Linux takes the CR for a part of '" +
          word.substr(0, word.size() - 1) + "': sed -i 's/\\r$//' TREE" + step.place.path + ", and pack again");
    return {};
  }
  if (line.bytes > limits::kScriptLineBytesMax) {
    wrong(shown(step) + " has a #! line of " + std::to_string(line.bytes) + " bytes, Linux reads " +
          std::to_string(limits::kScriptLineBytesMax) + ": make it shorter, by a link to the interpreter for example");
    return {};
  }
  if (line.bytes > limits::kScriptLineBytesOld) {
    checked_.notes.push_back(shown(step) + " has a #! line of " + std::to_string(line.bytes) +
                             " bytes: Linux before 5.1 reads " + std::to_string(limits::kScriptLineBytesOld) +
                             " of it");
  }
  const std::string because = "which the #! line of " + step.asked + " names";
  const std::size_t wrong_before = checked_.wrong.size();
  // A #! line names a path, also without a slash.
  const auto& name = line.interpreter;
  const auto interpreter = named(name.find('/') == std::string::npos ? "./" + name : name, because, step.depth + 1);
  if (!interpreter) return {};
  INSTAR_CHECK(run(*interpreter));
  if (checked_.wrong.size() > wrong_before || base_name(name) != "env" || line.argument.empty()) return {};
  return run_env(step, line.argument);
}

// `script` is run by env, which looks for the program.
Status ProgramCheck::run_env(const Step& script, std::string_view argument) {
  const auto program = program_of_env(argument);
  if (program.name.empty()) return {};
  if (program.has_blanks) {
    wrong(script.asked + " is run by env, which gets all of '" + program.name +
          "' as the name of one program: write `#!/usr/bin/env -S " + program.name + "`, or the program's path");
    return {};
  }
  if (const auto step = named(program.name, "which the #! line of " + script.asked + " names", script.depth + 1))
    return run(*step);
  return {};
}

// The kernel refuses it. The C library's execvp() gives it to /bin/sh then, as a program of its own only.
Status ProgramCheck::run_without_line(const Step& step, ByteView first) {
  std::string_view text = as_text(first);
  if (text.starts_with("\xef\xbb\xbf")) {
    wrong(shown(step) +
          " begins with a byte order mark, behind which Linux sees no #! line: sed -i '1s/^\\xef\\xbb\\xbf//' "
          "TREE" +
          step.place.path + ", and pack again");
    return {};
  }
  if (const auto kind = foreign_kind(text); !kind.empty()) {
    wrong(shown(step) + " " + kind + ": put a Linux program there, and pack again");
    return {};
  }
  if (step.depth > 0) {
    wrong(shown(step) + " is no program and has no #! line: name a program");
    return {};
  }
  const auto shell = paths_.find("/bin/sh");
  if (shell.end == PlaceInTree::End::unknown) return {};
  if (!what_stands_at(shell, "/bin/sh").empty()) {
    wrong(shown(step) +
          " is no program, has no #! line, and there is no /bin/sh: begin it with a #! line that names its "
          "interpreter, such as #!/bin/sh, and add that to the tree");
    return {};
  }
  checked_.notes.push_back(shown(step) + " has no #! line: only by luck is it run by /bin/sh. Begin it with #!/bin/sh");
  return run({shell, "/bin/sh", "which runs " + step.asked, step.depth + 1});
}

Status ProgramCheck::run_elf(const Step& step) {
  const auto elf = read_elf_of(content_, *step.place.entry);
  if (!elf) {
    if (elf.error().code != Code::malformed) return fail(elf.error());
    wrong(shown(step) + " is no whole program: " + elf.error().message + "; put a whole one there, and pack again");
    return {};
  }
  checked_.machine = elf->machine;
  checked_.path = step.place.path;
  std::string kind;
  if (elf->type == ElfFile::Type::object) kind = "an object file, which was not linked";
  if (elf->type == ElfFile::Type::core) kind = "a core dump";
  const bool is_library = elf->type == ElfFile::Type::shared && elf->loader.empty();
  if (is_library && (!elf->has_entry || !elf->needed.empty())) kind = "a shared library";
  if (!kind.empty()) {
    wrong(shown(step) + " is " + kind + ": put a program there, and pack again");
    return {};
  }
  // Without a loader it is static.
  if (elf->loader.empty()) return {};
  return check_loader(step, *elf);
}

Status ProgramCheck::check_loader(const Step& step, const ElfFile& elf) {
  const auto place = paths_.find(elf.loader, start_.folder);
  if (place.end == PlaceInTree::End::unknown) return {};
  if (const auto what = what_stands_at(place, elf.loader); !what.empty()) {
    const bool has_musl = std::ranges::any_of(
        paths_.entries(), [](const Entry& entry) { return base_name(entry.path).starts_with("ld-musl-"); });
    const bool is_glibc = base_name(elf.loader).starts_with("ld-linux");
    wrong(shown(step) + " needs its loader, and " + what + ": " +
          (is_glibc && has_musl ? "it is made for glibc and the tree has musl: take a program for musl, or "
                                : "add the loader and the libraries (ldd shows them), or ") +
          "link it statically");
    return {};
  }
  if (!is_executable({place, elf.loader, "which loads " + step.asked, 0})) return {};
  const auto loader = read_elf_of(content_, *place.entry);
  if (!loader && loader.error().code != Code::malformed) return fail(loader.error());
  if (!loader || loader->machine != elf.machine) {
    wrong(shown(step) + " is for " + machine_name(elf.machine) + ", and its loader " + elf.loader + " " +
          (loader ? "for " + machine_name(loader->machine) : "is no ELF file") + ": put the right one there");
    return {};
  }
  INSTAR_TRY(const auto missing, loader_.check(step.place, elf, start_.library_path));
  if (missing) wrong(shown(step) + " " + *missing);
  return {};
}

// `env NAME=VALUE program`: what counts is the program.
Status ProgramCheck::run_after_env(const std::vector<std::string>& command) {
  std::string rest = "-S";
  for (std::size_t i = 1; i < command.size(); ++i) rest += " " + command[i];
  const auto program = program_of_env(rest).name;
  if (program.empty()) return {};
  const auto step = named(program, "which env is to run", 0);
  return step ? run(*step) : Status{};
}

// `python3 /app/main.py`: the file must be there too. Relative paths and those behind options are not looked at.
void ProgramCheck::check_script_argument(const std::vector<std::string>& command) {
  if (command.size() < 2 || !command[1].starts_with('/') || !is_interpreter(base_name(command.front()))) return;
  const auto place = paths_.find(command[1]);
  const bool is_known = place.end != PlaceInTree::End::unknown && place.end != PlaceInTree::End::hidden;
  if (const auto what = is_known ? what_stands_at(place, command[1]) : ""; !what.empty())
    wrong(command.front() + " is to run it, but " + what + ": add it, or name another file");
}

Result<CheckedProgram> ProgramCheck::check(const std::vector<std::string>& command, const ProgramStart& start) {
  start_ = start;
  checked_ = {};
  const auto step = named(command.front(), "", 0);
  if (step) INSTAR_CHECK(run(*step));
  if (step && checked_.wrong.empty()) {
    if (base_name(command.front()) == "env") INSTAR_CHECK(run_after_env(command));
    check_script_argument(command);
  }
  return std::move(checked_);
}

}  // namespace instar::publisher
