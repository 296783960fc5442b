/* SPDX-License-Identifier: BSD-3-Clause */
/* The tags of a repository, page by page. */
#include "registry/image/tags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/url.h"
#include "registry/document.h"
#include "registry/reference.h"

struct tags {
    struct tags_request request;
    char *repository, *what;
    char **items; /* ends with NULL */
    size_t count, capacity, pages;
    struct client_exchange *exchange;
    bool stopped;
};

static void tags_free(struct tags *tags)
{
    free(tags->repository);
    free(tags->what);
    document_texts_free(tags->items, tags->count);
    registry_client_release(tags->request.client);
    free(tags);
}

static void finish(struct tags *tags, const struct failure *failure)
{
    static const char *const nothing[] = {NULL};
    const char *const *items = tags->items != NULL ? (const char *const *)tags->items : nothing;
    tags->request.done(tags->request.context, failure == NULL ? items : NULL, failure == NULL ? tags->count : 0,
                       failure);
    tags_free(tags);
}

static bool add_tag(struct tags *tags, const char *tag, struct failure *failure)
{
    if (tags->count + 1 >= tags->capacity) {
        size_t capacity = tags->capacity == 0 ? 64 : 2 * tags->capacity;
        char **items = realloc((void *)tags->items, capacity * sizeof *items);
        if (items == NULL)
            return failure_memory(failure);
        tags->items = items;
        tags->capacity = capacity;
    }
    if ((tags->items[tags->count] = strdup(tag)) == NULL)
        return failure_memory(failure);
    tags->items[++tags->count] = NULL;
    return true;
}

static bool read_page(struct tags *tags, const struct client_answer *answer, struct failure *failure)
{
    cleanup(document_free) json_t *root = document_parse(answer->body, answer->body_length, failure);
    const json_t *list = json_object_get(root, "tags");
    if (root == NULL)
        return failure_wrap(failure, "%s", tags->what);
    if (list == NULL || json_is_null(list))
        return true; /* how some say that there are none */
    if (!json_is_array(list))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "%s: 'tags' is not a list", tags->what);
    for (size_t i = 0; i < json_array_size(list) && tags->count < tags->request.limit; i++) {
        const char *tag = json_string_value(json_array_get(list, i));
        if (tag != NULL && reference_tag_valid(tag) && !add_tag(tags, tag, failure))
            return false;
    }
    return true;
}

/* <URL>; rel="next" → an owned URL. NULL with no failure: this was the last page. Source: RFC 8288 section 3. */
static char *next_page(const struct tags *tags, const struct client_answer *answer, struct failure *failure)
{
    const char *link = client_answer_header(answer, "Link");
    const char *end = link != NULL && link[0] == '<' ? strchr(link, '>') : NULL;
    if (end == NULL || strstr(end, "next") == NULL || tags->count >= tags->request.limit)
        return NULL;
    cleanup(memory_free) char *target = strndup(link + 1, (size_t)(end - link - 1));
    if (target == NULL) {
        failure_memory(failure);
        return NULL;
    }
    return url_resolve(answer->url, target, failure);
}

static bool ask(struct tags *tags, const char *path, struct failure *failure);

static void on_answer(void *context, const struct client_answer *answer, const struct failure *given)
{
    struct tags *tags = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    tags->exchange = NULL;
    if (given != NULL) {
        finish(tags, given);
        return;
    }
    cleanup(memory_free) char *next = read_page(tags, answer, &failure) ? next_page(tags, answer, &failure) : NULL;
    if (next != NULL && ++tags->pages >= TAGS_PAGES_LIMIT)
        failure_set(&failure, DESCPIPE_FAILED_REFUSED, "%s: the list does not end after %d pages", tags->what,
                    TAGS_PAGES_LIMIT);
    else if (next != NULL && ask(tags, next, &failure))
        return;
    finish(tags, failure.kind != 0 ? &failure : NULL);
}

static bool ask(struct tags *tags, const char *path, struct failure *failure)
{
    const struct client_request request = {.method = "GET",
                                           .path = path,
                                           .repository = tags->repository,
                                           .actions = "pull",
                                           .what = tags->what,
                                           .done = on_answer,
                                           .context = tags};
    tags->exchange = registry_client_send(tags->request.client, &request, failure);
    return tags->exchange != NULL;
}

struct tags *tags_start(const struct tags_request *request, struct failure *failure)
{
    cleanup(memory_free) char *path = NULL;
    struct tags *tags = calloc(1, sizeof *tags);
    if (tags == NULL) {
        failure_memory(failure);
        return NULL;
    }
    tags->request = *request;
    if (tags->request.limit == 0 || tags->request.limit > TAGS_LIMIT)
        tags->request.limit = TAGS_LIMIT;
    registry_client_retain(request->client);
    tags->repository = strdup(request->repository);
    if (asprintf(&tags->what, "tags of '%s/%s'", registry_client_access(request->client)->server, request->repository) <
        0)
        tags->what = NULL;
    if (asprintf(&path, "/v2/%s/tags/list?n=%d", request->repository, TAGS_PAGE) < 0)
        path = NULL;
    bool good = tags->repository != NULL && tags->what != NULL && path != NULL ? true : failure_memory(failure);
    if (good && ask(tags, path, failure))
        return tags;
    tags_free(tags);
    return NULL;
}

void tags_stop(struct tags *tags)
{
    if (tags == NULL || tags->stopped)
        return;
    tags->stopped = true;
    client_exchange_stop(tags->exchange);
}
