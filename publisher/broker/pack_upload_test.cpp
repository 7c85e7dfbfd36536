#include "publisher/broker/pack_upload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"
#include "publisher/broker/rollouts.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

// A pack of `count` raw body chunks of `bytes` each, and one head chunk.
PackFile make_pack_file(const std::string& path, std::uint32_t count, std::uint32_t bytes) {
  auto writer = PackFileWriter::create(path);
  EXPECT_TRUE(writer);
  artifact::PackDirectory directory;
  directory.artifact.bytes[0] = 1;
  directory.head_count = 1;
  for (std::uint32_t i = 0; i <= count; ++i) {
    artifact::ChunkRef ref{{}, bytes, bytes, artifact::Codec::raw};
    ref.hash.bytes[0] = static_cast<std::uint8_t>(i);
    ref.hash.bytes[1] = static_cast<std::uint8_t>(i >> 8);
    directory.chunks.push_back(ref);
    if (i == 0) continue;
    EXPECT_TRUE(writer->put(false, i - 1, ref, Bytes(bytes, static_cast<std::uint8_t>(i))));
  }
  EXPECT_TRUE(writer->put(true, 0, directory.chunks[0], Bytes(bytes, 0)));
  EXPECT_TRUE(writer->finish(directory));
  return std::move(*PackFile::open(path));
}

class Uploads : public testing::Test {
 protected:
  PackFile pack(std::uint32_t count, std::uint32_t bytes) { return make_pack_file(folder_ / "p.pack", count, bytes); }

  static wire::Stored answer(const PackFile& pack) {
    wire::Stored stored;
    stored.pack = pack.id();
    return stored;
  }
  static wire::Stored missing(const PackFile& pack, std::vector<wire::OrdinalRange> ranges) {
    auto stored = answer(pack);
    stored.directory = true;
    stored.missing = std::move(ranges);
    return stored;
  }
  static wire::Stored durable(const PackFile& pack, std::vector<wire::OrdinalRange> ranges) {
    auto stored = answer(pack);
    stored.durable = std::move(ranges);
    return stored;
  }
  // All messages up to the one after which the upload waits for the broker.
  static std::vector<wire::Put> drain(PackUpload& upload) {
    std::vector<wire::Put> all;
    while (true) {
      auto put = upload.next();
      EXPECT_TRUE(put);
      if (!put || !*put) return all;
      all.push_back(std::move(**put));
    }
  }

  files::TemporaryFolder folder_;
};

TEST_F(Uploads, TheDirectoryGoesFirstAndAlone) {
  const auto file = pack(3000, 8);  // its directory takes two pieces
  PackUpload upload(file);
  upload.restart();
  const auto puts = drain(upload);
  ASSERT_EQ(puts.size(), 2U);
  Bytes joined;
  for (const auto& put : puts) {
    EXPECT_EQ(put.kind, wire::PutKind::directory);
    EXPECT_EQ(put.pack, file.id());
    EXPECT_EQ(put.offset, joined.size());
    EXPECT_EQ(put.total_bytes, file.directory_bytes().size());
    EXPECT_LE(put.data.size(), limits::kPutPieceBytesMax);
    joined.insert(joined.end(), put.data.begin(), put.data.end());
  }
  EXPECT_EQ(joined, file.directory_bytes());
}

TEST_F(Uploads, OnlyWhatIsMissingIsSent) {
  const auto file = pack(10, 100);
  PackUpload upload(file);
  upload.restart();
  static_cast<void>(drain(upload));
  ASSERT_TRUE(upload.on_stored(missing(file, {{2, 1}, {5, 2}})));
  EXPECT_EQ(upload.bytes_done(), 8U * 100);
  const auto puts = drain(upload);
  ASSERT_EQ(puts.size(), 3U);
  EXPECT_EQ(puts[0].ordinal, 2U);
  EXPECT_EQ(puts[1].ordinal, 5U);
  EXPECT_EQ(puts[2].ordinal, 6U);
  EXPECT_EQ(puts[0].data, Bytes(100, 2));
  EXPECT_EQ(upload.bytes_sent(), 300U);
  ASSERT_TRUE(upload.on_stored(durable(file, {{2, 1}, {5, 1}})));
  EXPECT_EQ(upload.bytes_done(), 10U * 100);
  EXPECT_FALSE(upload.is_complete());
  auto done = answer(file);
  done.complete = true;
  ASSERT_TRUE(upload.on_stored(done));
  EXPECT_TRUE(upload.is_complete());
  EXPECT_EQ(upload.bytes_done(), upload.bytes_all());
}

