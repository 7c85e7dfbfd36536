// The only program of the initrd: loads squashfs, mounts the root file system from the second disk and hands over to its /sbin/init.
// No library: 2 KB instead of a C library that is thrown away half a second later.
#define AT_FDCWD (-100)

static long call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
enum { kWrite = 1, kOpenat = 257, kMount = 165, kChroot = 161, kChdir = 80, kExecve = 59, kFinitModule = 313, kPause = 34, kMkdir = 83, kUnlink = 87 };

static void fail(const char* what, long length) {
  call(kWrite, 2, (long)what, length, 0, 0);
  for (;;) call(kPause, 0, 0, 0, 0, 0);
}
#define FAIL(text) fail(text, sizeof text - 1)

void _start(void) {
  static char* arguments[] = {"/sbin/init", 0};
  static char* environment[] = {"HOME=/", "TERM=linux", 0};
  const long module = call(kOpenat, AT_FDCWD, (long)"/squashfs.ko", 0, 0, 0);
  if (module < 0 || call(kFinitModule, module, (long)"", 0, 0, 0) < 0) FAIL("first: cannot load squashfs\n");
  call(kUnlink, (long)"/squashfs.ko", 0, 0, 0, 0);  // the initrd stays in memory
  call(kMkdir, (long)"/dev", 0755, 0, 0, 0);
  call(kMount, (long)"dev", (long)"/dev", (long)"devtmpfs", 0, 0);
  call(kMkdir, (long)"/root", 0755, 0, 0, 0);
  if (call(kMount, (long)"/dev/ubdb", (long)"/root", (long)"squashfs", 1, 0) < 0) FAIL("first: cannot mount the root file system\n");
  call(kMount, (long)"/dev", (long)"/root/dev", 0, 8192 /* MS_MOVE */, 0);
  call(kChdir, (long)"/root", 0, 0, 0, 0);
  if (call(kMount, (long)".", (long)"/", 0, 8192, 0) < 0) FAIL("first: cannot move the root file system\n");
  call(kChroot, (long)".", 0, 0, 0, 0);
  call(kChdir, (long)"/", 0, 0, 0, 0);
  call(kExecve, (long)arguments[0], (long)arguments, (long)environment, 0, 0);
  FAIL("first: cannot run /sbin/init\n");
}
