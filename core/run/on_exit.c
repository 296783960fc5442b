/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling others that a run is over.
 *
 * How it works: the site's word, the user's and the pipeline's are all followed, side by side. The run's JSON goes to a
 * command's standard input and into a webhook's body. An address that is a secret is read before the run begins, so
 * that a wrong name is told at once, and stands in no argument list and no message. Of a run that is handed over its
 * last job does it, with `timeout` and `curl` of the machine that it runs on; the JSON is then the run's head without
 * its stages, for nobody is there to judge them.
 */
#include "run/on_exit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "io/http.h"
#include "io/request.h"
#include "io/secret.h"
#include "run/walk.h"

#define SAID_LIMIT 400             /* of a command's last line, in a warning */
#define BODY_LIMIT (1024 * 1024)   /* of a webhook: then without the stages */
#define OUTPUT_LIMIT (1024 * 1024) /* of a command */

extern char **environ;

struct hook {
    struct hooks *hooks;
    const struct on_exit *what;
    const struct descpipe_secret *address; /* or NULL: what->webhook */
    struct tool *tool;
    struct descpipe_exchange *exchange;
    struct text said;
};

struct hooks {
    struct engine *engine;
    LIST(struct hook) items;
    unsigned open;
    struct http *http;
};

static void add(struct engine *engine, const struct on_exit *what)
{
    if (what == NULL || (what->command.count == 0 && what->webhook == NULL && what->webhook_secret == NULL))
        return;
    struct hook hook = {.hooks = engine->hooks, .what = what};
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (what->webhook_secret != NULL) {
        hook.address = secret_for_plugin(engine, what->webhook_secret, &error);
        if (hook.address == NULL && engine->secret_wanted != NULL) { /* its command has to be asked first */
            error_clear(&error);
            secret_command_fetch_wanted(engine);
            hook.address = secret_for_plugin(engine, what->webhook_secret, &error);
        }
        if (hook.address == NULL)
            log_warning("%s:%u: the webhook of 'on-exit' will not be told: %s", what->place.file,
                        (unsigned)what->place.line, error.message);
    }
    list_add(&engine->hooks->items, hook);
}

bool on_exit_prepare(struct engine *engine)
{
    struct place by;
    const struct on_exit *own = &engine->pipeline->on_exit;
    bool says = own->command.count > 0 || own->webhook != NULL || own->webhook_secret != NULL;
    if (says && config_layers_locked(engine->layers, "on-exit", &by)) {
        error_set(&engine->error, ERROR_INPUT, "the site keeps 'on-exit' for itself: %s, line %u", by.file,
                  (unsigned)by.line);
        return error_hint(&engine->error, "remove it from 'runtime:' of the pipeline");
    }
    engine->hooks = memory_allocate(sizeof *engine->hooks);
    engine->hooks->engine = engine;
    add(engine, config_layers_on_exit(engine->layers, LAYER_SITE));
    add(engine, config_layers_on_exit(engine->layers, LAYER_USER));
    add(engine, own);
    return true;
}

/* Commands. */

static void line_came(void *context, int stream, const char *line, size_t length)
{
    struct hook *hook = context;
    (void)stream;
    if (length == 0)
        return;
    text_reset(&hook->said);
    text_append_printable(&hook->said, line, SAID_LIMIT);
}

static void command_ended(void *context, const struct tool_end *end)
{
    struct hook *hook = context;
    hook->tool = NULL;
    hook->hooks->open--;
    if (end->started && end->exit_code == 0)
        return;
    cleanup(text_clear) struct text how = TEXT_INIT;
    if (!end->started)
        text_append(&how, end->message != NULL ? end->message : "cannot be started");
    else if (end->timed_out)
        text_append(&how, "was ended, because its time was up");
    else if (end->exit_code >= 0)
        text_format(&how, "ended with exit status %d", end->exit_code);
    else
        text_format(&how, "was ended by signal %d", end->signal);
    if (hook->said.length > 0)
        text_format(&how, ": %s", text_bytes(&hook->said));
    log_warning("on-exit: '%s' %s", hook->what->command.items[0], text_bytes(&how));
}

