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
  for (const auto* command :
       {"keygen", "pack", "unpack", "publish", "rollout", "rollout watch", "devices", "devices list", "packs",
        "packs prune", "inspect", "root", "root new-version", "completion", "man", "help"}) {
    EXPECT_EQ(run(std::string(command) + " --help").exit, 0) << command;
    EXPECT_EQ(run(std::string(command) + " -h").exit, 0) << command;
  }
  EXPECT_EQ(run("-V").out, run("--version").out);
  EXPECT_THAT(run("help rollout watch").out, HasSubstr("Usage: instar rollout watch"));
}

TEST_F(Program, UsageErrorsEndWithTwo) {
  for (const auto* arguments : {"",
                                "nonsense",
                                "nonsense --help",
                                "root",
                                "rollout nonsense",
                                "rollout nonsense --help",
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
                                "packs remove",
                                "devices list --state nonsense",
                                "devices list --online --offline",
                                "devices list --page 2",
                                "devices enrol d --token --product p -g g",
                                "devices group d --groups g",
                                "devices group d --root r --key k",
                                "devices enrol --root r --key k",
                                "devices enrol d --product p -g g --root r --key k",
                                "completion tcsh",
                                "publish --root r --key k",
                                "publish --root r --key k --artifact a",
                                "publish --root r --key k --artifact a --product p",
                                "publish --root r --key k --artifact a --product p --release 1",
                                "publish --key k --artifact a --product p --release 1 -g g",
                                "publish --root r --artifact a --product p --release 1 -g g",
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
  for (const auto* arguments : {"rollout", "devices", "packs", "rollout list", "devices list", "rollout show x",
                                "devices forget d", "packs list", "packs remove 5a", "packs prune"}) {
    const auto ended = run(std::string(arguments) + " --broker mqtt://127.0.0.1:1 --json --timeout 2s");
    EXPECT_EQ(ended.exit, 3) << arguments << ": " << ended.err;
    EXPECT_THAT(ended.err,
                HasSubstr("cannot reach mqtt://127.0.0.1:1: nobody listens at 127.0.0.1:1: Connection refused"));
    EXPECT_EQ(get_number(get(ended.json(), "error"), "exit"), 3U) << ended.out;
  }
}

TEST_F(Program, BadInputEndsWithFive) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  for (const auto* arguments :
       {"inspect @/none", "inspect @/tree/etc/x", "inspect @/tree", "pack @/none -o @/new",
        "pack @/tree -o @/out --kinds delta", "pack @/tree -o @/out --kinds dedupe", "pack @/tree --base @/none",
        "pack @/tree -o @/out --base @/out", "unpack @/none @/new", "unpack @/out @/tree",
        "unpack --base @/tree @/out @/new", "keygen @/keys", "root show @/keys/gate.key",
        "devices list --broker http://x", "devices forget --all --older-than soon", "packs prune --unused soon",
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

TEST_F(Program, PackKeepsTimesOnlyWhenAsked) {
  make_tree();
  const auto plain = run("pack @/tree -o @/out --level 1 --json");
  const auto kept = run("pack @/tree -o @/kept --times keep --level 1 --json");
  ASSERT_EQ(kept.exit, 0) << kept.err;
  EXPECT_NE(get_text(kept.json(), "artifact"), get_text(plain.json(), "artifact"));
  EXPECT_EQ(get_text(run("pack @/tree -o @/again --times release --level 1 --json").json(), "artifact"),
            get_text(plain.json(), "artifact"));
  EXPECT_EQ(run("pack @/tree -o @/out --times never").exit, 2);
  // A delta from a tree takes its times too.
  EXPECT_EQ(run("pack @/tree -o @/from --base @/kept --times keep --level 1 --json").exit, 0);
}

TEST_F(Program, JsonIsOneDocumentAndNothingElseIsPrinted) {
  make_tree();
  const auto keygen = run("keygen @/keys --json");
  ASSERT_EQ(keygen.exit, 0) << keygen.err;
  EXPECT_EQ(keygen.json()["keys"].size(), 3U);
  EXPECT_EQ(keygen.err, "");
  const auto wrong = run("rollout wach --json");
  EXPECT_EQ(get_number(get(wrong.json(), "error"), "exit"), 2U) << wrong.out;
  const auto pack = run("pack @/tree -o @/out --level 1 --json");
  ASSERT_EQ(pack.exit, 0) << pack.err;
  EXPECT_EQ(get_number(pack.json(), "content_bytes"), 7U);
  EXPECT_EQ(pack.json()["packs"].size(), 2U);
  EXPECT_EQ(pack.err, "");
  const auto dry = run(
      "publish -g plant-7 --product p --release 1 --artifact @/out --sequence 3 --dry-run --root @/keys/root.instar "
      "--key @/keys/release.key --manifest-out @/m --unchecked --json");
  ASSERT_EQ(dry.exit, 0) << dry.err;
  EXPECT_EQ(get_number(dry.json(), "sequence"), 3U);
  const auto good = run("inspect @/m --root @/keys/root.instar --json");
  EXPECT_EQ(good.exit, 0) << good.err;
  EXPECT_TRUE(get_flag(good.json(), "verified"));
  EXPECT_EQ(get_text(good.json(), "rollout"), get_text(dry.json(), "rollout"));
  EXPECT_EQ(run("pack @/tree -o @/out --level 1").err, "");
}

TEST_F(Program, AnOptionTakesOneValueEachTime) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys --release-keys 2 --release-threshold 2").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  ASSERT_TRUE(files::write_file_atomic(
      folder_ / "r.json", as_bytes(R"({"containers": [{"name": "app", "artifact": "out"}], "release": "7"})")));
  // The file stands behind options that may be repeated.
  const auto signed_twice =
      run("publish --dry-run --unchecked --sequence 1 --root @/keys/root.instar --product p --wave d1 --group g "
          "--group h --key "
          "@/keys/release-1.key --key @/keys/release-2.key @/r.json --json");
  ASSERT_EQ(signed_twice.exit, 0) << signed_twice.err;
  EXPECT_EQ(get_text(signed_twice.json(), "release"), "7");
  EXPECT_EQ(signed_twice.json()["groups"], Json::array({"g", "h"}));
  const auto eaten = run("publish --dry-run --sequence 1 --root @/keys/root.instar --key a b c @/r.json");
  EXPECT_EQ(eaten.exit, 2) << eaten.err;
}

TEST_F(Program, AReleaseTakesFromTheConfigFileWhatTheCommandLineDoesNotSay) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  const std::string config = "root = keys/root.instar\nkey = keys/release.key\nproduct = gateway\ngroup = plant-7\n";
  ASSERT_TRUE(files::write_file_atomic(folder_ / "config", as_bytes(config)));
  const std::string publish =
      "publish --config @/config --dry-run --unchecked --sequence 1 --json --release 1 --artifact @/out ";
  const auto taken = run(publish);
  ASSERT_EQ(taken.exit, 0) << taken.err;
  EXPECT_EQ(get_text(taken.json(), "product"), "gateway");
  EXPECT_EQ(taken.json()["groups"], Json::array({"plant-7"}));
  const auto over = run(publish + "--product press -g plant-9");
  ASSERT_EQ(over.exit, 0) << over.err;
  EXPECT_EQ(get_text(over.json(), "product"), "press");
  EXPECT_EQ(over.json()["groups"], Json::array({"plant-9"}));
  ASSERT_TRUE(files::write_file_atomic(
      folder_ / "r.json",
      as_bytes(R"({"containers": [{"name": "app", "artifact": "out"}], "release": "7", "groups": ["plant-8"]})")));
  const auto file = run("publish @/r.json --config @/config --dry-run --unchecked --sequence 1 --json");
  ASSERT_EQ(file.exit, 0) << file.err;
  EXPECT_EQ(file.json()["groups"], Json::array({"plant-8"})) << "the release file counts more than the config file";
  EXPECT_EQ(get_text(file.json(), "product"), "gateway");
  EXPECT_THAT(run("publish --unchecked --release 1 --artifact @/out --product p -g g").err, HasSubstr("`root = FILE`"));
}

