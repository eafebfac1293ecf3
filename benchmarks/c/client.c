/* The load generator: opens many WebSocket connections from one thread, answers pings, and counts what arrives.
 *
 *     client PORT [--path /ws] [--header "Name: value"]... [--headers-file FILE] [--messages-file FILE]
 *                 [--sources N] [--raw]
 *
 *     --header         a header line of every handshake
 *     --headers-file   line i is one more header line for connection i, such as its Authorization
 *     --messages-file  line i is the text that `send` sends on connection i, such as its subscribe event
 *     --sources        addresses 127.0.0.1 to 127.0.0.N to connect from, where one has too few ports
 *     --raw            no handshake: a TCP connection is enough (the server still speaks in frames)
 *
 * Commands come on standard input, one a line, each answered by lines of JSON; the end of standard input ends the
 * program. A PATTERN, if there is one, is searched in the first 125 bytes of a text or binary message.
 *
 *     connect COUNT AT_ONCE SECONDS [PATTERN]   open COUNT more, at most AT_ONCE under way; each is done when it is
 *                                               upgraded and, given a PATTERN, a message containing it has arrived
 *     send AT_ONCE SECONDS [PATTERN]            send each connection's line; done likewise
 *     expect COUNT SECONDS [PATTERN]            answers "armed" at once, and again when COUNT such messages arrived
 *     stats                                     connections, and the CPU seconds this program has used
 *
 * SECONDS bounds each command: what is then missing shows in the figures of its answer ("complete": false).
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

#define MAX_CONNECTIONS 65536
#define RESPONSE_LIMIT 4096

enum state { UNUSED, UPGRADING, OPEN, GONE };

struct connection {
    int fd;
    enum state state;
    bool under_way;           /* the command in progress waits for this connection */
    uint32_t matched;         /* messages with the pattern, in the command in progress */
    char *response;           /* the handshake's, while it is incomplete */
    size_t response_length;
    struct frame_reader reader;
};

static struct connection connections[MAX_CONNECTIONS];
static int opened, open_count, gone_count; /* opened counts every attempt: connections[0..opened) are in use */
static int epoll, port, sources = 1;
static bool raw;
static const char *path = "/";
static char common_headers[8192];
static char **header_lines, **message_lines;
static size_t header_line_count, message_line_count;
static char first_failure[128];

/* The command in progress. */
static enum { IDLE, CONNECTING, SENDING, EXPECTING } command;
static char pattern[KEPT + 1];
static int target, at_once, started, finished, failed, under_way;
static uint64_t matched, matched_bytes;
static double begun, deadline;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec + moment.tv_nsec / 1e9;
}

static char **read_lines(const char *name, size_t *count) {
    FILE *file = fopen(name, "r");
    if (!file) fail(name);
    char **lines = NULL, *line = NULL;
    size_t size = 0;
    for (*count = 0; getline(&line, &size, file) > 0; line = NULL, size = 0) {
        line[strcspn(line, "\r\n")] = 0;
        lines = realloc(lines, (*count + 1) * sizeof *lines);
        lines[(*count)++] = line;
    }
    fclose(file);
    return lines;
}

/* One connection is through with the command in progress, well or not. */
static void settle(struct connection *connection, const char *failure) {
    if (!connection->under_way) return;
    connection->under_way = false;
    under_way--;
    if (!failure) {
        finished++;
        return;
    }
    failed++;
    if (!first_failure[0])
        for (size_t i = 0; i < sizeof first_failure - 1 && (uint8_t)failure[i] >= ' '; i++)
            first_failure[i] = failure[i] == '"' || failure[i] == '\\' ? '\'' : failure[i];
}

static void drop(struct connection *connection, const char *why) {
    settle(connection, why); /* before the response is freed, which `why` may point into */
    if (connection->state == OPEN) open_count--;
    gone_count++;
    connection->state = GONE;
    close(connection->fd);
    free(connection->response);
    connection->response = NULL;
}

