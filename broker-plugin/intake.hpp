// How much one client may take. What devices send waits here until a thread is free to check its signature: bounded by
// bytes, each client for itself and all together, and served fairly. A client that floods costs itself only: it has its
// turn like any other, and when all room is taken, the client that has the most waiting gives some of it up.
//
// Pure: knows neither Mosquitto nor the opener; time is passed in. Nothing is copied before it is let in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "broker-plugin/sender.hpp"
#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

// What a client sends, by what it may send of it. `request`: a fetch that asks for chunks, beside being a fetch.
enum class Intent : std::uint8_t { hello, report, fetch, request, put };
inline constexpr std::size_t kIntents = 5;

struct IntakeOptions {
  std::size_t bytes_max;         // of all that wait or are being checked
  std::size_t client_bytes_max;  // of one client's
  std::size_t clients_max;       // that are remembered at a time
  std::size_t checking_max;      // messages that are being checked at a time,
  std::size_t checking_bytes_max;
};
// The bounds of limits.hpp.
[[nodiscard]] IntakeOptions intake_options() noexcept;

class Intake {
 public:
  struct Message {
    Intent intent = Intent::hello;
    DeviceId device;
    bool own_connection = true;
    Bytes payload;
  };
  // A message that is to be checked now. Its client gets the room back with done().
  struct Next {
    std::string client;
    Message message;
  };
  struct Counts {
    std::uint64_t too_large = 0;  // over the bound of its kind
    std::uint64_t too_often = 0;  // over its client's rate
    std::uint64_t no_room = 0;    // over a bound of bytes, or pushed out by a client that has less
    [[nodiscard]] std::uint64_t all() const noexcept { return too_large + too_often + no_room; }
  };
  // Why something was not let in.
  struct Refusal {
    Error error;
    bool tell = false;  // the client has not been told so for a while
  };
  // What push() has pushed out to make room.
  struct Dropped {
    std::string client;
    DeviceId device;
    bool tell = false;
  };

  explicit Intake(const IntakeOptions& options = intake_options()) : options_(options) {}

  // The name under which a client is counted: a device's own, and of one behind a bridge the bridge's with it, so that
  // nobody behind a bridge can use up what a device has on its own connection.
  [[nodiscard]] static std::string client_of(const Sender& sender, std::string_view own_name);

  // Before a message is looked at: its size and its client's rate. nullopt: go on.
  [[nodiscard]] std::optional<Refusal> check(const std::string& client, const Sender& sender, Intent intent,
                                             std::size_t bytes, MonotonicMs now);
  // After check() let it in: copies `payload` and lets it wait. nullopt: it waits.
  [[nodiscard]] std::optional<Refusal> push(const std::string& client, const DeviceId& device, bool own_connection,
                                            Intent intent, ByteView payload, MonotonicMs now);
  // Whose turn it is. nullopt: nothing waits, or enough is being checked. While a client's hello is being checked, its
  // other messages wait: they may need the key that it brings.
  [[nodiscard]] std::optional<Next> next();
  // A message that next() gave has been checked.
  void done(const std::string& client, Intent intent, std::size_t bytes);
  // One of the messages that push() has pushed out; to be asked until there is none.
  [[nodiscard]] std::optional<Dropped> take_dropped();
  // Forgets clients that have used nothing up. A part of them each time.
  void sweep(MonotonicMs now);

  // Who is behind the name; empty views of a client that is not remembered. They hold until the next call.
  [[nodiscard]] Sender sender_of(const std::string& client) const;
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t client_count() const noexcept { return clients_.size(); }
  [[nodiscard]] bool is_idle() const noexcept { return waiting_ == 0 && checking_ == 0; }

  void assert_invariants() const;

 private:
  struct Client {
    std::uint64_t number = 0;  // in the order in which they came
    std::string name;          // its key in clients_
    std::string client_id;
    std::string username;
    std::string address;
    bool own_connection = true;
    std::array<std::int64_t, kIntents> used_until_us{};  // when all that it may send of each kind is there again
    std::optional<MonotonicMs> told;                     // that something of it was not let in
    std::list<Message> waiting;
    std::size_t waiting_bytes = 0;  // each with its cost
    std::size_t checking_bytes = 0;
    std::size_t credit = 0;  // bytes that it may have checked in this turn
    std::size_t checking = 0;
    std::size_t hellos_checking = 0;
    std::optional<std::list<Client*>::iterator> place;  // in the round
  };
  struct ByWeight {
    bool operator()(const Client* one, const Client* other) const noexcept {
      return one->waiting_bytes != other->waiting_bytes ? one->waiting_bytes < other->waiting_bytes
                                                        : one->number < other->number;
    }
  };

  [[nodiscard]] Client* client(const std::string& name, const Sender& sender);
  [[nodiscard]] bool may_tell(Client& client, MonotonicMs now) noexcept;
  [[nodiscard]] bool make_room(const Client& wants, std::size_t cost, MonotonicMs now);
  void weigh(Client& client, std::size_t waiting_bytes);
  [[nodiscard]] Next take_from(Client& client);
  [[nodiscard]] static bool is_at_rest(const Client& client, MonotonicMs now) noexcept;

  IntakeOptions options_;
  std::unordered_map<std::string, Client> clients_;
  std::list<Client*> round_;              // clients with something waiting, the next one in front
  std::set<Client*, ByWeight> heaviest_;  // the same clients
  std::list<Dropped> dropped_;
  std::size_t waiting_ = 0;
  std::size_t checking_ = 0;
  std::size_t checking_bytes_ = 0;
  std::size_t bytes_ = 0;  // of both, each with its cost
  std::uint64_t last_number_ = 0;
  std::size_t sweep_bucket_ = 0;
  Counts counts_;
};

}  // namespace instar::broker
