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
 * no waiting) when the texts divide well, else shared (every member walks through the same steps,
 * each cut into parts by heads, inner channels, columns or rows).
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
    const uint32_t *second; /* as a batch's */
    size_t texts, tokens;
    size_t text_first; /* in the batch: index of its row in first_x and first_context */
};

/* The buffers of a part for steps that it does whole. */
static struct ifd_lane whole(const struct ifd_lane *part)
{
    struct ifd_lane lane = *part;
    lane.part = 0;
    lane.parts = 1;
    return lane;
}

/* y[rows] = epilogue(x[rows] W^T + b), all outputs; residual has y's stride. */
static void linear(const struct ifd_lane *part, const struct ifd_linear *l,
                   enum ifd_epilogue epilogue, size_t rows, const float *x, size_t ldx,
                   const struct ifd_narrow *narrow, const float *residual, float *y, size_t ldy)
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
    ifd_step_product(part, &p);
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

static void embed_part(const struct ifd_lane *part, const struct chunk *c)
{
    const struct ifd_scratch *s = part->scratch;
    const struct ifd_weights *w = s->w;
    size_t row, end;
    ifd_step_share(part, c->tokens, &row, &end);
    for (size_t t = 0; row < end; t++) {
        const size_t text = c->offsets[t] - c->offsets[0], next = c->offsets[t + 1] - c->offsets[0];
        for (; row < next && row < end; row++) {
            float *x = part->x + row * s->ld_h;
            const float *position = w->positions_types + (row - text) * w->hidden;
            widen(w, (size_t)c->ids[c->offsets[0] + row], x);
            for (size_t j = 0; j < w->hidden; j++)
                x[j] += position[j];
            if (c->second && row - text >= c->second[t] && w->type_step)
                for (size_t j = 0; j < w->hidden; j++)
                    x[j] += w->type_step[j];
        }
    }
    ifd_step_norm(part, &w->norm0, part->x, c->tokens, w->layers ? &w->layer[0].qkv : &w->pre,
                  &part->narrow_h);
}

/* ---- attention ---- */

/* Query, key and value of heads [head, head + heads) of a chunk's tokens are in qkv: [tokens]
 * [heads * d queries | keys | values], rows ld apart. With `first`, [texts][H], only the first
 * token of each text asks: these are the rows of x, and queries are in context. */
struct attention_step {
    const struct ifd_linear *l;
    const struct chunk *chunk;
    const float *first;
    float *qkv;
    size_t head, heads, ld;
};

/* Units [begin, end), each one head of one text. Head-major, so that each part gets a like share
 * of every text. */
static void attention_units(const struct ifd_lane *part, const struct attention_step *step,
                            size_t begin, size_t end)
{
    const struct ifd_scratch *s = part->scratch;
    const struct chunk *c = step->chunk;
    const size_t d = s->w->hidden / s->w->heads, width = step->heads * d;
    const float scale = 1.0f / sqrtf((float)d);
    for (size_t unit = begin; unit < end; unit++) {
        size_t text = unit % c->texts, within = unit / c->texts * d;
        size_t column = step->head * d + within;
        size_t row = c->offsets[text] - c->offsets[0];
        size_t length = c->offsets[text + 1] - c->offsets[text];
        const float *qkv = step->qkv + row * step->ld + within;
        const float *q = qkv;
        float *o = part->context + row * s->ld_h + column;
        size_t ldq = step->ld, rows = length;
        if (step->first) {
            q = part->context + text * s->ld_h + column;
            o = s->first_context + (c->text_first + text) * s->ld_h + column;
            ldq = s->ld_h;
            rows = 1;
        }
        s->w->kernels->attention_f32(q, ldq, qkv + width, step->ld, qkv + 2 * width, step->ld, rows,
                                     length, d, scale, o, s->ld_h, part->work);
    }
}

/* Outputs [begin, end) of l for all tokens of the chunk, to qkv + at. */
static void project(const struct ifd_lane *part, const struct attention_step *step, size_t begin,
                    size_t end, size_t at)
{
    const struct ifd_product p = {.l = step->l,
                                  .epilogue = IFD_EPI_BIAS,
                                  .rows = step->chunk->tokens,
                                  .x = part->x,
                                  .ldx = part->scratch->ld_h,
                                  .narrow = &part->narrow_h,
                                  .y = step->qkv + at,
                                  .ldy = step->ld,
                                  .begin = begin,
                                  .end = end};
    ifd_step_product(part, &p);
}

/* Queries [begin, end) of first tokens, into context. */
static void project_first(const struct ifd_lane *part, const struct attention_step *step,
                          size_t begin, size_t end)
{
    const size_t ld = part->scratch->ld_h;
    const struct ifd_product p = {.l = step->l,
                                  .epilogue = IFD_EPI_BIAS,
                                  .rows = step->chunk->texts,
                                  .x = step->first,
                                  .ldx = ld,
                                  .narrow = &part->narrow_first,
                                  .y = part->context + begin,
                                  .ldy = ld,
                                  .begin = begin,
                                  .end = end};
    ifd_step_product(part, &p);
}

