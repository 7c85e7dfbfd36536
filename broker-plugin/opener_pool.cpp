// The opener on threads. Each has a lane of its own: a device's messages always take the same one, and so keep their
// order.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "broker-plugin/opener.hpp"
#include "core/base/assert.hpp"

namespace instar::broker {
namespace {

// Callbacks of a poll beyond those asked for since the last.
constexpr std::size_t kPollMore = 32;
constexpr int kNice = 5;

struct Job {
  DeviceId device;
  Bytes payload;
  std::optional<trust::PublicKey> key;
  std::variant<Opener::HelloDone, Opener::ReportDone> done;
};

struct Opened {
  std::variant<Opener::HelloDone, Opener::ReportDone> done;
  std::variant<Result<wire::Hello>, Result<wire::Report>> message;
};

class OpenerPool final : public Opener {
 public:
  OpenerPool(std::size_t threads, std::function<void()> wake) : wake_(std::move(wake)) {
    INSTAR_ASSERT(threads > 0);
    for (std::size_t i = 0; i < threads; ++i) lanes_.push_back(std::make_unique<Lane>());
    for (auto& lane : lanes_) lane->thread = std::thread([this, lane = lane.get()] { work(*lane); });
  }
  OpenerPool(const OpenerPool&) = delete;
  OpenerPool& operator=(const OpenerPool&) = delete;
  ~OpenerPool() override {
    for (auto& lane : lanes_) {
      const std::lock_guard lock(lane->mutex);
      lane->stopping = true;
      lane->asked.notify_one();
    }
    for (auto& lane : lanes_) lane->thread.join();
  }

  void hello(const DeviceId& device, ByteView payload, HelloDone done) override {
    push({device, to_bytes(payload), std::nullopt, std::move(done)});
  }
  void report(const DeviceId& device, ByteView payload, const trust::PublicKey& key, ReportDone done) override {
    push({device, to_bytes(payload), key, std::move(done)});
  }

  // As much as has come in since the last look, and a little more: what is opened in bursts never keeps the owner for
  // longer than the messages themselves did, and a queue still shrinks.
  std::size_t poll() override {
    const auto most = std::exchange(asked_, 0) + kPollMore;
    if (pending_ == 0) return 0;
    {
      const std::lock_guard lock(ready_mutex_);
      std::ranges::move(ready_, std::back_inserter(taken_));
      ready_.clear();
    }
    std::size_t ran = 0;
    for (; ran < most && !taken_.empty(); ++ran) {
      auto opened = std::move(taken_.front());
      taken_.pop_front();
      --pending_;
      if (auto* hello = std::get_if<HelloDone>(&opened.done)) {
        (*hello)(std::move(std::get<Result<wire::Hello>>(opened.message)));
      } else {
        std::get<ReportDone>(opened.done)(std::move(std::get<Result<wire::Report>>(opened.message)));
      }
    }
    if (!taken_.empty() && wake_) wake_();
    return ran;
  }

  [[nodiscard]] std::size_t pending() const noexcept override { return pending_; }

 private:
  struct Lane {
    std::mutex mutex;
    std::condition_variable asked;
    std::vector<Job> jobs;
    bool stopping = false;
    std::thread thread;
  };

  void push(Job job) {
    ++pending_;
    ++asked_;
    auto& lane = *lanes_[std::hash<DeviceId>{}(job.device) % lanes_.size()];
    bool was_empty = false;
    {
      const std::lock_guard lock(lane.mutex);
      was_empty = lane.jobs.empty();
      lane.jobs.push_back(std::move(job));
    }
    if (was_empty) lane.asked.notify_one();
  }

  void work(Lane& lane) {
    // Where cores are few the broker's own thread comes first. (On Linux this is of the one thread.)
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
    std::vector<Job> jobs;
    while (true) {
      {
        std::unique_lock lock(lane.mutex);
        lane.asked.wait(lock, [&] { return lane.stopping || !lane.jobs.empty(); });
        if (lane.stopping) return;
        jobs.swap(lane.jobs);
      }
      for (auto& job : jobs) finish(open(job));
      jobs.clear();
    }
  }

  static Opened open(Job& job) {
    if (std::holds_alternative<HelloDone>(job.done)) return {std::move(job.done), open_hello(job.device, job.payload)};
    return {std::move(job.done), open_report(job.device, job.payload, job.key)};
  }

  // The owner is woken once for all that it finds.
  void finish(Opened opened) {
    bool was_empty = false;
    {
      const std::lock_guard lock(ready_mutex_);
      was_empty = ready_.empty();
      ready_.push_back(std::move(opened));
    }
    if (was_empty && wake_) wake_();
  }

  std::function<void()> wake_;
  std::size_t pending_ = 0;   // the owner's, as are the next two
  std::size_t asked_ = 0;     // since the last poll()
  std::deque<Opened> taken_;  // opened, and to be called back
  std::mutex ready_mutex_;
  std::vector<Opened> ready_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace

std::unique_ptr<Opener> make_opener_pool(std::size_t threads, std::function<void()> wake) {
  return std::make_unique<OpenerPool>(threads, std::move(wake));
}

}  // namespace instar::broker
