// The index delta: hostile bytes against a base that is as it should be, and the delta of two trees made and read
// again.
#include <cstdint>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/index_delta.hpp"
#include "core/delta/testing/delta_fixture.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_index_delta {
namespace {

using namespace instar::delta;
using fixture::Entries;

// The tree of docs/formats/index.md, and some more of each type.
Entries base_tree() {
  using artifact::EntryType;
  auto tool = fixture::file("bin/tool", "#!/bin/sh\n", 04755);
  tool.xattrs = {{"user.origin", to_bytes("ci")}};
  auto device = fixture::link(EntryType::char_device, "dev", "");
  device.device_major = 1;
  device.device_minor = 3;
  return {fixture::folder(""),
          fixture::folder("bin"),
          tool,
          fixture::link(EntryType::hardlink, "bin/tool-2", "bin/tool"),
          device,
          fixture::folder("etc"),
          fixture::file("etc/config"),
          fixture::link(EntryType::symlink, "etc/current", "../bin/tool"),
          fixture::file("etc/empty", ""),
          fixture::folder("etc/in"),
          fixture::folder("etc/in/side"),
          fixture::file("etc/in/side/copy"),
          fixture::link(EntryType::hardlink, "etc/in/side/copy-2", "etc/in/side/copy"),
          fixture::link(EntryType::fifo, "pipe", "")};
}

bool inside(const std::string& path) {
  const std::string framed = "/" + path + "/";
  return framed.find("/../") == std::string::npos && framed.find("//") == (path.empty() ? 0 : std::string::npos);
}

// Whatever the bytes say, what is handed out is inside the tree and in order; any cut of the bytes says the same.
void hostile(ByteView input) {
  static const Entries kBase = base_tree();
  const auto whole = fixture::read_delta(kBase, input);
  const auto cut = fixture::read_delta(kBase, input, 1 + input.size() / 16);
  INSTAR_ASSERT(whole.has_value() == cut.has_value());
  if (!whole.has_value()) {
    INSTAR_ASSERT(whole.error() == cut.error() && !whole.error().message.empty());
    return;
  }
  INSTAR_ASSERT(*whole == *cut && !whole->empty());
  const std::string* previous = nullptr;
  for (const NewEntry& entry : *whole) {
    INSTAR_ASSERT(inside(entry.entry.path) && inside(entry.source));
    INSTAR_ASSERT(previous == nullptr || artifact::path_before(*previous, entry.entry.path));
    previous = &entry.entry.path;
    const bool sourced = entry.from == ContentFrom::base_path || entry.from == ContentFrom::earlier;
    INSTAR_ASSERT(!sourced || !entry.source.empty());
    INSTAR_ASSERT(entry.from == ContentFrom::none || entry.entry.type == artifact::EntryType::file);
  }
}

// Both ways between the tree above and any other one.
void made(ByteView input) {
  static const Entries kBase = base_tree();
  const auto tree = artifact::read_index(input, fixture::kAllRules);
  if (!tree.has_value()) return;
  for (const auto& [from, to] : {std::pair(&kBase, &*tree), std::pair(&*tree, &kBase)}) {
    const auto delta = make_index_delta(*from, *to);
    if (!delta.has_value()) {
      INSTAR_ASSERT(delta.error().code == Code::malformed);  // one content under two sizes
      continue;
    }
    const auto rebuilt = fixture::rebuild(*from, delta->bytes, fixture::carried(*delta));
    INSTAR_ASSERT(rebuilt.has_value() && *rebuilt == *fixture::index_of(*to));
  }
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  if (data[0] % 2 == 0) {
    hostile(input);
  } else {
    made(input);
  }
}

}  // namespace
}  // namespace instar::fuzz_index_delta

INSTAR_FUZZ_TARGET(index_delta, instar::fuzz_index_delta::run)
