/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who could have put this file here? Like ssh's StrictModes: a plugin is trusted when nobody but root and the user
 * could have written it or any folder on the way to it.
 */
#ifndef DESCPIPE_PLUGIN_TRUST_H
#define DESCPIPE_PLUGIN_TRUST_H

#include <sys/stat.h>

#include "base/error.h"
#include "base/list.h"
#include "plugin/elf.h"

struct trust_rules {
    uid_t user;
    gid_t own_group;     /* the user's own group: that of the same name; (gid_t)-1: none */
    bool user_namespace; /* root outside is seen as `overflow` */
    uid_t overflow;
    const struct words *vouched; /* trusted-directories of the site policy, absolute; may be NULL */
};

/* Rules for whoever runs this process. */
struct trust_rules trust_rules_here(const struct words *vouched);

/* One step on the way: pure. `next_owner` owns the entry that the way takes inside a folder. */
struct trust_step {
    const char *path;
    const struct stat *status;
    const uid_t *next_owner; /* NULL for the last step */
};
bool trust_judge(const struct trust_rules *rules, const struct trust_step *step, struct error *error);

/* Every folder from / down and the last part itself. `real_path` is absolute, without links. */
bool trust_check(const struct trust_rules *rules, const char *real_path, struct error *error);
/* The folders where the object wants to find libraries. One that does not exist is judged by the deepest that does. */
bool trust_check_search(const struct trust_rules *rules, const char *real_path, const struct elf_facts *facts,
                        struct error *error);

#endif
