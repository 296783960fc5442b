/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bucket of an S3-compatible store, as seen from this machine: what is there, what is put there, what is fetched.
 *
 * How it works: each transfer is a few signed requests, which are sent again a few times while what went wrong may
 * pass. A file is called by its contents' hash where it comes from here, so that it is sent once, by whichever run. A
 * file that is fetched has its name when it is whole.
 *
 * Source: docs.aws.amazon.com/AmazonS3/latest/API (HeadObject, PutObject, GetObject).
 */
#ifndef DESCPIPE_ARGO_STORE_H
#define DESCPIPE_ARGO_STORE_H

#include <descpipe/host.h>
#include <stdbool.h>

enum { STORE_WORDS = 512, STORE_KEY = 1024 };

struct store_transfer;

struct store {
    const struct descpipe_host *host;
    /* As the option says; borrowed. */
    const char *bucket, *endpoint, *secret, *region, *folder;
    char *access_key;
    struct descpipe_secret *secret_key;
    char *session; /* a header; NULL: none */
    struct store_transfer *transfers;
};

/* `words` is NULL when it went well. `key` is what it is called there. */
typedef void (*store_done)(void *context, const char *key, const char *words);

/* "artifacts: {bucket, endpoint, secret, region, folder}" as read. False with words. */
bool store_read(struct store *store, const struct descpipe_host *host, const char *const *map, char words[STORE_WORDS]);
bool store_has_keys(struct store *store); /* of the environment, or given */
bool store_give_keys(struct store *store, const char *access_key, const char *secret_key);
bool store_is_plain(const struct store *store);         /* http:// */
const char *store_host_name(const struct store *store); /* without the scheme */
/* "FOLDER/" and what is printed. */
void store_key(const struct store *store, char key[STORE_KEY], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* NULL: memory is short. `done` comes once, never before they return, and not after store_close. */
struct store_transfer *store_put(struct store *store, const char *path, store_done done, void *context);
struct store_transfer *store_fetch(struct store *store, const char *key, const char *path, store_done done,
                                   void *context);
void store_drop(struct store_transfer *transfer); /* its `done` does not come */
void store_close(struct store *store);

#endif
