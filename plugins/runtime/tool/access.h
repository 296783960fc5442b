/* SPDX-License-Identifier: BSD-3-Clause */
/* How a registry is reached by a tool: the host in a reference, an endpoint in its place, a login file, a folder of
 * certificates. */
#ifndef RUNTIME_TOOL_ACCESS_H
#define RUNTIME_TOOL_ACCESS_H

#include <descpipe/host.h>

#include "registry/failure.h"

/* The registry's host (with its port) of a reference, "docker.io" where none is named. Owned; NULL: memory is short. */
char *access_host(const char *reference);

/* The reference as the tool is to ask for it: with the endpoint's host where the credential names another one than the
 * reference's own. Owned. */
char *access_reference(const char *reference, const struct descpipe_credential *credential, struct failure *failure);

/* Files that live while a tool runs, in a private folder. */
struct access_files {
    char *folder;       /* NULL: none were made */
    char *login;        /* an authfile, mode 0600, or NULL */
    char *certificates; /* a folder as --cert-dir takes it, or NULL */
};
/* Below `parent`, for the host of `reference`. Nothing is made for an anonymous, ordinary access. */
bool access_files_make(struct access_files *files, const struct descpipe_host *host, const char *parent,
                       const char *reference, const struct descpipe_credential *credential, struct failure *failure);
/* The folder alone. */
bool access_folder_make(struct access_files *files, const char *parent, struct failure *failure);
void access_files_remove(struct access_files *files);

#endif
