#include "publisher/check/program_check.hpp"

#include <gmock/gmock.h>

#include "publisher/check/testing/root_tree.hpp"

namespace instar::publisher {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Machine kAmd64{EM_X86_64, true, false};
constexpr Machine kArm64{EM_AARCH64, true, false};
constexpr const char* kLoader = "lib64/ld-linux-x86-64.so.2";

class ProgramCheckTest : public testing::Test {
 protected:
  CheckedProgram check(const std::vector<std::string>& command = {"/sbin/init"}, const ProgramStart& start = {}) {
    entries_ = tree_.entries();
    TreePaths paths(entries_);
    for (const auto& [path, by] : covers_) paths.cover(path, by);
    auto checked = ProgramCheck(paths, tree_).check(command, start);
    EXPECT_TRUE(checked) << checked.error().message;
    return checked ? std::move(*checked) : CheckedProgram{};
  }
  std::vector<std::string> wrong(const std::vector<std::string>& command = {"/sbin/init"}) {
    return check(command).wrong;
  }
  void add_glibc() {
    tree_.elf(kLoader, {.loader = ""}).library("lib/x86_64-linux-gnu/libc.so.6", {"ld-linux-x86-64.so.2"});
  }
  RootTree tree_;
  std::vector<artifact::Entry> entries_;
  std::vector<std::pair<std::string, std::string>> covers_;
};

TEST_F(ProgramCheckTest, AStaticProgramStartsThroughLinks) {
  tree_.program("usr/bin/busybox").link("bin", "usr/bin").link("sbin", "bin").link("usr/bin/init", "busybox");
  const auto checked = check();
  EXPECT_THAT(checked.wrong, IsEmpty());
  EXPECT_THAT(checked.notes, IsEmpty());
  EXPECT_EQ(checked.machine, kAmd64);
  EXPECT_EQ(checked.path, "/usr/bin/busybox");
}

TEST_F(ProgramCheckTest, AStaticPieHasNoLoaderAndStarts) {
  tree_.elf("sbin/init", {.loader = "", .runpath = "/x"});
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(ProgramCheckTest, WhatIsNotThereIsNamed) {
  tree_.program("bin/app");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/sbin/init is not in the tree")));
  EXPECT_THAT(wrong({"app"}), IsEmpty()) << "in PATH";
  EXPECT_THAT(wrong({"bin/app"}), IsEmpty()) << "below the folder that it starts in";
  EXPECT_THAT(wrong({"webd"}), ElementsAre(AllOf(HasSubstr("'webd' is in no folder of PATH"), HasSubstr("/sbin"))));
  EXPECT_THAT(wrong({"/bin"}), ElementsAre(HasSubstr("/bin is a folder")));
  EXPECT_THAT(check({"run"}, {.search_path = "/opt:/bin"}).wrong, ElementsAre(HasSubstr("/opt:/bin")));
}

TEST_F(ProgramCheckTest, WhatMayNotBeExecutedIsNamedWithItsMode) {
  tree_.script("sbin/init", "#!/bin/sh\n", 0644).program("bin/sh");
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("/sbin/init may not be executed"), HasSubstr("0644"),
                                         HasSubstr("chmod 755"))));
  EXPECT_THAT(wrong({"init"}), ElementsAre(HasSubstr("/sbin/init may not be executed"))) << "by PATH too";
  tree_.file("sbin/init", make_elf({.type = ET_EXEC, .loader = ""}), 0700);
  EXPECT_THAT(wrong(), IsEmpty());
  EXPECT_THAT(check({"/sbin/init"}, {.uid = 33, .gid = 33}).wrong, ElementsAre(HasSubstr("by user 33")));
}

TEST_F(ProgramCheckTest, TheInterpreterOfAScriptMustBeThere) {
  tree_.script("sbin/init", "#!/bin/sh\nexec sleep inf\n");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/bin/sh, which the #! line of /sbin/init names, is not in the tree")));
  tree_.link("bin/sh", "dash");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/bin/sh -> dash")));
  tree_.program("bin/dash");
  EXPECT_THAT(wrong(), IsEmpty());
  EXPECT_EQ(check().machine, kAmd64);
}