/* Heads whose query, key and value a part computes and uses before those of the next heads, so that
 * they stay in L2; 0 if all heads must go together, because a group or a part's heads would not be
 * whole panels. */
static size_t heads_at_once(const struct ifd_lane *lane, size_t tokens)
{
    const struct ifd_weights *w = lane->scratch->w;
    const size_t d = w->hidden / w->heads, nr = w->kernels->nr, each = w->heads / lane->parts;
    const size_t fit = QKV_FLOATS / (3 * d * tokens);
    if (w->heads % lane->parts || w->hidden % nr)
        return 0;
    for (size_t heads = fit > 1 ? (fit < each ? fit : each) : 1; heads <= each; heads++)
        if (heads * d % nr == 0 && each % heads == 0)
            return heads;
    return 0;
}

/* A part's own heads, a few at a time. */
static void attention_of_part(const struct ifd_lane *part, const struct attention_step *all)
{
    const struct ifd_scratch *s = part->scratch;
    const struct ifd_lane lane = whole(part);
    const size_t hidden = s->w->hidden, d = hidden / s->w->heads, width = all->heads * d;
    const size_t each = s->w->heads / part->parts, end = (part->part + 1) * each;
    struct attention_step step = *all;
    step.qkv = part->qkv;
    for (step.head = part->part * each; step.head < end; step.head += step.heads) {
        const size_t column = step.head * d;
        if (step.first)
            project_first(&lane, &step, column, column + width);
        for (size_t i = step.first != NULL; i < 3; i++)
            project(&lane, &step, i * hidden + column, i * hidden + column + width, i * width);
        attention_units(&lane, &step, 0, step.heads * step.chunk->texts);
        ifd_step_pause(&lane);
    }
}

/* The projections and attention of every head. */
static void attention(const struct ifd_lane *lane, const struct ifd_linear *l,
                      const struct chunk *c, const float *first)
{
    const struct ifd_scratch *s = lane->scratch;
    const size_t hidden = s->w->hidden, heads = heads_at_once(lane, c->tokens);
    struct attention_step step = {.l = l, .chunk = c, .first = first};
    step.heads = heads ? heads : s->w->heads;
    step.ld = ifd_row_stride(3 * step.heads * (hidden / s->w->heads));
    if (heads > 0 && heads < s->w->heads) {
        IFD_STEP_PARTS(lane, part)
            attention_of_part(part, &step);
        return;
    }
    /* From the panel that holds the first key: the queries of other tokens that come with it are
     * not read. */
    const size_t keys = first ? hidden - hidden % s->w->kernels->nr : 0;
    step.qkv = lane->qkv;
    IFD_STEP_PARTS(lane, part) {
        if (first)
            project_first(part, &step, 0, hidden);
        project(part, &step, keys, 3 * hidden, keys);
    }
    IFD_STEP_PARTS(lane, part) {
        size_t begin, end;
        ifd_step_share(part, s->w->heads * c->texts, &begin, &end);
        attention_units(part, &step, begin, end);
    }
    ifd_step_pause(lane);
}

/* ---- layers ---- */

/* Slice i of the inner channels: ffn1 and GELU. */
static void inner_slice(const struct ifd_lane *part, const struct ifd_layer *l, uint32_t i,
                        size_t rows, const float *x, float *inner)
{
    const struct ifd_scratch *s = part->scratch;
    const struct ifd_product ffn1 = {.l = &l->ffn1,
                                     .epilogue = IFD_EPI_BIAS_GELU,
                                     .rows = rows,
                                     .x = x,
                                     .ldx = s->ld_h,
                                     .narrow = &part->narrow_h,
                                     .y = inner,
                                     .ldy = s->ld_f,
                                     .begin = (size_t)i * s->w->ffn_slice,
                                     .end = (size_t)i * s->w->ffn_slice + l->ffn2[i].k};
    ifd_step_product(part, &ffn1);
}

/* x += slice i, which is in the buffers of lane `of`, times its part of ffn2. */
static void outer_slice(const struct ifd_lane *part, const struct ifd_layer *l, uint32_t i,
                        size_t rows, const struct ifd_lane *of, float *x)
{
    /* x of slice 0 is the residual, of the others the sum so far; fp32 has one slice, so ffn1 reads
     * x unchanged there */
    const struct ifd_scratch *s = part->scratch;
    linear(part, &l->ffn2[i], IFD_EPI_BIAS_RESIDUAL, rows, of->ffn, s->ld_f, &of->narrow_f, x, x,
           s->ld_h);
}

