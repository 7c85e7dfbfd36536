#include "device-client/host.hpp"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "core/trust/digest.hpp"
#include "device-client/containers/client_slots.hpp"
#include "device-client/containers/host_payload.hpp"
#include "device-client/factory.hpp"
#include "device-client/process/own_program.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

std::int64_t clock_ms(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

std::string lock_path(const std::string& state_dir) {
  return state_dir + "/lock";
}

// With functions of C, because C++ streams would make the client half a megabyte larger.
template <typename Take>
void each_line(const std::string& path, Take take) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return;
  char* line = nullptr;
  std::size_t room = 0;
  for (ssize_t got = 0; (got = ::getline(&line, &room, file)) > 0;) {
    if (line[got - 1] == '\n') --got;
    take(std::string_view(line, static_cast<std::size_t>(got)));
  }
  std::free(line);
  std::fclose(file);
}

// What LXC needs to make a profile for a container: a kernel that enforces profiles, and mediates mounts; the program
// that loads them; and the right to.
bool makes_profiles(const std::string& root) {
  constexpr unsigned kMacAdmin = 33;  // CAP_MAC_ADMIN
  const auto enabled = files::read_file(root + "/sys/module/apparmor/parameters/enabled", 16);
  if (!enabled || !as_text(*enabled).starts_with('Y')) return false;
  if (!files::exists(root + "/sys/kernel/security/apparmor/features/mount/mask")) return false;
  if (::access((root + "/sbin/apparmor_parser").c_str(), X_OK) != 0 &&
      ::access((root + "/usr/sbin/apparmor_parser").c_str(), X_OK) != 0)
    return false;
  bool may = false;
  each_line(root + "/proc/self/status", [&](std::string_view line) {
    constexpr std::string_view kEffective = "CapEff:\t";
    if (!line.starts_with(kEffective)) return;
    line.remove_prefix(kEffective.size());
    std::uint64_t set = 0;
    const auto parsed = std::from_chars(line.data(), line.data() + line.size(), set, 16);
    may = parsed.ec == std::errc{} && (set >> kMacAdmin & 1U) != 0;
  });
  return may;
}

