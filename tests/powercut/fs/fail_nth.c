// LD_PRELOAD: lets the N-th call of a kind fail, once or from then on, as a full, broken or read-only flash, or a machine without memory
// does.
//
//   INSTAR_FAULT=<kind>:<n>:<errno>[:on]   from the start of the program; `on`: all after it fail, too
//   instar_fail_nth(kind, n, errno, on, counter)   from then on; `counter` counts the calls
//
// Kinds: write (of regular files), sync, rename, link, make (folders, new files, nodes, links), attribute, remove, read (of regular files),
// spawn (processes), mount. One thread's view of N is the program's: the count is shared.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

static char armed_kind[16];
static unsigned long long armed_at;
static int armed_errno, armed_on;
static _Atomic unsigned long long own_count;
static _Atomic unsigned long long* count = &own_count;

void instar_fail_nth(const char* kind, unsigned long long n, int error, int on, void* counter) {
  armed_at = n;
  armed_errno = error;
  armed_on = on;
  count = counter != NULL ? counter : &own_count;
  strncpy(armed_kind, kind, sizeof armed_kind - 1);
}

__attribute__((constructor)) static void arm_from_environment(void) {
  const char* word = getenv("INSTAR_FAULT");
  char kind[16], on[4] = "";
  unsigned long long n;
  int error;
  if (word != NULL && sscanf(word, "%15[a-z]:%llu:%d:%3s", kind, &n, &error, on) >= 3) instar_fail_nth(kind, n, error, on[0] != 0, NULL);
}

static int fails(const char* kind) {
  if (armed_at == 0 || strcmp(kind, armed_kind) != 0) return 0;
  const unsigned long long now = atomic_fetch_add(count, 1) + 1;
  if (now != armed_at && !(armed_on && now > armed_at)) return 0;
  errno = armed_errno;
  return 1;
}

static int is_file(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(kind, type, name, parameters, arguments) \
  type name parameters {                              \
    if (fails(kind)) return -1;                       \
    return REAL(name) arguments;                      \
  }
#define WRAP_FILE(kind, type, name, parameters, arguments)      \
  type name parameters {                                        \
    if (armed_at != 0 && is_file(fd) && fails(kind)) return -1; \
    return REAL(name) arguments;                                \
  }

WRAP_FILE("write", ssize_t, write, (int fd, const void* data, size_t size), (fd, data, size))
WRAP_FILE("write", ssize_t, pwrite, (int fd, const void* data, size_t size, off_t at), (fd, data, size, at))
WRAP_FILE("write", int, ftruncate, (int fd, off_t size), (fd, size))
WRAP_FILE("write", int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
WRAP_FILE("read", ssize_t, read, (int fd, void* data, size_t size), (fd, data, size))
WRAP_FILE("read", ssize_t, pread, (int fd, void* data, size_t size, off_t at), (fd, data, size, at))
// What a program that is compiled with _FORTIFY_SOURCE calls in their place.
ssize_t __read_chk(int fd, void* data, size_t size, size_t room);
ssize_t __pread_chk(int fd, void* data, size_t size, off_t at, size_t room);
WRAP_FILE("read", ssize_t, __read_chk, (int fd, void* data, size_t size, size_t room), (fd, data, size, room))
WRAP_FILE("read", ssize_t, __pread_chk, (int fd, void* data, size_t size, off_t at, size_t room), (fd, data, size, at, room))
WRAP("sync", int, fsync, (int fd), (fd))
WRAP("sync", int, fdatasync, (int fd), (fd))
WRAP("sync", int, syncfs, (int fd), (fd))
WRAP("rename", int, rename, (const char* from, const char* to), (from, to))
WRAP("rename", int, renameat, (int a, const char* from, int b, const char* to), (a, from, b, to))
WRAP("rename", int, renameat2, (int a, const char* from, int b, const char* to, unsigned int how), (a, from, b, to, how))
WRAP("link", int, link, (const char* from, const char* to), (from, to))
WRAP("link", int, linkat, (int a, const char* from, int b, const char* to, int flags), (a, from, b, to, flags))
WRAP("make", int, symlink, (const char* target, const char* path), (target, path))
WRAP("make", int, symlinkat, (const char* target, int at, const char* path), (target, at, path))
WRAP("make", int, mkdir, (const char* path, mode_t mode), (path, mode))
WRAP("make", int, mkdirat, (int at, const char* path, mode_t mode), (at, path, mode))
WRAP("attribute", int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP("attribute", int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP("attribute", int, fchownat, (int at, const char* path, uid_t uid, gid_t gid, int flags), (at, path, uid, gid, flags))
WRAP("attribute", int, fsetxattr, (int fd, const char* name, const void* value, size_t size, int flags), (fd, name, value, size, flags))
WRAP("attribute", int, utimensat, (int at, const char* path, const struct timespec times[2], int flags), (at, path, times, flags))
WRAP("remove", int, unlink, (const char* path), (path))
WRAP("remove", int, unlinkat, (int at, const char* path, int flags), (at, path, flags))
WRAP("remove", int, rmdir, (const char* path), (path))
WRAP("mount", int, mount, (const char* source, const char* target, const char* type, unsigned long flags, const void* data),
     (source, target, type, flags, data))
WRAP("spawn", pid_t, fork, (void), ())

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
                char* const arguments[], char* const environment[]) {
  if (fails("spawn")) return errno;
  return REAL(posix_spawn)(pid, path, actions, attributes, arguments, environment);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0 && fails("make")) return -1;
  return REAL(open)(path, flags, mode);
}

int openat(int at, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0 && fails("make")) return -1;
  return REAL(openat)(at, path, flags, mode);
}
