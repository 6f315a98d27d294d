/* Counts what a process does to the files of one directory, and lets one of these operations fail or be its last.
 *
 * Preloaded into the real daemon: LD_PRELOAD=shim.so, FAULT_DIR=<directory>, FAULT_CONTROL=<file>, FAULT_LOG=<file>
 * (the log may be absent). The control file is shared memory: the test writes into it when a fault is to come and
 * reads how many operations there were. Every wrapper goes to the kernel itself, so nothing here calls a wrapper.
 *
 * FAULT_PLATTER=<directory> holds what a power cut would leave of the directory, which has no directories in it: each
 * synced file's content under the name of its inode, `names` with what the directory held when it was synced last (a
 * line each: inode, space, name), and `standing` once the directory above was synced.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { NOTHING, KILL_BEFORE, KILL_AFTER, TORN, FAIL_ONCE, FAIL_FOR_GOOD, HANG };

/* The layout that tests/world/shim.rs knows: six numbers of 64 bits. */
struct control {
    _Atomic uint64_t count;  /* operations so far */
    _Atomic uint64_t at;     /* the fault comes at this one; 0: never */
    _Atomic uint64_t action; /* enum action */
    _Atomic uint64_t error;  /* errno of a failure */
    _Atomic uint64_t fired;  /* how often the fault came */
    _Atomic uint64_t died;   /* the process was killed by it */
};

#define MAX_FD 65536
static struct control *control;
static char dir[4096];
static size_t dir_length;
static int log_fd = -1;
static int platter = -1;
enum whose { FOREIGN, OURS, ABOVE };
static _Atomic unsigned char ours[MAX_FD];

/* The name of an inode. Its number alone may be given again. */
static int inode(int at, const char *path, char name[64], int *is_directory) {
    struct statx it;
    int flags = path ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
    if (syscall(SYS_statx, at, path ? path : "", flags, STATX_BASIC_STATS | STATX_BTIME, &it)) return -1;
    int is_born = it.stx_mask & STATX_BTIME ? 1 : 0;
    snprintf(name, 64, "%llu-%lld.%u", (unsigned long long)it.stx_ino, is_born ? (long long)it.stx_btime.tv_sec : 0,
             is_born ? it.stx_btime.tv_nsec : 0);
    *is_directory = S_ISDIR(it.stx_mode);
    return 0;
}

