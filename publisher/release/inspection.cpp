#include "publisher/release/inspection.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/artifact/index.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/trust/signatures.hpp"
#include "core/wire/approval.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"
#include "files/files.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/readable_tree.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/keyring.hpp"
#include "publisher/release/release.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kHeadBytes = 32;

// The outcome of a signature check, for the text and the JSON output.
void set_verdict(Inspection& inspection, const std::string& how, const Status& status) {
  inspection.json["verified"] = status.has_value();
  if (status) {
    inspection.text += "\nsignatures hold: " + how + "\n";
    return;
  }
  inspection.json["verify_error"] = status.error().message;
  inspection.text += "\nSIGNATURES DO NOT HOLD: " + status.error().message + "\n";
  inspection.problem = status.error();
}

void set_unchecked(Inspection& inspection, const std::string& with) {
  inspection.json["verified"] = Json();
  inspection.text += "\nsignatures not checked: give " + with + "\n";
}

std::string octal(std::uint16_t mode) {
  std::string digits;
  for (int shift = 9; shift >= 0; shift -= 3) digits += static_cast<char>('0' + (mode >> shift & 7));
  return digits;
}

std::string_view kind_text(trust::Kind kind) noexcept {
  switch (kind) {
    case trust::Kind::root: return "root";
    case trust::Kind::manifest: return "manifest";
    case trust::Kind::gate: return "gate";
    case trust::Kind::hello: return "hello";
    case trust::Kind::report: return "report";
    case trust::Kind::assignment: return "assignment";
    case trust::Kind::approval: return "approval";
    case trust::Kind::enrolment: return "enrolment";
  }
  return "unknown";
}

Result<std::optional<trust::TrustStore>> load_root(const InspectOptions& options) {
  if (options.root_path.empty()) return std::nullopt;
  INSTAR_TRY(const auto bytes, files::read_file(options.root_path, limits::kMessageBytesMax));
  auto store = trust::TrustStore::from_pinned(bytes);
  if (!store) return fail(with_context(store.error(), options.root_path));
  return std::move(*store);
}

Status inspect_root(const InspectOptions& options, ByteView bytes, const trust::Envelope& envelope,
                    Inspection& inspection) {
  INSTAR_TRY(const auto document, trust::decode_root(envelope.payload));
  inspection.json["root"] = root_json(document);
  inspection.text += root_text(document);
  INSTAR_TRY(auto pinned, load_root(options));
  if (!pinned) {
    const auto own = trust::TrustStore::from_pinned(bytes);
    set_verdict(inspection, "by its own root keys", own ? Status{} : Status{fail(own.error())});
    return {};
  }
  const auto version = std::to_string(pinned->root().version);
  set_verdict(inspection, "it follows root version " + version, pinned->advance(bytes));
  return {};
}

Status inspect_manifest(const InspectOptions& options, ByteView bytes, const trust::Envelope& envelope, WallMs now,
                        Inspection& inspection) {
  INSTAR_TRY(const auto manifest, wire::decode_manifest(envelope.payload));
  inspection.json["rollout"] = envelope.payload_hash.short_hex();
  inspection.json["manifest"] = manifest_json(manifest);
  inspection.text += "rollout " + envelope.payload_hash.short_hex() + "\n" + manifest_text(manifest, now);
  INSTAR_TRY(const auto root, load_root(options));
  if (!root) {
    set_unchecked(inspection, "--root FILE");
    return {};
  }
  Status status;
  for (const auto& group : manifest.groups) {
    const auto opened = root->open_manifest(bytes, group);
    if (!opened) status = fail(with_context(opened.error(), "group " + group.str()));
  }
  set_verdict(inspection, "for every group, by root version " + std::to_string(root->root().version), status);
  return {};
}

