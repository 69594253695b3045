/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors header: what is accepted means what it says, and each refusal names its cause.
 */
#include "model/safetensors.h"
#include "test.h"

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}"
#define B "\"b\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[24,32]}"

static inferd_status parse(const char *json, uint64_t data_bytes, struct ifd_st_header *h,
                           inferd_error *err)
{
    return ifd_st_header_parse(json, strlen(json), data_bytes, h, err);
}

static void refused(const char *json, uint64_t data_bytes, const char *part)
{
    struct ifd_st_header h = {0};
    inferd_error err = {INFERD_OK, ""};
    inferd_status st = parse(json, data_bytes, &h, &err);
    if (st != INFERD_MODEL_INVALID || err.status != st)
        fail_msg("%s: got %s (%s)", json, inferd_status_type(st), err.message);
    if (!strstr(err.message, part))
        fail_msg("%s: message '%s' lacks '%s'", json, err.message, part);
    assert_null(h.tensor);
}

static void accepted(const char *json, uint64_t data_bytes, size_t count)
{
    struct ifd_st_header h = {0};
    inferd_error err;
    assert_ok(parse(json, data_bytes, &h, &err), err);
    assert_int_equal(h.count, count);
    ifd_st_header_free(&h);
}

static void test_accepts(void **state)
{
    (void)state;
    struct ifd_st_header h = {0};
    inferd_error err;
    assert_ok(parse("{\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}, " B ",\n\t" A "}   ", 32, &h,
                    &err),
              err);
    assert_int_equal(h.count, 2);
    const struct ifd_st_tensor *a = ifd_st_find(&h, "a"), *b = ifd_st_find(&h, "b");
    assert_non_null(a);
    assert_non_null(b);
    assert_null(ifd_st_find(&h, "c"));
    assert_int_equal(a->dtype, IFD_ST_F32);
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal(a->begin, 0);
    assert_int_equal(a->end, 24);
    assert_int_equal(b->dtype, IFD_ST_F16);
    assert_int_equal(b->begin, 24);
    ifd_st_header_free(&h);

    accepted("{}", 0, 0);
    accepted("{\"__metadata__\":{}}", 0, 0);
    accepted("{\"scalar\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, 1);
    accepted("{\"none\":{\"dtype\":\"F64\",\"shape\":[3,0],\"data_offsets\":[0,0]}}", 0, 1);
    accepted("{" A ",\"none\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[24,24]}," B "}", 32,
             3);
    /* keys by their decoded text, fields in any order */
    accepted("{\"\\u0061\":{\"data_offsets\":[0,1],\"shape\":[1],\"dty\\u0070e\":\"BO\\u004fL\"}}",
             1, 1);
    accepted("{\"r8\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
             1);
}

static void test_every_dtype(void **state)
{
    (void)state;
    for (int d = 0; d < IFD_ST_DTYPE_COUNT; d++) {
        char json[160];
        size_t bytes = ifd_st_dtype_bytes((enum ifd_st_dtype)d);
        snprintf(json, sizeof(json),
                 "{\"t\":{\"dtype\":\"%s\",\"shape\":[5],\"data_offsets\":[0,%zu]}}",
                 ifd_st_dtype_name((enum ifd_st_dtype)d), 5 * bytes);
        accepted(json, 5 * bytes, 1);
        refused(json, 5 * bytes + 1, "longer than its header says");
        refused(json, 5 * bytes - 1, "not inside");
    }
}

static void test_frame(void **state)
{
    (void)state;
    refused("", 0, "begin with");
    refused("{", 0, "begin with");
    refused(" {}", 0, "begin with");
    refused("\xef\xbb\xbf{}", 0, "begin with");
    refused("[]", 0, "begin with");
    refused("{}\n", 0, "begin with");
    refused("{} \t ", 0, "begin with");
    refused("{}{}", 0, "");
    refused("{},{}", 0, "");
    refused("{" A "},{" B "}", 32, "");
    refused("{" A ",}", 24, "");
    refused("{\"a\":{\"dtype\":\"\xff\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "");
}

static void test_entries(void **state)
{
    (void)state;
    refused("{" A "," A "}", 24, "overlaps");
    refused("{" A ",\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[24,32]}}", 32,
            "tensor a is there twice");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]},"
            "\"\\u0061\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
            0, "tensor a is there twice");
    refused("{\"\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "empty name");
    refused("{\"a\\u0000b\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
            "control character");
    refused("{\"a\":5}", 0, "tensor a: it must be an object");
    refused("{\"a\":null}", 0, "must be an object");
    refused("{\"a\":[]}", 0, "must be an object");
    refused("{\"a\":{}}", 0, "must all be there");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[0]}}", 0, "must all be there");
    refused("{\"a\":{\"dtype\":\"I8\",\"data_offsets\":[0,0]}}", 0, "must all be there");
    refused("{\"a\":{\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "must all be there");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0],\"extra\":1}}", 0,
            "unknown field \"extra\"");
    refused("{\"a\":{\"dtype\":\"I8\",\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
            "twice");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0],\"shape\":[0]}}", 0,
            "twice");
    refused("{\"a\":{\"dtype\":\"F8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
            "unknown dtype \"F8\"");
    refused("{\"a\":{\"dtype\":\"f32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "unknown dtype");
    refused("{\"a\":{\"dtype\":\"\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "unknown dtype");
    refused(
        "{\"a\":{\"dtype\":\"F32                       \",\"shape\":[0],\"data_offsets\":[0,0]}}",
        0, "unknown dtype");
    refused("{\"a\":{\"dtype\":4,\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "dtype must be");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":4,\"data_offsets\":[0,4]}}", 4, "lists");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[[4]],\"data_offsets\":[0,4]}}", 4, "");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[\"4\"],\"data_offsets\":[0,4]}}", 4, "lists");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[null],\"data_offsets\":[0,4]}}", 4, "lists");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
            "more than 8 dimensions");
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "-1", "-0", "4.0", "4e0", "18446744073709551616", "99999999999999999999999999999999"};
    char json[200];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(json, sizeof(json),
                 "{\"a\":{\"dtype\":\"I8\",\"shape\":[%s],\"data_offsets\":[0,4]}}", bad[i]);
        refused(json, 4, "whole number");
        snprintf(json, sizeof(json),
                 "{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,%s]}}", bad[i]);
        refused(json, 4, "whole number");
    }
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0]}}", 4, "two numbers");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[]}}", 4, "two numbers");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4,4]}}", 4, "two numbers");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[4,0]}}", 4, "not inside");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
            "make 16 bytes, data_offsets 4");
    /* products that wrap to the right size */
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
            0, "64 bits");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
            "64 bits");
    refused("{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[18446744073709551612,"
            "18446744073709551615]}}",
            4, "not inside");
}

