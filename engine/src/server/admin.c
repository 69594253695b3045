/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin.h"

#include <math.h>
#include <string.h>

#include "base/jsondoc.h"
#include "server/models.h"
#include "server/route.h"

#define DOCUMENT_BYTES_MAX ((size_t)256 << 10)

/* --- bodies --- */

void ifd_admin_body(struct ifd_request *r)
{
    struct ifd_buf *b = &r->admin_body;
    if (r->http.body_size > IFD_ADMIN_BODY_BYTES_MAX - b->size) {
        (void)ifd_fail(&r->error, INFERD_BODY_TOO_LARGE,
                       "the body of an admin route has at most %u bytes", IFD_ADMIN_BODY_BYTES_MAX);
        return;
    }
    ifd_buf_add(b, r->http.body, r->http.body_size);
    if (b->failed)
        (void)ifd_fail(&r->error, INFERD_NO_MEMORY, "no memory for the body");
}

/* The body's members: path and share where they are wanted, and nothing else. */
static inferd_status read_members(const struct ifd_json_node *root, const char **path,
                                  double *share, inferd_error *err)
{
    if (root->type != IFD_JSON_T_OBJECT)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "the body must be a JSON object");
    for (const struct ifd_json_node *m = root->first; m; m = m->next) {
        if (path && strcmp(m->key, "path") == 0) {
            if (m->type != IFD_JSON_T_STRING || m->size == 0 || strlen(m->text) != m->size)
                return ifd_fail(err, INFERD_INVALID_REQUEST,
                                "\"path\" must be a string, the name of a directory");
            *path = m->text;
        } else if (share && strcmp(m->key, "share") == 0) {
            if (m->type != IFD_JSON_T_NUMBER || !ifd_json_double(m, share) || *share < 0 ||
                *share > 1)
                return ifd_fail(err, INFERD_INVALID_REQUEST,
                                "\"share\" must be a number from 0 to 1");
        } else {
            return ifd_fail(err, INFERD_INVALID_REQUEST, "\"%.64s\" is not a key of this route",
                            m->key);
        }
    }
    if (path && !*path)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "\"path\" is missing");
    if (share && *share < 0)
        return ifd_fail(err, INFERD_INVALID_REQUEST, "\"share\" is missing");
    return INFERD_OK;
}

/* On success *doc owns the path; free it. */
static inferd_status parse(const struct ifd_request *r, struct ifd_jsondoc **doc, const char **path,
                           double *share, inferd_error *err)
{
    const struct ifd_buf *b = &r->admin_body;
    const bool empty = b->size == 0 && !path;
    inferd_status st = ifd_jsondoc_parse(empty ? "{}" : b->data, empty ? 2 : b->size,
                                         DOCUMENT_BYTES_MAX, doc, err);
    if (!st) {
        st = read_members(ifd_jsondoc_root(*doc), path, share, err);
        if (st) {
            ifd_jsondoc_free(*doc);
            *doc = NULL;
        }
    }
    return st;
}

/* --- handlers --- */

int ifd_admin_models_page(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_models_report(&io->server->models, body);
    return 200;
}

inferd_status ifd_admin_load(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    struct ifd_jsondoc *doc = NULL;
    const char *path = NULL;
    inferd_status st = parse(r, &doc, &path, NULL, err);
    if (!st)
        st = ifd_models_load(&io->server->models, path, r, err);
    ifd_jsondoc_free(doc);
    return st;
}

inferd_status ifd_admin_shadow(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    struct ifd_jsondoc *doc = NULL;
    const char *path = NULL;
    double share = -1;
    inferd_status st = parse(r, &doc, &path, &share, err);
    if (!st)
        st = ifd_models_shadow(&io->server->models, path, (uint32_t)lround(share * IFD_SHARE_ONE),
                               r, err);
    ifd_jsondoc_free(doc);
    return st;
}

/* The three that need no argument. */
static inferd_status swap(struct ifd_io *io, struct ifd_request *r,
                          inferd_status (*change)(struct ifd_models *, inferd_error *),
                          inferd_error *err)
{
    struct ifd_jsondoc *doc = NULL;
    inferd_status st = parse(r, &doc, NULL, NULL, err);
    ifd_jsondoc_free(doc);
    if (!st)
        st = change(&io->server->models, err);
    if (!st)
        ifd_models_take(io); /* the requests behind this one on the same thread see it */
    return st;
}

inferd_status ifd_admin_promote(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    return swap(io, r, ifd_models_promote, err);
}

inferd_status ifd_admin_rollback(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    return swap(io, r, ifd_models_rollback, err);
}

inferd_status ifd_admin_unload(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    return swap(io, r, ifd_models_unload, err);
}

inferd_status ifd_admin_request(struct ifd_io *io, struct ifd_request *r, inferd_error *err)
{
    inferd_status st = r->route->admin(io, r, err);
    if (!st && !r->submitted)
        ifd_models_report(&io->server->models, &io->body);
    return st;
}
