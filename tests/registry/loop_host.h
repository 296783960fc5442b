/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plugin host for tests of registry/: the program's own event loop, HTTP, processes and helper threads behind the
 * services that registry/ uses. Built as a shared object, so that names of core and of registry/ do not meet.
 */
#ifndef TESTS_REGISTRY_LOOP_HOST_H
#define TESTS_REGISTRY_LOOP_HOST_H

#include <stdbool.h>

#include <descpipe/host.h>

struct loop_host;
DESCPIPE_EXPORT struct loop_host *loop_host_new(void);
DESCPIPE_EXPORT void loop_host_free(struct loop_host *host);
DESCPIPE_EXPORT const struct descpipe_host *loop_host_table(struct loop_host *host);
/* Runs the loop until *done, at most `seconds`; false: it was not done in time. */
DESCPIPE_EXPORT bool loop_host_wait(struct loop_host *host, const bool *done, int seconds);

#endif
