// What the device's programs read of files and of each other: device.conf, the answers of instar-lxc, the record of a
// run, and what is left for instar-lxc to mount. The first byte picks one.
#include "core/base/assert.hpp"
#include "core/base/server_uri.hpp"
#include "core/base/text.hpp"
#include "device-client/containers/run_record.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/container_files.hpp"
#include "device-client/process/container_image.hpp"
#include "device-client/process/container_volumes.hpp"
#include "device-client/process/json_line.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_device_files {
namespace {

using namespace instar::device;

// A comment in front moves the lines, and nothing else.
void configuration(std::string_view text) {
  const auto config = parse_config(text, "device.conf");
  const auto moved = parse_config("# one line more\n" + std::string(text), "device.conf");
  INSTAR_ASSERT(config.has_value() == moved.has_value());
  if (!config.has_value()) {
    INSTAR_ASSERT(config.error().code == Code::invalid_argument);
    INSTAR_ASSERT(config.error().message.starts_with("device.conf"));
    return;
  }
  INSTAR_ASSERT(config->device_id == moved->device_id && config->groups == moved->groups);
  INSTAR_ASSERT(!config->device_id.str().empty() && !config->product.empty() && !config->groups.empty());
  INSTAR_ASSERT(parse_server_uri(config->server).has_value());
  INSTAR_ASSERT(!config->state_dir.empty() && config->state_dir.find('\n') == std::string::npos);
}

// What is quoted is read as it was, but for bytes that are no UTF-8.
void json_line(std::string_view text) {
  const auto fields = JsonFields::parse(text);
  if (!fields.has_value()) INSTAR_ASSERT(!fields.error().message.empty());
  JsonLine line;
  line.add("text", text).add("number", std::int64_t{-7}).add("flag", true);
  const auto again = JsonFields::parse(line.str());
  if (!again.has_value()) {
    INSTAR_ASSERT(again.error().code == Code::too_large);
    return;
  }
  INSTAR_ASSERT(again->integer("number") == -7 && again->flag("flag") && again->text("text").has_value());
  if (is_clean_text(text)) INSTAR_ASSERT(*again->text("text") == text);
  JsonLine second;
  second.add("text", *again->text("text"));
  INSTAR_ASSERT(JsonFields::parse(second.str())->text("text") == again->text("text"));
}

void left_for_helper(std::string_view text) {
  if (const auto record = parse_run_record(text)) {
    INSTAR_ASSERT(parse_run_record(format_run_record(*record)) == record);
  }
  if (const auto image = parse_container_image(text)) {
    INSTAR_ASSERT(format_container_image(*image) == text);
  }
  if (const auto files = parse_container_files(text)) {
    INSTAR_ASSERT(format_container_files(*files) == text);
  }
  if (const auto volumes = parse_container_volumes(text)) {
    INSTAR_ASSERT(format_container_volumes(*volumes) == text);
    for (const auto& volume : *volumes) {
      const std::string framed = volume.path + "/";
      INSTAR_ASSERT(framed.starts_with('/') && framed.find("//") == std::string::npos);
      INSTAR_ASSERT(framed.find("/../") == std::string::npos && framed.find("/./") == std::string::npos);
    }
  }
}

void address(std::string_view text) {
  const auto server = parse_server_uri(text);
  if (!server.has_value()) return;
  INSTAR_ASSERT(!server->host.empty() && server->port != 0);
  const auto again = parse_server_uri(server->str());
  INSTAR_ASSERT(again.has_value() && again->str() == server->str());
  INSTAR_ASSERT(again->is_loopback() == server->is_loopback() && again->tls == server->tls);
  (void)check_plain(*server, {.password = true, .tls_files = false});
}

void run(ByteView data) {
  const auto text = as_text(data.subspan(1));
  switch (data[0] % 4) {
    case 0: configuration(text); break;
    case 1: json_line(text); break;
    case 2: left_for_helper(text); break;
    default: address(text); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_device_files

INSTAR_FUZZ_TARGET(device_files, instar::fuzz_device_files::run)
