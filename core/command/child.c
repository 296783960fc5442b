/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at plugins in a process of its own.
 *
 * How it works: the child prints the page to standard output, or its error to standard error as MESSAGE, then HINT, one
 * line each, and exits with the error's status.
 */
#include "command/child.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "command/installation.h"
#include "io/process.h"
#include "plugin/conformance.h"
#include "plugin/show.h"

#define SHOW_ARGUMENT "--show-child"

enum { SHOW_DEADLINE_MS = 30000 };

/* The child. */

static bool show(const char *path, bool json, struct text *out, struct error *error)
{
    cleanup(installation_clear) struct installation installation = {0};
    const struct invocation invocation = {0};
    return installation_open(&installation, &invocation, error) && installation_open_host(&installation, error) &&
           plugin_show_print(installation.host, path, json, out, error);
}

static int show_main(const char *path, bool json)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text out = TEXT_INIT;
    int descriptor = STDOUT_FILENO;
    if (!show(path, json, &out, &error)) {
        text_reset(&out);
        text_format(&out, "%s\n%s\n", error.message, error.hint != NULL ? error.hint : "");
        descriptor = STDERR_FILENO;
    }
    descriptor_write(descriptor, text_bytes(&out), out.length, NULL);
    return error_exit_status(error.kind);
}

bool child_main(int argc, char **argv, int *status)
{
    if (argc == 3 && strcmp(argv[1], CONFORMANCE_ARGUMENT) == 0) {
        *status = conformance_child_main(argv[2]);
        return true;
    }
    if (argc == 4 && strcmp(argv[1], SHOW_ARGUMENT) == 0) {
        *status = show_main(argv[2], strcmp(argv[3], "json") == 0);
        return true;
    }
    return false;
}

/* The parent. */

struct showing {
    struct loop *loop;
    struct text page, said;
    struct tool_end end;
    char *message;
    bool over;
};

static void line_came(void *context, int stream, const char *line, size_t length)
{
    struct showing *showing = context;
    struct text *text = stream == STDOUT_FILENO ? &showing->page : &showing->said;
    text_append_bytes(text, line, length);
    text_append_character(text, '\n');
}

static void child_ended(void *context, const struct tool_end *end)
{
    struct showing *showing = context;
    showing->end = *end;
    showing->message = memory_copy_text(end->message);
    showing->over = true;
}

static bool goes_on(void *context)
{
    const struct showing *showing = context;
    return !showing->over;
}

/* MESSAGE and HINT of the child. */
static bool child_error(const struct showing *showing, struct error *error)
{
    const char *said = text_bytes(&showing->said);
    size_t message = strcspn(said, "\n");
    const char *hint = said[message] == '\n' ? said + message + 1 : "";
    size_t hint_length = strcspn(hint, "\n");
    error_set(error, ERROR_PLUGIN, "%.*s", (int)message, said);
    if (hint_length > 0)
        error_hint(error, "%.*s", (int)hint_length, hint);
    return false;
}

static bool child_result(const struct showing *showing, const char *path, struct text *out, struct error *error)
{
    if (!showing->end.started)
        return error_set(error, ERROR_SYSTEM, "cannot start a process to look at '%s': %s", path,
                         showing->message != NULL ? showing->message : "");
    if (showing->end.timed_out)
        return error_set(error, ERROR_PLUGIN, "plugin '%s' did not load within %d s", path, SHOW_DEADLINE_MS / 1000);
    if (showing->end.signal != 0) {
        error_set(error, ERROR_PLUGIN, "loading plugin '%s' crashed the process that did it (signal %d)", path,
                  showing->end.signal);
        return error_hint(error, "'descpipe plugins check' finds out where");
    }
    if (showing->end.exit_code != 0)
        return child_error(showing, error);
    text_append_bytes(out, text_bytes(&showing->page), showing->page.length);
    return true;
}

bool child_show_plugin(struct loop *loop, const char *path, bool json, struct text *out, struct error *error)
{
    const char *const argv[] = {"/proc/self/exe", SHOW_ARGUMENT, path, json ? "json" : "text", NULL};
    struct showing showing = {.loop = loop};
    const struct tool_request request = {
        .argv = argv,
        .environment = (const char *const *)environ, /* finds the same plugins and libraries as we do */
        .timeout_ms = SHOW_DEADLINE_MS,
        .line = line_came,
        .ended = child_ended,
        .context = &showing,
    };
    tool_start(loop, &request);
    loop_run(loop, goes_on, &showing);
    bool done = child_result(&showing, path, out, error);
    text_clear(&showing.page);
    text_clear(&showing.said);
    memory_free(showing.message);
    return done;
}
