#include "device-client/daemon.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/wire/cut_piece.hpp"
#include "device-client/host.hpp"
#include "device-client/process/json_line.hpp"
#include "files/files.hpp"
#include "files/spared_file.hpp"

namespace instar::device {
namespace {

constexpr int kMessagesATurn = 64;       // after these, containers and timers get their turn
constexpr std::int64_t kTickMs = 1'000;  // during an attempt
constexpr int kIdleWaitMs = 600'000;
constexpr std::int64_t kLookMs = 60'000;  // while a release waits: the clock may be set, or local time change
constexpr std::uint32_t kStopMs = 3'000;
// A hello that the broker has not answered by then is looked into: an ack comes at each connect.
constexpr std::int64_t kHelloSilenceMs = 30'000;
// To look ends the connection, so it is not done more often.
constexpr std::int64_t kLookEveryMs = 24 * 3'600'000;

std::string presence(bool online, std::string_view reason) {
  JsonLine line;
  line.add("state", online ? "online" : "offline");
  if (!reason.empty()) line.add("reason", reason);
  return line.add("client", client_version()).str();
}

// A broker's list of rights may be older than the chain of root documents: without a version of it a device says so,
// and goes on.
mqtt::Subscription subscription_of(const wire::Topics& topics, const std::string& filter, wire::Qos qos) {
  const auto topic = topics.parse(filter);
  return {filter, qos, !topic || topic->kind != wire::TopicKind::root_version};
}

// "plant-8, plant-8/line-a for product press": whose releases those filters bring.
std::string audiences_in(const wire::Topics& topics, const std::vector<std::pair<std::string, wire::Qos>>& filters) {
  std::set<std::string> groups;
  std::string product;
  for (const auto& [filter, qos] : filters) {
    const auto topic = topics.parse(filter);
    if (!topic || topic->kind != wire::TopicKind::group_manifest) continue;
    groups.insert(topic->group.str());
    product = topic->product;
  }
  std::string text;
  for (const auto& group : groups) text += (text.empty() ? "" : ", ") + group;
  return text + " for product " + product;
}

Status point(const std::string& link, std::uint32_t revision) {
  if (revision != 0) return files::replace_link(link, "revisions/" + std::to_string(revision));
  if (::unlink(link.c_str()) != 0 && errno != ENOENT)
    return fail(Code::io, "cannot remove " + link + ": " + std::strerror(errno));
  return {};
}

}  // namespace

Daemon::Daemon(DaemonParts parts)
    : parts_(std::move(parts)),
      supervisor_({parts_.config, parts_.host, parts_.helper, &parts_.log, [this] { return is_disk_full(); },
                   [this] { return make_start_room(); }}),
      clients_(parts_.config.state_dir),
      now_(parts_.clocks()),
      link_words_(parts_.config.state_dir) {
  if (running_client()) lasts_at_ = now_.monotonic + ClientSlots::kLastedMs;
}

Result<std::unique_ptr<Daemon>> Daemon::open(DaemonParts parts) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(parts)));
  if (auto watch = OwnerWatch::start(daemon->parts_.config.state_dir))
    daemon->owner_watch_ = std::move(*watch);
  else
    daemon->parts_.troubles.push_back("the owner's instructions are read once a minute only: " + watch.error().message);
  INSTAR_CHECK(daemon->load());
  daemon->look_around();
  daemon->connect_when_due();
  return daemon;
}

Status Daemon::connect() {
  const Config& config = parts_.config;
  mqtt::Options options;
  options.server_uri = config.server;
  options.client_id = config.device_id.str();
  options.username = config.username;
  if (!config.password_file.empty()) {
    INSTAR_TRY(auto password, files::read_password_file(config.password_file, limits::kSecretFileBytesMax));
    if (!password.warning.empty()) parts_.log.warning(password.warning);
    options.password = std::move(password.text);
  }
  options.ca_file = config.ca_file;
  options.certificate_file = config.certificate_file;
  options.key_file = config.key_file;
  if (!config.key_file.empty()) INSTAR_CHECK(files::check_private_key_file(config.key_file));
  options.clean_session = false;
  options.takes_cut_messages = true;
  options.keepalive_s = config.keepalive_s;
  options.reconnect_ms_max = config.reconnect_s_max * 1000;
  options.will = mqtt::Message{config.topics.device(config.device_id, wire::TopicKind::device_presence),
                               to_bytes(presence(false, "lost")), wire::Qos::at_least_once, wire::Retain::yes};
  subscribed_ = machine_->subscriptions();
  if (parts_.install.is_zero()) parts_.log.notice("listening to " + audiences_in(config.topics, subscribed_));
  for (auto& [filter, qos] : subscribed_) options.subscriptions.push_back(subscription_of(config.topics, filter, qos));
  client_ = parts_.make_client(std::move(options));
  return client_->start();
}

