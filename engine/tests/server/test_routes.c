/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes: every one is described for /openapi.json with schemas that exist, no path is
 * hidden by another, and what a pattern takes.
 */
#include "test.h"

#include "base/jsondoc.h"
#include "server/openapi.h"
#include "server/route.h"

static bool has_schema(const char *name)
{
    for (size_t i = 0; i < ifd_openapi_schema_count; i++)
        if (strcmp(ifd_openapi_schemas[i].name, name) == 0)
            return true;
    return false;
}

/* Is it a route that a program uses? The page's own files are not. */
static bool is_described(const struct ifd_route *r)
{
    return !r->file || r->page;
}

static void every_route_is_described(void **state)
{
    (void)state;
    size_t count = 0, described = 0;
    const struct ifd_route *routes = ifd_routes(&count);
    for (size_t i = 0; i < count; i++) {
        const struct ifd_operation *op = ifd_operation_of(routes[i].path);
        if (!is_described(&routes[i]))
            continue;
        described++;
        if (!op)
            fail_msg("%s has no row in openapi_operations.c", routes[i].path);
        assert_true(strlen(op->summary) > 3);
        assert_true(has_schema(op->answer) && has_schema(op->error));
        assert_true(!op->body || has_schema(op->body));
        if (routes[i].codec)
            assert_non_null(op->body);
    }
    assert_int_equal(described, ifd_operation_count); /* no row that is no route */
    assert_false(has_schema("Nothing"));              /* the control */
    assert_null(ifd_operation_of("/nope"));
}

static void schemas_are_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < ifd_openapi_schema_count; i++) {
        struct ifd_jsondoc *doc = NULL;
        inferd_error err;
        const char *json = ifd_openapi_schemas[i].json;
        assert_ok(ifd_jsondoc_parse(json, strlen(json), 1 << 20, &doc, &err), err);
        ifd_jsondoc_free(doc);
    }
}

static void no_route_hides_another(void **state)
{
    (void)state;
    size_t count = 0;
    const struct ifd_route *routes = ifd_routes(&count);
    struct ifd_route_part model, version;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (ifd_route_matches(routes[k].path, routes[i].path, strlen(routes[i].path), &model,
                                  &version))
                fail_msg("%s is hidden by %s", routes[i].path, routes[k].path);
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool matches;
        const char *model, *version;
    } rows[] = {
        {"/a", "/a", true, "", ""},
        {"/a", "/ab", false, "", ""},
        {"/a", "/", false, "", ""},
        {"/m/{model}", "/m/x", true, "x", ""},
        {"/m/{model}", "/m/", false, "", ""},
        {"/m/{model}", "/m/x/", false, "", ""},
        {"/m/{model}:go", "/m/x:go", true, "x", ""},
        {"/m/{model}:go", "/m/x", false, "", ""},
        {"/m/{model}:go", "/m/x:gone", false, "", ""},
        {"/m/{model}/v/{version}/i", "/m/abc/v/12/i", true, "abc", "12"},
        {"/m/{model}/v/{version}/i", "/m/abc/v/12", false, "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ifd_route_part model, version;
        const bool got = ifd_route_matches(rows[i].pattern, rows[i].path, strlen(rows[i].path),
                                           &model, &version);
        assert_int_equal(got, rows[i].matches);
        if (!got)
            continue;
        assert_int_equal(model.size, strlen(rows[i].model));
        assert_memory_equal(model.at ? model.at : "", rows[i].model, model.size);
        assert_int_equal(version.size, strlen(rows[i].version));
        assert_memory_equal(version.at ? version.at : "", rows[i].version, version.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(schemas_are_json),
        cmocka_unit_test(no_route_hides_another),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
