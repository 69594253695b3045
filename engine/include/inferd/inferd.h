/* SPDX-License-Identifier: Apache-2.0
 *
 * inferd.h - text classification with BERT-family models, in one C library.
 *
 *     inferd_model *model;
 *     inferd_session *session;
 *     inferd_error err;
 *     if (inferd_model_open("models/sst2-minilm-l6", NULL, &model, &err) ||
 *         inferd_session_open(model, NULL, &session, &err))
 *         exit((fprintf(stderr, "%s\n", err.message), 1));
 *     inferd_text text = {"I love this!", 12};
 *     inferd_result result;
 *     inferd_classify(session, &text, 1, &result, NULL, &err);
 *     printf("%s %.4f\n", inferd_model_label(model, result.label), result.confidence);
 *     inferd_session_close(session);
 *     inferd_model_release(model);
 *
 * Ownership: what an `open` gives, its `close` or `release` takes back; both accept NULL. Strings
 * returned by an accessor live as long as the model. Nothing here keeps a pointer that the caller
 * passed in. On failure out-parameters are untouched (but see inferd_classify).
 *
 * Threads: a model is immutable after inferd_model_open and may be used from any number of threads;
 * its reference count is atomic. A session belongs to one thread at a time; open one per thread.
 *
 * Errors: every function that can fail returns an inferd_status and fills the caller's inferd_error
 * (may be NULL) with a message that says what was wrong and what to do. Nothing here writes to
 * stderr, exits, or installs signal handlers.
 */
#ifndef INFERD_H
#define INFERD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define INFERD_API __attribute__((visibility("default")))
#else
#define INFERD_API
#endif

#define INFERD_VERSION "0.1.0"

/* The one table of errors: X(name, code, type, text, HTTP status, retryable).
 * `type` is the stable machine-readable string of error answers and metrics labels. Codes are
 * stable: new ones are only appended. */
#define INFERD_STATUS_MAP(X)                                                                       \
    X(OK, 0, "ok", "success", 200, 0)                                                              \
    X(INVALID_ARGUMENT, 1, "invalid_argument", "invalid argument", 400, 0)                         \
    X(NO_MEMORY, 2, "no_memory", "out of memory", 503, 1)                                          \
    X(INTERNAL, 3, "internal", "internal error", 500, 0)                                           \
    X(IO, 4, "io", "a file could not be read", 500, 0)                                             \
    X(MODEL_INVALID, 5, "model_invalid", "the model directory is damaged or inconsistent", 500, 0) \
    X(MODEL_UNSUPPORTED, 6, "model_unsupported", "the model needs what is not implemented", 500,   \
      0)                                                                                           \
    X(CPU_UNSUPPORTED, 7, "cpu_unsupported", "this CPU lacks the tier asked for", 500, 0)          \
    X(INVALID_UTF8, 8, "invalid_utf8", "text is not valid UTF-8", 400, 0)                          \
    X(INVALID_JSON, 9, "invalid_json", "malformed JSON", 400, 0)                                   \
    X(INVALID_REQUEST, 10, "invalid_request", "the request is not usable", 400, 0)                 \
    X(INVALID_HTTP, 11, "invalid_http", "malformed HTTP", 400, 0)                                  \
    X(NOT_FOUND, 12, "not_found", "no such route", 404, 0)                                         \
    X(METHOD_NOT_ALLOWED, 13, "method_not_allowed", "method not allowed on this route", 405, 0)    \
    X(REQUEST_TIMEOUT, 14, "request_timeout", "the request came in too slowly", 408, 1)            \
    X(LENGTH_REQUIRED, 15, "length_required", "a body needs a length", 411, 0)                     \
    X(BODY_TOO_LARGE, 16, "body_too_large", "the body is too large", 413, 0)                       \
    X(TOO_MANY_INPUTS, 17, "too_many_inputs", "too many inputs in one request", 413, 0)            \
    X(UNSUPPORTED_MEDIA_TYPE, 18, "unsupported_media_type", "unsupported content type", 415, 0)    \
    X(EXPECTATION_FAILED, 19, "expectation_failed", "unsupported Expect header", 417, 0)           \
    X(HEADERS_TOO_LARGE, 20, "headers_too_large", "the request head is too large", 431, 0)         \
    X(OVERLOADED, 21, "overloaded", "the queue is full", 429, 1)                                   \
    X(LOADING, 22, "loading", "the model is still loading", 503, 1)                                \
    X(DEADLINE, 23, "deadline_exceeded", "the deadline passed", 504, 1)                            \
    X(CANCELLED, 24, "cancelled", "the caller went away", 499, 0)                                  \
    X(NOT_IMPLEMENTED, 25, "not_implemented", "not implemented", 501, 0)                           \
    X(HTTP_VERSION, 26, "http_version_not_supported", "only HTTP/1.0 and 1.1 are spoken", 505, 0)  \
    X(URI_TOO_LONG, 27, "uri_too_long", "the request target is too long", 414, 0)                  \
    X(UNAUTHORIZED, 28, "unauthorized", "a key is needed", 401, 0)                                 \
    X(CONFLICT, 29, "conflict", "not possible in the present state", 409, 0)                       \
    X(MODEL_REFUSED, 30, "model_refused", "the model was refused; the present one serves on", 422, \
      0)                                                                                           \
    X(TEXT_TOO_LONG, 31, "text_too_long", "a text has more tokens than the model takes", 422, 0)   \
    X(RATE_LIMITED, 32, "rate_limited", "too many requests of this client", 429, 1)                \
    X(FORBIDDEN, 33, "forbidden", "this key may not do that", 403, 0)

