// The answer to one $CONTROL message while it is being made, and how commands read their fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "broker-plugin/status_json.hpp"
#include "core/base/limits.hpp"
#include "core/base/result.hpp"

namespace instar::broker {

// A message has one reply with a response for each of its commands, in their order. It goes out once nothing is waited
// for: the commit of what the commands changed, and the reads of those that look into the store.
class Reply {
 public:
  using Send = std::function<void(const std::string& json)>;
  // Waits for one thing from the beginning: its maker calls done() when all commands have had their turn.
  explicit Reply(Send send) : send_(std::move(send)) {}

  // Adds a response; answers its place.
  [[nodiscard]] std::size_t add(Json response);
  // The reference holds until the next add().
  [[nodiscard]] Json& response(std::size_t at);
  // False: the row has no room in the reply any more.
  [[nodiscard]] bool add_row(Json& rows, Json row);

  // Each response becomes this error: what the commands did was lost.
  void fail_all(const Error& error);
  void wait();
  // What wait() was called for has come. The last one sends.
  void done();

  void assert_invariants() const;

 private:
  Send send_;
  Json responses_ = Json::array();
  std::size_t awaited_ = 1;
  std::size_t row_bytes_left_ = limits::kReplyRowBytesMax;
};

// The place of one command in its reply. Copies mean the same place.
class Slot {
 public:
  Slot(std::shared_ptr<Reply> reply, std::size_t at) : reply_(std::move(reply)), at_(at) {}
  [[nodiscard]] Reply& reply() const { return *reply_; }
  [[nodiscard]] Json& response() const { return reply_->response(at_); }
  void fail(const Error& error) const;

 private:
  std::shared_ptr<Reply> reply_;
  std::size_t at_;
};

// One page of a list, as `{"offset":…,"count":…}` of the command asks for it: every row is offered in order, those of
// the page are kept while the reply has room.
class PageOfRows {
 public:
  PageOfRows(const Json& command, Reply& reply);
  // `make_row` is called for rows of the page only.
  template <typename MakeRow>
  void offer(MakeRow&& make_row) {
    if (total_++ < offset_ || rows_.size() >= count_ || is_full_) return;
    is_full_ = !reply_.add_row(rows_, std::forward<MakeRow>(make_row)());
  }
  // Sets `totalCount`, `count`, `offset` and the rows as `field`. The last call.
  void put_into(Json& out, const char* field);

 private:
  Reply& reply_;
  std::uint64_t offset_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t total_ = 0;
  bool is_full_ = false;
  Json rows_ = Json::array();
};

// "<code>: <sentence>", as answers carry errors.
[[nodiscard]] std::string sentence(const Error& error);
// Errors: invalid_argument (absent, or not a text).
[[nodiscard]] Result<std::string> read_string(const Json& command, const char* field);
[[nodiscard]] bool read_flag(const Json& command, const char* field);

}  // namespace instar::broker