TEST_F(ProgramCheckTest, AnInterpreterThatCannotStartIsNamed) {
  tree_.script("sbin/init", "#!/bin/bash\n").elf("bin/bash", {.needed = {"libtinfo.so.6", "libc.so.6"}});
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("/bin/bash, which the #! line of /sbin/init names,"),
                                         HasSubstr("/lib64/ld-linux-x86-64.so.2 is not in the tree"))));
}

TEST_F(ProgramCheckTest, LineEndsOfWindowsAreNamed) {
  tree_.script("sbin/init", "#!/bin/sh\r\nexit\r\n").program("bin/sh");
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("line ends of Windows"), HasSubstr("TREE/sbin/init"))));
  tree_.script("sbin/init", "#!/bin/sh -e\r\n");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("line ends of Windows")));
}

TEST_F(ProgramCheckTest, ALongFirstLineIsRefusedOrNoted) {
  const auto name = [](std::size_t size) { return "opt/" + std::string(size - 7, 'x'); };  // "#!/" before it
  for (const std::size_t size : {127, 128, 255, 256, 5'000}) {
    RootTree fresh;
    tree_ = fresh;
    tree_.program(name(size)).script("sbin/init", "#!/" + name(size) + "\n");
    const auto checked = check();
    EXPECT_EQ(checked.wrong.size(), size > 255 ? 1U : 0U) << size;
    EXPECT_EQ(checked.notes.size(), size > 127 && size <= 255 ? 1U : 0U) << size;
  }
}

TEST_F(ProgramCheckTest, EnvLooksInPath) {
  tree_.script("sbin/init", "#!/usr/bin/env python3\n");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/usr/bin/env, which")));
  tree_.program("usr/bin/env");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("'python3', which the #! line of /sbin/init names, is in no folder")));
  tree_.program("usr/local/bin/python3");
  EXPECT_THAT(wrong(), IsEmpty());
  tree_.script("sbin/init", "#!/usr/bin/env python3 -u\n");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("env -S python3 -u")));
  tree_.script("sbin/init", "#!/usr/bin/env -S python3 -u\n");
  EXPECT_THAT(wrong(), IsEmpty());
  EXPECT_THAT(wrong({"/usr/bin/env", "A=1", "ruby"}), ElementsAre(HasSubstr("'ruby'")));
  EXPECT_THAT(wrong({"/usr/bin/env", "A=1", "python3"}), IsEmpty());
}

TEST_F(ProgramCheckTest, TheFileThatAnInterpreterIsGivenMustBeThere) {
  tree_.program("bin/sh").program("usr/bin/python3").script("app/main.py", "print()\n", 0644);
  EXPECT_THAT(wrong({"python3", "/app/main.py"}), IsEmpty()) << "it need not be executable";
  EXPECT_THAT(wrong({"/usr/bin/python3", "/app/other.py"}), ElementsAre(HasSubstr("/app/other.py is not in the tree")));
  EXPECT_THAT(wrong({"/bin/sh", "/app"}), ElementsAre(HasSubstr("/app is a folder")));
  EXPECT_THAT(wrong({"/bin/sh", "-c", "/app/other"}), IsEmpty());
  EXPECT_THAT(wrong({"/bin/sh", "start.sh"}), IsEmpty());
}

