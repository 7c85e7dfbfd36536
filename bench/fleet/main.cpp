// instar_fleet: thousands of devices in one process over real MQTT connections; and two smaller tools on the same
// connections, a generator of reports and a clock for an unrelated topic. Prints one JSON document.
#include <sys/epoll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "bench/fleet/device.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"
#include "files/files.hpp"
#include "publisher/artifact/pack_file.hpp"

namespace instar::fleet {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kFileBytesMax = 64 * 1024 * 1024;

struct Options {
  Plan plan;
  std::uint32_t devices = 100;
  std::uint32_t first = 0;  // number of the first: several processes make one fleet
  std::uint32_t offline_percent = 0;
  std::string root;
  std::string running;
  std::vector<std::string> packs;
  std::vector<std::string> held;
  std::string group;
  std::string release;  // to be reached
  double timeout_s = 600;
  std::uint32_t reports = 0;  // of each device
  double offered = 0;         // reports a second of all devices; 0: as many as are confirmed
  std::string rollout;        // 64 hex digits, that the reports are about
  bool bare = false;
  double seconds = 10;
  double rate = 100;
};

Bytes read(const std::string& path) {
  auto bytes = files::read_file(path, kFileBytesMax);
  if (!bytes) throw std::runtime_error(path + ": " + bytes.error().message);
  return std::move(*bytes);
}

// Which sockets are ready. Each has a number that the caller gives.
class Poll {
 public:
  Poll() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {}
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  ~Poll() { ::close(fd_); }

  // After anything that may have opened a socket or filled its buffer.
  void watch(std::uint32_t number, const Link& link) {
    const int fd = link.fd();
    auto& known = known_[number];
    if (fd < 0) {
      known = {};
      return;
    }
    epoll_event event{};
    event.events = EPOLLIN | (link.wants_write() ? EPOLLOUT : 0U);
    event.data.u32 = number;
    const std::uint32_t wanted = event.events;
    if (known.first == fd && known.second == wanted) return;
    // A new socket may have the number of a closed one.
    if (::epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event) != 0) ::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event);
    known = {fd, wanted};
  }
  template <typename Ready>
  void wait(int ms, Ready ready) {
    std::array<epoll_event, 512> events{};
    const int count = ::epoll_wait(fd_, events.data(), static_cast<int>(events.size()), ms);
    for (int i = 0; i < count; ++i)
      ready(events[static_cast<std::size_t>(i)].data.u32, events[static_cast<std::size_t>(i)].events);
  }

 private:
  int fd_;
  std::map<std::uint32_t, std::pair<int, std::uint32_t>> known_;
};

// --- devices --------------------------------------------------------------------------------------------------
class Fleet {
 public:
  explicit Fleet(const Options& options) : options_(options), random_(options.plan.seed) {
    for (std::uint32_t i = 0; i < options.devices; ++i)
      devices_.push_back(std::make_unique<Device>(options_.plan, totals_, options.first + i));
  }

  Json run() {
    const auto begin = read_clocks().monotonic;
    auto now = read_clocks();
    MonotonicMs tended = now.monotonic;
    MonotonicMs looked = now.monotonic;
    while (now.monotonic - begin < static_cast<std::int64_t>(options_.timeout_s * 1'000)) {
      poll_.wait(options_.offered > 0 ? 2 : 20, [&](std::uint32_t number, std::uint32_t events) {
        auto& link = devices_[number]->link();
        if ((events & EPOLLOUT) != 0) link.write();
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) link.read();
        poll_.watch(number, link);
      });
      now = read_clocks();
      for (std::uint32_t i = 0; i < devices_.size(); ++i) serve(i, now);
      if (now.monotonic - tended > 5'000) {
        tended = now.monotonic;
        for (auto& device : devices_) {
          if (device->is_online()) device->link().tend();
        }
      }
      if (now.monotonic - looked > 500) {
        looked = now.monotonic;
        if (!options_.release.empty() && is_done()) break;
      }
    }
    return document(begin, now);
  }

