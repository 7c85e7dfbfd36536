// Payloads that are not containers: those that a host handler takes, and the client itself (docs/handlers.md). Here
// stands which steps each needs, and the record of what was done: a small file for each payload says how far its
// handler has come. So a daemon that was killed, or a device that lost its power half way, calls the handler again, or
// has it take back what it did.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/helper_process.hpp"

namespace instar::device {

struct PayloadPlan {
  std::string name;
  std::string kind;
  std::uint32_t revision = 0;
  ArtifactId artifact;
  std::string tree;  // must exist; empty: the payload is to be removed
  std::uint32_t start_order = 0;
};

// All payloads of a manifest that are not containers, in start order.
[[nodiscard]] std::vector<PayloadPlan> plan_payloads(const Config& config, std::uint32_t revision,
                                                     const wire::Manifest& manifest);

// The kinds of payload that this device takes: one for each program in `handlers_dir`, and the client where the
// configuration allows it.
[[nodiscard]] std::vector<std::string> find_handlers(const Config& config);

enum class PayloadState : std::uint8_t { installing, installed, committed };

struct PayloadRecord {
  std::string name;
  std::string kind;
  ArtifactId artifact;
  std::uint32_t revision = 0;  // the one that brought it
  PayloadState state = PayloadState::installing;
};

// <state_dir>/handlers/<name>/record: replaced atomically, durable when written.
[[nodiscard]] std::vector<PayloadRecord> read_payload_records(const std::string& state_dir);
[[nodiscard]] Status write_payload_record(const std::string& state_dir, const PayloadRecord& record);
[[nodiscard]] Status remove_payload_record(const std::string& state_dir, const std::string& name);

enum class PayloadAction : std::uint8_t { install, commit, rollback };
[[nodiscard]] std::string_view action_name(PayloadAction action) noexcept;

struct PayloadStep {
  PayloadAction action = PayloadAction::install;
  PayloadPlan plan;
};

// The steps from the records to the wanted payloads, in order. To try a revision: new payloads are installed. To go
// back to revision `to`: payloads that differ are rolled back, also those that only a later revision brought. To keep a
// revision: payloads that were tried are committed, after those that are missing were installed.
[[nodiscard]] std::vector<PayloadStep> steps_to_try(const std::vector<PayloadRecord>& records,
                                                    const std::vector<PayloadPlan>& wanted);
[[nodiscard]] std::vector<PayloadStep> steps_back(const std::vector<PayloadRecord>& records,
                                                  const std::vector<PayloadPlan>& wanted, std::uint32_t to);
[[nodiscard]] std::vector<PayloadStep> steps_to_keep(const std::vector<PayloadRecord>& records,
                                                     const std::vector<PayloadPlan>& wanted);

// Calls the payload's handler; `action` is its argument.
[[nodiscard]] HelperCommand handler_command(const Config& config, std::string_view action, const PayloadPlan& plan,
                                            std::uint32_t timeout_ms);
// What a handler finds in its environment.
[[nodiscard]] std::vector<std::string> handler_environment(const Config& config, std::string_view action,
                                                           const PayloadPlan& plan);

}  // namespace instar::device
