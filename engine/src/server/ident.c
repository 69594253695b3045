/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ident.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

/* splitmix64: spreads a seed over the generator's state. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint64_t rotated(uint64_t x, unsigned by)
{
    return (x << by) | (x >> (64 - by));
}

/* xoshiro256** of Blackman and Vigna, from its published description. */
static uint64_t draw(struct ifd_ident_source *s)
{
    uint64_t *x = s->state;
    const uint64_t result = rotated(x[1] * 5, 7) * 9, shifted = x[1] << 17;
    x[2] ^= x[0];
    x[3] ^= x[1];
    x[1] ^= x[2];
    x[0] ^= x[3];
    x[2] ^= shifted;
    x[3] = rotated(x[3], 45);
    return result;
}

void ifd_ident_source_init(struct ifd_ident_source *s)
{
    s->sample_percent = 0;
    if (getrandom(s->state, sizeof(s->state), GRND_NONBLOCK) == (ssize_t)sizeof(s->state))
        return;
    /* early in a boot: the clock and our place in memory still tell two servers apart */
    uint64_t seed = ifd_clock_ns() ^ (uint64_t)(uintptr_t)s;
    for (unsigned i = 0; i < 4; i++)
        s->state[i] = spread(&seed);
}

void ifd_ident_clear(struct ifd_ident *i)
{
    i->id[0] = i->trace[0] = i->parent[0] = '\0';
    i->sampled = false;
}

static bool is_safe(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("-_.:/+=@", c));
}

bool ifd_ident_is_safe(const char *id)
{
    size_t n = 0;
    while (n <= IFD_REQUEST_ID_MAX && is_safe(id[n]))
        n++;
    return n >= 1 && n <= IFD_REQUEST_ID_MAX && id[n] == '\0';
}

/* n lower-case hex digits; *zero says whether all are 0. Stops at the first other character, so a
 * shorter string is safe. */
static bool is_hex(const char *s, size_t n, bool *zero)
{
    *zero = true;
    for (size_t i = 0; i < n; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
        *zero = *zero && s[i] == '0';
    }
    return true;
}

bool ifd_ident_parse_traceparent(const char *value, struct ifd_ident *i)
{
    /* version-trace-parent-flags: 2, 32, 16 and 2 digits */
    bool zero = false;
    if (!is_hex(value, 2, &zero) || (value[0] == 'f' && value[1] == 'f') || value[2] != '-')
        return false;
    const bool first_version = zero;
    if (!is_hex(value + 3, 32, &zero) || zero || value[35] != '-')
        return false;
    if (!is_hex(value + 36, 16, &zero) || zero || value[52] != '-' || !is_hex(value + 53, 2, &zero))
        return false;
    if (value[55] != '\0' && (first_version || value[55] != '-'))
        return false;
    memcpy(i->trace, value + 3, IFD_TRACE_ID_SIZE);
    memcpy(i->parent, value + 36, IFD_SPAN_ID_SIZE);
    i->trace[IFD_TRACE_ID_SIZE] = i->parent[IFD_SPAN_ID_SIZE] = '\0';
    /* the lowest bit of the flags: an odd last digit, of 0-9 or a-f */
    i->sampled = strchr("13579bdf", value[54]) != NULL;
    return true;
}

/* The low 32 bits as 8 hex digits: one nibble to a byte, then all bytes to letters at once. */
static void add_hex(char *out, uint32_t bits)
{
    uint64_t x = bits;
    x = (x | (x << 16)) & UINT64_C(0x0000FFFF0000FFFF);
    x = (x | (x << 8)) & UINT64_C(0x00FF00FF00FF00FF);
    x = (x | (x << 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    const uint64_t letter =
        ((x + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
    x += UINT64_C(0x3030303030303030) + letter * ('a' - '0' - 10);
    memcpy(out, &x, sizeof(x)); /* the order of the digits does not matter to anybody */
}

const char *ifd_ident_id(struct ifd_ident *i, struct ifd_ident_source *s)
{
    if (i->id[0])
        return i->id;
    for (unsigned half = 0; half < 2; half++) {
        const uint64_t bits = draw(s);
        add_hex(i->id + 16 * half, (uint32_t)bits);
        add_hex(i->id + 16 * half + 8, (uint32_t)(bits >> 32));
    }
    i->id[32] = '\0';
    return i->id;
}

void ifd_ident_hex(struct ifd_ident_source *s, size_t bytes, char *out)
{
    char digits[16];
    uint64_t bits;
    do
        bits = draw(s);
    while (!(uint32_t)bits); /* whatever is kept of it has a digit that is not 0 */
    add_hex(digits, (uint32_t)bits);
    add_hex(digits + 8, (uint32_t)(bits >> 32));
    memcpy(out, digits, 2 * bytes);
    out[2 * bytes] = '\0';
}

void ifd_ident_take(struct ifd_ident *i, const struct ifd_http *http, struct ifd_ident_source *s)
{
    const char *id = ifd_http_header(http, "x-request-id");
    const char *parent = ifd_http_header(http, "traceparent");
    ifd_ident_clear(i);
    if (id && ifd_ident_is_safe(id))
        memcpy(i->id, id, strlen(id) + 1);
    else
        (void)ifd_ident_id(i, s);
    if (parent && ifd_ident_parse_traceparent(parent, i))
        return;
    if (s->sample_percent > 0 && draw(s) % 100 < s->sample_percent) {
        i->sampled = true;
        ifd_ident_hex(s, 8, i->trace);
        ifd_ident_hex(s, 8, i->trace + 16);
    }
}
