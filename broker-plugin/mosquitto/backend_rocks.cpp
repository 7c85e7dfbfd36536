// The real backend: RocksDB under the broker service.
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>

#include "broker-plugin/mosquitto/backend.hpp"
#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "storage/rocks_store.hpp"

namespace instar::broker {
namespace {

[[nodiscard]] std::string own_user() {
  const passwd* user = ::getpwuid(::geteuid());
  return user == nullptr ? std::to_string(::geteuid()) : std::string(user->pw_name);
}

[[nodiscard]] Result<trust::SecretKey> read_gate_key(const std::string& path, BrokerPort& port) {
  auto bytes = files::read_file(path, limits::kKeyFileBytesMax);
  if (!bytes.has_value()) {
    return fail(
        with_context(std::move(bytes.error()), "plugin_opt_gate_key (it must be readable by user " + own_user() + ")"));
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    port.log(LogLevel::warning, "everyone on this machine can read the gate key " + path +
                                    ": chmod 640, owner root, group of " + own_user());
  }
  auto key = trust::parse_secret_key(as_text(*bytes));
  if (!key.has_value()) return fail(with_context(std::move(key.error()), "plugin_opt_gate_key " + path));
  return key;
}

[[nodiscard]] Result<std::unique_ptr<storage::Store>> open_store(const std::string& path) {
  const std::string hint =
      "plugin_opt_store_dir " + path + " (it must belong to user " + own_user() + ", under which the broker runs)";
  if (auto made = files::make_folders(path, 0700); !made.has_value())
    return fail(with_context(std::move(made.error()), hint));
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    return fail(Code::io, "plugin_opt_store_dir " + path + " cannot be written by user " + own_user() +
                              ", under which the broker runs: chown -R " + own_user() + " " + path);
  }
  auto store = storage::RocksStore::open(path);
  if (!store.has_value()) return fail(with_context(std::move(store.error()), hint));
  return store;
}

// For those who are not root, as the broker is not.
[[nodiscard]] std::optional<std::uint64_t> free_bytes_at(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return std::nullopt;
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace

Result<Backend> open_backend(const PluginOptions& options, BrokerPort& port, TransferLog transfer_log,
                             std::function<void()> wake) {
  INSTAR_TRY(auto topics, wire::Topics::with_prefix(options.prefix));
  INSTAR_TRY(auto gate_key, read_gate_key(options.gate_key, port));
  auto root = files::read_file(options.root, limits::kMessageBytesMax);
  if (!root.has_value()) return fail(with_context(std::move(root.error()), "plugin_opt_root"));
  ServiceOptions service{.topics = std::move(topics),
                         .gate_key = std::move(gate_key),
                         .pinned_root = std::move(*root),
                         .operators = options.operators,
                         .transfer_log = options.transfer_log,
                         .window_bytes_max = options.window_bytes,
                         .trust_connections = options.report_trust == ReportTrust::connection};
  service.device_identity = options.device_identity;
  service.listed = options.listed;
  if (options.unknown_devices_max_per_login > 0)
    service.unknown_devices_max_per_login = options.unknown_devices_max_per_login;
  if (options.unknown_devices_days > 0) service.unknown_devices_days = options.unknown_devices_days;
  service.clock = options.clock;
  service.pack_bytes_max = options.pack_bytes_max;
  service.disk_free_min = options.disk_free_min;
  service.free_bytes = [path = options.store_dir] { return free_bytes_at(path); };
  Backend backend;
  INSTAR_TRY(backend.store, open_store(options.store_dir));
  backend.store->on_ready(wake);
  backend.service = make_service(std::move(service), *backend.store, port, std::move(transfer_log),
                                 make_opener_pool(options.verify_threads, std::move(wake)));
  return backend;
}

}  // namespace instar::broker
