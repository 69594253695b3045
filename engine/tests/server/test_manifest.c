/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests: which files they list, what they catch, and that sha256sum agrees.
 */
#include "test.h"

#include <fcntl.h>

#include "base/file.h"
#include "model/modeldir.h"
#include "server/manifest.h"

static inferd_error err;

/* List, hash and check, as a load does. */
static inferd_status verify(const char *dir, bool *present, char digest[IFD_DIGEST_SIZE])
{
    struct ifd_manifest m = {0};
    uint64_t bytes = 0;
    inferd_status s = ifd_manifest_list(dir, &m, &bytes, &err);
    if (!s)
        s = ifd_manifest_hash(dir, &m, &err);
    if (!s)
        s = ifd_manifest_check(dir, &m, present, &err);
    if (!s && digest)
        memcpy(digest, m.digest, IFD_DIGEST_SIZE);
    ifd_manifest_fini(&m);
    return s;
}

static void write_manifest(const char *dir)
{
    struct ifd_manifest m = {0};
    uint64_t bytes = 0;
    assert_ok(ifd_manifest_list(dir, &m, &bytes, &err), err);
    assert_ok(ifd_manifest_hash(dir, &m, &err), err);
    assert_ok(ifd_manifest_write(dir, &m, &err), err);
    ifd_manifest_fini(&m);
}

static void digests_are_those_of_fips_180(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    struct ifd_sha256 h = {0};
    uint8_t digest[IFD_SHA256_BYTES];
    char hex[IFD_SHA256_HEX + 1];
    assert_ok(ifd_sha256_init(&h, &err), err);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(ifd_sha256_begin(&h, &err), err);
        for (const char *c = rows[i].text; *c; c++) /* byte by byte */
            assert_ok(ifd_sha256_add(&h, c, 1, &err), err);
        assert_ok(ifd_sha256_end(&h, digest, &err), err);
        ifd_sha256_hex(digest, hex);
        assert_string_equal(hex, rows[i].hex);
    }
    ifd_sha256_fini(&h);
}

