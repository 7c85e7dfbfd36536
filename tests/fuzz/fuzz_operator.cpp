// What `instar` reads of people and of a broker: release files, the short forms of the command line, its configuration,
// files to inspect, and the broker's answers. The first byte picks one.
#include "core/base/assert.hpp"
#include "core/base/text.hpp"
#include "files/files.hpp"
#include "json/read.hpp"
#include "publisher/broker/connection.hpp"
#include "publisher/broker/device_view.hpp"
#include "publisher/broker/rollout_view.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/inspection.hpp"
#include "publisher/release/keyring.hpp"
#include "publisher/release/policy_spec.hpp"
#include "publisher/release/release.hpp"
#include "tests/fuzz/memory_file.hpp"
#include "tests/fuzz/scratch_folder.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_operator {
namespace {

using namespace instar::publisher;

constexpr WallMs kNow{1'760'000'000'000};

// A small tree, packed once.
const ArtifactFolders& artifacts() {
  static const fuzz::ScratchFolder folder;
  static const ArtifactFolders folders = [] {
    INSTAR_ASSERT(files::make_folders(folder / "tree").has_value());
    INSTAR_ASSERT(files::write_file_atomic(folder / "tree/program", as_bytes("#!/bin/sh\n")).has_value());
    auto built = build_artifact({.tree = folder / "tree", .out = folder / "out", .level = 1, .work = {}});
    INSTAR_ASSERT(built.has_value());
    ArtifactFolders made;
    made.emplace("tree", std::move(*built));
    return made;
  }();
  return folders;
}

// What is JSON for scripts can be read again, and steers no terminal.
void check_document(const Json& document) {
  const std::string text = dump(document);
  INSTAR_ASSERT(is_clean_text(text));
  INSTAR_ASSERT(json::read(text).has_value());
}

// A release that is taken becomes a manifest that devices take, or is refused in words.
void release(std::string_view text) {
  auto spec = parse_release(text, "release.json", "folder");
  if (!spec.has_value()) {
    INSTAR_ASSERT(!spec.error().message.empty());
    return;
  }
  for (auto& container : spec->containers) container.artifact_path = "tree";
  const auto manifest = make_manifest(*spec, artifacts(), spec->sequence.value_or(1), kNow, Bytes(16, 1));
  if (!manifest.has_value()) {
    INSTAR_ASSERT(manifest.error().code != Code::internal);
    return;
  }
  INSTAR_ASSERT(wire::decode_manifest(wire::encode_manifest(*manifest)).has_value());
  check_document(manifest_json(*manifest));
  INSTAR_ASSERT(!manifest_text(*manifest, kNow).empty());
}

void short_forms(std::string_view text) {
  if (const auto share = parse_percent(text)) INSTAR_ASSERT(*parse_percent(percent_text(*share)) == *share);
  if (const auto wave = parse_wave(text)) {
    wire::Policy policy;
    policy.waves = {*wave};
    if (complete_policy(policy)) check_document(policy_json(policy));
    INSTAR_ASSERT(!wave_text(*wave).empty());
  }
  wire::Policy policy;
  if (const auto window = parse_window(text)) {
    INSTAR_ASSERT(window->days > 0 && window->days < 128 && window->start_minute < 24 * 60);
    INSTAR_ASSERT(window->duration_minutes > 0 && window->duration_minutes <= 24 * 60);
    policy.windows.push_back(*window);
  }
  if (parse_failures(text, policy)) INSTAR_ASSERT((policy.failures_max > 0) != (policy.failures_bp > 0));
  (void)policy_lines(policy);
  if (const auto action = parse_action(text)) INSTAR_ASSERT(*action <= wire::BudgetAction::revert);
  if (const auto setting = parse_setting(text)) INSTAR_ASSERT(setting->key + "=" + setting->value == text);
  if (const auto volume = parse_volume(text)) INSTAR_ASSERT(volume->name + ":" + volume->path == text);
  if (const auto id = parse_key_id(text)) INSTAR_ASSERT(*parse_key_id(trust::key_text(*id)) == *id);
  if (const auto size = parse_size(text)) INSTAR_ASSERT(!human_bytes(*size).empty());
  if (const auto ms = parse_duration_ms(text)) INSTAR_ASSERT(*ms >= 0 && !human_duration(*ms).empty());
  if (const auto words = split_words(text)) INSTAR_ASSERT(words->size() <= text.size());
  (void)server_uri(text);
}

// A comment in front moves the lines, and nothing else.
void configuration(std::string_view text) {
  const auto options = parse_config(text, "config");
  const auto moved = parse_config("# one line more\n" + std::string(text), "config");
  INSTAR_ASSERT(options.has_value() == moved.has_value());
  if (!options.has_value()) {
    INSTAR_ASSERT(options.error().message.starts_with("config, line "));
    return;
  }
  const auto& connection = options->connection;
  INSTAR_ASSERT(connection.broker == moved->connection.broker && connection.prefix == moved->connection.prefix);
  INSTAR_ASSERT(options->release.keys == moved->release.keys && options->release.groups == moved->release.groups);
  if (connection.broker) {
    const auto uri = server_uri(*connection.broker);
    if (uri.has_value()) INSTAR_ASSERT(server_uri(*uri).has_value() && *server_uri(*uri) == *uri);
  }
}

void inspected(ByteView input) {
  const fuzz::MemoryFile file(input);
  const auto found =
      inspect({.path = file.path(), .root_path = {}, .device_key = {}, .base = {}, .contents = true}, kNow);
  if (!found.has_value()) {
    INSTAR_ASSERT(!found.error().message.empty());
    return;
  }
  check_document(found->json);
  INSTAR_ASSERT(!found->text.empty());
}

// Whatever a broker answers is shown.
void answer(std::string_view text) {
  const auto json = parse_json(text, "answer");
  if (!json.has_value()) return;
  check_document(*json);
  const auto status = read_status(*json);
  (void)rollouts_text({status}, kNow);
  (void)rollout_text(status, kNow);
  (void)rollout_line(status);
  (void)next_commands(status);
  (void)exit_of(status);
  (void)pick_rollout({status}, "1");
  const Json rows = json->is_array() ? *json : Json::array({*json});
  (void)events_text(rows, kNow);
  (void)groups_text(rows);
  (void)members_text(rows, kNow);
  (void)code_text(*json);
  (void)read_device(*json);
  (void)devices_text(rows, kNow);
  (void)device_text(*json, kNow);
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  switch (data[0] % 5) {
    case 0: release(as_text(input)); break;
    case 1: short_forms(as_text(input)); break;
    case 2: configuration(as_text(input)); break;
    case 3: inspected(input); break;
    default: answer(as_text(input)); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_operator

INSTAR_FUZZ_TARGET(operator, instar::fuzz_operator::run)
