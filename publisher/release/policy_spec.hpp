// The rollout policy as operators write it, in a release file and in the short forms of the command line.
// docs/operator.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {

// "25%", "0.5%" → basis points. Errors: invalid_argument.
[[nodiscard]] Result<std::uint16_t> parse_percent(std::string_view text);
// "5", "10%", "all" or "gw-01,gw-02". Options follow a colon: "10%:success=95%,soak=1h,approval,quorum=30%".
[[nodiscard]] Result<wire::Wave> parse_wave(std::string_view text);
// "Mon-Fri 02:00 4h", "Sat,Sun 22:00 8h", "daily 02:00 90min".
[[nodiscard]] Result<wire::MaintenanceWindow> parse_window(std::string_view text);
// "3" or "2%", into the two fields of the error budget.
[[nodiscard]] Status parse_failures(std::string_view text, wire::Policy& policy);
[[nodiscard]] Result<wire::BudgetAction> parse_action(std::string_view text);
// "plain" or "signed": what an approval must be to count.
[[nodiscard]] Status parse_approval(std::string_view text, wire::Policy& policy);

// The key "policy" of a release file. If it is absent, the defaults.
[[nodiscard]] Result<wire::Policy> parse_policy(JsonObject& release);
// Adds a last wave with everyone if there is none, then applies the rules of check_waves(). Errors: invalid_argument.
[[nodiscard]] Status complete_policy(wire::Policy& policy);

[[nodiscard]] Json policy_json(const wire::Policy& policy);
[[nodiscard]] std::string wave_text(const wire::Wave& wave);
// The settings that differ from the defaults, as (name, text) for people.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> policy_lines(const wire::Policy& policy);
[[nodiscard]] std::string percent_text(std::uint16_t share_bp);

}  // namespace instar::publisher
