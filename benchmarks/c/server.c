/* The floor: a WebSocket server that does nothing but send() the same framed bytes to every socket, one after another.
 *
 *     server PORT
 *
 * It listens on 127.0.0.1, upgrades whoever asks and discards whatever is sent to it. Commands come on standard input,
 * one a line, each answered by one line of JSON; the end of standard input ends the program:
 *
 *     broadcast TURNS EVENTS INTERVAL_MICROSECONDS PAYLOAD
 *         TURNS times, INTERVAL apart: EVENTS times: PAYLOAD as a text frame to every socket, each by its own send().
 */
#define _GNU_SOURCE
#include "websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 65536

static const char RESPONSE[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: " WEBSOCKET_ACCEPT "\r\n\r\n";

static int sockets[MAX_FDS], socket_count; /* the upgraded ones, in no order */
static int place[MAX_FDS];                 /* of an fd in `sockets`, or -1 */
static uint8_t blank_line[MAX_FDS];        /* how many characters of \r\n\r\n a request has come to */
static int epoll, listener;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listener, 2048) < 0) fail("listen");
}

static void accept_all(void) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        place[fd] = -1;
        blank_line[fd] = 0;
        watch(fd);
    }
    if (errno != EAGAIN && errno != ECONNABORTED) fail("accept4");
}

static void drop(int fd) {
    if (place[fd] >= 0) {
        int last = sockets[--socket_count];
        sockets[place[fd]] = last;
        place[last] = place[fd];
    }
    close(fd);
}

static void receive(int fd) {
    static char bytes[65536];
    ssize_t count = recv(fd, bytes, sizeof bytes, 0);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN) drop(fd);
        return;
    }
    for (ssize_t i = 0; place[fd] < 0 && i < count; i++) {
        if (bytes[i] == "\r\n\r\n"[blank_line[fd]]) blank_line[fd]++;
        else blank_line[fd] = bytes[i] == '\r';
        if (blank_line[fd] < 4) continue;
        if (send(fd, RESPONSE, sizeof RESPONSE - 1, MSG_NOSIGNAL) < 0) return drop(fd);
        place[fd] = socket_count;
        sockets[socket_count++] = fd;
    }
}

static size_t frame(uint8_t *out, const char *payload) {
    size_t length = strlen(payload), at = 0;
    out[at++] = 0x80 | TEXT;
    if (length < 126) {
        out[at++] = length;
    } else {
        out[at++] = 126;
        out[at++] = length >> 8;
        out[at++] = length & 255;
    }
    memcpy(out + at, payload, length);
    return at + length;
}

static void sleep_until(struct timespec *moment, long microseconds) {
    moment->tv_nsec += microseconds * 1000;
    moment->tv_sec += moment->tv_nsec / 1000000000;
    moment->tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, moment, NULL) == EINTR) {}
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void broadcast(int turns, int events, long interval, const char *payload) {
    static uint8_t bytes[65536 + 4];
    size_t size = frame(bytes, payload);
    long sent = 0, refused = 0;
    double before = cpu_seconds();
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    for (int turn = 0; turn < turns; turn++) {
        for (int event = 0; event < events; event++)
            for (int i = 0; i < socket_count; i++)
                if (send(sockets[i], bytes, size, MSG_NOSIGNAL) == (ssize_t)size) sent++;
                else refused++;
        if (turn + 1 < turns) sleep_until(&moment, interval);
    }
    printf("{\"done\": \"broadcast\", \"sockets\": %d, \"sent\": %ld, \"refused\": %ld, \"cpu_seconds\": %.6f}\n",
           socket_count, sent, refused, cpu_seconds() - before);
}

static void obey(void) {
    static char line[65536];
    int turns, events, payload_at;
    long interval;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "broadcast %d %d %ld %n", &turns, &events, &interval, &payload_at) == 3)
        broadcast(turns, events, interval, line + payload_at);
    else
        printf("{\"error\": \"expected: broadcast TURNS EVENTS INTERVAL_MICROSECONDS PAYLOAD\"}\n");
}

int main(int argc, char **argv) {
    static struct epoll_event ready[256];
    if (argc != 2) {
        fprintf(stderr, "usage: server PORT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    listen_on(atoi(argv[1]));
    watch(listener);
    watch(STDIN_FILENO);
    for (;;) {
        int count = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == STDIN_FILENO) obey();
            else if (fd == listener) accept_all();
            else receive(fd);
        }
    }
}
