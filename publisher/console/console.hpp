// A command's output. With --json exactly one document goes to `out`, text for people nowhere, and errors and notices
// to `err`.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "core/base/time.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

using Json = nlohmann::ordered_json;

// Drops what is written to it.
[[nodiscard]] std::ostream& no_output();

struct Console {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool json = false;
  // One document per line, for commands that print several.
  bool json_lines = false;

  // For text for people: `out`, or a stream that drops it when `out` is kept for JSON.
  [[nodiscard]] std::ostream& text() const { return json ? no_output() : out; }
  // Prints one JSON document if --json was given.
  void document(const Json& value) const;
};

// The document, on one line when `indent` is -1. Bytes that are not UTF-8 are replaced; characters that are not clean
// (core/base/text.hpp) are escaped.
[[nodiscard]] std::string dump(const Json& value, int indent = -1);
// Prints "instar: <message>" to err, and with --json {"error":{…}} to out. Returns the exit code as a number.
int print_failure(const Console& console, const Failure& failure);

[[nodiscard]] MonotonicMs monotonic_now();
[[nodiscard]] WallMs wall_now();

}  // namespace instar::publisher