 private:
  void serve(std::uint32_t number, Now now) {
    auto& device = *devices_[number];
    if (device.wants_connection(now.monotonic)) {
      // Many at a time would fill the broker's backlog.
      if (connects_ < 200 || now.monotonic - connects_since_ >= 100) {
        if (now.monotonic - connects_since_ >= 100) {
          connects_since_ = now.monotonic;
          connects_ = 0;
        }
        ++connects_;
        device.connect(now);
        poll_.watch(number, device.link());
      }
      return;
    }
    if (now.monotonic < device.next_tick()) return;
    device.tick(now);
    go_away(device, now);
    poll_.watch(number, device.link());
  }

  // A device is away for half a minute to two, so often that the share of those away is what was asked for.
  void go_away(Device& device, Now now) {
    if (options_.offline_percent == 0 || !device.is_online()) return;
    const auto since = std::exchange(considered_[&device], now.monotonic);
    if (since.value == 0) return;
    const double online_ms = 75'000.0 * (100 - options_.offline_percent) / options_.offline_percent;
    const double chance = std::min(1.0, static_cast<double>(now.monotonic - since) / online_ms);
    if (std::uniform_real_distribution<double>(0, 1)(random_) >= chance) return;
    device.leave(now, now.monotonic + 30'000 + static_cast<std::int64_t>(random_() % 90'000));
  }

  // All devices have ended the attempt at the release, and all reports are confirmed.
  [[nodiscard]] bool is_done() const {
    return std::ranges::all_of(devices_, [&](const auto& device) {
      const auto view = device->view();
      if (view.phase != "idle" || view.pending_reports > 0) return false;
      if (view.running && view.running->release == options_.release) return true;
      const auto truth = device->truth();
      return !options_.rollout.empty() && truth.outcomes.contains(options_.rollout);
    });
  }

  Json document(MonotonicMs begin, Now now) {
    std::map<std::string, std::uint64_t> running;
    std::map<std::string, std::map<std::string, std::uint64_t>> outcomes;
    Json devices = Json::object();
    std::uint64_t pending = 0;
    for (const auto& device : devices_) {
      const auto truth = device->truth();
      ++running[truth.running];
      pending += truth.pending;
      for (const auto& [rollout, step] : truth.outcomes) ++outcomes[rollout][step];
      devices[device->name()] = truth.last_report;
    }
    return {{"seconds", static_cast<double>(now.monotonic - begin) / 1'000},
            {"done", options_.release.empty() || is_done()},
            {"running", running},
            {"outcomes", outcomes},
            {"pending_reports", pending},
            {"reports", totals_.reports},
            {"acks", totals_.acks},
            {"gates", totals_.gates},
            {"manifests", totals_.manifests},
            {"chunk_bytes", totals_.chunk_bytes},
            {"corrupt_chunks", totals_.corrupt_chunks},
            {"wave_contradictions", totals_.wave_contradictions},
            {"last_reports", std::move(devices)}};
  }

  const Options& options_;
  Totals totals_;
  std::vector<std::unique_ptr<Device>> devices_;
  Poll poll_;
  std::mt19937_64 random_;
  std::map<Device*, MonotonicMs> considered_;
  std::uint32_t connects_ = 0;
  MonotonicMs connects_since_;
};

// --- reports ----------------------------------------------------------------------------------------------------
// Each device sends its reports as fast as they are confirmed, a few ahead, or all together so many a second. `bare`:
// the same bytes to a topic that one subscriber receives.
class Reporters {
 public:
  static constexpr std::uint32_t kAhead = 16;

  explicit Reporters(const Options& options) : options_(options) {
    for (std::uint32_t i = 0; i < options.devices; ++i) senders_.push_back(make(i));
    if (options.bare) {
      sink_ = std::make_unique<Link>(
          "fleet-sink", Link::Events{[this] {
                                       sink_->subscribe("bench/+/report", wire::Qos::at_least_once);
                                       sink_up_ = read_clocks().monotonic;
                                     },
                                     [] { throw std::runtime_error("the subscriber lost its connection"); },
                                     [this](const std::string&, ByteView, wire::Retain) { ++received_; },
                                     {}});
    }
  }