typedef enum inferd_status {
#define INFERD_STATUS_ENUM_(name, code, type, text, http, retry) INFERD_##name = code,
    INFERD_STATUS_MAP(INFERD_STATUS_ENUM_)
#undef INFERD_STATUS_ENUM_
} inferd_status;

/* Stable type string ("invalid_json") and one-line text of a status; "unknown" for other values. */
INFERD_API const char *inferd_status_type(inferd_status status);
INFERD_API const char *inferd_status_text(inferd_status status);

typedef struct inferd_error {
    inferd_status status;
    char message[384]; /* NUL-terminated UTF-8 */
} inferd_error;

typedef struct inferd_model inferd_model;
typedef struct inferd_session inferd_session;

/* How to open a model. Zero-initialise, set struct_size = sizeof(inferd_model_options), then what
 * you need: zero and NULL fields mean their default, so new fields stay compatible. */
typedef struct inferd_model_options {
    size_t struct_size;
    const char *dtype; /* arithmetic of the forward pass: "fp32" (exact), "bf16", "int8"; "auto" or
                        * NULL: int8 */
    const char *tier;  /* CPU instructions: "ref", "avx2", "avxvnni", "avx512", "avx512vnni",
                        * "avx512bf16", "amx", "neon", "neondot", "neoni8mm", "neonbf16";
                        * NULL = $INFERD_CPU, else the best of this CPU */
    uint32_t max_length; /* tokens per text with [CLS] and [SEP]; 0 = min(128, the model's limit) */
} inferd_model_options;

/* Open the Hugging Face model directory `dir`: config.json, model.safetensors (or its sharded
 * form), and tokenizer.json or vocab.txt. Nothing of the directory is needed after it returns. */
INFERD_API inferd_status inferd_model_open(const char *dir, const inferd_model_options *options,
                                           inferd_model **out, inferd_error *err);
INFERD_API inferd_model *inferd_model_retain(inferd_model *model);
INFERD_API void inferd_model_release(inferd_model *model);

