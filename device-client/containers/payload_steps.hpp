// The steps by which the payloads of host handlers come to what is wanted, one at a time. Before a handler is called,
// its record says what the handler may have done; after it ended well, the record says what it has done. So a client
// that was killed half way repeats the step.
//
// A handler whose work takes effect with a boot says so by its exit code. The device then boots, and the step is
// repeated afterwards: only then can the handler say whether it has come to what it should.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "device-client/containers/client_payload.hpp"
#include "device-client/containers/host_payload.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/helper_process.hpp"
#include "device-client/process/log.hpp"

namespace instar::device {

class PayloadSteps {
 public:
  // `steps` in order. `config` and `log` must outlive it.
  PayloadSteps(const Config& config, const Log& log, std::vector<PayloadStep> steps);

  struct Failure {
    std::string payload;
    Error error;
  };
  // What is to be done now. When nothing is said, the next step can follow.
  struct Answer {
    std::optional<HelperCommand> run;  // its end goes to ended()
    std::optional<Failure> failure;    // this payload's steps are dropped
    bool other_client = false;         // the steps go on in another client, in this process's place
  };
  // Begins the next step, or repeats it. Only while there is one, and while no command of a step runs.
  [[nodiscard]] Answer next();
  // The command of the last answer has ended, or could not be run.
  [[nodiscard]] Answer ended(const HelperEnd& end, MonotonicMs now);
  [[nodiscard]] Answer not_run(Error error);

  [[nodiscard]] bool is_done() const noexcept { return steps_.empty(); }
  // A command of a step runs.
  [[nodiscard]] bool is_running() const noexcept { return running_ != Command::none; }
  // The device has been asked to boot. When it has not done so by then, the step has failed.
  [[nodiscard]] std::optional<MonotonicMs> boot_by() const noexcept { return boot_by_; }

  // A command that runs, or a boot that is awaited, belongs to a step, and they exclude each other.
  void assert_invariants() const;

 private:
  enum class Command : std::uint8_t { none, handler, client_version, boot };

  [[nodiscard]] Answer run(Command which, HelperCommand command);
  [[nodiscard]] Answer fail_step(Error error);
  [[nodiscard]] Answer finish_step();
  [[nodiscard]] Answer take_client();
  [[nodiscard]] Answer ask_for_boot();
  [[nodiscard]] Status write_record(PayloadState state) const;
  [[nodiscard]] Status write_outcome() const;

  const Config* config_;
  const Log* log_;
  ClientPayload client_;
  std::vector<PayloadStep> steps_;  // next one last
  Command running_ = Command::none;
  std::optional<MonotonicMs> boot_by_;
};

}  // namespace instar::device