static void transmit(struct connection *connection, const void *bytes, size_t size) {
    /* Small and rare: a full send buffer means that the server has stopped reading, which is a failure here. */
    if (send(connection->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) drop(connection, "send() took less than all");
}

static void open_one(struct connection *connection) {
    size_t index = connection - connections;
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) fail("socket");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (sources > 1) {
        setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % sources);
        if (bind(connection->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    }
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
    connection->state = UPGRADING;
    /* The handshake is written when the socket becomes writable, hence EPOLLOUT. */
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void upgraded(struct connection *connection) {
    free(connection->response);
    connection->response = NULL;
    connection->state = OPEN;
    open_count++;
    if (!pattern[0]) settle(connection, NULL);
}

static void connected(struct connection *connection) {
    static char request[32768];
    size_t index = connection - connections;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
    if (raw) return upgraded(connection);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WEBSOCKET_KEY "\r\n%s%s%s\r\n",
                        path, port, common_headers, index < header_line_count ? header_lines[index] : "",
                        index < header_line_count ? "\r\n" : "");
    connection->response = malloc(RESPONSE_LIMIT);
    connection->response_length = 0;
    transmit(connection, request, size);
}

static void on_message(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    if (pattern[0] && !memmem(reader->kept, reader->kept_length, pattern, strlen(pattern))) return;
    connection->matched++;
    matched++;
    matched_bytes += reader->payload_size;
    settle(connection, NULL);
}

static void on_frame(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    uint8_t opcode = reader->header[0] & 15, answer[KEPT + 8];
    if (opcode == TEXT || opcode == BINARY) {
        on_message(connection);
    } else if (opcode == PING) {
        transmit(connection, answer, write_masked(answer, PONG, reader->kept, reader->kept_length));
    } else if (opcode == CLOSE) {
        char why[160] = "close without a code";
        if (reader->kept_length >= 2)
            snprintf(why, sizeof why, "close %d %.*s", reader->kept[0] << 8 | reader->kept[1], reader->kept_length - 2,
                     (char *)reader->kept + 2);
        send(connection->fd, answer, write_masked(answer, CLOSE, reader->kept, reader->kept_length), MSG_NOSIGNAL);
        drop(connection, why);
    }
}

static void read_frames(struct connection *connection, const uint8_t *bytes, size_t count) {
    while (count > 0 && connection->state == OPEN) {
        bool complete;
        size_t taken = read_frame(&connection->reader, bytes, count, &complete);
        bytes += taken;
        count -= taken;
        if (complete) on_frame(connection);
    }
}

static void read_response(struct connection *connection, const uint8_t *bytes, size_t count) {
    size_t before = connection->response_length;
    size_t taken = count < RESPONSE_LIMIT - 1 - before ? count : RESPONSE_LIMIT - 1 - before;
    memcpy(connection->response + before, bytes, taken);
    connection->response_length += taken;
    connection->response[connection->response_length] = 0;
    char *end = strstr(connection->response, "\r\n\r\n");
    if (!end) {
        if (taken < count) drop(connection, "response headers beyond 4 KB");
        return;
    }
    if (!strstr(connection->response, " 101 ") || !strstr(connection->response, WEBSOCKET_ACCEPT))
        return drop(connection, connection->response);
    size_t head = end + 4 - connection->response - before; /* of these bytes, those before the first frame */
    upgraded(connection);
    read_frames(connection, bytes + head, count - head);
}

static void on_ready(struct connection *connection, uint32_t events) {
    static uint8_t bytes[262144];
    if (connection->state == GONE) return;
    if (events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) return connected(connection);
    ssize_t count = recv(connection->fd, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return drop(connection, count ? strerror(errno) : "connection closed");
    if (connection->state == UPGRADING) read_response(connection, bytes, count);
    else read_frames(connection, bytes, count);
}

static void send_one(struct connection *connection) {
    static uint8_t bytes[65536 + 8];
    const char *line = message_lines[connection - connections];
    size_t length = strlen(line);
    transmit(connection, bytes, write_masked(bytes, TEXT, (const uint8_t *)line, length > 65535 ? 65535 : length));
    if (connection->state == OPEN && !pattern[0]) settle(connection, NULL);
}

/* Starts what the command in progress may have under way, and reports when it is through or out of time. */
static void advance(void) {
    static const char *const names[] = {"", "connect", "send", "expect"};
    while ((command == CONNECTING || command == SENDING) && started < target && under_way < at_once) {
        struct connection *connection = &connections[command == CONNECTING ? opened : started];
        started++;
        if (command == SENDING && connection->state != OPEN) continue;
        connection->under_way = true;
        under_way++;
        if (command == SENDING) {
            send_one(connection);
        } else {
            opened++;
            open_one(connection);
        }
    }
    bool complete = command == EXPECTING ? matched >= (uint64_t)target : started == target && under_way == 0;
    if (command == IDLE || (!complete && now() < deadline)) return;
    uint32_t fewest = UINT32_MAX, most = 0;
    for (int i = 0; i < opened; i++) {
        if (connections[i].state != OPEN) continue;
        if (connections[i].matched < fewest) fewest = connections[i].matched;
        if (connections[i].matched > most) most = connections[i].matched;
    }
    printf("{\"done\": \"%s\", \"complete\": %s, \"seconds\": %.6f, \"finished\": %d, \"failed\": %d, \"open\": %d, "
           "\"messages\": %lu, \"bytes\": %lu, \"fewest\": %u, \"most\": %u, \"first_failure\": \"%s\"}\n",
           names[command], complete && !failed ? "true" : "false", now() - begun, finished, failed, open_count, matched,
           matched_bytes, open_count ? fewest : 0, most, first_failure);
    for (int i = 0; i < opened; i++) connections[i].under_way = false;
    under_way = 0;
    command = IDLE;
}

static void begin(int what, int count, int width, double seconds, const char *text) {
    command = what;
    target = count;
    at_once = width;
    started = finished = failed = under_way = 0;
    matched = matched_bytes = 0;
    first_failure[0] = 0;
    snprintf(pattern, sizeof pattern, "%s", text);
    for (int i = 0; i < opened; i++) connections[i].matched = 0;
    begun = now();
    deadline = begun + seconds;
}

static void obey(void) {
    static char line[4096];
    int count, width, at = 0;
    double seconds;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "connect %d %d %lf %n", &count, &width, &seconds, &at) == 3 && opened + count <= MAX_CONNECTIONS) {
        begin(CONNECTING, count, width, seconds, line + at);
    } else if (sscanf(line, "send %d %lf %n", &width, &seconds, &at) == 2 && message_line_count >= (size_t)opened) {
        begin(SENDING, opened, width, seconds, line + at);
    } else if (sscanf(line, "expect %d %lf %n", &count, &seconds, &at) == 2) {
        begin(EXPECTING, count, 0, seconds, line + at);
        printf("{\"done\": \"armed\"}\n");
    } else if (strcmp(line, "stats") == 0) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("{\"done\": \"stats\", \"open\": %d, \"gone\": %d, \"cpu_seconds\": %.6f}\n", open_count, gone_count,
               usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    } else {
        printf("{\"error\": \"no such command, or more connections than there are lines for\"}\n");
    }
}

static void read_arguments(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--raw") == 0) {
            raw = true;
            continue;
        }
        const char *name = argv[i], *value = ++i < argc ? argv[i] : NULL;
        size_t used = strlen(common_headers);
        if (!value) break;
        if (strcmp(name, "--path") == 0) path = value;
        else if (strcmp(name, "--header") == 0) snprintf(common_headers + used, sizeof common_headers - used, "%s\r\n", value);
        else if (strcmp(name, "--headers-file") == 0) header_lines = read_lines(value, &header_line_count);
        else if (strcmp(name, "--messages-file") == 0) message_lines = read_lines(value, &message_line_count);
        else if (strcmp(name, "--sources") == 0) sources = atoi(value);
        else {
            fprintf(stderr, "client: no such option: %s\n", name);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    static struct epoll_event ready[512];
    if (argc < 2) {
        fprintf(stderr, "usage: client PORT [options], see the top of client.c\n");
        return 2;
    }
    port = atoi(argv[1]);
    read_arguments(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0) fail("epoll_ctl");
    for (;;) {
        int count = epoll_wait(epoll, ready, 512, command == IDLE ? -1 : 100);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr) on_ready(ready[i].data.ptr, ready[i].events);
            else obey();
        }
        advance();
    }
}
