// With processes of this test in place of a container's: one that takes no signal would end by it here, so that it runs
// on shows that it got none. In real containers: real/lxc_helper_test.cpp.
#include "device-client/lxc/ask_to_end.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>

namespace instar::device {
namespace {

constexpr std::uint32_t kHangsMs = 5 * 60'000;

Signals signals_of(const char* blocked, const char* caught) {
  return parse_signals(std::string("Name:\tx SigCgt:\nState:\tS (sleeping)\nSigBlk:\t") + blocked +
                       "\nSigIgn:\t0000000000001000\nSigCgt:\t" + caught + "\nCapInh:\t0\n");
}

TEST(AskToEnd, ReadsWhatAProcessDoesWithSignals) {
  const auto signals = signals_of("0000000000000200", "0000000000004002");
  EXPECT_TRUE(signals.catches(SIGTERM));
  EXPECT_TRUE(signals.catches(SIGINT));
  EXPECT_FALSE(signals.catches(SIGUSR1));
  EXPECT_TRUE(signals.takes(SIGUSR1)) << "it waits for it";
  EXPECT_FALSE(signals.takes(SIGPIPE));
  EXPECT_TRUE(signals.ignores(SIGPIPE));
  EXPECT_FALSE(signals.ignores(SIGTERM));
  EXPECT_FALSE(signals.has_ended);
  EXPECT_TRUE(parse_signals("Name:\tx\nState:\tZ (zombie)\n").has_ended);
  EXPECT_FALSE(parse_signals("").takes(SIGTERM));
}

TEST(AskToEnd, ChoosesASignalThatTheProgramTakes) {
  const auto none = signals_of("0", "0");
  const auto term = signals_of("0", "0000000000004000");
  const auto both = signals_of("0", "0000000020004000");
  const auto systemd = signals_of("7be3c0fe28014a03", "0000000000001000");
  EXPECT_EQ(signal_to_end(none, 0), 0);
  EXPECT_EQ(signal_to_end(none, SIGTERM), 0);
  EXPECT_EQ(signal_to_end(none, SIGKILL), SIGKILL) << "nobody has to take that";
  EXPECT_EQ(signal_to_end(term, 0), SIGTERM) << "rather than an init's signal, which it would not get";
  EXPECT_EQ(signal_to_end(both, 0), SIGPWR);
  EXPECT_EQ(signal_to_end(both, SIGTERM), SIGTERM);
  EXPECT_EQ(signal_to_end(systemd, 0), SIGRTMIN + 3);
  Signals waiting;
  waiting.waits = true;
  EXPECT_EQ(signal_to_end(waiting, 0), SIGPWR) << "for what it waits is not known";
  EXPECT_EQ(signal_to_end(waiting, SIGTERM), SIGTERM);
}

TEST(AskToEnd, NamesSignals) {
  EXPECT_EQ(signal_name(SIGPWR), "SIGPWR");
  EXPECT_EQ(signal_name(SIGRTMIN + 3), "SIGRTMIN+3");
  EXPECT_EQ(signal_name(SIGTTOU), "signal 22");
}

// A child that runs `body` once it says that it is ready.
class Child {
 public:
  explicit Child(
      const std::function<void()>& prepare, const std::function<void()>& body = [] {
        for (;;) ::pause();
      }) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      prepare();
      EXPECT_EQ(::write(ends[1], "x", 1), 1);
      body();
      ::_exit(0);
    }
    char ready = 0;
    EXPECT_EQ(::read(ends[0], &ready, 1), 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] bool runs() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  pid_t pid_ = -1;
};

void nothing() {}
void end_at_term() {
  ::signal(SIGTERM, [](int) { ::_exit(0); });
}
void ignore_term() {
  ::signal(SIGTERM, SIG_IGN);
}
// A handler that goes when the signal comes, and a program that takes its time then.
void let_go_of_term() {
  struct sigaction once {};
  once.sa_handler = [](int) {};
  once.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGTERM, &once, nullptr);
}

// `company`: other processes of the container. Nothing counts as just started.
EndAnswer ask(const Child& first, const std::vector<const Child*>& company = {}, std::uint32_t timeout_ms = kHangsMs,
              std::uint32_t starting_ms = 0) {
  const auto processes = [&] {
    std::vector<int> pids = {first.pid()};
    for (const auto* each : company) pids.push_back(each->pid());
    return pids;
  };
  return ask_to_end({first.pid(), SIGTERM, processes, timeout_ms, starting_ms});
}

