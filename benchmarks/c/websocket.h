/* The parts of RFC 6455 that a load generator needs: read server frames that arrive in pieces, and write small masked
 * ones. Nothing here validates what a server sends; the conformance suite does that. */
#ifndef BENCHMARKS_WEBSOCKET_H
#define BENCHMARKS_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The key and the accept value of RFC 6455 section 1.3. With a fixed pair, neither program needs SHA-1. */
#define WEBSOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WEBSOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* The first bytes of a payload that are kept: enough for every control frame (RFC 6455 section 5.5), and for the type
 * and the timestamp of an event. */
#define HEAD_SIZE 255

struct frame_reader {
    uint64_t payload_size, payload_left;
    uint8_t header[10];
    uint8_t header_length;
    uint8_t head_length;
    bool in_payload;
    const uint8_t *start; /* of the payload: in `head`, or where it was read */
    uint8_t head[HEAD_SIZE];
};

static inline size_t header_size(const uint8_t *header, size_t count) {
    if (count < 2) return 2;
    uint8_t length = header[1] & 127;
    return length == 126 ? 4 : length == 127 ? 10 : 2;
}

static inline uint64_t stated_size(const uint8_t *header) {
    size_t size = header_size(header, 2);
    if (size == 2) return header[1] & 127;
    uint64_t length = 0;
    for (size_t i = 2; i < size; i++) length = length << 8 | header[i];
    return length;
}

/* Read a complete frame without copying it. Return its size, or 0 if a part of it is missing. */
static inline size_t read_complete_frame(struct frame_reader *reader, const uint8_t *bytes, size_t count) {
    size_t header = header_size(bytes, count);
    if (count < header) return 0;
    uint64_t size = stated_size(bytes);
    if (count - header < size) return 0;
    reader->header[0] = bytes[0];
    reader->payload_size = size;
    reader->head_length = size < HEAD_SIZE ? size : HEAD_SIZE;
    reader->start = bytes + header;
    return header + size;
}

/* Consume bytes up to the end of one frame, and return how many. If *complete is set, the reader has the opcode, the
 * size and the head of the payload until the next call. */
static inline size_t read_frame(struct frame_reader *reader, const uint8_t *bytes, size_t count, bool *complete) {
    bool at_start = !reader->in_payload && reader->header_length == 0;
    size_t size = at_start ? read_complete_frame(reader, bytes, count) : 0;
    *complete = size > 0;
    if (size) return size;
    size_t taken = 0;
    if (!reader->in_payload) {
        while (reader->header_length < header_size(reader->header, reader->header_length)) {
            if (taken == count) return taken;
            reader->header[reader->header_length++] = bytes[taken++];
        }
        reader->payload_size = reader->payload_left = stated_size(reader->header);
        reader->start = reader->head;
        reader->head_length = 0;
        reader->in_payload = true;
    }
    size_t here = count - taken;
    if (here > reader->payload_left) here = reader->payload_left;
    size_t room = HEAD_SIZE - reader->head_length;
    size_t copied = here < room ? here : room;
    memcpy(reader->head + reader->head_length, bytes + taken, copied);
    reader->head_length += copied;
    reader->payload_left -= here;
    if (reader->payload_left == 0) {
        *complete = true;
        reader->in_payload = false;
        reader->header_length = 0;
    }
    return taken + here;
}

/* Write a masked frame of at most 65,535 bytes to `out`, which is 8 bytes longer than the payload; return its size. */
static inline size_t write_masked(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t length) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t at = 0;
    out[at++] = 0x80 | opcode;
    if (length < 126) {
        out[at++] = 0x80 | length;
    } else {
        out[at++] = 0x80 | 126;
        out[at++] = length >> 8;
        out[at++] = length & 255;
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < length; i++) out[at + i] = payload[i] ^ mask[i & 3];
    return at + length;
}

#endif
