/* SPDX-License-Identifier: BSD-3-Clause */
/* A build context: the files of a folder as a tar stream, without what its .dockerignore leaves out. */
#ifndef DESCPIPE_DOCKER_CONTEXT_H
#define DESCPIPE_DOCKER_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTEXT_ENTRIES_LIMIT = 1000000, CONTEXT_PATH = 4096, CONTEXT_WORDS = 512 };

struct context_request {
    const char *folder; /* absolute */
    const char *file;   /* the Dockerfile, absolute; it goes along even from outside of the folder */
    int descriptor;     /* the archive is written here */
};
struct context_answer {
    char file[CONTEXT_PATH]; /* the Dockerfile's name in the archive */
    uint64_t entries, bytes; /* of files */
    char words[CONTEXT_WORDS];
};
/* Owners become root and modes stay, as with Docker's own client. May run on a helper thread. False: `words` says why.
 * `stop` ends it early, when it becomes true. */
bool context_write(const struct context_request *request, const volatile bool *stop, struct context_answer *answer);

#endif