TEST_F(ProgramCheckTest, GlibcElsewhereBringsItsOwnFolder) {
  tree_.elf("nix/glibc/lib/ld-linux-x86-64.so.2", {.loader = ""}).library("nix/glibc/lib/libc.so.6");
  tree_.elf("sbin/init", {.loader = "/nix/glibc/lib/ld-linux-x86-64.so.2", .needed = {"libc.so.6"}});
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(ProgramCheckTest, ScriptsRunScriptsAsDeepAsLinuxFollows) {
  tree_.program("bin/sh").script("s0", "#!/bin/sh\n");
  for (int i = 1; i < 8; ++i) tree_.script("s" + std::to_string(i), "#!/s" + std::to_string(i - 1) + "\n");
  EXPECT_THAT(wrong({"/s4"}), IsEmpty());
  EXPECT_THAT(wrong({"/s5"}), ElementsAre(HasSubstr("deeper than Linux follows")));
  tree_.script("loop", "#!/loop\n");
  EXPECT_THAT(wrong({"/loop"}), ElementsAre(HasSubstr("deeper")));
}

TEST_F(ProgramCheckTest, ATextWithoutALineNeedsAShell) {
  tree_.script("sbin/init", "exec sleep inf\n");
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("/sbin/init is no program, has no #! line"), HasSubstr("/bin/sh"))));
  tree_.program("bin/sh");
  EXPECT_THAT(wrong(), IsEmpty());
  EXPECT_THAT(check().notes, ElementsAre(HasSubstr("has no #! line")));
  tree_.script("sbin/init", "#!/text\n").script("text", "echo\n");
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/text, which the #! line of /sbin/init names,")));
}

TEST_F(ProgramCheckTest, WhatIsNoLinuxProgramIsNamed) {
  tree_.program("bin/sh");
  const std::string zero(1, '\0');
  for (const auto& [content, text] :
       std::vector<std::pair<std::string, std::string>>{{"", "is empty"},
                                                        {"MZ\x90" + zero, "Windows"},
                                                        {"\xcf\xfa\xed\xfe" + zero, "macOS"},
                                                        {"version https://git-lfs.github.com/spec/v1\n", "Git LFS"},
                                                        {"PK\x03\x04", "archive"},
                                                        {"abc" + zero, "neither an ELF program nor a script"},
                                                        {"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"},
                                                        {"\x7f"
                                                         "ELF",
                                                         "no whole program"}}) {
    tree_.script("sbin/init", content);
    EXPECT_THAT(wrong(), ElementsAre(HasSubstr(text))) << text;
  }
  tree_.elf("sbin/init", {.type = ET_REL});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("not linked")));
  tree_.elf("sbin/init", {.type = ET_CORE});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("core dump")));
  tree_.library("sbin/init", {"libc.so.6"});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("shared library")));
}

TEST_F(ProgramCheckTest, TheLibrariesOfLibrariesMustBeThere) {
  tree_.elf("sbin/init", {.needed = {"libssl.so.3", "libc.so.6"}});
  add_glibc();
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("/sbin/init needs libssl.so.3"), HasSubstr("add it to the tree"))));
  tree_.library("usr/lib/libssl.so.3", {"libcrypto.so.3", "libc.so.6"});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("libcrypto.so.3 (for /usr/lib/libssl.so.3)")));
  tree_.library("usr/lib/libcrypto.so.3", {"libssl.so.3"});
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(ProgramCheckTest, ALibraryElsewhereIsShownWithTheWayOut) {
  add_glibc();
  tree_.elf("sbin/init", {.needed = {"libx.so"}}).library("opt/x/libx.so");
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("there is /opt/x/libx.so"), HasSubstr("ldconfig -r TREE"))));
  EXPECT_THAT(check({"/sbin/init"}, {.library_path = "/y:/opt/x"}).wrong, IsEmpty());
  const std::string table("glibc-ld.so.cache1.1\0\0\0libx.so\0/opt/x/libx.so\0", 45);
  tree_.script("etc/ld.so.cache", table, 0644);
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(ProgramCheckTest, OriginIsTheFolderOfTheFileItself) {
  add_glibc();
  tree_.link("sbin/init", "/opt/app/bin/run")
      .library("opt/app/lib/libx.so", {"liby.so"})
      .library("opt/app/lib/deep/liby.so");
  tree_.elf("opt/app/bin/run", {.needed = {"libx.so"}, .runpath = "/nowhere:${ORIGIN}/../$LIB"});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("liby.so (for "))) << "a RUNPATH is not that of the libraries";
  tree_.elf("opt/app/bin/run", {.needed = {"libx.so"}, .rpath = "$ORIGIN/../lib:$ORIGIN/../lib/deep"});
  EXPECT_THAT(wrong(), IsEmpty()) << "an RPATH is";
}

