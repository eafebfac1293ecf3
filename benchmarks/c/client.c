/* The load generator: opens many WebSocket connections from one thread, answers pings, counts what arrives and measures
 * how long it took. It knows nothing of any server: what is sent, and what is waited for, is told to it.
 *
 *     client PORT [--path /ws] [--header "Name: value"]... [--headers-file FILE] [--greetings-file FILE]
 *                 [--messages-file FILE] [--signals-file FILE] [--post PATH] [--body TEXT] [--mark TEXT]
 *                 [--post-port PORT] [--sources N] [--ping TEXT --pong TEXT] [--lines] [--raw]
 *
 *     --header          a header line of every handshake
 *     --headers-file    line i is one more header line for connection i, such as its Authorization
 *     --greetings-file  line i is the text that connection i sends as soon as it is upgraded (Socket.IO's CONNECT)
 *     --messages-file   line i is the text that `send` sends on connection i, such as its subscribe event
 *     --signals-file    line i is the text that `relay` sends on connection i, such as its typing event
 *     --post, --body    where `post` posts, and which JSON; 21 zeros in it become the time stamp
 *     --mark            the text in front of the time stamp in a message: nanoseconds of CLOCK_MONOTONIC, 21 digits
 *     --sources         addresses 127.0.0.1 to 127.0.0.N to connect from, where one has too few ports
 *     --post-port       another port to post to
 *     --ping, --pong    answers the message TEXT with the other, where a protocol has pings of its own
 *     --lines           every line of a message is a message, as where a server joins several; a 0x1e in what is sent
 *                       becomes a newline
 *     --raw             no handshake: a TCP connection is enough (the server still speaks in frames)
 *
 * Commands come on standard input, one a line, each answered by lines of JSON; the end of standard input ends the
 * program. A PATTERN, if there is one, is searched in the first 255 bytes of a text or binary message.
 *
 *     connect COUNT AT_ONCE SECONDS [PATTERN]   open COUNT more, at most AT_ONCE under way; each is done when it is
 *                                               upgraded and, given a PATTERN, a message containing it has arrived
 *     send AT_ONCE SECONDS [PATTERN]            send each connection's line; done likewise
 *     tell AT_ONCE SECONDS [PATTERN]            the same for those connections whose line was not sent yet
 *     expect COUNT SECONDS [PATTERN]            answers "armed" at once, and again when COUNT such messages arrived
 *     relay COUNT RATE SIZE HEARD SECONDS [PATTERN]
 *                                               every group of SIZE connections is a room: sends COUNT signals, RATE a
 *                                               second, room after room; HEARD of the room hear each, and latency is
 *                                               from sending to hearing (one signal of a room is under way)
 *     post COUNT RATE HEARD SECONDS [PATTERN]   posts COUNT times, RATE a second; HEARD connections hear of each
 *     drop COUNT                                cuts the first COUNT connections, without a close frame
 *     storm AT_ONCE SECONDS PATTERN\tPATTERN    opens those again: upgrade, first PATTERN, send the line, second PATTERN;
 *                                               latency is from connect() to the end of that
 *     stats                                     connections, and the CPU seconds this program has used
 *
 * SECONDS bounds each command: what is then missing shows in the figures of its answer ("complete": false). Latencies
 * are in milliseconds.
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
#define POSTERS 64 /* HTTP connections: a request that finds all of them busy waits, and its stamp does not move */
#define STAMP_DIGITS 21

enum state { UNUSED, UPGRADING, OPEN, GONE };

/* A text to be found in messages. Events of one type have it in one place: looking there first is most of the work
 * saved. */
struct needle {
    char text[KEPT + 1];
    size_t length, last;
};

struct connection {
    int fd;
    enum state state;
    bool under_way;           /* the command in progress waits for this connection */
    bool told;                /* its line was sent */
    bool greeted;             /* in a storm: the first pattern has arrived */
    uint32_t matched;         /* messages with the pattern, in the command in progress */
    uint64_t began;           /* of its connect(), in nanoseconds */
    char *response;           /* the handshake's, while it is incomplete */
    size_t response_length;
    uint8_t *rest;            /* with --lines: of a frame that is incomplete */
    size_t rest_length;
    struct frame_reader reader;
};

static struct connection connections[MAX_CONNECTIONS];
static int opened, open_count, gone_count; /* opened counts every attempt: connections[0..opened) are in use */
static int epoll, port, post_port, sources = 1;
static bool raw, lines;
static const char *path = "/";
static char common_headers[8192];
static char **header_lines, **greeting_lines, **message_lines, **signal_lines;
static size_t header_line_count, greeting_line_count, message_line_count, signal_line_count;
static const char *post_path = "/", *post_body = "", *ping_text, *pong_text;
static char first_failure[128];

