#include "publisher/broker/pack_view.hpp"

#include <algorithm>

#include "publisher/console/json_fields.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// Of an id what is enough for people.
std::string short_id(const Json& row, std::string_view field) {
  return get_text(row, field).substr(0, 16);
}

// "rollout 8fb5e0a1c7d2934e, 12 devices", "-" when nobody does.
std::string needed_by(const Json& row) {
  std::vector<std::string> parts;
  for (const auto& rollout : get_texts(row, "rollouts")) parts.push_back("rollout " + rollout);
  if (const auto devices = get_number(row, "devices"); devices > 0) parts.push_back(count_of(devices, "device"));
  return parts.empty() ? "-" : joined(parts, ", ");
}

}  // namespace

std::string packs_text(const Json& rows, std::uint64_t bytes, WallMs now) {
  if (rows.empty()) return "no packs are here\n";
  Table table;
  table.column("PACK");
  table.column("STATE");
  table.column("KIND");
  table.column("ARTIFACT");
  table.column("BYTES", Align::right);
  table.column("USED");
  table.column("NEEDED BY");
  for (const auto& row : rows) {
    table.row({short_id(row, "pack"), get_text(row, "state"), get_text(row, "kind"), short_id(row, "artifact"),
               human_bytes(get_number(row, "bytes")), relative_time(get_time(row, "used_ms"), now), needed_by(row)});
  }
  return table.str() + count_of(rows.size(), "pack") + ", " + human_bytes(bytes) +
         " at most: chunks that several have " + "lie there once\n";
}

Result<std::string> find_pack(const Json& rows, const std::string& name) {
  const bool is_hex = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (!is_hex) return fail(Code::invalid_argument, "'" + name + "' is no pack: give the id, or its first digits");
  std::string found;
  for (const auto& row : rows) {
    const auto id = get_text(row, "pack");
    if (!id.starts_with(name)) continue;
    if (!found.empty()) return fail(Code::invalid_argument, "several packs begin with " + name + ": give more digits");
    found = id;
  }
  if (found.empty()) return fail(Code::not_found, "no pack begins with " + name + ": see `instar packs list`");
  return found;
}

}  // namespace instar::publisher
