/* Runs a command and writes what it used to a file: wall s, CPU s of it and all its children, peak KiB of the largest of them.
 *
 *   measure REPORT COMMAND [ARGUMENT ...]
 *
 * Linux counts into a program's peak what its parent held when it forked, so the parent has to be smaller than the smallest program
 * measured: this one is linked statically and holds less than 1 MB. Exits as the command does. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char** argv) {
  if (argc < 3) return 125;
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  const pid_t child = fork();
  if (child < 0) return 125;
  if (child == 0) {
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  int status = 0;
  struct rusage used;
  if (wait4(child, &status, 0, &used) != child) return 125;
  clock_gettime(CLOCK_MONOTONIC, &after);
  FILE* report = fopen(argv[1], "w");
  if (!report) return 125;
  fprintf(report, "%.3f %.3f %ld\n", (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9,
          seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss);
  if (fclose(report) != 0) return 125;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
