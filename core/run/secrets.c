/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What only the start of a stage knows: secrets, GPU ids, its rank. Secrets are read at that moment, from where the
 * layers of configuration say, and go into the environment of the launcher and nowhere else.
 */
#include <string.h>

#include "base/file.h"
#include "io/secret.h"
#include "run/walk.h"

#define SECRET_LIMIT (64 * 1024)

static const char *joined(struct arena *arena, const char *prefix, const char *name, const char *value)
{
    size_t prefix_length = strlen(prefix), name_length = strlen(name), value_length = strlen(value);
    char *text = arena_allocate(arena, prefix_length + name_length + value_length + 2);
    memcpy(text, prefix, prefix_length);
    memcpy(text + prefix_length, name, name_length);
    text[prefix_length + name_length] = '=';
    memcpy(text + prefix_length + name_length + 1, value, value_length);
    return text;
}

static const char *gpu_list(struct attempt *attempt)
{
    cleanup(text_clear) struct text list = TEXT_INIT;
    for (size_t i = 0; attempt->gpus != NULL && attempt->gpus[i] != NULL; i++) {
        if (i > 0)
            text_append_character(&list, ',');
        text_append(&list, attempt->gpus[i]);
    }
    return arena_copy(attempt->arena, text_bytes(&list), list.length);
}

static const char *read_secret(struct engine *engine, struct arena *arena, const char *name, struct error *error)
{
    struct secret_source source;
    if (!config_layers_secret(engine->layers, name, &source)) {
        error_set(error, ERROR_INPUT, "no secret '%s' is known here", name);
        error_hint(error, "name it under 'secrets:' of the user's or the site's configuration");
        return NULL;
    }
    if (source.from == SECRET_FROM_ENVIRONMENT) {
        const char *value = secure_getenv(source.text);
        if (value == NULL)
            error_set(error, ERROR_INPUT, "secret '%s': the environment has no '%s'", name, source.text);
        return value;
    }
    if (source.from == SECRET_FROM_FILE) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        if (!file_read(source.text, SECRET_LIMIT, &text, error)) {
            error_wrap(error, "secret '%s'", name);
            return NULL;
        }
        size_t length = strcspn(text_bytes(&text), "\n");
        const char *value = arena_copy(arena, text_bytes(&text), length);
        if (text.bytes != NULL)
            explicit_bzero(text.bytes, text.length);
        return value;
    }
    return secret_command_value(engine, name, error);
}

/* NULL with an error when it cannot be had; "" for what has no value here. */
static const char *late_value(struct attempt *attempt, const char *name, struct error *error)
{
    struct engine *engine = attempt->engine;
    const struct stage_extras *extras = engine->pipeline->stages.items[attempt->stage].extras;
    for (size_t i = 0; extras != NULL && i < extras->environment.count; i++) {
        const struct variable *variable = &extras->environment.items[i];
        if (variable->secret && text_equal(pipeline_text(engine->pipeline, variable->name), name))
            return read_secret(engine, attempt->arena, pipeline_text(engine->pipeline, variable->value), error);
    }
    if (text_equal(name, "CUDA_VISIBLE_DEVICES"))
        return gpu_list(attempt);
    if (text_equal(name, "DESC_RANK"))
        return "0"; /* one container: the command inside starts its ranks */
    error_set(error, ERROR_BUG, "nobody here knows the value of '%s'", name);
    return NULL;
}

const char *const *late_environment(struct attempt *attempt, const struct descpipe_stage *stage, const char *prefix,
                                    const char *const *environment, struct error *error)
{
    if (stage->late_names == NULL || stage->late_names[0] == NULL)
        return environment;
    size_t count = 0, given = 0;
    while (stage->late_names[count] != NULL)
        count++;
    while (environment != NULL && environment[given] != NULL)
        given++;
    const char **all = arena_allocate(attempt->arena, (count + given + 1) * sizeof *all);
    if (given > 0)
        memcpy(all, environment, given * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        const char *value = late_value(attempt, stage->late_names[i], error);
        if (value == NULL)
            return NULL;
        all[given + i] = joined(attempt->arena, prefix != NULL ? prefix : "", stage->late_names[i], value);
    }
    return all;
}

const struct descpipe_secret *secret_for_plugin(void *context, const char *name, struct error *error)
{
    struct engine *engine = context;
    cleanup(arena_free) struct arena *arena = arena_new();
    const char *value = read_secret(engine, arena, name, error);
    if (value == NULL)
        return NULL;
    struct descpipe_secret *secret = secret_make(value, strlen(value));
    list_add(&engine->secrets, secret); /* lives as long as the engine: plugins keep the pointer */
    return secret;
}
