// Bytes of tests/fixtures, written there in hexadecimal with spaces and line ends.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"

namespace instar::delta {

inline Bytes read_fixture(const std::string& name) {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/tests/fixtures/" + name);
  std::string hex;
  for (std::string digits; in >> digits;) hex += digits;
  Bytes bytes;
  EXPECT_TRUE(from_hex(hex, bytes));
  EXPECT_FALSE(bytes.empty()) << "no fixture " << name;
  return bytes;
}

}  // namespace instar::delta