/* A file of the platter is there whole or not at all: it has a name of its own until it is written. */
static int engrave(char temporary[64]) {
    static _Atomic unsigned serial;
    snprintf(temporary, 64, "new-%d-%u", getpid(), serial++);
    return (int)syscall(SYS_openat, platter, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void engraved(int to, const char *temporary, const char *name) {
    syscall(SYS_close, to);
    syscall(SYS_renameat2, platter, temporary, platter, name, 0);
}

static void engrave_content(int from, const char *name) {
    char temporary[64], part[16384];
    int to = engrave(temporary);
    ssize_t length;
    for (off_t at = 0; (length = syscall(SYS_pread64, from, part, sizeof part, at)) > 0; at += length)
        syscall(SYS_write, to, part, (size_t)length);
    engraved(to, temporary, name);
}

/* Engraves the names in the directory; with their contents where all that is there counts as synced. */
static void engrave_names(int with_contents) {
    char temporary[64], name[64], line[512];
    int to = engrave(temporary), is_directory;
    DIR *listing = opendir(dir);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (inode(dirfd(listing), entry->d_name, name, &is_directory) || is_directory) continue;
        int length = snprintf(line, sizeof line, "%s %s\n", name, entry->d_name);
        syscall(SYS_write, to, line, (size_t)length);
        if (!with_contents) continue;
        int from = (int)syscall(SYS_openat, dirfd(listing), entry->d_name, O_RDONLY | O_CLOEXEC, 0);
        engrave_content(from, name);
        syscall(SYS_close, from);
    }
    if (listing) closedir(listing);
    engraved(to, temporary, "names");
}

static void engrave_standing(void) {
    char temporary[64];
    int to = engrave(temporary);
    engraved(to, temporary, "standing");
}

/* What a sync that went well leaves on the platter. */
static int synced(int fd, long result) {
    char name[64];
    int is_directory, before = errno;
    if (!result && platter >= 0 && fd >= 0 && fd < MAX_FD && ours[fd]) {
        if (ours[fd] == ABOVE) engrave_standing();
        else if (!inode(fd, NULL, name, &is_directory) && is_directory) engrave_names(0);
        else engrave_content(fd, name);
    }
    errno = before;
    return (int)result;
}

/* The platter of a directory that was there before anybody watched it holds all of it. */
static void lay(const char *place) {
    platter = (int)syscall(SYS_openat, AT_FDCWD, place, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (platter < 0 || !syscall(SYS_faccessat, platter, "names", F_OK)) return;
    if (!syscall(SYS_faccessat, AT_FDCWD, dir, F_OK)) engrave_standing();
    engrave_names(1);
}

__attribute__((constructor)) static void begin(void) {
    const char *place = getenv("FAULT_DIR"), *shared = getenv("FAULT_CONTROL"), *log = getenv("FAULT_LOG");
    const char *disk = getenv("FAULT_PLATTER");
    if (!place || !shared || strlen(place) >= sizeof dir) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (memory == MAP_FAILED) return;
    dir_length = strlen(place);
    memcpy(dir, place, dir_length + 1);
    if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    control = memory;
    if (disk) lay(disk);
}

static int is_below(const char *path) {
    return control && path && strncmp(path, dir, dir_length) == 0 && (path[dir_length] == '/' || !path[dir_length]);
}

/* Whether this is the directory that the one of the faults is in. */
static int is_above(const char *path) {
    size_t length = path ? strlen(path) : 0;
    return control && length && length < dir_length && strncmp(path, dir, length) == 0 && dir[length] == '/' &&
           !strchr(dir + length + 1, '/');
}

static int is_ours(int fd) { return control && fd >= 0 && fd < MAX_FD && ours[fd] == OURS; }

static int keep(int fd, const char *path) {
    if (fd >= 0 && fd < MAX_FD) ours[fd] = is_below(path) ? OURS : is_above(path) ? ABOVE : FOREIGN;
    return fd;
}

static void die(void) {
    control->died = 1;
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) syscall(SYS_pause);
}

/* Counts an operation. Answers what is to happen at it; a failure sets errno. */
static enum action count(const char *name, const char *path) {
    uint64_t number = ++control->count;
    uint64_t at = control->at;
    enum action action = (enum action)control->action;
    int now = at && (action == FAIL_FOR_GOOD || action == HANG ? number >= at : number == at);
    if (log_fd >= 0) {
        char line[256];
        int length = snprintf(line, sizeof line, "%llu %s %s\n", (unsigned long long)number, name, path ? path : "");
        if (length > (int)sizeof line - 1) length = (int)sizeof line - 1;
        syscall(SYS_write, log_fd, line, (size_t)length);
    }
    if (!now) return NOTHING;
    control->fired++;
    if (action == KILL_BEFORE) die();
    if (action == HANG) {
        while (control->at) usleep(1000);
        return NOTHING;
    }
    errno = (int)control->error;
    return action;
}

/* One operation: counted, then done, failed, or done as the last thing ever. */
#define OPERATION(name, path, call)                                            \
    do {                                                                       \
        enum action action = count(name, path);                                \
        if (action == FAIL_ONCE || action == FAIL_FOR_GOOD) return -1;         \
        long result = (call);                                                  \
        if (action == KILL_AFTER || action == TORN) die();                     \
        return (__typeof__(result))result;                                     \
    } while (0)

/* A write: of a torn one, half is done. */
#define WRITE(name, fd, length, call, half)                                    \
    do {                                                                       \
        if (!is_ours(fd)) return (call);                                       \
        enum action action = count(name, NULL);                                \
        if (action == FAIL_ONCE || action == FAIL_FOR_GOOD) return -1;         \
        if (action == TORN) { if ((length) > 1) (void)(half); die(); }         \
        long result = (call);                                                  \
        if (action == KILL_AFTER) die();                                       \
        return result;                                                         \
    } while (0)

static int open_it(const char *name, int at, const char *path, int flags, mode_t mode) {
    enum action action = NOTHING;
    if (is_below(path) && flags & (O_CREAT | O_TRUNC)) action = count(name, path);
    if (action == FAIL_ONCE || action == FAIL_FOR_GOOD) return -1;
    /* What is written has to be read when it is synced. */
    if (is_below(path) && (flags & O_ACCMODE) == O_WRONLY) flags = (flags & ~O_ACCMODE) | O_RDWR;
    int fd = keep((int)syscall(SYS_openat, at, path, flags, mode), path);
    if (action == KILL_AFTER || action == TORN) die();
    return fd;
}

#define MODE(flags, last)                                                      \
    mode_t mode = 0;                                                           \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                   \
        va_list more;                                                          \
        va_start(more, last);                                                  \
        mode = va_arg(more, mode_t);                                           \
        va_end(more);                                                          \
    }

