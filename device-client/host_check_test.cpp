#include "device-client/host_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class HostCheckTest : public ::testing::Test {
 protected:
  Config config_of(const std::string& lines) const {
    const auto text =
        "device_id = d\nproduct = p\ngroups = g\nserver = tcp://broker.lan:1883\nstate_dir = " + (folder / "state") +
        "\n";
    return parse_config(text + lines, "x").value();
  }
  std::string file(const std::string& name, mode_t mode) const {
    std::ofstream(folder / name) << "x";
    EXPECT_EQ(::chmod((folder / name).c_str(), mode), 0);
    return folder / name;
  }
  std::string script(const std::string& body) const {
    std::ofstream(folder / "helper") << "#!/bin/sh\n" << body << "\n";
    EXPECT_EQ(::chmod((folder / "helper").c_str(), 0755), 0);
    return folder / "helper";
  }
  static std::vector<std::string> texts(const std::vector<Finding>& findings, Finding::Kind kind) {
    std::vector<std::string> found;
    for (const auto& finding : findings)
      if (finding.kind == kind) found.push_back(finding.text);
    return found;
  }

  files::TemporaryFolder folder;
};

TEST_F(HostCheckTest, FilesThatAreMissingAreNamedWithTheirKey) {
  const auto config = config_of(
      "root_file = /none/root\nca_file = /none/ca\ncertificate_file = /none/c\nkey_file = /none/k\n"
      "username = u\npassword_file = /none/p\nallow_plain_password = yes\n");
  EXPECT_THAT(texts(check_files(config, true), Finding::Kind::mistake),
              ElementsAre(AllOf(HasSubstr("root_file = /none/root: No such file"), HasSubstr("instar keygen")),
                          HasSubstr("ca_file = /none/ca: No such file"), HasSubstr("certificate_file = /none/c"),
                          HasSubstr("key_file = /none/k"), HasSubstr("password_file = /none/p")));
  EXPECT_THAT(texts(check_files(config, false), Finding::Kind::mistake), Not(Contains(HasSubstr("root_file"))))
      << "a device that knows a root document needs the file no more";
}

TEST_F(HostCheckTest, ARootFileThatIsNoRootDocumentIsAMistake) {
  const auto config = config_of("root_file = " + file("root", 0644) + "\n");
  EXPECT_THAT(texts(check_files(config, true), Finding::Kind::mistake), ElementsAre(HasSubstr("is no root document")));
}

TEST_F(HostCheckTest, AFolderInThePlaceOfAFileIsAMistake) {
  const auto config = config_of("ca_file = " + folder.path() + "\nallow_plain_password = yes\n");
  EXPECT_THAT(texts(check_files(config, false), Finding::Kind::mistake), ElementsAre(HasSubstr("that is not a file")));
}

TEST_F(HostCheckTest, SecretsThatOthersCanReadAreMistakes) {
  const std::string rest = "certificate_file = " + file("cert", 0644) + "\nusername = u\nallow_plain_password = yes\n";
  const auto open =
      config_of(rest + "key_file = " + file("key", 0644) + "\npassword_file = " + file("password", 0640) + "\n");
  EXPECT_THAT(texts(check_files(open, false), Finding::Kind::mistake),
              ElementsAre(HasSubstr("chmod 600 " + (folder / "key")), HasSubstr("chmod 600 " + (folder / "password"))));
  const auto closed =
      config_of(rest + "key_file = " + file("key", 0640) + "\npassword_file = " + file("password", 0600) + "\n");
  EXPECT_THAT(check_files(closed, false), IsEmpty()) << "a group may read a private key";
}

TEST_F(HostCheckTest, TheExampleIsNoConfiguration) {
  const auto config =
      parse_config("device_id = press-12\nproduct = p\ngroups = g\nserver = ssl://broker.example\n", "x").value();
  EXPECT_THAT(texts(check_files(config, false), Finding::Kind::mistake),
              ElementsAre(HasSubstr("broker.example"), HasSubstr("press-12")));
  EXPECT_THAT(texts(check_files(config, false), Finding::Kind::note), ElementsAre(HasSubstr("no port: 8883 is taken")));
}

TEST_F(HostCheckTest, AHelperWithoutItsLibraryIsTheReasonWhyNothingRuns) {
  const auto helper =
      script("echo 'helper: error while loading shared libraries: liblxc.so.1: cannot open' >&2; exit 127");
  const auto why = why_none_runs(check_machine(config_of(""), helper));
  EXPECT_THAT(why, AllOf(HasSubstr("liblxc.so.1"), HasSubstr("install LXC's library")));
}

TEST_F(HostCheckTest, AnOldLxcIsTheReasonWhyNothingRuns) {
  EXPECT_THAT(why_none_runs(check_machine(config_of(""), script("echo '{\"lxc\":\"4.0.6\"}'"))),
              HasSubstr("LXC is 4.0.6 here, and the client needs 5.0 or later"));
  EXPECT_THAT(why_none_runs(check_machine(config_of(""), script("echo '{\"lxc\":\"5.0.2\"}'"))),
              Not(HasSubstr("LXC is")));
}

TEST_F(HostCheckTest, AHelperOfBeforeThatDoesNotKnowTheQuestionIsNoReason) {
  EXPECT_THAT(why_none_runs(check_machine(config_of(""), script("echo usage >&2; exit 2"))),
              Not(HasSubstr("cannot be run")));
}

TEST_F(HostCheckTest, AMissingHelperIsTheReasonWhyNothingRuns) {
  const Result<std::string> none = fail(Code::not_found, "instar-lxc is nowhere");
  EXPECT_THAT(why_none_runs(check_machine(config_of(""), none)), HasSubstr("instar-lxc is nowhere"));
}

TEST_F(HostCheckTest, LeavesNothingBehind) {
  static_cast<void>(check_machine(config_of(""), script("echo '{\"lxc\":\"5.0.2\"}'")));
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) left.push_back(entry.path().filename());
  EXPECT_THAT(left, ElementsAre("helper")) << "the state folder is not made either";
}

TEST(CgroupMode, IsReadFromTheMounts) {
  EXPECT_EQ(cgroup_mode("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"), "cgroup v2");
  EXPECT_EQ(cgroup_mode("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"), "cgroup v1");
  EXPECT_EQ(cgroup_mode("cgroup /c cgroup rw 0 0\ncgroup2 /u cgroup2 rw 0 0\n"), "cgroup v1 and v2");
  EXPECT_EQ(cgroup_mode("proc /proc proc rw 0 0\n"), "");
}

}  // namespace
}  // namespace instar::device
