// The last thing before the terminal. What commands print about devices, files and brokers goes through printable()
// where it is put into text; this is for what went past it, and for the messages of libraries.
#pragma once

#include <ostream>
#include <streambuf>
#include <string>

namespace instar::publisher {

// Passes on to `to` what is clean (core/base/text.hpp), and what the commands themselves move the cursor with:
// carriage returns and escape sequences. Any other byte becomes '?'. A character that comes in two parts is held until
// it is whole or the stream is flushed. `to` must outlive it.
class CleanStream final : public std::ostream {
 public:
  explicit CleanStream(std::ostream& to) : std::ostream(nullptr), buffer_(to) { rdbuf(&buffer_); }
  ~CleanStream() override { flush(); }
  CleanStream(const CleanStream&) = delete;
  CleanStream& operator=(const CleanStream&) = delete;

 private:
  class Buffer final : public std::streambuf {
   public:
    explicit Buffer(std::ostream& out) : out_(out) {}

   private:
    int_type overflow(int_type c) override;
    std::streamsize xsputn(const char* text, std::streamsize size) override;
    int sync() override;
    void pass_on(bool all);

    std::ostream& out_;
    std::string held_;  // the first bytes of a character
  };
  Buffer buffer_;
};

}  // namespace instar::publisher
