/* The load generator: opens many WebSocket connections from one thread, answers pings, counts messages and measures
 * latency. It is the same for every server: the options say what to send, the commands what to wait for.
 *
 *     client PORT [--path /ws] [--headers-file FILE] [--greetings-file FILE] [--messages-file FILE]
 *                 [--signals-file FILE] [--post PATH] [--post-port PORT] [--body TEXT] [--timestamp-prefix TEXT]
 *                 [--sources N] [--ping TEXT --pong TEXT] [--lines]
 *
 *     --headers-file      line i is a header line of connection i, such as its Authorization
 *     --greetings-file    line i is the text that connection i sends when it is upgraded (Socket.IO's CONNECT)
 *     --messages-file     line i is the text that `send` sends on connection i, such as its subscribe event
 *     --signals-file      line i is the text that `relay` sends on connection i, such as its typing event
 *     --post, --body      the path that `post` posts to, and the JSON; 21 zeros in it become the timestamp
 *     --post-port         the port that `post` posts to, if it is another one
 *     --timestamp-prefix  the text before the timestamp in a message: nanoseconds of CLOCK_MONOTONIC, 21 digits
 *     --sources           connect from the addresses 127.0.0.1 to 127.0.0.N: one address has too few ports
 *     --ping, --pong      answer the message TEXT with the other, for protocols with pings of their own
 *     --lines             every line of a message is a message, for servers that join several; a 0x1e in what is sent
 *                         becomes a newline
 *
 * Commands come on standard input, one a line. Each is answered by lines of JSON. The program ends with its standard
 * input. An optional PATTERN is searched for in the first 255 bytes of each text or binary message.
 *
 *     connect COUNT CONCURRENCY SECONDS [PATTERN]
 *         Open COUNT more connections, CONCURRENCY at a time. Each is finished when it is upgraded and, with a PATTERN,
 *         when a message with it has arrived.
 *     send CONCURRENCY SECONDS [PATTERN]
 *         Send each connection's message; it is finished likewise.
 *     send_new CONCURRENCY SECONDS [PATTERN]
 *         Do the same on the connections that have not sent theirs yet.
 *     expect COUNT SECONDS [PATTERN]
 *         Answer "armed" at once, and again when COUNT messages with the PATTERN have arrived.
 *     relay COUNT RATE SIZE RECEIVERS SECONDS [PATTERN]
 *         Every SIZE connections in a row are a room. Send COUNT signals, RATE a second, room after room; RECEIVERS of
 *         the room get each. Latency is from sending to receiving: a room has one signal in progress at a time.
 *     post COUNT RATE RECEIVERS SECONDS [PATTERN]
 *         Post COUNT times, RATE a second; RECEIVERS connections get a message for each.
 *     drop COUNT
 *         Cut the first COUNT connections, without a close frame.
 *     storm CONCURRENCY SECONDS PATTERN\tPATTERN
 *         Open those again: upgrade, wait for the first PATTERN, send the message, wait for the second. Latency is from
 *         connect() to the end of that.
 *
 * A command ends after SECONDS at the latest; its answer then says "complete": false, and its figures show what is
 * missing. Latencies are in milliseconds.
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
#define MAX_POSTERS 64 /* HTTP connections. A request that finds all of them busy waits, and keeps its timestamp */
#define TIMESTAMP_DIGITS 21

enum state { UNUSED, UPGRADING, OPEN, GONE };

/* A text to find in messages. All events of one type have it in the same place, so that place is tried first. */
struct needle {
    char text[HEAD_SIZE + 1];
    size_t length, last_place;
};

struct connection {
    int fd;
    enum state state;
    bool in_progress;          /* the current command waits for this connection */
    bool has_sent;             /* its message was sent */
    bool has_first;            /* in a storm: the first pattern has arrived */
    uint32_t matched;          /* messages with the pattern, during the current command */
    uint64_t connecting_since; /* nanoseconds */
    char *response;            /* of the handshake, until it is complete */
    size_t response_length;
    uint8_t *partial;          /* with --lines: an incomplete frame */
    size_t partial_length;
    struct frame_reader reader;
};

static struct connection connections[MAX_CONNECTIONS];
static int opened, open_count; /* opened counts every attempt: connections[0..opened) are in use */
static int epoll, port, post_port, sources = 1;
static bool lines;
static const char *path = "/";
static char **header_lines, **greeting_lines, **message_lines, **signal_lines;
static size_t header_line_count, greeting_line_count, message_line_count, signal_line_count;
static const char *post_path = "/", *post_body = "", *ping_text, *pong_text;
static char first_failure[128];

