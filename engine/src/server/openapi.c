/* SPDX-License-Identifier: Apache-2.0 */
#include "server/openapi.h"

#include <string.h>

#include "base/jsonout.h"
#include "server/io.h"
#include "server/route.h"

const struct ifd_operation *ifd_operation_of(const char *path)
{
    for (size_t i = 0; i < ifd_operation_count; i++)
        if (strcmp(ifd_operations[i].path, path) == 0)
            return &ifd_operations[i];
    return NULL;
}

static void add_reference(struct ifd_buf *body, const char *media_type, const char *schema)
{
    ifd_buf_printf(body, "\"%s\":{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}", media_type,
                   schema);
}

/* The parts of a path, each with the one value that it may have. */
static void add_parameters(struct ifd_buf *body, const char *path, const char *model)
{
    static const char *const names[] = {"model", "version"};
    const char *values[] = {model, "1"};
    bool first = true;
    ifd_buf_add_str(body, ",\"parameters\":[");
    for (unsigned i = 0; i < 2; i++) {
        const char *at = strchr(path, '{');
        for (; at && strncmp(at + 1, names[i], strlen(names[i])) != 0; at = strchr(at + 1, '{'))
            ;
        if (!at)
            continue;
        ifd_buf_printf(
            body, "%s{\"name\":\"%s\",\"in\":\"path\",\"required\":true,\"schema\":{\"enum\":[",
            first ? "" : ",", names[i]);
        ifd_jsonout_cstr(body, values[i]);
        ifd_buf_add_str(body, "]}}");
        first = false;
    }
    ifd_buf_add_char(body, ']');
}

static bool is_text(const struct ifd_route *route)
{
    return route->media_type != NULL; /* of a page: what is no JSON */
}

static void add_answers(struct ifd_buf *body, const struct ifd_route *route,
                        const struct ifd_operation *op)
{
    const char *type = is_text(route) ? "text/plain" : "application/json";
    ifd_buf_add_str(body, ",\"responses\":{\"200\":{\"description\":\"As asked\",\"content\":{");
    add_reference(body, type, op->answer);
    if (route->codec && route->codec->takes_binary)
        ifd_buf_add_str(body, ",\"application/octet-stream\":{}");
    if (route->file)
        ifd_buf_add_str(body, ",\"text/html\":{}");
    ifd_buf_add_str(body, "}}");
    if (route->page) { /* not ready yet: the same shape */
        ifd_buf_add_str(body, ",\"503\":{\"description\":\"Not ready\",\"content\":{");
        add_reference(body, type, op->answer);
        ifd_buf_add_str(body, "}}");
    }
    static const char *const ranges[] = {"4XX", "5XX"};
    for (unsigned i = 0; i < 2; i++) {
        ifd_buf_printf(body,
                       ",\"%s\":{\"description\":\"See docs/server.md, status codes\","
                       "\"content\":{",
                       ranges[i]);
        add_reference(body, "application/json", op->error);
        ifd_buf_add_str(body, "}}");
    }
    ifd_buf_add_char(body, '}');
}

static void add_operation(struct ifd_buf *body, const struct ifd_route *route,
                          const struct ifd_operation *op, const char *model)
{
    const bool posts = strcmp(route->allow, "POST") == 0;
    ifd_jsonout_cstr(body, route->path);
    ifd_buf_printf(body, ":{\"%s\":{\"tags\":[\"%s\"],\"summary\":", posts ? "post" : "get",
                   op->tag);
    ifd_jsonout_cstr(body, op->summary);
    if (strchr(route->path, '{'))
        add_parameters(body, route->path, model);
    if (route->open)
        ifd_buf_add_str(body, ",\"security\":[]");
    else if (route->needs_key)
        ifd_buf_add_str(body, ",\"security\":[{\"adminKey\":[]}]");
    if (op->body) {
        ifd_buf_add_str(body, ",\"requestBody\":{\"required\":true,\"content\":{");
        add_reference(body, "application/json", op->body);
        ifd_buf_add_str(body, "}}");
    }
    add_answers(body, route, op);
    ifd_buf_add_str(body, "}}");
}

int ifd_openapi_page(struct ifd_io *io, struct ifd_buf *body)
{
    const struct ifd_server *s = io->server;
    size_t count = 0;
    const struct ifd_route *routes = ifd_routes(&count);
    bool first = true;
    ifd_buf_printf(
        body,
        "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"inferd\",\"version\":\"%s\",\"summary\":"
        "\"Text classification with BERT-family models\",\"license\":{\"name\":\"Apache-2.0\","
        "\"identifier\":\"Apache-2.0\"}},\"paths\":{",
        INFERD_VERSION);
    for (size_t i = 0; i < count; i++) {
        const struct ifd_operation *op = ifd_operation_of(routes[i].path);
        if (!op || !ifd_route_is_there(s, &routes[i]))
            continue;
        if (!first)
            ifd_buf_add_char(body, ',');
        first = false;
        add_operation(body, &routes[i], op, ifd_server_model_name(s));
    }
    ifd_buf_add_str(body, "},\"components\":{\"securitySchemes\":{");
    ifd_buf_add_str(body, "\"apiKey\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                          "\"adminKey\":{\"type\":\"http\",\"scheme\":\"bearer\"}},\"schemas\":{");
    for (size_t i = 0; i < ifd_openapi_schema_count; i++)
        ifd_buf_printf(body, "%s\"%s\":%s", i ? "," : "", ifd_openapi_schemas[i].name,
                       ifd_openapi_schemas[i].json);
    ifd_buf_printf(body, "}},\"security\":[%s{\"apiKey\":[]}]}\n",
                   s->config.api_key_file ? "" : "{},");
    return 200;
}
