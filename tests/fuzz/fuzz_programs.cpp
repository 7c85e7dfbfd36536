// What `instar publish` reads of the files in a tree: ELF files, first lines of scripts, the loader's cache, links. The
// first byte says which file of a small root file system the input is.
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "publisher/check/program_check.hpp"
#include "publisher/check/script_line.hpp"
#include "publisher/check/testing/root_tree.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_programs {
namespace {

using namespace instar::publisher;

void elf(ByteView input) {
  const auto read = [&](std::uint64_t offset, std::size_t size) -> Result<Bytes> {
    INSTAR_ASSERT(offset <= input.size());
    const auto rest = input.subspan(static_cast<std::size_t>(offset));
    return to_bytes(rest.first(std::min(size, rest.size())));
  };
  const auto file = read_elf(read, input.size());
  if (!file.has_value()) {
    INSTAR_ASSERT(file.error().code == Code::malformed && !file.error().message.empty());
    return;
  }
  INSTAR_ASSERT(is_elf(input));
  INSTAR_ASSERT(file->needed.size() <= limits::kElfLibrariesMax);
  INSTAR_ASSERT(file->loader.size() <= limits::kElfTextBytesMax);
  (void)machine_name(file->machine);
}

void line(ByteView input) {
  const auto parsed = parse_script_line(input);
  INSTAR_ASSERT(parsed.bytes <= input.size());
  INSTAR_ASSERT(parsed.interpreter.find_first_of(" \t\n") == std::string::npos);
  const auto program = program_of_env(as_text(input));
  INSTAR_ASSERT(program.name.size() <= input.size());
}

// Whatever a file holds, the check ends, and says sentences.
void program(RootTree tree, const std::vector<std::string>& command, const std::string& library_path) {
  const auto entries = tree.entries();
  const TreePaths paths(entries);
  ProgramStart start;
  start.library_path = library_path;
  const auto checked = ProgramCheck(paths, tree).check(command, start);
  INSTAR_ASSERT(checked.has_value());
  for (const auto& sentence : checked->wrong) INSTAR_ASSERT(!sentence.empty());
  for (const auto& note : checked->notes) INSTAR_ASSERT(!note.empty());
}

RootTree root() {
  RootTree tree;
  tree.program("bin/sh")
      .elf("lib64/ld-linux-x86-64.so.2", {.loader = ""})
      .elf("lib/ld-musl-x86_64.so.1", {.loader = ""});
  tree.elf("sbin/init", {.needed = {"libx.so", "liby.so"}, .runpath = "$ORIGIN/../$LIB"}).link("usr/bin", "../bin");
  return tree.library("lib/libx.so", {"libz.so"});
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  const std::string text(as_text(input));
  auto tree = root();
  switch (data[0] % 7) {
    case 0: elf(input); break;
    case 1: line(input); break;
    case 2: program(tree.file("sbin/init", input), {"/sbin/init"}, ""); break;
    case 3: program(tree.file("lib/liby.so", input), {"/sbin/init"}, ""); break;
    case 4: program(tree.file("etc/ld.so.cache", input), {"/sbin/init"}, text); break;
    case 5:
      tree.elf("sbin/init",
               {.loader = "/lib/ld-musl-x86_64.so.1", .needed = {"libz.so"}, .rpath = text.substr(0, 100)});
      program(tree.file("etc/ld-musl-x86_64.path", input), {"/sbin/init"}, "");
      break;
    default: program(tree.link("sbin/start", text), {"/sbin/start", text}, ""); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_programs

INSTAR_FUZZ_TARGET(programs, instar::fuzz_programs::run)