/* x += ffn2(gelu(ffn1(x))), slice by slice. Where the slices divide over the parts, each part
 * computes inner channels of slices of its own; else every slice is cut. */
static void feed_forward(const struct ifd_lane *lane, const struct ifd_layer *l, size_t rows,
                         float *x)
{
    const struct ifd_scratch *s = lane->scratch;
    const uint32_t slices = s->w->ffn_slices, parts = lane->parts;
    const bool own = slices % parts == 0;
    for (uint32_t i = 0; i < slices; i += own ? parts : 1) {
        if (own) {
            IFD_STEP_PARTS(lane, part) {
                const struct ifd_lane all = whole(part);
                inner_slice(&all, l, i + part->part, rows, x, part->ffn);
                ifd_step_narrow(&all, part->ffn, s->ld_f, rows, &l->ffn2[i + part->part],
                                &part->narrow_f);
            }
        } else {
            IFD_STEP_PARTS(lane, part)
                inner_slice(part, l, i, rows, x, lane->ffn);
            IFD_STEP_PARTS(lane, part)
                ifd_step_narrow(part, lane->ffn, s->ld_f, rows, &l->ffn2[i], &lane->narrow_f);
        }
        IFD_STEP_PARTS(lane, part)
            for (uint32_t m = 0; m < (own ? parts : 1); m++)
                outer_slice(part, l, i + m, rows, own && parts > 1 ? &s->lane[m] : lane, x);
    }
}

/* x = norm2(h + ffn(h)) with h = norm1(residual + context W^T + b). `x` may be `residual`. Leaves x
 * in narrow_h for the next layer too. */
static void layer_rows(const struct ifd_lane *lane, const struct ifd_layer *l, size_t rows,
                       const float *context, const float *residual, float *x)
{
    const struct ifd_scratch *s = lane->scratch;
    const struct ifd_narrow *h = &lane->narrow_h;
    const bool last = l + 1 == s->w->layer + s->w->layers;
    const struct ifd_linear *next = last ? &s->w->pre : &l[1].qkv;
    IFD_STEP_PARTS(lane, part)
        ifd_step_narrow(part, context, s->ld_h, rows, &l->out, h);
    IFD_STEP_PARTS(lane, part)
        linear(part, &l->out, IFD_EPI_BIAS_RESIDUAL, rows, context, s->ld_h, h, residual, x,
               s->ld_h);
    IFD_STEP_PARTS(lane, part)
        ifd_step_norm(part, &l->norm1, x, rows, &l->ffn1, h);
    feed_forward(lane, l, rows, x);
    IFD_STEP_PARTS(lane, part)
        ifd_step_norm(part, &l->norm2, x, rows, next, h);
}

static void layer_full(const struct ifd_lane *lane, const struct ifd_layer *l,
                       const struct chunk *c)
{
    attention(lane, &l->qkv, c, NULL);
    layer_rows(lane, l, c->tokens, lane->context, lane->x, lane->x);
}

static void gather_first(const struct ifd_lane *part, const struct chunk *c)
{
    const struct ifd_scratch *s = part->scratch;
    size_t begin, end;
    ifd_step_share(part, c->texts, &begin, &end);
    for (size_t t = begin; t < end; t++)
        memcpy(s->first_x + (c->text_first + t) * s->ld_h,
               part->x + (c->offsets[t] - c->offsets[0]) * s->ld_h, s->w->hidden * sizeof(float));
}

static bool first_only(const struct ifd_scratch *s)
{
    return s->w->layers > 0 && !s->full_last_layer;
}

static void run_chunk(const struct ifd_lane *lane, const struct chunk *c)
{
    const struct ifd_scratch *s = lane->scratch;
    const struct ifd_layer *layer = s->w->layer;
    const uint32_t full = first_only(s) ? s->w->layers - 1 : s->w->layers;
    const float *first = s->first_x + c->text_first * s->ld_h;
    IFD_STEP_PARTS(lane, part)
        embed_part(part, c);
    for (uint32_t i = 0; i < full; i++)
        layer_full(lane, &layer[i], c);
    IFD_STEP_PARTS(lane, part) {
        gather_first(part, c);
        if (first_only(s))
            ifd_step_narrow(part, first, s->ld_h, c->texts, &layer[full].qkv, &lane->narrow_first);
    }
    /* of the last layer what comes before the rows of first tokens */
    if (first_only(s))
        attention(lane, &layer[full].qkv, c, first);
}

