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
#define IFD_CODEC_NAME_MAX 128u /* of a model, and of a request in the Open Inference Protocol */
#define IFD_FIELDS_DEPTH_MAX 7u
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

/* An open object or list; see fields.h. */
struct ifd_fields_level {
    uint64_t path, seen;
    uint8_t element; /* of the value that comes */
};

/* A request of the Open Inference Protocol; see codec_oip.c. */
struct ifd_tensor_request {
    char id[IFD_CODEC_NAME_MAX + 1]; /* "" if it has none */
    uint64_t shape[2], binary_bytes;
    uint8_t rank;
    bool has_input, has_name, is_bytes, has_data, has_binary;
    uint8_t outputs, binary; /* a bit for each output: asked for, wanted in binary form */
    uint8_t output;          /* bit of the one that is being read */
    uint8_t output_form;     /* 0: it does not say, 1: JSON, 2: binary */
    bool binary_outputs;     /* the form of those that do not say */
    uint8_t length_bytes;    /* of the length of the binary text that is being read */
    uint32_t length;
    bool in_binary;
};

/* A request being decoded. */
struct ifd_decode {
    struct ifd_texts texts; /* the result */
    struct ifd_codec_options options;
    uint32_t max_inputs;
    char model[IFD_CODEC_NAME_MAX + 1]; /* that the body asks for; "" if it does not say */
    struct ifd_tensor_request tensor;
    /* private to the codec in use */
    const struct ifd_codec *codec;
    struct ifd_json json;
    uint8_t state;
    bool in_text;         /* some pieces of a string have come */
    inferd_error refusal; /* what is wrong with a body that is JSON so far */
    uint32_t seen;        /* bit per key */
    uint32_t key_size;    /* bytes of the key or number so far, kept or not */
    char key[IFD_CODEC_KEY_MAX];
    uint64_t json_left; /* bytes of the body up to its binary part */
    struct ifd_fields_level levels[IFD_FIELDS_DEPTH_MAX];
    uint32_t depth, skipping;
    bool key_is_done, refused;
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
    const char *model_name; /* that clients call it by */
    const char *request_id; /* safe in JSON as it stands */
    uint64_t unix_s;        /* the time */
    struct ifd_answer_head
        *head; /* where the codec says what else the answer's head has, or NULL */
};

/* HTTP's part of an answer, where the body is not all of it. */
struct ifd_answer_head {
    const char *media_type; /* another than the codec's; NULL: that */
    char *headers;          /* lines with CRLF; NUL-terminated */
    size_t capacity;
};

/* An error in a protocol's shape. `http` is the status that is answered; `request_id` may be NULL.
 */
typedef void ifd_error_encoder(const inferd_error *error, int http, const char *request_id,
                               struct ifd_buf *out);

struct ifd_codec {
    const char *name;
    const char *media_type; /* of request and answer */
    bool needs_logits;      /* whatever the request says */
    void (*begin)(struct ifd_decode *d);
    inferd_status (*feed)(struct ifd_decode *d, const char *bytes, size_t n, inferd_error *err);
    inferd_status (*finish)(struct ifd_decode *d, inferd_error *err);
    /* Appends; failure shows in out->failed. */
    void (*encode)(const struct ifd_answer *answer, struct ifd_buf *out);
    ifd_error_encoder *error; /* NULL: our own shape */

    /* of codecs written with fields.h */
    const char *const *keys; /* NULL-terminated, at most 64 */
    bool ignores_unknown_keys;
    inferd_status (*value)(struct ifd_decode *d, uint64_t path, enum ifd_json_event event,
                           const char *s, size_t n, bool last, inferd_error *err);
    inferd_status (*complete)(struct ifd_decode *d, inferd_error *err);
    /* The body may end in bytes that are not JSON, and come without a media type. */
    bool takes_binary;
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
/* Of a codec that takes_binary, before the first feed: where the body's JSON ends. */
void ifd_decode_json_size(struct ifd_decode *d, uint64_t bytes);
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
/* Open Inference Protocol v2 with the binary tensor extension (KServe, Triton). */
extern const struct ifd_codec ifd_codec_oip;
/* Text Embeddings Inference's POST /predict. */
extern const struct ifd_codec ifd_codec_tei;
/* vLLM's and SGLang's POST /classify. */
extern const struct ifd_codec ifd_codec_vllm;
/* KServe's v1 predict. */
extern const struct ifd_codec ifd_codec_kserve;
/* POST /tokenize, as Text Embeddings Inference has it: decodes only, encode is NULL. */
extern const struct ifd_codec ifd_codec_tokenize;

/* Append lines to the answer's head; nothing without one, or where there is no room. */
void ifd_answer_header(const struct ifd_answer *a, const char *fmt, ...) IFD_PRINTF(2, 3);
/* {"error": "message"}, as KServe and the Open Inference Protocol have it. */
ifd_error_encoder ifd_error_plain;

#endif
