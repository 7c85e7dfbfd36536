#include "publisher/console/progress.hpp"

#include <algorithm>
#include <utility>

#include "publisher/console/screen.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr std::int64_t kDrawIntervalMs = 100;
constexpr std::size_t kColumns = 100;
// Before this time the rate is not meaningful.
constexpr std::int64_t kRateFromMs = 500;

std::string bar(double share, std::size_t width) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  return "[" + std::string(filled, '#') + std::string(width - filled, ' ') + "]";
}

}  // namespace

std::string progress_line(const std::string& label, std::uint64_t done, std::uint64_t all, std::int64_t elapsed_ms,
                          std::size_t columns) {
  done = std::min(done, all);
  const double share = all == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(all);
  std::string percent = std::to_string(static_cast<int>(share * 100)) + "%";
  percent.insert(0, percent.size() < 4 ? 4 - percent.size() : 0, ' ');
  std::string tail = human_bytes(done) + " of " + human_bytes(all);
  if (elapsed_ms >= kRateFromMs && done > 0) {
    const double rate = static_cast<double>(done) * 1000.0 / static_cast<double>(elapsed_ms);
    tail += "  " + human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
    if (done < all)
      tail +=
          "  " + human_duration(static_cast<std::int64_t>(static_cast<double>(all - done) * 1000.0 / rate)) + " left";
  }
  const std::size_t fixed = display_width(label) + percent.size() + tail.size() + 8;
  const std::size_t width = columns > fixed + 5 ? std::min<std::size_t>(columns - fixed, 24) : 0;
  return label + "  " + percent + "  " + (width == 0 ? "" : bar(share, width) + "  ") + tail;
}

Progress::Progress(std::ostream& out, bool on, std::string label, MonotonicMs start)
    : out_(out), on_(on), label_(std::move(label)), start_(start) {}

void Progress::update(std::uint64_t done, std::uint64_t all, MonotonicMs now) {
  if (!on_ || (now - drawn_ < kDrawIntervalMs && done < all)) return;
  drawn_ = now;
  shown_ = true;
  // A line that is wider than the terminal could not be removed again.
  const auto columns = std::min(screen_size().columns - 1, kColumns);
  out_ << "\r\x1b[K" << cut_to(progress_line(label_, done, all, now - start_, columns), columns) << std::flush;
}

void Progress::finish() {
  if (!shown_) return;
  shown_ = false;
  out_ << "\r\x1b[K" << std::flush;
}

}  // namespace instar::publisher
