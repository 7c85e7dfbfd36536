// getPack: which chunks of a pack the store lacks.
#include "broker-plugin/commands.hpp"
#include "broker-plugin/reply.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

void chunks_found(const PackId& id, const Result<std::vector<bool>>& found, const Slot& slot) {
  if (!found.has_value()) return slot.fail(found.error());
  std::vector<std::uint32_t> missing;
  for (std::uint32_t i = 0; i < found->size(); ++i) {
    if (!(*found)[i]) missing.push_back(i);
  }
  Json ranges = Json::array();
  for (const auto& range : coarsen(to_ranges(missing), limits::kStoredRangesMax)) {
    if (!slot.reply().add_row(ranges, {{"first", range.first}, {"count", range.count}})) break;
  }
  // `complete` is what manifests are checked by: it is durable, and Upload is the one that says so.
  slot.response()["data"] = {
      {"pack", id.hex()}, {"complete", false}, {"missing_count", missing.size()}, {"missing", std::move(ranges)}};
}

Status look_for_chunks(storage::Store& store, const PackId& id, const Result<std::optional<Bytes>>& stored,
                       const Slot& slot) {
  if (!stored.has_value()) return fail(stored.error());
  if (!stored->has_value()) return fail(Code::not_found, "no pack " + id.hex() + " has been uploaded");
  INSTAR_TRY(const auto directory, artifact::decode_directory(**stored));
  std::vector<std::string> keys;
  keys.reserve(directory.chunks.size());
  for (const auto& ref : directory.chunks) keys.push_back(storage::chunk_key(ref.hash, ref.encoded_bytes));
  store.contains(storage::Column::chunks, std::move(keys), [id, slot](const Result<std::vector<bool>>& found) {
    chunks_found(id, found, slot);
    slot.reply().done();
  });
  return {};
}

}  // namespace

Result<Json> get_pack(const CommandContext& context, const Json& command, const Slot& slot) {
  INSTAR_TRY(const auto text, read_string(command, "pack"));
  const auto id = PackId::from_hex(text);
  if (!id.has_value()) return fail(Code::invalid_argument, "`pack` must be 64 hex digits");
  if (context.upload.is_complete(*id)) {
    return Json{{"pack", id->hex()}, {"complete", true}, {"missing_count", 0}, {"missing", Json::array()}};
  }
  slot.reply().wait();
  context.store.read(storage::Column::packs, storage::directory_key(*id),
                     [id = *id, slot, &store = context.store](const Result<std::optional<Bytes>>& stored) {
                       const auto status = look_for_chunks(store, id, stored, slot);
                       if (status.has_value()) return;
                       slot.fail(status.error());
                       slot.reply().done();
                     });
  return Json();
}

}  // namespace instar::broker
