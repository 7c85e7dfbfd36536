// An answer to one $CONTROL message in the making. Internal to service_control*.cpp.
#pragma once

#include <cstddef>

#include "broker-plugin/service_impl.hpp"

namespace instar::broker {

struct ServiceImpl::Reply {
  std::string who;  // asked
  Json responses = Json::array();
  std::size_t open = 1;  // what is still to come: commands that read the store, and the commit
  // Bytes of list rows left: an answer must pass brokers that bound a packet (kMessageBytesMax).
  std::size_t row_bytes_left = 96 * 1024;

  // False when the row has no place any more.
  [[nodiscard]] bool add_row(Json& rows, Json row) {
    const auto bytes = dump(row).size() + 1;
    if (bytes > row_bytes_left) return false;
    row_bytes_left -= bytes;
    rows.push_back(std::move(row));
    return true;
  }
};

// `{"offset":…,"count":…}` of a list command.
struct Page {
  std::uint64_t offset = 0;
  std::uint64_t count = 100;
};
[[nodiscard]] Page read_page(const Json& command);
// Errors: invalid_argument (absent, or not a text).
[[nodiscard]] Result<std::string> read_string(const Json& command, const char* field);
[[nodiscard]] bool read_flag(const Json& command, const char* field);

}  // namespace instar::broker