Status inspect_gate(const InspectOptions& options, ByteView bytes, const trust::Envelope& envelope, WallMs now,
                    Inspection& inspection) {
  INSTAR_TRY(const auto gate, wire::decode_gate(envelope.payload));
  const std::string state = gate.state == wire::GateState::open     ? "open"
                            : gate.state == wire::GateState::paused ? "paused"
                                                                    : "aborted";
  inspection.json["gate"] = {{"group", gate.group.str()},
                             {"product", gate.product},
                             {"manifest", gate.manifest.hex()},
                             {"sequence", gate.sequence},
                             {"state", state},
                             {"admitted_bp", gate.admitted_bp},
                             {"wave", gate.wave},
                             {"issue", gate.issue},
                             {"fresh_ms", gate.fresh.value},
                             {"retry_epoch", gate.retry_epoch},
                             {"approval", to_hex(gate.approval)}};
  Fields fields;
  fields.add("group", gate.group.str());
  fields.add("product", gate.product + ", sequence " + std::to_string(gate.sequence));
  fields.add("rollout", gate.manifest.short_hex());
  fields.add("state", state + ", " + std::to_string(gate.admitted_bp / 100) + "." +
                          std::to_string(gate.admitted_bp % 100) + " % admitted");
  fields.add("fresh as of",
             local_time(gate.fresh) + " (" + relative_time(gate.fresh, now) + "), issue " + std::to_string(gate.issue));
  inspection.text += fields.str();
  INSTAR_TRY(const auto root, load_root(options));
  if (!root) {
    set_unchecked(inspection, "--root FILE");
    return {};
  }
  const auto opened = root->open_gate(bytes);
  set_verdict(inspection, "by root version " + std::to_string(root->root().version),
              opened ? Status{} : Status{fail(opened.error())});
  return {};
}

Status inspect_approval(const InspectOptions& options, ByteView bytes, const trust::Envelope& envelope,
                        Inspection& inspection) {
  INSTAR_TRY(const auto approval, wire::decode_approval(envelope.payload));
  inspection.json["approval"] = {{"product", approval.product},
                                 {"manifest", approval.manifest.hex()},
                                 {"wave", approval.wave},
                                 {"issued_ms", approval.issued.value}};
  Fields fields;
  fields.add("product", approval.product);
  fields.add("rollout", approval.manifest.short_hex());
  fields.add("approves", "wave " + std::to_string(approval.wave + 1) + " and those before it");
  fields.add("issued", local_time(approval.issued));
  inspection.text += fields.str();
  INSTAR_TRY(const auto root, load_root(options));
  if (!root) {
    set_unchecked(inspection, "--root FILE");
    return {};
  }
  const auto opened = root->open_approval(bytes, {});
  set_verdict(inspection, "by root version " + std::to_string(root->root().version),
              opened ? Status{} : Status{fail(opened.error())});
  return {};
}

Status check_device_signature(const InspectOptions& options, ByteView bytes, trust::Kind kind, Inspection& inspection) {
  if (options.device_key.empty()) {
    set_unchecked(inspection, "--device-key FILE");
    return {};
  }
  INSTAR_TRY(const auto key, load_public_key(options.device_key));
  const auto opened = trust::open_by_key(bytes, kind, key);
  set_verdict(inspection, "by key " + trust::key_text(key.id()), opened ? Status{} : Status{fail(opened.error())});
  return {};
}

