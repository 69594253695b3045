/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c - runs a fuzz target over its seed corpus without libFuzzer, so that `make test` under
 * any compiler and sanitizer replays every seed and every past finding. An empty corpus fails.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    /* exactly sized, so that ASan sees an over-read of one byte */
    uint8_t *exact = size >= 0 ? malloc(size > 0 ? (size_t)size : 1) : NULL;
    if (!exact || fread(exact, 1, (size_t)size, f) != (size_t)size) {
        fclose(f);
        return -1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(exact, (size_t)size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            fprintf(stderr, "replay: no corpus at %s\n", argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir));) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
            if (run_file(path) != 0) {
                fprintf(stderr, "replay: cannot read %s\n", path);
                return 1;
            }
            count++;
        }
        closedir(dir);
    }
    printf("replayed %u inputs\n", count);
    return count > 0 ? 0 : 1;
}
