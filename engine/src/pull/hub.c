/* SPDX-License-Identifier: Apache-2.0 */
#include "pull/hub.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/shard_index.h"

#define TREE_BYTES_MAX ((size_t)64 << 20)
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

static bool is_hex(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    return true;
}

static bool is_digest(const char *s, size_t n)
{
    return (n == 40 || n == 64) && is_hex(s, n);
}

bool ifd_hub_digest_of_etag(const char *etag, char out[65])
{
    if (strncmp(etag, "W/", 2) == 0)
        etag += 2;
    size_t n = strlen(etag);
    if (n >= 2 && etag[0] == '"' && etag[n - 1] == '"') {
        etag++;
        n -= 2;
    }
    if (!is_digest(etag, n))
        return false;
    memcpy(out, etag, n);
    out[n] = '\0';
    return true;
}

static const struct ifd_json_node *find(const struct ifd_hub_plan *plan, const char *name)
{
    const struct ifd_json_node *list = ifd_json_get(ifd_jsondoc_root(plan->doc), "siblings");
    if (!list || list->type != IFD_JSON_T_ARRAY)
        return NULL;
    for (const struct ifd_json_node *n = list->first; n; n = n->next)
        if (ifd_json_is_str(ifd_json_get(n, "rfilename"), name))
            return n;
    return NULL;
}

static void take_digest(const struct ifd_json_node *node, char out[65])
{
    if (node && node->type == IFD_JSON_T_STRING && is_digest(node->text, node->size)) {
        memcpy(out, node->text, node->size);
        out[node->size] = '\0';
    }
}

static inferd_status add(struct ifd_hub_plan *plan, const char *name, inferd_error *err)
{
    const struct ifd_json_node *node = find(plan, name);
    const struct ifd_json_node *lfs = ifd_json_get(node, "lfs");
    if (!node)
        return ifd_fail(err, INFERD_MODEL_INVALID, "the repository lists no %s", name);
    if (plan->count == IFD_HUB_FILES_MAX || strlen(name) >= IFD_HUB_NAME_SIZE)
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED, "the repository has more than %u files",
                        IFD_HUB_FILES_MAX);
    struct ifd_hub_file *f = &plan->file[plan->count++];
    *f = (struct ifd_hub_file){0};
    snprintf(f->name, sizeof(f->name), "%s", name);
    f->has_bytes = ifd_json_u64(ifd_json_get(node, "size"), &f->bytes);
    if (lfs && lfs->type == IFD_JSON_T_OBJECT) {
        f->has_bytes = ifd_json_u64(ifd_json_get(lfs, "size"), &f->bytes) || f->has_bytes;
        take_digest(ifd_json_get(lfs, "sha256"), f->digest);
        if (!f->digest[0])
            take_digest(ifd_json_get(lfs, "oid"), f->digest);
    } else {
        take_digest(ifd_json_get(node, "blobId"), f->digest);
    }
    return INFERD_OK;
}

/* What there is in place of safetensors, for the message. */
static const char *other_weights(const struct ifd_hub_plan *plan)
{
    static const char *const names[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                        "tf_model.h5",       "flax_model.msgpack",
                                        "model.onnx",        "onnx/model.onnx"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (find(plan, names[i]))
            return names[i];
    return NULL;
}

/* The choices that model/checkpoint.c and server/manifest.c make. */
static inferd_status choose(const char *id, struct ifd_hub_plan *plan, inferd_error *err)
{
    if (!find(plan, "config.json"))
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "%s has no config.json: it is no transformers model", id);
    inferd_status s = add(plan, "config.json", err);
    if (!s && find(plan, "tokenizer.json")) {
        s = add(plan, "tokenizer.json", err);
    } else if (!s) {
        if (!find(plan, "vocab.txt"))
            return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                            "%s has neither tokenizer.json nor vocab.txt", id);
        s = add(plan, "vocab.txt", err);
        if (!s && find(plan, "tokenizer_config.json"))
            s = add(plan, "tokenizer_config.json", err);
    }
    if (s)
        return s;
    plan->sharded = !find(plan, SINGLE);
    if (plan->sharded && !find(plan, INDEX)) {
        const char *has = other_weights(plan);
        return ifd_fail(err, INFERD_MODEL_UNSUPPORTED,
                        "%s has no model.safetensors%s%s%s: ask its owner to add one, or load and "
                        "save it again with transformers",
                        id, has ? " (only " : "", has ? has : "", has ? ")" : "");
    }
    return add(plan, plan->sharded ? INDEX : SINGLE, err);
}

inferd_status ifd_hub_plan_make(const char *id, const char *json, size_t size,
                                struct ifd_hub_plan *out, inferd_error *err)
{
    struct ifd_hub_plan plan = {0};
    inferd_status s = ifd_jsondoc_parse(json, size, TREE_BYTES_MAX, &plan.doc, err);
    if (s) {
        ifd_fail_prefix(err, "the hub's answer about %s", id);
        return s;
    }
    const struct ifd_json_node *sha = ifd_json_get(ifd_jsondoc_root(plan.doc), "sha");
    plan.file = ifd_zalloc_array(IFD_HUB_FILES_MAX, sizeof(*plan.file));
    if (!plan.file)
        s = ifd_fail(err, INFERD_NO_MEMORY, "no memory for the list of files");
    else if (!sha || sha->type != IFD_JSON_T_STRING || !is_digest(sha->text, sha->size))
        s = ifd_fail(err, INFERD_INVALID_JSON,
                     "the hub's answer about %s names no commit; is this a model hub?", id);
    else
        take_digest(sha, plan.commit);
    if (!s)
        s = choose(id, &plan, err);
    if (s)
        ifd_hub_plan_fini(&plan);
    else
        *out = plan;
    return s;
}

inferd_status ifd_hub_plan_add_shards(struct ifd_hub_plan *plan, const char *index, size_t size,
                                      inferd_error *err)
{
    struct ifd_shard_index x = {0};
    inferd_status s = ifd_shard_index_parse(index, size, &x, err);
    if (s)
        ifd_fail_prefix(err, INDEX);
    for (size_t i = 0; i < x.files && !s; i++)
        s = add(plan, x.file[i], err);
    ifd_shard_index_free(&x);
    return s;
}

void ifd_hub_plan_fini(struct ifd_hub_plan *plan)
{
    ifd_free(plan->file);
    ifd_jsondoc_free(plan->doc);
    *plan = (struct ifd_hub_plan){0};
}