  Json run() {
    if (sink_ && !sink_->connect(options_.plan.host, options_.plan.port)) throw std::runtime_error("no broker");
    for (auto& sender : senders_) {
      if (!sender->link->connect(options_.plan.host, options_.plan.port)) throw std::runtime_error("no broker");
    }
    const auto ready = [&] {
      // A subscription takes a moment to be there.
      const bool subscribed = !sink_ || (sink_up_.value != 0 && read_clocks().monotonic - sink_up_ > 500);
      return subscribed && std::ranges::all_of(senders_, [](const auto& sender) { return sender->ready; });
    };
    loop([&] { return ready(); });
    const auto begin = read_clocks().monotonic;
    began_ = begin;
    for (auto& sender : senders_) feed(*sender);
    const auto all = std::uint64_t{options_.reports} * senders_.size();
    loop([&] { return (options_.bare ? received_ : confirmed_) >= all; });
    const auto ms = std::max<std::int64_t>(read_clocks().monotonic - begin, 1);
    const auto done = options_.bare ? received_ : confirmed_;
    return {{"reports", done},
            {"asked", all},
            {"seconds", static_cast<double>(ms) / 1'000},
            {"per_second", static_cast<double>(done) * 1'000 / static_cast<double>(ms)}};
  }

 private:
  struct Sender {
    std::string name;
    std::unique_ptr<Link> link;
    std::vector<Bytes> reports;
    Bytes hello;
    bool ready = false;
    std::uint32_t sent = 0;
    std::uint32_t confirmed = 0;
  };

  std::unique_ptr<Sender> make(std::uint32_t number) {
    auto sender = std::make_unique<Sender>();
    sender->name = "fleet-" + std::to_string(number);
    const auto id = DeviceId::parse(sender->name).value();
    const auto key = trust::SecretKey::from_seed(trust::digest(as_bytes(sender->name)).bytes).value();
    wire::Hello hello;
    hello.device = id;
    hello.key = key.public_key();
    hello.description.product = options_.plan.product;
    hello.description.groups = options_.plan.groups;
    // Later than what a run before has said.
    hello.boot = static_cast<std::uint32_t>(std::time(nullptr));
    hello.connect = 1;
    sender->hello = trust::seal(trust::Kind::hello, wire::encode(hello), key);
    Bytes hash;
    static_cast<void>(from_hex(options_.rollout, hash));
    for (std::uint32_t i = 1; i <= options_.reports; ++i) {
      wire::Report report;
      report.device = id;
      report.sequence = i;
      report.rollout = ManifestId::from_bytes(hash).value_or(ManifestId{});
      report.attempt = 1;
      report.step = i % 2 == 1 ? wire::Step::fetching : wire::Step::staging;
      report.bytes_planned = 1'000'000;
      report.bytes_fetched = i;
      report.bytes_full = 9'000'000;
      sender->reports.push_back(trust::seal(trust::Kind::report, wire::encode(report), key));
    }
    auto* raw = sender.get();
    const wire::Topics topics;
    sender->link = std::make_unique<Link>(
        sender->name,
        Link::Events{[this, raw, topics, id] {
                       if (options_.bare) {
                         raw->ready = true;
                         return;
                       }
                       raw->link->subscribe(topics.device(id, wire::TopicKind::device_ack), wire::Qos::at_least_once);
                       raw->link->publish(topics.device(id, wire::TopicKind::device_hello), raw->hello,
                                          wire::Qos::at_least_once);
                     },
                     [raw] { throw std::runtime_error(raw->name + " lost its connection"); },
                     [this, raw](const std::string&, ByteView payload, wire::Retain) { take_ack(*raw, payload); },
                     [this, raw](int) {
                       if (!options_.bare || !raw->ready || raw->sent == 0) return;
                       ++raw->confirmed;
                       feed(*raw);
                     }});
    return sender;
  }

  void take_ack(Sender& sender, ByteView payload) {
    const auto ack = wire::decode_ack(payload);
    if (!ack || ack->code != Code::ok)
      throw std::runtime_error(sender.name + ": " + (ack ? ack->reason : ack.error().message));
    sender.ready = true;
    if (ack->sequence <= sender.confirmed) return;
    confirmed_ += ack->sequence - sender.confirmed;
    sender.confirmed = static_cast<std::uint32_t>(ack->sequence);
    if (sender.sent > 0) feed(sender);
  }

  void publish_next(Sender& sender) {
    const auto topic =
        options_.bare ? "bench/" + sender.name + "/report"
                      : wire::Topics().device(DeviceId::parse(sender.name).value(), wire::TopicKind::device_report);
    sender.link->publish(topic, sender.reports[sender.sent++], wire::Qos::at_least_once);
  }

  void feed(Sender& sender) {
    if (options_.offered > 0) return;  // feed_in_turn()
    while (sender.sent < sender.reports.size() && sender.sent - sender.confirmed < kAhead) publish_next(sender);
  }

  bool may_send() const {
    if (options_.offered == 0) return true;
    return static_cast<double>(sent_) <
           options_.offered * static_cast<double>(read_clocks().monotonic - began_) / 1'000;
  }

  // At a rate of their own, devices take turns.
  void feed_in_turn() {
    for (std::size_t i = 0; i < senders_.size() && may_send(); ++i) {
      auto& sender = *senders_[next_++ % senders_.size()];
      if (sender.sent == sender.reports.size() || sender.sent - sender.confirmed >= kAhead) continue;
      ++sent_;
      publish_next(sender);
    }
  }

  template <typename Done>
  void loop(Done done) {
    const auto begin = read_clocks().monotonic;
    const auto sink = static_cast<std::uint32_t>(senders_.size());
    const auto link = [&](std::uint32_t number) -> Link& { return number == sink ? *sink_ : *senders_[number]->link; };
    const auto count = sink + (sink_ ? 1 : 0);
    for (std::uint32_t i = 0; i < count; ++i) poll_.watch(i, link(i));
    while (!done()) {
      if (read_clocks().monotonic - begin > static_cast<std::int64_t>(options_.timeout_s * 1'000)) return;
      poll_.wait(options_.offered > 0 ? 2 : 20, [&](std::uint32_t number, std::uint32_t events) {
        if ((events & EPOLLOUT) != 0) link(number).write();
        if ((events & ~EPOLLOUT) != 0) link(number).read();
        poll_.watch(number, link(number));
      });
      if (options_.offered == 0 || began_.value == 0) continue;
      feed_in_turn();
      for (std::uint32_t i = 0; i < sink; ++i) poll_.watch(i, link(i));
    }
  }

  const Options& options_;
  std::vector<std::unique_ptr<Sender>> senders_;
  std::unique_ptr<Link> sink_;
  Poll poll_;
  MonotonicMs began_;
  std::size_t next_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t confirmed_ = 0;
  std::uint64_t received_ = 0;
  MonotonicMs sink_up_;
};

// --- latency ------------------------------------------------------------------------------------------------------
// The latency for another user of the broker: connections send messages to themselves on topics that are not ours.
// Several connections take turns, because the broker reads one message of each connection per round, and a single
// connection would measure its own queue.
class Clock {
 public:
  static constexpr std::uint32_t kLinks = 20;

  explicit Clock(const Options& options) : options_(options) {
    for (std::uint32_t i = 0; i < kLinks; ++i) links_.push_back(make("fleet-clock-" + std::to_string(i)));
  }

  Json run() {
    for (std::uint32_t i = 0; i < kLinks; ++i) {
      if (!links_[i]->connect(options_.plan.host, options_.plan.port)) throw std::runtime_error("no broker");
      poll_.watch(i, *links_[i]);
    }
    const auto begin = std::chrono::steady_clock::now();
    auto next = begin + std::chrono::milliseconds(200);
    const auto step = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / options_.rate));
    std::uint32_t turn = 0;
    while (std::chrono::steady_clock::now() - begin < std::chrono::duration<double>(options_.seconds)) {
      poll_.wait(1, [&](std::uint32_t number, std::uint32_t events) {
        if ((events & EPOLLOUT) != 0) links_[number]->write();
        if ((events & ~EPOLLOUT) != 0) links_[number]->read();
        poll_.watch(number, *links_[number]);
      });
      if (up_ < kLinks || std::chrono::steady_clock::now() < next) continue;
      next += step;
      const auto now = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
      const auto number = turn++ % kLinks;
      links_[number]->publish("telemetry/fleet-clock-" + std::to_string(number), as_bytes(std::to_string(now)),
                              wire::Qos::at_most_once);
      poll_.watch(number, *links_[number]);
    }
    std::ranges::sort(waits_);
    return {{"messages", waits_.size()}, {"p50_ms", at(0.5)}, {"p99_ms", at(0.99)}, {"max_ms", at(1)}};
  }

 private:
  std::unique_ptr<Link> make(const std::string& name) {
    const auto number = links_.size();
    return std::make_unique<Link>(
        name, Link::Events{[this, number, name] {
                             links_[number]->subscribe("telemetry/" + name, wire::Qos::at_most_once);
                             ++up_;
                           },
                           [] { throw std::runtime_error("the clock lost its connection"); },
                           [this](const std::string&, ByteView payload, wire::Retain) {
                             const auto sent = std::stoll(std::string(as_text(payload)));
                             const auto now = std::chrono::steady_clock::now().time_since_epoch();
                             waits_.push_back(static_cast<double>(std::chrono::nanoseconds(now).count() - sent) / 1e6);
                           },
                           {}});
  }
  double at(double share) const {
    return waits_.empty() ? 0
                          : waits_[std::min(waits_.size() - 1,
                                            static_cast<std::size_t>(share * static_cast<double>(waits_.size())))];
  }

  const Options& options_;
  std::vector<std::unique_ptr<Link>> links_;
  Poll poll_;
  std::uint32_t up_ = 0;
  std::vector<double> waits_;
};

void prepare(Options& options) {
  options.plan.groups = {GroupPath::parse(options.group).value()};
  if (!options.root.empty()) options.plan.root = read(options.root);
  if (!options.running.empty()) options.plan.running_manifest = read(options.running);
  const auto open = [](const std::string& path) {
    const auto pack = publisher::PackFile::open(path);
    if (!pack) throw std::runtime_error(path + ": " + pack.error().message);
    return std::pair(pack->id(), pack->directory());
  };
  for (const auto& path : options.packs) options.plan.packs.insert(open(path));
  for (const auto& path : options.held) {
    const auto pack = open(path);
    for (const auto& chunk : pack.second.chunks) options.plan.held.insert(chunk.hash);
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Thousands of devices over real MQTT connections, in one process"};
  app.require_subcommand(1);
  app.add_option("--host", options.plan.host)->capture_default_str();
  app.add_option("--port", options.plan.port)->required();
  app.add_option("--timeout", options.timeout_s, "seconds")->capture_default_str();
  auto* devices =
      app.add_subcommand("devices", "The real machine in each: fetches, tries, reports, until all have come to an end");
  auto* reports = app.add_subcommand("reports", "Reports as fast as they are confirmed");
  auto* clock = app.add_subcommand("latency", "How long a message on an unrelated topic takes");
  for (auto* command : {devices, reports}) {
    command->add_option("--devices", options.devices)->required();
    command->add_option("--product", options.plan.product)->required();
    command->add_option("--group", options.group)->required();
    command->add_option("--rollout", options.rollout,
                        "devices: 16 hex digits, an outcome of it is an end too; reports: 64, what they are about");
  }
  devices->add_option("--first", options.first, "number of the first device, where several processes make a fleet");
  devices->add_option("--root", options.root)->required();
  devices->add_option("--running", options.running, "signed manifest of what they run at the beginning");
  devices->add_option("--pack", options.packs, "pack files of the releases to come");
  devices->add_option("--held", options.held,
                      "pack files of what they run at the beginning: its chunks are not fetched");
  devices->add_option("--release", options.release, "what all are to run in the end");
  devices->add_option("--fail-percent", options.plan.fail_percent);
  devices->add_option("--offline-percent", options.offline_percent);
  devices->add_option("--seed", options.plan.seed);
  reports->add_option("--reports", options.reports, "of each device")->required();
  reports->add_option("--per-second", options.offered,
                      "of all devices together; without it as fast as they are confirmed");
  reports->add_flag("--bare", options.bare, "to a topic that one subscriber hears, on a broker without the plugin");
  clock->add_option("--seconds", options.seconds)->capture_default_str();
  clock->add_option("--rate", options.rate, "messages a second")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Json document;
  if (clock->parsed()) {
    document = Clock(options).run();
  } else {
    prepare(options);
    document = devices->parsed() ? Fleet(options).run() : Reporters(options).run();
  }
  std::printf("%s\n", document.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace instar::fleet

int main(int argc, char** argv) {
  try {
    return instar::fleet::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "instar_fleet: %s\n", error.what());
    return 1;
  }
}
