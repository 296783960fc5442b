/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Secrets that a command prints: run once per run, before the first stage that needs it, its first line kept in memory
 * and nowhere else.
 *
 * How it works: an attempt that needs one which is not there yet waits for it with its files in place and is run when
 * the command has ended, whatever came of it. What the command says is never logged, on standard error neither: tools
 * like to quote what they were given.
 */
#include <string.h>

#include "io/secret.h"
#include "run/walk.h"

#define SECRET_TIMEOUT_MS 60000
#define LINE_LIMIT (64 * 1024 - 1) /* a longer line comes in pieces */

struct command_secret {
    struct engine *engine;
    const char *name;
    struct tool *tool; /* while it runs */
    bool over, too_long;
    struct descpipe_secret *value;
    char *failure; /* why there is no value */
    LIST(struct attempt *) waiting;
};

static struct command_secret *find(const struct engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->command_secrets.count; i++)
        if (text_equal(engine->command_secrets.items[i]->name, name))
            return engine->command_secrets.items[i];
    return NULL;
}

static void line_came(void *context, int stream, const char *line, size_t length)
{
    struct command_secret *secret = context;
    if (stream != 1 || secret->value != NULL)
        return;
    secret->too_long = length > LINE_LIMIT;
    secret->value = secret_make(line, length);
}

static char *failure_of(const struct command_secret *secret, const struct tool_end *end)
{
    uint64_t length = 0;
    if (!end->started)
        return memory_format("its command cannot be started: %s", end->message != NULL ? end->message : "");
    if (end->timed_out)
        return memory_format("its command gave no answer within %d s", SECRET_TIMEOUT_MS / 1000);
    if (end->signal != 0)
        return memory_format("its command ended by signal %d", end->signal);
    if (end->exit_code != 0)
        return memory_format("its command ended with exit status %d", end->exit_code);
    if (secret->value != NULL)
        secret_reveal(secret->value, &length);
    if (length == 0)
        return memory_copy_text("its command printed nothing on its first line");
    if (secret->too_long)
        return memory_copy_text("its command printed a first line over 64 KiB");
    return strlen(secret_reveal(secret->value, NULL)) != length
               ? memory_copy_text("its command printed a NUL on its first line")
               : NULL;
}

static void command_ended(void *context, const struct tool_end *end)
{
    struct command_secret *secret = context;
    secret->tool = NULL;
    secret->over = true;
    secret->failure = failure_of(secret, end);
    if (secret->failure != NULL) {
        secret_release(secret->value);
        secret->value = NULL;
    }
    while (secret->waiting.count > 0) {
        struct attempt *attempt = secret->waiting.items[--secret->waiting.count];
        attempt->waits_for = NULL;
        attempt_run(attempt);
    }
    list_clear(&secret->waiting);
}

static struct command_secret *ask(struct engine *engine, const char *name, const struct secret_source *source)
{
    struct command_secret *secret = find(engine, name);
    if (secret != NULL)
        return secret;
    secret = memory_allocate(sizeof *secret);
    *secret = (struct command_secret){.engine = engine, .name = name};
    list_add(&engine->command_secrets, secret);
    const struct tool_request request = {.argv = source->argv,
                                         .timeout_ms = SECRET_TIMEOUT_MS,
                                         .line = line_came,
                                         .ended = command_ended,
                                         .context = secret};
    secret->tool = tool_start(engine->loop, &request);
    return secret;
}

bool secret_commands_are_over(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    const struct stage_extras *extras = engine->pipeline->stages.items[attempt->stage].extras;
    for (size_t i = 0; extras != NULL && i < extras->environment.count; i++) {
        const struct variable *variable = &extras->environment.items[i];
        const char *name = pipeline_text(engine->pipeline, variable->value);
        struct secret_source source;
        if (!variable->secret || !config_layers_secret(engine->layers, name, &source) ||
            source.from != SECRET_FROM_COMMAND)
            continue;
        struct command_secret *secret = ask(engine, name, &source);
        if (secret->over)
            continue;
        attempt->waits_for = secret;
        list_add(&secret->waiting, attempt);
        return false;
    }
    return true;
}

void secret_command_forget(struct attempt *attempt)
{
    struct command_secret *secret = attempt->waits_for;
    attempt->waits_for = NULL;
    for (size_t i = 0; i < secret->waiting.count; i++)
        if (secret->waiting.items[i] == attempt)
            secret->waiting.items[i--] = secret->waiting.items[--secret->waiting.count];
}

const char *secret_command_value(struct engine *engine, const char *name, struct error *error)
{
    const struct command_secret *secret = find(engine, name);
    if (secret != NULL && secret->value != NULL && secret->over)
        return secret_reveal(secret->value, NULL);
    if (secret == NULL || !secret->over) {
        engine->secret_wanted = name;
        error_set(error, ERROR_INPUT, "secret '%s': its command has not been asked yet", name);
        return NULL;
    }
    error_set(error, ERROR_INPUT, "secret '%s': %s", name, secret->failure);
    error_hint(error, "run the command of 'secrets: {%s: ...}' yourself to see what it says", name);
    return NULL;
}

static bool is_asking(void *context)
{
    const struct engine *engine = context;
    const struct command_secret *secret = find(engine, engine->secret_wanted);
    return secret != NULL && !secret->over && !engine->finished;
}

void secret_command_fetch_wanted(struct engine *engine)
{
    struct secret_source source;
    if (config_layers_secret(engine->layers, engine->secret_wanted, &source))
        ask(engine, engine->secret_wanted, &source);
    loop_run(engine->loop, is_asking, engine);
    engine->secret_wanted = NULL;
}

void secret_commands_stop(struct engine *engine)
{
    for (size_t i = 0; i < engine->command_secrets.count; i++)
        if (engine->command_secrets.items[i]->tool != NULL)
            tool_stop(engine->command_secrets.items[i]->tool);
}
