/* SPDX-License-Identifier: BSD-3-Clause */
/* Drives a runtime plugin, `docker` unless another is named, through the real plugin host, one call at a time, and keeps what it answered. */
#ifndef DESCPIPE_TESTS_DOCKER_DRIVER_H
#define DESCPIPE_TESTS_DOCKER_DRIVER_H

#include <check.h>

#include "base/memory.h"
#include "base/text.h"
#include "plugin/instance.h"

struct driver {
    struct loop *loop;
    struct policy *policy;
    struct plugin_catalogue *catalogue;
    struct plugin_host *host;
    struct settings *settings;
    struct plugin_instance *instance;
    int credentials_asked;
    const char *username, *password; /* the login to give; NULL: none */
};

/* The end of one call. Owned texts, freed by answer_free. */
struct answer {
    bool done, ok, present;
    uint32_t failure;
    char *message, *hint;
    char *handle, *config_digest, *manifest_digest, *platform;
    char *native_id;
    struct descpipe_ending ending; /* size 0: none; its texts are these: */
    char *witness, *reason, *ending_host;
    char **argv, **environment, **setup;
    struct text facts, found, texts, progress; /* texts: a line each */
    size_t found_count;
};

/* `options` are key, value pairs and end with NULL. False: `message` has the reason. */
bool driver_open(struct driver *driver, const char *const *options, char **message);
bool driver_open_runtime(struct driver *driver, const char *runtime, const char *const *options, char **message);
void driver_close(struct driver *driver);
/* What an operation is called with: `.done` and `.context` set for `answer`. */
struct call_options driver_call(struct answer *answer);
/* Runs the loop until the call has ended. */
void driver_wait(struct driver *driver, struct answer *answer);
/* Runs the loop until `true_when`. */
void driver_until(struct driver *driver, bool (*true_when)(void *context), void *context);
void answer_free(struct answer *answer);
static inline void answer_free_at(struct answer *place)
{
    answer_free(place);
}

#endif