void Daemon::connect_when_due() {
  if (client_ || (connect_at_ && now_.monotonic < *connect_at_)) return;
  const auto connected = connect();
  connect_trouble_ =
      connected ? "" : "there is no connection to " + parts_.config.server + ": " + connected.error().message;
  if (!connected) {
    client_.reset();
    connect_at_ = now_.monotonic + kLookMs;
  }
  say_trouble();
}

int Daemon::run(int stop_fd) {
  while (true) {
    pollfd stop{stop_fd, POLLIN, 0};
    if (::poll(&stop, 1, 0) == 1) break;
    if (!turn(stop_fd, kIdleWaitMs)) {
      parts_.log.error("stopping; containers run on");
      if (client_) client_->stop(0);
      return 1;
    }
  }
  parts_.log.notice("stopping as asked; containers run on");
  publish_presence(false);
  if (client_) client_->stop(kStopMs);
  clients_.lasted();
  if (parts_.watchdog) parts_.watchdog->stop();
  return 0;
}

bool Daemon::turn(int stop_fd, int wait_ms_max) {
  if (failed_) return false;
  wait(stop_fd, wait_ms_max);
  now_ = parts_.clocks();
  look_around();
  connect_when_due();
  take_messages();
  supervisor_.poll(now_.monotonic, fresh_);
  handle_all();
  stage();
  handle_all();
  tick();
  look_at_silence();
  remove_deferred();
  handle_all();
  if (auto phase = machine_->view().phase; phase != phase_) {
    phase_ = std::move(phase);
    disk_look_at_ = now_.monotonic;
    let_go_of_code();
  }
  if (parts_.watchdog) parts_.watchdog->tick(supervisor_.is_well(), now_.monotonic);
  if (lasts_at_ && now_.monotonic >= *lasts_at_) {
    clients_.lasted();
    lasts_at_.reset();
  }
  if (supervisor_.wants_other_client() && !failed_) become_other_client();
  return !failed_;
}

void Daemon::stage() {
  parts_.staging->tick(now_.monotonic);
  if (parts_.reserve) {
    if (staging_busy_) parts_.reserve->lend(!has_more_to_give());
    parts_.reserve->keep_quarter(true);
  }
  staging_busy_ = parts_.staging->step(fresh_);
  if (parts_.reserve) parts_.reserve->keep_quarter(false);
}

// The broker only notices a new connection.
void Daemon::become_other_client() {
  if (client_) client_->stop(kStopMs);
  const auto error = parts_.run_client_again();
  parts_.log.error(error.message + "; ending, for the service manager to do it");
  failed_ = true;
}

int Daemon::wait_ms(int wait_ms_max) {
  const bool has_work = staging_busy_ || !fresh_.empty() || !events_.empty();
  const int rest_ms = parts_.pause ? parts_.pause->resume_if_due(has_work) : 0;
  if (has_work) return rest_ms;
  now_ = parts_.clocks();
  std::int64_t wait = wait_ms_max;
  const auto until = [&](const std::optional<MonotonicMs>& when) {
    if (when) wait = std::clamp<std::int64_t>(*when - now_.monotonic, 0, wait);
  };
  until(machine_->next_deadline());
  until(supervisor_.next_deadline(now_.monotonic));
  until(parts_.staging->next_deadline());
  if (parts_.watchdog) until(parts_.watchdog->next_deadline());
  until(lasts_at_);
  if (unanswered_) until(silent_since_ + kHelloSilenceMs);
  until(disk_look_at_);
  if (!client_) until(connect_at_);
  const auto view = machine_->view();
  if (view.phase != "idle") wait = std::min(wait, kTickMs);
  // Local time may jump while a release waits for a window.
  if (!view.waits.empty()) wait = std::min(wait, kLookMs);
  return static_cast<int>(wait);
}

void Daemon::wait(int stop_fd, int wait_ms_max) {
  std::vector<pollfd> waiting;
  for (const int fd : supervisor_.fds()) waiting.push_back({fd, POLLIN, 0});
  for (const int fd :
       {stop_fd, client_ ? client_->event_fd() : -1, owner_watch_ ? owner_watch_->fd() : -1, clock_watch_.fd()})
    if (fd >= 0) waiting.push_back({fd, POLLIN, 0});
  ::poll(waiting.data(), waiting.size(), wait_ms(wait_ms_max));
}

