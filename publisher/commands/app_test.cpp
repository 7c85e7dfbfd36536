// The program itself: exit codes, and what goes to which stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

struct Ended {
  int exit = -1;
  std::string out;
  std::string err;
  Json json() const { return parse_json(out, "stdout").value_or(Json()); }
};

class Program : public testing::Test {
 protected:
  // Runs the binary. `arguments` are written as for a shell; "@" stands for the test's folder.
  Ended run(std::string arguments) const {
    for (auto at = arguments.find('@'); at != std::string::npos; at = arguments.find('@', at)) {
      arguments.replace(at, 1, folder_.path());
      at += folder_.path().size();
    }
    const std::string err = folder_ / "stderr";
    const std::string line =
        "env -i PATH=/usr/bin:/bin HOME=/nonexistent " INSTAR_PROGRAM " " + arguments + " 2>" + err;
    Ended ended;
    FILE* pipe = ::popen(line.c_str(), "r");
    EXPECT_NE(pipe, nullptr);
    std::array<char, 4096> buffer{};
    while (const auto got = std::fread(buffer.data(), 1, buffer.size(), pipe)) ended.out.append(buffer.data(), got);
    const int status = ::pclose(pipe);
    ended.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (const auto text = files::read_file(err, 1 << 20)) ended.err = as_text(*text);
    return ended;
  }
  void make_tree() const {
    ASSERT_TRUE(files::make_folders(folder_ / "tree/etc"));
    ASSERT_TRUE(files::write_file_atomic(folder_ / "tree/etc/x", as_bytes("content")));
  }
  files::TemporaryFolder folder_;
};

TEST_F(Program, HelpAndVersionEndWithZero) {
  EXPECT_EQ(run("--help").exit, 0);
  EXPECT_THAT(run("--help").out, HasSubstr("publish"));
  EXPECT_THAT(run("--version").out, HasSubstr("instar "));
  EXPECT_EQ(run("help").exit, 0);
  EXPECT_THAT(run("help exit-codes").out, HasSubstr("  7  the rollout ended"));
  EXPECT_THAT(run("help config").out, HasSubstr("INSTAR_BROKER"));
  EXPECT_THAT(run("help release-file").out, HasSubstr("containers"));
  EXPECT_THAT(run("help pack").out, HasSubstr("TREE"));
  for (const auto* command : {"keygen", "pack", "unpack", "publish", "rollout", "rollout watch", "devices",
                              "devices list", "packs", "packs prune", "inspect", "root", "root new-version"}) {
    EXPECT_EQ(run(std::string(command) + " --help").exit, 0) << command;
  }
}

TEST_F(Program, UsageErrorsEndWithTwo) {
  for (const auto* arguments : {"",
                                "nonsense",
                                "rollout",
                                "rollout nonsense",
                                "keygen",
                                "keygen a b",
                                "pack @/tree",
                                "pack @/tree -o @/out --level 99",
                                "publish --group g",
                                "inspect",
                                "rollout show",
                                "devices list --nobody",
                                "devices forget --all",
                                "devices forget",
                                "devices forget d --unknown",
                                "packs",
                                "packs remove",
                                "packs prune x",
                                "help nonsense",
                                "publish --root r --key k --wait-timeout 1s",
                                "unpack",
                                "unpack @/tree",
                                "pack @/tree --base"}) {
    const auto ended = run(arguments);
    EXPECT_EQ(ended.exit, 2) << arguments << ": " << ended.err;
    EXPECT_EQ(ended.out, "") << arguments;
    EXPECT_THAT(ended.err, HasSubstr("instar: ")) << arguments;
  }
  EXPECT_THAT(run("nonsense").err, HasSubstr("no command 'nonsense'"));
}

TEST_F(Program, AnUnreachableBrokerEndsWithThree) {
  for (const auto* arguments : {"rollout list", "devices list", "rollout show x", "devices forget d", "packs list",
                                "packs remove 5a", "packs prune"}) {
    const auto ended = run(std::string(arguments) + " --broker mqtt://127.0.0.1:1 --json --timeout 2s");
    EXPECT_EQ(ended.exit, 3) << arguments << ": " << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("cannot reach mqtt://127.0.0.1:1: Connection refused"));
    EXPECT_EQ(get_number(get(ended.json(), "error"), "exit"), 3U) << ended.out;
  }
}

TEST_F(Program, BadInputEndsWithFive) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  for (const auto* arguments :
       {"inspect @/none",
        "inspect @/tree/etc/x",
        "inspect @/tree",
        "pack @/none -o @/new",
        "pack @/tree -o @/out --kinds delta",
        "pack @/tree -o @/out --kinds dedupe",
        "pack @/tree --base @/none",
        "pack @/tree -o @/out --base @/out",
        "unpack @/none @/new",
        "unpack @/out @/tree",
        "unpack --base @/tree @/out @/new",
        "keygen @/keys",
        "root show @/keys/gate.key",
        "devices list --broker http://x",
        "devices forget --all --older-than soon",
        "packs prune --unused soon",
        "publish --root @/keys/root.instar --key @/keys/release.key",
        "publish @/none.json --root @/keys/root.instar --key @/keys/release.key",
        "publish -g g --product p --release 1 --artifact @/out --sequence 1 --dry-run --root @/keys/root.instar --key "
        "@/keys/gate.key",
        "publish -g g --product p --release 1 --artifact @/none --sequence 1 --dry-run --root @/keys/root.instar --key "
        "@/keys/release.key"}) {
    const auto ended = run(std::string(arguments) + " --json");
    EXPECT_EQ(ended.exit, 5) << arguments << ": " << ended.err;
    EXPECT_FALSE(get_text(get(ended.json(), "error"), "message").empty()) << arguments << ": " << ended.out;
  }
}