Status inspect_hello(const InspectOptions& options, ByteView bytes, const trust::Envelope& envelope,
                     Inspection& inspection) {
  INSTAR_TRY(const auto hello, wire::decode_hello(envelope.payload));
  std::string groups;
  for (const auto& group : hello.description.groups) groups += (groups.empty() ? "" : " ") + group.str();
  const std::string running = hello.description.running ? hello.description.running->release : "";
  inspection.json["hello"] = {{"device", hello.device.str()},
                              {"product", hello.description.product},
                              {"groups", groups},
                              {"running", running},
                              {"step", std::string(wire::step_name(hello.step))},
                              {"free_bytes", hello.description.free_bytes},
                              {"last_sequence", hello.last_sequence},
                              {"acked_sequence", hello.acked_sequence},
                              {"root_version", hello.description.root_version},
                              {"handlers", hello.description.handlers},
                              {"key", trust::key_text(hello.key.id())}};
  Fields fields;
  fields.add("device", hello.device.str() + ", " + hello.description.product);
  fields.add("groups", groups);
  fields.add("running", running.empty() ? "nothing" : running);
  fields.add("doing", std::string(wire::step_name(hello.step)));
  fields.add("reports",
             std::to_string(hello.last_sequence) + " made, " + std::to_string(hello.acked_sequence) + " acknowledged");
  fields.add("free", human_bytes(hello.description.free_bytes));
  inspection.text += fields.str();
  return check_device_signature(options, bytes, trust::Kind::hello, inspection);
}

Status inspect_report(const InspectOptions& options, ByteView bytes, const trust::Envelope& envelope,
                      Inspection& inspection) {
  INSTAR_TRY(const auto report, wire::decode_report(envelope.payload));
  inspection.json["report"] = {{"device", report.device.str()},
                               {"sequence", report.sequence},
                               {"rollout", report.rollout.hex()},
                               {"attempt", report.attempt},
                               {"step", std::string(wire::step_name(report.step))},
                               {"code", std::string(code_name(report.code))},
                               {"reason", report.reason},
                               {"bytes_planned", report.bytes_planned},
                               {"bytes_fetched", report.bytes_fetched},
                               {"bytes_full", report.bytes_full},
                               {"device_ms", report.device_time.value}};
  Fields fields;
  fields.add("device", report.device.str() + ", report " + std::to_string(report.sequence));
  fields.add("rollout", report.rollout.short_hex() + ", attempt " + std::to_string(report.attempt));
  fields.add("step", std::string(wire::step_name(report.step)));
  if (report.code != Code::ok) fields.add("reason", std::string(code_name(report.code)) + ": " + report.reason);
  fields.add("fetched", human_bytes(report.bytes_fetched) + " of " + human_bytes(report.bytes_planned) + " planned");
  inspection.text += fields.str();
  return check_device_signature(options, bytes, trust::Kind::report, inspection);
}

Result<Inspection> inspect_envelope(const InspectOptions& options, ByteView bytes, WallMs now) {
  INSTAR_TRY(const auto envelope, trust::parse_envelope(bytes));
  Inspection inspection;
  Json signers = Json::array();
  std::string signed_by;
  for (const auto& signature : envelope.signatures) {
    signers.push_back(trust::key_text(signature.key_id));
    signed_by += " " + trust::key_text(signature.key_id);
  }
  inspection.json = {{"type", std::string(kind_text(envelope.kind))},
                     {"bytes", bytes.size()},
                     {"payload_hash", envelope.payload_hash.hex()},
                     {"signed_by", std::move(signers)}};
  inspection.text = std::string(kind_text(envelope.kind)) + ", signed envelope of " + std::to_string(bytes.size()) +
                    " bytes, by key" + signed_by + "\n\n";
  Status status;
  switch (envelope.kind) {
    case trust::Kind::root: status = inspect_root(options, bytes, envelope, inspection); break;
    case trust::Kind::manifest: status = inspect_manifest(options, bytes, envelope, now, inspection); break;
    case trust::Kind::gate: status = inspect_gate(options, bytes, envelope, now, inspection); break;
    case trust::Kind::hello: status = inspect_hello(options, bytes, envelope, inspection); break;
    case trust::Kind::report: status = inspect_report(options, bytes, envelope, inspection); break;
    case trust::Kind::approval: status = inspect_approval(options, bytes, envelope, inspection); break;
    case trust::Kind::assignment:
    case trust::Kind::enrolment:
      return fail(Code::unsupported, std::string(kind_text(envelope.kind)) + "s are not shown by this command");
  }
  if (!status) return fail(std::move(status.error()));
  return inspection;
}

