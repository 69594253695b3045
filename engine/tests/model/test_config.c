/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json: transformers' defaults, bounds at n-1, n and n+1, and each refusal by its name.
 */
#include "model/config.h"
#include "test.h"

#define BERT "\"architectures\":[\"BertForSequenceClassification\"],\"model_type\":\"bert\""
#define DISTILBERT \
    "\"architectures\":[\"DistilBertForSequenceClassification\"],\"model_type\":\"distilbert\""

static inferd_status parse(const char *json, struct ifd_config *c, inferd_error *err)
{
    return ifd_config_parse("config.json", json, strlen(json), c, err);
}

static void refused(const char *json, inferd_status want, const char *part)
{
    struct ifd_config c;
    inferd_error err = {INFERD_OK, ""};
    inferd_status st = parse(json, &c, &err);
    if (st != want || st != err.status)
        fail_msg("%s: want %s, got %s (%s)", json, inferd_status_type(want), inferd_status_type(st),
                 err.message);
    if (!strstr(err.message, part))
        fail_msg("%s: message '%s' lacks '%s'", json, err.message, part);
    if (strncmp(err.message, "config.json: ", 13) != 0)
        fail_msg("%s: message '%s' does not name the file", json, err.message);
}

static void accepted(const char *json)
{
    struct ifd_config c;
    inferd_error err;
    assert_ok(parse(json, &c, &err), err);
    ifd_config_free(&c);
}

static void test_defaults_bert(void **state)
{
    (void)state;
    struct ifd_config c;
    inferd_error err;
    assert_ok(parse("{\"architectures\":[\"BertForSequenceClassification\"]}", &c, &err), err);
    assert_int_equal(c.arch, IFD_ARCH_BERT);
    assert_int_equal(c.vocab, 30522);
    assert_int_equal(c.hidden, 768);
    assert_int_equal(c.layers, 12);
    assert_int_equal(c.heads, 12);
    assert_int_equal(c.ffn, 3072);
    assert_int_equal(c.positions, 512);
    assert_int_equal(c.types, 2);
    assert_int_equal(c.labels, 2);
    assert_int_equal(c.problem, IFD_PROBLEM_SINGLE_LABEL);
    assert_true(c.norm_eps == 1e-12f);
    assert_string_equal(c.label[0], "LABEL_0");
    assert_string_equal(c.label[1], "LABEL_1");
    ifd_config_free(&c);
}

static void test_defaults_distilbert(void **state)
{
    (void)state;
    struct ifd_config c;
    inferd_error err;
    assert_ok(parse("{" DISTILBERT ",\"layer_norm_eps\":0.1}", &c, &err), err);
    assert_int_equal(c.arch, IFD_ARCH_DISTILBERT);
    assert_int_equal(c.vocab, 30522);
    assert_int_equal(c.hidden, 768);
    assert_int_equal(c.layers, 6);
    assert_int_equal(c.heads, 12);
    assert_int_equal(c.ffn, 3072);
    assert_int_equal(c.positions, 512);
    assert_true(c.norm_eps ==
                1e-12f); /* the key is not DistilBERT's: transformers ignores it too */
    ifd_config_free(&c);
}

