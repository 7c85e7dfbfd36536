// The program that the containers of these tests run. It is static, so a root file system needs nothing else.
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
  return 99;
}
