// Lets the next writes to pipes and files fail, as a control file says: two numbers, the error and how many. The standard
// streams, sockets and the descriptors by which a runtime wakes its own threads are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
  atomic_int error;
  atomic_int rest;
  atomic_int failed;
};

static struct control *control;

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("FAILING_WRITES");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *memory = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory != MAP_FAILED) control = memory;
  // The programs that the host starts must not have failing writes.
  unsetenv("LD_PRELOAD");
}

static int fails(int fd) {
  struct stat what;
  if (!control || fd <= STDERR_FILENO || atomic_load(&control->rest) <= 0 || fstat(fd, &what) != 0) return 0;
  if (!S_ISFIFO(what.st_mode) && !S_ISREG(what.st_mode)) return 0;
  if (atomic_fetch_sub(&control->rest, 1) <= 0) return 0;
  atomic_fetch_add(&control->failed, 1);
  errno = atomic_load(&control->error);
  return 1;
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *bytes, size_t count) {
  return fails(fd) ? -1 : REAL(ssize_t (*)(int, const void *, size_t), "write")(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return fails(fd) ? -1 : REAL(ssize_t (*)(int, const struct iovec *, int), "writev")(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return fails(fd) ? -1 : REAL(ssize_t (*)(int, const void *, size_t, off64_t), "pwrite64")(fd, bytes, count, at);
}
