/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of the forward pass. A batch is cut into chunks of whole texts; a chunk goes through
 * all layers while its activations are in cache, up to the last layer's attention, which leaves one
 * row per text in first_x and first_context. What is left then runs once over these rows.
 *
 *   chunk of tokens: embed -> norm -> layers 1 .. L-1 -> last layer's keys, values, attention
 *   first tokens:    last layer's output projection, norm, feed-forward, norm -> pooler -> head
 *
 * With a team there are two ways, chosen by the batch: apart (each member takes its own texts,
 * no waiting) when the texts divide well, else shared (every step is split, a barrier after each).
 * Nothing a text's result is made of depends on the cut: rows are independent in every kernel, and
 * attention sees one text. Memory: forward_scratch.c.
 */
#include "model/forward_steps.h"

#include <math.h>
#include <string.h>

/* A member's own share is worth having from this many tokens on: below, reading all weights in
 * every member costs more than sharing the steps. */
#define APART_TOKENS_MIN 48u
/* Query, key and value that are computed at a time at most: 192 KiB, a tenth of an L2. */
#define QKV_FLOATS ((size_t)48 * 1024)
/* The texts of one chunk: text i has tokens offsets[i] .. offsets[i + 1], counted from offsets[0]
 * in the lane's buffers. */
struct chunk {
    const int32_t *ids;
    const uint32_t *offsets;
    size_t texts, tokens;
    size_t text_first; /* in the batch: index of its row in first_x and first_context */
};

/* y[rows] = epilogue(x[rows] W^T + b), all outputs; residual has y's stride. */
static void linear(struct ifd_lane *lane, const struct ifd_linear *l, enum ifd_epilogue epilogue,
                   size_t rows, const float *x, size_t ldx, const struct ifd_narrow *narrow,
                   const float *residual, float *y, size_t ldy)
{
    const struct ifd_product p = {.l = l,
                                  .epilogue = epilogue,
                                  .rows = rows,
                                  .x = x,
                                  .ldx = ldx,
                                  .narrow = narrow,
                                  .residual = residual,
                                  .y = y,
                                  .ldy = ldy,
                                  .end = l->n};
    ifd_step_product(lane, &p);
}

/* ---- embeddings ---- */

static void widen(const struct ifd_weights *w, size_t row, float *out)
{
    size_t at = row * w->hidden;
    switch (w->words.storage) {
    case IFD_STORE_F32:
        memcpy(out, (const float *)w->words.data + at, w->hidden * sizeof(float));
        break;
    case IFD_STORE_F16:
        w->kernels->f16_to_f32((const uint16_t *)w->words.data + at, w->hidden, out);
        break;
    case IFD_STORE_BF16:
        w->kernels->bf16_to_f32((const uint16_t *)w->words.data + at, w->hidden, out);
        break;
    }
}

static void embed(struct ifd_lane *lane, const struct chunk *c)
{
    const struct ifd_weights *w = lane->scratch->w;
    const size_t hidden = w->hidden;
    float *x = lane->x;
    for (size_t t = 0; t < c->texts; t++) {
        for (uint32_t i = c->offsets[t]; i < c->offsets[t + 1]; i++, x += lane->scratch->ld_h) {
            const float *position = w->positions_types + (i - c->offsets[t]) * hidden;
            widen(w, (size_t)c->ids[i], x);
            for (size_t j = 0; j < hidden; j++)
                x[j] += position[j];
        }
    }
    ifd_step_norm(lane, &w->norm0, lane->x, c->tokens, w->layers ? &w->layer[0].qkv : &w->pre,
                  &lane->narrow_h);
}

/* ---- attention ---- */

/* Query, key and value of heads [head, head + heads) of a chunk's tokens are at a time in
 * lane->qkv: [tokens][heads * d queries | keys | values], rows ld apart. */
struct attention_step {
    struct ifd_lane *lane;
    const struct chunk *chunk;
    size_t head, heads, ld;
    bool first_only;
};

