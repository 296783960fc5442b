/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzzer's entry over files and folders of inputs, so that the corpora are ordinary tests without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_LIMIT ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        fprintf(stderr, "cannot open '%s'\n", path);
        return 1;
    }
    uint8_t *data = malloc(INPUT_LIMIT);
    size_t size = data ? fread(data, 1, INPUT_LIMIT, file) : 0;
    fclose(file);
    /* An exact copy, so that the sanitizers see one byte too far. */
    uint8_t *exact = malloc(size ? size : 1);
    if (exact && data) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        inputs++;
    }
    free(exact);
    free(data);
    return 0;
}

static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        fprintf(stderr, "cannot open '%s'\n", path);
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        char name[4096];
        if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) < (int)sizeof(name))
            failed |= run_file(name);
    }
    closedir(folder);
    return failed;
}

int main(int count, char **arguments)
{
    int failed = 0;
    for (int i = 1; i < count; i++) {
        struct stat status;
        if (stat(arguments[i], &status) != 0) {
            fprintf(stderr, "no such input '%s'\n", arguments[i]);
            failed = 1;
        } else {
            failed |= S_ISDIR(status.st_mode) ? run_folder(arguments[i]) : run_file(arguments[i]);
        }
    }
    printf("%zu inputs\n", inputs);
    return failed || inputs == 0;
}