TEST_F(Uploads, LargeChunksGoInPiecesAndFourAreInFlight) {
  constexpr std::uint32_t kBytes = 256 * 1024;
  const auto file = pack(9, kBytes);
  PackUpload upload(file);
  upload.restart();
  static_cast<void>(drain(upload));
  ASSERT_TRUE(upload.on_stored(missing(file, {{0, 10}})));
  auto puts = drain(upload);
  ASSERT_EQ(puts.size(), 4U * 4);
  EXPECT_EQ(puts[3].offset, 3 * limits::kPutPieceBytesMax);
  EXPECT_EQ(puts[3].total_bytes, kBytes);
  ASSERT_TRUE(upload.on_stored(durable(file, {{0, 1}})));
  puts = drain(upload);
  ASSERT_EQ(puts.size(), 4U);
  EXPECT_EQ(puts[0].ordinal, 4U);
}

TEST_F(Uploads, SmallChunksAreBoundedByNumber) {
  const auto file = pack(200, 8);
  PackUpload upload(file);
  upload.restart();
  static_cast<void>(drain(upload));
  ASSERT_TRUE(upload.on_stored(missing(file, {{0, 201}})));
  EXPECT_EQ(drain(upload).size(), limits::kUploadInFlightChunksMax);
}

TEST_F(Uploads, ALostConnectionBeginsWithTheDirectoryAgain) {
  const auto file = pack(10, 100);
  PackUpload upload(file);
  upload.restart();
  static_cast<void>(drain(upload));
  ASSERT_TRUE(upload.on_stored(missing(file, {{0, 11}})));
  static_cast<void>(drain(upload));
  upload.restart();
  const auto puts = drain(upload);
  ASSERT_EQ(puts.size(), 1U);
  EXPECT_EQ(puts[0].kind, wire::PutKind::directory);
  ASSERT_TRUE(upload.on_stored(missing(file, {{9, 2}})));
  EXPECT_EQ(drain(upload).size(), 2U);
}

TEST_F(Uploads, AnAnswerThatNamesOnlySomeMissingChunksIsFollowedByAnother) {
  const auto file = pack(10, 100);
  PackUpload upload(file);
  upload.restart();
  static_cast<void>(drain(upload));
  ASSERT_TRUE(upload.on_stored(missing(file, {{0, 2}})));
  static_cast<void>(drain(upload));
  ASSERT_TRUE(upload.on_stored(durable(file, {{0, 2}})));
  const auto puts = drain(upload);
  ASSERT_EQ(puts.size(), 1U);
  EXPECT_EQ(puts[0].kind, wire::PutKind::directory);
}

TEST_F(Uploads, TheBrokersRefusalIsPassedOn) {
  const auto file = pack(1, 8);
  PackUpload upload(file);
  upload.restart();
  auto stored = answer(file);
  stored.code = Code::no_space;
  stored.reason = "the disk is full";
  const auto status = upload.on_stored(stored);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::no_space);
  EXPECT_EQ(status.error().message, "the disk is full");
}

TEST_F(Uploads, HostileAnswersAreErrors) {
  const auto file = pack(3, 8);
  PackUpload upload(file);
  upload.restart();
  static_cast<void>(drain(upload));
  EXPECT_FALSE(upload.on_stored(missing(file, {{4, 1}})));
  EXPECT_FALSE(upload.on_stored(missing(file, {{0, 0}})));
  EXPECT_FALSE(upload.on_stored(missing(file, {{1, ~0U}})));
  EXPECT_FALSE(upload.on_stored(missing(file, {{0, 4}, {0, 4}})));
  EXPECT_FALSE(upload.on_stored(durable(file, {{~0U, 2}})));
  auto other = missing(file, {{0, 4}});
  other.pack.bytes[5] ^= 1;
  EXPECT_TRUE(upload.on_stored(other));  // not ours, so it is ignored
  EXPECT_FALSE(upload.is_directory_answered());
}

// --- with a session ---------------------------------------------------------------------------------

// A broker that answers at once. It holds packs and knows commands.
class AnsweringClient final : public mqtt::Client {
 public:
  std::map<std::string, Json> answers;  // command → data
  std::string refuse_all;               // an error for every command, without correlation
  std::function<void(const mqtt::Message&, AnsweringClient&)> on_publish;
  std::vector<mqtt::Message> published;