/* Head-major units, so that each member gets a like share of every text. */
static void attention_member(void *arg, unsigned member, unsigned members)
{
    const struct attention_step *step = arg;
    const struct ifd_lane *lane = step->lane;
    const struct ifd_scratch *s = lane->scratch;
    const struct chunk *c = step->chunk;
    const size_t d = s->w->hidden / s->w->heads, width = step->heads * d;
    const float scale = 1.0f / sqrtf((float)d);
    float *work = lane->shared ? s->lane[member].work : lane->work;
    size_t begin, end;
    ifd_step_part(step->heads * c->texts, member, members, &begin, &end);
    for (size_t unit = begin; unit < end; unit++) {
        size_t text = unit % c->texts, within = unit / c->texts * d;
        size_t column = step->head * d + within;
        size_t row = c->offsets[text] - c->offsets[0];
        size_t length = c->offsets[text + 1] - c->offsets[text];
        const float *qkv = lane->qkv + row * step->ld + within;
        const float *q = qkv;
        float *o = lane->context + row * s->ld_h + column;
        size_t ldq = step->ld, rows = length;
        if (step->first_only) {
            q = lane->context + text * s->ld_h + column;
            o = s->first_context + (c->text_first + text) * s->ld_h + column;
            ldq = s->ld_h;
            rows = 1;
        }
        s->w->kernels->attention_f32(q, ldq, qkv + width, step->ld, qkv + 2 * width, step->ld, rows,
                                     length, d, scale, o, s->ld_h, work);
    }
}

/* Heads whose query, key and value are computed and used before those of the next heads, so that
 * they stay in L2. All of them where a group would not be whole panels, and with a team, where each
 * group has its barriers. */
static size_t heads_at_once(const struct ifd_lane *lane, size_t tokens)
{
    const struct ifd_weights *w = lane->scratch->w;
    const size_t d = w->hidden / w->heads, nr = w->kernels->nr;
    const size_t fit = QKV_FLOATS / (3 * d * tokens);
    if (lane->shared || w->hidden % nr || fit >= w->heads)
        return w->heads;
    for (size_t heads = fit > 0 ? fit : 1; heads < w->heads; heads++)
        if (heads * d % nr == 0 && w->heads % heads == 0)
            return heads;
    return w->heads;
}

/* The projections and attention of every head. With first_only there are queries of first tokens
 * alone, which are in context already. */
static void attention(struct ifd_lane *lane, const struct ifd_linear *l, const struct chunk *c,
                      bool first_only)
{
    const struct ifd_scratch *s = lane->scratch;
    const size_t hidden = s->w->hidden, d = hidden / s->w->heads, nr = s->w->kernels->nr;
    struct attention_step step = {.lane = lane, .chunk = c, .first_only = first_only};
    step.heads = heads_at_once(lane, c->tokens);
    step.ld = ifd_row_stride(3 * step.heads * d);
    struct ifd_product p = {.l = l,
                            .epilogue = IFD_EPI_BIAS,
                            .rows = c->tokens,
                            .x = lane->x,
                            .ldx = s->ld_h,
                            .narrow = &lane->narrow_h,
                            .ldy = step.ld};
    for (; step.head < s->w->heads; step.head += step.heads) {
        if (step.heads == s->w->heads) {
            /* From the panel that holds the first key: the queries of other tokens that come with
             * it are not read. */
            p.begin = first_only ? hidden - hidden % nr : 0;
            p.end = 3 * hidden;
            p.y = lane->qkv + p.begin;
            ifd_step_product(lane, &p);
        } else {
            for (size_t part = first_only; part < 3; part++) {
                p.begin = part * hidden + step.head * d;
                p.end = p.begin + step.heads * d;
                p.y = lane->qkv + part * step.heads * d;
                ifd_step_product(lane, &p);
            }
        }
        if (lane->shared)
            ifd_team_run(s->team, attention_member, &step);
        else
            attention_member(&step, 0, 1);
        ifd_step_pause(lane);
    }
}

/* ---- layers ---- */

/* x = norm2(h + ffn(h)) with h = norm1(residual + context W^T + b). `x` may be `residual`. Leaves x
 * in narrow_h for the next layer too. */
