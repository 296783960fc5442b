/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Converted images, kept by what they were made of and shared by every process of one user.
 *
 *     CACHE/images/KEY/PAYLOAD       what the tool made: a file or a folder
 *     CACHE/images/KEY/description   what is known of it, with the size and checksum of a file
 *     CACHE/temporary/KEY.XXXXXX     one being made
 *     CACHE/locks/KEY                taken (flock) while it is being made
 *
 * How it works: as in the store of `native`, a thing is made in a temporary folder, synced and renamed, so what is in
 * its place is whole; the lock only saves double work. A payload whose size is no longer as described counts as not
 * there and is made anew. Everything here is for a helper thread.
 */
#ifndef RUNTIME_TOOL_CACHE_H
#define RUNTIME_TOOL_CACHE_H

#include "tool/facts.h"

#define CACHE_KEY_SIZE 65

/* sha256 of "kind\nname\nplatform", as 64 digits. */
bool cache_key(const char *kind, const char *name, const char *platform, char key[CACHE_KEY_SIZE],
               struct failure *failure);

struct cache_place {
    const char *folder;  /* CACHE, absolute, which exists or can be made */
    const char *payload; /* "image.sif" */
    char key[CACHE_KEY_SIZE];
};

/* Makes what is missing of CACHE. */
bool cache_open(const char *folder, struct failure *failure);

/* The payload's path, owned, and its facts; NULL with no failure when it is not there. `verify` reads a file again and
 * compares its checksum. */
char *cache_find(const struct cache_place *place, bool verify, const atomic_bool *stop, struct image_facts *facts,
                 struct failure *failure);

/* One being made. */
struct cache_making {
    char *folder; /* the temporary folder, owned; NULL before */
    int lock;
};
#define CACHE_MAKING_INIT ((struct cache_making){.folder = NULL, .lock = -1})

/* Takes the lock and makes an empty folder. False with no failure: another is making it. */
bool cache_begin(const struct cache_place *place, struct cache_making *making, struct failure *failure);
/* Puts what lies in the folder into its place; answers the payload's path, owned, or NULL with a failure. */
char *cache_commit(const struct cache_place *place, struct cache_making *making, const struct image_facts *facts,
                   const atomic_bool *stop, struct failure *failure);
/* Removes what was not committed and gives the lock back. */
void cache_end(struct cache_making *making);

/* "sha256:..." of a file. */
bool cache_file_digest(const char *path, const atomic_bool *stop, char digest[72], struct failure *failure);

#endif
