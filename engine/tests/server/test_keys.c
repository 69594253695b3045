/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of --api-key-file and --admin-key-file: which files are taken, which headers match, and
 * that a comparison does not tell by its time how much of a key was right.
 */
#include "test.h"

#include <unistd.h>

#include "base/clock.h"
#include "server/keys.h"

static inferd_error err;

static inferd_status read_text(const char *text, struct ifd_keys *out)
{
    char path[] = "/tmp/inferd-keys-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    inferd_status s = ifd_keys_read("--admin-key-file", path, out, &err);
    unlink(path);
    return s;
}

static struct ifd_sha256 sha;

static bool match(const struct ifd_keys *k, const char *authorization)
{
    uint8_t digest[IFD_SHA256_BYTES];
    return ifd_keys_present(&sha, authorization, digest) && ifd_keys_match(k, digest);
}

static void files_are_checked(void **state)
{
    (void)state;
    struct ifd_keys k = {0};
    char text[300 * 70];
    assert_ok(read_text("# a comment\n\nabcdefghijklmnop\r\nzyxwvutsrqponmlkji", &k), err);
    assert_int_equal(k.count, 2);
    ifd_keys_fini(&k);
    assert_fails(read_text("abcdefghijklmno\n", &k), INFERD_INVALID_ARGUMENT, err, "line 1 has 15");
    assert_null(strstr(err.message, "abcdefg")); /* no key in a message */
    assert_fails(read_text("", &k), INFERD_INVALID_ARGUMENT, err, "no key");
    assert_fails(read_text("# only this\n", &k), INFERD_INVALID_ARGUMENT, err, "no key");
    assert_fails(read_text("abcdefghijklmnop qrst\n", &k), INFERD_INVALID_ARGUMENT, err, "line 1");
    assert_fails(read_text("abcdefghijklmnop\xc3\xa9\n", &k), INFERD_INVALID_ARGUMENT, err,
                 "line 1");
    memset(text, 'k', 256);
    text[256] = '\0';
    assert_fails(read_text(text, &k), INFERD_INVALID_ARGUMENT, err, "256 characters");
    assert_ok(read_text(text + 1, &k), err);
    ifd_keys_fini(&k);
    text[0] = '\0';
    for (unsigned i = 0; i < IFD_KEYS_MAX; i++)
        strcat(text, "abcdefghijklmnop\n");
    assert_ok(read_text(text, &k), err);
    ifd_keys_fini(&k);
    strcat(text, "abcdefghijklmnop\n");
    assert_fails(read_text(text, &k), INFERD_INVALID_ARGUMENT, err, "more than 64");
    assert_fails(ifd_keys_read("--admin-key-file", "/nowhere/at/all", &k, &err),
                 INFERD_INVALID_ARGUMENT, err, "--admin-key-file: /nowhere/at/all");
    assert_int_equal(k.count, 0);
}

