// The program that the containers of these tests run. It is static, so a root file system needs nothing else.
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int serve() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  int signal = 0;
  while (sigwait(&ends, &signal) != 0) {
  }
  return 0;
}

bool loopback_is_up() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  return fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

int writable(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 1;
}

// Prints the line of a file that begins so.
int print_line(const char* path, const char* begin) {
  std::FILE* const file = std::fopen(path, "r");
  char line[512];
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, begin, std::strlen(begin)) != 0) continue;
    std::printf("%s", line);
    return 0;
  }
  return 1;
}

// A tmpfs of this size in which everybody may write.
int bounded(const char* folder, long bytes) {
  struct statfs system {};
  struct stat root {};
  if (statfs(folder, &system) != 0 || system.f_type != TMPFS_MAGIC) return 2;
  if (stat(folder, &root) != 0 || (root.st_mode & 07777) != 01777) return 3;
  std::printf("%ld bytes\n", static_cast<long>(system.f_blocks) * system.f_bsize);
  if (static_cast<long>(system.f_blocks) * system.f_bsize != bytes) return 4;
  return writable((std::string(folder) + "/file").c_str());
}

// What a compiler at run time does: code is written, and then run.
int just_in_time() {
#if defined(__x86_64__) || defined(__i386__)
  const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
  const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#elif defined(__arm__)
  const unsigned char code[] = {0x2a, 0x00, 0xa0, 0xe3, 0x1e, 0xff, 0x2f, 0xe1};
#else
#error "a function here that returns 42"
#endif
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 1;
  std::memcpy(page, code, sizeof code);
  __builtin___clear_cache(static_cast<char*>(page), static_cast<char*>(page) + sizeof code);
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) {
    std::printf("mprotect: %s\n", std::strerror(errno));
    return 2;
  }
  return reinterpret_cast<int (*)()>(page)() == 42 ? 0 : 3;
}

volatile sig_atomic_t asked = 0;

// Takes no signal itself; its child does, and writes a file then.
int with_company(const char* path) {
  if (fork() == 0) {
    signal(SIGTERM, [](int) { asked = 1; });
    while (asked == 0) usleep(5'000);
    _exit(writable(path));
  }
  for (;;) pause();
}

// Tries what a container must not be able to do, and names each thing that was possible.
int escape() {
  std::string could;
  mkdir("/mnt", 0755);
  if (mount("none", "/mnt", "tmpfs", 0, nullptr) == 0) could += " mount";
  if (mknod("/dev/disk", S_IFBLK | 0600, makedev(8, 0)) == 0) could += " mknod";
  if (sethostname("other", 5) == 0) could += " sethostname";
  if (writable("/proc/sys/kernel/panic") == 0) could += " sysctl";
  if (writable("/sys/kernel/uevent_helper") == 0) could += " sysfs";
  if (open("/dev/mem", O_RDWR) >= 0 || open("/dev/kmsg", O_RDWR) >= 0) could += " memory";
  if (access("/etc/passwd", F_OK) == 0) could += " see-the-host";
  std::printf("could:%s\n", could.c_str());
  return could.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const char* const more = argc > 2 ? argv[2] : "";
  if (what == "serve") return serve();
  if (what == "deaf") {
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }
  if (what == "slow") {  // has a handler, and runs on
    signal(SIGTERM, [](int) {});
    for (;;) pause();
  }
  if (what == "company") return with_company(more);
  if (what == "crash-once") {  // there is this file
    while (access(more, F_OK) != 0) usleep(5'000);
    return 9;
  }
  if (what == "exit") {
    std::printf("first line\nlast line\n\n");
    return std::atoi(more);
  }
  if (what == "hang") {
    std::printf("still waiting\n");
    std::fflush(stdout);
    for (;;) pause();
  }
  if (what == "fork-and-exit") {  // leaves a child that holds the output open
    if (fork() == 0)
      for (;;) pause();
    return 0;
  }
  if (what == "abort") std::abort();
  if (what == "loopback") return loopback_is_up() ? 0 : 1;
  if (what == "write") return writable(more);
  if (what == "exists") return access(more, F_OK) == 0 ? 0 : 1;
  if (what == "say") {
    std::printf("%d:%s\n", argc, more);
    return 0;
  }
  const char* const other = argc > 3 ? argv[3] : "";
  if (what == "move") return rename(more, other) == 0 ? 0 : 1;
  if (what == "link") return symlink(more, other) == 0 ? 0 : 1;
  if (what == "escape") return escape();
  if (what == "line") return print_line(more, other);
  if (what == "bounded") return bounded(more, std::atol(other));
  if (what == "semaphore") return sem_open("/payload", O_CREAT, 0600, 1) != SEM_FAILED ? 0 : 1;
  if (what == "jit") return just_in_time();
  return 99;
}
