// The $CONTROL commands: one table of them, and what runs a message of them. docs/formats/control.md
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "broker-plugin/chunk_server.hpp"
#include "broker-plugin/clock_watch.hpp"
#include "broker-plugin/complaints.hpp"
#include "broker-plugin/intake.hpp"
#include "broker-plugin/roots.hpp"
#include "broker-plugin/upload.hpp"
#include "core/rollout/tracker.hpp"
#include "core/wire/topics.hpp"
#include "storage/store.hpp"

namespace instar::broker {

using Json = nlohmann::ordered_json;
class Reply;
class Slot;

// What commands look at and change. References hold during the call.
struct CommandContext {
  rollout::Tracker& tracker;
  const Intake& intake;
  ChunkServer& chunks;
  Upload& upload;
  const Roots& roots;
  const Complaints& complaints;
  const ClockWatch& clock;
  const wire::Topics& topics;
  storage::Store& store;
  std::string who;  // asks, as history names them
  Now now;
  rollout::Effects& effects;  // of the commands that change something
  std::string client_id;      // of who asks, as MQTT has it
};

// What `data` of a response is.
enum class Answer : std::uint8_t {
  nothing,
  object,
  list,  // an object with a page of rows: it takes `offset` and `count`, and says `totalCount`
};

// May be used by: operators (Access::may_command). `fields`: those that it reads, as the page names them.
struct Command {
  std::string_view name;
  std::string_view fields;
  Answer answer;
  // Answers `data`, null for none. What has to be read from the store first is put into the slot later; the reply waits
  // for it.
  Result<Json> (*run)(const CommandContext& context, const Json& command, const Slot& slot);
};

// In the order in which an unknown command is answered with their names.
[[nodiscard]] std::span<const Command> commands();

// The commands of a message. Errors: malformed, too_large.
[[nodiscard]] Result<Json> read_request(std::string_view payload);
// Adds the response to one command. `is_down`: the store is, and every command is answered so.
void run_command(const CommandContext& context, const Json& command, bool is_down, const std::shared_ptr<Reply>& reply);

// It is in one of `groups`, or below; of none: everybody is.
[[nodiscard]] bool is_in(const std::vector<GroupPath>& groups, const wire::Description& device);
// Not connected, and not heard of for so long.
[[nodiscard]] bool is_silent(const rollout::Device& device, std::int64_t silent_ms, WallMs now) noexcept;

// --- what runs them ---
[[nodiscard]] Result<Json> list_rollouts(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> get_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> pause_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> resume_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> abort_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> revert_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> approve_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> retry_rollout(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> list_devices(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> list_groups(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> list_artifacts(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> next_sequence(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> get_device(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> forget_devices(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> replace_device(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> enrol_device(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> forget_device(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> list_packs(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> get_pack(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> remove_pack(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> prune_packs(const CommandContext& context, const Json& command, const Slot& slot);
[[nodiscard]] Result<Json> get_version(const CommandContext& context, const Json& command, const Slot& slot);

}  // namespace instar::broker
