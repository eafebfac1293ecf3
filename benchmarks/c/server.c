/* The floor: a WebSocket server that only calls send() with the same framed bytes for every socket, one after another.
 *
 *     server PORT
 *
 * It listens on 127.0.0.1, upgrades every request and discards what it receives. Commands come on standard input, one a
 * line. Each is answered by one line of JSON. The program ends with its standard input.
 *
 *     publish ROOMS SIZE COUNT BURST INTERVAL_MICROSECONDS PACED JOINED PAYLOAD
 *         Send COUNT events, BURST at a time, INTERVAL apart. Event i goes to the SIZE sockets from (i % ROOMS) * SIZE
 *         on, in the order in which they connected. 21 zeros in PAYLOAD become the time at which the event was due.
 *         PACED (0 or 1): bursts keep to a schedule, and late ones leave at once; otherwise each waits for INTERVAL
 *         after the one before. JOINED (0 or 1): all events of a burst leave in one send() per socket (one room only).
 */
#define _GNU_SOURCE
#include "websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 65536

static const char RESPONSE[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: " WEBSOCKET_ACCEPT "\r\n\r\n";

static int sockets[MAX_FDS], socket_count; /* the upgraded ones */
static int place[MAX_FDS];                 /* the index of an fd in `sockets`, or -1 */
static uint8_t blank_line[MAX_FDS];        /* how many characters of \r\n\r\n have just been read */
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

/* Sleep until some microseconds after `start`, which is moved to the end of the sleep. */
static void sleep_after(struct timespec *start, long microseconds) {
    start->tv_nsec += microseconds * 1000;
    start->tv_sec += start->tv_nsec / 1000000000;
    start->tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, start, NULL) == EINTR) {}
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void publish(int rooms, int size, int count, int burst, long interval, bool paced, bool joined, char *payload) {
    static const char zeros[] = "000000000000000000000";
    static uint8_t bytes[1 << 20];
    char *place = strstr(payload, zeros), digits[sizeof zeros];
    long sent = 0, refused = 0;
    size_t length = 0;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t started_at = now_ns();
    for (int event = 0; event < count; event++) {
        uint64_t due = paced ? started_at + event / burst * interval * 1000ull : now_ns();
        if (place) {
            snprintf(digits, sizeof digits, "%021llu", (unsigned long long)due);
            memcpy(place, digits, sizeof zeros - 1);
        }
        if (!joined || event % burst == 0 || length + 65536 > sizeof bytes) length = 0;
        length += frame(bytes + length, payload);
        bool last = event % burst == burst - 1 || event + 1 == count;
        for (int i = 0; (!joined || last) && i < size; i++)
            if (send(sockets[event % rooms * size + i], bytes, length, MSG_NOSIGNAL) == (ssize_t)length) sent++;
            else refused++;
        if (!last || event + 1 == count) continue;
        if (!paced) clock_gettime(CLOCK_MONOTONIC, &time);
        sleep_after(&time, interval);
    }
    printf("{\"done\": \"publish\", \"published\": %d, \"sent\": %ld, \"refused\": %ld}\n", count, sent, refused);
}

static void run_command(void) {
    static char line[65536];
    int rooms, size, count, burst, paced, joined, payload_at;
    long interval;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "publish %d %d %d %d %ld %d %d %n", &rooms, &size, &count, &burst, &interval, &paced, &joined,
                    &payload_at) == 7 && (long)rooms * size <= socket_count)
        publish(rooms, size, count, burst, interval, paced, joined, line + payload_at);
    else
        printf("{\"error\": \"no such command, or more sockets than there are\"}\n");
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
            if (fd == STDIN_FILENO) run_command();
            else if (fd == listener) accept_all();
            else receive(fd);
        }
    }
}
