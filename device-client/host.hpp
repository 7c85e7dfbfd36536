// What the daemon needs to know of its machine.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/revision/machine.hpp"
#include "core/trust/keys.hpp"
#include "device-client/containers/container_config.hpp"
#include "device-client/process/config.hpp"
#include "device-client/process/log.hpp"
#include "device-client/staging/stager.hpp"

namespace instar::device {

[[nodiscard]] std::string state_path(const std::string& state_dir);
[[nodiscard]] std::string anchor_path(const std::string& state_dir);

[[nodiscard]] Now read_clocks();
// Of the kernel's clock: whether a time service keeps it, or what the configuration says.
[[nodiscard]] wire::ClockState read_clock_state(ClockSetting setting);
// Seconds that local time (/etc/localtime, TZ) is east of UTC at `utc`.
[[nodiscard]] std::int32_t read_utc_offset_s(WallMs utc);
// Includes the handlers and the factory revision.
[[nodiscard]] revision::DeviceFacts read_facts(const Config& config);
// The kinds of images that can be mounted: there is a loop device, and the kernel has the file system or can load its
// module. `root`: where /proc, /dev and /lib/modules are, for tests.
[[nodiscard]] std::vector<wire::ImageFormat> read_image_formats(const std::string& root = "");
// Whether overlays can rename folders of their lower layer, by the version of the kernel ("5.10.0-28").
[[nodiscard]] bool renames_folders(std::string_view kernel) noexcept;
// `root`: where /sys, /proc and the programs are, for tests.
[[nodiscard]] HostFacts read_host(const std::string& root = "");
// The options of this device's stager: its folder, what it may make, and its log.
[[nodiscard]] StagerOptions stager_options(const Config& config, const Log& log);
[[nodiscard]] std::string client_version();

// `config.lxc_helper`, else instar-lxc beside this program, else where the package puts it. Errors: not_found.
[[nodiscard]] Result<std::string> find_helper(const Config& config);

// <state_dir>/identity.key, made on first use. Errors: io; malformed (a file that is not a key is never replaced).
[[nodiscard]] Result<trust::SecretKey> load_identity(const std::string& state_dir);

// Releases the pages of programs and libraries that this process has mapped. Pages that are still used come back from
// the page cache, one fault for 64 KB; the others do not stay mapped for ever. Only clean pages of files that nobody
// may write to are released.
void let_go_of_code() noexcept;

// Makes `config.state_dir`, which only root may enter, and changes it to the one spelling that LXC gets. Errors: io,
// invalid_argument.
[[nodiscard]] Status prepare_state_dir(Config& config);

// A lock that is held as long as this object exists, because two daemons must not work on one state folder.
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
