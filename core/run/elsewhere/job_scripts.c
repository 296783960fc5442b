/* SPDX-License-Identifier: BSD-3-Clause */
/* Scripts of many jobs in one file; job_scripts.h. */
#include "run/elsewhere/job_scripts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define WRITE_BYTES ((size_t)1 << 18)
/* The last line of a script, by which a job knows that it has all of it. */
#define LAST_LINE "# whole"

void job_scripts_clear(struct job_scripts *scripts)
{
    if (scripts->path != NULL)
        descriptor_close(scripts->descriptor);
    memory_free(scripts->path);
    text_clear(&scripts->waiting);
    *scripts = (struct job_scripts){0};
}

static bool begin(struct job_scripts *scripts, const char *path, struct error *error)
{
    /* Of an engine that is gone, whose submission nobody took; whoever reads it all the same reads that one. */
    unlink(path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return error_system(error, "cannot write '%s'", path);
    scripts->path = memory_copy_text(path);
    scripts->descriptor = descriptor;
    return true;
}

static bool write_waiting(struct job_scripts *scripts, struct error *error)
{
    if (!descriptor_write(scripts->descriptor, text_bytes(&scripts->waiting), scripts->waiting.length, error))
        return error_wrap(error, "cannot write '%s'", scripts->path);
    text_reset(&scripts->waiting);
    return true;
}

bool job_scripts_add(struct job_scripts *scripts, const char *path, const struct text *script, struct job_part *part,
                     struct error *error)
{
    if (scripts->path == NULL && !begin(scripts, path, error))
        return false;
    size_t before = scripts->waiting.length;
    text_append_bytes(&scripts->waiting, text_bytes(script), script->length);
    text_append(&scripts->waiting, LAST_LINE "\n");
    *part = (struct job_part){.at = scripts->length, .length = scripts->waiting.length - before};
    scripts->length += part->length;
    return scripts->waiting.length < WRITE_BYTES || write_waiting(scripts, error);
}

bool job_scripts_finish(struct job_scripts *scripts, struct error *error)
{
    if (scripts->path == NULL)
        return true;
    if (!write_waiting(scripts, error))
        return false;
    text_clear(&scripts->waiting);
    return fsync(scripts->descriptor) == 0 || error_system(error, "cannot sync '%s'", scripts->path);
}

void job_scripts_print_picker(const char *path, const char *scripts, const struct job_part *parts, uint32_t count,
                              struct text *text)
{
    text_append(text, "#!/bin/sh\n# Made by descpipe: runs the script of one job of this submission, a part of a file."
                      "\nscript=");
    text_append_shell_word(text, path);
    text_append(text, "\nscripts=");
    text_append_shell_word(text, scripts);
    text_append(text, "\nPATH=${PATH:-/usr/bin:/bin}\n"
                      "case ${1-} in\nrank | setup | remove) DESCPIPE_INDEX=${2-} ;;\nesac\n"
                      "at=\ncase ${DESCPIPE_INDEX-} in\n");
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].length > 0)
            text_format(text, "%" PRIu32 ") at=%" PRIu64 " length=%" PRIu64 " ;;\n", i, parts[i].at + 1,
                        parts[i].length);
    text_append(text, "esac\n"
                      "if [ -z \"$at\" ]; then\n"
                      "    echo \"descpipe: there is no job '${DESCPIPE_INDEX-}' in '$script'\" >&2\n    exit 1\nfi\n"
                      "part=$(tail -c \"+$at\" \"$scripts\" | head -c \"$length\")\n"
                      "case $part in\n"
                      "*'\n" LAST_LINE "') ;;\n"
                      "*)\n    echo \"descpipe: job '$DESCPIPE_INDEX' is not, or not whole, in '$scripts'\" >&2\n"
                      "    exit 1\n    ;;\nesac\n"
                      "eval \"$part\"\n");
}
