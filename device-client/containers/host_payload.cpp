#include "device-client/containers/host_payload.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "core/base/ids.hpp"
#include "core/revision/requirements.hpp"
#include "device-client/process/json_line.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStates[] = {"installing", "installed", "committed"};

std::string folder_of(const std::string& state_dir, const std::string& name) {
  return state_dir + "/handlers/" + name;
}

std::optional<PayloadRecord> read_record(const std::string& folder, const std::string& name) {
  const auto bytes = files::read_file(folder + "/record", 4096);
  if (!bytes) return std::nullopt;
  const auto fields = JsonFields::parse(as_text(*bytes));
  if (!fields) return std::nullopt;
  const auto artifact = ArtifactId::from_hex(fields->text("artifact").value_or(""));
  const auto state = std::ranges::find(kStates, fields->text("state").value_or(""));
  const auto revision = fields->integer("revision").value_or(-1);
  if (!artifact || state == std::end(kStates) || revision < 0 || revision > 0xffff'ffff) return std::nullopt;
  return PayloadRecord{name, fields->text("kind").value_or(""), *artifact, static_cast<std::uint32_t>(revision),
                       static_cast<PayloadState>(state - std::begin(kStates))};
}

const PayloadRecord* find(const std::vector<PayloadRecord>& records, const std::string& name) {
  const auto found = std::ranges::find(records, name, &PayloadRecord::name);
  return found == records.end() ? nullptr : &*found;
}

bool is_there(const PayloadRecord* record, const PayloadPlan& plan) {
  return record != nullptr && record->kind == plan.kind && record->artifact == plan.artifact &&
         record->state != PayloadState::installing;
}

}  // namespace

std::vector<PayloadPlan> plan_payloads(const Config& config, std::uint32_t revision, const wire::Manifest& manifest) {
  std::vector<PayloadPlan> plans;
  for (const auto& each : manifest.containers) {
    if (each.handler.empty()) continue;
    plans.push_back(
        {each.name, each.handler, revision, each.artifact,
         config.state_dir + "/revisions/" + std::to_string(revision) + "/artifacts/" + each.artifact.hex() + "/tree",
         each.start_order});
  }
  std::ranges::stable_sort(plans, {}, &PayloadPlan::start_order);
  return plans;
}

std::vector<std::string> find_handlers(const Config& config) {
  std::vector<std::string> kinds;
  std::error_code error;
  for (fs::directory_iterator it(config.handlers_dir, error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (is_name(name) && name != revision::kClientHandler && fs::is_regular_file(it->path(), error) &&
        ::access(it->path().c_str(), X_OK) == 0)
      kinds.push_back(name);
  }
  std::ranges::sort(kinds);
  if (config.self_update) kinds.emplace_back(revision::kClientHandler);
  return kinds;
}

std::vector<PayloadRecord> read_payload_records(const std::string& state_dir) {
  std::vector<PayloadRecord> records;
  std::error_code error;
  for (fs::directory_iterator it(state_dir + "/handlers", error), end; !error && it != end; it.increment(error))
    if (auto record = read_record(it->path().string(), it->path().filename().string()))
      records.push_back(std::move(*record));
  std::ranges::sort(records, {}, &PayloadRecord::name);
  return records;
}

Status write_payload_record(const std::string& state_dir, const PayloadRecord& record) {
  const auto folder = folder_of(state_dir, record.name);
  INSTAR_CHECK(files::make_folders(folder + "/state", 0700));
  const auto line = JsonLine()
                        .add("kind", record.kind)
                        .add("artifact", record.artifact.hex())
                        .add("revision", std::int64_t{record.revision})
                        .add("state", kStates[static_cast<std::size_t>(record.state)])
                        .str() +
                    "\n";
  return files::write_file_atomic(folder + "/record", as_bytes(line), 0600);
}

Status remove_payload_record(const std::string& state_dir, const std::string& name) {
  return files::remove_tree(folder_of(state_dir, name));
}

std::string_view action_name(PayloadAction action) noexcept {
  switch (action) {
    case PayloadAction::install: return "install";
    case PayloadAction::commit: return "commit";
    case PayloadAction::rollback: return "rollback";
  }
  return "";
}

std::vector<PayloadStep> steps_to_try(const std::vector<PayloadRecord>& records,
                                      const std::vector<PayloadPlan>& wanted) {
  std::vector<PayloadStep> steps;
  for (const auto& plan : wanted)
    if (!is_there(find(records, plan.name), plan)) steps.push_back({PayloadAction::install, plan});
  return steps;
}

std::vector<PayloadStep> steps_back(const std::vector<PayloadRecord>& records, const std::vector<PayloadPlan>& wanted,
                                    std::uint32_t to) {
  std::vector<PayloadStep> steps;
  for (const auto& plan : wanted) {
    const auto* record = find(records, plan.name);
    if (record == nullptr)
      steps.push_back({PayloadAction::install, plan});
    else if (!is_there(record, plan))
      steps.push_back({PayloadAction::rollback, plan});
  }
  for (const auto& record : records) {
    const bool earlier = record.state == PayloadState::committed && record.revision <= to;
    if (earlier || std::ranges::find(wanted, record.name, &PayloadPlan::name) != wanted.end()) continue;
    PayloadPlan nothing;
    nothing.name = record.name;
    nothing.kind = record.kind;
    steps.push_back({PayloadAction::rollback, nothing});
  }
  return steps;
}

std::vector<PayloadStep> steps_to_keep(const std::vector<PayloadRecord>& records,
                                       const std::vector<PayloadPlan>& wanted) {
  std::vector<PayloadStep> steps;
  for (const auto& plan : wanted) {
    const auto* record = find(records, plan.name);
    if (is_there(record, plan) && record->state == PayloadState::committed) continue;
    if (!is_there(record, plan)) steps.push_back({PayloadAction::install, plan});
    steps.push_back({PayloadAction::commit, plan});
  }
  return steps;
}

HelperCommand handler_command(const Config& config, std::string_view action, const PayloadPlan& plan,
                              std::uint32_t timeout_ms) {
  return {config.handlers_dir + "/" + plan.kind,
          {std::string(action)},
          {timeout_ms, handler_environment(config, action, plan), true}};
}

std::vector<std::string> handler_environment(const Config& config, std::string_view action, const PayloadPlan& plan) {
  return {"INSTAR_ACTION=" + std::string(action),
          "INSTAR_NAME=" + plan.name,
          "INSTAR_PAYLOAD=" + plan.tree,
          "INSTAR_ARTIFACT=" + (plan.tree.empty() ? "" : plan.artifact.hex()),
          "INSTAR_DEVICE=" + config.device_id.str(),
          "INSTAR_STATE=" + folder_of(config.state_dir, plan.name) + "/state"};
}

}  // namespace instar::device
