/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz_replay.c - the main function of a fuzzer that is built without libFuzzer.
 *
 * Hands every file named on the command line, and every file right inside a folder named
 * there, to the fuzzer once: a finding that was fixed stays fixed, with any compiler.
 * Exits 77 when there was nothing to replay. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    /* Exactly as large as the file, so that a sanitizer sees a read past its end. */
    struct stat st;
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    int r = -1;

    if (!file || fstat(fileno(file), &st) < 0)
        goto out;
    data = malloc((size_t)st.st_size);
    if (st.st_size > 0 && (!data || fread(data, (size_t)st.st_size, 1, file) != 1))
        goto out;
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    r = 0;
out:
    if (r < 0)
        perror(path);
    free(data);
    if (file)
        fclose(file);
    return r;
}

/* The number of files replayed, or -1. */
static int replay(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (!folder)
        return replay_file(path) < 0 ? -1 : 1;
    while (n >= 0 && (entry = readdir(folder))) {
        char inner[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name) >= (int)sizeof(inner) ||
            replay_file(inner) < 0)
            n = -1;
        else
            n++;
    }
    closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);

        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d inputs replayed\n", total);
    if (total == 0)
        printf("skipped: no inputs to replay\n");
    return total ? 0 : 77;
}
