/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists and watches; watch.h says how it works. */
#include "cluster/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_PAUSE_MS = 250, WATCH_PAUSE_LIMIT_MS = 15000, WATCH_IDLE_MS = 90000 };

static void list_now(void *context);
static void watch_now(void *context);

static void replace(char **place, const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    free(*place);
    *place = copy;
}

static void wait_then(struct cluster_watch *watch, int64_t pause_ms, void (*then)(void *context))
{
    const struct descpipe_host *host = watch->cluster->host;
    watch->timer = host->timer->start(host, (uint64_t)pause_ms, then, watch);
}

static void works(struct cluster_watch *watch)
{
    watch->failing_since_ms = 0;
    watch->pause_ms = 0;
    if (watch->is_blind && watch->blind != NULL) {
        watch->blind(watch->context, NULL);
    }
    watch->is_blind = false;
}

/* Once more, a little later; after a while of it people hear why. */
static void fails(struct cluster_watch *watch, const char *words)
{
    int64_t now = cluster_now_ms();
    if (watch->failing_since_ms == 0) {
        watch->failing_since_ms = now;
    }
    if (!watch->is_blind && watch->blind != NULL && words[0] != '\0' &&
        now - watch->failing_since_ms >= WATCH_BLIND_AFTER_MS) {
        watch->is_blind = true;
        watch->blind(watch->context, words);
    }
    watch->pause_ms = watch->pause_ms == 0 ? WATCH_PAUSE_MS : watch->pause_ms * 2;
    if (watch->pause_ms > WATCH_PAUSE_LIMIT_MS) {
        watch->pause_ms = WATCH_PAUSE_LIMIT_MS;
    }
    wait_then(watch, watch->pause_ms, list_now);
}

static const char *name_of(const json_t *object)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

/* What is kept of an object, to know it again when it is gone. */
static void remember(struct cluster_watch *watch, const char *name, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    json_t *kept = json_pack("{s:{s:O?, s:O?, s:O?}, s:I}", "metadata", "name", json_object_get(metadata, "name"),
                             "uid", json_object_get(metadata, "uid"), "labels", json_object_get(metadata, "labels"),
                             "round", watch->round);
    if (kept != NULL) {
        json_object_set_new(watch->known, name, kept);
    }
}

/* Another object under the old name: the old one is gone, whoever did not say so. */
static void tell_replaced(struct cluster_watch *watch, const char *name, const json_t *object)
{
    const json_t *before = json_object_get(json_object_get(json_object_get(watch->known, name), "metadata"), "uid");
    const json_t *now = json_object_get(json_object_get(object, "metadata"), "uid");
    if (before == NULL || now == NULL || json_equal(before, now)) {
        return;
    }
    json_t *old = json_incref(json_object_get(watch->known, name));
    json_object_del(watch->known, name);
    watch->changed(watch->context, old, true);
    json_decref(old);
}

static void take(struct cluster_watch *watch, const json_t *object)
{
    const char *name = name_of(object);
    if (name == NULL) {
        return;
    }
    tell_replaced(watch, name, object);
    remember(watch, name, object);
    watch->changed(watch->context, object, false);
}

/* Whatever no list of this round had. */
static void tell_missing(struct cluster_watch *watch)
{
    const char *name;
    json_t *kept, *missing = json_array();
    json_object_foreach(watch->known, name, kept)
    {
        if (json_integer_value(json_object_get(kept, "round")) != watch->round) {
            json_array_append(missing, kept);
        }
    }
    size_t i;
    json_array_foreach(missing, i, kept)
    {
        json_object_del(watch->known, name_of(kept));
        watch->changed(watch->context, kept, true);
    }
    json_decref(missing);
}

static void list_done(void *context, const struct cluster_reply *reply)
{
    struct cluster_watch *watch = context;
    watch->exchange = NULL;
    if (!reply->ok) {
        replace(&watch->page, NULL); /* a page of an old list (410) begins again as well */
        fails(watch, reply->words);
        return;
    }
    const json_t *items = json_object_get(reply->json, "items"), *metadata = json_object_get(reply->json, "metadata");
    size_t i;
    json_t *item;
    if ((!json_is_array(items) && !json_is_null(items)) || !json_is_object(metadata)) { /* null is how Go says none */
        fails(watch, "the API server's list is none");
        return;
    }
    json_array_foreach(items, i, item)
    {
        take(watch, item);
        if (!watch->opened) {
            return; /* it was ended by what it told */
        }
    }
    const char *page = json_string_value(json_object_get(metadata, "continue"));
    if (page != NULL && page[0] != '\0') {
        replace(&watch->page, page);
        wait_then(watch, 0, list_now);
        return;
    }
    replace(&watch->page, NULL);
    replace(&watch->version, json_string_value(json_object_get(metadata, "resourceVersion")));
    works(watch);
    tell_missing(watch);
    if (watch->opened && watch->listed != NULL) {
        watch->listed(watch->context);
    }
    if (watch->opened) {
        wait_then(watch, 0, watch_now);
    }
}