static void assert_lists(const char *dir, const char *const *names, size_t count)
{
    struct ifd_manifest m = {0};
    uint64_t bytes = 0;
    assert_ok(ifd_manifest_list(dir, &m, &bytes, &err), err);
    assert_int_equal(m.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(m.entry[i].name, names[i]);
    assert_true(bytes > 0);
    ifd_manifest_fini(&m);
}

static void what_a_load_reads_is_listed(void **state)
{
    (void)state;
    struct modeldir d;
    dir_copy("bert-f32", &d);
    static const char *const json[] = {"config.json", "model.safetensors", "tokenizer.json"};
    assert_lists(d.path, json, 3);
    dir_remove_file(&d, "tokenizer.json");
    dir_write_str(&d, "vocab.txt", "[UNK]\n");
    static const char *const vocab[] = {"config.json", "model.safetensors", "tokenizer_config.json",
                                        "vocab.txt"};
    assert_lists(d.path, vocab, 4);
    dir_remove_file(&d, "model.safetensors");
    struct ifd_manifest m = {0};
    uint64_t bytes = 7;
    assert_fails(ifd_manifest_list(d.path, &m, &bytes, &err), INFERD_MODEL_INVALID, err,
                 "model.safetensors is missing");
    assert_int_equal(bytes, 7);
    dir_remove(&d);
    dir_copy("distilbert-sharded", &d);
    static const char *const shards[] = {"config.json",
                                         "model-00001-of-00005.safetensors",
                                         "model-00002-of-00005.safetensors",
                                         "model-00003-of-00005.safetensors",
                                         "model-00004-of-00005.safetensors",
                                         "model-00005-of-00005.safetensors",
                                         "model.safetensors.index.json",
                                         "tokenizer_config.json",
                                         "vocab.txt"};
    assert_lists(d.path, shards, 9);
    dir_remove(&d);
}

static void a_digest_needs_no_manifest(void **state)
{
    (void)state;
    struct modeldir d;
    char without[IFD_DIGEST_SIZE], with[IFD_DIGEST_SIZE], other[IFD_DIGEST_SIZE];
    bool present = true;
    dir_copy("bert-f32", &d);
    assert_ok(verify(d.path, &present, without), err);
    assert_false(present);
    write_manifest(d.path);
    dir_write_str(&d, "README.md", "no load reads this");
    assert_ok(verify(d.path, &present, with), err);
    assert_true(present);
    assert_string_equal(with, without);
    assert_int_equal(strlen(with), IFD_DIGEST_SIZE - 1);
    dir_remove(&d);
    dir_copy("bert-one-label", &d); /* the control: another model has another one */
    assert_ok(verify(d.path, &present, other), err);
    assert_string_not_equal(other, without);
    dir_remove(&d);
}

static bool same_but_for_case(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((a[i] | 0x20) != (b[i] | 0x20))
            return false;
    return true;
}

/* Every bit of every file that is small, each seventh of the larger ones, is caught, by the file's
 * name where it has one. A bit of the manifest itself is caught unless it only writes a digit in
 * upper case. */
static void every_flipped_bit_is_caught(void **state)
{
    (void)state;
    static const char *const names[] = {"config.json",
                                        "vocab.txt",
                                        "tokenizer_config.json",
                                        "model.safetensors.index.json",
                                        "model-00005-of-00005.safetensors",
                                        IFD_MANIFEST_NAME};
    struct modeldir d;
    unsigned long flips = 0;
    dir_copy("distilbert-sharded", &d);
    for (unsigned i = 1; i <= 5; i++) { /* what is in them is not a manifest's business */
        char shard[64];
        snprintf(shard, sizeof(shard), "model-0000%u-of-00005.safetensors", i);
        dir_truncate(&d, shard, 200 + i);
    }
    write_manifest(d.path);
    for (size_t f = 0; f < sizeof(names) / sizeof(names[0]); f++) {
        struct bytes b = dir_read(&d, names[f]);
        char path[512];
        dir_path(&d, names[f], path, sizeof(path));
        const int fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        const size_t step = b.size > 1000 ? 7 : 1;
        for (size_t bit = 0; bit < 8 * b.size; bit += step) {
            const char was = b.data[bit / 8], now = (char)(was ^ (1 << bit % 8));
            bool present = false;
            assert_int_equal(pwrite(fd, &now, 1, (off_t)(bit / 8)), 1);
            inferd_status s = verify(d.path, &present, NULL);
            if (strcmp(names[f], IFD_MANIFEST_NAME) == 0 && same_but_for_case(&was, &now, 1) &&
                strchr("abcdefABCDEF", now))
                ; /* the same digit; in a file's name, another file */
            else if (s != INFERD_MODEL_INVALID)
                fail_msg("%s: bit %zu: %s (%s)", names[f], bit, inferd_status_type(s), err.message);
            assert_int_equal(pwrite(fd, &was, 1, (off_t)(bit / 8)), 1);
            flips++;
        }
        close(fd);
        free(b.data);
    }
    bool present = false;
    assert_ok(verify(d.path, &present, NULL), err); /* the control: nothing flipped, nothing said */
    assert_true(present && flips > 18000);
    dir_remove(&d);
}

static void bad_manifests_are_refused(void **state)
{
    (void)state;
    struct modeldir d;
    bool present;
    dir_copy("bert-f32", &d);
    write_manifest(d.path);
    struct bytes good = dir_read(&d, IFD_MANIFEST_NAME);
    char text[2048];
#define REFUSED(part, ...)                                                             \
    do {                                                                               \
        snprintf(text, sizeof(text), __VA_ARGS__);                                     \
        dir_write_str(&d, IFD_MANIFEST_NAME, text);                                    \
        assert_fails(verify(d.path, &present, NULL), INFERD_MODEL_INVALID, err, part); \
    } while (0)
    char zeros[65];
    memset(zeros, '0', 64);
    zeros[64] = '\0';
    REFUSED("does not list config.json", "%s", "");
    REFUSED("line 4", "%s\n", good.data);
    REFUSED("a second time", "%s%s", good.data, good.data);
    REFUSED("which is missing", "%s%s  gone.bin\n", good.data, zeros);
    REFUSED("no plain file", "%s%s  ../config.json\n", good.data, zeros);
    REFUSED("no plain file", "%s%s  a\tb\n", good.data, zeros);
    REFUSED("64 hexadecimal", "%s%.63sg  x\n", good.data, zeros);
    REFUSED("between digest and name", "%s%s x  y\n", good.data, zeros);
    REFUSED("differs", "%s  config.json\n", zeros);
    REFUSED("line 1", "\\%s  config.json\n", zeros);
    /* carriage returns make other names */
    REFUSED("no plain file", "%s%s  x\r\n", good.data, zeros);
#undef REFUSED
    dir_write_str(&d, "extra.txt", "x"); /* a file that no load reads only has to be there */
    snprintf(text, sizeof(text), "%s%s *extra.txt", good.data, zeros);
    dir_write_str(&d, IFD_MANIFEST_NAME, text);
    assert_ok(verify(d.path, &present, NULL), err);
    assert_true(present);
    free(good.data);
    dir_remove(&d);
}

static void sha256sum_agrees(void **state)
{
    (void)state;
    struct modeldir d;
    char command[600];
    dir_copy("distilbert-sharded", &d);
    write_manifest(d.path);
    snprintf(command, sizeof(command), "cd %s && sha256sum --strict -c SHA256SUMS >/dev/null 2>&1",
             d.path);
    assert_int_equal(system(command), 0);
    dir_write_str(&d, "vocab.txt", "other");
    assert_int_not_equal(system(command), 0); /* the control */
    dir_remove(&d);
    dir_copy("bert-f32", &d); /* and we take what it writes, other files and all */
    snprintf(command, sizeof(command), "cd %s && sha256sum --binary * > SHA256SUMS", d.path);
    assert_int_equal(system(command), 0);
    bool present = false;
    assert_ok(verify(d.path, &present, NULL), err);
    assert_true(present);
    dir_remove(&d);
}

static void a_file_that_changes_meanwhile_is_noticed(void **state)
{
    (void)state;
    struct modeldir d;
    struct ifd_manifest m = {0};
    uint64_t bytes;
    dir_copy("bert-f32", &d);
    assert_ok(ifd_manifest_list(d.path, &m, &bytes, &err), err);
    assert_ok(ifd_manifest_hash(d.path, &m, &err), err);
    assert_ok(ifd_manifest_unchanged(d.path, &m, &err), err);
    struct bytes b = dir_read(&d, "config.json");
    dir_remove_file(&d, "config.json");
    assert_fails(ifd_manifest_unchanged(d.path, &m, &err), INFERD_MODEL_INVALID, err, "missing");
    dir_write(&d, "config.json", b.data, b.size);
    assert_fails(ifd_manifest_unchanged(d.path, &m, &err), INFERD_MODEL_INVALID, err,
                 "config.json was changed");
    free(b.data);
    ifd_manifest_fini(&m);
    static struct ifd_file_watch watch; /* and a load that is followed can be told to give up */
    assert_ok(ifd_manifest_list(d.path, &m, &bytes, &err), err);
    ifd_file_set_watch(&watch);
    assert_ok(ifd_manifest_hash(d.path, &m, &err), err);
    assert_int_equal(watch.bytes, bytes);
    watch.give_up = true;
    assert_fails(ifd_manifest_hash(d.path, &m, &err), INFERD_CANCELLED, err, "given up");
    ifd_file_set_watch(NULL);
    assert_ok(ifd_manifest_hash(d.path, &m, &err), err);
    ifd_manifest_fini(&m);
    dir_remove(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_fips_180),
        cmocka_unit_test(what_a_load_reads_is_listed),
        cmocka_unit_test(a_digest_needs_no_manifest),
        cmocka_unit_test(every_flipped_bit_is_caught),
        cmocka_unit_test(bad_manifests_are_refused),
        cmocka_unit_test(sha256sum_agrees),
        cmocka_unit_test(a_file_that_changes_meanwhile_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
