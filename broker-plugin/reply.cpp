#include "broker-plugin/reply.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::broker {
namespace {

constexpr std::uint64_t kPageRowsDefault = 100;

std::uint64_t read_number(const Json& command, const char* field, std::uint64_t absent) {
  const auto found = command.find(field);
  return found != command.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : absent;
}

}  // namespace

std::size_t Reply::add(Json response) {
  responses_.push_back(std::move(response));
  return responses_.size() - 1;
}

Json& Reply::response(std::size_t at) {
  INSTAR_ASSERT(at < responses_.size());
  return responses_[at];
}

bool Reply::add_row(Json& rows, Json row) {
  const auto bytes = dump(row).size() + 1;
  if (bytes > row_bytes_left_) return false;
  row_bytes_left_ -= bytes;
  rows.push_back(std::move(row));
  return true;
}

void Reply::fail_all(const Error& error) {
  for (auto& response : responses_) {
    response.erase("data");
    response["error"] = sentence(error);
  }
}

void Reply::wait() {
  INSTAR_ASSERT(awaited_ > 0);
  ++awaited_;
}

void Reply::done() {
  INSTAR_ASSERT(awaited_ > 0);
  if (--awaited_ > 0) return;
  Json out;
  out["responses"] = std::move(responses_);
  send_(dump(out));
}

void Reply::assert_invariants() const {
  INSTAR_ASSERT(row_bytes_left_ <= limits::kReplyRowBytesMax);
  INSTAR_ASSERT(responses_.size() <= limits::kCommandsMax);
}

void Slot::fail(const Error& error) const {
  response()["error"] = sentence(error);
}

PageOfRows::PageOfRows(const Json& command, Reply& reply)
    : reply_(reply),
      offset_(read_number(command, "offset", 0)),
      count_(std::min<std::uint64_t>(read_number(command, "count", kPageRowsDefault), limits::kPageRowsMax)) {}

void PageOfRows::put_into(Json& out, const char* field) {
  out["totalCount"] = total_;
  out["count"] = rows_.size();
  out["offset"] = offset_;
  out[field] = std::move(rows_);
}

std::string sentence(const Error& error) {
  return std::string(code_name(error.code)) + ": " + error.message;
}

Result<std::string> read_string(const Json& command, const char* field) {
  const auto found = command.find(field);
  if (found == command.end() || !found->is_string()) {
    return fail(Code::invalid_argument, "the command needs a text `" + std::string(field) + "`");
  }
  return found->get<std::string>();
}

bool read_flag(const Json& command, const char* field) {
  const auto found = command.find(field);
  return found != command.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace instar::broker
