// From the decision to go for a release until the stager has verified all of it: for each event, which parts are asked,
// in which order. Knows nothing of trials.
#pragma once

#include <cstdint>
#include <vector>

#include "core/revision/events.hpp"
#include "core/revision/parts.hpp"

namespace instar::revision {

// Has no state of its own.
class Fetching {
 public:
  explicit Fetching(Parts& parts) noexcept : parts_(parts) {}

  // Makes `received` the candidate in a new revision. `trigger`: from idle, or in place of another candidate.
  void begin(const ReceivedManifest& received, const std::vector<PackChoice>& choices, std::uint32_t retry_epoch,
             Trigger trigger);
  // The next attempt at the candidate.
  void retry();
  // Goes on after a restart, too, with what is not yet durable.
  void open_staging();

  void on(const StagingWants& event);
  void on(const ChunkDurable& event);
  void on(const ChunkRefused& event);
  void on(const PackUnusable& event);
  void on(const StagingFailed& event);
  // True: all is there and verified.
  [[nodiscard]] bool finish(const StagingDone& event);
  void take_piece(ByteView payload);
  // Something that may stand in the way has changed, or time has passed.
  void advance();
  // The link is gone: the next connection is to begin with what is fetched next.
  void prepare();
  void check_stall();

 private:
  // The event is about what is being fetched or staged now.
  [[nodiscard]] bool is_about_us(std::uint32_t revision) const noexcept;
  // Asks for what is wanted, if that may be now.
  void ask();
  void plan();
  void finish_staging();
  void want_more();
  void give_up(Code code, std::string message);
  void take_fault(const wire::ChunkPiece& piece);
  // A way that costs more than the one announced may be taken without asking the owner.
  [[nodiscard]] bool may_cost_more() const noexcept;
  void fall_back_to(std::size_t index, const wire::Pack& pack, const PackUnusable& event);
  [[nodiscard]] bool make_room();

  Parts& parts_;
};

}  // namespace instar::revision