static void test_values(void **state)
{
    (void)state;
    struct ifd_config c;
    inferd_error err;
    assert_ok(parse("{" BERT ",\"hidden_size\":36,\"num_attention_heads\":3,"
                    "\"num_hidden_layers\":4,\"intermediate_size\":7,\"vocab_size\":11,"
                    "\"max_position_embeddings\":9,\"type_vocab_size\":1,\"layer_norm_eps\":1e-5,"
                    "\"hidden_act\":\"gelu\",\"position_embedding_type\":\"absolute\","
                    "\"is_decoder\":false,\"add_cross_attention\":false,\"pruned_heads\":{},"
                    "\"quantization_config\":null,\"problem_type\":\"multi_label_classification\","
                    "\"id2label\":{\"1\":\"b\",\"0\":\"\\u00e9\",\"2\":\"c\"},\"num_labels\":3,"
                    "\"sinusoidal_pos_embds\":true,\"unknown_key\":[1,{\"x\":null}]}",
                    &c, &err),
              err);
    assert_int_equal(c.hidden, 36);
    assert_int_equal(c.heads, 3);
    assert_int_equal(c.layers, 4);
    assert_int_equal(c.ffn, 7);
    assert_int_equal(c.vocab, 11);
    assert_int_equal(c.positions, 9);
    assert_int_equal(c.types, 1);
    assert_true(c.norm_eps == 1e-5f);
    assert_int_equal(c.problem, IFD_PROBLEM_MULTI_LABEL);
    assert_int_equal(c.labels, 3);
    assert_string_equal(c.label[0], "\xc3\xa9");
    assert_string_equal(c.label[1], "b");
    assert_string_equal(c.label[2], "c");
    ifd_config_free(&c);
    /* DistilBERT by transformers' common names */
    assert_ok(parse("{" DISTILBERT ",\"hidden_size\":24,\"num_attention_heads\":2,"
                    "\"num_hidden_layers\":1,\"dim\":24}",
                    &c, &err),
              err);
    assert_int_equal(c.hidden, 24);
    assert_int_equal(c.heads, 2);
    assert_int_equal(c.layers, 1);
    ifd_config_free(&c);
}

static void test_architecture(void **state)
{
    (void)state;
    refused("{}", INFERD_MODEL_INVALID, "architectures");
    refused("{\"architectures\":null}", INFERD_MODEL_INVALID, "architectures");
    refused("{\"architectures\":[]}", INFERD_MODEL_INVALID, "architectures");
    refused("{\"architectures\":\"BertForSequenceClassification\"}", INFERD_MODEL_INVALID,
            "architectures");
    refused("{\"architectures\":[\"BertForSequenceClassification\",\"BertModel\"]}",
            INFERD_MODEL_INVALID, "one name");
    refused("{\"architectures\":[\"BertModel\"]}", INFERD_MODEL_UNSUPPORTED, "\"BertModel\"");
    refused("{\"architectures\":[\"RobertaForSequenceClassification\"],\"model_type\":\"roberta\"}",
            INFERD_MODEL_UNSUPPORTED, "RobertaForSequenceClassification");
    refused("{\"architectures\":[\"BertForSequenceClassification\"],\"model_type\":\"distilbert\"}",
            INFERD_MODEL_INVALID, "model_type");
    refused("{\"architectures\":[\"BertForSequenceClassification\"],\"model_type\":7}",
            INFERD_MODEL_INVALID, "model_type");
}

static void test_features(void **state)
{
    (void)state;
    refused("{" BERT ",\"hidden_act\":\"gelu_new\"}", INFERD_MODEL_UNSUPPORTED, "gelu_new");
    refused("{" BERT ",\"hidden_act\":\"relu\"}", INFERD_MODEL_UNSUPPORTED, "hidden_act");
    refused("{" BERT ",\"hidden_act\":null}", INFERD_MODEL_UNSUPPORTED, "hidden_act is null");
    refused("{" DISTILBERT ",\"activation\":\"relu\"}", INFERD_MODEL_UNSUPPORTED, "activation");
    accepted("{" DISTILBERT ",\"hidden_act\":\"relu\"}"); /* not DistilBERT's key */
    refused("{" BERT ",\"position_embedding_type\":\"relative_key\"}", INFERD_MODEL_UNSUPPORTED,
            "relative_key");
    refused("{" BERT ",\"is_decoder\":true}", INFERD_MODEL_UNSUPPORTED, "is_decoder");
    refused("{" BERT ",\"add_cross_attention\":true}", INFERD_MODEL_UNSUPPORTED,
            "add_cross_attention");
    refused("{" BERT ",\"is_encoder_decoder\":true}", INFERD_MODEL_UNSUPPORTED,
            "is_encoder_decoder");
    refused("{" BERT ",\"quantization_config\":{\"bits\":8}}", INFERD_MODEL_UNSUPPORTED,
            "quantization_config");
    refused("{" BERT ",\"pruned_heads\":{\"0\":[1]}}", INFERD_MODEL_UNSUPPORTED, "pruned_heads");
    refused("{" BERT ",\"per_layer_config\":{\"0\":{}}}", INFERD_MODEL_UNSUPPORTED,
            "per_layer_config");
}