// Whatever is in a JSON file, the command ends with an error that names the file.
TEST_F(Program, JsonThatCannotBeHeldEndsWithFive) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  const std::string deep(10'000, '[');
  for (const std::string& value :
       {std::string("1e999"), std::string("-1e999"), std::string(400, '9'), std::string("-1"), std::string("1.5"), deep,
        std::string("1, \"in_flight_max\": 2")}) {
    const std::string release =
        R"({"product":"p","release":"r","groups":["g"],"containers":[{"name":"a","artifact":")" + (folder_ / "out") +
        R"("}],"policy":{"in_flight_max":)" + value + "}}";
    ASSERT_TRUE(files::write_file_atomic(folder_ / "r.json", as_bytes(release)));
    const auto ended =
        run("publish @/r.json --dry-run --sequence 1 --root @/keys/root.instar --key @/keys/release.key");
    EXPECT_EQ(ended.exit, 5) << value << ": " << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("r.json")) << value;
    ASSERT_TRUE(files::write_file_atomic(folder_ / "out/artifact.json", as_bytes("{\"format\": " + value + "}")));
    EXPECT_EQ(run("inspect @/out").exit, 5) << value;
    EXPECT_THAT(run("inspect @/out").err, HasSubstr("artifact.json")) << value;
  }
}

// A name of a file may hold anything but a zero byte.
TEST_F(Program, NothingHiddenReachesATerminal) {
  make_tree();
  const std::string name = "tree/etc/a\u202eb\u200bc\x1b[2Jd";
  ASSERT_TRUE(files::write_file_atomic(folder_ / name, as_bytes("x")));
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  for (const auto* arguments : {"inspect @/out --contents", "inspect @/out --contents --json", "inspect '@/\u202enone'",
                                "inspect '@/\u202enone' --json", "'\u2066nonsense'"}) {
    const auto ended = run(arguments);
    for (const auto* hidden : {"\u202e", "\u200b", "\u2066", "\x1b"}) {
      EXPECT_THAT(ended.out, testing::Not(HasSubstr(hidden))) << arguments;
      EXPECT_THAT(ended.err, testing::Not(HasSubstr(hidden))) << arguments;
    }
  }
}

TEST_F(Program, ARefusalByItsOwnPolicyEndsWithFour) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  ASSERT_EQ(::chmod((folder_ / "keys/release.key").c_str(), 0644), 0);
  EXPECT_EQ(run("publish -g g --product p --release 1 --artifact @/out --sequence 1 --dry-run --root "
                "@/keys/root.instar --key @/keys/release.key")
                .exit,
            4);
}

TEST_F(Program, JsonIsOneDocumentAndTextGoesToStderr) {
  make_tree();
  const auto keygen = run("keygen @/keys --json");
  ASSERT_EQ(keygen.exit, 0) << keygen.err;
  EXPECT_EQ(keygen.json()["keys"].size(), 3U);
  EXPECT_THAT(keygen.err, HasSubstr("gate_key"));
  const auto pack = run("pack @/tree -o @/out --level 1 --json");
  ASSERT_EQ(pack.exit, 0) << pack.err;
  EXPECT_EQ(get_number(pack.json(), "content_bytes"), 7U);
  EXPECT_EQ(pack.json()["packs"].size(), 2U);
  const auto dry = run(
      "publish -g plant-7 --product p --release 1 --artifact @/out --sequence 3 --dry-run --root @/keys/root.instar "
      "--key @/keys/release.key --manifest-out @/m --json");
  ASSERT_EQ(dry.exit, 0) << dry.err;
  EXPECT_EQ(get_number(dry.json(), "sequence"), 3U);
  const auto good = run("inspect @/m --root @/keys/root.instar --json");
  EXPECT_EQ(good.exit, 0) << good.err;
  EXPECT_TRUE(get_flag(good.json(), "verified"));
  EXPECT_EQ(get_text(good.json(), "rollout"), get_text(dry.json(), "rollout"));
  EXPECT_EQ(run("pack @/tree -o @/out --level 1").err, "");
}

