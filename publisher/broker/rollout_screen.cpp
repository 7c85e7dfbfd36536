#include "publisher/broker/rollout_screen.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "publisher/broker/rollout_outcome.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kLongBar = 40;
constexpr std::size_t kShortBar = 8;
// Lines of one long text: a cause, a reason.
constexpr std::size_t kTextLines = 3;
constexpr std::size_t kReasonLines = 2;

// Lines of one part, which fit the columns.
class Lines {
 public:
  explicit Lines(std::size_t columns) : columns_(columns) {}
  void add(const std::string& text, std::size_t lines_max = kTextLines) {
    for (auto& line : wrap(printable(text), columns_, 2, lines_max)) lines_.push_back(std::move(line));
  }
  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::size_t columns_;
  std::vector<std::string> lines_;
};

// "[####....] 205 of 219 devices", without the bar where there is no room for it.
std::string done_line(const RolloutStatus& status, std::size_t columns) {
  const auto done = status.finished() - std::min(status.retrying, status.finished());
  const std::string text = std::to_string(done) + " of " + count_of(status.devices, "device");
  if (columns < text.size() + kShortBar + 3) return text;
  const auto width = std::min(columns - text.size() - 3, kLongBar);
  const auto filled =
      status.devices == 0 ? 0 : static_cast<std::size_t>(std::min(done, status.devices) * width / status.devices);
  return "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] " + text;
}

std::string steps_line(const RolloutStatus& status) {
  std::vector<std::string> counts;
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    if (status.counts[i] == 0) continue;
    std::string name(kSteps[i]);
    std::ranges::replace(name, '_', ' ');
    counts.push_back(std::to_string(status.counts[i]) + " " + name);
  }
  return joined(counts, ", ");
}

std::vector<std::string> head_part(const RolloutStatus& status, std::size_t columns) {
  Lines lines(columns);
  lines.add(status.product + " " + status.release + " (sequence " + std::to_string(status.sequence) + ") for " +
                joined(status.groups, ", "),
            kReasonLines);
  lines.add(state_text(status) + (status.cause.empty() ? "" : ": " + status.cause));
  lines.add(done_line(status, columns));
  if (const auto counts = steps_line(status); !counts.empty()) lines.add(counts);
  if (!status.waits_for.empty()) {
    const bool has_waves = status.waves.size() > 1;
    lines.add((has_waves ? "wave " + std::to_string(status.wave) + " of " + std::to_string(status.waves.size()) + " "
                         : std::string()) +
              "waits for " + status.waits_for);
  }
  if (status.asking > 0) lines.add(count_of(status.asking, "device") + " asking for a turn");
  return lines.take();
}

// "wave 1 (approved): 219 devices: 205 committed, 14 failed"
std::string wave_line(const RolloutStatus::Wave& wave, std::size_t number) {
  std::string text = "wave " + std::to_string(number);
  if (!wave.opened) return text + ": closed";
  if (wave.approved) text += " (approved)";
  const std::array<std::pair<std::uint64_t, const char*>, 8> parts{{{wave.silent, "silent"},
                                                                    {wave.waiting, "waiting"},
                                                                    {wave.in_flight, "in flight"},
                                                                    {wave.committed, "committed"},
                                                                    {wave.failed, "failed"},
                                                                    {wave.retrying, "retrying"},
                                                                    {wave.refused, "refused"},
                                                                    {wave.late, "late"}}};
  std::vector<std::string> counts;
  for (const auto& [count, name] : parts) {
    if (count > 0) counts.push_back(std::to_string(count) + " " + name);
  }
  text += ": " + count_of(wave.admitted, "device");
  return counts.empty() ? text : text + ": " + joined(counts, ", ");
}

// The open wave first: where not all fit, it is the one that matters.
std::vector<std::string> waves_part(const RolloutStatus& status, std::size_t columns) {
  if (status.waves.size() < 2) return {};
  Lines lines(columns);
  const auto open = static_cast<std::size_t>(std::clamp<std::uint64_t>(status.wave, 1, status.waves.size())) - 1;
  lines.add(wave_line(status.waves[open], open + 1));
  for (std::size_t i = 0; i < status.waves.size(); ++i) {
    if (i != open) lines.add(wave_line(status.waves[i], i + 1));
  }
  return lines.take();
}

std::vector<std::string> reasons_part(const RolloutStatus& status, std::size_t columns) {
  Lines lines(columns);
  for (const auto& reason : status.reasons)
    lines.add(std::to_string(reason.count) + " x " + reason.code + ": " + reason.text, kReasonLines);
  return lines.take();
}

std::vector<std::string> figures_part(const RolloutStatus& status, WallMs now, std::size_t columns) {
  Lines lines(columns);
  lines.add("started " + relative_time(status.started, now) + ", last change " + relative_time(status.updated, now));
  std::string sent = human_bytes(status.bytes_sent) + " sent";
  if (status.bytes_budget != 0) sent += " of at most " + human_bytes(status.bytes_budget);
  if (status.bytes_full != 0) sent += "; " + human_bytes(status.bytes_full) + " if every device had fetched the whole";
  lines.add(sent);
  lines.add("rollout " + status.rollout);
  return lines.take();
}

// A command is to be copied, so it is never cut or broken where the screen has room for it. What it does stands behind
// it, or not at all.
std::vector<std::string> next_part(const RolloutStatus& status, std::size_t columns) {
  std::vector<std::string> lines;
  for (const auto& command : next_commands(status)) {
    const auto alone = command.substr(0, command.find("   #"));
    const bool all_fits = display_width(command) + 2 <= columns;
    lines.push_back(cut_to("  " + printable(all_fits ? command : alone), columns));
  }
  if (!lines.empty()) lines.insert(lines.begin(), "next:");
  return lines;
}

}  // namespace

std::string rollout_screen(const RolloutStatus& status, WallMs now, ScreenSize size) {
  const std::size_t columns = std::max<std::size_t>(size.columns, 2) - 1;
  const std::size_t rows = std::max<std::size_t>(size.rows, 2) - 1;
  return fit({{0, head_part(status, columns)},
              {2, waves_part(status, columns)},
              {3, reasons_part(status, columns)},
              {4, figures_part(status, now, columns)},
              {1, next_part(status, columns)}},
             rows);
}

}  // namespace instar::publisher