static void test_tiling(void **state)
{
    (void)state;
    accepted("{" A "," B "}", 32, 2);
    refused("{" A "," B "}", 33, "longer than its header says");
    refused("{" A "," B "}", 31, "not inside");
    refused("{" B "}", 32, "comes after a hole at byte 0");
    refused("{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[20,28]}}", 28,
            "tensor b overlaps another at byte 20");
    refused("{" A ",\"b\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[26,34]}}", 34,
            "tensor b comes after a hole at byte 24");
    refused("{}", 1, "longer than its header says");
}

static void test_metadata(void **state)
{
    (void)state;
    refused("{\"__metadata__\":5}", 0, "object of strings");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "object of strings");
    refused("{\"__metadata__\":{\"a\":{}}}", 0, "object of strings");
    refused("{\"__metadata__\":{\"a\":null}}", 0, "object of strings");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice");
    refused("{\"__metadata__\":{\"k\":\"1\",\"j\":\"\",\"\\u006b\":\"2\"}}", 0, "\"k\" twice");
    refused("{\"__metadata__\":[]}", 0, "object of strings");
}

static void test_name_bound(void **state)
{
    (void)state;
    for (size_t n = IFD_ST_NAME_BYTES_MAX - 1; n <= IFD_ST_NAME_BYTES_MAX + 1; n++) {
        char name[IFD_ST_NAME_BYTES_MAX + 2], json[IFD_ST_NAME_BYTES_MAX + 100];
        memset(name, 'n', n);
        name[n] = '\0';
        snprintf(json, sizeof(json),
                 "{\"%s\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}", name);
        if (n <= IFD_ST_NAME_BYTES_MAX)
            accepted(json, 0, 1);
        else
            refused(json, 0, "longer than 512 bytes");
    }
}

/* No prefix of a good header is a good header, whatever the data after it. */
static void test_truncation(void **state)
{
    (void)state;
    static const char json[] = "{\"__metadata__\":{\"format\":\"pt\"}," A "," B "}";
    for (size_t n = 0; n < sizeof(json) - 1; n++) {
        struct ifd_st_header h = {0};
        inferd_error err;
        assert_int_equal(ifd_st_header_parse(json, n, 32, &h, &err), INFERD_MODEL_INVALID);
    }
}

static void test_header_bytes(void **state)
{
    (void)state;
    unsigned char prefix[8] = {2};
    size_t n = 0;
    inferd_error err;
    assert_ok(ifd_st_header_bytes(prefix, 10, &n, &err), err);
    assert_int_equal(n, 2);
    assert_fails(ifd_st_header_bytes(prefix, 9, &n, &err), INFERD_MODEL_INVALID, err, "too few");
    assert_fails(ifd_st_header_bytes(prefix, 0, &n, &err), INFERD_MODEL_INVALID, err, "too few");
    prefix[0] = 3;
    assert_fails(ifd_st_header_bytes(prefix, 10, &n, &err), INFERD_MODEL_INVALID, err,
                 "past the end");
    /* 100,000,000 - 1, itself, + 1 */
    const uint64_t file = (uint64_t)1 << 40;
    for (uint32_t v = IFD_ST_HEADER_BYTES_MAX - 1; v <= IFD_ST_HEADER_BYTES_MAX + 1; v++) {
        for (unsigned i = 0; i < 8; i++)
            prefix[i] = i < 4 ? (unsigned char)(v >> 8 * i) : 0;
        if (v <= IFD_ST_HEADER_BYTES_MAX)
            assert_ok(ifd_st_header_bytes(prefix, file, &n, &err), err);
        else
            assert_fails(ifd_st_header_bytes(prefix, file, &n, &err), INFERD_MODEL_INVALID, err,
                         "allowed");
    }
    memset(prefix, 0xFF, sizeof(prefix));
    assert_fails(ifd_st_header_bytes(prefix, UINT64_MAX, &n, &err), INFERD_MODEL_INVALID, err,
                 "allowed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),    cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_frame),      cmocka_unit_test(test_entries),
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_tiling),
        cmocka_unit_test(test_metadata),   cmocka_unit_test(test_name_bound),
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_header_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