static void ask(struct cluster_watch *watch, const struct cluster_request *request)
{
    watch->exchange = request->path != NULL ? cluster_ask(watch->cluster, request) : NULL;
    if (watch->exchange == NULL) {
        fails(watch, "out of memory");
    }
}

static void list_now(void *context)
{
    struct cluster_watch *watch = context;
    watch->timer = NULL;
    watch->watching = false;
    if (watch->page == NULL) {
        watch->round++;
    }
    char *page = watch->page != NULL ? cluster_escape(watch->page) : NULL;
    const char *before = watch->events != NULL ? "listOptions." : "";
    char *path = cluster_path(watch->cluster, "%s?%slimit=%d&%slabelSelector=%s%s%s%s%s", watch->path, before,
                              WATCH_PAGE, before, watch->selector, page != NULL ? "&" : "", page != NULL ? before : "",
                              page != NULL ? "continue=" : "", page != NULL ? page : "");
    const struct cluster_request request = {
        .method = "GET", .path = path, .patience_ms = -1, .done = list_done, .context = watch};
    ask(watch, &request);
    free(path);
    free(page);
}

/* {"type": "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR", "object": {...}} */
static void take_line(struct cluster_watch *watch, const char *line, size_t length)
{
    json_error_t error;
    json_t *said = json_loadb(line, length, 0, &error);
    const json_t *event = watch->events != NULL ? json_object_get(said, "result") : said;
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *object = json_object_get(event, "object");
    const char *version = json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
    if (type == NULL || !json_is_object(object)) {
        watch->broken = true;
    } else if (strcmp(type, "ERROR") == 0) {
        watch->broken = true; /* 410 Expired among them */
    } else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
        take(watch, object);
    } else if (strcmp(type, "DELETED") == 0 && name_of(object) != NULL) {
        json_object_del(watch->known, name_of(object));
        watch->changed(watch->context, object, true);
    }
    if (watch->opened && !watch->broken && version != NULL) {
        replace(&watch->version, version);
    }
    json_decref(said);
}

void watch_take(struct cluster_watch *watch, const char *bytes, size_t length)
{
    if (!watch->watching) { /* its headers are good */
        watch->watching = true;
        works(watch);
    }
    while (length > 0 && watch->opened && !watch->broken) {
        enum lines_word word = lines_next(&watch->lines, &bytes, &length);
        if (word == LINES_TOO_LONG) {
            watch->broken = true;
        } else if (word == LINES_WHOLE && watch->lines.length > 0) {
            take_line(watch, watch->lines.bytes, watch->lines.length);
        }
    }
}

static void watch_data(void *context, const char *bytes, size_t length)
{
    watch_take(context, bytes, length);
}

static void watch_done(void *context, const struct cluster_reply *reply)
{
    struct cluster_watch *watch = context;
    watch->exchange = NULL;
    if (!reply->ok && reply->status >= 400 && reply->status != 410) {
        fails(watch, reply->words);
    } else if (reply->ok && !watch->broken && lines_are_whole(&watch->lines) && watch->version != NULL &&
               watch->watching) {
        wait_then(watch, 0, watch_now); /* its time was over */
    } else if (reply->ok || reply->status == 410) {
        wait_then(watch, WATCH_PAUSE_MS, list_now);
    } else {
        fails(watch, reply->words);
    }
}

static void watch_now(void *context)
{
    struct cluster_watch *watch = context;
    watch->timer = NULL;
    watch->watching = watch->broken = false;
    lines_begin(&watch->lines);
    const char *version = watch->version != NULL ? watch->version : "";
    char *path =
        watch->events != NULL
            ? cluster_path(
                  watch->cluster,
                  "%s?listOptions.labelSelector=%s&listOptions.resourceVersion=%s&listOptions.timeoutSeconds=%d",
                  watch->events, watch->selector, version, WATCH_SECONDS)
            : cluster_path(watch->cluster,
                           "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s&labelSelector=%s",
                           watch->path, WATCH_SECONDS, version, watch->selector);
    const struct cluster_request request = {.method = "GET",
                                            .path = path,
                                            .patience_ms = -1,
                                            .idle_timeout_ms = WATCH_IDLE_MS,
                                            .data = watch_data,
                                            .done = watch_done,
                                            .context = watch};
    ask(watch, &request);
    free(path);
}

void watch_begin(struct cluster_watch *watch)
{
    watch->known = json_object();
    watch->opened = true;
    if (watch->known == NULL || watch->path == NULL || watch->selector == NULL) {
        watch->opened = false;
        return;
    }
    wait_then(watch, 0, list_now);
}

void watch_end(struct cluster_watch *watch)
{
    watch->opened = false;
    cluster_drop(watch->exchange);
    watch->exchange = NULL;
    if (watch->timer != NULL) {
        watch->cluster->host->timer->stop(watch->timer);
        watch->timer = NULL;
    }
    json_decref(watch->known);
    watch->known = NULL;
    free(watch->path);
    free(watch->selector);
    free(watch->version);
    free(watch->page);
    free(watch->events);
    lines_free(&watch->lines);
    watch->path = watch->selector = watch->version = watch->page = watch->events = NULL;
}
