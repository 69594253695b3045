/* SPDX-License-Identifier: Apache-2.0
 *
 * A state machine over bytes. Each step consumes what its state can take in one go (a plain run of
 * a string, the digits of a number, one structural byte) and hands it on before it returns, so
 * nothing but the few bytes of struct ifd_json lives between two calls.
 *
 * A step that fails leaves its cursor on the offending byte and sets `why`; ifd_json_feed turns
 * both into offset and message. What was read before that byte has been handed on, as it would have
 * been had the input come byte by byte.
 */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum state {
    AT_VALUE,      /* a value must follow */
    AT_FIRST_ITEM, /* after '[': a value or ']' */
    AT_FIRST_KEY,  /* after '{': a key or '}' */
    AT_KEY,        /* after ',' in an object */
    AT_COLON,
    AT_NEXT, /* after a value inside a container: ',' or its end */
    AT_DONE, /* after the outermost value */
    IN_STRING,
    IN_ESCAPE,  /* after '\' */
    IN_HEX,     /* the four digits of \u */
    IN_PAIR,    /* after a high surrogate: '\' */
    IN_PAIR_U,  /* and then 'u' */
    IN_UTF8,    /* a sequence that a piece of input has cut, or that is ill-formed */
    IN_LITERAL, /* true, false, null */
    NUM_START,  /* a number's first byte comes; the states after it name the last byte read */
    NUM_MINUS,
    NUM_ZERO,    /* accepting */
    NUM_INTEGER, /* accepting */
    NUM_POINT,
    NUM_FRACTION, /* accepting */
    NUM_E,
    NUM_E_SIGN,
    NUM_EXPONENT, /* accepting */
};

void ifd_json_init(struct ifd_json *p, uint32_t depth_max, ifd_json_callback *callback, void *ctx)
{
    IFD_ASSERT(depth_max >= 1 && depth_max <= IFD_JSON_DEPTH_MAX && callback);
    *p = (struct ifd_json){
        .callback = callback, .ctx = ctx, .depth_max = depth_max, .state = AT_VALUE};
}

/* ---- events and verdicts ------------------------------------------------------------------- */

static inferd_status emit(struct ifd_json *p, enum ifd_json_event event, const char *data,
                          size_t size, bool last, inferd_error *err)
{
    return p->callback(p->ctx, event, data, size, last, err);
}

static inferd_status emit_mark(struct ifd_json *p, enum ifd_json_event event, inferd_error *err)
{
    return emit(p, event, "", 0, true, err);
}

/* A piece of the open string. Empty pieces that end nothing say nothing: left out. */
static inferd_status emit_text(struct ifd_json *p, const char *from, const char *to, bool last,
                               inferd_error *err)
{
    if (from == to && !last)
        return INFERD_OK;
    return emit(p, p->in_key ? IFD_JSON_KEY : IFD_JSON_STRING, from, (size_t)(to - from), last,
                err);
}

static inferd_status refuse(struct ifd_json *p, const char *why, char found)
{
    p->why = why;
    p->found = (uint8_t)found;
    return INFERD_INVALID_JSON;
}

static inferd_status report(const struct ifd_json *p, inferd_error *err)
{
    unsigned long long at = p->offset;
    if (!p->why)
        return ifd_fail(err, p->failed, "reading JSON was stopped before byte %llu", at);
    if (p->failed == INFERD_INVALID_UTF8)
        return ifd_fail(err, p->failed,
                        "invalid UTF-8 at byte %llu: the sequence that starts with 0x%02X is "
                        "ill-formed",
                        at, p->found);
    if (p->at_end)
        return ifd_fail(err, p->failed, "malformed JSON at byte %llu: %s, found the end of input",
                        at, p->why);
    char found[16];
    snprintf(found, sizeof(found), p->found > 0x20 && p->found < 0x7F ? "'%c'" : "byte 0x%02X",
             p->found);
    return ifd_fail(err, p->failed, "malformed JSON at byte %llu: %s, found %s", at, p->why, found);
}

/* ---- structure ----------------------------------------------------------------------------- */

static void value_done(struct ifd_json *p)
{
    p->state = p->depth ? AT_NEXT : AT_DONE;
}

static bool in_object(const struct ifd_json *p)
{
    return p->is_object >> (p->depth - 1) & 1;
}

static inferd_status open_container(struct ifd_json *p, char c, inferd_error *err)
{
    if (p->depth == p->depth_max)
        return refuse(p, "nesting is deeper than the limit", c);
    bool object = c == '{';
    inferd_status s = emit_mark(p, object ? IFD_JSON_OBJECT_BEGIN : IFD_JSON_ARRAY_BEGIN, err);
    if (s)
        return s;
    uint64_t bit = (uint64_t)1 << p->depth;
    p->is_object = object ? p->is_object | bit : p->is_object & ~bit;
    p->depth++;
    p->state = object ? AT_FIRST_KEY : AT_FIRST_ITEM;
    return INFERD_OK;
}

