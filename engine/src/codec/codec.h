/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.h - a wire protocol: request bytes in, texts out; results in, answer bytes out.
 *
 * A codec is one file and one constant table; a route names it. It knows no HTTP, no model and no
 * thread. Decoding is incremental: body bytes are fed as they come and are not kept.
 */
#ifndef IFD_CODEC_CODEC_H
#define IFD_CODEC_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/truncation.h"
#include "codec/ranking.h"
#include "codec/texts.h"

#define IFD_CODEC_KEY_MAX 64u
/* A request that does not say what is done with a text that is too long. */
#define IFD_TRUNCATION_UNSAID UINT8_MAX

struct ifd_codec;

/* What a request asks for beside its texts. */
struct ifd_codec_options {
    uint32_t timeout_ms; /* what it allows for its answer; 0 = it does not say */
    uint32_t top_k;      /* labels told per text, the best first; 0 = all of them */
    uint8_t truncation;  /* enum ifd_truncation, or IFD_TRUNCATION_UNSAID */
    bool raw_scores;     /* logits */
    bool details;
};

/* A request being decoded. */
struct ifd_decode {
    struct ifd_texts texts; /* the result */
    struct ifd_codec_options options;
    uint32_t max_inputs;
    /* private to the codec in use */
    const struct ifd_codec *codec;
    struct ifd_json json;
    uint8_t state;
    bool in_text;         /* some pieces of a string have come */
    inferd_error refusal; /* what is wrong with a body that is JSON so far */
    uint32_t seen;        /* bit per key */
    uint32_t key_size;    /* bytes of the key or number so far, kept or not */
    char key[IFD_CODEC_KEY_MAX];
};

/* Where the time of a request went, up to the answer. */
struct ifd_codec_times {
    uint64_t parse_ns, tokenize_ns, queue_ns, infer_ns;
};

/* What is answered. */
struct ifd_answer {
    const char *(*label)(const void *model, uint32_t label); /* its name */
    /* logits [labels] -> scores [labels] */
    void (*scores)(const void *model, const float *logits, float *scores);
    const void *model;
    const struct ifd_decode *request;
    const inferd_result *results; /* [count], in the order of the texts */
    const float *logits;          /* [count][labels]; NULL unless ifd_codec_wants_logits */
    const uint32_t *windows;      /* [count + 1]: text i was computed in windows[i + 1] - windows[i]
                                   * parts; NULL: each in one */
    uint32_t count, labels;
    struct ifd_ranking *ranking; /* with logits: scratch for `labels` */
    struct ifd_codec_times times;
};

struct ifd_codec {
    const char *name;
    const char *media_type; /* of request and answer */
    bool needs_logits;      /* whatever the request says */
    void (*begin)(struct ifd_decode *d);
    inferd_status (*feed)(struct ifd_decode *d, const char *bytes, size_t n, inferd_error *err);
    inferd_status (*finish)(struct ifd_decode *d, inferd_error *err);
    /* Appends; failure shows in out->failed. */
    void (*encode)(const struct ifd_answer *answer, struct ifd_buf *out);
};

void ifd_decode_init(struct ifd_decode *d, size_t bytes_max, uint32_t max_inputs);
void ifd_decode_fini(struct ifd_decode *d);
/* Does the answer to what was decoded take more than label and confidence? */
static inline bool ifd_codec_wants_logits(const struct ifd_codec *c, const struct ifd_decode *d)
{
    return c->needs_logits || d->options.top_k != 1 || d->options.raw_scores;
}
/* Start a request; the texts of the last one are gone. */
void ifd_decode_begin(struct ifd_decode *d, const struct ifd_codec *codec);
/* INFERD_INVALID_JSON, _INVALID_UTF8, _INVALID_REQUEST or _TOO_MANY_INPUTS. After a failure: begin.
 */
IFD_MUST_CHECK inferd_status ifd_decode_feed(struct ifd_decode *d, const char *bytes, size_t n,
                                             inferd_error *err);
IFD_MUST_CHECK inferd_status ifd_decode_finish(struct ifd_decode *d, inferd_error *err);

#define IFD_CODEC_TOP_K_MAX 1000000u
/* A whole number up to `most` (at most 99999999) in decimal digits. False if it is anything else.
 */
IFD_MUST_CHECK bool ifd_codec_number(const char *digits, size_t n, uint32_t most, uint32_t *out);
/* A time that a request allows: 1..86400000 ms in decimal digits. False if it is anything else. */
IFD_MUST_CHECK bool ifd_codec_timeout(const char *digits, size_t n, uint32_t *ms);

/* Our own protocol: {"inputs": "text"}, {"inputs": ["text", ...]} or {"text": "text"}, with
 * "parameters" if wanted; answers [{"label": "POSITIVE", "confidence": 0.999123}, ...], with more
 * in each item where the parameters ask for it. */
extern const struct ifd_codec ifd_codec_native;

#endif
