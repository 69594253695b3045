/* SPDX-License-Identifier: Apache-2.0
 *
 * json_driver.c - the request parser (depth 64) over files, for conformance suites.
 *
 *     json_driver FILE...      one line per file: accept or refuse, its path, the reason
 *     json_driver              standard input, silent
 * Exit 0 when all were accepted, 1 when one was refused, 2 when one could not be read or when the
 * verdict differs between the whole input and one byte at a time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

static inferd_status ignore(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                            bool last, inferd_error *err)
{
    (void)ctx, (void)event, (void)data, (void)size, (void)last, (void)err;
    return INFERD_OK;
}

static inferd_status parse(const char *data, size_t n, size_t piece, inferd_error *err)
{
    struct ifd_json p;
    ifd_json_init(&p, IFD_JSON_DEPTH_MAX, ignore, NULL);
    inferd_status s = INFERD_OK;
    for (size_t i = 0; i < n && !s; i += piece)
        s = ifd_json_feed(&p, data + i, n - i < piece ? n - i : piece, err);
    return s ? s : ifd_json_finish(&p, err);
}

static int judge(FILE *f, const char *name)
{
    char *data = NULL;
    size_t n = 0, room = 0;
    for (;;) {
        if (n == room) {
            room = room ? 2 * room : 65536;
            char *larger = realloc(data, room);
            if (!larger)
                abort();
            data = larger;
        }
        size_t got = fread(data + n, 1, room - n, f);
        if (got == 0)
            break;
        n += got;
    }
    inferd_error whole = {0}, bytes = {0};
    inferd_status s = parse(data, n, n ? n : 1, &whole);
    int verdict = s != INFERD_OK;
    if (s != parse(data, n, 1, &bytes)) {
        fprintf(stderr, "%s: the verdict depends on how the input is cut\n", name);
        verdict = 2;
    } else if (f != stdin) {
        printf("%s %s%s%s\n", verdict ? "refuse" : "accept", name, verdict ? ": " : "",
               verdict ? whole.message : "");
    }
    free(data);
    return verdict;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return judge(stdin, "standard input");
    int worst = 0;
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 2;
        }
        int verdict = judge(f, argv[i]);
        fclose(f);
        worst = verdict > worst ? verdict : worst;
    }
    return worst;
}