TEST_F(ProgramCheckTest, MuslLooksInItsOwnFolders) {
  const std::string loader = "lib/ld-musl-x86_64.so.1";
  tree_.elf("sbin/init", {.loader = "/" + loader, .needed = {"libz.so.1", "libc.musl-x86_64.so.1", "libm.so"}});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/" + loader + " is not in the tree")));
  tree_.elf(loader, {.loader = ""}).library("opt/lib/libz.so.1");
  EXPECT_THAT(wrong(), ElementsAre(AllOf(HasSubstr("needs libz.so.1"), HasSubstr("/etc/ld-musl-x86_64.path"))));
  tree_.script("etc/ld-musl-x86_64.path", "/lib\n/opt/lib\n", 0644);
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(ProgramCheckTest, AProgramForGlibcInATreeOfMuslIsSaid) {
  tree_.elf("sbin/init").elf("lib/ld-musl-x86_64.so.1", {.loader = ""});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("made for glibc and the tree has musl")));
}

TEST_F(ProgramCheckTest, LibrariesAndLoadersOfOtherMachinesDoNotCount) {
  add_glibc();
  tree_.elf("sbin/init", {.needed = {"libx.so"}});
  tree_.elf("lib/libx.so", {.machine = kArm64, .loader = "", .entry = 0});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/lib/libx.so is for aarch64")));
  tree_.library("usr/lib/libx.so");
  EXPECT_THAT(wrong(), IsEmpty()) << "the loader goes on";
  tree_.elf(kLoader, {.machine = kArm64, .loader = ""});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("its loader /lib64/ld-linux-x86-64.so.2 for aarch64")));
}

TEST_F(ProgramCheckTest, A32BitProgramBringsItsOwnLoader) {
  const Machine x86{EM_386, false, false};
  add_glibc();
  tree_.elf("sbin/init", {.machine = x86, .loader = "/lib/ld-linux.so.2", .needed = {"libc.so.6"}});
  EXPECT_THAT(wrong(), ElementsAre(HasSubstr("/lib/ld-linux.so.2 is not in the tree")));
  tree_.elf("lib/ld-linux.so.2", {.machine = x86, .loader = ""});
  tree_.elf("lib/i386-linux-gnu/libc.so.6", {.machine = x86, .loader = "", .entry = 0});
  EXPECT_THAT(wrong(), IsEmpty());
  EXPECT_EQ(check().machine, x86);
}

TEST_F(ProgramCheckTest, NothingIsSaidOfLoadersThatAreNotKnown) {
  tree_.elf("sbin/init", {.loader = "/system/bin/linker64", .needed = {"libfoo.so"}});
  tree_.elf("system/bin/linker64", {.loader = ""});
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(ProgramCheckTest, WhatAVolumeCoversIsRefusedAndWhatItWillHoldIsNoted) {
  tree_.program("opt/app/run");
  covers_ = {{"/opt/app", "the volume 'data'"}, {"/mnt", ""}};
  EXPECT_THAT(wrong({"/opt/app/run"}), ElementsAre(HasSubstr("the volume 'data', which covers /opt/app")));
  const auto checked = check({"/opt/app/later"});
  EXPECT_THAT(checked.wrong, IsEmpty());
  EXPECT_THAT(checked.notes, ElementsAre(HasSubstr("empty at its first start")));
  EXPECT_THAT(wrong({"/mnt/run"}), IsEmpty()) << "who mounts it knows what is there";
}

}  // namespace
}  // namespace instar::publisher