/* n - 1, n and n + 1 around each end of each size. */
static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        unsigned least, most;
    } bounds[] = {
        {"vocab_size", 1, IFD_CONFIG_VOCAB_MAX},
        {"num_hidden_layers", 1, IFD_CONFIG_LAYERS_MAX},
        {"intermediate_size", 1, IFD_CONFIG_FFN_MAX},
        {"max_position_embeddings", IFD_CONFIG_POSITIONS_MIN, IFD_CONFIG_POSITIONS_MAX},
        {"type_vocab_size", 1, IFD_CONFIG_TYPES_MAX},
    };
    char json[256];
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        const unsigned values[] = {bounds[i].least - 1, bounds[i].least, bounds[i].least + 1,
                                   bounds[i].most - 1,  bounds[i].most,  bounds[i].most + 1};
        for (size_t v = 0; v < 6; v++) {
            snprintf(json, sizeof(json), "{" BERT ",\"%s\":%u}", bounds[i].key, values[v]);
            if (values[v] >= bounds[i].least && values[v] <= bounds[i].most)
                accepted(json);
            else
                refused(json, INFERD_MODEL_INVALID, bounds[i].key);
        }
    }
    for (unsigned h = IFD_CONFIG_HIDDEN_MAX - 1; h <= IFD_CONFIG_HIDDEN_MAX + 1; h++) {
        snprintf(json, sizeof(json), "{" BERT ",\"hidden_size\":%u,\"num_attention_heads\":1}", h);
        if (h <= IFD_CONFIG_HIDDEN_MAX)
            accepted(json);
        else
            refused(json, INFERD_MODEL_INVALID, "hidden_size");
    }
    static const char *const bad[] = {"-1",   "1.5",  "1e2",  "\"64\"",
                                      "null", "true", "[64]", "18446744073709551616"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(json, sizeof(json), "{" BERT ",\"hidden_size\":%s}", bad[i]);
        refused(json, INFERD_MODEL_INVALID, "hidden_size");
        snprintf(json, sizeof(json), "{" BERT ",\"num_attention_heads\":%s}", bad[i]);
        refused(json, INFERD_MODEL_INVALID, "num_attention_heads");
    }
    refused("{" BERT ",\"num_attention_heads\":0}", INFERD_MODEL_INVALID, "num_attention_heads");
    refused("{" BERT ",\"hidden_size\":100,\"num_attention_heads\":3}", INFERD_MODEL_INVALID,
            "not a multiple");
    refused("{" DISTILBERT ",\"dim\":24,\"hidden_size\":48,\"n_heads\":2}", INFERD_MODEL_INVALID,
            "dim and hidden_size");
    static const char *const bad_eps[] = {"0", "-1e-12", "2", "null", "\"1e-12\"", "1e400"};
    for (size_t i = 0; i < sizeof(bad_eps) / sizeof(bad_eps[0]); i++) {
        snprintf(json, sizeof(json), "{" BERT ",\"layer_norm_eps\":%s}", bad_eps[i]);
        refused(json, INFERD_MODEL_INVALID, "layer_norm_eps");
    }
}

