/* Records what a process writes to the files below a folder, and what it syncs, in the order in which it happens.
 *
 *   cc -shared -fPIC -O2 -o powercut.so powercut.c -ldl
 *   POWERCUT_DIR=/folder POWERCUT_LOG=/elsewhere/log LD_PRELOAD=./powercut.so program ...
 *
 * Each record: operation (1 byte: w write, t truncate, s sync), length of the name (2), offset (8), length of the data (4), name, data; numbers
 * as the machine has them. One lock is held over an operation and its record, so that the order of the records is that of the effects.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -2;

/* Name of an open file below the folder; 0 when it is none of those. */
static int name_of(int fd, char *name) {
  const char *dir = getenv("POWERCUT_DIR");
  char link[64], path[PATH_MAX];
  if (dir == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  size_t len = strlen(dir);
  if (strncmp(path, dir, len) != 0 || path[len] != '/') return 0;
  strcpy(name, path + len + 1);
  /* Shared memory of SQLite: a power cut takes it, and it is made anew. */
  size_t m = strlen(name);
  return m < 4 || strcmp(name + m - 4, "-shm") != 0;
}

static void all(const void *data, size_t len) {
  const char *at = data;
  while (len > 0) {
    ssize_t n = syscall(SYS_write, log_fd, at, len);
    if (n <= 0) abort();
    at += n;
    len -= (size_t)n;
  }
}

static void record(char op, const char *name, uint64_t offset, const void *data, uint32_t len) {
  if (log_fd == -2) {
    const char *path = getenv("POWERCUT_LOG");
    log_fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (log_fd < 0) abort();
  }
  uint16_t name_len = (uint16_t)strlen(name);
  all(&op, 1);
  all(&name_len, 2);
  all(&offset, 8);
  all(&len, 4);
  all(name, name_len);
  if (op == 'w') all(data, len);
}

static ssize_t written(int fd, const void *data, size_t len, off64_t offset, int at) {
  char name[PATH_MAX];
  if (!name_of(fd, name)) {
    return at ? syscall(SYS_pwrite64, fd, data, len, offset) : syscall(SYS_write, fd, data, len);
  }
  pthread_mutex_lock(&lock);
  ssize_t n;
  if (at) {
    n = syscall(SYS_pwrite64, fd, data, len, offset);
  } else {
    int append = fcntl(fd, F_GETFL) & O_APPEND;
    offset = lseek64(fd, 0, append ? SEEK_END : SEEK_CUR);
    n = syscall(SYS_write, fd, data, len);
  }
  if (n > 0) record('w', name, (uint64_t)offset, data, (uint32_t)n);
  pthread_mutex_unlock(&lock);
  return n;
}

ssize_t write(int fd, const void *data, size_t len) { return written(fd, data, len, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) { return written(fd, data, len, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) { return written(fd, data, len, offset, 1); }

static int synced(int fd, long call) {
  char name[PATH_MAX];
  if (!name_of(fd, name)) return (int)syscall(call, fd);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(call, fd);
  if (result == 0) record('s', name, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int truncated(int fd, off64_t len) {
  char name[PATH_MAX];
  if (!name_of(fd, name)) return (int)syscall(SYS_ftruncate, fd, len);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, fd, len);
  if (result == 0) record('t', name, (uint64_t)len, NULL, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

int ftruncate(int fd, off_t len) { return truncated(fd, len); }
int ftruncate64(int fd, off64_t len) { return truncated(fd, len); }
