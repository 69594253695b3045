/* SPDX-License-Identifier: Apache-2.0
 *
 * A model directory that is missing parts, damaged, or of two models mixed: each way is refused
 * with a message that names the file or the tensor, through the public API, without a crash or a
 * leak.
 */
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/load.h"
#include "model/modeldir.h"
#include "model/weights.h"

#define WEIGHTS "model.safetensors"
#define INDEX "model.safetensors.index.json"

static void opens(const struct modeldir *d)
{
    inferd_model *m = NULL;
    inferd_error err;
    assert_ok(inferd_model_open(d->path, NULL, &m, &err), err);
    inferd_model_release(m);
}

static void refused(const struct modeldir *d, inferd_status want, const char *part)
{
    inferd_model *m = NULL;
    inferd_error err = {INFERD_OK, ""};
    assert_fails(inferd_model_open(d->path, NULL, &m, &err), want, err, part);
    assert_int_equal(err.status, want);
    assert_null(m);
    if (strncmp(err.message, d->path, strlen(d->path)) != 0)
        fail_msg("message '%s' does not begin with the path", err.message);
}

/* The header with `from` replaced by `to`, the rest as it was. */
static void header_refused(const char *golden, const char *from, const char *to, inferd_status want,
                           const char *part)
{
    struct modeldir d;
    dir_copy(golden, &d);
    struct st_file s = st_read(&d, WEIGHTS);
    st_edit(&s, from, to);
    st_write(&d, WEIGHTS, &s);
    refused(&d, want, part);
    st_free(&s);
    dir_remove(&d);
}

static void config_refused(const char *golden, const char *from, const char *to, const char *part)
{
    struct modeldir d;
    dir_copy(golden, &d);
    dir_edit(&d, "config.json", from, to);
    refused(&d, INFERD_MODEL_INVALID, part);
    dir_remove(&d);
}

static void test_missing(void **state)
{
    (void)state;
    struct modeldir d;
    inferd_model *m = NULL;
    inferd_error err;
    assert_fails(inferd_model_open("", NULL, &m, &err), INFERD_INVALID_ARGUMENT, err, "empty");
    assert_fails(inferd_model_open("golden/none", NULL, &m, &err), INFERD_IO, err,
                 "golden/none: there is no such model directory");
    assert_fails(inferd_model_open("golden/bert-f32/config.json", NULL, &m, &err), INFERD_IO, err,
                 "is not a directory");
    static const struct {
        const char *golden, *file;
        const char *part;
    } files[] = {
        {"bert-one-label", "config.json", "has no config.json"},
        {"bert-one-label", WEIGHTS, "neither model.safetensors nor"},
        {"bert-one-label", "tokenizer.json", "neither tokenizer.json nor vocab.txt"},
        {"bert-old-names", "vocab.txt", "neither tokenizer.json nor vocab.txt"},
        {"distilbert-sharded", INDEX, "neither model.safetensors nor"},
        {"distilbert-sharded", "model-00003-of-00005.safetensors",
         "model-00003-of-00005.safetensors is missing"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        dir_copy(files[i].golden, &d);
        opens(&d);
        dir_remove_file(&d, files[i].file);
        refused(&d, INFERD_MODEL_INVALID, files[i].part);
        dir_remove(&d);
    }
    dir_copy("bert-one-label", &d);
    char path[512];
    dir_path(&d, WEIGHTS, path, sizeof(path));
    dir_remove_file(&d, WEIGHTS);
    assert_int_equal(mkdir(path, 0700), 0);
    refused(&d, INFERD_IO, WEIGHTS);
    assert_int_equal(rmdir(path), 0);
    dir_remove(&d);
}

static void test_truncated(void **state)
{
    (void)state;
    struct modeldir d;
    dir_copy("bert-one-label", &d);
    struct bytes whole = dir_read(&d, WEIGHTS);
    uint64_t n;
    memcpy(&n, whole.data, sizeof(n));
    const size_t cuts[] = {
        0, 1, 7, 8, 9, 8 + n / 2, 7 + n, 8 + n, 9 + n, (8 + n + whole.size) / 2, whole.size - 1};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        dir_write(&d, WEIGHTS, whole.data, cuts[i]);
        refused(&d, INFERD_MODEL_INVALID, WEIGHTS);
    }
    /* the text files too: an empty or a cut one is damage, not a default */
    dir_write(&d, WEIGHTS, whole.data, whole.size);
    opens(&d);
    static const char *const texts[] = {"config.json", "tokenizer.json"};
    for (size_t t = 0; t < 2; t++) {
        struct bytes text = dir_read(&d, texts[t]);
        dir_write(&d, texts[t], text.data, 0);
        refused(&d, INFERD_MODEL_INVALID, texts[t]);
        dir_write(&d, texts[t], text.data, text.size / 2);
        refused(&d, INFERD_MODEL_INVALID, texts[t]);
        dir_write(&d, texts[t], text.data, text.size);
        free(text.data);
    }
    opens(&d);
    char *longer = malloc(whole.size + 1);
    assert_non_null(longer);
    memcpy(longer, whole.data, whole.size);
    longer[whole.size] = 0;
    dir_write(&d, WEIGHTS, longer, whole.size + 1);
    refused(&d, INFERD_MODEL_INVALID, "longer than its header says");
    free(longer);
    free(whole.data);
    dir_remove(&d);
}