static void layer_rows(struct ifd_lane *lane, const struct ifd_layer *l, size_t rows,
                       const float *context, const float *residual, float *x)
{
    const struct ifd_scratch *s = lane->scratch;
    const struct ifd_narrow *h = &lane->narrow_h, *f = &lane->narrow_f;
    const bool last = l + 1 == s->w->layer + s->w->layers;
    const struct ifd_linear *next = last ? &s->w->pre : &l[1].qkv;
    ifd_step_narrow(lane, context, s->ld_h, rows, &l->out, h);
    linear(lane, &l->out, IFD_EPI_BIAS_RESIDUAL, rows, context, s->ld_h, h, residual, x, s->ld_h);
    ifd_step_norm(lane, &l->norm1, x, rows, &l->ffn1, h);
    for (uint32_t i = 0; i < s->w->ffn_slices; i++) {
        const struct ifd_linear *ffn2 = &l->ffn2[i];
        const struct ifd_product ffn1 = {.l = &l->ffn1,
                                         .epilogue = IFD_EPI_BIAS_GELU,
                                         .rows = rows,
                                         .x = x,
                                         .ldx = s->ld_h,
                                         .narrow = h,
                                         .y = lane->ffn,
                                         .ldy = s->ld_f,
                                         .begin = (size_t)i * s->w->ffn_slice,
                                         .end = (size_t)i * s->w->ffn_slice + ffn2->k};
        ifd_step_product(lane, &ffn1);
        ifd_step_narrow(lane, lane->ffn, s->ld_f, rows, ffn2, f);
        /* x of slice 0 is the residual, of the others the sum so far; fp32 has one slice, so ffn1
         * reads x unchanged there */
        linear(lane, ffn2, IFD_EPI_BIAS_RESIDUAL, rows, lane->ffn, s->ld_f, f, x, x, s->ld_h);
    }
    ifd_step_norm(lane, &l->norm2, x, rows, next, h);
}

static void layer_full(struct ifd_lane *lane, const struct ifd_layer *l, const struct chunk *c)
{
    attention(lane, &l->qkv, c, false);
    layer_rows(lane, l, c->tokens, lane->context, lane->x, lane->x);
}

static void gather_first(const struct ifd_lane *lane, const struct chunk *c)
{
    const struct ifd_scratch *s = lane->scratch;
    for (size_t t = 0; t < c->texts; t++)
        memcpy(s->first_x + (c->text_first + t) * s->ld_h,
               lane->x + (c->offsets[t] - c->offsets[0]) * s->ld_h, s->w->hidden * sizeof(float));
}

/* Up to attention: keys and values of all tokens, queries of the first ones. */
static void layer_first(struct ifd_lane *lane, const struct ifd_layer *l, const struct chunk *c)
{
    const struct ifd_scratch *s = lane->scratch;
    const float *first = s->first_x + c->text_first * s->ld_h;
    gather_first(lane, c);
    ifd_step_narrow(lane, first, s->ld_h, c->texts, &l->qkv, &lane->narrow_first);
    const struct ifd_product queries = {.l = &l->qkv,
                                        .epilogue = IFD_EPI_BIAS,
                                        .rows = c->texts,
                                        .x = first,
                                        .ldx = s->ld_h,
                                        .narrow = &lane->narrow_first,
                                        .y = lane->context,
                                        .ldy = s->ld_h,
                                        .end = s->w->hidden};
    ifd_step_product(lane, &queries);
    attention(lane, &l->qkv, c, true);
}

static bool first_only(const struct ifd_scratch *s)
{
    return s->w->layers > 0 && !s->full_last_layer;
}

static void run_chunk(struct ifd_lane *lane, const struct chunk *c)
{
    const struct ifd_scratch *s = lane->scratch;
    embed(lane, c);
    uint32_t full = first_only(s) ? s->w->layers - 1 : s->w->layers;
    for (uint32_t i = 0; i < full; i++)
        layer_full(lane, &s->w->layer[i], c);
    if (first_only(s))
        layer_first(lane, &s->w->layer[full], c);
    else
        gather_first(lane, c);
}

/* The rest for texts [begin, end), whose rows are in first_x and first_context. */
static void run_first_rows(struct ifd_lane *lane, size_t begin, size_t end, float *logits)
{
    const struct ifd_scratch *s = lane->scratch;
    const struct ifd_weights *w = s->w;
    for (size_t rows; begin < end; begin += rows) {
        rows = end - begin < s->rows_max ? end - begin : s->rows_max;
        float *x = s->first_x + begin * s->ld_h;
        if (first_only(s))
            layer_rows(lane, &w->layer[w->layers - 1], rows, s->first_context + begin * s->ld_h, x,
                       x);
        ifd_step_narrow(lane, x, s->ld_h, rows, &w->pre, &lane->narrow_h);
        linear(lane, &w->pre, w->arch == IFD_ARCH_BERT ? IFD_EPI_BIAS_TANH : IFD_EPI_BIAS_RELU,
               rows, x, s->ld_h, &lane->narrow_h, NULL, lane->context, s->ld_h);
        linear(lane, &w->head, IFD_EPI_BIAS, rows, lane->context, s->ld_h, NULL, NULL,
               logits + begin * w->labels, w->labels);
    }
}

