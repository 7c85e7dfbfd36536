// Why a command failed, with its exit code for scripts.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/result.hpp"

namespace instar::publisher {

// Exit codes of `instar`. They are frozen, because scripts rely on them; new ones may be added. docs/operator.md
enum class Exit : int {
  ok = 0,
  failed = 1,          // the operation failed
  usage = 2,           // the command line cannot be understood
  unreachable = 3,     // no connection to the broker
  refused = 4,         // the broker, or a policy, said no
  invalid_input = 5,   // a file is damaged, missing or badly signed; a value cannot be used
  timed_out = 6,       // no answer in time
  rollout_failed = 7,  // the rollout ended, and not every device runs the release
  interrupted = 130,   // Ctrl-C
};

// The exit code for an error of our own modules when nothing more is known: most errors of a command come from its
// input. Failures of the connection and refusals of the broker get their own Exit where they occur.
[[nodiscard]] Exit exit_of(Code code) noexcept;

struct Failure {
  Exit exit = Exit::failed;
  Error error;

  Failure(Exit exit_code, Error cause) : exit(exit_code), error(std::move(cause)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): INSTAR_TRY turns a Result's error into an Outcome with it
  Failure(Error cause) : exit(exit_of(cause.code)), error(std::move(cause)) {}
};

template <typename T>
using Outcome = tl::expected<T, Failure>;

}  // namespace instar::publisher

namespace instar {

// For INSTAR_TRY and INSTAR_CHECK on an Outcome.
[[nodiscard]] inline tl::unexpected<publisher::Failure> fail(publisher::Failure failure) {
  return tl::make_unexpected(std::move(failure));
}
[[nodiscard]] inline tl::unexpected<publisher::Failure> fail(publisher::Exit exit, Code code, std::string message) {
  return tl::make_unexpected(publisher::Failure(exit, Error{code, std::move(message)}));
}

}  // namespace instar
