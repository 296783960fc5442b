/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Follows the objects of one kind that a selector chooses: the whole list first, then each change.
 *
 * How it works: a list gives the objects and a version; a watch from that version gives what happened since. A watch
 * that ends in good order goes on from the last version heard (bookmarks keep it young). One that breaks, falls silent,
 * or whose version the server does not know any more (410, as a status or as an event) begins with a list again, and
 * what is not in that list any more is told as gone: an event that nobody got is found out that way. While nobody
 * answers, `blind` says so once, and again when it works; objects stay as they were.
 */
#ifndef DESCPIPE_CLUSTER_WATCH_H
#define DESCPIPE_CLUSTER_WATCH_H

#include "cluster/client.h"
#include "cluster/lines.h"

enum { WATCH_PAGE = 500, WATCH_BLIND_AFTER_MS = 10000, WATCH_SECONDS = 300 };

struct cluster_watch {
    struct cluster *cluster;
    char *path;     /* "/api/v1/namespaces/x/pods" */
    char *selector; /* escaped; "" for all */
    /* Where changes are told, when that is another path: Argo Server's, who wants "listOptions." before each of a
     * query's names and says {"result": CHANGE}. */
    char *events;
    /* An object as it is now; `gone`: as it was last, or only its metadata. Borrowed. */
    void (*changed)(void *context, const json_t *object, bool gone);
    void (*listed)(void *context);                     /* after each whole list; may be NULL */
    void (*blind)(void *context, const char *message); /* NULL: it works again; may be NULL */
    void *context;

    struct cluster_exchange *exchange;
    struct descpipe_timer *timer;
    json_t *known;    /* name → {"metadata": {name, uid, labels}, "round": N} */
    json_int_t round; /* of lists */
    char *version;    /* resourceVersion, opaque */
    char *page;       /* `continue` of the list */
    struct lines lines;
    bool broken, is_blind, watching, opened;
    int64_t failing_since_ms, pause_ms;
};

/* All but the members that are set by the caller shall be zero; path, selector and events are taken over. */
void watch_begin(struct cluster_watch *watch);
/* Some bytes of the stream of events; for tests and fuzzers, beside the watch itself. */
void watch_take(struct cluster_watch *watch, const char *bytes, size_t length);
void watch_end(struct cluster_watch *watch); /* nothing comes any more; frees what it holds */

#endif