/* The command in progress. */
static enum { IDLE, CONNECTING, SENDING, TELLING, EXPECTING, RELAYING, POSTING, STORMING } command;
static struct needle pattern, second_pattern, mark;
static int target, at_once, started, finished, failed, under_way, cursor;
static uint64_t matched, matched_bytes;
static double begun, deadline, cpu_begun;

/* Of `relay` and `post`: COUNT of them to go out, INTERVAL nanoseconds apart. */
static int signals, signals_sent, room_size, responses;
static uint64_t interval, first_due;
static uint64_t room_sent_at[MAX_CONNECTIONS];

/* Latencies, in buckets of 1/64 of a power of two: the error is below 1 %. */
static uint32_t histogram[64 * 64];
static uint64_t measured, longest;
static uint64_t received_at; /* the moment of the last recv(), in nanoseconds */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec * 1000000000ull + moment.tv_nsec;
}

static double now(void) { return now_ns() / 1e9; }

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(uint64_t nanoseconds) {
    size_t bucket = nanoseconds;
    if (nanoseconds >= 64) {
        int exponent = 63 - __builtin_clzll(nanoseconds);
        bucket = (exponent - 5) * 64 + ((nanoseconds >> (exponent - 6)) & 63);
    }
    histogram[bucket]++;
    measured++;
    if (nanoseconds > longest) longest = nanoseconds;
}

/* Gives the latency that a part of all messages stayed below, in milliseconds. */
static double percentile(double part) {
    uint64_t rank = part * measured, seen = 0;
    for (size_t bucket = 0; bucket < sizeof histogram / sizeof *histogram; bucket++) {
        seen += histogram[bucket];
        if (seen <= rank) continue;
        if (bucket < 64) return bucket / 1e6;
        int exponent = bucket / 64 + 5;
        return ((64 + bucket % 64) + 0.5) * (double)(1ull << (exponent - 6)) / 1e6;
    }
    return longest / 1e6;
}

static char **read_lines(const char *name, size_t *count) {
    FILE *file = fopen(name, "r");
    if (!file) fail(name);
    char **read = NULL, *line = NULL;
    size_t size = 0;
    for (*count = 0; getline(&line, &size, file) > 0; line = NULL, size = 0) {
        line[strcspn(line, "\r\n")] = 0;
        for (char *at = line; (at = strchr(at, 0x1e));) *at = '\n';
        read = realloc(read, (*count + 1) * sizeof *read);
        read[(*count)++] = line;
    }
    fclose(file);
    return read;
}

static void went_wrong(const char *failure) {
    failed++;
    if (!first_failure[0])
        for (size_t i = 0; i < sizeof first_failure - 1 && (uint8_t)failure[i] >= ' '; i++)
            first_failure[i] = failure[i] == '"' || failure[i] == '\\' ? '\'' : failure[i];
}

/* One connection is through with the command in progress, well or not. */
static void settle(struct connection *connection, const char *failure) {
    if (!connection->under_way) return;
    connection->under_way = false;
    under_way--;
    if (failure) went_wrong(failure);
    else finished++;
}

static void drop(struct connection *connection, const char *why) {
    if (connection->state == GONE) return;
    settle(connection, why); /* before the response is freed, which `why` may point into */
    if (connection->state == OPEN) open_count--;
    gone_count++;
    connection->state = GONE;
    close(connection->fd);
    free(connection->response);
    free(connection->rest);
    connection->response = NULL;
    connection->rest = NULL;
    connection->rest_length = 0;
}

