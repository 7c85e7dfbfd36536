#include "device-client/containers/run_record.hpp"

#include "device-client/process/json_line.hpp"
#include "device-client/process/switch_files.hpp"
#include "files/files.hpp"

namespace instar::device {

std::string run_record_path(const std::string& lxc_folder) {
  return lxc_folder + kRecord;
}

std::string format_run_record(const RunRecord& record) {
  return JsonLine()
             .add("container", record.container)
             .add("revision", std::int64_t{record.revision})
             .add("order", std::int64_t{record.start_order})
             .add("fingerprint", record.fingerprint.hex())
             .str() +
         "\n";
}

std::optional<RunRecord> parse_run_record(std::string_view text) {
  const auto fields = JsonFields::parse(text);
  if (!fields) return std::nullopt;
  const auto container = fields->text("container");
  const auto revision = fields->integer("revision");
  const auto order = fields->integer("order");
  const auto fingerprint = Hash256::from_hex(fields->text("fingerprint").value_or(""));
  const auto is_u32 = [](const auto& number) { return number.has_value() && *number >= 0 && *number <= 0xffff'ffff; };
  if (!container || !fingerprint || !is_u32(revision) || !is_u32(order)) return std::nullopt;
  return RunRecord{static_cast<std::uint32_t>(*revision), static_cast<std::uint32_t>(*order), *container, *fingerprint};
}

std::optional<RunRecord> read_run_record(const std::string& lxc_folder) {
  const auto bytes = files::read_file(run_record_path(lxc_folder), 4096);
  return bytes ? parse_run_record(as_text(*bytes)) : std::nullopt;
}

}  // namespace instar::device