static void start_command(struct hook *hook, const struct text *json, const char *state)
{
    struct engine *engine = hook->hooks->engine;
    cleanup(words_clear) struct words environment = {0};
    words_add_all(&environment, (const char *const *)environ);
    words_format(&environment, "DESCPIPE_RUN=%s", engine->folder.id);
    words_format(&environment, "DESCPIPE_RUN_FOLDER=%s", engine->folder.path);
    words_format(&environment, "DESCPIPE_RUN_STATE=%s", state);
    const struct tool_request request = {.argv = words_list(&hook->what->command),
                                         .environment = words_list(&environment),
                                         .input = text_bytes(json),
                                         .input_length = json->length,
                                         .timeout_ms = hook->what->timeout_ms,
                                         .output_limit = OUTPUT_LIMIT,
                                         .line = line_came,
                                         .ended = command_ended,
                                         .context = hook};
    hook->hooks->open++;
    hook->tool = tool_start(engine->loop, &request);
}

/* Webhooks. */

static void webhook_ended(void *context, const struct descpipe_http_end *end)
{
    struct hook *hook = context;
    hook->exchange = NULL;
    hook->hooks->open--;
    if (end->outcome == DESCPIPE_HTTP_DONE && end->status / 100 == 2)
        return;
    cleanup(text_clear) struct text where = TEXT_INIT;
    if (hook->address != NULL)
        text_format(&where, "secret '%s'", hook->what->webhook_secret);
    else
        request_append_url(&where, hook->what->webhook);
    /* Of a secret address nothing else is told: what went wrong may name it. */
    if (end->outcome == DESCPIPE_HTTP_DONE)
        log_warning("on-exit: the webhook (%s) answered %d", text_bytes(&where), (int)end->status);
    else
        log_warning("on-exit: the webhook (%s) was not told%s%s", text_bytes(&where), hook->address == NULL ? ": " : "",
                    hook->address == NULL && end->message != NULL ? end->message : "");
}

static void start_webhook(struct hook *hook, const struct text *json)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct hooks *hooks = hook->hooks;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (hooks->http == NULL)
        hooks->http = http_new(hooks->engine->loop, &error);
    if (hooks->http == NULL) {
        log_warning("on-exit: the webhook was not told: %s", error.message);
        return;
    }
    const struct descpipe_http_request request = {.size = sizeof request,
                                                  .method = "POST",
                                                  .url = hook->address != NULL ? secret_reveal(hook->address, NULL)
                                                                               : hook->what->webhook,
                                                  .headers = headers,
                                                  .body = text_bytes(json),
                                                  .body_length = json->length,
                                                  .body_descriptor = -1,
                                                  .answer_descriptor = -1,
                                                  .total_timeout_ms = (uint64_t)hook->what->timeout_ms,
                                                  .ended = webhook_ended,
                                                  .context = hook};
    hooks->open++;
    hook->exchange = http_start(hooks->http, &request);
}

static bool is_open(void *context)
{
    const struct hooks *hooks = context;
    return hooks->open > 0 && !hooks->engine->hurried;
}

static bool has_webhook(const struct hook *hook)
{
    return hook->address != NULL || hook->what->webhook != NULL;
}

void on_exit_run(struct engine *engine)
{
    struct hooks *hooks = engine->hooks;
    if (hooks == NULL || hooks->items.count == 0 || engine->request->describe == NULL)
        return;
    cleanup(text_clear) struct text whole = TEXT_INIT, head = TEXT_INIT;
    const char *state = engine->request->describe(engine->folder.path, true, &whole);
    engine->request->describe(engine->folder.path, false, &head);
    const struct text *body = whole.length <= BODY_LIMIT ? &whole : &head;
    for (size_t i = 0; i < hooks->items.count; i++) {
        struct hook *hook = &hooks->items.items[i];
        if (hook->what->command.count > 0)
            start_command(hook, &whole, state);
        if (has_webhook(hook))
            start_webhook(hook, body);
    }
    loop_run(engine->loop, is_open, hooks);
    if (hooks->open > 0)
        log_warning("on-exit: not waited for any longer");
    for (size_t i = 0; i < hooks->items.count; i++)
        if (hooks->items.items[i].tool != NULL)
            tool_stop(hooks->items.items[i].tool);
    http_free(steal(&hooks->http));
}

/* The last job of a run that is handed over. */

