// How an operation reports a failure. Our code throws nothing.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "core/base/error.hpp"

namespace instar {

template <typename T>
using Result = tl::expected<T, Error>;

// The result of an operation that returns no value.
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::make_unexpected(Error{code, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::make_unexpected(std::move(error));
}

}  // namespace instar

// Takes the value out of a Result, or returns its error from the enclosing function.
//   INSTAR_TRY(const auto index, read_index(bytes));
#define INSTAR_JOIN_INNER(a, b) a##b
#define INSTAR_JOIN(a, b) INSTAR_JOIN_INNER(a, b)
#define INSTAR_TRY_NAMED(tmp, declaration, expression)                 \
  auto tmp = (expression);                                             \
  if (!tmp.has_value()) return ::instar::fail(std::move(tmp.error())); \
  declaration = std::move(*tmp)
#define INSTAR_TRY(declaration, expression) \
  INSTAR_TRY_NAMED(INSTAR_JOIN(instar_try_, __LINE__), declaration, expression)

// Returns the error of a Status from the enclosing function, if it is one.
#define INSTAR_CHECK(expression)                                                             \
  do {                                                                                       \
    auto instar_status = (expression);                                                       \
    if (!instar_status.has_value()) return ::instar::fail(std::move(instar_status.error())); \
  } while (false)
