#include "publisher/check/script_line.hpp"

#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

ScriptLine parse(std::string_view text) {
  return parse_script_line(as_bytes(text));
}

TEST(ScriptLine, IsCutAsLinuxCutsIt) {
  EXPECT_EQ(parse("#!/bin/sh\nexit\n").interpreter, "/bin/sh");
  EXPECT_EQ(parse("#! \t/bin/sh  -e -u \n").interpreter, "/bin/sh");
  EXPECT_EQ(parse("#! \t/bin/sh  -e -u \n").argument, "-e -u");
  EXPECT_EQ(parse("#!/bin/sh").interpreter, "/bin/sh") << "the last line needs no end";
  EXPECT_EQ(parse(std::string_view("#!/bin/sh\0x\n", 12)).interpreter, "/bin/sh");
  EXPECT_EQ(parse("#!/bin/sh -e\n").bytes, 12U);
  for (const auto* text : {"", "#", "#!", "#!\n", "#!  \n", "echo\n", " #!/bin/sh\n"})
    EXPECT_TRUE(parse(text).interpreter.empty()) << text;
}

TEST(ScriptLine, KeepsTheCrOfWindows) {
  EXPECT_TRUE(parse("#!/bin/sh\r\n").ends_in_cr);
  EXPECT_EQ(parse("#!/bin/sh\r\n").interpreter, "/bin/sh\r");
  EXPECT_TRUE(parse("#!/bin/sh -e\r\n").ends_in_cr);
  EXPECT_FALSE(parse("#!/bin/sh\nx\r\n").ends_in_cr);
}

TEST(EnvProgram, IsWhatEnvLooksFor) {
  EXPECT_EQ(program_of_env("python3").name, "python3");
  EXPECT_TRUE(program_of_env("python3 -u").has_blanks);
  EXPECT_EQ(program_of_env("-S python3 -u").name, "python3");
  EXPECT_EQ(program_of_env("-S A=1 -i B=2 python3").name, "python3");
  EXPECT_EQ(program_of_env("-Spython3 -u").name, "python3");
  for (const auto* text : {"", "-i", "-S", "A=1", "-S \"python 3\"", "-S -u NAME sh", "-S $X"})
    EXPECT_TRUE(program_of_env(text).name.empty()) << text;
}

}  // namespace
}  // namespace instar::publisher
