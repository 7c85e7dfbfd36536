// The worked examples of docs/formats, byte for byte: we write the bytes of the fixture, we read them back, and the
// page shows them.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "core/wire/testing/examples.hpp"
#include "core/wire/topics.hpp"

namespace instar::wire {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/" + path, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The fenced block of `page` that begins with "```<kind>", with its line feeds; exactly one.
std::string fenced_block(const std::string& page, const std::string& kind) {
  const std::string open = "\n```" + kind + "\n";
  const auto begin = page.find(open);
  if (begin == std::string::npos || page.find(open, begin + 1) != std::string::npos)
    return "there is not one block of " + kind;
  const auto from = begin + open.size();
  return page.substr(from, page.find("\n```", from) + 1 - from);
}

// Hex digits without white space and without what follows ';' in a line.
std::string hex_digits(const std::string& text) {
  std::string digits;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    for (const char c : line.substr(0, line.find(';'))) {
      if (c != ' ') digits.push_back(c);
    }
  }
  return digits;
}

struct Format {
  const char* name;
  std::function<Bytes()> encode_example;
  std::function<bool(ByteView, Bytes&)> read_and_write;  // decodes, and encodes the result
};

template <typename Decode, typename Encode>
Format format(const char* name, std::function<Bytes()> example, Decode decode, Encode encode_value) {
  return {name, std::move(example), [decode, encode_value](ByteView in, Bytes& out) {
            const auto decoded = decode(in);
            if (decoded.has_value()) out = encode_value(*decoded);
            return decoded.has_value();
          }};
}

std::vector<Format> formats() {
  constexpr auto write = [](const auto& value) { return encode(value); };
  return {
      format(
          "root", [] { return encode_root(examples::root()); }, trust::decode_root, trust::encode_root),
      format(
          "manifest", [] { return encode_manifest(examples::manifest()); }, decode_manifest, encode_manifest),
      format(
          "gate", [] { return encode(examples::gate()); }, decode_gate, write),
      format(
          "hello", [] { return encode(examples::hello()); }, decode_hello, write),
      format(
          "report", [] { return encode(examples::report()); }, decode_report, write),
      format(
          "assignment", [] { return encode(examples::assignment()); }, decode_assignment, write),
      format(
          "approval", [] { return encode(examples::approval()); }, decode_approval, write),
      format(
          "fetch", [] { return encode(examples::fetch()); }, decode_fetch, write),
      format(
          "chunk", [] { return encode(examples::piece()); }, decode_chunk_piece, write),
      format(
          "ack", [] { return encode(examples::ack()); }, decode_ack, write),
      format(
          "put", [] { return encode(examples::put()); }, decode_put, write),
      format(
          "stored", [] { return encode(examples::stored()); }, decode_stored, write),
  };
}

class Formats : public testing::TestWithParam<Format> {};

TEST_P(Formats, FixtureIsWhatWeWrite) {
  const auto fixture = hex_digits(read_file("tests/fixtures/" + std::string(GetParam().name) + ".hex"));
  EXPECT_EQ(to_hex(GetParam().encode_example()), fixture);
}

TEST_P(Formats, FixtureIsReadAndWrittenBack) {
  Bytes fixture;
  ASSERT_TRUE(from_hex(hex_digits(read_file("tests/fixtures/" + std::string(GetParam().name) + ".hex")), fixture));
  Bytes back;
  ASSERT_TRUE(GetParam().read_and_write(fixture, back));
  EXPECT_EQ(to_hex(back), to_hex(fixture));
}

TEST_P(Formats, PageShowsTheFixture) {
  const std::string name = GetParam().name;
  const auto page = read_file("docs/formats/" + name + ".md");
  EXPECT_EQ(hex_digits(fenced_block(page, "hex")), hex_digits(read_file("tests/fixtures/" + name + ".hex")));
  EXPECT_NE(page.find("tests/fixtures/" + name + ".hex"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Pages, Formats, testing::ValuesIn(formats()),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(EnvelopeFormat, FixtureIsWhatWeSealAndThePageShowsIt) {
  const auto fixture = hex_digits(read_file("tests/fixtures/envelope.hex"));
  const Bytes sealed = seal(trust::Kind::gate, as_bytes("example"), examples::key(examples::kGateKey));
  EXPECT_EQ(to_hex(sealed), fixture);
  EXPECT_EQ(hex_digits(fenced_block(read_file("docs/formats/envelope.md"), "hex")), fixture);
  Bytes bytes;
  ASSERT_TRUE(from_hex(fixture, bytes));
  const auto opened = open_by_key(bytes, trust::Kind::gate, examples::key(examples::kGateKey).public_key());
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(as_text(opened->payload), "example");
}

TEST(KeysFormat, FixtureIsWhatWeWriteAndThePageShowsIt) {
  const auto key = examples::key(examples::kReleaseKey);
  const auto fixture = read_file("tests/fixtures/keys.txt");
  EXPECT_EQ(fixture, format_secret_key(key) + format_public_key(key.public_key(), "Release"));
  const auto page = read_file("docs/formats/keys.md");
  EXPECT_EQ(fenced_block(page, "text"), fixture);
  const auto id = trust::digest(key.public_key().bytes).short_hex();
  EXPECT_NE(page.find("Its key id is `" + id + "`"), std::string::npos);
}

TEST(TopicsFormat, PageShowsEveryKindAndTheyAllParse) {
  const auto fixture = read_file("tests/fixtures/topics.txt");
  EXPECT_EQ(fenced_block(read_file("docs/formats/topics.md"), "text"), fixture);
  const std::vector<std::string> kinds{"root",         "root_version",    "group_manifest",    "group_gate",
                                       "device_fetch", "device_chunk",    "device_report",     "device_ack",
                                       "device_hello", "device_presence", "device_assignment", "rollout_status",
                                       "operator_put", "operator_stored", "control",           "control_response"};
  const Topics topics;
  std::istringstream lines(fixture);
  std::size_t count = 0;
  for (std::string kind, topic; lines >> kind >> topic; ++count) {
    ASSERT_LT(count, kinds.size());
    EXPECT_EQ(kind, kinds[count]);
    const auto parsed = topics.parse(topic);
    ASSERT_TRUE(parsed.has_value()) << topic;
    EXPECT_EQ(parsed->kind, static_cast<TopicKind>(count));
  }
  EXPECT_EQ(count, static_cast<std::size_t>(TopicKind::control_response) + 1);
}

}  // namespace
}  // namespace instar::wire
