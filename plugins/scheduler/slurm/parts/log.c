/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding a job's lines in the log of its submission; log.h. */
#include "parts/log.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "parts/ending.h"

static const struct {
    const char *part;
    unsigned bit;
} phrases[] = {
    {"exceeded memory limit", LOG_MEMORY}, {"Exceeded job memory limit", LOG_MEMORY}, {"oom-kill event", LOG_MEMORY},
    {"oom_kill event", LOG_MEMORY},        {"DUE TO TIME LIMIT", LOG_TIME},           {"DUE TO NODE FAILURE", LOG_NODE},
    {"DUE TO PREEMPTION", LOG_PREEMPTED},
};

static const char *find(const char *text, size_t length, const char *word)
{
    return memmem(text, length, word, strlen(word));
}

/* Does the line name the job: "StepId=1941.batch", "JOB 1945 ON n2", "STEP 1945.0 ON n2", "job 1941:"? */
static bool names_job(const char *line, size_t length, uint64_t raw)
{
    static const char *const before[] = {"StepId=", "JobId=", "JOB ", "STEP ", "job "};
    char number[24];
    size_t digits = (size_t)snprintf(number, sizeof(number), "%" PRIu64, raw);
    for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
        const char *rest = line, *found;
        while ((found = find(rest, length - (size_t)(rest - line), before[i])) != NULL) {
            rest = found + strlen(before[i]);
            size_t left = length - (size_t)(rest - line);
            if (left >= digits && memcmp(rest, number, digits) == 0 &&
                (left == digits || rest[digits] < '0' || rest[digits] > '9')) {
                return true;
            }
        }
    }
    return false;
}

unsigned log_read(const char *text, size_t length, uint64_t raw, char *words, size_t words_size)
{
    static const char ours[] = "descpipe: job ";
    unsigned bits = 0;
    words[0] = '\0';
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end != NULL ? (size_t)(end - text) : length;
        if (names_job(text, line, raw)) {
            for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++) {
                bits |= find(text, line, phrases[i].part) != NULL ? phrases[i].bit : 0;
            }
            const char *colon = line > sizeof(ours) && memcmp(text, ours, sizeof(ours) - 1) == 0
                                    ? find(text + sizeof(ours), line - sizeof(ours), ": ")
                                    : NULL;
            if (colon != NULL) {
                bits |= LOG_NOT_STARTED;
                snprintf(words, words_size, "%.*s", (int)(line - (size_t)(colon + 2 - text)), colon + 2);
            }
        }
        size_t step = end != NULL ? line + 1 : line;
        text += step;
        length -= step;
    }
    return bits;
}
