// Commands on packs: which there are, which chunks one lacks, and which go.
#include <algorithm>
#include <limits>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/pack_needs.hpp"
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

Result<PackId> read_pack(const Json& command) {
  INSTAR_TRY(const auto text, read_string(command, "pack"));
  const auto id = PackId::from_hex(text);
  if (!id.has_value()) return fail(Code::invalid_argument, "`pack` must be 64 hex digits");
  return *id;
}

Json pack_json(const PackId& id, const KnownPack& pack, const PackNeeds& needs, bool is_uploading) {
  Json rollouts = Json::array();
  if (const auto found = needs.rollouts.find(id); found != needs.rollouts.end()) {
    for (const auto& rollout : found->second) rollouts.push_back(rollout.short_hex());
  }
  const auto devices = needs.devices.find(pack.artifact);
  return {{"pack", id.hex()},
          {"state", is_uploading ? "uploading" : pack_state_name(pack.state)},
          {"kind", artifact::pack_kind_name(pack.kind)},
          {"artifact", pack.artifact.hex()},
          {"base", pack.base.is_zero() ? Json() : Json(pack.base.hex())},
          {"chunks", pack.chunks},
          {"bytes", pack.bytes},
          {"used_ms", pack.used.value},
          {"rollouts", std::move(rollouts)},
          {"devices", devices == needs.devices.end() ? 0 : devices->second}};
}

}  // namespace

Result<Json> list_packs(const CommandContext& context, const Json& command, const Slot& slot) {
  const auto needs = pack_needs(context.tracker);
  const auto& packs = context.upload.packs();
  PageOfRows page(command, slot.reply());
  for (const auto& [id, pack] : packs.all()) {
    page.offer([&, &id = id, &pack = pack] { return pack_json(id, pack, needs, context.upload.is_uploading(id)); });
  }
  Json out;
  out["bytes"] = packs.bytes();
  page.put_into(out, "packs");
  return out;
}

// Said again while it goes: that it goes.
Result<Json> remove_pack(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto id, read_pack(command));
  const auto& packs = context.upload.packs().all();
  const auto found = packs.find(id);
  if (found == packs.end()) return fail(Code::not_found, "no pack " + id.hex() + " is here (listPacks names those)");
  const Json out{{"pack", id.hex()}, {"bytes", found->second.bytes}};
  if (found->second.state == PackState::removing) return out;
  const auto needs = pack_needs(context.tracker);
  if (const auto needed = needs.rollouts.find(id); needed != needs.rollouts.end()) {
    return fail(Code::refused, "pack " + id.short_hex() + " is needed by rollout " + needed->second[0].short_hex() +
                                   ", which is in force: abort it first, or publish a newer release");
  }
  if (context.upload.is_uploading(id))
    return fail(Code::refused, "pack " + id.short_hex() + " is being uploaded just now");
  context.upload.remove({id});
  return out;
}

Result<Json> prune_packs(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  auto unused_ms = limits::kPackUsedMs;
  if (const auto given = command.find("unused_s"); given != command.end()) {
    constexpr auto kSecondsMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 1'000);
    if (!given->is_number_unsigned() || given->get<std::uint64_t>() > kSecondsMost)
      return fail(Code::invalid_argument, "`unused_s` must be a whole number of seconds from 0 on");
    unused_ms = static_cast<std::int64_t>(given->get<std::uint64_t>()) * 1'000;
  }
  auto going = unneeded_packs(context.upload, pack_needs(context.tracker), unused_ms, context.now.wall);
  const bool more = going.size() > limits::kRemovePacksMax;
  if (more) going.resize(limits::kRemovePacksMax);
  std::uint64_t bytes = 0;
  for (const auto& pack : going) bytes += context.upload.packs().all().at(pack).bytes;
  const Json out{{"removed", going.size()}, {"bytes", bytes}, {"more", more}};
  if (!read_flag(command, "dry_run")) context.upload.remove(going);
  return out;
}

Result<Json> get_pack(const CommandContext& context, const Json& command, const Slot& slot) {
  INSTAR_TRY(const auto id, read_pack(command));
  if (context.upload.is_complete(id)) {
    return Json{{"pack", id.hex()}, {"complete", true}, {"missing_count", 0}, {"missing", Json::array()}};
  }
  if (context.upload.packs().is_removing(id))
    return fail(Code::not_found, "pack " + id.hex() + " is being removed: send it again in a moment");
  slot.reply().wait();
  context.store.read(storage::Column::packs, storage::directory_key(id),
                     [id, slot, &store = context.store](const Result<std::optional<Bytes>>& stored) {
                       const auto status = look_for_chunks(store, id, stored, slot);
                       if (status.has_value()) return;
                       slot.fail(status.error());
                       slot.reply().done();
                     });
  return Json();
}

}  // namespace instar::broker
