// A wall clock that is a day ahead or a day behind, in turns, whenever it is read. The monotonic clock is left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

static long jump(void) {
  static atomic_uint looks;
  return atomic_fetch_add(&looks, 1) % 2 ? 86400 : -86400;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(clock, now);
  if (done == 0 && clock == CLOCK_REALTIME) now->tv_sec += jump();
  return done;
}
