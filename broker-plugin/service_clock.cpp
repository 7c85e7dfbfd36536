// The broker's own clock: while it is in doubt, no wave opens and no gate is signed.
#include <optional>
#include <string>
#include <utility>

#include "broker-plugin/service_impl.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {

void ServiceImpl::note_time(Now now) {
  now_ = now;
  if (clock_.see(now)) clock_judged();
}

Status ServiceImpl::start_clock() {
  std::optional<WallMs> saved;
  INSTAR_CHECK(store_.scan(storage::Column::meta, storage::kClockKey, [&](ByteView key, ByteView value) {
    if (as_text(key) == storage::kClockKey) saved = storage::parse_clock_value(value);
    return true;
  }));
  const auto* trust = roots_.trust();
  clock_.start(saved, trust == nullptr ? std::nullopt : std::optional(trust->root().issued), now_);
  if (clock_.is_suspect()) clock_judged();
  return {};
}

void ServiceImpl::clock_judged() {
  rollout::Effects effects;
  tracker_.hold(clock_.doubt(), effects);
  static_cast<void>(clock_.line_is_due(now_.monotonic));
  if (clock_.is_suspect()) {
    write_clock_line();
  } else {
    log_.write(LogLevel::notice, "the broker's clock is in doubt no more: it says " + utc_text(now_.wall));
  }
  carry_out(std::move(effects));
}

void ServiceImpl::write_clock_line() {
  const std::string what =
      "the broker's clock is in doubt: " + clock_.reason() + " (now it says " + utc_text(now_.wall) + "). ";
  log_.write(
      LogLevel::warning,
      what + (clock_.is_trusted()
                  ? "It is believed all the same, as plugin_opt_clock says"
                  : "No wave opens and no gate is signed until it is put right. If it is right, publish a release "
                    "or a root document that a machine with the same time has signed, or set plugin_opt_clock "
                    "trust"));
}

void ServiceImpl::save_clock() {
  commits_.when_durable({{storage::Column::meta, std::string(storage::kClockKey), storage::clock_value(now_.wall)}},
                        {});
}

}  // namespace instar::broker
