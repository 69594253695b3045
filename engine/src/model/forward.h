/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.h - the forward pass over a ragged batch: texts laid end to end, never padded.
 *
 * Every row-wise step (projections, layer norm, GELU) runs over all tokens of the batch at once;
 * attention runs per text. In the last layer only the first token of each text is computed beyond
 * keys and values, as the classifier reads nothing else.
 * A text's logits are bitwise the same in every batch and with every team size.
 */
#ifndef IFD_MODEL_FORWARD_H
#define IFD_MODEL_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/team.h"
#include "model/weights.h"

/* Token ids of `texts` texts: text i is ids[offsets[i]] .. ids[offsets[i + 1] - 1]; offsets[0] is
 * 0. Each text has 1 <= tokens <= positions; every id is in [0, vocab). */
struct ifd_ragged {
    size_t texts;
    const int32_t *ids;
    const uint32_t *offsets; /* [texts + 1] */
    /* [texts]: text i's tokens from the second[i]th on are of type 1, the others of type 0; its
     * length where all are 0. NULL: all are. Only of a model with ifd_weights_take_pairs. */
    const uint32_t *second;
};

/* Scratch for one batch at a time. Belongs to one thread at a time. */
struct ifd_scratch;
/* Room for `tokens_max` tokens in at most `texts_max` texts. The weights must outlive it; the team
 * (NULL = the calling thread alone) is borrowed. */
IFD_MUST_CHECK inferd_status ifd_scratch_create(const struct ifd_weights *w, size_t tokens_max,
                                                size_t texts_max, struct ifd_team *team,
                                                struct ifd_scratch **out, inferd_error *err);
void ifd_scratch_free(struct ifd_scratch *s);
size_t ifd_scratch_bytes(const struct ifd_scratch *s);

/* logits: [texts][labels] row-major. Cannot fail for a batch within the scratch's bounds
 * (asserted). No allocation. */
void ifd_forward(struct ifd_scratch *s, const struct ifd_ragged *batch, float *logits);

/* From the next ifd_forward on, call `pause` between the steps of a chunk of texts (several times a
 * layer, on the thread that runs the forward pass, with nothing held), so that something urgent can
 * be done on another scratch. NULL: none. Not called with a team of more than one. */
typedef void ifd_pause_fn(void *arg);
void ifd_scratch_set_pause(struct ifd_scratch *s, ifd_pause_fn *pause, void *arg);

/* Test hook: compute every token of the last layer as well, to show that the result is the same. */
void ifd_scratch_set_full_last_layer(struct ifd_scratch *s, bool full);

#endif