TEST_F(Program, ANameThatIsRefusedSaysWhy) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  const std::string publish =
      "publish -g g --product p --artifact @/out --sequence 1 --dry-run --root @/keys/root.instar --key "
      "@/keys/release.key --release ";
  for (const auto& [name, why] : {std::pair{"2.0-日本語", "'日' is none of the characters of a name"},
                                  {"2.4.1+b7", "take 2.4.1-b7"},
                                  {"2.4.1~rc1", "take 2.4.1-rc1"},
                                  {"\"1 2\"", "' ' is none"},
                                  {".5", "does not begin with a dot; take 5"}}) {
    const auto ended = run(publish + name);
    EXPECT_EQ(ended.exit, 5) << name;
    EXPECT_THAT(ended.err, HasSubstr(why)) << name;
    EXPECT_THAT(ended.err, HasSubstr("release '")) << name;
  }
  EXPECT_THAT(run(publish + std::string(80, 'a')).err, HasSubstr("it has 80 characters, 64 at most are taken"));
}

TEST_F(Program, AnArtifactOfOtherContentIsReplacedByAWordOnly) {
  make_tree();
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  const auto first = get_text(run("inspect @/out --json").json(), "artifact");
  ASSERT_TRUE(files::write_file_atomic(folder_ / "tree/etc/x", as_bytes("other")));
  const auto refused = run("pack @/tree -o @/out --level 1");
  EXPECT_EQ(refused.exit, 5);
  EXPECT_THAT(refused.err, HasSubstr("--replace"));
  const auto replaced = run("pack @/tree -o @/out --level 1 --replace --json");
  ASSERT_EQ(replaced.exit, 0) << replaced.err;
  const auto kept = get_text(replaced.json(), "kept_aside");
  EXPECT_EQ(kept, folder_ / ("out-" + first.substr(0, 16)));
  EXPECT_EQ(get_text(run("inspect " + kept + " --json").json(), "artifact"), first);
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
  ASSERT_EQ(made.json()["dropped"].size(), 1U);
  EXPECT_THAT(get_text(made.json()["dropped"][0], "reason"), HasSubstr("it is the same artifact"));
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
      "@/keys/release.key --unchecked --json ";
  const auto dry = run(publish + "--base @/tree");
  ASSERT_EQ(dry.exit, 0) << dry.err;
  EXPECT_TRUE(get_flag(dry.json()["deltas"]["bases"][0], "kept")) << dry.out;
  EXPECT_EQ(dry.json()["manifest"]["artifacts"][0]["packs"].size(), 3U);
  const auto without = run(publish + "--no-delta");
  EXPECT_EQ(without.json()["manifest"]["artifacts"][0]["packs"].size(), 2U) << without.out;
}