Result<std::optional<ReadableTree>> open_base(const InspectOptions& options) {
  if (options.base.empty() || !options.contents) return std::nullopt;
  INSTAR_TRY(auto tree, open_tree(options.base, "", {}));
  return tree;
}

// The outcome of a check of the contents, for both outputs. `hashes_only`: there are deltas that were not decoded.
void set_contents(Inspection& inspection, const Status& status, const std::string& good, bool hashes_only) {
  inspection.json["contents_verified"] = status.has_value();
  inspection.text += status ? "\n" + good + "\n" : "\nDAMAGED: " + status.error().message + "\n";
  if (status && hashes_only)
    inspection.text += "deltas were not decoded: that needs the tree that they are against, --base OLD\n";
  if (!status) inspection.problem = status.error();
}

Result<Inspection> inspect_pack(const InspectOptions& options) {
  INSTAR_TRY(const auto pack, PackFile::open(options.path));
  const auto& directory = pack.directory();
  const std::string kind(artifact::pack_kind_name(directory.kind));
  Inspection inspection;
  inspection.json = {{"type", "pack"},
                     {"kind", kind},
                     {"id", pack.id().hex()},
                     {"artifact", directory.artifact.hex()},
                     {"base", directory.base.is_zero() ? Json() : Json(directory.base.hex())},
                     {"head_chunks", directory.head_count},
                     {"body_chunks", directory.chunks.size() - directory.head_count},
                     {"head_bytes", directory.head_bytes()},
                     {"body_bytes", directory.body_bytes()},
                     {"wire_bytes", pack.wire_bytes()},
                     {"memory_bytes", pack.memory_bytes()},
                     {"file_bytes", pack.file_bytes()}};
  Fields fields;
  fields.add("pack", kind + " " + pack.id().hex());
  fields.add("artifact", directory.artifact.hex());
  if (!directory.base.is_zero()) fields.add("base", directory.base.hex());
  fields.add("head",
             count_of(directory.head_count, "chunk") + ", " + std::to_string(directory.head_bytes()) + " bytes");
  fields.add("body", count_of(directory.chunks.size() - directory.head_count, "chunk") + ", " +
                         std::to_string(directory.body_bytes()) + " bytes");
  fields.add("to fetch", std::to_string(pack.wire_bytes()) + " bytes (" + human_bytes(pack.wire_bytes()) + ")");
  inspection.text = fields.str();
  if (!options.contents) return inspection;
  INSTAR_TRY(const auto base, open_base(options));
  const bool decoded = base && base->id == directory.base;
  const auto status = decoded ? verify_delta(pack, &*base) : pack.verify({});
  set_contents(inspection, status,
               decoded ? "it makes its artifact of " + options.base : "every chunk matches its hash",
               directory.kind == artifact::PackKind::delta && !decoded);
  return inspection;
}