/* The current command. */
static enum { IDLE, CONNECTING, SENDING, SENDING_NEW, EXPECTING, RELAYING, POSTING, STORMING } command;
static struct needle pattern, second_pattern, timestamp_prefix;
static int target, concurrency, started, finished, failed, in_progress_count, cursor;
static uint64_t matched, matched_bytes;
static double started_at, deadline, cpu_at_start;

/* Of `relay` and `post`: how many to send, `interval` nanoseconds apart. */
static int signals, signals_sent, room_size, responses;
static uint64_t interval, first_due;
static uint64_t room_sent_at[MAX_CONNECTIONS];

/* Latencies, in buckets of 1/64 of a power of two: the error is below 1 %. */
static uint32_t histogram[64 * 64];
static uint64_t latency_count, max_latency;
static uint64_t received_at; /* the time of the last recv(), in nanoseconds */

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

static void record_latency(uint64_t nanoseconds) {
    size_t bucket = nanoseconds;
    if (nanoseconds >= 64) {
        int exponent = 63 - __builtin_clzll(nanoseconds);
        bucket = (exponent - 5) * 64 + ((nanoseconds >> (exponent - 6)) & 63);
    }
    histogram[bucket]++;
    latency_count++;
    if (nanoseconds > max_latency) max_latency = nanoseconds;
}

