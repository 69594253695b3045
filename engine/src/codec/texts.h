/* SPDX-License-Identifier: Apache-2.0
 *
 * texts.h - the texts of one request, decoded, end to end in one bounded buffer that is reused from
 * request to request. What every request codec produces. One owner at a time.
 */
#ifndef IFD_CODEC_TEXTS_H
#define IFD_CODEC_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ifd_texts {
    uint32_t count;
    /* private */
    struct ifd_buf bytes;
    size_t *ends; /* [count]: text i is bytes[ends[i - 1]] .. bytes[ends[i] - 1] */
    size_t capacity;
};

void ifd_texts_init(struct ifd_texts *t, size_t bytes_max);
void ifd_texts_fini(struct ifd_texts *t);
void ifd_texts_reset(struct ifd_texts *t);
/* More bytes of the text that is being written (which begins where the last one ended). */
IFD_MUST_CHECK inferd_status ifd_texts_add(struct ifd_texts *t, const char *s, size_t n,
                                           inferd_error *err);
/* The text that is being written is complete; *size gets its bytes. */
IFD_MUST_CHECK inferd_status ifd_texts_end(struct ifd_texts *t, size_t *size, inferd_error *err);
inferd_text ifd_texts_get(const struct ifd_texts *t, uint32_t i);
/* Heap bytes held. */
size_t ifd_texts_memory(const struct ifd_texts *t);

#endif