static inferd_status close_container(struct ifd_json *p, inferd_error *err)
{
    inferd_status s = emit_mark(p, in_object(p) ? IFD_JSON_OBJECT_END : IFD_JSON_ARRAY_END, err);
    p->depth--;
    value_done(p);
    return s;
}

static void begin_string(struct ifd_json *p, bool key)
{
    p->in_key = key;
    p->state = IN_STRING;
}

static void begin_literal(struct ifd_json *p, const char *literal)
{
    p->literal = literal;
    p->literal_at = 1;
    p->state = IN_LITERAL;
}

/* The state after one more byte, or AT_DONE when it is not part of the number. */
static unsigned number_next(unsigned state, char c)
{
    bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';
    switch (state) {
    case NUM_START:
        return c == '-' ? NUM_MINUS : c == '0' ? NUM_ZERO : digit ? NUM_INTEGER : AT_DONE;
    case NUM_MINUS:
        return c == '0' ? NUM_ZERO : digit ? NUM_INTEGER : AT_DONE;
    case NUM_ZERO:
        return c == '.' ? NUM_POINT : e ? NUM_E : AT_DONE;
    case NUM_INTEGER:
        return digit ? NUM_INTEGER : c == '.' ? NUM_POINT : e ? NUM_E : AT_DONE;
    case NUM_POINT:
        return digit ? NUM_FRACTION : AT_DONE;
    case NUM_FRACTION:
        return digit ? NUM_FRACTION : e ? NUM_E : AT_DONE;
    case NUM_E:
        return digit ? NUM_EXPONENT : c == '+' || c == '-' ? NUM_E_SIGN : AT_DONE;
    default: /* NUM_E_SIGN, NUM_EXPONENT */
        return digit ? NUM_EXPONENT : AT_DONE;
    }
}

static inferd_status begin_value(struct ifd_json *p, char c, inferd_error *err)
{
    switch (c) {
    case '{':
    case '[':
        return open_container(p, c, err);
    case '"':
        begin_string(p, false);
        return INFERD_OK;
    case 't':
        begin_literal(p, "true");
        return INFERD_OK;
    case 'f':
        begin_literal(p, "false");
        return INFERD_OK;
    case 'n':
        begin_literal(p, "null");
        return INFERD_OK;
    default:
        if (number_next(NUM_START, c) == AT_DONE)
            return refuse(p, "expected a value", c);
        p->state = NUM_START;
        return INFERD_OK;
    }
}

static inferd_status step_structure(struct ifd_json *p, const char **at, inferd_error *err)
{
    char c = **at;
    inferd_status s = INFERD_OK;
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
        ++*at;
        return INFERD_OK;
    }
    switch (p->state) {
    case AT_VALUE:
        s = begin_value(p, c, err);
        break;
    case AT_FIRST_ITEM:
        s = c == ']' ? close_container(p, err) : begin_value(p, c, err);
        break;
    case AT_FIRST_KEY:
    case AT_KEY:
        if (c == '"')
            begin_string(p, true);
        else if (c == '}' && p->state == AT_FIRST_KEY)
            s = close_container(p, err);
        else
            s = refuse(p, "expected a key in double quotes", c);
        break;
    case AT_COLON:
        if (c == ':')
            p->state = AT_VALUE;
        else
            s = refuse(p, "expected ':' after a key", c);
        break;
    case AT_NEXT:
        if (c == ',')
            p->state = in_object(p) ? AT_KEY : AT_VALUE;
        else if (c == (in_object(p) ? '}' : ']'))
            s = close_container(p, err);
        else
            s = refuse(p, in_object(p) ? "expected ',' or '}'" : "expected ',' or ']'", c);
        break;
    default:
        s = refuse(p, "expected nothing after the value", c);
        break;
    }
    if (!s && p->state != NUM_START) /* that byte belongs to the number's text */
        ++*at;
    return s;
}

/* ---- strings ------------------------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Past the ASCII bytes that stand for themselves, eight at a time. In each term a byte's high bit
 * is set if the byte is special; a borrow can only come from a byte that is special itself, so the
 * whole word is zero exactly when none is. */
