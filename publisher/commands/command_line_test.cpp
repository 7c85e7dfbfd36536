// What is said of a mistyped command line, what shells complete, and the manual page: all of them come from the
// commands themselves.
#include "publisher/commands/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "publisher/commands/app.hpp"

namespace instar::publisher {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Said {
  int exit = -1;
  std::string out;
  std::string err;
};

Said say(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  const int exit = run_instar(words, {.out = out, .err = err});
  return {exit, out.str(), err.str()};
}

TEST(CommandLine, AMistypedCommandIsAnsweredWithTheOneThatWasMeant) {
  for (const auto& [words, meant] :
       {std::pair<std::vector<std::string>, const char*>{{"pubish"}, "did you mean `instar publish`?"},
        {{"rollout", "wach"}, "did you mean `instar rollout watch`?"},
        {{"devices", "lst"}, "did you mean `instar devices list`?"},
        {{"packs", "prun"}, "did you mean `instar packs prune`?"},
        {{"root", "pubilsh", "x"}, "did you mean `instar root publish`?"},
        {{"bundle"}, "did you mean `instar publish --bundle FILE`?"},
        {{"version"}, "did you mean `instar --version`?"},
        {{"watch", "2.4.1"}, "did you mean `instar rollout watch`?"},
        {{"list"}, "`instar rollout list`, `instar devices list` or `instar packs list`"},
        {{"help", "rolout"}, "did you mean `instar rollout`?"},
        {{"help", "confg"}, "did you mean `instar help config`?"}}) {
    const auto said = say(words);
    EXPECT_EQ(said.exit, 2) << words.front();
    EXPECT_THAT(said.err, HasSubstr(meant));
    EXPECT_EQ(said.out, "");
  }
  EXPECT_THAT(say({"rollout", "nonsense"}).err, HasSubstr("there are list, show, watch"));
  EXPECT_THAT(say({"nonsense"}).err, HasSubstr("`instar --help` lists them"));
}

TEST(CommandLine, AnUnknownCommandWithHelpIsNoSuccess) {
  for (const auto& words : {std::vector<std::string>{"nonsense", "--help"},
                            {"rollout", "wach", "--help"},
                            {"devices", "-h", "nonsense"},
                            {"--help", "nonsense"}})
    EXPECT_EQ(say(words).exit, 2) << words.front();
}

TEST(CommandLine, AMistypedOptionIsNamedBeforeOneThatIsMissing) {
  EXPECT_THAT(say({"publish", "--relase", "2"}).err,
              HasSubstr("there is no option '--relase' of `instar publish`; did you mean --release?"));
  EXPECT_THAT(say({"rollout", "list", "--brokr=x"}).err, HasSubstr("did you mean --broker?"));
  EXPECT_THAT(say({"pack", "tree", "-x"}).err, HasSubstr("no option '-x'"));
  EXPECT_THAT(say({"--json", "rollout", "list"}).err, HasSubstr("options stand behind the whole command"));
}

TEST(CommandLine, AValueMayLookLikeAnOptionOrACommand) {
  CLI::App app("", "instar");
  auto* one = app.add_subcommand("one", "");
  std::string text;
  one->add_option("-t,--text", text);
  one->add_option("WORD", text);
  EXPECT_FALSE(unknown_word(app, {"one", "--text", "--other"}));
  EXPECT_FALSE(unknown_word(app, {"one", "--text=--other", "two"}));
  EXPECT_FALSE(unknown_word(app, {"one", "-tx", "-t", "-y"}));
  EXPECT_FALSE(unknown_word(app, {"one", "--", "--other"}));
  EXPECT_TRUE(unknown_word(app, {"one", "--text", "a", "--other"}));
  EXPECT_EQ(chosen_command(app, {"one", "--text", "a", "b"}).path, "instar one");
}

TEST(CommandLine, AGroupAloneMeansItsList) {
  CLI::App app("", "instar");
  auto* group = app.add_subcommand("rollout", "");
  group->add_subcommand("list", "");
  app.add_subcommand("root", "")->add_subcommand("show", "");
  using Words = std::vector<std::string>;
  EXPECT_EQ(with_list(app, {"rollout"}), (Words{"rollout", "list"}));
  EXPECT_EQ(with_list(app, {"rollout", "--json"}), (Words{"rollout", "list", "--json"}));
  EXPECT_EQ(with_list(app, {"rollout", "--help"}), (Words{"rollout", "--help"}));
  EXPECT_EQ(with_list(app, {"rollout", "show"}), (Words{"rollout", "show"}));
  EXPECT_EQ(with_list(app, {"root"}), (Words{"root"}));
  EXPECT_EQ(with_list(app, {}), Words{});
}

TEST(CommandLine, AGroupWithoutAListSaysWhatThereIs) {
  EXPECT_THAT(say({"root"}).err, HasSubstr("`instar root` needs a command: show, publish, new-version"));
  EXPECT_THAT(say({"rollout", "show"}).err, HasSubstr("See `instar rollout show --help`"));
}

TEST(CommandLine, TheShortHelpLeavesOutWhatFewNeed) {
  const auto whole = say({"publish", "--help"}).out;
  const auto brief = say({"publish", "-h"}).out;
  EXPECT_THAT(whole,
              AllOf(HasSubstr("--broker"), HasSubstr("--wave"), HasSubstr("--deltas-max"), HasSubstr("--group")));
  EXPECT_THAT(brief, AllOf(HasSubstr("--group"), HasSubstr("--artifact"), HasSubstr("--help shows more options")));
  EXPECT_THAT(brief, AllOf(Not(HasSubstr("--broker")), Not(HasSubstr("--wave")), Not(HasSubstr("--deltas-max"))));
  EXPECT_THAT(say({"keygen", "-h"}).out, Not(HasSubstr("shows more options")));
  for (const auto& text : {whole, brief}) {
    EXPECT_THAT(text, Not(HasSubstr("\n\n\n")));
    EXPECT_THAT(text, HasSubstr("--key FILE  ")) << "one value each time";
  }
  EXPECT_THAT(say({"devices", "list", "-h"}).out, HasSubstr("--limit N  "));
}

TEST(CommandLine, HelpIsNotWiderThanItsPage) {
  for (const auto& words : {std::vector<std::string>{"--help"}, {"publish", "--help"}, {"rollout", "--help"}}) {
    std::istringstream help(say(words).out);
    for (std::string line; std::getline(help, line);) {
      const bool is_example = line.find("instar ") != std::string::npos || line.ends_with('\\');
      EXPECT_TRUE(is_example || line.size() <= 115) << line;
    }
  }
}

TEST(Completion, OffersCommandsOptionsAndNothingForValues) {
  const auto words = [](std::vector<std::string> line) {
    line.insert(line.begin(), {"complete", "--"});
    const auto said = say(line);
    EXPECT_EQ(said.exit, 0) << said.err;
    return said.out;
  };
  EXPECT_THAT(words({"roll"}), StartsWith("rollout\t"));
  EXPECT_THAT(words({"rollout", "w"}), StartsWith("watch\tFollow a rollout until it is over\n"));
  EXPECT_THAT(words({"rollout", ""}), AllOf(HasSubstr("list\t"), HasSubstr("revert\t"), Not(HasSubstr("publish"))));
  EXPECT_THAT(words({""}), AllOf(HasSubstr("publish\t"), Not(HasSubstr("complete\t"))));
  EXPECT_THAT(words({"publish", "--rel"}), StartsWith("--release\t"));
  EXPECT_THAT(words({"devices", "list", "--"}), AllOf(HasSubstr("--failed\t"), HasSubstr("--limit\t")));
  EXPECT_EQ(words({"publish", "--key", ""}), "") << "a file: the shell knows those";
  EXPECT_EQ(words({"publish", "--key", "--"}), "");
  EXPECT_THAT(words({"help", "conf"}), HasSubstr("config\t"));
  EXPECT_THAT(words({"completion", "z"}), StartsWith("zsh\t"));
  EXPECT_EQ(words({"nonsense", "x"}), "");
}

TEST(Completion, TheScriptsAskTheProgram) {
  for (const auto* shell : {"bash", "zsh", "fish"}) {
    const auto said = say({"completion", shell});
    EXPECT_EQ(said.exit, 0);
    EXPECT_THAT(said.out, HasSubstr(" complete -- ")) << shell;
  }
  EXPECT_THAT(say({"completion", "--help"}).out, HasSubstr("bash, fish or zsh"));
}

TEST(ManualPage, HasEveryCommandAndOption) {
  const auto page = say({"man"}).out;
  EXPECT_THAT(page, HasSubstr("\n.TH INSTAR 1"));
  for (const auto* text : {"instar rollout watch", "instar publish", "instar devices enrol", "instar packs prune"})
    EXPECT_THAT(page, HasSubstr(".SS \"\\fB" + std::string(text) + "\\fR"));
  for (const auto* text : {"\\-\\-release\\-threshold", "\\-\\-broker", "\\-\\-replace", "\\-g\\fR, \\fB\\-\\-group"})
    EXPECT_THAT(page, HasSubstr(text));
  for (const auto* title : {"CONNECTION", "EXIT STATUS", "CONFIGURATION", "RELEASE FILES", "SEE ALSO"})
    EXPECT_THAT(page, HasSubstr(title));
  EXPECT_THAT(page, Not(HasSubstr("instar complete\\fR")));
  EXPECT_THAT(page, Not(HasSubstr("says all of a command"))) << "that is for the help on a terminal";
}

TEST(ManualPage, NoLineOfTextIsAnOrder) {
  std::istringstream page(say({"man"}).out);
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with('.') && !line.starts_with('\'')) continue;
    const auto order = line.substr(0, line.find(' '));
    EXPECT_THAT(order, testing::AnyOf(".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi", ".\\\"")) << line;
  }
}

}  // namespace
}  // namespace instar::publisher
