// What the daemon reads of the machine it runs on.
#pragma once

#include <string>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/revision/machine.hpp"
#include "core/trust/keys.hpp"
#include "device-client/containers/container_config.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/log.hpp"
#include "device-client/staging/stager.hpp"

namespace instar::device {

inline constexpr std::size_t kStateBytesMax = 16 * 1024 * 1024;
[[nodiscard]] std::string state_path(const std::string& state_dir);

[[nodiscard]] Now read_clocks();
// Seconds that local time (/etc/localtime, TZ) is east of UTC at `utc`.
[[nodiscard]] std::int32_t read_utc_offset_s(WallMs utc);
// With its handlers and its factory revision.
[[nodiscard]] revision::DeviceFacts read_facts(const Config& config);
// Images that can be mounted: a loop device is there, and the kernel has the file system or its module can be loaded.
// `root`: where /proc, /dev and /lib/modules are, for tests.
[[nodiscard]] std::vector<wire::ImageFormat> read_image_formats(const std::string& root = "");
[[nodiscard]] HostFacts read_host();
// The stager of this device: where it works, what it may make, and where its log goes.
[[nodiscard]] StagerOptions stager_options(const Config& config, const Log& log);
[[nodiscard]] std::string client_version();

// `config.lxc_helper`, else instar-lxc beside this program, else where the package puts it. Errors: not_found.
[[nodiscard]] Result<std::string> find_helper(const Config& config);

// <state_dir>/identity.key, made on first use. Errors: io; malformed (a file that is not a key is never replaced).
[[nodiscard]] Result<trust::SecretKey> load_identity(const std::string& state_dir);

// Lets go of the pages of programs and libraries that this process has mapped: what is still used comes back from the
// page cache, one fault for 64 KB; the rest, of what is over, does not stay mapped for ever. Only clean pages of files
// that nobody may write to.
void let_go_of_code() noexcept;

// First line of a file.
[[nodiscard]] Result<std::string> read_password(const std::string& path);

// Makes `config.state_dir` (for root alone) and spells it in the one way that LXC is to see. Errors: io,
// invalid_argument.
[[nodiscard]] Status prepare_state_dir(Config& config);

// Held as long as it lives: two daemons on one state folder would undo each other's work.
class StateLock {
 public:
  // Errors: unavailable (another daemon holds it), io.
  [[nodiscard]] static Result<StateLock> take(const std::string& state_dir);
  // The process that holds it, 0 if none.
  [[nodiscard]] static int holder(const std::string& state_dir);
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;
  ~StateLock();

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace instar::device
