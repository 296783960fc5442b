/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A folder in which a group shares results: what one has made, the others need not make again.
 *
 *     FOLDER/results/KK/KEY      one line: {"result":"KEY","run","stage","member"?,"outputs":[{"name","bytes","sha256"}]}
 *     FOLDER/content/SS/SHA256   what such an output is: a file or a folder, a copy of its own
 *
 * How it works: content comes before the result that speaks of it, and each gets its name when it is whole and on the
 * disk; so a reader finds all of it or nothing, whoever is killed when, and two who make the same make one. Nobody
 * trusts what is there: whoever takes a result makes copies and reads them, and what is not what the result says is
 * taken away, so that it is made again. New folders have the mode of FOLDER: 2775 lets a group do all of this.
 * For helper threads: they touch their arguments and files, nothing else.
 */
#ifndef DESCPIPE_CACHE_SHARED_H
#define DESCPIPE_CACHE_SHARED_H

#include "base/text.h"
#include "cache/store.h"

/* It is there, and not everybody's to write. */
bool shared_cache_check(const char *folder, struct error *error);

/* Copies of what `from` (a folder) has of the result's outputs, under the names of their content. */
bool shared_cache_give(const char *folder, const struct cache_result *result, const char *from, struct error *error);

/* Makes the folder `to` with copies of the outputs of the result of `key`, and fills `result` from `arena`, without
 * `folder`. False: there is none, and `why` says so if one was there and did not hold. */
bool shared_cache_take(const char *folder, const char *key, const char *to, struct arena *arena,
                       struct cache_result *result, struct text *why);

#endif
