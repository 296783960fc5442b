/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unpacked images, kept by content on a local disk and shared by every process of one user.
 *
 *     STORE/layers/sha256/DIFF_ID/{tree,whiteouts}   a layer, unpacked once
 *     STORE/images/sha256/CONFIG/root                an image: its layers laid over each other, files by hard link
 *     STORE/images/sha256/CONFIG/environment         what its author set, see environment.h
 *     STORE/images/sha256/CONFIG/layers              the DIFF_IDs of its layers, each "sha256:..." on a line
 *     STORE/blobs/sha256/HEX                         documents and layers as a registry has them (blobs.h)
 *     STORE/partial/HEX                              a blob that is being fetched, or was when its process ended
 *     STORE/names/HEX                                which image a registry's reference meant here (names.h)
 *     STORE/temporary/KIND-HEX.XXXXXX                something being made
 *     STORE/locks/KIND-HEX                           taken (flock) while that thing is being made
 *
 * How it works: a thing is made in a temporary folder, synced, and renamed to its place, so what is in its place is
 * whole; a crash leaves a temporary folder that the next taker of the same lock removes. The lock only saves double
 * work: without it the second rename would fail and its folder be dropped. Nothing in place is ever written again, so
 * images can share the files of their layers.
 *
 * The time of an image's folder is when it was last asked for. Whoever makes something holds `locks/store` (shared)
 * meanwhile; pruning (prune.h) takes it alone, so nothing goes that somebody builds on.
 */
#ifndef NATIVE_STORE_STORE_H
#define NATIVE_STORE_STORE_H

#include "budget.h"
#include "describe.h"
#include "source.h"

struct store;
/* Makes what is missing below `path`, which may be missing itself (one level). */
struct store *store_open(const char *path, struct failure *failure);
void store_close(struct store *store);
static inline void store_close_at(struct store **place)
{
    store_close(*place);
}
const char *store_path(const struct store *store);
/* Keeps pruners away until the store is closed. False with *busy: one is at work, ask again later. */
bool store_enter(struct store *store, bool *busy, struct failure *failure);
/* The other side: alone with the store, or false with *busy. */
bool store_enter_alone(struct store *store, bool *busy, struct failure *failure);
/* Where sources may inflate to. */
const char *store_temporary(const struct store *store);

/* The image's root folder, owned; NULL with no failure when it is not there. It counts as used now. */
char *store_find_image(const struct store *store, const char *config_digest, struct failure *failure);
/* The same, unpacked first when needed. NULL with no failure and *busy: somebody else is making it or one of its
 * layers; ask again later. It never waits, so that no helper thread stands still. */
char *store_make_image(const struct store *store, const struct source *source, const struct description *description,
                       const struct budget *budget, bool *busy, struct failure *failure);

/* Says that this process will want the image again; a descriptor to be kept open as long, or -1 (then only the time of
 * its last use speaks for it). */
int store_hold_image(const struct store *store, const char *config_digest);
bool store_image_is_held(const struct store *store, const char *config_digest);
bool store_has_layer(const struct store *store, const char *diff_id);
/* One layer; false with no failure and *busy as above. */
bool store_make_layer(const struct store *store, const struct source *source, const struct described_layer *layer,
                      const struct budget *budget, bool *busy, struct failure *failure);

#endif