  void deliver(std::string topic, ByteView payload) {
    events_.push_back({mqtt::EventKind::message,
                       {std::move(topic), to_bytes(payload), wire::Qos::at_least_once, wire::Retain::no},
                       {}});
  }
  Status start() override {
    if (!refuse_connection.empty()) {
      for (int i = 0; i < 3; ++i) events_.push_back({mqtt::EventKind::disconnected, {}, refuse_connection});
      return {};
    }
    connected_ = true;
    events_.push_back({mqtt::EventKind::connected, {}, {}});
    return {};
  }
  Status publish(mqtt::Message message) override {
    published.push_back(message);
    if (message.topic == "$CONTROL/instar/v1") control(message);
    if (on_publish) on_publish(message, *this);
    return {};
  }
  std::optional<mqtt::Event> take(std::uint32_t) override {
    if (events_.empty()) return std::nullopt;
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool is_connected() const noexcept override { return connected_; }
  Status subscribe(mqtt::Subscription) override { return {}; }
  int event_fd() const noexcept override { return -1; }
  Status unsubscribe(const std::string& /*filter*/) override { return {}; }
  std::uint64_t dropped_messages() const noexcept override { return 0; }
  void stop(std::uint32_t) override { connected_ = false; }

  void find_out_why(mqtt::Silence silence) override {
    asked_why.push_back(std::move(silence));
    if (explanation.kind == mqtt::EventKind::explained) events_.push_back(explanation);
  }
  void explain(mqtt::Fault fault, std::string words) {
    events_.push_back({mqtt::EventKind::explained, {}, std::move(words), fault});
  }

  std::string refuse_connection;
  std::vector<mqtt::Silence> asked_why;
  mqtt::Event explanation;  // what is found out, when it is an `explained`

 private:
  void control(const mqtt::Message& message) {
    const auto request = *parse_json(as_text(message.payload), "request");
    Json response;
    const Json& command = request["commands"][0];
    if (!refuse_all.empty()) {
      response = {{"command", "Unknown command"}, {"error", refuse_all}};
    } else {
      const auto found = answers.find(get_text(command, "command"));
      if (found == answers.end()) return;
      response = {{"command", found->first}, {"correlationData", command["correlationData"]}};
      response[found->second.is_string() ? "error" : "data"] = found->second;
    }
    const std::string text = dump({{"responses", Json::array({response})}});
    deliver("$CONTROL/instar/v1/response", as_bytes(text));
  }
  std::deque<mqtt::Event> events_;
  bool connected_ = false;
};

class Sessions : public Uploads {
 protected:
  Outcome<std::unique_ptr<Session>> open(std::int64_t timeout_ms = 300) {
    Connection connection;
    connection.broker = "mqtt://127.0.0.1:1";
    connection.server_uri = "tcp://127.0.0.1:1";
    connection.timeout_ms = timeout_ms;
    auto client = std::make_unique<AnsweringClient>();
    client_ = client.get();
    if (before_open_) before_open_(*client_);
    return Session::open(connection, wire::Topics(), *ClientId::parse("op-1"), std::move(client));
  }
  AnsweringClient* client_ = nullptr;
  std::function<void(AnsweringClient&)> before_open_;
};

TEST_F(Sessions, ABrokerThatCannotBeReachedIsAnError) {
  before_open_ = [](AnsweringClient& client) { client.refuse_connection = "MQTT error [-1]"; };
  const auto session = open();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().exit, Exit::unreachable);
  EXPECT_THAT(session.error().error.message, HasSubstr("MQTT error [-1]"));
  EXPECT_THAT(session.error().error.message, HasSubstr("INSTAR_BROKER"));
}

