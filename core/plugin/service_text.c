/* SPDX-License-Identifier: BSD-3-Clause */
/* The services that only hand over words: log, config and secret. */

#include "base/log.h"
#include "io/secret.h"
#include "plugin/host.h"

#define LOG_LINE_LIMIT 4096

static void service_log_write(const struct descpipe_host *table, uint32_t level, const char *message)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE,
                                            LOG_LEVEL_DEBUG};
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_append_printable(&line, message ? message : "", LOG_LINE_LIMIT);
    log_write(levels[level <= DESCPIPE_LOG_DEBUG ? level : 0], "%s: %s", instance_of(table)->identity,
              text_bytes(&line));
}

const struct descpipe_log_service log_service = {.size = sizeof(log_service), .write = service_log_write};

static const struct settings *settings_of(const struct descpipe_settings *settings)
{
    return (const struct settings *)settings;
}

static int32_t config_given(const struct descpipe_settings *settings, const char *key)
{
    return settings && settings_given(settings_of(settings), key);
}

static const char *config_text(const struct descpipe_settings *settings, const char *key)
{
    return settings ? settings_text(settings_of(settings), key) : NULL;
}

static int64_t config_integer(const struct descpipe_settings *settings, const char *key)
{
    return settings ? settings_integer(settings_of(settings), key) : 0;
}

static int32_t config_boolean(const struct descpipe_settings *settings, const char *key)
{
    return settings && settings_boolean(settings_of(settings), key);
}

static const char *const *config_list(const struct descpipe_settings *settings, const char *key)
{
    return settings ? settings_list(settings_of(settings), key) : NULL;
}

static const char *const *config_map(const struct descpipe_settings *settings, const char *key)
{
    return settings ? settings_map(settings_of(settings), key) : NULL;
}

/* The settings hold the secret's name only; whoever resolves it keeps it for the life of the host. */
static const struct descpipe_secret *config_secret(const struct descpipe_settings *settings, const char *key)
{
    struct plugin_host *host = host_of_process();
    const char *name = settings ? settings_secret_name(settings_of(settings), key) : NULL;
    if (!name || !host)
        return NULL;
    if (!host->callbacks.secret) {
        log_debug("secret '%s' is not asked for: nobody here resolves secrets", name);
        return NULL;
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct descpipe_secret *secret = host->callbacks.secret(host->callbacks.context, name, &error);
    if (!secret)
        log_error(&error);
    return secret;
}

const struct descpipe_config_service config_service = {.size = sizeof(config_service),
                                                       .given = config_given,
                                                       .text = config_text,
                                                       .integer = config_integer,
                                                       .boolean = config_boolean,
                                                       .list = config_list,
                                                       .map = config_map,
                                                       .secret = config_secret};

const struct descpipe_secret_service secret_service = {
    .size = sizeof(secret_service), .make = secret_make, .reveal = secret_reveal, .release = secret_release};
