/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder of a stage: where it is, and what in it would surprise at run time. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/witness.h"
#include "pipeline/reader.h"

enum { DOCKERFILE_LIMIT = 1 << 20 };

char *stage_folder_find(const struct pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->image_folders.count; i++) {
        char *folder = path_join(pipeline_text(pipeline, pipeline->image_folders.items[i]), name);
        struct stat status;
        witness_saw(folder);
        if (stat(folder, &status) == 0 && S_ISDIR(status.st_mode))
            return folder;
        memory_free(folder);
    }
    return NULL;
}

/* ENTRYPOINT in the shell form runs a shell that swallows signals and arguments; descpipe replaces the entry point,
 * other tools do not. */
static void check_dockerfile(const char *path, struct problems *problems)
{
    cleanup(text_clear) struct text bytes = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!file_read(path, DOCKERFILE_LIMIT, &bytes, &error)) {
        problem_from_error(problems, &error);
        return;
    }
    uint32_t line = 1;
    for (const char *at = text_bytes(&bytes); *at != '\0'; line++) {
        const char *end = strchrnul(at, '\n');
        const char *word = at + strspn(at, " \t");
        if (strncasecmp(word, "ENTRYPOINT", 10) == 0 && (word[10] == ' ' || word[10] == '\t')) {
            const char *value = word + 10 + strspn(word + 10, " \t");
            if (*value != '[')
                problem_add(problems, PROBLEM_NOTE,
                            (struct place){.file = path, .line = line, .column = (uint32_t)(word - at) + 1},
                            "write ENTRYPOINT [\"program\", \"argument\"]",
                            "this ENTRYPOINT starts a shell in between");
        }
        at = *end == '\n' ? end + 1 : end;
    }
}

static void check_run_py(const char *path, struct problems *problems)
{
    struct place place = {.file = path};
    struct stat status;
    char head[2] = "";
    witness_saw(path);
    if (stat(path, &status) == 0 && (status.st_mode & 0111) == 0)
        problem_add(problems, PROBLEM_NOTE, place, "chmod +x it before the image is built",
                    "the file is not executable");
    cleanup(descriptor_close) int descriptor = file_open(path, NULL, NULL);
    if (descriptor >= 0 && (read(descriptor, head, 2) != 2 || head[0] != '#' || head[1] != '!'))
        problem_add(problems, PROBLEM_NOTE, (struct place){.file = path, .line = 1, .column = 1},
                    "begin it with #!/usr/bin/env python3", "the file has no '#!' line");
}

void stage_folder_check(const char *folder, bool uses_run_py, struct problems *problems)
{
    static const char *const names[] = {"Dockerfile", "dockerfile"};
    bool found = false;
    for (size_t i = 0; i < 2 && !found; i++) {
        cleanup(memory_free) char *path = path_join(folder, names[i]);
        found = file_exists(path);
        if (found)
            check_dockerfile(path, problems);
    }
    if (!uses_run_py)
        return;
    cleanup(memory_free) char *run_py = path_join(folder, "run.py");
    check_run_py(run_py, problems);
}
