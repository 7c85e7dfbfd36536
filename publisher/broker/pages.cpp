#include "publisher/broker/pages.hpp"

#include <utility>

#include "publisher/console/json_fields.hpp"

namespace instar::publisher {

Outcome<Json> for_each_row(Session& session, const std::string& command, const std::string& key, const Json& parameters,
                           const std::function<void(const Json&)>& each, std::size_t rows_max) {
  std::size_t rows_seen = 0;
  while (true) {
    auto asked = parameters;
    asked["offset"] = rows_seen;
    if (!asked.contains("count")) asked["count"] = kPageRows;
    INSTAR_TRY(auto data, session.request(command, std::move(asked)));
    const auto& rows = get(data, key);
    for (const auto& row : rows) each(row);
    rows_seen += rows.size();
    const bool is_last = rows.empty() || rows_seen >= get_number(data, "totalCount", rows_seen);
    if (is_last || rows_seen >= rows_max) return data;
  }
}

}  // namespace instar::publisher
