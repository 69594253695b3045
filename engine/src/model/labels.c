/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"
#include "model/excerpt.h"

void ifd_labels_free(char **label, uint32_t count)
{
    for (uint32_t i = 0; label && i < count; i++)
        ifd_free(label[i]);
    ifd_free(label);
}

static inferd_status no_memory(inferd_error *err)
{
    return ifd_fail(err, INFERD_NO_MEMORY, "out of memory for the label names");
}

/* "0", "1", "17": the way Python writes an int, and nothing else. */
static bool parse_index(const struct ifd_json_node *node, uint32_t count, uint32_t *out)
{
    uint32_t value = 0;
    if (node->key_size < 1 || node->key_size > 6 || (node->key[0] == '0' && node->key_size > 1))
        return false;
    for (size_t i = 0; i < node->key_size; i++) {
        if (node->key[i] < '0' || node->key[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(node->key[i] - '0');
    }
    *out = value;
    return value < count;
}

static inferd_status fill_from_map(const struct ifd_json_node *map, char **label, uint32_t count,
                                   inferd_error *err)
{
    /* Keys are unique (jsondoc.h) and each is in 0..count-1, so `count` of them leave no gap. */
    for (const struct ifd_json_node *n = map->first; n; n = n->next) {
        uint32_t index;
        if (!parse_index(n, count, &index))
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "id2label has the key \"%s\"; its %u keys must be \"0\" to \"%u\"",
                            ifd_excerpt(n->key).s, count, count - 1);
        if (n->type != IFD_JSON_T_STRING || n->size == 0 || n->size > IFD_CONFIG_LABEL_BYTES_MAX ||
            memchr(n->text, 0, n->size))
            return ifd_fail(err, INFERD_MODEL_INVALID,
                            "id2label \"%s\" must be a string of 1 to %u bytes without NUL", n->key,
                            IFD_CONFIG_LABEL_BYTES_MAX);
        IFD_ASSERT(!label[index]);
        label[index] = ifd_strndup(n->text, n->size);
        if (!label[index])
            return no_memory(err);
    }
    return INFERD_OK;
}

static inferd_status fill_default(char **label, uint32_t count, inferd_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "LABEL_%u", i);
        label[i] = ifd_strndup(name, (size_t)n);
        if (!label[i])
            return no_memory(err);
    }
    return INFERD_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An answer's scores are an object with the labels as keys, so two may not be the same. */
static inferd_status check_unique(char *const *label, uint32_t count, inferd_error *err)
{
    char **sorted = ifd_alloc_array(count, sizeof(*sorted));
    inferd_status st = INFERD_OK;
    if (!sorted)
        return no_memory(err);
    memcpy(sorted, label, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_names);
    for (uint32_t i = 1; i < count && !st; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            st = ifd_fail(err, INFERD_MODEL_INVALID,
                          "id2label names two labels \"%s\"; give each its own name",
                          ifd_excerpt(sorted[i]).s);
    ifd_free(sorted);
    return st;
}

inferd_status ifd_labels_read(const struct ifd_json_node *root, char ***out, uint32_t *count,
                              inferd_error *err)
{
    const struct ifd_json_node *map = ifd_json_get(root, "id2label");
    const struct ifd_json_node *number = ifd_json_get(root, "num_labels");
    uint64_t n = 2; /* transformers does not save id2label for the default of two labels */
    if (map && map->type == IFD_JSON_T_NULL)
        map = NULL;
    if (number && number->type == IFD_JSON_T_NULL)
        number = NULL;
    if (map && map->type != IFD_JSON_T_OBJECT)
        return ifd_fail(err, INFERD_MODEL_INVALID, "id2label must be an object of names by index");
    if (number && !ifd_json_u64(number, &n))
        return ifd_fail(err, INFERD_MODEL_INVALID, "num_labels must be a whole number");
    if (map && number && n != map->size)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "num_labels is %llu but id2label names %zu; make them agree",
                        (unsigned long long)n, map->size);
    if (map)
        n = map->size;
    if (n < 1 || n > IFD_CONFIG_LABELS_MAX)
        return ifd_fail(err, INFERD_MODEL_INVALID, "the number of labels must be from 1 to %u",
                        IFD_CONFIG_LABELS_MAX);
    uint32_t labels = (uint32_t)n;
    char **label = ifd_zalloc_array(labels, sizeof(*label));
    if (!label)
        return no_memory(err);
    inferd_status st =
        map ? fill_from_map(map, label, labels, err) : fill_default(label, labels, err);
    if (!st)
        st = check_unique(label, labels, err);
    if (st) {
        ifd_labels_free(label, labels);
        return st;
    }
    *out = label;
    *count = labels;
    return INFERD_OK;
}