static void test_header(void **state)
{
    (void)state;
    const char *bert = "bert-one-label";
    header_refused(bert, "\"classifier.weight\"", "\"classifier.bias\"", INFERD_MODEL_INVALID,
                   "tensor classifier.bias is there twice");
    header_refused(bert, "\"classifier.weight\"", "\"classifier.weighs\"", INFERD_MODEL_INVALID,
                   "tensor classifier.weight is missing");
    header_refused(bert, "\"__metadata__\"",
                   "\"cls.extra\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
                   "\"__metadata__\"",
                   INFERD_MODEL_INVALID, "tensor cls.extra is unknown");
    header_refused(bert, "\"shape\":[32,48]", "\"shape\":[48,32]", INFERD_MODEL_INVALID,
                   "bert.encoder.layer.0.output.dense.weight has shape [48, 32], config.json asks "
                   "for [32, 48]");
    header_refused(bert, "\"shape\":[32,48]", "\"shape\":[1536]", INFERD_MODEL_INVALID,
                   "has shape [1536]");
    header_refused(bert, "\"shape\":[32,48]", "\"shape\":[32,48,1]", INFERD_MODEL_INVALID,
                   "has shape [32, 48, 1]");
    header_refused(bert, "\"classifier.weight\":{\"dtype\":\"F32\"",
                   "\"classifier.weight\":{\"dtype\":\"I32\"", INFERD_MODEL_UNSUPPORTED,
                   "classifier.weight is I32");
    header_refused(bert, "{\"__metadata__\"", " {\"__metadata__\"", INFERD_MODEL_INVALID,
                   "begin with '{'");
    header_refused("bert-old-names", "\"embeddings.LayerNorm.gamma\"",
                   "\"embeddings.LayerNorm.alpha\"", INFERD_MODEL_INVALID,
                   "embeddings.LayerNorm.weight is missing");
    /* one name of two styles: all encoder names have the prefix or none */
    header_refused(bert, "\"bert.pooler.dense.bias\"", "\"pooler.dense.bias\"",
                   INFERD_MODEL_INVALID, "bert.pooler.dense.bias is missing");
    header_refused("bert-old-names", "\"pooler.dense.bias\"", "\"bert.pooler.dense.bias\"",
                   INFERD_MODEL_INVALID, "pooler.dense.bias is missing");
}

/* Both names of one norm: the old one is left over. */
static void test_two_names(void **state)
{
    (void)state;
    struct modeldir d;
    dir_copy("bert-one-label", &d);
    struct st_file s = st_read(&d, WEIGHTS);
    char extra[128];
    snprintf(extra, sizeof(extra),
             ",\"bert.embeddings.LayerNorm.gamma\":{\"dtype\":\"F32\",\"shape\":[32],"
             "\"data_offsets\":[%zu,%zu]}}",
             s.data_size, s.data_size + 128);
    char *end = strrchr(s.json, '}');
    size_t before = (size_t)(end - s.json), size = before + strlen(extra) + 1;
    char *json = malloc(size);
    char *data = calloc(1, s.data_size + 128);
    assert_non_null(json);
    assert_non_null(data);
    snprintf(json, size, "%.*s%s", (int)before, s.json, extra);
    memcpy(data, s.data, s.data_size);
    free(s.json);
    free(s.data);
    s = (struct st_file){json, data, s.data_size + 128};
    st_write(&d, WEIGHTS, &s);
    refused(&d, INFERD_MODEL_INVALID, "bert.embeddings.LayerNorm.gamma is unknown");
    st_free(&s);
    dir_remove(&d);
}

