/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance kit: drives one plugin through everything the interface asks of it, with a host that pretends.
 *
 * How it works: the checking is done in a child process, our own program again, because a plugin under test may crash
 * or hang. The child prints one line before and one after each check; the parent makes the page of them, so that a
 * crash is pinned to the check in which it happened. No tool is started and no server asked: the child's process, http,
 * stage and credential services only pretend, in several moods (nothing is there, everything fails, nonsense comes
 * back, silence).
 */
#ifndef DESCPIPE_PLUGIN_CONFORMANCE_H
#define DESCPIPE_PLUGIN_CONFORMANCE_H

#include "base/text.h"
#include "io/loop.h"
#include "plugin/instance.h"

/* The hidden first argument: `descpipe --conformance-child FILE` must call conformance_child_main and exit with what it
 * returns, before it does anything else. */
#define CONFORMANCE_ARGUMENT "--conformance-child"
int conformance_child_main(const char *path);

struct conformance_request {
    struct loop *loop;
    const char *program; /* NULL: /proc/self/exe */
    const char *path;    /* absolute */
    bool json;
};
/* Appends the page. True when the plugin conforms; false with the page and `*ran` when it does not; false with an error
 * when the check itself could not be done. */
bool conformance_check(const struct conformance_request *request, struct text *report, bool *ran, struct error *error);

#endif
