// The Service, spread over service*.cpp. Internal to the broker plugin.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "broker-plugin/chunk_server.hpp"
#include "broker-plugin/complaints.hpp"
#include "broker-plugin/service.hpp"
#include "broker-plugin/status_json.hpp"
#include "broker-plugin/upload.hpp"
#include "core/rollout/tracker.hpp"
#include "core/trust/root.hpp"

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
  [[nodiscard]] bool has_more() const override { return !acks_leaving_.empty(); }
  [[nodiscard]] bool may_write(const Sender& sender, std::string_view topic) const override;
  [[nodiscard]] bool may_read(const Sender& sender, std::string_view topic) const override;
  void assert_invariants() const override { tracker_.assert_invariants(); }

 private:
  struct Reply;

  // --- service.cpp: the frame ---
  [[nodiscard]] Status check_message(const Sender& sender, const std::optional<wire::Topic>& topic,
                                     ByteView payload) const;
  [[nodiscard]] Verdict refuse(std::string_view topic, const Error& error);
  void do_chores();
  void log(LogLevel level, std::string line);

  // --- service_store.cpp: persist, then act ---
  // Commits `batch`, then `act` once it (and all before it) is durable; `act` never runs when that fails.
  void when_durable(storage::Batch batch, std::function<void()> act);
  // The Save and Remove effects in one batch with `batch`, then the others, then `act`.
  void carry_out(rollout::Effects effects, storage::Batch batch = {}, std::function<void()> act = {});
  [[nodiscard]] Status load();
  [[nodiscard]] Status load_root();
  [[nodiscard]] Status load_tracker();
  void store_failed(const Error& error);
  void try_recovery();
  void publish_retained();

  // --- service_devices.cpp ---
  [[nodiscard]] Status take_hello(const Sender& sender, const DeviceId& device, ByteView payload);
  void note_connected(const Sender& sender, const DeviceId& device);
  [[nodiscard]] Status heed_hello(rollout::Via via, const Result<wire::Hello>& hello);
  [[nodiscard]] Status take_report(const Sender& sender, const DeviceId& device, ByteView payload);
  [[nodiscard]] Status heed_report(const Result<wire::Report>& report);
  // The store or the opener has as much as it can take: the device sends it again.
  [[nodiscard]] bool is_behind() const;
  void refuse_device(const DeviceId& device, const Error& error);
  [[nodiscard]] Status take_fetch(const DeviceId& device, ByteView payload);
  [[nodiscard]] Status take_put(const ClientId& client, ByteView payload);
  // Acks of one device that become durable together go out as one, at the end of the turn.
  void queue_ack(const DeviceId& device, const wire::Ack& ack);
  void send_acks();
  void send_ack(const DeviceId& device, const wire::Ack& ack);

  // --- service_manifests.cpp ---
  [[nodiscard]] Verdict take_root(ByteView payload);
  [[nodiscard]] Verdict take_assignment(const DeviceId& device, std::string_view topic, ByteView payload, bool retain);
  [[nodiscard]] Status check_assignment(const DeviceId& device, ByteView payload) const;
  [[nodiscard]] Verdict take_manifest(const Sender& sender, const GroupPath& group, std::string_view topic,
                                      ByteView payload, bool retain);
  [[nodiscard]] Result<wire::Manifest> open_manifest(const GroupPath& group, ByteView payload, Hash256& hash) const;
  [[nodiscard]] Status check_packs(const wire::Manifest& manifest) const;
  void send_gate(const wire::Gate& gate);
  void check_gate_key();
  // Publishes now or, within a second of the last time, from a later tick.
  void show_status(const Hash256& rollout);
  void publish_status(const Hash256& rollout);
  void publish_due_statuses();

  // --- service_control.cpp ---
  void run_command(const Json& command, const std::shared_ptr<Reply>& reply, rollout::Effects& effects);
  // Commands whose answer takes reads of the store; false: it is none of them.
  [[nodiscard]] bool answer_later(const std::string& name, const Json& command, const std::shared_ptr<Reply>& reply,
                                  Json& response);
  [[nodiscard]] Result<Json> answer(const std::string& name, const Json& command, Reply& reply,
                                    rollout::Effects& effects);
  [[nodiscard]] bool is_online(const DeviceId& device) const;
  [[nodiscard]] Json list_rollouts(const Json& command, Reply& reply) const;
  [[nodiscard]] Result<Json> get_rollout(const Json& command, Reply& reply) const;
  [[nodiscard]] Result<Json> list_devices(const Json& command, Reply& reply) const;
  [[nodiscard]] Result<Json> list_artifacts(const Json& command, Reply& reply) const;
  [[nodiscard]] Result<Json> device_row(const Json& command) const;
  // Both wait for the store.
  void get_device(const Json& command, const std::shared_ptr<Reply>& reply, Json response);
  void get_rollout_history(const Json& command, const std::shared_ptr<Reply>& reply, Json response);
  [[nodiscard]] Result<Json> forget_device(const Json& command, rollout::Effects& effects);
  [[nodiscard]] Result<Json> act_on_rollout(const Json& command, rollout::Action action, const Reply& reply,
                                            rollout::Effects& effects);
  [[nodiscard]] Result<Json> approve_rollout(const Json& command, const Reply& reply, rollout::Effects& effects);
  [[nodiscard]] Result<Json> retry_rollout(const Json& command, const Reply& reply, rollout::Effects& effects);
  [[nodiscard]] Result<Json> list_groups(const Json& command, Reply& reply) const;
  [[nodiscard]] Json rollout_json(const Hash256& hash) const;
  // Reads history entries (newest first), then puts them into the answer under `field`.
  void add_history(const std::shared_ptr<Reply>& reply, std::size_t at, const char* field,
                   std::vector<std::string> keys, Json (*row)(const Bytes& record));
  [[nodiscard]] Json get_version() const;
  void get_pack(const Json& command, const std::shared_ptr<Reply>& reply, std::size_t at);
  void look_for_chunks(const Hash256& id, const std::shared_ptr<Reply>& reply, std::size_t at, const Bytes& directory);
  void finish(const std::shared_ptr<Reply>& reply);
  [[nodiscard]] Result<Hash256> find_rollout(const Json& command) const;

  // --- service_acl.cpp ---
  [[nodiscard]] bool is_operator(const Sender& sender) const;
  // As history names who did something: the username, else the client id.
  [[nodiscard]] static std::string name_of(const Sender& sender);

  ServiceOptions options_;
  storage::Store& store_;
  BrokerPort& broker_;
  TransferLog transfer_log_;
  std::optional<trust::TrustStore> trust_;
  rollout::Tracker tracker_;
  std::unordered_set<Hash256> complete_packs_;
  ChunkServer chunks_;
  Upload upload_;
  Complaints complaints_;
  std::unique_ptr<Opener> opener_;
  std::unordered_map<DeviceId, wire::Ack> acks_;
  std::vector<std::pair<DeviceId, wire::Ack>> acks_leaving_;
  MonotonicMs acks_after_;                  // not before
  std::unordered_set<DeviceId> connected_;  // of what has arrived, not of what has been opened
  std::unordered_map<Hash256, MonotonicMs> status_published_;
  std::set<Hash256> status_due_;
  Now now_;
  MonotonicMs gates_refreshed_;
  MonotonicMs ticked_;
  MonotonicMs bytes_saved_;
  std::size_t bytes_a_save_ = 0;  // devices
  MonotonicMs sessions_checked_;
  // After a failed commit nothing is taken in until the store has been loaded again.
  bool store_is_down_ = false;
  MonotonicMs recovery_tried_;
  std::shared_ptr<ServiceImpl*> self_;  // store callbacks hold it weakly
};

}  // namespace instar::broker