revision::HardLimits read_hard_limits() {
  constexpr std::pair<const char*, decltype(RLIMIT_AS)> kLimits[] = {
      {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
      {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
      {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
      {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
      {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
      {"stack", RLIMIT_STACK},
  };
  revision::HardLimits own;
  for (const auto& [name, resource] : kLimits) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) continue;
    own[name] = limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : std::uint64_t{limit.rlim_max};
  }
  return own;
}

std::uint64_t read_memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

constexpr std::size_t kLockTextBytes = 12;
constexpr int kLockTries = 50;
constexpr useconds_t kLockPauseUs = 20'000;

}  // namespace

std::string state_path(const std::string& state_dir) {
  return state_dir + "/state";
}

std::string anchor_path(const std::string& state_dir) {
  return state_dir + "/anchor";
}

Now read_clocks() {
  // CLOCK_BOOTTIME also counts while the device sleeps.
  return {{clock_ms(CLOCK_REALTIME)}, {clock_ms(CLOCK_BOOTTIME)}};
}

wire::ClockState read_clock_state(ClockSetting setting) {
  switch (setting) {
    case ClockSetting::trusted: return wire::ClockState::synchronized;
    case ClockSetting::free: return wire::ClockState::free;
    case ClockSetting::none: return wire::ClockState::none;
    case ClockSetting::automatic: break;
  }
  timex kept{};
  const int state = ::adjtimex(&kept);
  const bool is_kept = state >= 0 && state != TIME_ERROR && (kept.status & STA_UNSYNC) == 0;
  return is_kept ? wire::ClockState::synchronized : wire::ClockState::free;
}

std::string client_version() {
  return INSTAR_VERSION;
}

std::int32_t read_utc_offset_s(WallMs utc) {
  const auto seconds = static_cast<std::time_t>(utc.value / 1'000);
  std::tm local{};
  ::tzset();
  if (::localtime_r(&seconds, &local) == nullptr) return 0;
  return static_cast<std::int32_t>(local.tm_gmtoff);
}

namespace {

// The first line of the file. It may be gone: it is needed once.
void read_token(const std::string& path, revision::DeviceFacts& facts) {
  const auto text = files::read_file(path, limits::kSecretFileBytesMax);
  if (!text) {
    if (text.error().code != Code::not_found) facts.description.degraded.push_back(text.error().message);
    return;
  }
  const auto line = trim(as_text(*text).substr(0, as_text(*text).find('\n')));
  if (line.size() <= limits::kTokenBytesMax) {
    facts.token = to_bytes(line);
  } else {
    facts.description.degraded.push_back(path + ": a token has at most " + std::to_string(limits::kTokenBytesMax) +
                                         " characters");
  }
}

}  // namespace

revision::DeviceFacts read_facts(const Config& config) {
  revision::DeviceFacts facts;
  facts.device = config.device_id;
  facts.description.product = config.product;
  facts.description.groups = config.groups;
  utsname system{};
  if (::uname(&system) == 0) {
    facts.description.architecture = system.machine;
    facts.description.kernel = system.release;
  }
  // Without a boot id every restart of the client counts as a boot, which is the safe side.
  constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
  if (const auto boot = files::read_file(kBootId, 256)) facts.machine_boot = trust::digest(*boot).prefix64();
  if (const auto random = files::random_bytes(sizeof(facts.instance)))
    std::memcpy(&facts.instance, random->data(), sizeof(facts.instance));
  facts.description.client_version = client_version();
  facts.description.memory_bytes = read_memory_bytes();
  facts.description.metered = config.metered;
  facts.lxc_keys_allowed = config.lxc_keys_allowed;
  facts.devices_allowed = config.devices_allowed;
  facts.previous_makes_room = config.previous_makes_room;
  facts.description.image_formats = read_image_formats();
  facts.window_bytes_max = config.window_bytes_max;
  facts.piece_bytes_max = config.piece_bytes_max;
  facts.broker_grace_ms = config.broker_grace_s * 1000;
  facts.silence_days = config.silence_days;
  facts.description.handlers = find_handlers(config);
  if (auto factory = read_factory(config.state_dir); !factory) {
    facts.description.degraded.push_back("the factory revision's record cannot be read: " + factory.error().message);
  } else if (*factory) {
    facts.factory = (*factory)->revisions.current;
    facts.factory_manifest = (*factory)->revisions.current_manifest;
  }
  if (const auto why = client_given_up(); !why.empty()) facts.description.degraded.push_back(why);
  if (!config.enrolment_token_file.empty()) read_token(config.enrolment_token_file, facts);
  return facts;
}

std::vector<wire::ImageFormat> read_image_formats(const std::string& root) {
  std::vector<wire::ImageFormat> formats;
  if (!files::exists(root + "/dev/loop-control")) return formats;
  utsname system{};
  ::uname(&system);
  const auto add = [&](std::string_view name) {
    const auto format = wire::parse_image_format(name);
    if (format && std::ranges::find(formats, *format) == formats.end()) formats.push_back(*format);
  };
  // "nodev	proc", "	squashfs"
  each_line(root + "/proc/filesystems", [&](std::string_view line) { add(line.substr(line.rfind('\t') + 1)); });
  // "kernel/fs/erofs/erofs.ko.xz: kernel/lib/lz4/lz4_decompress.ko.xz"
  each_line(root + "/lib/modules/" + system.release + "/modules.dep", [&](std::string_view line) {
    const auto path = line.substr(0, line.find(':'));
    const auto name = path.substr(path.rfind('/') + 1);
    if (const auto end = name.find(".ko"); end != std::string_view::npos) add(name.substr(0, end));
  });
  std::ranges::sort(formats);
  return formats;
}

StagerOptions stager_options(const Config& config, const Log& log) {
  StagerOptions options;
  options.state_dir = config.state_dir;
  options.devices_allowed = config.devices_allowed;
  options.log = [log](LogLevel level, const std::string& message) { log.write(level, message); };
  return options;
}

// Not by the module's parameters: they are not there before the first container has loaded it.
bool renames_folders(std::string_view kernel) noexcept {
  unsigned major = 0;
  unsigned minor = 0;
  const auto dot = kernel.find('.');
  if (dot == std::string_view::npos) return false;
  std::from_chars(kernel.data(), kernel.data() + dot, major);
  std::from_chars(kernel.data() + dot + 1, kernel.data() + kernel.size(), minor);
  return major > 4 || (major == 4 && minor >= 10);
}

HostFacts read_host(const std::string& root) {
  constexpr const char* kSeccomp = "/usr/share/lxc/config/common.seccomp";
  HostFacts host;
  if (::access((root + kSeccomp).c_str(), R_OK) == 0) host.seccomp_profile = kSeccomp;
  host.apparmor = makes_profiles(root);
  host.hard_limits = read_hard_limits();
  host.memory_bytes = read_memory_bytes();
  utsname system{};
  host.renames_folders = ::uname(&system) == 0 && renames_folders(system.release);
  return host;
}

Result<std::string> find_helper(const Config& config) {
  const auto usable = [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; };
  if (!config.lxc_helper.empty()) {
    if (usable(config.lxc_helper)) return config.lxc_helper;
    return fail(Code::not_found, "lxc_helper = " + config.lxc_helper + " is not a program that can be run");
  }
  const std::string own = own_program().value_or("");
  for (const std::string& path :
       {own.substr(0, own.rfind('/') + 1) + "instar-lxc", std::string("/usr/libexec/instar/instar-lxc")})
    if (usable(path)) return path;
  return fail(Code::not_found,
              "instar-lxc is neither beside this program nor in /usr/libexec/instar; install it, or set lxc_helper");
}

Result<trust::SecretKey> load_identity(const std::string& state_dir) {
  const std::string path = state_dir + "/identity.key";
  const auto text = files::read_file(path, limits::kSecretFileBytesMax);
  if (text) {
    auto key = trust::parse_secret_key(as_text(*text));
    if (!key) return fail(with_context(key.error(), path));
    return key;
  }
  if (text.error().code != Code::not_found) return fail(text.error());
  INSTAR_TRY(const auto seed, files::random_bytes(32));
  INSTAR_TRY(auto key, trust::SecretKey::from_seed(seed));
  INSTAR_CHECK(files::write_file_atomic(path, as_bytes(trust::format_secret_key(key)), 0600));
  return key;
}

void let_go_of_code() noexcept {
  const auto each = [](dl_phdr_info* object, std::size_t, void*) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
      const auto begin = (object->dlpi_addr + segment.p_vaddr) / page * page;
      const auto end = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page *
                       page;  // because the last page may have data too
      if (end > begin) static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED));
    }
    return 0;
  };
  ::dl_iterate_phdr(each, nullptr);
}

