/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static char dir[64];
static char path[128];

static void write_file(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%.40s/ifd-file-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/f", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void reading_by_position(void **state)
{
    (void)state;
    write_file("0123456789", 10);
    struct ifd_file f;
    inferd_error err;
    char to[11] = {0};
    assert_ok(ifd_file_open(path, &f, &err), err);
    assert_int_equal(f.size, 10);
    assert_string_equal(f.path, path);
    assert_ok(ifd_file_read(&f, 0, to, 10, &err), err);
    assert_string_equal(to, "0123456789");
    assert_ok(ifd_file_read(&f, 7, to, 3, &err), err);
    assert_memory_equal(to, "789", 3);
    assert_ok(ifd_file_read(&f, 10, to, 0, &err), err);
    assert_fails(ifd_file_read(&f, 8, to, 3, &err), INFERD_MODEL_INVALID, err, "was cut");
    assert_non_null(strstr(err.message, path));
    assert_fails(ifd_file_read(&f, UINT64_MAX, to, 1, &err), INFERD_MODEL_INVALID, err,
                 "out of any");
    assert_fails(ifd_file_read(&f, (uint64_t)INT64_MAX, to, 1, &err), INFERD_MODEL_INVALID, err,
                 "out of any");
    ifd_file_close(&f);
    ifd_file_close(&f);
    struct ifd_file never = {0};
    ifd_file_close(&never);
    assert_int_equal(fcntl(0, F_GETFD) >= 0 || errno == EBADF, 1);
}

/* A file that shrinks after it was opened: an error, where a mapping would have been a crash. */
static void cut_while_open(void **state)
{
    (void)state;
    static char big[100000];
    write_file(big, sizeof(big));
    struct ifd_file f;
    inferd_error err;
    assert_ok(ifd_file_open(path, &f, &err), err);
    assert_int_equal(truncate(path, 50000), 0);
    assert_fails(ifd_file_read(&f, 0, big, sizeof(big), &err), INFERD_MODEL_INVALID, err,
                 "ends at byte 50000");
    assert_ok(ifd_file_read(&f, 0, big, 50000, &err), err);
    ifd_file_close(&f);
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    struct ifd_file f = {.fd = 77};
    inferd_error err;
    unlink(path);
    assert_fails(ifd_file_open(path, &f, &err), INFERD_NOT_FOUND, err, path);
    char below[160];
    write_file("x", 1);
    snprintf(below, sizeof(below), "%s/below", path);
    assert_fails(ifd_file_open(below, &f, &err), INFERD_NOT_FOUND, err, "no such file");
    assert_fails(ifd_file_open(dir, &f, &err), INFERD_IO, err, "is a directory");
    assert_fails(ifd_file_open("/dev/null", &f, &err), INFERD_IO, err, "not a regular file");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not hang for want of a writer */
    assert_fails(ifd_file_open(path, &f, &err), INFERD_IO, err, "pipe");
    unlink(path);
    assert_int_equal(f.fd, 77); /* untouched on failure */
    write_file("x", 1);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0)
        assert_fails(ifd_file_open(path, &f, &err), INFERD_IO, err, "Permission denied");
    assert_int_equal(chmod(path, 0600), 0);
}

static void slurp_keeps_its_maximum(void **state)
{
    (void)state;
    char *data = NULL;
    size_t size = 0;
    inferd_error err;
    write_file("a\0b", 3);
    assert_ok(ifd_file_slurp(path, 3, &data, &size, &err), err);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "a\0b\0", 4);
    ifd_free(data);
    data = NULL;
    assert_ok(ifd_file_slurp(path, 4, &data, &size, &err), err);
    ifd_free(data);
    data = NULL;
    assert_fails(ifd_file_slurp(path, 2, &data, &size, &err), INFERD_MODEL_INVALID, err,
                 "has 3 bytes; at most 2");
    assert_null(data);
    write_file("", 0);
    assert_ok(ifd_file_slurp(path, 0, &data, &size, &err), err);
    assert_int_equal(size, 0);
    assert_int_equal(data[0], 0);
    ifd_free(data);
    data = NULL;
    for (uint64_t i = 0; i < 2; i++) {
        ifd_mem_fail_after(i, false);
        inferd_status s = ifd_file_slurp(path, 10, &data, &size, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_int_equal(s, INFERD_NO_MEMORY);
        assert_null(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reading_by_position, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_while_open, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(slurp_keeps_its_maximum, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
