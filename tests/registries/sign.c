/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends one signed request with the core's own HTTP, so that a server of a test can look at its signature.
 *
 *   sign METHOD URL aws:amz:REGION:SERVICE KEY-ID BODY [HEADER]...      (the secret key: variable SECRET)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/secret.h"

static bool waiting = true;
static uint32_t outcome;

static bool still_waiting(void *context)
{
    (void)context;
    return waiting;
}

static void ended(void *context, const struct descpipe_http_end *end)
{
    (void)context;
    outcome = end->outcome;
    if (end->message != NULL)
        fprintf(stderr, "%s\n", end->message);
    waiting = false;
}

int main(int count, char **arguments)
{
    const char *secret = secure_getenv("SECRET");
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (count < 6 || secret == NULL)
        return 2;
    struct loop *loop = loop_new(&error);
    struct http *http = http_new(loop, &error);
    cleanup(secret_release) struct descpipe_secret *password = secret_make(secret, strlen(secret));
    struct descpipe_http_request request = {.size = sizeof request,
                                            .method = arguments[1],
                                            .url = arguments[2],
                                            .sigv4 = arguments[3],
                                            .username = arguments[4],
                                            .password = password,
                                            .body = arguments[5],
                                            .body_length = strlen(arguments[5]),
                                            .headers = (const char *const *)(arguments + 6),
                                            .ended = ended};
    http_start(http, &request);
    loop_run(loop, still_waiting, NULL);
    http_free(http);
    loop_free(loop);
    return outcome == DESCPIPE_HTTP_DONE ? 0 : 1;
}
