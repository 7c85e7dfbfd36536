// The Service as a page: for each call of the port, which part is asked, in which order. Parts answer; none knows this
// class. Internal to the broker plugin.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "broker-plugin/access.hpp"
#include "broker-plugin/acks.hpp"
#include "broker-plugin/chores.hpp"
#include "broker-plugin/chunk_server.hpp"
#include "broker-plugin/clock_watch.hpp"
#include "broker-plugin/commits.hpp"
#include "broker-plugin/complaints.hpp"
#include "broker-plugin/intake.hpp"
#include "broker-plugin/log.hpp"
#include "broker-plugin/outbox.hpp"
#include "broker-plugin/roots.hpp"
#include "broker-plugin/service.hpp"
#include "broker-plugin/status_board.hpp"
#include "broker-plugin/upload.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::broker {

class ServiceImpl final : public Service {
 public:
  ServiceImpl(ServiceOptions options, storage::Store& store, BrokerPort& broker, TransferLog transfer_log,
              std::unique_ptr<Opener> opener);

  [[nodiscard]] Status start(Now now) override;
  [[nodiscard]] Verdict on_message(const Sender& sender, std::string_view topic, ByteView payload, wire::Qos qos,
                                   wire::Retain retain, Now now) override;
  void on_control(const Sender& sender, std::string_view payload, Now now) override;
  void on_disconnect(std::string_view client_id, Now now) override;
  void on_tick(Now now) override;
  void on_stop() override;
  [[nodiscard]] bool has_more() const override { return acks_.has_more(); }
  [[nodiscard]] bool may_write(const Sender& sender, std::string_view topic) const override;
  [[nodiscard]] bool may_read(const Sender& sender, std::string_view topic) const override;
  void assert_invariants() const override;

 private:
  // --- service.cpp: the calls of the port ---
  [[nodiscard]] Verdict refuse(const Sender& sender, std::string_view topic, const Error& error);
  void do_chores();
  void send_acks();

  // --- service_store.cpp: the store, and what follows from its writes ---
  // What goes with effects: written in the same batch; done before the others of them, and after. `lost`: done in the
  // place of all that when the write fails.
  struct Around {
    storage::Batch batch;
    std::function<void()> before;
    std::function<void()> after;
    std::function<void(const Error&)> lost;
  };
  // The Save and Remove effects in one batch; once it is durable the others.
  void carry_out(rollout::Effects effects, Around around = {});
  void act_on(const rollout::Effect& effect);
  // It goes on, and not all of its packs are there.
  [[nodiscard]] bool lacks_packs(const ManifestId& rollout) const;
  // From the store, as it was taken, if its packs are there.
  void offer_manifest(const rollout::Audience& audience, const ManifestId& rollout);
  [[nodiscard]] Status load();
  void try_recovery();
  void publish_retained();
  void publish_status(const ManifestId& rollout);
  void check_gate_key();
  void check_approvals();
  // The root document in force may expire soon.
  void warn_of_expiry();

  // --- service_clock.cpp: the broker's own clock ---
  // Each call of the port begins with it.
  void note_time(Now now);
  [[nodiscard]] Status start_clock();
  // It is held for something else than before: what follows, and a line.
  void clock_judged();
  void write_clock_line();
  void save_clock();

  // --- service_operators.cpp: what operators publish ---
  [[nodiscard]] Verdict take_root(const Sender& sender, std::string_view topic, ByteView payload);
  [[nodiscard]] Verdict take_assignment(const Sender& sender, const DeviceId& device, std::string_view topic,
                                        ByteView payload);
  // `stored`: the one before, as the store answers.
  [[nodiscard]] Status assign(const DeviceId& device, const Bytes& envelope, bool own_connection,
                              const Result<std::optional<Bytes>>& stored);
  void put_in_force(const DeviceId& device, const Bytes& assignment);
  void note_assigned(const DeviceId& device, ByteView assignment);
  [[nodiscard]] Verdict take_manifest(const Sender& sender, const wire::Topic& parsed, std::string_view topic,
                                      ByteView payload);
  // `id` is set as soon as it is known.
  [[nodiscard]] Status accept_manifest(const Sender& sender, const rollout::Audience& audience, ByteView payload,
                                       ManifestId& id);
  [[nodiscard]] Status take_put(const Sender& sender, const ClientId& client, ByteView payload);
  void refuse_put(const ClientId& client, const PackId& pack, const Error& error);
  // For a pack of so many bytes, by the bounds of the options: packs that nothing needs go.
  [[nodiscard]] Status make_room(std::uint64_t bytes);

  // --- service_devices.cpp: what devices send ---
  [[nodiscard]] Status take_device_message(const Sender& sender, const wire::Topic& topic, ByteView payload);
  // Hellos and reports: they wait in the intake until it is their client's turn.
  [[nodiscard]] Status let_in(const Sender& sender, const std::string& client, const DeviceId& device, Intent intent,
                              ByteView payload);
  // Has checked what waits, as far as the opener and the store take it.
  void check_waiting();
  void check(Intake::Next next);
  void hello_opened(const std::string& client, const DeviceId& device, rollout::Via via,
                    const Result<wire::Hello>& hello);
  void report_opened(const std::string& client, const DeviceId& device, const Result<wire::Report>& report);
  [[nodiscard]] Status take_fetch(const Sender& sender, const std::string& client, const DeviceId& device,
                                  ByteView payload);
  [[nodiscard]] wire::ChunkFault account(const SentPiece& piece);
  // What a device sent was not let in.
  [[nodiscard]] Status turn_away(const DeviceId& device, Intent intent, const Intake::Refusal& refusal);
  void refuse_device(const std::string& client, const DeviceId& device, const Error& error);
  // Of the next devices those that have never taken part, and have been silent for long.
  void forget_silent();

  const ServiceOptions options_;
  storage::Store& store_;
  const Log log_;
  const Outbox outbox_;
  const Access access_;
  ClockWatch clock_;
  const TransferLog transfer_log_;
  Complaints complaints_;
  Commits commits_;
  Roots roots_;
  rollout::Tracker tracker_;
  ChunkServer chunks_;
  Upload upload_;
  Intake intake_;
  std::unique_ptr<Opener> opener_;
  // Who is connected by the messages that have arrived, not by those that have been opened.
  std::unordered_set<DeviceId> connected_;
  DeviceId looked_at_;  // the last one of forget_silent()
  // Assignments that are on their way into the store: the next one is held against them, not against what is there. As
  // many at most as Commits lets wait.
  std::map<DeviceId, Bytes> assigning_;
  Acks acks_;
  StatusBoard statuses_;
  Chores chores_;
  Now now_;
  std::shared_ptr<ServiceImpl*> self_;  // replies and reads hold it weakly
};

}  // namespace instar::broker
