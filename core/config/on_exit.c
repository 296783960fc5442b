/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads `on-exit`. */
#include "config/on_exit.h"

#include <string.h>

#include "base/text.h"

enum { TIMEOUT_LIMIT_MS = 3600 * 1000 };

void on_exit_clear(struct on_exit *on_exit)
{
    words_clear(&on_exit->command);
    memory_free(on_exit->webhook);
    memory_free(on_exit->webhook_secret);
}

static bool refuse(const struct document *document, const struct node *node, const char *message,
                   struct problems *problems)
{
    problem_add(problems, PROBLEM_ERROR, node_place(document, node),
                "write on-exit: {command: [TOOL, ARGUMENT], webhook: URL, timeout: 1m}, or one of the first two", "%s",
                message);
    return false;
}

static bool read_command(const struct document *document, const struct node *node, struct on_exit *on_exit,
                         struct problems *problems)
{
    if (node_kind(node) != NODE_SEQUENCE || node_count(node) == 0)
        return refuse(document, node, "'command' of 'on-exit' must be a list of a program and its arguments", problems);
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *word;
        if (!node_to_text(document, child, "a word of 'command'", &word, problems))
            return false;
        words_add(&on_exit->command, word);
    }
    return on_exit->command.items[0][0] != '\0' ||
           refuse(document, node, "'command' of 'on-exit' must name a program", problems);
}

static bool read_webhook(const struct document *document, const struct node *node, struct on_exit *on_exit,
                         struct problems *problems)
{
    const struct node *secret = node_kind(node) == NODE_MAPPING && node_count(node) == 1 ? node_first(node) : NULL;
    const char *text;
    if (secret != NULL && text_equal(node_key(secret), "secret")) {
        if (!node_to_text(document, secret, "'secret' of 'webhook'", &text, problems))
            return false;
        on_exit->webhook_secret = memory_copy_text(text);
        return true;
    }
    if (!node_to_text(document, node, "'webhook' of 'on-exit'", &text, problems))
        return false;
    if (!text_starts_with(text, "https://") && !text_starts_with(text, "http://"))
        return refuse(document, node, "'webhook' of 'on-exit' must be an https:// address or {secret: NAME}", problems);
    on_exit->webhook = memory_copy_text(text);
    return true;
}

static bool read_key(const struct document *document, const struct node *child, struct on_exit *on_exit,
                     struct problems *problems)
{
    const char *key = node_key(child);
    if (strcmp(key, "command") == 0)
        return read_command(document, child, on_exit, problems);
    if (strcmp(key, "webhook") == 0)
        return read_webhook(document, child, on_exit, problems);
    if (strcmp(key, "timeout") != 0) {
        problem_add(problems, PROBLEM_ERROR, node_key_place(document, child), "known: command, webhook, timeout",
                    "'on-exit' has no key '%.100s'", key);
        return false;
    }
    if (!node_to_length(document, child, "'timeout' of 'on-exit'", &on_exit->timeout_ms, problems))
        return false;
    return (on_exit->timeout_ms > 0 && on_exit->timeout_ms <= TIMEOUT_LIMIT_MS) ||
           refuse(document, child, "'timeout' of 'on-exit' must be from 1s to 1h", problems);
}

bool on_exit_read(const struct document *document, const struct node *node, struct place key_place,
                  struct on_exit *on_exit, struct problems *problems)
{
    struct on_exit found = {.timeout_ms = ON_EXIT_TIMEOUT_MS, .place = key_place};
    bool good = node_kind(node) == NODE_MAPPING || refuse(document, node, "'on-exit' must be a mapping", problems);
    for (const struct node *child = good ? node_first(node) : NULL; child != NULL; child = node_next(child))
        good = read_key(document, child, &found, problems) && good;
    if (good && found.command.count == 0 && found.webhook == NULL && found.webhook_secret == NULL)
        good = refuse(document, node, "'on-exit' says neither a command nor a webhook", problems);
    if (!good) {
        on_exit_clear(&found);
        return false;
    }
    on_exit_clear(on_exit); /* the last one counts */
    *on_exit = found;
    return true;
}
