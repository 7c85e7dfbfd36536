#include "device-client/containers/run_record.hpp"

#include <gtest/gtest.h>

namespace instar::device {
namespace {

TEST(RunRecord, ReadsWhatItWritesAndNothingElse) {
  const RunRecord record{7, 3, "app", Hash256::from_bytes(Bytes(32, 0xcd)).value()};
  EXPECT_EQ(parse_run_record(format_run_record(record)), record);
  const std::string text = format_run_record(record);
  for (std::size_t cut = 0; cut + 1 < text.size(); ++cut)
    EXPECT_FALSE(parse_run_record(text.substr(0, cut)).has_value()) << cut;
  EXPECT_FALSE(parse_run_record("{\"container\":\"a\",\"revision\":-1,\"order\":0,\"fingerprint\":\"" +
                                std::string(64, '0') + "\"}"));
  EXPECT_FALSE(parse_run_record("{\"container\":\"a\",\"revision\":1,\"order\":0,\"fingerprint\":\"" +
                                std::string(63, '0') + "\"}"));
}

}  // namespace
}  // namespace instar::device
