/* SPDX-License-Identifier: BSD-3-Clause */
/* A temporary folder with a pipeline file in it, for the tests of pipeline/. */
#ifndef DESCPIPE_TESTS_PIPELINE_FIXTURE_H
#define DESCPIPE_TESTS_PIPELINE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "pipeline/pipeline.h"

struct fixture {
    char *folder;
};

static inline struct fixture fixture_start(void)
{
    const char *temporary = secure_getenv("TMPDIR");
    char *template = memory_format("%s/descpipe-pipeline-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(template));
    struct fixture fixture = {.folder = path_real(template, NULL)};
    memory_free(template);
    ck_assert_int_eq(chdir(fixture.folder), 0);
    return fixture;
}

static inline void fixture_end_at(struct fixture *fixture)
{
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert(folder_remove(fixture->folder, NULL));
    memory_free(fixture->folder);
}

static inline void fixture_write(const struct fixture *fixture, const char *name, const char *bytes, mode_t mode)
{
    cleanup(memory_free) char *path = path_join(fixture->folder, name);
    cleanup(memory_free) char *folder = path_folder(path);
    ck_assert(folder_make(folder, 0755, NULL));
    ck_assert(file_write(path, bytes, strlen(bytes), mode, NULL));
}

/* Reads `yaml` as p.yaml of the folder, which is the working directory. */
static inline struct pipeline *fixture_read(const struct fixture *fixture, const char *yaml,
                                            const struct pipeline_changes *changes, struct problems *problems)
{
    fixture_write(fixture, "p.yaml", yaml, 0644);
    return pipeline_read("p.yaml", changes, problems);
}

/* The problems as users see them, with "@" for the folder. */
static inline void fixture_print(const struct fixture *fixture, const struct problems *problems, struct text *out)
{
    cleanup(text_clear) struct text printed = TEXT_INIT;
    problems_print(problems, &printed);
    const char *rest = text_bytes(&printed);
    for (const char *found; (found = strstr(rest, fixture->folder)) != NULL; rest = found + strlen(fixture->folder)) {
        text_append_bytes(out, rest, (size_t)(found - rest));
        text_append_character(out, '@');
    }
    text_append(out, rest);
}

#endif
