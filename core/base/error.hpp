// What went wrong: a code for programs and a message for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace instar {

// The numbers are on the wire (Report.code, Ack.code) and on disk. They are frozen; new ones may be added.
// Two causes that need different reactions have two codes.
enum class Code : std::uint16_t {
  ok = 0,
  invalid_argument = 1,  // what the caller or the operator gave cannot be used: fix the input
  malformed = 2,         // bytes from outside do not follow their grammar
  too_large = 3,         // over a bound of limits.hpp
  bad_signature = 4,     // a signature does not verify
  untrusted_key = 5,     // signed by a key that the root document does not name for this
  expired = 6,           // past its expiry
  stale = 7,             // an older sequence, version or issue than one already obeyed
  not_found = 8,         // a thing that was asked for is not there
  corrupt = 9,           // a thing that is there does not match its hash
  no_space = 10,         // storage is too small; nothing was fetched
  io = 11,               // the operating system refused a read or write
  unsupported = 12,      // well-formed, but this version or machine cannot do it
  unavailable = 13,      // try again later: queue full, link down, store closing
  refused = 14,          // a rule of the deployment or of the device's owner forbids it
  unhealthy = 15,        // the release started but did not stay well
  internal = 16,         // a broken invariant was caught before it did harm
};

// The stable lower-case name of a code, as JSON output prints it.
[[nodiscard]] std::string_view code_name(Code code) noexcept;

struct Error {
  Code code = Code::internal;
  // A sentence for a person: what happened, to what, what to do next.
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

// Puts `context` before the error's message: "reading /etc/x: no such file".
[[nodiscard]] Error with_context(Error error, std::string_view context);

}  // namespace instar