static void test_config_of_another_model(void **state)
{
    (void)state;
    const char *bert = "bert-one-label", *distilbert = "distilbert-h36-f16";
    config_refused(bert, "\"hidden_size\": 32", "\"hidden_size\": 64",
                   "word_embeddings.weight has shape");
    config_refused(bert, "\"intermediate_size\": 48", "\"intermediate_size\": 49",
                   "intermediate.dense.weight has shape");
    config_refused(bert, "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2",
                   "bert.encoder.layer.1.attention.self.query.weight is missing");
    config_refused(distilbert, "\"n_layers\": 4", "\"n_layers\": 3",
                   "distilbert.transformer.layer.3.attention.k_lin.bias is unknown");
    config_refused(bert, "\"max_position_embeddings\": 32", "\"max_position_embeddings\": 31",
                   "position_embeddings.weight has shape");
    config_refused(bert, "\"type_vocab_size\": 2", "\"type_vocab_size\": 3",
                   "token_type_embeddings.weight has shape");
    config_refused(bert, "\"0\": \"toxic\"", "\"0\": \"toxic\", \"1\": \"fine\"",
                   "classifier.weight has shape [1, 32], config.json asks for [2, 32]");
    config_refused(bert, "\"vocab_size\": 250", "\"vocab_size\": 249",
                   "tokenizer has ids up to 249");
    config_refused(bert, "\"vocab_size\": 250", "\"vocab_size\": 251",
                   "word_embeddings.weight has shape [250, 32], config.json asks for [251, 32]");
    struct modeldir d;
    dir_copy(bert, &d);
    dir_write_str(&d, "config.json",
                  "{\"architectures\":[\"DistilBertForSequenceClassification\"],\"dim\":32,"
                  "\"n_heads\":2,\"n_layers\":1,\"hidden_dim\":48,\"vocab_size\":250,"
                  "\"max_position_embeddings\":32,\"num_labels\":1}");
    refused(&d, INFERD_MODEL_INVALID, "distilbert.embeddings.word_embeddings.weight is missing");
    dir_remove(&d);
}

/* A NaN or an infinity in the first or the last element of any tensor is found, by name. */
static void test_not_finite(void **state)
{
    (void)state;
    static const char *const goldens[] = {"bert-one-label", "bert-multilabel-bf16",
                                          "bert-old-names", "distilbert-h36-f16"};
    unsigned refusals = 0;
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        struct modeldir d;
        struct ifd_checkpoint ck;
        inferd_error err;
        dir_copy(goldens[i], &d);
        assert_ok(ifd_checkpoint_open(d.path, &ck, &err), err);
        struct st_file s = st_read(&d, WEIGHTS);
        for (size_t t = 0; t < ck.count; t++) {
            const struct ifd_st_tensor *st = ck.tensor[t].st;
            static const uint32_t bad[][2] = {{0x7FC00000u, 0xFF800000u}, /* fp32: NaN, -inf */
                                              {0x7E00u, 0xFC00u},
                                              {0x7FC0u, 0xFF80u}};
            size_t width = ifd_st_dtype_bytes(st->dtype);
            unsigned kind = st->dtype == IFD_ST_F32 ? 0 : st->dtype == IFD_ST_F16 ? 1 : 2;
            if (width > 4)
                continue; /* position_ids */
            for (unsigned last = 0; last < 2; last++) {
                char *at = s.data + (last ? st->end - width : st->begin), good[4];
                char part[600];
                memcpy(good, at, width);
                memcpy(at, &bad[kind][last], width);
                st_write(&d, WEIGHTS, &s);
                snprintf(part, sizeof(part), "tensor %s holds a NaN or infinity", st->name);
                refused(&d, INFERD_MODEL_INVALID, part);
                memcpy(at, good, width);
                refusals++;
            }
        }
        st_write(&d, WEIGHTS, &s);
        opens(&d);
        st_free(&s);
        ifd_checkpoint_close(&ck);
        dir_remove(&d);
    }
    print_message("damage: %u NaN and infinity cases refused by name\n", refusals);
    assert_true(refusals > 200);
}

static void test_index(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *part;
    } edits[] = {
        {"model-00001-of-00005.safetensors", "../model-00001.safetensors", "not the plain name"},
        {"model-00001-of-00005.safetensors", "/model-00001.safetensors", "not the plain name"},
        {"model-00001-of-00005.safetensors", ".safetensors", "not the plain name"},
        {"model-00001-of-00005.safetensors", "config.json", "not the plain name"},
        {"\"model-00001-of-00005.safetensors\"", "7", "not the plain name"},
        {"model-00001-of-00005.safetensors", "model-00002-of-00005.safetensors", "says it is"},
        {"model-00001-of-00005.safetensors", "other.safetensors", "other.safetensors is missing"},
        {"\"classifier.bias\"", "\"classifier.bios\"", "tensor classifier.bias is not in"},
        {"\"classifier.bias\"",
         "\"extra\": \"model-00005-of-00005.safetensors\", \"classifier.bias\"",
         "tensor extra is missing"},
        {"\"classifier.bias\"",
         "\"classifier.bias\": \"model-00005-of-00005.safetensors\", \"classifier.bias\"", "twice"},
        {"\"weight_map\"", "\"weight_mop\"", "weight_map"},
        {"{", "[", INDEX},
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct modeldir d;
        dir_copy("distilbert-sharded", &d);
        dir_edit(&d, INDEX, edits[i].from, edits[i].to);
        refused(&d, INFERD_MODEL_INVALID, edits[i].part);
        dir_remove(&d);
    }
    /* a tensor that a second shard holds as well */
    struct modeldir d;
    dir_copy("distilbert-sharded", &d);
    struct st_file s = st_read(&d, "model-00005-of-00005.safetensors");
    st_edit(&s, "{",
            "{\"distilbert.embeddings.LayerNorm.bias\":{\"dtype\":\"F32\",\"shape\":[0],"
            "\"data_offsets\":[0,0]},");
    st_write(&d, "model-00005-of-00005.safetensors", &s);
    refused(&d, INFERD_MODEL_INVALID, "distilbert.embeddings.LayerNorm.bias is here, but");
    st_free(&s);
    dir_remove(&d);
}