TEST_F(Sessions, ACauseThatLastsEndsTheWaitForAConnection) {
  before_open_ = [](AnsweringClient& client) {
    client.refuse_connection = "TCP/TLS connect failure";
    client.explain(mqtt::Fault::certificate_expired, "the broker's certificate expired. Renew it");
  };
  const auto session = open(600'000);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().exit, Exit::unreachable);
  EXPECT_EQ(session.error().error.message,
            "cannot reach mqtt://127.0.0.1:1: the broker's certificate expired. Renew it");
}

TEST_F(Sessions, WhatTheBrokerNeverTakesEndsARequest) {
  auto session = open(600'000);
  ASSERT_TRUE(session);
  client_->explain(mqtt::Fault::packet_too_large, "the broker takes packets of at most 60 bytes");
  const auto data = (*session)->request("getVersion");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().exit, Exit::refused);
  EXPECT_EQ(data.error().error.message, "mqtt://127.0.0.1:1: the broker takes packets of at most 60 bytes");
}

TEST_F(Sessions, AFirstRequestThatNobodyAnswersIsLookedInto) {
  auto session = open(20'000);
  ASSERT_TRUE(session);
  client_->explanation = {
      mqtt::EventKind::explained, {}, "the broker does not let this client write", mqtt::Fault::may_not_write};
  const auto data = (*session)->request("getVersion");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().exit, Exit::refused);
  EXPECT_THAT(data.error().error.message, HasSubstr("does not let this client write"));
  ASSERT_EQ(client_->asked_why.size(), 1U);
  EXPECT_EQ(client_->asked_why[0].message.topic, "$CONTROL/instar/v1");
  EXPECT_FALSE(client_->asked_why[0].same_id);
}

TEST_F(Sessions, ABrokerThatIsPerhapsOnlySlowIsWaitedForAndItsSilenceExplained) {
  auto session = open(4'000);
  ASSERT_TRUE(session);
  client_->explanation = {mqtt::EventKind::explained, {}, "nobody answers there", mqtt::Fault::no_plugin};
  const auto data = (*session)->request("getVersion");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().exit, Exit::timed_out);
  EXPECT_THAT(data.error().error.message, HasSubstr("within 4 s. nobody answers there"));
}

TEST_F(Sessions, RequestsGetTheirAnswersByCorrelation) {
  auto session = open();
  ASSERT_TRUE(session);
  client_->answers["getVersion"] = {{"root_version", 3}};
  const std::string stranger =
      R"({"responses":[{"command":"getVersion","data":{"root_version":9},"correlationData":"op-2-1"}]})";
  client_->deliver("$CONTROL/instar/v1/response", as_bytes(stranger));
  client_->deliver("$CONTROL/instar/v1/response", as_bytes("{not json"));
  const auto data = (*session)->request("getVersion");
  ASSERT_TRUE(data);
  EXPECT_EQ(get_number(*data, "root_version"), 3U);
}

TEST_F(Sessions, ErrorsOfTheBrokerAreRefusals) {
  auto session = open();
  ASSERT_TRUE(session);
  client_->answers["getDevice"] = "not_found: no device x";
  const auto data = (*session)->request("getDevice");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().exit, Exit::refused);
  EXPECT_THAT(data.error().error.message, HasSubstr("no device x"));
}

TEST_F(Sessions, ARefusalOfTheWholeMessageCountsToo) {
  auto session = open(20'000);
  ASSERT_TRUE(session);
  client_->refuse_all = "refused: user 'eve' is not among the operators";
  const auto data = (*session)->request("listRollouts");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().exit, Exit::refused);
  EXPECT_THAT(data.error().error.message, HasSubstr("eve"));
}

TEST_F(Sessions, SilenceIsATimeout) {
  auto session = open();
  ASSERT_TRUE(session);
  const auto data = (*session)->request("getVersion");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().exit, Exit::timed_out);
  EXPECT_THAT(data.error().error.message, HasSubstr("plugin"));
}

TEST_F(Sessions, TheNextSequenceIsTheBrokersAnswer) {
  auto session = open();
  ASSERT_TRUE(session);
  client_->answers["nextSequence"] = {{"sequence", 5}, {"devices", 9}, {"devices_refusing", 2}};
  const auto next = next_sequence(**session, "a", {GroupPath::parse("plant-7").value()});
  ASSERT_TRUE(next);
  EXPECT_EQ(next->sequence, 5U);
  EXPECT_EQ(next->devices, 9U);
  EXPECT_EQ(next->refusing, 2U);
  client_->answers["nextSequence"] = Json::object();
  EXPECT_FALSE(next_sequence(**session, "a", {GroupPath::parse("plant-7").value()}))
      << "an answer without one is not sequence 0";
}

TEST_F(Sessions, APackTheBrokerDoesNotKnowIsUploaded) {
  auto session = open();
  ASSERT_TRUE(session);
  const auto file = pack(5, 100);
  std::size_t chunks = 0;
  client_->answers["getPack"] = "not_found: no pack";
  client_->on_publish = [&](const mqtt::Message& message, AnsweringClient& client) {
    if (message.topic != "instar/v1/o/op-1/put") return;
    const auto put = wire::decode_put(message.payload);
    ASSERT_TRUE(put);
    auto stored = put->kind == wire::PutKind::directory ? missing(file, {{1, 5}}) : durable(file, {{put->ordinal, 1}});
    chunks += put->kind == wire::PutKind::chunk ? 1 : 0;
    stored.complete = chunks == 5;
    client.deliver("instar/v1/o/op-1/stored", wire::encode(stored));
  };
  const auto lacking = lacking_packs(**session, {&file});
  ASSERT_TRUE(lacking);
  ASSERT_EQ(lacking->size(), 1U);
  std::uint64_t last = 0;
  const auto result = upload_packs(**session, *lacking, [&](std::uint64_t done, std::uint64_t) { last = done; });
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(result->bytes_sent, 500U);
  EXPECT_EQ(last, file.wire_bytes());
}

