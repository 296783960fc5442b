/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest host a runtime plugin can be driven with: services that keep what they are told. Tools and helper work
 * run when the test pumps, one after the other, so that a test decides what happens when.
 */
#ifndef TESTS_NATIVE_FAKE_HOST_H
#define TESTS_NATIVE_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include <descpipe/plugin.h>

struct fake_setting {
    const char *key, *value; /* as text; booleans "true" or "false" */
};

struct descpipe_settings {
    const struct fake_setting *items; /* ends with a NULL key; anything else has its default */
    const struct descpipe_option *const *options;
};

struct fake_fact {
    char *name, *value;
};

struct descpipe_call {
    int finished; /* how often */
    bool succeeded;
    bool cancel_wished;
    uint32_t failure;
    char *message, *hint;
    struct fake_fact facts[32];
    size_t facts_count;
    bool has_identity;
    struct descpipe_image_identity identity; /* texts owned */
    bool has_form;
    char **argv, **environment; /* owned, end with NULL */
    char *directory, *late_prefix;
    void (*wish)(void *context);
    void *wish_context;
};

struct fake_host {
    struct descpipe_host host;
    struct descpipe_settings settings;
    const struct descpipe_plugin *plugin;
    const struct descpipe_runtime *runtime;
    void *self;
    void *library;
    char *last_log;
};

/* Loads BUILD/plugins-built/NAME and opens it. `settings` may be NULL. */
void fake_host_open(struct fake_host *fake, const char *file, const char *cache_folder,
                    const struct fake_setting *settings);
void fake_host_close(struct fake_host *fake);
/* Runs what was started until nothing is left. */
void fake_host_pump(struct fake_host *fake);
/* Runs the first thing that was started: a tool, a work with its end, or a timer, which is due at once. */
void fake_host_step(struct fake_host *fake);

void fake_call_clear(struct descpipe_call *call);
const char *fake_call_fact(const struct descpipe_call *call, const char *name);

/* How a launched argv ended, and what it wrote. */
struct fake_run {
    int exit_code; /* -1: by a signal */
    int signal;
    char output[65536];
};
/* Runs argv with exactly this environment and waits; both streams go to `output`. */
void fake_run(struct fake_run *run, char *const *argv, char *const *environment, const char *directory);

#endif