static const char *skip_plain(const char *s, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (end - s >= 8) {
        uint64_t v;
        memcpy(&v, s, 8);
        uint64_t quote = v ^ (ones * '"'), backslash = v ^ (ones * '\\');
        uint64_t special = v | ((v - ones * 0x20) & ~v) | ((quote - ones) & ~quote) |
                           ((backslash - ones) & ~backslash);
        if (special & highs)
            break;
        s += 8;
    }
    while (s < end && is_plain((unsigned char)*s))
        s++;
    return s;
}

static inferd_status step_string(struct ifd_json *p, const char **at, const char *end,
                                 inferd_error *err)
{
    const char *from = *at;
    const char *s = from;
    for (;;) {
        s = skip_plain(s, end);
        uint32_t scalar;
        size_t n;
        if (s == end || (unsigned char)*s < 0x80 ||
            !(n = ifd_utf8_decode(s, (size_t)(end - s), &scalar)))
            break;
        s += n;
    }
    *at = s;
    bool last = s < end && *s == '"';
    inferd_status status = emit_text(p, from, s, last, err);
    if (status || s == end)
        return status;
    if (last) {
        if (p->in_key)
            p->state = AT_COLON;
        else
            value_done(p);
    } else if (*s == '\\') {
        p->state = IN_ESCAPE;
    } else if ((unsigned char)*s < 0x20) {
        return refuse(p, "expected a control character in a string to be escaped", *s);
    } else { /* cut or ill-formed: decided byte by byte, from this byte on */
        p->state = IN_UTF8;
        p->utf8_have = 0;
        return INFERD_OK;
    }
    ++*at;
    return INFERD_OK;
}

static inferd_status refuse_utf8(struct ifd_json *p, char lead)
{
    refuse(p, "ill-formed UTF-8", lead);
    return INFERD_INVALID_UTF8;
}

/* Unicode 15, table 3-7: the second byte's range depends on the first. */
static bool utf8_follows(const struct ifd_json *p, unsigned char c)
{
    unsigned low = 0x80, high = 0xBF;
    if (p->utf8_have == 1) {
        switch (p->pending[0]) {
        case 0xE0:
            low = 0xA0;
            break;
        case 0xED:
            high = 0x9F;
            break;
        case 0xF0:
            low = 0x90;
            break;
        case 0xF4:
            high = 0x8F;
            break;
        default:
            break;
        }
    }
    return c >= low && c <= high;
}

static inferd_status step_utf8(struct ifd_json *p, const char **at, inferd_error *err)
{
    unsigned char c = (unsigned char)**at;
    if (p->utf8_have == 0) {
        if (c < 0xC2 || c > 0xF4)
            return refuse_utf8(p, (char)c);
        p->utf8_need = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    } else if (!utf8_follows(p, c)) {
        return refuse_utf8(p, (char)p->pending[0]);
    }
    p->pending[p->utf8_have++] = c;
    ++*at;
    if (p->utf8_have < p->utf8_need)
        return INFERD_OK;
    p->state = IN_STRING;
    return emit_text(p, (const char *)p->pending, (const char *)p->pending + p->utf8_need, false,
                     err);
}

static inferd_status emit_scalar(struct ifd_json *p, uint32_t scalar, inferd_error *err)
{
    char text[4];
    size_t n = ifd_utf8_encode(scalar, text);
    p->state = IN_STRING;
    return emit_text(p, text, text + n, false, err);
}

