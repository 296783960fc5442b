/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetching stages that live in a repository of GitHub, by commit, into the cache. */
#ifndef DESCPIPE_COMMAND_IMAGE_GITHUB_FETCH_H
#define DESCPIPE_COMMAND_IMAGE_GITHUB_FETCH_H

#include "base/error.h"
#include "io/loop.h"

struct github_fetch;
struct github_fetch_request {
    struct loop *loop;
    const char *repository, *checkout; /* valid ones */
    const char *commit; /* when it is known which: nobody is asked what the checkout means now; or NULL */
    void (*line)(void *context, const char *line);
    /* Once, from the loop. `error` NULL: `commit` lies in the cache now; *fresh: it did not before. */
    void (*done)(void *context, const char *commit, bool fresh, const struct error *error);
    void *context;
};
/* Texts live until `done`. */
struct github_fetch *github_fetch_start(const struct github_fetch_request *request);
void github_fetch_stop(struct github_fetch *fetch); /* `done` still comes */

#endif