void Daemon::take_messages() {
  for (int i = 0; i < kMessagesATurn && !failed_ && client_; ++i) {
    auto event = client_->take(0);
    if (!event) return;
    now_ = parts_.clocks();  // nothing is handled at a time before it came
    switch (event->kind) {
      case mqtt::EventKind::connected:
        connected_ = true;
        link_words_.connected(now_);
        parts_.log.notice("connected to " + parts_.config.server);
        let_go_of_code();
        handle(revision::Connected{event->is_opened && event->is_lasting});
        publish_presence(true);
        break;
      case mqtt::EventKind::disconnected: lost_link(*event); break;
      case mqtt::EventKind::explained: explain(*event); break;
      case mqtt::EventKind::cut_off: take_cut_piece(*event); break;
      case mqtt::EventKind::message:
        leave_if_unwanted(event->message.topic);
        if (is_ack(event->message.topic)) unanswered_.reset();
        handle(revision::MessageArrived{std::move(event->message.topic), std::move(event->message.payload)});
        break;
    }
    handle_all();
  }
}

// What has arrived of a piece is paid for, and the next one goes on behind it.
void Daemon::take_cut_piece(const mqtt::Event& event) {
  if (event.message.topic != parts_.config.topics.device(parts_.config.device_id, wire::TopicKind::device_chunk))
    return;
  const auto piece = wire::decode_cut_piece(event.message.payload, event.bytes);
  if (piece) handle(revision::MessageArrived{event.message.topic, wire::encode(*piece)});
}

// The broker keeps the session of a client that was configured otherwise before: what that one listened to would come,
// and be paid for, for ever.
void Daemon::leave_if_unwanted(const std::string& topic) {
  if (std::ranges::find(subscribed_, topic, &std::pair<std::string, wire::Qos>::first) != subscribed_.end()) return;
  parts_.log.info("unsubscribing from " + topic + ", which is not for this device any more");
  if (const auto left = client_->unsubscribe(topic); !left) parts_.log.debug(left.error().message);
}

// The cause comes as an event of its own, at the level of a warning.
void Daemon::lost_link(const mqtt::Event& event) {
  link_words_.disconnected(event.reason, now_);
  unanswered_.reset();
  parts_.log.write(connected_ ? LogLevel::notice : LogLevel::debug,
                   "not connected to " + parts_.config.server + ": " + event.reason);
  if (std::exchange(connected_, false)) handle(revision::Disconnected{});
}

void Daemon::explain(const mqtt::Event& event) {
  const auto words = link_words_.explained(event, now_);
  if (!words) return;
  const bool is_connection =
      event.fault == mqtt::Fault::unknown || mqtt::entry_of(event.fault).kind == mqtt::FaultKind::no_connection;
  parts_.log.warning((is_connection ? "not connected to " : "the broker ") + parts_.config.server + ": " + *words);
}

bool Daemon::is_ack(const std::string& topic) const {
  const auto parsed = parts_.config.topics.parse(topic);
  return parsed && parsed->kind == wire::TopicKind::device_ack;
}

void Daemon::look_at_silence() {
  if (!unanswered_ || !connected_ || now_.monotonic - silent_since_ < kHelloSilenceMs) return;
  if (looked_at_ && now_.monotonic - *looked_at_ < kLookEveryMs) return unanswered_.reset();
  looked_at_ = now_.monotonic;
  const auto ack = parts_.config.topics.device(parts_.config.device_id, wire::TopicKind::device_ack);
  client_->find_out_why({std::move(*unanswered_), {ack}, true});
  unanswered_.reset();
}

// Presence is for people and dashboards only. What counts are hello and report.
void Daemon::publish_presence(bool online) {
  if (!client_) return;
  const auto sent = client_->publish(
      {parts_.config.topics.device(parts_.config.device_id, wire::TopicKind::device_presence),
       to_bytes(presence(online, online ? "" : "stopped")), wire::Qos::at_least_once, wire::Retain::yes});
  if (!sent) parts_.log.debug(sent.error().message);
}

void Daemon::handle(const revision::Event& event) {
  if (failed_) return;
  revision::Effects effects;
  machine_->handle(event, now_, effects);
  carry_out(effects);
}

void Daemon::handle_all() {
  while (!failed_ && !(fresh_.empty() && events_.empty())) {
    std::ranges::move(fresh_, std::back_inserter(events_));
    fresh_.clear();
    if (events_.empty()) return;
    const revision::Event event = std::move(events_.front());
    events_.pop_front();
    handle(event);
  }
}

void Daemon::carry_out(revision::Effects& effects) {
  for (auto& one : effects) {
    std::visit([this](auto& value) { effect(value); }, one);
    if (failed_) return;  // if the state is not durable, nothing may follow
  }
}

