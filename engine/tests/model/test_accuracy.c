/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard over the narrow dtypes: on SST-2 dev the default model's labels in int8 and bf16 are
 * those of fp32 for at least 99.5 % of the sentences, and accuracy falls by at most 0.3 points.
 * Thresholds, not figures: the model may be trained again. Skipped where the model is not there
 * (a Git checkout without its large files).
 */
#include <inferd/inferd.h>
#include <stdbool.h>

#include "test.h"

#define MODEL "../../../models/sst2-minilm-l6"
#define TEXTS "../../../models/eval/sst2-dev.tsv"
#define TEXTS_MAX 1000

struct set {
    char *file;
    inferd_text text[TEXTS_MAX];
    uint32_t gold[TEXTS_MAX];
    size_t count;
};

/* label <TAB> text lines after a header; the label is the index. */
static bool set_read(struct set *s)
{
    FILE *f = fopen(TEXTS, "rb");
    if (!f)
        return false;
    size_t room = 1 << 20, n;
    s->file = calloc(room + 1, 1);
    n = fread(s->file, 1, room, f);
    fclose(f);
    assert_true(n > 0 && n < room);
    char *line = strchr(s->file, '\n') + 1;
    for (char *end; (end = strchr(line, '\n')) && s->count < TEXTS_MAX; line = end + 1) {
        assert_true(line[1] == '\t');
        s->gold[s->count] = (uint32_t)(line[0] - '0');
        s->text[s->count++] = (inferd_text){line + 2, (size_t)(end - line - 2)};
    }
    return true;
}

static size_t run(const struct set *s, const char *dtype, inferd_result *results)
{
    inferd_error err;
    inferd_model *model;
    inferd_session *session;
    const inferd_model_options options = {.struct_size = sizeof(options), .dtype = dtype};
    assert_ok(inferd_model_open(MODEL, &options, &model, &err), err);
    assert_ok(inferd_session_open(model, NULL, &session, &err), err);
    assert_ok(inferd_classify(session, s->text, s->count, results, NULL, &err), err);
    inferd_session_close(session);
    inferd_model_release(model);
    size_t right = 0;
    for (size_t i = 0; i < s->count; i++)
        right += results[i].label == s->gold[i];
    return right;
}

static void test_narrow_dtypes_keep_the_labels(void **state)
{
    (void)state;
    static struct set s;
    static inferd_result exact[TEXTS_MAX], narrow[TEXTS_MAX];
    static const char *const dtypes[] = {"bf16", "int8"};
    FILE *f = fopen(MODEL "/model.safetensors", "rb");
    if (!f || !set_read(&s)) {
        print_message("no model or no texts: skipped\n");
        skip();
    }
    fclose(f);
    size_t right = run(&s, "fp32", exact);
    assert_true(right > s.count * 8 / 10); /* the texts and labels are the right ones */
    for (size_t d = 0; d < 2; d++) {
        size_t now = run(&s, dtypes[d], narrow), same = 0;
        for (size_t i = 0; i < s.count; i++)
            same += exact[i].label == narrow[i].label;
        print_message("%s: %zu of %zu labels are fp32's; %zu right, fp32 %zu\n", dtypes[d], same,
                      s.count, now, right);
        assert_true(same * 1000 >= s.count * 995);
        assert_true(now + s.count * 3 / 1000 >= right);
    }
    free(s.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_narrow_dtypes_keep_the_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