static void assign(struct text *text, const char *name, const char *value)
{
    text_format(text, "%s=", name);
    text_append_shell_word(text, value);
    text_append_character(text, '\n');
}

/* {"run":...,"folder":...: what is known before the end; the script adds the rest. */
static void print_head(const struct engine *engine, struct text *script)
{
    cleanup(text_clear) struct text json = TEXT_INIT;
    text_append(&json, "{\"run\":");
    text_append_json(&json, engine->folder.id);
    text_append(&json, ",\"pipeline\":");
    text_append_json(&json, pipeline_text(engine->pipeline, engine->pipeline->name));
    text_append(&json, ",\"file\":");
    text_append_json(&json, engine->pipeline->file);
    text_append(&json, ",\"folder\":");
    text_append_json(&json, engine->folder.path);
    text_append(&json, ",\"detached\":true,\"state\":\"");
    assign(script, "head", text_bytes(&json));
    assign(script, "DESCPIPE_RUN", engine->folder.id);
    assign(script, "DESCPIPE_RUN_FOLDER", engine->folder.path);
    text_append(script, "DESCPIPE_RUN_STATE=succeeded\n"
                        "[ \"$missing\" -eq 0 ] || DESCPIPE_RUN_STATE=failed\n"
                        "[ ! -e \"$run/" RUN_CANCEL_FILE "\" ] || [ \"$missing\" -eq 0 ] || "
                        "DESCPIPE_RUN_STATE=cancelled\n"
                        "export DESCPIPE_RUN DESCPIPE_RUN_FOLDER DESCPIPE_RUN_STATE\n"
                        "json=$head$DESCPIPE_RUN_STATE'\"}'\n"
                        "tell() { # WHAT COMMAND...: the JSON on its input\n"
                        "    what=$1\n    shift\n"
                        "    printf '%s\\n' \"$json\" | \"$@\" || echo \"descpipe: warning: on-exit: $what ended with "
                        "exit status $?\" >&2\n"
                        "}\n");
}

static void print_command(const struct on_exit *what, struct text *script)
{
    text_format(script, "tell ");
    text_append_shell_word(script, what->command.items[0]);
    text_format(script, " timeout %lld", (long long)(what->timeout_ms + 999) / 1000);
    for (size_t i = 0; i < what->command.count; i++) {
        text_append_character(script, ' ');
        text_append_shell_word(script, what->command.items[i]);
    }
    text_append_character(script, '\n');
}

/* curl reads the address from a file, which goes with the script's end. */
static bool print_webhook(const struct hook *hook, size_t number, const char *folder, struct text *script,
                          struct error *error)
{
    const char *url = hook->address != NULL ? secret_reveal(hook->address, NULL) : hook->what->webhook;
    if (strpbrk(url, "\"\\\r\n") != NULL)
        return error_set(error, ERROR_INPUT, "the address of the webhook of 'on-exit' has a quote or a line break");
    cleanup(memory_free) char *path = memory_format("%s/webhook.%zu", folder, number);
    cleanup(text_clear) struct text file = TEXT_INIT;
    text_format(&file, "url = \"%s\"\n", url);
    bool written = file_write(path, text_bytes(&file), file.length, 0600, error);
    explicit_bzero(file.bytes, file.length);
    if (!written)
        return false;
    text_append(script, "tell 'the webhook' curl --silent --fail --output /dev/null --proto '=https,http' ");
    text_format(script, "--max-time %lld --header 'Content-Type: application/json' --data-binary @- --config ",
                (long long)(hook->what->timeout_ms + 999) / 1000);
    text_append_shell_word(script, path);
    text_append(script, "\nrm -f ");
    text_append_shell_word(script, path);
    text_append_character(script, '\n');
    return true;
}

bool on_exit_print(struct engine *engine, const char *folder, struct text *script, struct error *error)
{
    const struct hooks *hooks = engine->hooks;
    if (hooks == NULL || hooks->items.count == 0)
        return true;
    print_head(engine, script);
    for (size_t i = 0; i < hooks->items.count; i++) {
        const struct hook *hook = &hooks->items.items[i];
        if (hook->what->command.count > 0)
            print_command(hook->what, script);
        if (has_webhook(hook) && !print_webhook(hook, i, folder, script, error))
            return false;
    }
    return true;
}