int open(const char *path, int flags, ...) { MODE(flags, flags) return open_it("open", AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return open_it("open", AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, flags) return open_it("open", at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, flags) return open_it("open", at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_it("open", AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
    if (fd >= 0 && fd < MAX_FD) ours[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    WRITE("write", fd, length, syscall(SYS_write, fd, bytes, length), syscall(SYS_write, fd, bytes, length / 2));
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    WRITE("pwrite", fd, length, syscall(SYS_pwrite64, fd, bytes, length, at),
          syscall(SYS_pwrite64, fd, bytes, length / 2, at));
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }
ssize_t writev(int fd, const struct iovec *parts, int number) {
    WRITE("writev", fd, number, syscall(SYS_writev, fd, parts, number), syscall(SYS_writev, fd, parts, number / 2));
}

/* Operations on a descriptor. */
#define ON_FD(name, declaration, fd, call)                                     \
    int declaration {                                                          \
        if (!is_ours(fd)) return (int)(call);                                  \
        OPERATION(name, NULL, call);                                           \
    }
ON_FD("fsync", fsync(int fd), fd, synced(fd, syscall(SYS_fsync, fd)))
ON_FD("fdatasync", fdatasync(int fd), fd, synced(fd, syscall(SYS_fdatasync, fd)))
ON_FD("ftruncate", ftruncate(int fd, off_t length), fd, syscall(SYS_ftruncate, fd, length))
ON_FD("ftruncate", ftruncate64(int fd, off64_t length), fd, syscall(SYS_ftruncate, fd, length))
ON_FD("fallocate", fallocate(int fd, int mode, off_t at, off_t length), fd, syscall(SYS_fallocate, fd, mode, at, length))
ON_FD("fallocate", fallocate64(int fd, int mode, off64_t at, off64_t length), fd,
      syscall(SYS_fallocate, fd, mode, at, length))
ON_FD("fchmod", fchmod(int fd, mode_t mode), fd, syscall(SYS_fchmod, fd, mode))
ON_FD("fchown", fchown(int fd, uid_t user, gid_t group), fd, syscall(SYS_fchown, fd, user, group))
int posix_fallocate64(int fd, off64_t at, off64_t length) { return fallocate64(fd, 0, at, length) ? errno : 0; }
int posix_fallocate(int fd, off_t at, off_t length) { return posix_fallocate64(fd, at, length); }

/* Operations on a name. */
#define ON_PATH(name, declaration, path, call)                                 \
    int declaration {                                                          \
        if (!is_below(path)) return (int)(call);                               \
        OPERATION(name, path, call);                                           \
    }
ON_PATH("truncate", truncate(const char *path, off_t length), path, syscall(SYS_truncate, path, length))
ON_PATH("truncate", truncate64(const char *path, off64_t length), path, syscall(SYS_truncate, path, length))
ON_PATH("unlink", unlink(const char *path), path, syscall(SYS_unlinkat, AT_FDCWD, path, 0))
ON_PATH("unlink", unlinkat(int at, const char *path, int flags), path, syscall(SYS_unlinkat, at, path, flags))
ON_PATH("rmdir", rmdir(const char *path), path, syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR))
ON_PATH("mkdir", mkdir(const char *path, mode_t mode), path, syscall(SYS_mkdirat, AT_FDCWD, path, mode))
ON_PATH("mkdir", mkdirat(int at, const char *path, mode_t mode), path, syscall(SYS_mkdirat, at, path, mode))
ON_PATH("chmod", chmod(const char *path, mode_t mode), path, syscall(SYS_fchmodat, AT_FDCWD, path, mode))
ON_PATH("chown", chown(const char *path, uid_t user, gid_t group), path,
        syscall(SYS_fchownat, AT_FDCWD, path, user, group, 0))
ON_PATH("rename", rename(const char *from, const char *to), to,
        syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0))
ON_PATH("rename", renameat(int at, const char *from, int there, const char *to), to,
        syscall(SYS_renameat2, at, from, there, to, 0))
ON_PATH("rename", renameat2(int at, const char *from, int there, const char *to, unsigned flags), to,
        syscall(SYS_renameat2, at, from, there, to, flags))
ON_PATH("link", link(const char *from, const char *to), to, syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0))
ON_PATH("link", linkat(int at, const char *from, int there, const char *to, int flags), to,
        syscall(SYS_linkat, at, from, there, to, flags))
ON_PATH("symlink", symlink(const char *target, const char *path), path,
        syscall(SYS_symlinkat, target, AT_FDCWD, path))
