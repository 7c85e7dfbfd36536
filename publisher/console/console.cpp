#include "publisher/console/console.hpp"

#include <chrono>

#include "core/base/text.hpp"
#include "publisher/console/table.hpp"

namespace instar::publisher {

std::ostream& no_output() {
  static std::ostream nowhere(nullptr);
  return nowhere;
}

std::string dump(const Json& value, int indent) {
  return clean_json(value.dump(indent, ' ', false, Json::error_handler_t::replace));
}

void Console::document(const Json& value) const {
  if (json) out << dump(value, json_lines ? -1 : 2) << "\n" << std::flush;
}

int print_failure(const Console& console, const Failure& failure) {
  const int exit = static_cast<int>(failure.exit);
  console.err << "instar: " << printable(failure.error.message) << "\n" << std::flush;
  console.document(
      {{"error",
        {{"code", std::string(code_name(failure.error.code))}, {"message", failure.error.message}, {"exit", exit}}}});
  return exit;
}

MonotonicMs monotonic_now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

WallMs wall_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

}  // namespace instar::publisher