Result<Inspection> inspect_index(const InspectOptions& options) {
  INSTAR_TRY(const auto bytes, files::read_file(options.path, limits::kIndexBytesMax));
  std::uint64_t content_bytes = 0;
  std::uint64_t entry_count = 0;
  std::string listing;
  Json entries = Json::array();
  artifact::IndexReader reader(
      [&](const artifact::Entry& entry) -> Status {
        ++entry_count;
        content_bytes += entry.size;
        if (!options.contents) return {};
        constexpr std::string_view kTypes = "d-lhcbp";
        const std::string type(1, kTypes[static_cast<std::size_t>(entry.type)]);
        const std::string path = entry.path.empty() ? "." : entry.path;
        listing += type + " " + octal(entry.mode) + " " + std::to_string(entry.uid) + ":" + std::to_string(entry.gid) +
                   " " + std::to_string(entry.size) + " " + printable(path) +
                   (entry.target.empty() ? "" : " -> " + printable(entry.target)) + "\n";
        entries.push_back({{"path", path},
                           {"type", type},
                           {"mode", entry.mode},
                           {"uid", entry.uid},
                           {"gid", entry.gid},
                           {"size", entry.size},
                           {"target", entry.target}});
        return {};
      },
      {.devices_allowed = true});
  INSTAR_CHECK(reader.feed(bytes));
  INSTAR_TRY(const auto id, reader.finish());
  Inspection inspection;
  inspection.json = {{"type", "index"},
                     {"artifact", id.hex()},
                     {"entry_count", entry_count},
                     {"file_bytes", content_bytes},
                     {"index_bytes", bytes.size()}};
  if (options.contents) inspection.json["entries"] = std::move(entries);
  Fields fields;
  fields.add("index of artifact", id.hex());
  fields.add("entries", std::to_string(entry_count));
  fields.add("files", human_bytes(content_bytes));
  inspection.text = fields.str() + (listing.empty() ? "" : "\n" + listing);
  return inspection;
}

Result<Inspection> inspect_folder(const InspectOptions& options) {
  INSTAR_TRY(const auto folder, open_artifact(options.path));
  Inspection inspection;
  inspection.json = artifact_json(folder);
  inspection.json["type"] = "artifact";
  inspection.text = artifact_text(folder);
  if (!options.contents) return inspection;
  INSTAR_TRY(const auto base, open_base(options));
  const bool hashes_only = std::ranges::any_of(folder.packs, [&](const PackFile& pack) {
    return pack.directory().kind == artifact::PackKind::delta && (!base || base->id != pack.directory().base);
  });
  set_contents(inspection, verify_artifact(folder, base ? &*base : nullptr),
               "every chunk and every file matches its hash", hashes_only);
  return inspection;
}

Result<Inspection> inspect_key(ByteView text) {
  Inspection inspection;
  if (const auto secret = trust::parse_secret_key(as_text(text))) {
    const auto key = secret->public_key();
    inspection.json = {{"type", "secret-key"}, {"id", trust::key_text(key.id())}, {"public_key", to_hex(key.bytes)}};
    inspection.text = "secret key " + trust::key_text(key.id()) + ", public part " + to_hex(key.bytes) + "\n";
    return inspection;
  }
  INSTAR_TRY(const auto key, trust::parse_public_key(as_text(text)));
  inspection.json = {{"type", "public-key"}, {"id", trust::key_text(key.id())}, {"public_key", to_hex(key.bytes)}};
  inspection.text = "public key " + trust::key_text(key.id()) + ", " + to_hex(key.bytes) + "\n";
  return inspection;
}

}  // namespace

Result<Inspection> inspect(const InspectOptions& options, WallMs now) {
  struct stat info {};
  if (::stat(options.path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return inspect_folder(options);
  INSTAR_TRY(const auto file, Descriptor::open_read(options.path));
  INSTAR_TRY(const auto size, file.size());
  Bytes head(static_cast<std::size_t>(std::min<std::uint64_t>(size, kHeadBytes)));
  INSTAR_CHECK(file.read_at(0, head));
  const auto start = as_text(head);
  if (start.starts_with("INPD")) return inspect_pack(options);
  if (start.starts_with("INSI")) return inspect_index(options);
  const auto named = [&](Result<Inspection> result) -> Result<Inspection> {
    if (!result) return fail(with_context(result.error(), options.path));
    return result;
  };
  if (start.starts_with("INSE") || start.starts_with("instar-")) {
    INSTAR_TRY(const auto bytes, files::read_file(options.path, limits::kMessageBytesMax));
    return named(start.starts_with("INSE") ? inspect_envelope(options, bytes, now) : inspect_key(bytes));
  }
  return fail(
      Code::malformed,
      options.path + " is no manifest, root document, gate, report, pack, index, key or artifact folder of Instar");
}

}  // namespace instar::publisher