static void test_labels(void **state)
{
    (void)state;
    struct ifd_config c;
    inferd_error err;
    assert_ok(parse("{" BERT ",\"num_labels\":3,\"id2label\":null}", &c, &err), err);
    assert_int_equal(c.labels, 3);
    assert_string_equal(c.label[2], "LABEL_2");
    ifd_config_free(&c);
    refused("{" BERT ",\"num_labels\":0}", INFERD_MODEL_INVALID, "number of labels");
    refused("{" BERT ",\"num_labels\":65537}", INFERD_MODEL_INVALID, "number of labels");
    accepted("{" BERT ",\"num_labels\":65536}");
    refused("{" BERT ",\"num_labels\":\"3\"}", INFERD_MODEL_INVALID, "num_labels");
    refused("{" BERT ",\"num_labels\":3,\"id2label\":{\"0\":\"a\",\"1\":\"b\"}}",
            INFERD_MODEL_INVALID, "num_labels is 3");
    refused("{" BERT ",\"id2label\":{}}", INFERD_MODEL_INVALID, "number of labels");
    refused("{" BERT ",\"id2label\":[\"a\"]}", INFERD_MODEL_INVALID, "id2label");
    refused("{" BERT ",\"id2label\":{\"0\":\"a\",\"2\":\"b\"}}", INFERD_MODEL_INVALID, "\"2\"");
    refused("{" BERT ",\"id2label\":{\"00\":\"a\",\"1\":\"b\"}}", INFERD_MODEL_INVALID, "\"00\"");
    refused("{" BERT ",\"id2label\":{\"-1\":\"a\",\"0\":\"b\"}}", INFERD_MODEL_INVALID, "\"-1\"");
    refused("{" BERT ",\"id2label\":{\"\":\"a\",\"0\":\"b\"}}", INFERD_MODEL_INVALID, "id2label");
    refused("{" BERT ",\"id2label\":{\"4294967296\":\"a\",\"0\":\"b\"}}", INFERD_MODEL_INVALID,
            "4294967296");
    refused("{" BERT ",\"id2label\":{\"0\":1,\"1\":2}}", INFERD_MODEL_INVALID, "must be a string");
    refused("{" BERT ",\"id2label\":{\"0\":\"\",\"1\":\"b\"}}", INFERD_MODEL_INVALID,
            "must be a string");
    refused("{" BERT ",\"id2label\":{\"0\":\"a\\u0000b\",\"1\":\"b\"}}", INFERD_MODEL_INVALID,
            "NUL");
    refused("{" BERT ",\"id2label\":{\"0\":\"same\",\"1\":\"same\"}}", INFERD_MODEL_INVALID,
            "\"same\"");
    refused("{" BERT ",\"id2label\":{\"0\":\"a\",\"0\":\"b\"}}", INFERD_MODEL_INVALID, "twice");
}

static void test_problem(void **state)
{
    (void)state;
    struct ifd_config c;
    inferd_error err;
    assert_ok(parse("{" BERT ",\"problem_type\":null}", &c, &err), err);
    assert_int_equal(c.problem, IFD_PROBLEM_SINGLE_LABEL);
    ifd_config_free(&c);
    assert_ok(parse("{" BERT ",\"problem_type\":\"single_label_classification\"}", &c, &err), err);
    assert_int_equal(c.problem, IFD_PROBLEM_SINGLE_LABEL);
    ifd_config_free(&c);
    /* a lone label: a sigmoid, as in transformers' pipeline */
    assert_ok(parse("{" BERT ",\"num_labels\":1}", &c, &err), err);
    assert_int_equal(c.problem, IFD_PROBLEM_MULTI_LABEL);
    ifd_config_free(&c);
    refused("{" BERT ",\"num_labels\":1,\"problem_type\":\"single_label_classification\"}",
            INFERD_MODEL_INVALID, "at least two");
    refused("{" BERT ",\"problem_type\":\"regression\"}", INFERD_MODEL_UNSUPPORTED, "regression");
    refused("{" BERT ",\"problem_type\":1}", INFERD_MODEL_UNSUPPORTED, "problem_type");
}

static void test_document(void **state)
{
    (void)state;
    refused("", INFERD_MODEL_INVALID, "");
    refused("[]", INFERD_MODEL_INVALID, "object");
    refused("{", INFERD_MODEL_INVALID, "");
    refused("{" BERT ",}", INFERD_MODEL_INVALID, "");
    refused("{" BERT "," BERT "}", INFERD_MODEL_INVALID, "architectures");
    refused("{\"a\":\"\xff\"}", INFERD_MODEL_INVALID, "");
    /* what a message shows of the file is cut and clean */
    refused("{" BERT ",\"hidden_act\":\"\\u001b[31m\\u0007\\u0085x\"}", INFERD_MODEL_UNSUPPORTED,
            "?[31m??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_bert), cmocka_unit_test(test_defaults_distilbert),
        cmocka_unit_test(test_values),        cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_features),      cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_labels),        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