TEST(AskToEnd, AProgramWithAHandlerEndsByItself) {
  const Child first(end_at_term);
  const auto answer = ask(first);
  EXPECT_EQ(answer.ending, Ending::by_itself);
  EXPECT_EQ(answer.signal, SIGTERM);
}

TEST(AskToEnd, AProgramThatWaitsForItsSignalEndsByItself) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  const Child first([&] { ::sigprocmask(SIG_BLOCK, &term, nullptr); },
                    [&] {
                      int signal = 0;
                      ::sigwait(&term, &signal);
                    });
  EXPECT_EQ(ask(first).ending, Ending::by_itself);
}

TEST(AskToEnd, AProgramThatReadsItsSignalFromADescriptorEndsByItself) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  const Child first([&] { ::sigprocmask(SIG_BLOCK, &term, nullptr); },
                    [&] {
                      signalfd_siginfo info{};
                      EXPECT_GT(::read(::signalfd(-1, &term, SFD_CLOEXEC), &info, sizeof info), 0);
                    });
  EXPECT_EQ(ask(first).ending, Ending::by_itself);
}

TEST(AskToEnd, AProgramWithoutAHandlerIsNotWaitedFor) {
  const Child first(nothing);
  const auto answer = ask(first);
  EXPECT_EQ(answer.ending, Ending::deaf);
  EXPECT_EQ(answer.signal, SIGTERM) << "for people";
  EXPECT_TRUE(first.runs()) << "it was sent nothing";
}

TEST(AskToEnd, AProgramThatIgnoresItsSignalIsNotWaitedFor) {
  const Child first(ignore_term);
  EXPECT_EQ(ask(first).ending, Ending::deaf);
}

TEST(AskToEnd, WithoutAHandlerTheOthersEndFirst) {
  const Child first(nothing);
  const Child with_handler(end_at_term);
  const Child without(nothing);
  EXPECT_EQ(ask(first, {&with_handler, &without}).ending, Ending::deaf);
  EXPECT_FALSE(with_handler.runs());
  EXPECT_FALSE(without.runs());
  EXPECT_TRUE(first.runs());
}

TEST(AskToEnd, AnotherProgramHasTheWholeTime) {
  const Child first(nothing);
  const Child other([] { ::signal(SIGTERM, [](int) {}); });
  EXPECT_EQ(ask(first, {&other}, 300).ending, Ending::late);
  EXPECT_TRUE(other.runs());
}

TEST(AskToEnd, AnotherProgramThatIgnoresItsSignalIsNotWaitedFor) {
  const Child first(nothing);
  const Child other(ignore_term);
  EXPECT_EQ(ask(first, {&other}).ending, Ending::deaf);
  EXPECT_TRUE(other.runs());
}

TEST(AskToEnd, AHandlerThatGoesWithTheSignalIsNoReasonToHurry) {
  const Child first(let_go_of_term);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(first, {}, 500).ending, Ending::late);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(500));
}

TEST(AskToEnd, AProgramThatIsJustStartedMayStillGetItsHandler) {
  const Child first(nothing, [] {
    ::usleep(300'000);
    end_at_term();
    for (;;) ::pause();
  });
  EXPECT_EQ(ask(first, {}, kHangsMs, kHangsMs).ending, Ending::by_itself);
}

TEST(AskToEnd, AProgramThatStaysWithoutAHandlerIsDeafAlsoWhenItIsNew) {
  const Child first(nothing);
  EXPECT_EQ(ask(first, {}, 400, kHangsMs).ending, Ending::deaf);
}

// What busybox's init does where reboot() is not allowed.
TEST(AskToEnd, AnInitThatHasEndedAllOthersAndMayNotRebootIsDone) {
  const auto other = std::make_unique<Child>(nothing);
  sigset_t all;
  sigfillset(&all);
  const Child first(
      [&] {
        ::prctl(PR_SET_NAME, "init");
        ::sigprocmask(SIG_BLOCK, &all, nullptr);
      },
      [&] {
        int signal = 0;
        ::sigwait(&all, &signal);
        ::kill(other->pid(), SIGKILL);
        ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
        for (;;) ::pause();
      });
  EXPECT_EQ(ask(first, {other.get()}).ending, Ending::deaf);
}

}  // namespace
}  // namespace instar::device
