/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller's entry in /etc/passwd and /etc/group, for images that do not know the caller's uid: programs ask for
 * their user's name and stop when there is none. The image is shared and stays as it is; a completed copy, kept by
 * its content in the store, is mounted over the file.
 */
#ifndef NATIVE_ACCOUNTS_H
#define NATIVE_ACCOUNTS_H

#include <sys/types.h>

#include "registry/failure.h"

#define ACCOUNTS_FILE_LIMIT (1024 * 1024)

struct accounts_request {
    const char *folder; /* where the copies are kept; made when missing */
    const char *file;   /* the image's file on this machine, NULL when it has none */
    const char *name;   /* of the user or group */
    const char *home;   /* NULL: a group */
    uid_t uid;
    gid_t gid;
};

/* *path is the completed copy (owned by the caller), or NULL when the image's file has the id already. */
bool accounts_complete(const struct accounts_request *request, char **path, struct failure *failure);

#endif
