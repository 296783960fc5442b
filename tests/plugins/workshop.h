/* SPDX-License-Identifier: BSD-3-Clause */
/* A private folder with copies of test plugins, and a plugin host that looks there only. */
#ifndef DESCPIPE_TESTS_WORKSHOP_H
#define DESCPIPE_TESTS_WORKSHOP_H

#include "plugin/host.h"
#include "plugin/instance.h"

struct workshop {
    char *folder;  /* real path */
    char *plugins; /* folder/plugins: --plugin-dir */
    struct policy *policy;
    struct plugin_catalogue *catalogue;
    struct loop *loop;
    struct plugin_host *host;
    struct text faults; /* of plugins, one line each */
};

void workshop_open(struct workshop *workshop);
void workshop_close(struct workshop *workshop);
/* Copies built/NAME.so under the same name, mode 0644. Returns its path, which lives until close. */
const char *workshop_install(struct workshop *workshop, const char *name);
/* Copies built/FROM.so as `to`, cut to `length` bytes. */
const char *workshop_install_cut(struct workshop *workshop, const char *from, const char *to, size_t length);
/* A policy text; call before workshop_start. */
void workshop_policy(struct workshop *workshop, const char *text);
/* Catalogue, loop and host. */
void workshop_start(struct workshop *workshop);
struct plugin_instance *workshop_instance(struct workshop *workshop, const char *kind, const char *name);
/* Runs the loop until *flag. */
void workshop_run_until(struct workshop *workshop, const bool *flag);
/* FOLDER in a message stands for the workshop's folder. */
void workshop_expect(const struct workshop *workshop, const char *expected, const char *actual);

#endif
