// Bugs that must be found, by switching them on (instar_sim --canary). They are in what is simulated, never in the
// product.
#pragma once

namespace instar::sim {

struct Canaries {
  bool ack_before_durable = false;  // the store says "durable" at once
  bool skip_persist = false;        // devices lose some of their state writes
  bool forged_times = false;        // somebody with the gate key opens waves early, with times that look right
  bool forget_turns = false;        // a crash loses the turns that were given
  bool double_count = false;        // a crash loses how many reports of a device were applied
  bool short_soak = false;          // the broker's monotonic clock runs ten times too fast
  bool false_turn = false;          // a device receives a turn that was not given
  bool lost_lease = false;          // a crash loses how much of a byte budget is spent
  bool strangers_count = false;     // after a crash what strangers said of rollouts counts
  bool late_counts = false;         // after a crash those that came late were there from the beginning
  bool forget_hellos = false;       // a crash loses which hello of a device was the last
  bool hidden_clone = false;        // after a crash the broker knows nothing of the starts of clients
  bool raised_issue = false;        // an old gate is sent again with a number above all others
  bool blind_clock = false;         // devices hold their clock for one that keeps no time
  bool slow_clock = false;          // devices' programs see a time that was eight minutes ago
  bool wrong_clock_stays = false;   // healing leaves one device's clock years ahead
  bool stolen_approval = false;     // a false gate carries an approval signed by a stolen release key
};

}  // namespace instar::sim