static void transmit(struct connection *connection, const void *bytes, size_t size) {
    /* Small and rare: a full send buffer means that the server has stopped reading, which is a failure here. */
    if (send(connection->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) drop(connection, "send() took less than all");
}

static void open_one(struct connection *connection) {
    size_t index = connection - connections;
    memset(&connection->reader, 0, sizeof connection->reader);
    connection->told = connection->greeted = false;
    connection->began = now_ns();
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

static void send_text(struct connection *connection, const char *text) {
    static uint8_t bytes[65536 + 8];
    size_t length = strlen(text);
    transmit(connection, bytes, write_masked(bytes, TEXT, (const uint8_t *)text, length > 65535 ? 65535 : length));
}

static void upgraded(struct connection *connection) {
    size_t index = connection - connections;
    free(connection->response);
    connection->response = NULL;
    connection->state = OPEN;
    open_count++;
    if (index < greeting_line_count) send_text(connection, greeting_lines[index]);
    if (!pattern.length) settle(connection, NULL);
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

/* Finds a text in the message. */
static const uint8_t *find(const struct frame_reader *reader, struct needle *needle) {
    size_t last = needle->last, length = needle->length;
    if (last + length <= reader->kept_length && memcmp(reader->start + last, needle->text, length) == 0)
        return reader->start + last;
    const uint8_t *found = memmem(reader->start, reader->kept_length, needle->text, length);
    if (found) needle->last = found - reader->start;
    return found;
}

static void look_for(struct needle *needle, const char *text) {
    snprintf(needle->text, sizeof needle->text, "%s", text);
    needle->length = strlen(needle->text);
    needle->last = 0;
}

/* Gives the number that eight digits stand for, joining neighbours pairwise, or -1 where they are not all digits. */
static int64_t eight_digits(const uint8_t *digits) {
    uint64_t value;
    memcpy(&value, digits, 8);
    if ((value & 0xf0f0f0f0f0f0f0f0) != 0x3030303030303030
        || ((value + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) != 0x3030303030303030)
        return -1;
    value = (value & 0x0f0f0f0f0f0f0f0f) * (1 + (10 << 8)) >> 8;
    value = (value & 0x00ff00ff00ff00ff) * (1 + (100 << 16)) >> 16;
    return (value & 0x0000ffff0000ffff) * (1 + (10000ull << 32)) >> 32;
}

/* Gives the time stamp in a message: STAMP_DIGITS digits, of which 16 are enough for a machine up for 115 days. */
static uint64_t stamp_of(const struct frame_reader *reader) {
    const uint8_t *at = find(reader, &mark);
    if (!at || at + mark.length + STAMP_DIGITS > reader->start + reader->kept_length) return 0;
    at += mark.length + STAMP_DIGITS - 16;
    int64_t high = eight_digits(at), low = eight_digits(at + 8);
    return high < 0 || low < 0 ? 0 : high * 100000000ull + low;
}

static void on_message(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    if (ping_text && reader->payload_size == strlen(ping_text) && memcmp(reader->start, ping_text, reader->payload_size) == 0)
        return send_text(connection, pong_text);
    if (command == STORMING && connection->under_way) {
        if (!find(reader, connection->greeted ? &second_pattern : &pattern)) return;
        if (connection->greeted) {
            measure(received_at - connection->began);
            return settle(connection, NULL);
        }
        connection->greeted = connection->told = true;
        return send_text(connection, message_lines[connection - connections]);
    }
    if (pattern.length && !find(reader, &pattern)) return;
    connection->matched++;
    matched++;
    matched_bytes += reader->payload_size;
    if (command == RELAYING) {
        measure(received_at - room_sent_at[(connection - connections) / room_size]);
    } else if (mark.length && (command == EXPECTING || command == POSTING)) {
        uint64_t stamp = stamp_of(reader);
        if (stamp > received_at) went_wrong("a time stamp of the future");
        else if (stamp) measure(received_at - stamp);
    }
    settle(connection, NULL);
}

/* Every line of the payload, which is whole, is a message. */
static void on_lines(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    const uint8_t *at = reader->start, *end = at + reader->payload_size;
    while (at < end && connection->state == OPEN) {
        const uint8_t *newline = memchr(at, '\n', end - at), *stop = newline ? newline : end;
        reader->start = at;
        reader->payload_size = stop - at;
        reader->kept_length = stop - at < KEPT ? stop - at : KEPT;
        if (stop > at) on_message(connection);
        at = stop + 1;
    }
}

static void on_frame(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    uint8_t opcode = reader->header[0] & 15, answer[KEPT + 8];
    if (opcode == TEXT || opcode == BINARY) {
        if (lines) on_lines(connection);
        else on_message(connection);
    } else if (opcode == PING) {
        transmit(connection, answer, write_masked(answer, PONG, reader->start, reader->kept_length));
    } else if (opcode == CLOSE) {
        char why[160] = "close without a code";
        if (reader->kept_length >= 2)
            snprintf(why, sizeof why, "close %d %.*s", reader->start[0] << 8 | reader->start[1],
                     reader->kept_length - 2, (char *)reader->start + 2);
        send(connection->fd, answer, write_masked(answer, CLOSE, reader->start, reader->kept_length), MSG_NOSIGNAL);
        drop(connection, why);
    }
}

/* Reads frames that are whole; what is left waits for the rest of its frame. */
static void read_whole_frames(struct connection *connection, const uint8_t *bytes, size_t count) {
    uint8_t *joined = NULL;
    if (connection->rest_length) {
        joined = realloc(connection->rest, connection->rest_length + count);
        memcpy(joined + connection->rest_length, bytes, count);
        bytes = joined;
        count += connection->rest_length;
    }
    connection->rest = NULL;
    connection->rest_length = 0;
    size_t taken = 1;
    while (count > 0 && connection->state == OPEN && (taken = read_whole_frame(&connection->reader, bytes, count))) {
        bytes += taken;
        count -= taken;
        on_frame(connection);
    }
    if (!taken) {
        connection->rest = memcpy(malloc(count), bytes, count);
        connection->rest_length = count;
    }
    free(joined);
}

static void read_frames(struct connection *connection, const uint8_t *bytes, size_t count) {
    if (lines) return read_whole_frames(connection, bytes, count);
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

/* --- posting --------------------------------------------------------------------------------------------------------- */

static struct poster {
    int fd;
    bool busy;
    size_t length;
    char response[RESPONSE_LIMIT];
} posters[POSTERS];
static int poster_count;

static bool is_poster(const void *pointer) {
    return (const char *)pointer >= (char *)posters && (const char *)pointer < (char *)(posters + POSTERS);
}

static struct poster *free_poster(void) {
    for (int i = 0; i < poster_count; i++)
        if (!posters[i].busy) return &posters[i];
    if (poster_count == POSTERS) return NULL;
    struct poster *poster = &posters[poster_count++];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(post_port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poster->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (poster->fd < 0 || connect(poster->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("post: connect");
    setsockopt(poster->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = poster};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, poster->fd, &event) < 0) fail("epoll_ctl");
    return poster;
}

static bool post_one(uint64_t stamp) {
    static const char zeros[] = "000000000000000000000";
    static char request[4096], body[2048], digits[STAMP_DIGITS + 1];
    struct poster *poster = free_poster();
    if (!poster) return false;
    snprintf(body, sizeof body, "%s", post_body);
    snprintf(digits, sizeof digits, "%021llu", (unsigned long long)stamp);
    char *place = strstr(body, zeros);
    if (place) memcpy(place, digits, STAMP_DIGITS);
    int size = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%sContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s", post_path, post_port, common_headers, strlen(body), body);
    if (send(poster->fd, request, size, MSG_NOSIGNAL) != size) fail("post: send");
    poster->busy = true;
    poster->length = 0;
    return true;
}

static void on_response(struct poster *poster) {
    ssize_t count = recv(poster->fd, poster->response + poster->length, RESPONSE_LIMIT - 1 - poster->length, 0);
    if (count <= 0) {
        /* An idle connection that the server has closed: its place is taken by a new one. */
        if (poster->busy) fail("post: the server hung up");
        close(poster->fd);
        *poster = posters[--poster_count];
        if (poster != &posters[poster_count]) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = poster};
            epoll_ctl(epoll, EPOLL_CTL_MOD, poster->fd, &event);
        }
        return;
    }
    poster->length += count;
    poster->response[poster->length] = 0;
    char *end = strstr(poster->response, "\r\n\r\n"), *length = strcasestr(poster->response, "\r\nContent-Length:");
    if (!end) return;
    bool chunked = strcasestr(poster->response, "\r\nTransfer-Encoding: chunked") != NULL;
    size_t body = poster->length - (end + 4 - poster->response);
    if (chunked ? !strstr(end + 4, "0\r\n\r\n") : body < (length && length < end ? strtoul(length + 17, NULL, 10) : 0)) return;
    poster->busy = false;
    responses++;
    if (strncmp(poster->response + 8, " 201", 4) != 0) {
        char status[16];
        snprintf(status, sizeof status, "HTTP%.4s", poster->response + 8);
        went_wrong(status);
    }
}

static void on_ready(struct connection *connection, uint32_t events) {
    static uint8_t bytes[262144];
    if (is_poster(connection)) return on_response((struct poster *)connection);
    if (connection->state == GONE) return;
    if (events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) return connected(connection);
    ssize_t count = recv(connection->fd, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return drop(connection, count ? strerror(errno) : "connection closed");
    received_at = now_ns();
    if (connection->state == UPGRADING) read_response(connection, bytes, count);
    else read_frames(connection, bytes, count);
}

static void start_one(struct connection *connection) {
    connection->under_way = true;
    under_way++;
    if (command == SENDING || command == TELLING) {
        connection->told = true;
        send_text(connection, message_lines[connection - connections]);
        if (connection->state == OPEN && !pattern.length) settle(connection, NULL);
    } else {
        open_one(connection);
    }
}

/* Sends the signals, or posts, that are due. */
static void signal_due(void) {
    uint64_t moment = now_ns();
    while (signals_sent < signals && first_due + signals_sent * interval <= moment) {
        if (command == POSTING) {
            if (!post_one(first_due + signals_sent * interval)) return;
        } else {
            int rooms = signal_line_count / room_size, room = signals_sent % rooms;
            int member = signals_sent / rooms % room_size;
            room_sent_at[room] = now_ns();
            send_text(&connections[room * room_size + member], signal_lines[room * room_size + member]);
        }
        signals_sent++;
    }
}

static bool is_complete(void) {
    switch (command) {
    case EXPECTING: return matched >= (uint64_t)target;
    case RELAYING: return signals_sent == signals && matched >= (uint64_t)target;
    case POSTING: return responses == signals && matched >= (uint64_t)target;
    default: return started == target && under_way == 0;
    }
}

static void report(bool complete) {
    static const char *const names[] = {"", "connect", "send", "tell", "expect", "relay", "post", "storm"};
    uint32_t fewest = UINT32_MAX, least = UINT32_MAX, most = 0;
    int hearing = 0;
    for (int i = 0; i < opened; i++) {
        uint32_t heard = connections[i].matched;
        if (connections[i].state != OPEN) continue;
        if (heard < fewest) fewest = heard;
        if (heard > most) most = heard;
        if (heard > 0) hearing++;
        if (heard > 0 && heard < least) least = heard;
    }
    printf("{\"done\": \"%s\", \"complete\": %s, \"seconds\": %.6f, \"finished\": %d, \"failed\": %d, \"open\": %d, "
           "\"messages\": %lu, \"bytes\": %lu, \"fewest\": %u, \"most\": %u, \"hearing\": %d, \"least\": %u, "
           "\"responses\": %d, \"cpu_seconds\": %.6f, ",
           names[command], complete && !failed ? "true" : "false", now() - begun, finished, failed, open_count, matched,
           matched_bytes, open_count ? fewest : 0, most, hearing, hearing ? least : 0, responses,
           cpu_seconds() - cpu_begun);
    if (measured)
        printf("\"latency\": {\"p50\": %.6f, \"p99\": %.6f, \"p999\": %.6f, \"max\": %.6f}, ", percentile(0.5),
               percentile(0.99), percentile(0.999), longest / 1e6);
    printf("\"first_failure\": \"%s\"}\n", first_failure);
}

static bool opens_or_tells(void) {
    return command == CONNECTING || command == SENDING || command == TELLING || command == STORMING;
}

/* Starts what the command in progress may have under way, and reports when it is through or out of time. */
static void advance(void) {
    if (command == IDLE) return;
    while (opens_or_tells() && started < target && under_way < at_once) {
        struct connection *connection = &connections[cursor++];
        if (command == TELLING && connection->told) continue;
        if (command == STORMING && connection->state != GONE) continue;
        started++;
        if ((command == SENDING || command == TELLING) && connection->state != OPEN) continue;
        if (command == CONNECTING) opened++;
        start_one(connection);
    }
    if (command == RELAYING || command == POSTING) signal_due();
    bool complete = is_complete();
    if (!complete && now() < deadline) return;
    report(complete);
    for (int i = 0; i < opened; i++) connections[i].under_way = false;
    under_way = 0;
    command = IDLE;
}

static void begin(int what, int count, int width, double seconds, const char *text) {
    command = what;
    target = count;
    at_once = width;
    started = finished = failed = under_way = signals_sent = responses = 0;
    cursor = what == CONNECTING ? opened : 0;
    matched = matched_bytes = measured = longest = 0;
    memset(histogram, 0, sizeof histogram);
    first_failure[0] = 0;
    look_for(&pattern, text);
    for (int i = 0; i < opened; i++) connections[i].matched = 0;
    begun = now();
    cpu_begun = cpu_seconds();
    deadline = begun + seconds;
}

static void begin_signals(int what, int count, int heard, double rate, double seconds, const char *text) {
    begin(what, count * heard, 0, seconds, text);
    signals = count;
    interval = 1e9 / rate;
    first_due = now_ns();
}

static int count_untold(void) {
    int count = 0;
    for (int i = 0; i < opened; i++) count += !connections[i].told;
    return count;
}

static void obey(void) {
    static char line[4096];
    int count, width, heard, at = 0;
    double seconds, rate;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "connect %d %d %lf %n", &count, &width, &seconds, &at) == 3 && opened + count <= MAX_CONNECTIONS) {
        begin(CONNECTING, count, width, seconds, line + at);
    } else if (sscanf(line, "send %d %lf %n", &width, &seconds, &at) == 2 && message_line_count >= (size_t)opened) {
        begin(SENDING, opened, width, seconds, line + at);
    } else if (sscanf(line, "tell %d %lf %n", &width, &seconds, &at) == 2 && message_line_count >= (size_t)opened) {
        begin(TELLING, count_untold(), width, seconds, line + at);
    } else if (sscanf(line, "expect %d %lf %n", &count, &seconds, &at) == 2) {
        begin(EXPECTING, count, 0, seconds, line + at);
        printf("{\"done\": \"armed\"}\n");
    } else if (sscanf(line, "relay %d %lf %d %d %lf %n", &count, &rate, &width, &heard, &seconds, &at) == 5
               && signal_line_count >= (size_t)width && signal_line_count <= (size_t)opened) {
        room_size = width;
        begin_signals(RELAYING, count, heard, rate, seconds, line + at);
    } else if (sscanf(line, "post %d %lf %d %lf %n", &count, &rate, &width, &seconds, &at) == 4) {
        begin_signals(POSTING, count, width, rate, seconds, line + at);
    } else if (sscanf(line, "drop %d", &count) == 1 && count <= opened) {
        for (int i = 0; i < count; i++)
            if (connections[i].state == OPEN) drop(&connections[i], "dropped");
        printf("{\"done\": \"drop\", \"open\": %d}\n", open_count);
    } else if (sscanf(line, "storm %d %lf %n", &width, &seconds, &at) == 2 && strchr(line + at, '\t')
               && message_line_count >= (size_t)opened) {
        char *second = strchr(line + at, '\t');
        *second++ = 0;
        look_for(&second_pattern, second);
        count = 0;
        for (int i = 0; i < opened; i++) count += connections[i].state == GONE;
        begin(STORMING, count, width, seconds, line + at);
    } else if (strcmp(line, "stats") == 0) {
        printf("{\"done\": \"stats\", \"open\": %d, \"gone\": %d, \"cpu_seconds\": %.6f}\n", open_count, gone_count,
               cpu_seconds());
    } else {
        printf("{\"error\": \"no such command, or more connections than there are lines for\"}\n");
    }
}

static void read_arguments(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--raw") == 0 || strcmp(argv[i], "--lines") == 0) {
            *(argv[i][2] == 'r' ? &raw : &lines) = true;
            continue;
        }
        const char *name = argv[i], *value = ++i < argc ? argv[i] : NULL;
        size_t used = strlen(common_headers);
        if (!value) break;
        if (strcmp(name, "--path") == 0) path = value;
        else if (strcmp(name, "--header") == 0) snprintf(common_headers + used, sizeof common_headers - used, "%s\r\n", value);
        else if (strcmp(name, "--headers-file") == 0) header_lines = read_lines(value, &header_line_count);
        else if (strcmp(name, "--greetings-file") == 0) greeting_lines = read_lines(value, &greeting_line_count);
        else if (strcmp(name, "--signals-file") == 0) signal_lines = read_lines(value, &signal_line_count);
        else if (strcmp(name, "--post") == 0) post_path = value;
        else if (strcmp(name, "--post-port") == 0) post_port = atoi(value);
        else if (strcmp(name, "--ping") == 0) ping_text = value;
        else if (strcmp(name, "--pong") == 0) pong_text = value;
        else if (strcmp(name, "--body") == 0) post_body = value;
        else if (strcmp(name, "--mark") == 0) look_for(&mark, value);
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
    port = post_port = atoi(argv[1]);
    read_arguments(argc, argv);
    if (!ping_text != !pong_text || (ping_text && strlen(ping_text) > KEPT)) {
        fprintf(stderr, "client: --ping and --pong go together, and are short\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0) fail("epoll_ctl");
    for (;;) {
        int count = epoll_wait(epoll, ready, 512, command == IDLE ? -1 : command == RELAYING || command == POSTING ? 1 : 100);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr) on_ready(ready[i].data.ptr, ready[i].events);
            else obey();
        }
        advance();
    }
}