/* ---- cutting a batch ---- */

/* Texts from `first` for the next chunk: about an even share of what is left in chunks of `target`
 * tokens, at most rows_max tokens. */
static size_t chunk_end(const struct ifd_scratch *s, const struct ifd_ragged *batch, size_t first,
                        size_t end, size_t target)
{
    const uint32_t *o = batch->offsets;
    size_t left = o[end] - o[first], share = left / ifd_ceil_div(left, target);
    size_t t = first + 1;
    while (t < end) {
        size_t tokens = o[t] - o[first], next = o[t + 1] - o[t];
        if (tokens + next > s->rows_max || tokens + next / 2 > share)
            break;
        t++;
    }
    return t;
}

static void run_texts(struct ifd_lane *lane, const struct ifd_ragged *batch, size_t begin,
                      size_t end, float *logits)
{
    const struct ifd_scratch *s = lane->scratch;
    size_t target = (size_t)IFD_CHUNK_TOKENS * (lane->shared ? s->members : 1);
    if (target > s->rows_max)
        target = s->rows_max;
    for (size_t t = begin, next; t < end; t = next) {
        next = chunk_end(s, batch, t, end, target);
        struct chunk c = {.ids = batch->ids,
                          .offsets = batch->offsets + t,
                          .texts = next - t,
                          .tokens = batch->offsets[next] - batch->offsets[t],
                          .text_first = t};
        run_chunk(lane, &c);
    }
    run_first_rows(lane, begin, end, logits);
}

/* Cut the texts into one run of neighbours per member; true when that is worth doing. */
static bool share_texts(struct ifd_scratch *s, const struct ifd_ragged *batch)
{
    const uint32_t *o = batch->offsets;
    size_t total = o[batch->texts], most = 0, t = 0;
    if (total < (size_t)s->members * APART_TOKENS_MIN)
        return false;
    for (unsigned i = 0; i < s->members; i++) {
        size_t goal = total * (i + 1) / s->members;
        s->share[i] = (uint32_t)t;
        while (t < batch->texts && (o[t] + (size_t)o[t + 1]) / 2 < goal)
            t++;
        size_t tokens = o[t] - o[s->share[i]];
        most = tokens > most ? tokens : most;
    }
    s->share[s->members] = (uint32_t)batch->texts;
    /* a tenth over the mean is about what the barriers of the shared way cost */
    return most * s->members <= total + total / 10;
}

struct apart_step {
    struct ifd_scratch *s;
    const struct ifd_ragged *batch;
    float *logits;
};

static void apart_member(void *arg, unsigned member, unsigned members)
{
    const struct apart_step *step = arg;
    (void)members;
    run_texts(&step->s->lane[member], step->batch, step->s->share[member],
              step->s->share[member + 1], step->logits);
}

static void check_batch(const struct ifd_scratch *s, const struct ifd_ragged *batch)
{
    const uint32_t *o = batch->offsets;
    IFD_ASSERT(batch->texts <= s->texts_max && o[0] == 0);
    for (size_t t = 0; t < batch->texts; t++)
        IFD_ASSERT(o[t + 1] > o[t] && o[t + 1] - o[t] <= s->w->positions);
    IFD_ASSERT(o[batch->texts] <= s->tokens_max);
    for (size_t i = 0; i < o[batch->texts]; i++)
        IFD_ASSERT(batch->ids[i] >= 0 && (uint32_t)batch->ids[i] < s->w->vocab);
}

void ifd_forward(struct ifd_scratch *s, const struct ifd_ragged *batch, float *logits)
{
    check_batch(s, batch);
    bool apart = s->members > 1 && share_texts(s, batch);
    for (unsigned i = 0; i < s->members; i++)
        s->lane[i].shared = s->members > 1 && !apart;
    if (apart) {
        struct apart_step step = {.s = s, .batch = batch, .logits = logits};
        ifd_team_run(s->team, apart_member, &step);
    } else {
        run_texts(&s->lane[0], batch, 0, batch->texts, logits);
    }
}
