/* SPDX-License-Identifier: BSD-3-Clause */
/* The plugins of a run that is over or left, opened as the run had them. */
#ifndef DESCPIPE_COMMAND_RUNS_RUN_PLUGINS_H
#define DESCPIPE_COMMAND_RUNS_RUN_PLUGINS_H

#include <jansson.h>

#include "command/installation.h"

/* How it works: the journal's record `run` names the plugins and the options of the run's first backend; what it does
 * not say is this user's and machine's. */
struct run_plugins {
    struct installation installation;
    json_t *run; /* the record; NULL: there is none */
};
/* A run without a record is no error: it began nothing. */
bool run_plugins_open(struct run_plugins *plugins, const struct invocation *invocation, const char *run_folder,
                      struct error *error);
void run_plugins_clear(struct run_plugins *plugins);
/* The next name of that kind from *index on, or NULL. */
const char *run_plugins_next(const struct run_plugins *plugins, const char *kind, size_t *index);
/* NULL with the error. `first`: it is of the first backend, whose options are recorded. */
struct plugin_instance *run_plugins_open_one(struct run_plugins *plugins, const char *kind, const char *name,
                                             bool first, struct error *error);

#endif