/* What a model is. Set struct_size before the call; strings live as long as the model. */
typedef struct inferd_model_info {
    size_t struct_size;
    const char *name;         /* last component of the directory */
    const char *architecture; /* e.g. "BertForSequenceClassification" */
    const char
        *problem_type; /* "single_label_classification" (softmax) or "multi_label_..." (sigmoid) */
    const char *dtype;
    const char *tier;
    uint32_t layers, hidden_size, heads, intermediate_size, vocab_size;
    uint32_t labels;
    uint32_t max_length;       /* in force */
    uint32_t max_length_model; /* the model's own limit */
    uint64_t parameters;
    size_t weight_bytes; /* held in memory */
} inferd_model_info;
INFERD_API void inferd_model_get_info(const inferd_model *model, inferd_model_info *info);
/* Name of a label, or NULL if `label` >= info.labels. */
INFERD_API const char *inferd_model_label(const inferd_model *model, uint32_t label);

/* A text: UTF-8, not NUL-terminated (NUL bytes are data). */
typedef struct inferd_text {
    const char *data;
    size_t size;
} inferd_text;

/* Token ids of `text` with special tokens, truncated at the model's max_length. Writes at most
 * `capacity` ids; *count gets the number the text has (never more than max_length). `truncated`
 * (may be NULL) gets 1 if tokens were cut. INFERD_INVALID_UTF8 names the byte offset. */
INFERD_API inferd_status inferd_tokenize(const inferd_model *model, inferd_text text, int32_t *ids,
                                         size_t capacity, size_t *count, int *truncated,
                                         inferd_error *err);
/* The token string of an id, or NULL if it is out of the vocabulary. */
INFERD_API const char *inferd_model_token(const inferd_model *model, int32_t id);

typedef struct inferd_session_options {
    size_t struct_size;
    uint32_t threads; /* threads that share one batch; 0 = 1 */
    uint32_t
        max_batch_tokens; /* scratch is sized for it; 0 = 4096; raised to max_length if below */
} inferd_session_options;

/* Scratch memory (and helper threads) for classification; holds a reference to the model. */
INFERD_API inferd_status inferd_session_open(inferd_model *model,
                                             const inferd_session_options *options,
                                             inferd_session **out, inferd_error *err);
INFERD_API void inferd_session_close(inferd_session *session);

typedef struct inferd_result {
    uint32_t label;     /* index of the highest score; the lowest index on a tie */
    float confidence;   /* softmax probability, or the label's own sigmoid for multi-label models */
    uint32_t tokens;    /* tokens used, special tokens included */
    uint32_t truncated; /* 1 if the text was cut at max_length */
} inferd_result;

/* Classify `count` texts. results: [count]. logits: [count][labels] row-major, or NULL. Any count:
 * texts are run in ragged batches of at most max_batch_tokens. A text's result is bitwise the same
 * whatever it is batched with and however many threads run it. On failure the message names the
 * text, and the content of both arrays is unspecified. */
INFERD_API inferd_status inferd_classify(inferd_session *session, const inferd_text *texts,
                                         size_t count, inferd_result *results, float *logits,
                                         inferd_error *err);

/* Scores of one text from its logits, both [labels]: softmax or per-label sigmoid. May alias. */
INFERD_API void inferd_scores(const inferd_model *model, const float *logits, float *scores);

/* A bounded queue with compute threads behind it: requests of any thread share ragged batches, and
 * an idle compute thread takes what is queued. Results are bitwise those of inferd_classify. Not
 * usable in a child after fork(), which opens one of its own on the same model. */
typedef struct inferd_batcher inferd_batcher;
typedef struct inferd_request inferd_request;

typedef struct inferd_batcher_options {
    size_t struct_size;
    uint32_t threads;           /* that compute; 0 = the processors this process may use */
    uint32_t max_batch_tokens;  /* 0 = 256; raised to max_length if below */
    uint32_t max_batch_texts;   /* 0 = 64 */
    uint32_t batch_wait_us;     /* how long a batch waits for more, if more is expected */
    uint32_t max_queue_texts;   /* waiting; 0 = 1024 */
    uint32_t max_queue_tokens;  /* waiting; 0 = 131072 */
    uint32_t max_queue_wait_ms; /* refuse what would wait longer; 0 = only time-outs count */
    uint32_t max_inputs;        /* texts of one request; 0 = 128 */
} inferd_batcher_options;

