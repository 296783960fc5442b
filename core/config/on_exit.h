/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is told of a run's end, as a pipeline's `runtime:` section and the files of site and user may say it:
 *
 *     on-exit: {command: [notify-send, "a run has ended"], webhook: https://host/path, timeout: 1m}
 *
 * Both get the run's JSON, as `status --json` prints it: the command on its standard input, the webhook as the body of
 * a POST. An address that is itself a secret is written {secret: NAME}.
 */
#ifndef DESCPIPE_CONFIG_ON_EXIT_H
#define DESCPIPE_CONFIG_ON_EXIT_H

#include "base/list.h"
#include "config/document.h"

#define ON_EXIT_TIMEOUT_MS 60000

struct on_exit {
    struct words command; /* empty: none */
    char *webhook;        /* or NULL */
    char *webhook_secret; /* the name of the secret that is the address, or NULL */
    int64_t timeout_ms;   /* of each */
    struct place place;   /* borrowed from the document's file name */
};
void on_exit_clear(struct on_exit *on_exit);
/* False when a problem was added. */
bool on_exit_read(const struct document *document, const struct node *node, struct place key_place,
                  struct on_exit *on_exit, struct problems *problems);

#endif