static inferd_status step_escape(struct ifd_json *p, const char **at, inferd_error *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = **at;
    if (c == 'u') {
        p->hex = 0;
        p->hex_have = 0;
        p->state = IN_HEX;
        ++*at;
        return INFERD_OK;
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return refuse(p, "expected one of \"\\/bfnrtu after '\\'", c);
    ++*at;
    return emit_scalar(p, (uint32_t)to[known - from], err);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static inferd_status step_hex(struct ifd_json *p, const char **at, inferd_error *err)
{
    char c = **at;
    int value = hex_value(c);
    if (value < 0)
        return refuse(p, "expected four hexadecimal digits after \\u", c);
    uint16_t unit = (uint16_t)(p->hex << 4 | value);
    if (p->hex_have < 3) {
        p->hex = unit;
        p->hex_have++;
        ++*at;
        return INFERD_OK;
    }
    bool low = unit >= 0xDC00 && unit <= 0xDFFF;
    uint32_t scalar = unit;
    if (p->surrogate) {
        if (!low)
            return refuse(p, "expected a low surrogate after a high one", c);
        scalar = 0x10000u + ((uint32_t)(p->surrogate - 0xD800) << 10) + (unit - 0xDC00u);
        p->surrogate = 0;
    } else if (low) {
        return refuse(p, "expected a high surrogate before a low one", c);
    } else if (unit >= 0xD800 && unit <= 0xDBFF) {
        p->surrogate = unit;
        p->state = IN_PAIR;
        ++*at;
        return INFERD_OK;
    }
    ++*at;
    return emit_scalar(p, scalar, err);
}

static inferd_status step_pair(struct ifd_json *p, const char **at)
{
    char c = **at;
    if (c != (p->state == IN_PAIR ? '\\' : 'u'))
        return refuse(p, "expected a low surrogate after a high one", c);
    if (p->state == IN_PAIR) {
        p->state = IN_PAIR_U;
    } else {
        p->hex = 0;
        p->hex_have = 0;
        p->state = IN_HEX;
    }
    ++*at;
    return INFERD_OK;
}

/* ---- numbers and literals ------------------------------------------------------------------ */

static bool is_accepting(unsigned state)
{
    return state == NUM_ZERO || state == NUM_INTEGER || state == NUM_FRACTION ||
           state == NUM_EXPONENT;
}

static inferd_status step_number(struct ifd_json *p, const char **at, const char *end,
                                 inferd_error *err)
{
    const char *s = *at;
    unsigned state = p->state, next;
    while (s < end && (next = number_next(state, *s)) != AT_DONE) {
        state = next;
        s++;
    }
    const char *from = *at;
    *at = s;
    p->state = (uint8_t)state;
    bool last = s < end && is_accepting(state);
    if (s > from || last) {
        inferd_status status = emit(p, IFD_JSON_NUMBER, from, (size_t)(s - from), last, err);
        if (status)
            return status;
    }
    if (last)
        value_done(p);
    else if (s < end)
        return refuse(p, "expected a digit in a number", *s);
    return INFERD_OK;
}

static inferd_status step_literal(struct ifd_json *p, const char **at, inferd_error *err)
{
    char c = **at;
    if (c != p->literal[p->literal_at])
        return refuse(p, "expected true, false or null", c);
    ++*at;
    if (p->literal[++p->literal_at])
        return INFERD_OK;
    value_done(p);
    char first = p->literal[0];
    return emit_mark(p,
                     first == 't'   ? IFD_JSON_TRUE
                     : first == 'f' ? IFD_JSON_FALSE
                                    : IFD_JSON_NULL,
                     err);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static inferd_status step(struct ifd_json *p, const char **at, const char *end, inferd_error *err)
{
    switch (p->state) {
    case IN_STRING:
        return step_string(p, at, end, err);
    case IN_ESCAPE:
        return step_escape(p, at, err);
    case IN_HEX:
        return step_hex(p, at, err);
    case IN_PAIR:
    case IN_PAIR_U:
        return step_pair(p, at);
    case IN_UTF8:
        return step_utf8(p, at, err);
    case IN_LITERAL:
        return step_literal(p, at, err);
    default:
        return p->state >= NUM_START ? step_number(p, at, end, err) : step_structure(p, at, err);
    }
}

inferd_status ifd_json_feed(struct ifd_json *p, const char *bytes, size_t n, inferd_error *err)
{
    if (p->failed)
        return report(p, err);
    if (n == 0)
        return INFERD_OK;
    const char *at = bytes, *end = bytes + n;
    inferd_status s = INFERD_OK;
    while (at < end && !s)
        s = step(p, &at, end, err);
    p->offset += (uint64_t)(at - bytes);
    if (!s)
        return INFERD_OK;
    p->failed = s;
    if (!p->why)
        return s; /* the callback stopped it and has said why */
    if (s == INFERD_INVALID_UTF8)
        p->offset -= p->utf8_have;
    return report(p, err);
}

inferd_status ifd_json_finish(struct ifd_json *p, inferd_error *err)
{
    static const char *const expected[] = {
        [AT_VALUE] = "expected a value",
        [AT_FIRST_ITEM] = "expected a value or ']'",
        [AT_FIRST_KEY] = "expected a key or '}'",
        [AT_KEY] = "expected a key in double quotes",
        [AT_COLON] = "expected ':' after a key",
        [AT_NEXT] = "expected ',' or the end of an array or object",
    };
    if (p->failed)
        return report(p, err);
    if (is_accepting(p->state)) {
        inferd_status s = emit(p, IFD_JSON_NUMBER, "", 0, true, err);
        if (s) {
            p->failed = s;
            return s;
        }
        value_done(p);
    }
    if (p->state == AT_DONE)
        return INFERD_OK;
    p->failed = INFERD_INVALID_JSON;
    p->at_end = true;
    p->why = p->state < sizeof(expected) / sizeof(expected[0]) ? expected[p->state]
             : p->state >= NUM_START                           ? "expected a digit in a number"
             : p->state == IN_LITERAL                          ? "expected true, false or null"
                                      : "expected the closing '\"' of a string";
    return report(p, err);
}