/* The weights file loses its tail after its header was read. */
static void test_cut_while_open(void **state)
{
    (void)state;
    struct modeldir d;
    struct ifd_checkpoint ck;
    inferd_error err;
    char byte;
    dir_copy("bert-one-label", &d);
    assert_ok(ifd_checkpoint_open(d.path, &ck, &err), err);
    const struct ifd_checkpoint_tensor *last = &ck.tensor[0];
    for (size_t i = 0; i < ck.count; i++)
        if (ck.tensor[i].st->end > last->st->end)
            last = &ck.tensor[i];
    size_t at = last->st->end - last->st->begin - 1;
    assert_ok(ifd_checkpoint_read(last, at, &byte, 1, &err), err);
    dir_truncate(&d, WEIGHTS, ck.shard[0].file.size - 1);
    assert_fails(ifd_checkpoint_read(last, at, &byte, 1, &err), INFERD_MODEL_INVALID, err, WEIGHTS);
    dir_truncate(&d, WEIGHTS, 0);
    assert_fails(ifd_checkpoint_read(last, 0, &byte, 1, &err), INFERD_MODEL_INVALID, err, WEIGHTS);
    ifd_checkpoint_close(&ck);
    dir_remove(&d);
}

/* Flip bits of every byte of prefix and header. What is still accepted must load the same weights:
 * no flip there can rename, move or retype a tensor unnoticed. */
static void test_header_flips(void **state)
{
    (void)state;
    static const unsigned char flips[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80};
    struct modeldir d;
    struct ifd_config config;
    struct ifd_weights *good = NULL;
    inferd_error err;
    unsigned tried = 0, same = 0;
    dir_copy("bert-one-label", &d);
    struct bytes text = dir_read(&d, "config.json"), file = dir_read(&d, WEIGHTS);
    assert_ok(ifd_config_parse("config.json", text.data, text.size, &config, &err), err);
    const struct ifd_kernels *k = ifd_kernels_get(IFD_TIER_REF);
    assert_ok(ifd_load(d.path, &config, k, IFD_DTYPE_FP32, &good, &err), err);
    uint64_t n;
    memcpy(&n, file.data, sizeof(n));
    char path[512];
    dir_path(&d, WEIGHTS, path, sizeof(path));
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (size_t at = 0; at < 8 + n; at++) {
        for (size_t i = 0; i < sizeof(flips); i++) {
            struct ifd_weights *w = NULL;
            fseek(f, (long)at, SEEK_SET);
            fputc(file.data[at] ^ flips[i], f);
            fflush(f);
            inferd_status st = ifd_load(d.path, &config, k, IFD_DTYPE_FP32, &w, &err);
            tried++;
            if (st == INFERD_OK) {
                assert_int_equal(w->bytes, good->bytes);
                if (memcmp(w->arena, good->arena, w->arena_bytes) != 0)
                    fail_msg("bit flip %02x at byte %zu was accepted and changes weights", flips[i],
                             at);
                same++;
                ifd_weights_free(w);
            } else {
                assert_true(st == INFERD_MODEL_INVALID || st == INFERD_MODEL_UNSUPPORTED);
                assert_null(w);
            }
        }
        fseek(f, (long)at, SEEK_SET);
        fputc(file.data[at], f);
        fflush(f);
    }
    fclose(f);
    opens(&d);
    print_message("damage: %u bit flips of the header, %u accepted with the same weights\n", tried,
                  same);
    assert_true(same > 0 && same < tried / 20);
    ifd_weights_free(good);
    ifd_config_free(&config);
    free(text.data);
    free(file.data);
    dir_remove(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_two_names),
        cmocka_unit_test(test_config_of_another_model),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_cut_while_open),
        cmocka_unit_test(test_header_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
