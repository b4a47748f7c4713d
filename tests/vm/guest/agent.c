/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs what the host asks for, over the virtio-serial ports vm.0 and vm.1.
 *   host:  SYNC token                            this: SYNCED token
 *   host:  RUN seconds command-size input-size   this: DONE status output-size errors-size
 *          command input                               output errors
 * The first is how a host finds the start of an answer again that an earlier one did not await.
 * A command that takes longer is killed with all it started; its status is 124 then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS 2
#define CLASS "/sys/class/virtio-ports"
#define TIMED_OUT 124
#define TRY_AGAIN_US 200000

static void write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, bytes, size);

        if (count < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        }
    }
}

/* Without a host at the other end there is nothing to read. */
static void read_all(int port, char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = read(port, bytes, size);

        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        } else {
            usleep(TRY_AGAIN_US);
        }
    }
}

static void read_line(int port, char *line, size_t size)
{
    size_t used = 0;

    do {
        read_all(port, line + used, 1);
    } while (line[used] != '\n' && ++used < size - 1);
    line[used] = '\0';
}

/* What the command reads, or where it writes: a file in memory. */
static int memory_file(void)
{
    int fd = memfd_create("agent", 0);

    if (fd < 0) {
        perror("agent: memory");
        exit(1);
    }
    return fd;
}

static void send_file(int port, int fd, off_t size)
{
    char piece[16384];
    ssize_t count;

    lseek(fd, 0, SEEK_SET);
    while (size > 0 && (count = read(fd, piece, sizeof(piece))) > 0) {
        count = count > size ? (ssize_t)size : count;
        write_all(port, piece, (size_t)count);
        size -= count;
    }
}

static int wait_for(pid_t child, int seconds)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
    bool late = poll(&end, 1, seconds * 1000) == 0;
    int status;

    if (late)
        kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    close(end.fd);
    if (late)
        return TIMED_OUT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run(int port, int seconds, size_t command_size, size_t input_size)
{
    char *text = calloc(1, command_size + input_size + 1), head[96];
    int files[3] = {memory_file(), memory_file(), memory_file()}, status;
    off_t output, errors;
    pid_t child;

    if (!text)
        exit(1);
    read_all(port, text, command_size + input_size);
    write_all(files[0], text + command_size, input_size);
    lseek(files[0], 0, SEEK_SET);
    text[command_size] = '\0';
    child = fork();
    if (child == 0) {
        setsid();
        for (int i = 0; i < 3; i++)
            dup2(files[i], i);
        for (int i = 0; i < 3; i++)
            close(files[i]);
        execl("/bin/bash", "bash", "-c", text, (char *)NULL);
        _exit(127);
    }
    free(text);
    status = wait_for(child, seconds);
    output = lseek(files[1], 0, SEEK_END);
    errors = lseek(files[2], 0, SEEK_END);
    snprintf(head, sizeof(head), "DONE %d %lld %lld\n", status, (long long)output,
             (long long)errors);
    write_all(port, head, strlen(head));
    send_file(port, files[1], output);
    send_file(port, files[2], errors);
    for (int i = 0; i < 3; i++)
        close(files[i]);
}

/* A file of one line. */
static bool says(const char *path, const char *wanted)
{
    char found[32] = "";
    FILE *file = fopen(path, "r");

    if (!file)
        return false;
    if (!fgets(found, sizeof(found), file))
        found[0] = '\0';
    fclose(file);
    return strcmp(found, wanted) == 0;
}

/* No udev has made /dev/virtio-ports. */
static int open_port(int number)
{
    char wanted[16], path[512];
    int fd = -1;

    snprintf(wanted, sizeof(wanted), "vm.%d\n", number);
    while (fd < 0) {
        DIR *ports = opendir(CLASS);
        struct dirent *entry;

        while (ports && fd < 0 && (entry = readdir(ports))) {
            snprintf(path, sizeof(path), CLASS "/%s/name", entry->d_name);
            if (!says(path, wanted))
                continue;
            snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
            fd = open(path, O_RDWR | O_CLOEXEC);
        }
        if (ports)
            closedir(ports);
        if (fd < 0)
            usleep(TRY_AGAIN_US);
    }
    return fd;
}

static void serve(int number)
{
    int port = open_port(number), seconds;
    size_t command_size, input_size;
    char line[256], answer[sizeof(line) + 8];

    for (;;) {
        read_line(port, line, sizeof(line));
        if (sscanf(line, "RUN %d %zu %zu", &seconds, &command_size, &input_size) == 3) {
            run(port, seconds, command_size, input_size);
        } else if (strncmp(line, "SYNC ", 5) == 0) {
            snprintf(answer, sizeof(answer), "SYNCED %s\n", line + 5);
            write_all(port, answer, strlen(answer));
        }
    }
}

int main(void)
{
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    setenv("SYSTEMD_PAGER", "", 1);
    setenv("SYSTEMD_COLORS", "0", 1);
    if (chdir("/root"))
        return 1;
    for (int i = 1; i < PORTS; i++) {
        if (fork() == 0)
            serve(i);
    }
    serve(0);
}