void Daemon::look_around() {
  if (!staging_busy_ && deferred_.empty() && (!space_reported_ || now_.monotonic - *space_reported_ >= kLookMs)) {
    space_reported_ = now_.monotonic;
    parts_.staging->tell_free_space(fresh_);
    handle_all();
  }
  const revision::LocalTime local{parts_.utc_offset_s(now_.wall), parts_.clock_state()};
  if (const auto change = clock_watch_.take_change(local, now_)) handle(*change);
  if (!disk_look_at_ || now_.monotonic >= *disk_look_at_) look_at_disk();
  const bool is_due = !owner_read_ || now_.monotonic - *owner_read_ >= kLookMs;
  if (owner_watch_ ? !owner_watch_->take_change() : !is_due) return;
  owner_read_ = now_.monotonic;
  auto word = read_owner_word(parts_.config.state_dir);
  if (!word) {
    parts_.log.error(word.error().message + "; until that is put right, updates are held");
    word = revision::OwnerInstruction{true, false, "", {}};
  }
  word->install = parts_.install;
  handle(revision::OwnerInstruction{*word});
  handle_all();
}

void Daemon::tick() {
  const auto deadline = machine_->next_deadline();
  const bool due = deadline && now_.monotonic >= *deadline;
  const auto view = machine_->view();
  const bool waits = view.phase != "idle" || !view.waits.empty();
  const auto every = view.phase != "idle" ? kTickMs : kLookMs;
  if (!due && !(waits && (!ticked_ || now_.monotonic - *ticked_ >= every))) return;
  ticked_ = now_.monotonic;
  handle(revision::Ticked{});
  handle_all();
}

void Daemon::effect(const revision::Persist& persist) {
  const std::string& folder = parts_.config.state_dir;
  // The anchor first: what the state says is never further than what it says.
  Status written;
  if (!persist.anchor.empty()) written = files::write_spared_file(anchor_path(folder), persist.anchor, 0600);
  if (written) written = files::write_spared_file(state_path(folder), persist.state, 0600);
  if (written) return;
  parts_.log.error(written.error().message);
  failure_ = written.error();
  failed_ = true;
}

void Daemon::effect(revision::Publish& publish) {
  if (!client_) return;
  mqtt::Message message{std::move(publish.topic), std::move(publish.payload), publish.qos, publish.retain};
  if (publish.opens) return client_->open_with(std::move(message));
  const auto topic = parts_.config.topics.parse(message.topic);
  if (topic && topic->kind == wire::TopicKind::device_hello && connected_) {
    unanswered_ = message;
    silent_since_ = now_.monotonic;
  }
  const auto sent = client_->publish(std::move(message));
  // A failed publish() needs no handling: reports are sent again until they are acked, and a fetch when nothing comes.
  if (!sent) parts_.log.debug(sent.error().message);
}

void Daemon::effect(const revision::Resubscribe& again) {
  static_cast<void>(again);
  if (!client_) return;
  const auto before = std::exchange(subscribed_, machine_->subscriptions());
  const auto has = [](const auto& list, const std::string& filter) {
    return std::ranges::any_of(list, [&](const auto& one) { return one.first == filter; });
  };
  for (const auto& [filter, qos] : before) {
    if (has(subscribed_, filter)) continue;
    if (const auto left = client_->unsubscribe(filter); !left) parts_.log.warning(left.error().message);
  }
  for (const auto& [filter, qos] : subscribed_) {
    if (has(before, filter)) continue;
    const auto added = client_->subscribe(subscription_of(parts_.config.topics, filter, qos));
    if (!added) parts_.log.warning(added.error().message);
  }
  const auto listening = audiences_in(parts_.config.topics, subscribed_);
  if (listening != audiences_in(parts_.config.topics, before)) parts_.log.notice("listening to " + listening);
}

void Daemon::effect(const revision::RemoveRevision& remove) {
  deferred_.insert(remove.revision);
  remove_deferred();
}

// Trees that a container may run from stay: the machine then asks for all of them to be kept.
void Daemon::effect(const revision::TrimRevision& trim) {
  if (!supervisor_.knows_what_runs() || supervisor_.revisions_in_use().contains(trim.revision)) return;
  parts_.staging->trim(trim);
  staging_busy_ = true;
}

// The folder of a revision is removed only when no container runs from its trees. A container that did not change may
// run on after its revision.
void Daemon::remove_deferred() {
  if (deferred_.empty() || !supervisor_.knows_what_runs()) return;
  const auto used = supervisor_.revisions_in_use();
  for (auto it = deferred_.begin(); it != deferred_.end();) {
    if (used.contains(*it)) {
      ++it;
      continue;
    }
    parts_.staging->remove({*it});
    it = deferred_.erase(it);
    staging_busy_ = true;
  }
}

void Daemon::effect(const revision::PointCurrent& point_current) {
  const std::string& folder = parts_.config.state_dir;
  for (const auto& [link, revision] :
       {std::pair{folder + "/current", point_current.current}, std::pair{folder + "/previous", point_current.previous}})
    if (const auto pointed = point(link, revision); !pointed) parts_.log.warning(pointed.error().message);
}

}  // namespace instar::device