// A release that cannot run is refused before anything is sent, and --unchecked sends it.
TEST_F(Program, TreesAreLookedIntoBeforeTheyAreSent) {
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_TRUE(files::make_folders(folder_ / "tree/sbin"));
  int number = 0;
  const auto pack_and_publish = [&](const std::string& content, const std::string& options) {
    EXPECT_TRUE(files::write_file_atomic(folder_ / "tree/sbin/init", as_bytes(content), 0755));
    const std::string out = "@/out-" + std::to_string(++number);
    const auto packed = run("pack @/tree -o " + out + " --level 1 --json");
    EXPECT_EQ(packed.exit, 0) << packed.err;
    EXPECT_EQ(packed.json()["doubts"].size(), 1U) << packed.out;
    return run("publish -g g --product p --release 1 --artifact " + out +
               " --sequence 1 --dry-run --root @/keys/root.instar --key @/keys/release.key " + options);
  };
  const std::string script = "#!/bin/sh\nexec sleep inf\n";
  const auto refused = pack_and_publish(script, "--probe /usr/bin/true --json");
  EXPECT_EQ(refused.exit, 5);
  for (const auto* text : {"container 'app', init: /bin/sh, which the #! line of /sbin/init names, is not in the tree",
                           "container 'app', probe: /usr/bin/true is not in the tree", "--unchecked"})
    EXPECT_THAT(get_text(get(refused.json(), "error"), "message"), HasSubstr(text));
  EXPECT_EQ(pack_and_publish(script, "--unchecked").exit, 0);
  EXPECT_THAT(pack_and_publish("MZ", "").err, HasSubstr("Windows"));
}

TEST_F(Program, AFolderThatIsNoRootFileSystemIsRefusedOrDoubted) {
  ASSERT_TRUE(files::make_folders(folder_ / "empty"));
  ASSERT_TRUE(files::make_folders(folder_ / "deep/rootfs/bin"));
  ASSERT_TRUE(files::make_folders(folder_ / "payload"));
  ASSERT_TRUE(files::write_file_atomic(folder_ / "payload/firmware.bin", as_bytes("x")));
  for (const std::string tree : {"empty", "deep"}) {
    const std::string pack = "pack @/" + tree + " -o @/out-" + tree + " --level 1";
    const auto refused = run(pack);
    EXPECT_EQ(refused.exit, 5) << tree;
    EXPECT_THAT(refused.err, HasSubstr("--unchecked")) << tree;
    EXPECT_EQ(run(pack + " --unchecked").exit, 0) << tree;
  }
  const auto doubted = run("pack @/payload -o @/out-payload --level 1");
  EXPECT_EQ(doubted.exit, 0) << doubted.err;
  EXPECT_THAT(doubted.err, HasSubstr("none of the folders"));
}

TEST_F(Program, InspectFindsFalseSignaturesAndContents) {
  make_tree();
  ASSERT_EQ(run("keygen @/keys").exit, 0);
  ASSERT_EQ(run("keygen @/other").exit, 0);
  ASSERT_EQ(run("pack @/tree -o @/out --level 1").exit, 0);
  ASSERT_EQ(run("publish -g plant-7 --product p --release 1 --artifact @/out --sequence 3 --dry-run --root "
                "@/keys/root.instar "
                "--key @/keys/release.key --manifest-out @/m --unchecked")
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