static void only_a_whole_key_matches(void **state)
{
    (void)state;
    struct ifd_keys k = {0}, none = {0};
    char header[600];
    static const char key[] = "abcdefghijklmnopqrst";
    assert_ok(read_text("0123456789abcdefgh\nabcdefghijklmnopqrst\n", &k), err);
    assert_true(match(&k, "Bearer abcdefghijklmnopqrst"));
    assert_true(match(&k, "bEARER  0123456789abcdefgh"));
    assert_false(match(&none, "Bearer abcdefghijklmnopqrst"));
    static const char *const wrong[] = {NULL,
                                        "",
                                        "Bearer",
                                        "Bearer ",
                                        "abcdefghijklmnopqrst",
                                        "Basic abcdefghijklmnopqrst",
                                        "Bearer abcdefghijklmnopqrs",
                                        "Bearer abcdefghijklmnopqrstu",
                                        "Bearerabcdefghijklmnopqrst",
                                        "Bearer Abcdefghijklmnopqrst",
                                        "Bearer 0123456789abcdefgh abcdefghijklmnopqrst"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(match(&k, wrong[i]));
    for (size_t bit = 0; bit < 8 * (sizeof(key) - 1); bit++) { /* every single bit */
        snprintf(header, sizeof(header), "Bearer %s", key);
        header[7 + bit / 8] = (char)(header[7 + bit / 8] ^ (1 << bit % 8));
        assert_false(match(&k, header));
    }
    memset(header, 'a', sizeof(header));
    memcpy(header, "Bearer ", 7);
    header[599] = '\0';
    assert_false(match(&k, header));
    ifd_keys_fini(&k);
}

enum { ROUNDS = 41, CALLS = 400 };

/* The least time of many rounds, which noise can only lengthen. */
static uint64_t least_ns(bool (*compare)(const struct ifd_keys *, const char *),
                         const struct ifd_keys *k, const char *header)
{
    uint64_t least = UINT64_MAX;
    for (unsigned r = 0; r < ROUNDS; r++) {
        const uint64_t began = ifd_clock_ns();
        for (unsigned i = 0; i < CALLS; i++)
            (void)compare(k, header);
        const uint64_t took = ifd_clock_ns() - began;
        least = took < least ? took : least;
    }
    return least;
}

static bool __attribute__((noinline)) hasty_match(const struct ifd_keys *k, const char *header)
{
    static unsigned char kept[IFD_KEY_MOST + 1]; /* the key in clear: all its bytes are 'k' */
    size_t b = 0;
    (void)k;
    memset(kept, 'k', IFD_KEY_MOST);
    for (const volatile unsigned char *key = kept;
         key[b] && key[b] == (unsigned char)header[7 + b];)
        b++;
    return b == IFD_KEY_MOST && !header[7 + b];
}

/* A key that is wrong at once and one that is wrong at its end take the same time, within noise;
 * the control, a comparison that stops at the first difference, does not. */
static void keys_are_not_kept(void **state)
{
    (void)state;
    struct ifd_keys k = {0};
    assert_ok(read_text("abcdefghijklmnopqrst\n", &k), err);
    /* SHA-256 of that key, by sha256sum */
    static const unsigned char want[] = {0xdd, 0x65, 0xee, 0xa0, 0x32, 0x9d, 0xcb, 0x94,
                                         0xb1, 0x71, 0x87, 0xaf, 0x9d, 0xff, 0x28, 0xc3,
                                         0x1a, 0x1d, 0x78, 0x02, 0x67, 0x37, 0xa1, 0x6a,
                                         0xf7, 0x59, 0x79, 0xa1, 0xfa, 0x46, 0x18, 0xe5};
    assert_memory_equal(k.digest[0], want, sizeof(want));
    ifd_keys_fini(&k);
}

static void time_tells_nothing(void **state)
{
    (void)state;
    if (test_emulated())
        skip(); /* its instructions' times are not the processor's */
    struct ifd_keys k = {0};
    char key[IFD_KEY_MOST + 2], early[300], late[300];
    memset(key, 'k', IFD_KEY_MOST);
    key[IFD_KEY_MOST] = '\0';
    assert_ok(read_text(key, &k), err);
    snprintf(early, sizeof(early), "Bearer X%s", key + 1);
    snprintf(late, sizeof(late), "Bearer %s", key);
    late[7 + IFD_KEY_MOST - 1] = 'X';
    double worst = 0, control = 1e9;
    for (unsigned attempt = 0; attempt < 5; attempt++) {
        const double a = (double)least_ns(match, &k, early);
        const double b = (double)least_ns(match, &k, late);
        const double ratio = a > b ? a / b : b / a;
        const double hasty =
            (double)least_ns(hasty_match, &k, late) / (double)least_ns(hasty_match, &k, early);
        control = hasty < control ? hasty : control;
        worst = ratio;
        if (ratio < 1.15)
            break; /* a busy machine gets other tries */
    }
    assert_true(worst < 1.15);
    assert_true(control > 2);
    ifd_keys_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_checked),
        cmocka_unit_test(only_a_whole_key_matches),
        cmocka_unit_test(keys_are_not_kept),
        cmocka_unit_test(time_tells_nothing),
    };
    if (ifd_sha256_init(&sha, &err))
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ifd_sha256_fini(&sha);
    return failed;
}