/* Return a quantile (0 to 1) of the latencies, in milliseconds. */
static double quantile(double fraction) {
    uint64_t rank = fraction * latency_count, seen = 0;
    for (size_t bucket = 0; bucket < sizeof histogram / sizeof *histogram; bucket++) {
        seen += histogram[bucket];
        if (seen <= rank) continue;
        if (bucket < 64) return bucket / 1e6;
        int exponent = bucket / 64 + 5;
        return ((64 + bucket % 64) + 0.5) * (double)(1ull << (exponent - 6)) / 1e6;
    }
    return max_latency / 1e6;
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

static void record_failure(const char *failure) {
    failed++;
    if (!first_failure[0])
        for (size_t i = 0; i < sizeof first_failure - 1 && (uint8_t)failure[i] >= ' '; i++)
            first_failure[i] = failure[i] == '"' || failure[i] == '\\' ? '\'' : failure[i];
}

/* Finish the current command for one connection; with a failure, or NULL. */
static void finish(struct connection *connection, const char *failure) {
    if (!connection->in_progress) return;
    connection->in_progress = false;
    in_progress_count--;
    if (failure) record_failure(failure);
    else finished++;
}

static void drop(struct connection *connection, const char *why) {
    if (connection->state == GONE) return;
    finish(connection, why); /* first, because `why` may point into the response */
    if (connection->state == OPEN) open_count--;
    connection->state = GONE;
    close(connection->fd);
    free(connection->response);
    free(connection->partial);
    connection->response = NULL;
    connection->partial = NULL;
    connection->partial_length = 0;
}

static void transmit(struct connection *connection, const void *bytes, size_t size) {
    /* Messages are small and rare: a full send buffer means that the server has stopped reading, a failure here. */
    if (send(connection->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) drop(connection, "the send buffer is full");
}

static void open_one(struct connection *connection) {
    size_t index = connection - connections;
    memset(&connection->reader, 0, sizeof connection->reader);
    connection->has_sent = connection->has_first = false;
    connection->connecting_since = now_ns();
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
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail("connect");
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
    if (!pattern.length) finish(connection, NULL);
}

static void connected(struct connection *connection) {
    static char request[32768];
    size_t index = connection - connections;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WEBSOCKET_KEY "\r\n%s%s\r\n",
                        path, port, index < header_line_count ? header_lines[index] : "",
                        index < header_line_count ? "\r\n" : "");
    connection->response = malloc(RESPONSE_LIMIT);
    connection->response_length = 0;
    transmit(connection, request, size);
}

/* Return where a text begins in the message, or NULL. */
static const uint8_t *find(const struct frame_reader *reader, struct needle *needle) {
    size_t place = needle->last_place, length = needle->length;
    if (place + length <= reader->head_length && memcmp(reader->start + place, needle->text, length) == 0)
        return reader->start + place;
    const uint8_t *found = memmem(reader->start, reader->head_length, needle->text, length);
    if (found) needle->last_place = found - reader->start;
    return found;
}

static void set_needle(struct needle *needle, const char *text) {
    snprintf(needle->text, sizeof needle->text, "%s", text);
    needle->length = strlen(needle->text);
    needle->last_place = 0;
}

/* Return the number that eight digits stand for, or -1 if they are not all digits. Neighbours are joined in pairs. */
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

/* Return the timestamp in a message, or 0. Of its digits, 16 are enough for a machine that is up for 115 days. */
static uint64_t timestamp_of(const struct frame_reader *reader) {
    const uint8_t *at = find(reader, &timestamp_prefix);
    if (!at || at + timestamp_prefix.length + TIMESTAMP_DIGITS > reader->start + reader->head_length) return 0;
    at += timestamp_prefix.length + TIMESTAMP_DIGITS - 16;
    int64_t high = eight_digits(at), low = eight_digits(at + 8);
    return high < 0 || low < 0 ? 0 : high * 100000000ull + low;
}

static void on_message(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    if (ping_text && reader->payload_size == strlen(ping_text)
        && memcmp(reader->start, ping_text, reader->payload_size) == 0)
        return send_text(connection, pong_text);
    if (command == STORMING && connection->in_progress) {
        if (!find(reader, connection->has_first ? &second_pattern : &pattern)) return;
        if (connection->has_first) {
            record_latency(received_at - connection->connecting_since);
            return finish(connection, NULL);
        }
        connection->has_first = connection->has_sent = true;
        return send_text(connection, message_lines[connection - connections]);
    }
    if (pattern.length && !find(reader, &pattern)) return;
    connection->matched++;
    matched++;
    matched_bytes += reader->payload_size;
    if (command == RELAYING) {
        record_latency(received_at - room_sent_at[(connection - connections) / room_size]);
    } else if (timestamp_prefix.length && (command == EXPECTING || command == POSTING)) {
        uint64_t timestamp = timestamp_of(reader);
        if (timestamp > received_at) record_failure("a timestamp in the future");
        else if (timestamp) record_latency(received_at - timestamp);
    }
    finish(connection, NULL);
}

/* Handle every line of a complete payload as a message. */
static void on_lines(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    const uint8_t *at = reader->start, *end = at + reader->payload_size;
    while (at < end && connection->state == OPEN) {
        const uint8_t *newline = memchr(at, '\n', end - at), *stop = newline ? newline : end;
        reader->start = at;
        reader->payload_size = stop - at;
        reader->head_length = stop - at < HEAD_SIZE ? stop - at : HEAD_SIZE;
        if (stop > at) on_message(connection);
        at = stop + 1;
    }
}

static void on_frame(struct connection *connection) {
    struct frame_reader *reader = &connection->reader;
    uint8_t opcode = reader->header[0] & 15, answer[HEAD_SIZE + 8];
    if (opcode == TEXT || opcode == BINARY) {
        if (lines) on_lines(connection);
        else on_message(connection);
    } else if (opcode == PING) {
        transmit(connection, answer, write_masked(answer, PONG, reader->start, reader->head_length));
    } else if (opcode == CLOSE) {
        char why[160] = "close without a code";
        if (reader->head_length >= 2)
            snprintf(why, sizeof why, "close %d %.*s", reader->start[0] << 8 | reader->start[1],
                     reader->head_length - 2, (char *)reader->start + 2);
        send(connection->fd, answer, write_masked(answer, CLOSE, reader->start, reader->head_length), MSG_NOSIGNAL);
        drop(connection, why);
    }
}

/* Read complete frames, and keep the incomplete one at the end until the rest of it arrives. */
static void read_complete_frames(struct connection *connection, const uint8_t *bytes, size_t count) {
    uint8_t *joined = NULL;
    if (connection->partial_length) {
        joined = realloc(connection->partial, connection->partial_length + count);
        memcpy(joined + connection->partial_length, bytes, count);
        bytes = joined;
        count += connection->partial_length;
    }
    connection->partial = NULL;
    connection->partial_length = 0;
    size_t taken = 1;
    while (count > 0 && connection->state == OPEN && (taken = read_complete_frame(&connection->reader, bytes, count))) {
        bytes += taken;
        count -= taken;
        on_frame(connection);
    }
    if (!taken) {
        connection->partial = memcpy(malloc(count), bytes, count);
        connection->partial_length = count;
    }
    free(joined);
}

static void read_frames(struct connection *connection, const uint8_t *bytes, size_t count) {
    if (lines) return read_complete_frames(connection, bytes, count);
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
        if (taken < count) drop(connection, "response headers over 4 KB");
        return;
    }
    if (!strstr(connection->response, " 101 ") || !strstr(connection->response, WEBSOCKET_ACCEPT))
        return drop(connection, connection->response);
    size_t head = end + 4 - connection->response - before; /* bytes before the first frame */
    upgraded(connection);
    read_frames(connection, bytes + head, count - head);
}

/* --- posting ----------------------------------------------------------------------------------------------------- */

