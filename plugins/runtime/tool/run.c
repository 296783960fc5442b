/* SPDX-License-Identifier: BSD-3-Clause */
/* A command-line tool, run to its end. */
#include "tool/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_LIMIT 8192 /* bytes of standard error that are kept, the last ones */

struct tool {
    const struct descpipe_host *host;
    void (*progress)(void *context, const char *line);
    void (*done)(void *context, const struct tool_end *end);
    void *context;
    char *output;
    size_t length, capacity;
    char errors[ERRORS_LIMIT + 1];
    size_t errors_length;
    char last[TOOL_LINE_LIMIT]; /* the last line of standard error that says something */
};

static void keep_output(struct tool *tool, const char *line, size_t length)
{
    if (tool->length + length + 2 > TOOL_OUTPUT_LIMIT)
        return;
    if (tool->length + length + 2 > tool->capacity) {
        size_t capacity = tool->length + length + 4096;
        char *output = realloc(tool->output, capacity);
        if (output == NULL)
            return;
        tool->output = output;
        tool->capacity = capacity;
    }
    memcpy(tool->output + tool->length, line, length);
    tool->length += length;
    tool->output[tool->length++] = '\n';
    tool->output[tool->length] = '\0';
}

static void keep_error(struct tool *tool, const char *line, size_t length)
{
    if (length + 1 > ERRORS_LIMIT / 2)
        length = ERRORS_LIMIT / 2;
    if (tool->errors_length + length + 1 > ERRORS_LIMIT) {
        size_t dropped = tool->errors_length / 2 + 1;
        memmove(tool->errors, tool->errors + dropped, tool->errors_length - dropped);
        tool->errors_length -= dropped;
    }
    if (tool->errors_length + length + 1 > ERRORS_LIMIT)
        tool->errors_length = 0;
    memcpy(tool->errors + tool->errors_length, line, length);
    tool->errors_length += length;
    tool->errors[tool->errors_length++] = '\n';
    tool->errors[tool->errors_length] = '\0';
}

/* Without colours and control characters, which tools write even into a pipe. */
static void clean_line(const char *line, size_t length, char clean[TOOL_LINE_LIMIT])
{
    size_t kept = 0;
    for (size_t i = 0; i < length && kept + 1 < TOOL_LINE_LIMIT; i++) {
        if (line[i] == '\033') {
            while (i < length && line[i] != 'm')
                i++;
            continue;
        }
        bool control = (unsigned char)line[i] < ' ' || line[i] == 0x7f;
        if (!(control && kept == 0))
            clean[kept++] = control ? ' ' : line[i];
    }
    while (kept > 0 && clean[kept - 1] == ' ')
        kept--;
    clean[kept] = '\0';
}

static void line_came(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct tool *tool = context;
    char clean[TOOL_LINE_LIMIT];
    if (stream == 1) {
        keep_output(tool, line, (size_t)length);
        return;
    }
    keep_error(tool, line, (size_t)length);
    clean_line(line, (size_t)length, clean);
    if (clean[0] == '\0')
        return;
    memcpy(tool->last, clean, sizeof tool->last);
    if (tool->progress != NULL)
        tool->progress(tool->context, clean);
}

static void tool_ended(void *context, const struct descpipe_process_end *end)
{
    struct tool *tool = context;
    char words[TOOL_LINE_LIMIT + 64];
    if (!end->started)
        snprintf(words, sizeof words, "%s", end->message != NULL ? end->message : "it cannot be started");
    else if (end->timed_out)
        snprintf(words, sizeof words, "it did not end in time");
    else if (tool->last[0] != '\0')
        snprintf(words, sizeof words, "%s", tool->last);
    else if (end->exit_code >= 0)
        snprintf(words, sizeof words, "it ended with status %d, without a word", (int)end->exit_code);
    else
        snprintf(words, sizeof words, "signal %d ended it", (int)end->signal);
    const struct tool_end told = {.good = end->started != 0 && end->exit_code == 0,
                                  .started = end->started != 0,
                                  .exit_code = end->started != 0 ? end->exit_code : -1,
                                  .signal = end->started != 0 ? end->signal : 0,
                                  .output = tool->output != NULL ? tool->output : "",
                                  .words = words,
                                  .errors = tool->errors};
    tool->done(tool->context, &told);
    free(tool->output);
    free(tool);
}

struct descpipe_process *tool_run(const struct descpipe_host *host, const struct tool_request *request)
{
    struct tool *tool = calloc(1, sizeof *tool);
    if (tool == NULL)
        return NULL;
    tool->host = host;
    tool->progress = request->progress;
    tool->done = request->done;
    tool->context = request->context;
    const struct descpipe_process_request process = {.size = sizeof process,
                                                     .flags = request->terminal ? DESCPIPE_PROCESS_TERMINAL : 0,
                                                     .input_descriptor = request->input_descriptor,
                                                     .output_descriptor = request->output_descriptor,
                                                     .error_descriptor = request->error_descriptor,
                                                     .argv = request->argv,
                                                     .environment = request->environment,
                                                     .directory = request->directory,
                                                     .input = request->input,
                                                     .input_length =
                                                         request->input != NULL ? strlen(request->input) : 0,
                                                     .timeout_ms = request->timeout_ms,
                                                     .line = line_came,
                                                     .ended = tool_ended,
                                                     .context = tool};
    return host->process->start(host, &process);
}