TEST_F(Program, ADeltaIsMeasuredMadeUnpackedAndPublished) {
  make_tree();
  ASSERT_TRUE(files::make_folders(folder_ / "new/etc"));
  std::string text;
  for (int i = 0; i < 4'000; ++i) text += std::to_string(i * 7919) + "\n";
  ASSERT_TRUE(files::write_file_atomic(folder_ / "tree/etc/x", as_bytes(text)));
  ASSERT_TRUE(files::write_file_atomic(folder_ / "new/etc/x", as_bytes(text + "a line more\n")));

  const auto measured = run("pack --base @/tree @/new --level 1 --json");
  ASSERT_EQ(measured.exit, 0) << measured.err;
  const auto json = measured.json();
  ASSERT_EQ(json["packs"].size(), 3U) << measured.out;
  EXPECT_EQ(get_text(json["packs"][2], "kind"), "delta");
  EXPECT_EQ(json["packs"][2]["from_base_bytes"], json["packs"][2]["wire_bytes"]);
  EXPECT_GT(get_number(json["packs"][0], "from_base_bytes"), get_number(json["packs"][2], "wire_bytes"));
  EXPECT_TRUE(json["folder"].is_null());
  EXPECT_GT(get_number(json, "manifest_bytes"), 400U);
  EXPECT_TRUE(json["dropped"].empty());

  ASSERT_EQ(run("pack @/tree -o @/old.out --level 1").exit, 0);
  const auto made = run("pack @/new -o @/new.out --level 1 --base @/old.out --base @/new --json");
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("it is the same artifact"));
  EXPECT_EQ(made.json()["dropped"].size(), 1U);
  EXPECT_EQ(made.json()["packs"][2]["id"], json["packs"][2]["id"])
      << "an artifact folder is as good a base as its tree";

  const auto unpacked = run("unpack --base @/tree @/new.out @/back --json");
  ASSERT_EQ(unpacked.exit, 0) << unpacked.err;
  EXPECT_EQ(get_text(unpacked.json(), "kind"), "delta");
  EXPECT_EQ(get_text(unpacked.json(), "artifact"), get_text(json, "artifact"));
  EXPECT_EQ(files::read_file(folder_ / "back/etc/x", 1 << 20), files::read_file(folder_ / "new/etc/x", 1 << 20));
  EXPECT_EQ(run("inspect @/new.out --contents").exit, 0);
  EXPECT_THAT(run("inspect @/new.out --contents").out, HasSubstr("deltas were not decoded"));
  EXPECT_THAT(run("inspect @/new.out --contents --base @/old.out").out,
              testing::Not(HasSubstr("deltas were not decoded")));

  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/new -o @/out --level 1").exit, 0);
  const std::string publish =
      "publish -g g --product p --release 1 --artifact @/out --sequence 1 --dry-run --root @/keys/root.instar --key "
      "@/keys/release.key "
      "--json ";
  const auto dry = run(publish + "--base @/tree");
  ASSERT_EQ(dry.exit, 0) << dry.err;
  EXPECT_TRUE(get_flag(dry.json()["deltas"]["bases"][0], "kept")) << dry.out;
  EXPECT_EQ(dry.json()["manifest"]["artifacts"][0]["packs"].size(), 3U);
  const auto without = run(publish + "--no-delta");
  EXPECT_EQ(without.json()["manifest"]["artifacts"][0]["packs"].size(), 2U) << without.out;
}

TEST_F(Program, InspectFindsFalseSignaturesAndContents) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("keygen @/other").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  ASSERT_EQ(run("publish -g plant-7 --product p --release 1 --artifact @/out --sequence 3 --dry-run --root "
                "@/keys/root.instar "
                "--key @/keys/release.key --manifest-out @/m")
                .exit,
            0);
  const auto wrong_root = run("inspect @/m --root @/other/root.instar --json");
  EXPECT_EQ(wrong_root.exit, 5);
  EXPECT_FALSE(get_flag(wrong_root.json(), "verified", true));
  EXPECT_EQ(run("inspect @/out --contents").exit, 0);
  auto bytes = *files::read_file(folder_ / "out/full.pack", 1 << 20);
  bytes.back() ^= 1;
  ASSERT_TRUE(files::write_file_atomic(folder_ / "out/full.pack", bytes));
  EXPECT_EQ(run("inspect @/out --contents").exit, 5);
  EXPECT_EQ(run("inspect @/out/full.pack --contents").exit, 5);
  for (const auto* file :
       {"keys/root.instar", "keys/release.key", "keys/release.pub", "out/index", "out/dedupe.pack"}) {
    EXPECT_EQ(run(std::string("inspect @/") + file + " --contents").exit, 0) << file;
  }
}

TEST_F(Program, ANewRootDocumentIsMadeAndShown) {
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("keygen @/more").exit, 0);
  const std::string make =
      "root new-version @/keys/root.instar -o @/root-2.instar --add-release-key @/more/release.pub --key ";
  EXPECT_EQ(run(make + "@/keys/gate.key").exit, 5);
  const auto made = run(make + "@/keys/root.key --json");
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_EQ(get_number(made.json(), "version"), 2U);
  EXPECT_EQ(run(make + "@/keys/root.key").exit, 5) << "it is there already";
  EXPECT_EQ(run("root show @/root-2.instar").exit, 0);
  EXPECT_EQ(run("inspect @/root-2.instar --root @/keys/root.instar").exit, 0);
}

}  // namespace
}  // namespace instar::publisher