TEST_F(Sessions, ARefusedUploadEndsWithTheReason) {
  auto session = open();
  ASSERT_TRUE(session);
  const auto file = pack(5, 100);
  client_->on_publish = [&](const mqtt::Message&, AnsweringClient& client) {
    auto stored = answer(file);
    stored.code = Code::corrupt;
    stored.reason = "chunk 1 does not match its hash";
    client.deliver("instar/v1/o/op-1/stored", wire::encode(stored));
  };
  const auto result = upload_packs(**session, {&file}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().exit, Exit::refused);
  EXPECT_THAT(result.error().error.message, HasSubstr("does not match"));
}

TEST_F(Sessions, ABrokerWithoutRoomIsAskedAgainUntilItHasSome) {
  auto session = open(20'000);
  ASSERT_TRUE(session);
  const auto file = pack(5, 100);
  int asked = 0;
  client_->on_publish = [&](const mqtt::Message&, AnsweringClient& client) {
    auto stored = answer(file);
    if (++asked == 1) {
      stored.code = Code::unavailable;
      stored.reason = "packs that nothing needs are being removed";
    }
    stored.complete = asked > 1;
    client.deliver("instar/v1/o/op-1/stored", wire::encode(stored));
  };
  const auto result = upload_packs(**session, {&file}, {});
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(asked, 2);
}

TEST_F(Sessions, ABrokerWithoutRoomIsNotAskedForEver) {
  auto session = open();
  ASSERT_TRUE(session);
  const auto file = pack(5, 100);
  client_->on_publish = [&](const mqtt::Message&, AnsweringClient& client) {
    auto stored = answer(file);
    stored.code = Code::unavailable;
    stored.reason = "packs that nothing needs are being removed";
    client.deliver("instar/v1/o/op-1/stored", wire::encode(stored));
  };
  const auto result = upload_packs(**session, {&file}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().exit, Exit::refused);
  EXPECT_THAT(result.error().error.message, HasSubstr("are being removed"));
}

TEST_F(Sessions, AnUploadThatIsNotAnsweredEndsInTime) {
  auto session = open();
  ASSERT_TRUE(session);
  const auto file = pack(5, 100);
  const auto result = upload_packs(**session, {&file}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().exit, Exit::timed_out);
  EXPECT_THAT(result.error().error.message, HasSubstr("May this user write to instar/v1/o/op-1/put"));
  EXPECT_EQ(client_->published.size(), 1U) << "the directory alone";
}

TEST_F(Sessions, UploadsUnderTheClientIdThatTheBrokerHasMade) {
  auto session = open();
  ASSERT_TRUE(session);
  client_->answers["getVersion"] = {{"root_version", 1}, {"client_id", "alice"}};
  ASSERT_TRUE((*session)->request("getVersion"));
  const auto file = pack(5, 100);
  client_->on_publish = [&](const mqtt::Message& message, AnsweringClient& client) {
    auto stored = missing(file, {});
    stored.complete = message.topic == "instar/v1/o/alice/put";
    client.deliver("instar/v1/o/alice/stored", wire::encode(stored));
  };
  const auto result = upload_packs(**session, {&file}, {});
  EXPECT_TRUE(result) << result.error().error.message;
}

wire::Manifest one_group() {
  wire::Manifest manifest;
  manifest.product = "gateway-2";
  manifest.groups = {*GroupPath::parse("plant-7")};
  return manifest;
}

TEST_F(Sessions, WaitsForTheBrokersAnswerToAManifest) {
  auto session = open();
  ASSERT_TRUE(session);
  std::string state = "active";
  client_->on_publish = [&](const mqtt::Message& message, AnsweringClient& client) {
    if (message.topic != "instar/v1/manifest/plant-7/gateway-2") return;
    EXPECT_EQ(message.retain, wire::Retain::yes);
    const std::string text =
        dump({{"rollout", "00"}, {"state", state}, {"code", "stale"}, {"reason", "sequence 1 is old"}});
    client.deliver("instar/v1/r/00/status", as_bytes(text));
  };
  const auto accepted = send_manifest(**session, one_group(), as_bytes("envelope"), "00");
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->state, "active");
  state = "refused";
  const auto refused = send_manifest(**session, one_group(), as_bytes("envelope"), "00");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit, Exit::refused);
  EXPECT_THAT(refused.error().error.message, HasSubstr("stale: sequence 1 is old"));
  client_->on_publish = {};
  EXPECT_EQ(send_manifest(**session, one_group(), as_bytes("envelope"), "00").error().exit, Exit::timed_out);
}

}  // namespace
}  // namespace instar::publisher