/* Starts the threads and runs a warm-up batch on each. Close finishes what is submitted. */
INFERD_API inferd_status inferd_batcher_open(inferd_model *model, const inferd_batcher_options *o,
                                             inferd_batcher **out, inferd_error *err);
INFERD_API void inferd_batcher_close(inferd_batcher *batcher);

/* Totals since the start, and what waits now. Set struct_size first. Any thread. */
typedef struct inferd_batcher_stats {
    size_t struct_size;
    uint32_t threads;
    uint64_t batches, texts, tokens;           /* computed */
    uint64_t refused, expired, cancelled;      /* requests */
    uint64_t queue_texts, queue_tokens;        /* waiting */
    uint64_t busy_ns;                          /* inside batches, of all compute threads together */
    double estimated_wait_s, saturation_ratio; /* as in docs/metrics.md */
} inferd_batcher_stats;
INFERD_API void inferd_batcher_get_stats(inferd_batcher *batcher, inferd_batcher_stats *stats);

/* Set its texts or body, submit, wait for `done`, read the results; then again. One thread's at a
 * time, the batcher's from a successful submit until `done`. May outlive its batcher to be read. */
INFERD_API inferd_status inferd_request_open(inferd_batcher *batcher, inferd_request **out,
                                             inferd_error *err);
INFERD_API void inferd_request_close(inferd_request *request);
/* Tokenise 1 to max_inputs texts, or those of a body as POST /infer takes it. */
INFERD_API inferd_status inferd_request_set_texts(inferd_request *request, const inferd_text *texts,
                                                  size_t count, inferd_error *err);
INFERD_API inferd_status inferd_request_set_body(inferd_request *request, const char *body,
                                                 size_t size, inferd_error *err);
/* Whether what is set from now on keeps its logits for inferd_request_logits. Off at first. */
INFERD_API void inferd_request_keep_logits(inferd_request *request, int keep);
/* Called once, on a compute thread, with INFERD_OK, _DEADLINE or _CANCELLED, as the last touch of
 * the request. Must be quick: wake another thread. */
typedef void inferd_done_fn(void *arg, inferd_status status);
/* timeout_ms 0: none but the body's. INFERD_OVERLOADED: it does not fit or would be late. */
INFERD_API inferd_status inferd_request_submit(inferd_request *request, uint32_t timeout_ms,
                                               inferd_done_fn *done, void *arg, inferd_error *err);
/* Between submit and `done`, from any thread: nobody waits any more; `done` still comes. */
INFERD_API void inferd_request_cancel(inferd_request *request);
/* After INFERD_OVERLOADED: when the same request would be taken. */
INFERD_API uint32_t inferd_request_retry_ms(const inferd_request *request);
/* After INFERD_OK, until it is used again: results [*count]; POST /infer's answer, or NULL. */
INFERD_API const inferd_result *inferd_request_results(const inferd_request *r, size_t *count);
INFERD_API const char *inferd_request_answer(inferd_request *request, size_t *size);
/* Logits [count of results][labels], row-major; NULL if they were not kept. For inferd_scores. */
INFERD_API const float *inferd_request_logits(const inferd_request *request);

/* Where the time of a request went, in nanoseconds; the stages of docs/metrics.md. Set struct_size.
 */
typedef struct inferd_request_times {
    size_t struct_size;
    uint64_t parse_ns;     /* decoding a body; 0 for texts */
    uint64_t tokenize_ns;  /* setting: texts to ids */
    uint64_t queue_ns;     /* submit until its first batch, or until it was dropped */
    uint64_t infer_ns;     /* its first batch until the end of its last; 0 if there was none */
    uint64_t serialize_ns; /* inferd_request_answer; 0 before that */
} inferd_request_times;
/* After `done`, until it is used again. */
INFERD_API void inferd_request_get_times(const inferd_request *request,
                                         inferd_request_times *times);
INFERD_API const char *inferd_version(void);

#ifdef __cplusplus
}
#endif
#endif