static struct poster {
    int fd;
    bool busy;
    size_t length;
    char response[RESPONSE_LIMIT];
} posters[MAX_POSTERS];
static int poster_count;

static bool is_poster(const void *pointer) {
    return (const char *)pointer >= (char *)posters && (const char *)pointer < (char *)(posters + MAX_POSTERS);
}

static struct poster *free_poster(void) {
    for (int i = 0; i < poster_count; i++)
        if (!posters[i].busy) return &posters[i];
    if (poster_count == MAX_POSTERS) return NULL;
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

static bool post_one(uint64_t timestamp) {
    static const char zeros[] = "000000000000000000000";
    static char request[4096], body[2048], digits[TIMESTAMP_DIGITS + 1];
    struct poster *poster = free_poster();
    if (!poster) return false;
    snprintf(body, sizeof body, "%s", post_body);
    snprintf(digits, sizeof digits, "%021llu", (unsigned long long)timestamp);
    char *place = strstr(body, zeros);
    if (place) memcpy(place, digits, TIMESTAMP_DIGITS);
    int size = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s", post_path, post_port, strlen(body), body);
    if (send(poster->fd, request, size, MSG_NOSIGNAL) != size) fail("post: send");
    poster->busy = true;
    poster->length = 0;
    return true;
}

static void on_response(struct poster *poster) {
    ssize_t count = recv(poster->fd, poster->response + poster->length, RESPONSE_LIMIT - 1 - poster->length, 0);
    if (count <= 0) {
        /* The server has closed an idle connection: the last poster takes its place. */
        if (poster->busy) fail("post: the server closed the connection");
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
    size_t stated = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (chunked ? !strstr(end + 4, "0\r\n\r\n") : body < stated) return;
    poster->busy = false;
    responses++;
    if (strncmp(poster->response + 8, " 201", 4) != 0) {
        char status[16];
        snprintf(status, sizeof status, "HTTP%.4s", poster->response + 8);
        record_failure(status);
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
    connection->in_progress = true;
    in_progress_count++;
    if (command == SENDING || command == SENDING_NEW) {
        connection->has_sent = true;
        send_text(connection, message_lines[connection - connections]);
        if (connection->state == OPEN && !pattern.length) finish(connection, NULL);
    } else {
        open_one(connection);
    }
}

/* Send the signals, or posts, that are due. */
static void send_due(void) {
    uint64_t current = now_ns();
    while (signals_sent < signals && first_due + signals_sent * interval <= current) {
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
    default: return started == target && in_progress_count == 0;
    }
}

static void report(bool complete) {
    static const char *const names[] = {"", "connect", "send", "send_new", "expect", "relay", "post", "storm"};
    uint32_t min = UINT32_MAX, min_of_receivers = UINT32_MAX, max = 0;
    int receivers = 0;
    for (int i = 0; i < opened; i++) {
        uint32_t received = connections[i].matched;
        if (connections[i].state != OPEN) continue;
        if (received < min) min = received;
        if (received > max) max = received;
        if (received > 0) receivers++;
        if (received > 0 && received < min_of_receivers) min_of_receivers = received;
    }
    printf("{\"done\": \"%s\", \"complete\": %s, \"seconds\": %.6f, \"finished\": %d, \"failed\": %d, \"open\": %d, "
           "\"messages\": %lu, \"bytes\": %lu, \"min_messages\": %u, \"max_messages\": %u, \"receivers\": %d, "
           "\"min_of_receivers\": %u, \"responses\": %d, \"cpu_seconds\": %.6f, ",
           names[command], complete && !failed ? "true" : "false", now() - started_at, finished, failed, open_count,
           matched, matched_bytes, open_count ? min : 0, max, receivers, receivers ? min_of_receivers : 0, responses,
           cpu_seconds() - cpu_at_start);
    if (latency_count)
        printf("\"latency\": {\"p50\": %.6f, \"p99\": %.6f, \"p999\": %.6f, \"max\": %.6f}, ", quantile(0.5),
               quantile(0.99), quantile(0.999), max_latency / 1e6);
    printf("\"first_failure\": \"%s\"}\n", first_failure);
}

static bool is_per_connection(void) {
    return command == CONNECTING || command == SENDING || command == SENDING_NEW || command == STORMING;
}

/* Start as much as the current command may have in progress, and report when it is complete or out of time. */
static void advance(void) {
    if (command == IDLE) return;
    while (is_per_connection() && started < target && in_progress_count < concurrency) {
        struct connection *connection = &connections[cursor++];
        if (command == SENDING_NEW && connection->has_sent) continue;
        if (command == STORMING && connection->state != GONE) continue;
        started++;
        if ((command == SENDING || command == SENDING_NEW) && connection->state != OPEN) continue;
        if (command == CONNECTING) opened++;
        start_one(connection);
    }
    if (command == RELAYING || command == POSTING) send_due();
    bool complete = is_complete();
    if (!complete && now() < deadline) return;
    report(complete);
    for (int i = 0; i < opened; i++) connections[i].in_progress = false;
    in_progress_count = 0;
    command = IDLE;
}

static void begin(int what, int count, int width, double seconds, const char *text) {
    command = what;
    target = count;
    concurrency = width;
    started = finished = failed = in_progress_count = signals_sent = responses = 0;
    cursor = what == CONNECTING ? opened : 0;
    matched = matched_bytes = latency_count = max_latency = 0;
    memset(histogram, 0, sizeof histogram);
    first_failure[0] = 0;
    set_needle(&pattern, text);
    for (int i = 0; i < opened; i++) connections[i].matched = 0;
    started_at = now();
    cpu_at_start = cpu_seconds();
    deadline = started_at + seconds;
}

static void begin_signals(int what, int count, int receivers, double rate, double seconds, const char *text) {
    begin(what, count * receivers, 0, seconds, text);
    signals = count;
    interval = 1e9 / rate;
    first_due = now_ns();
}

static int count_unsent(void) {
    int count = 0;
    for (int i = 0; i < opened; i++) count += !connections[i].has_sent;
    return count;
}

static void run_command(void) {
    static char line[4096];
    int count, width, receivers, at = 0;
    double seconds, rate;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "connect %d %d %lf %n", &count, &width, &seconds, &at) == 3 && opened + count <= MAX_CONNECTIONS) {
        begin(CONNECTING, count, width, seconds, line + at);
    } else if (sscanf(line, "send %d %lf %n", &width, &seconds, &at) == 2 && message_line_count >= (size_t)opened) {
        begin(SENDING, opened, width, seconds, line + at);
    } else if (sscanf(line, "send_new %d %lf %n", &width, &seconds, &at) == 2 && message_line_count >= (size_t)opened) {
        begin(SENDING_NEW, count_unsent(), width, seconds, line + at);
    } else if (sscanf(line, "expect %d %lf %n", &count, &seconds, &at) == 2) {
        begin(EXPECTING, count, 0, seconds, line + at);
        printf("{\"done\": \"armed\"}\n");
    } else if (sscanf(line, "relay %d %lf %d %d %lf %n", &count, &rate, &width, &receivers, &seconds, &at) == 5
               && signal_line_count >= (size_t)width && signal_line_count <= (size_t)opened) {
        room_size = width;
        begin_signals(RELAYING, count, receivers, rate, seconds, line + at);
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
        set_needle(&second_pattern, second);
        count = 0;
        for (int i = 0; i < opened; i++) count += connections[i].state == GONE;
        begin(STORMING, count, width, seconds, line + at);
    } else {
        printf("{\"error\": \"no such command, or more connections than there are lines for\"}\n");
    }
}

static void read_arguments(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--lines") == 0) {
            lines = true;
            continue;
        }
        const char *name = argv[i], *value = ++i < argc ? argv[i] : NULL;
        if (!value) break;
        if (strcmp(name, "--path") == 0) path = value;
        else if (strcmp(name, "--headers-file") == 0) header_lines = read_lines(value, &header_line_count);
        else if (strcmp(name, "--greetings-file") == 0) greeting_lines = read_lines(value, &greeting_line_count);
        else if (strcmp(name, "--signals-file") == 0) signal_lines = read_lines(value, &signal_line_count);
        else if (strcmp(name, "--post") == 0) post_path = value;
        else if (strcmp(name, "--post-port") == 0) post_port = atoi(value);
        else if (strcmp(name, "--ping") == 0) ping_text = value;
        else if (strcmp(name, "--pong") == 0) pong_text = value;
        else if (strcmp(name, "--body") == 0) post_body = value;
        else if (strcmp(name, "--timestamp-prefix") == 0) set_needle(&timestamp_prefix, value);
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
    if (!ping_text != !pong_text || (ping_text && strlen(ping_text) > HEAD_SIZE)) {
        fprintf(stderr, "client: --ping and --pong go together, in at most 255 bytes\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0) fail("epoll_ctl");
    for (;;) {
        int timeout = command == IDLE ? -1 : command == RELAYING || command == POSTING ? 1 : 100; /* milliseconds */
        int count = epoll_wait(epoll, ready, 512, timeout);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr) on_ready(ready[i].data.ptr, ready[i].events);
            else run_command();
        }
        advance();
    }
}
