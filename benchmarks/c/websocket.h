/* The few pieces of RFC 6455 that a load generator needs: reading server frames that arrive in any pieces, and
 * writing small masked ones. Nothing here validates what a server sends; the conformance suite does that. */
#ifndef BENCHMARKS_WEBSOCKET_H
#define BENCHMARKS_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The key and its accept value from RFC 6455 section 1.3: a fixed pair spares both programs a SHA-1. */
#define WEBSOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WEBSOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* Enough for every control frame (RFC 6455 section 5.5), and for the type and the time stamp of an event. */
#define KEPT 255

struct frame_reader {
    uint64_t payload_size, payload_left;
    uint8_t header[10];
    uint8_t header_length;
    uint8_t kept_length;
    bool in_payload;
    const uint8_t *start; /* of the payload: the first bytes of it, in `kept` or where they were read */
    uint8_t kept[KEPT];
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

/* Takes in a frame that is all here, and stays where it is; gives its size, or 0 where some of it is missing. */
static inline size_t read_whole_frame(struct frame_reader *reader, const uint8_t *bytes, size_t count) {
    size_t header = header_size(bytes, count);
    if (count < header) return 0;
    uint64_t size = stated_size(bytes);
    if (count - header < size) return 0;
    reader->header[0] = bytes[0];
    reader->payload_size = size;
    reader->kept_length = size < KEPT ? size : KEPT;
    reader->start = bytes + header;
    return header + size;
}

/* Consumes bytes up to the end of one frame. Gives how many it took; *complete says whether the frame is whole, its
 * opcode, its size and the start of its payload then stand in the reader until the next call. */
static inline size_t read_frame(struct frame_reader *reader, const uint8_t *bytes, size_t count, bool *complete) {
    size_t whole = !reader->in_payload && reader->header_length == 0 ? read_whole_frame(reader, bytes, count) : 0;
    *complete = whole > 0;
    if (whole) return whole;
    size_t taken = 0;
    if (!reader->in_payload) {
        while (reader->header_length < header_size(reader->header, reader->header_length)) {
            if (taken == count) return taken;
            reader->header[reader->header_length++] = bytes[taken++];
        }
        reader->payload_size = reader->payload_left = stated_size(reader->header);
        reader->start = reader->kept;
        reader->kept_length = 0;
        reader->in_payload = true;
    }
    size_t here = count - taken;
    if (here > reader->payload_left) here = reader->payload_left;
    size_t room = KEPT - reader->kept_length;
    size_t kept = here < room ? here : room;
    memcpy(reader->kept + reader->kept_length, bytes + taken, kept);
    reader->kept_length += kept;
    reader->payload_left -= here;
    if (reader->payload_left == 0) {
        *complete = true;
        reader->in_payload = false;
        reader->header_length = 0;
    }
    return taken + here;
}

/* Writes one masked frame of at most 65,535 bytes to `out` (8 bytes longer than the payload); gives its size. */
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