Status prepare_state_dir(Config& config) {
  // Only root may enter: the trees have set-user-id programs, which nobody on the host may run.
  INSTAR_CHECK(files::make_folders(config.state_dir, 0700));
  char* const real = ::realpath(config.state_dir.c_str(), nullptr);
  if (real == nullptr) return fail(Code::io, "state_dir = " + config.state_dir + ": " + std::strerror(errno));
  config.state_dir = real;
  ::free(real);
  if (config.state_dir.find_first_of(":,\\ \t\"'#\n") != std::string::npos)
    return fail(Code::invalid_argument,
                "state_dir is really " + config.state_dir + ", which has characters that LXC cannot take");
  for (const char* folder : {"/revisions", "/volumes", "/lxc"})
    INSTAR_CHECK(files::make_folders(config.state_dir + folder, 0700));
  return {};
}

Result<StateLock> StateLock::take(const std::string& state_dir) {
  const std::string path = lock_path(state_dir);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Code::io, "cannot open " + path + ": " + std::strerror(errno));
  StateLock lock(fd);
  // Whoever asks for the status holds it for a moment too (holder()), and so does a child of a killed daemon until it
  // runs its own program.
  for (int tries = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (tries == kLockTries)
      return fail(Code::unavailable,
                  "another instar-device (process " + std::to_string(holder(state_dir)) + ") runs on " + state_dir);
    ::usleep(kLockPauseUs);
  }
  // Over what an earlier process has written, which takes no room on a full disk. It is for people alone.
  std::string pid = std::to_string(::getpid());
  pid.resize(kLockTextBytes - 1, ' ');
  pid += '\n';
  static_cast<void>(!::pwrite(fd, pid.data(), pid.size(), 0));
  return lock;
}

int StateLock::holder(const std::string& state_dir) {
  const int fd = ::open(lock_path(state_dir).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  char text[16] = {};
  const bool read = held && ::pread(fd, text, sizeof text - 1, 0) > 0;
  ::close(fd);
  return read ? ::atoi(text) : 0;
}

StateLock::StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

StateLock::~StateLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace instar::device
