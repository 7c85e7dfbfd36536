// LD_PRELOAD: makes each fsync and fdatasync take as long as on a disk that spins, INSTAR_FSYNC_US microseconds.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_disk(void) {
  const char* text = getenv("INSTAR_FSYNC_US");
  const long us = text == NULL ? 0 : atol(text);
  const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
  if (us > 0) nanosleep(&pause, NULL);
}

int fsync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_for_disk();
  return real(fd);
}

int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_for_disk();
  return real(fd);
}