/* The rest for texts [begin, end), whose rows are in first_x and first_context. */
static void run_first_rows(const struct ifd_lane *lane, size_t begin, size_t end, float *logits)
{
    const struct ifd_scratch *s = lane->scratch;
    const struct ifd_weights *w = s->w;
    const enum ifd_epilogue epilogue =
        w->arch == IFD_ARCH_BERT ? IFD_EPI_BIAS_TANH : IFD_EPI_BIAS_RELU;
    for (size_t rows; begin < end; begin += rows) {
        rows = end - begin < s->rows_max ? end - begin : s->rows_max;
        float *x = s->first_x + begin * s->ld_h;
        if (first_only(s))
            layer_rows(lane, &w->layer[w->layers - 1], rows, s->first_context + begin * s->ld_h, x,
                       x);
        else
            IFD_STEP_PARTS(lane, part)
                ifd_step_narrow(part, x, s->ld_h, rows, &w->pre, &lane->narrow_h);
        IFD_STEP_PARTS(lane, part)
            linear(part, &w->pre, epilogue, rows, x, s->ld_h, &lane->narrow_h, NULL, lane->context,
                   s->ld_h);
        IFD_STEP_PARTS(lane, part)
            linear(part, &w->head, IFD_EPI_BIAS, rows, lane->context, s->ld_h, NULL, NULL,
                   logits + begin * w->labels, w->labels);
    }
}

/* ---- cutting a batch ---- */

/* The chunk that begins with text `first` ends at the boundary nearest to token `goal`, and holds
 * at most rows_max tokens. */
static size_t chunk_end(const struct ifd_scratch *s, const uint32_t *o, size_t first, size_t end,
                        size_t goal)
{
    size_t t = first + 1;
    while (t < end && o[t + 1] - o[first] <= s->rows_max && ((size_t)o[t] + o[t + 1]) / 2 < goal)
        t++;
    return t;
}

/* As many chunks as the target asks for, cut where even ones would end: a chunk that is short for
 * want of a text that fits leaves more to the next one, not another chunk at the end. */
static void run_texts(const struct ifd_lane *lane, const struct ifd_ragged *batch, size_t begin,
                      size_t end, float *logits)
{
    const struct ifd_scratch *s = lane->scratch;
    const uint32_t *o = batch->offsets;
    size_t target = (size_t)IFD_CHUNK_TOKENS * lane->parts;
    if (target > s->rows_max)
        target = s->rows_max;
    const size_t total = o[end] - o[begin], chunks = ifd_ceil_div(total, target);
    for (size_t t = begin, i = 1, next; t < end; t = next) {
        size_t goal = o[begin] + total * i / chunks;
        /* not for what a long text left of an even share */
        while (i < chunks && goal < o[t] + target / 2)
            goal = o[begin] + total * ++i / chunks;
        i += i < chunks;
        next = chunk_end(s, o, t, end, goal);
        const struct chunk c = {.ids = batch->ids,
                                .offsets = o + t,
                                .second = batch->second ? batch->second + t : NULL,
                                .texts = next - t,
                                .tokens = o[next] - o[t],
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

struct team_step {
    const struct ifd_scratch *s;
    const struct ifd_ragged *batch;
    float *logits;
    bool apart;
};

static void run_on_team(void *arg, struct ifd_team_walk *walk)
{
    const struct team_step *step = arg;
    const struct ifd_scratch *s = step->s;
    struct ifd_lane shared = s->view[0];
    unsigned part;
    shared.walk = walk;
    if (step->apart)
        while (ifd_team_part(walk, &part))
            run_texts(&s->lane[part], step->batch, s->share[part], s->share[part + 1],
                      step->logits);
    else
        run_texts(&shared, step->batch, 0, step->batch->texts, step->logits);
}

static void check_batch(const struct ifd_scratch *s, const struct ifd_ragged *batch)
{
    const uint32_t *o = batch->offsets;
    IFD_ASSERT(batch->texts <= s->texts_max && o[0] == 0);
    for (size_t t = 0; t < batch->texts; t++)
        IFD_ASSERT(o[t + 1] > o[t] && o[t + 1] - o[t] <= s->w->positions);
    for (size_t t = 0; batch->second && t < batch->texts; t++)
        IFD_ASSERT(batch->second[t] == o[t + 1] - o[t] ||
                   (batch->second[t] < o[t + 1] - o[t] && ifd_weights_take_pairs(s->w)));
    IFD_ASSERT(o[batch->texts] <= s->tokens_max);
    for (size_t i = 0; i < o[batch->texts]; i++)
        IFD_ASSERT(batch->ids[i] >= 0 && (uint32_t)batch->ids[i] < s->w->vocab);
}

void ifd_forward(struct ifd_scratch *s, const struct ifd_ragged *batch, float *logits)
{
    check_batch(s, batch);
    if (s->members == 1) {
        run_texts(&s->lane[0], batch, 0, batch->texts, logits);
        return;
    }
    struct team_step step = {
        .s = s, .batch = batch, .logits = logits, .apart = share_texts(s, batch)};
    ifd_team_run(s->team, run_on_team, &step);
}
