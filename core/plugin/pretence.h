/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that pretend, for the conformance kit: no tool is started, no server asked, no stage run. */
#ifndef DESCPIPE_PLUGIN_PRETENCE_H
#define DESCPIPE_PLUGIN_PRETENCE_H

#include "plugin/host.h"

enum mood {
    MOOD_ABSENT = 0, /* no tool is found, nobody listens */
    MOOD_FAILING,    /* tools exit 1, servers answer 500, logins are refused, the run is stopping */
    MOOD_NONSENSE,   /* tools exit 0 and servers answer 200, with bytes that mean nothing */
    MOOD_SILENT,     /* nothing ever answers until it is stopped */
    MOOD_COUNT
};
const char *mood_name(enum mood mood);

/* From now on every instance whose table is set so lives in this mood. */
void pretence_set(enum mood mood);
void pretence_install(struct plugin_instance *instance);
/* The mood's answers of the credential and stage services. */
struct plugin_callbacks pretence_callbacks(struct plugin_host *host);
/* Is there a stage that is about to end? For loop_run. */
bool pretence_stages_end(void *context);

#endif
