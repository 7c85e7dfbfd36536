#include "publisher/check/elf_file.hpp"

#include <gmock/gmock.h>

#include "publisher/check/testing/elf_maker.hpp"

namespace instar::publisher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<ElfFile> read_bytes(const Bytes& bytes) {
  return read_elf(
      [&](std::uint64_t offset, std::size_t size) -> Result<Bytes> {
        if (offset >= bytes.size()) return Bytes{};
        const auto rest = ByteView(bytes).subspan(static_cast<std::size_t>(offset));
        return to_bytes(rest.first(std::min(size, rest.size())));
      },
      bytes.size());
}

const MadeElf kUsual{.needed = {"libc.so.6", "libm.so.6"}, .rpath = "/old", .runpath = "$ORIGIN/../lib"};

TEST(ElfFile, IsReadInBothSizesAndByteOrders) {
  for (const Machine machine : {Machine{EM_X86_64, true, false}, Machine{EM_ARM, false, false},
                                Machine{EM_S390, true, true}, Machine{EM_MIPS, false, true}}) {
    auto made = kUsual;
    made.machine = machine;
    const auto elf = read_bytes(make_elf(made));
    ASSERT_TRUE(elf) << machine_name(machine) << ": " << elf.error().message;
    EXPECT_EQ(elf->machine, machine);
    EXPECT_EQ(elf->type, ElfFile::Type::shared);
    EXPECT_TRUE(elf->has_entry);
    EXPECT_EQ(elf->loader, made.loader);
    EXPECT_THAT(elf->needed, ElementsAre("libc.so.6", "libm.so.6"));
    EXPECT_EQ(elf->rpath, "/old");
    EXPECT_EQ(elf->runpath, "$ORIGIN/../lib");
  }
}

TEST(ElfFile, AStaticProgramHasNoLoaderAndNeedsNothing) {
  const auto elf = read_bytes(make_elf({.type = ET_EXEC, .loader = ""}));
  ASSERT_TRUE(elf) << elf.error().message;
  EXPECT_EQ(elf->type, ElfFile::Type::program);
  EXPECT_TRUE(elf->loader.empty());
  EXPECT_FALSE(elf->has_dynamic);
}

TEST(ElfFile, CutOffAnywhereItIsAnErrorOrReadInPart) {
  const auto whole = make_elf(kUsual);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto elf = read_bytes(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_FALSE(elf) << size;
    EXPECT_EQ(elf.error().code, Code::malformed);
    EXPECT_FALSE(elf.error().message.empty());
  }
}

// Nothing is read outside of the file: the reader of read_bytes() would give less than was asked for.
TEST(ElfFile, WithAnyByteChangedItIsReadOrRefused) {
  for (const bool is_64_bit : {true, false}) {
    auto made = kUsual;
    if (!is_64_bit) made.machine = {EM_386, false, false};
    const auto whole = make_elf(made);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        auto changed = whole;
        changed[at] = static_cast<std::uint8_t>(changed[at] ^ flip);
        const auto elf = read_bytes(changed);
        EXPECT_TRUE(elf || elf.error().code == Code::malformed) << at;
      }
    }
  }
}

TEST(ElfFile, OtherFilesAreNone) {
  EXPECT_FALSE(is_elf(as_bytes("#!/bin/sh\n")));
  EXPECT_FALSE(is_elf({}));
  EXPECT_TRUE(is_elf(make_elf({})));
  EXPECT_THAT(read_bytes(Bytes(100, 7)).error().message, HasSubstr("header"));
}

TEST(Machine, RunsOnItsOwnKernelsAndOnThoseThatTakeItToo) {
  const Machine arm{EM_ARM, false, false};
  for (const auto* name : {"armv5tejl", "armv7l", "armv8l", "aarch64"}) EXPECT_TRUE(may_run_on(arm, name)) << name;
  EXPECT_FALSE(may_run_on(arm, "x86_64"));
  const Machine x86{EM_386, false, false};
  for (const auto* name : {"i386", "i586", "i686", "x86_64"}) EXPECT_TRUE(may_run_on(x86, name)) << name;
  EXPECT_FALSE(may_run_on({EM_X86_64, true, false}, "i686"));
  EXPECT_FALSE(may_run_on({EM_AARCH64, true, false}, "armv7l"));
  EXPECT_FALSE(may_run_on({EM_PPC64, true, false}, "ppc64"));
  EXPECT_TRUE(may_run_on({12345, true, false}, "x86_64")) << "nothing is known of it";
}

TEST(Machine, TwoShareAKernelWhereOneRunsBoth) {
  const Machine amd64{EM_X86_64, true, false};
  const Machine arm64{EM_AARCH64, true, false};
  EXPECT_TRUE(may_share_kernel(amd64, {EM_386, false, false}));
  EXPECT_TRUE(may_share_kernel({EM_ARM, false, false}, arm64));
  EXPECT_FALSE(may_share_kernel(amd64, arm64));
  EXPECT_FALSE(may_share_kernel({EM_MIPS, false, true}, {EM_X86_64, true, false}));
}

}  // namespace
}  // namespace instar::publisher
