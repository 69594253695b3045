/* SPDX-License-Identifier: Apache-2.0
 *
 * classify.c - the whole of the public API in one small program, valid as C and as C++.
 *
 *     cc classify.c -linferd -o classify && ./classify models/sst2-minilm-l6 "I love this!"
 */
#include <inferd/inferd.h>

#include <stdio.h>
#include <string.h>

static int fail(const inferd_error *err)
{
    fprintf(stderr, "classify: %s: %s\n", inferd_status_type(err->status), err->message);
    return 1;
}

int main(int argc, char **argv)
{
    inferd_model *model = NULL;
    inferd_session *session = NULL;
    inferd_error err;
    int failed = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: classify MODEL_DIR TEXT...\n");
        return 2;
    }
    if (inferd_model_open(argv[1], NULL, &model, &err) != INFERD_OK ||
        inferd_session_open(model, NULL, &session, &err) != INFERD_OK)
        failed = fail(&err);
    for (int i = 2; i < argc && !failed; i++) {
        inferd_text text = {argv[i], strlen(argv[i])};
        inferd_result result;
        if (inferd_classify(session, &text, 1, &result, NULL, &err) != INFERD_OK)
            failed = fail(&err);
        else
            printf("%s %.4f\n", inferd_model_label(model, result.label), result.confidence);
    }
    inferd_session_close(session);
    inferd_model_release(model);
    return failed;
}
