#include "mqtt/diagnosis_thread.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/assert.hpp"

namespace instar::mqtt {
namespace {

// Longer than a diagnosis waits between two looks at whether it is to end.
constexpr std::chrono::milliseconds kEndsWithin{300};

}  // namespace

struct DiagnosisThread::Shared {
  std::atomic<bool> stopped = false;
  std::mutex mutex;
  std::condition_variable ended;
  std::optional<Finding> finding;
  int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

  Shared() { INSTAR_ASSERT(fd >= 0); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::close(fd); }

  void run(const Question& question) {
    auto result = diagnose(question, stopped);
    const std::scoped_lock lock(mutex);
    finding = std::move(result);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
    ended.notify_all();
  }
};

DiagnosisThread::DiagnosisThread() : shared_(std::make_shared<Shared>()) {}

DiagnosisThread::~DiagnosisThread() {
  stop();
}

int DiagnosisThread::fd() const noexcept {
  return shared_->fd;
}

void DiagnosisThread::begin(Question question) {
  if (running_ || shared_->stopped) return;
  // Signals are for the owner's threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([shared = shared_, asked = std::move(question)] { shared->run(asked); }).detach();
    running_ = true;
  } catch (const std::system_error&) {  // no thread: what the library said has to do
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::optional<Finding> DiagnosisThread::take() {
  if (!running_) return std::nullopt;
  const std::scoped_lock lock(shared_->mutex);
  if (!shared_->finding) return std::nullopt;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(shared_->fd, &count, sizeof count);
  running_ = false;
  return std::exchange(shared_->finding, std::nullopt);
}

void DiagnosisThread::stop() {
  shared_->stopped = true;
  if (!running_) return;
  std::unique_lock lock(shared_->mutex);
  shared_->ended.wait_for(lock, kEndsWithin, [this] { return shared_->finding.has_value(); });
}

}  // namespace instar::mqtt
