/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inputs that come from a URL: fetched once, before anything is submitted, into WORKING/.descpipe/inputs.
 *
 *     kept already? (helper thread) → exchange into a temporary file → sync, digest, rename (helper thread)
 *
 * How it works: a file is named after its content where the pipeline says its sha256 and is looked at again before each
 * use; without a sha256 it is named after its URL and fetched once for each working folder. PARALLEL inputs are under
 * way at a time. The first failure ends the others: a run that lacks an input cannot succeed. Query strings may be
 * signatures, so only request_append_url's form of a URL is ever shown or kept.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "io/http.h"
#include "io/request.h"
#include "run/walk.h"

#define PARALLEL 4
#define PROGRESS_MS 1000
#define TEMPORARY_PREFIX ".descpipe-"

struct fetch {
    struct fetcher *fetcher;
    uint32_t input;                 /* index into pipeline->inputs */
    const char *tag, *url, *sha256; /* sha256 NULL: not said */
    char *shown, *path, *temporary; /* the URL for people; the file; its name until it is whole */
    int descriptor;
    struct descpipe_exchange *exchange;
    uint64_t total, told; /* bytes, 0: not known; in the last record */
    bool kept;            /* helper thread: it was there already */
    struct error error;
};

struct fetcher {
    struct engine *engine;
    struct http *http;
    char *folder;
    LIST(struct fetch *) fetches;
    size_t next, active;
    struct loop_timer *progress;
    bool failed, closing;
    void (*done)(struct engine *engine);
};

static void record(struct fetch *fetch, const char *state, uint64_t bytes)
{
    struct engine *engine = fetch->fetcher->engine;
    if (fetch->fetcher->closing)
        return;
    struct text *text = journal_begin(engine->journal, "fetch");
    text_append(text, ",\"tag\":");
    text_append_json(text, fetch->tag);
    text_append(text, ",\"url\":");
    text_append_json(text, fetch->shown);
    text_append(text, ",\"done\":");
    text_append_unsigned(text, bytes);
    if (fetch->total > 0) {
        text_append(text, ",\"total\":");
        text_append_unsigned(text, fetch->total);
    }
    if (state != NULL) {
        text_append(text, ",\"state\":");
        text_append_json(text, state);
    }
    if (fetch->error.message != NULL) {
        text_append(text, ",\"reason\":");
        text_append_json(text, fetch->error.message);
    }
    journal_end(engine->journal);
    fetch->told = bytes;
}

static uint64_t bytes_so_far(const struct fetch *fetch)
{
    off_t at = fetch->descriptor >= 0 ? lseek(fetch->descriptor, 0, SEEK_CUR) : -1;
    return at > 0 ? (uint64_t)at : 0;
}

static void tell_progress(void *context)
{
    struct fetcher *fetcher = context;
    for (size_t i = 0; i < fetcher->next; i++) {
        struct fetch *fetch = fetcher->fetches.items[i];
        if (fetch->exchange != NULL && bytes_so_far(fetch) != fetch->told)
            record(fetch, NULL, bytes_so_far(fetch));
    }
    fetcher->progress = loop_timer(fetcher->engine->loop, PROGRESS_MS, tell_progress, fetcher);
}

static void drop_temporary(struct fetch *fetch)
{
    descriptor_close(fetch->descriptor);
    fetch->descriptor = -1;
    if (fetch->temporary != NULL)
        unlink(fetch->temporary);
    memory_free(steal(&fetch->temporary));
}

static void go_on(struct fetcher *fetcher);

static void fetch_failed(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    uint64_t bytes = bytes_so_far(fetch);
    drop_temporary(fetch);
    if (!fetcher->failed) {
        fetcher->failed = true;
        record(fetch, "failed", bytes);
        error_move(&fetcher->engine->error, &fetch->error);
        for (size_t i = 0; i < fetcher->next; i++)
            if (fetcher->fetches.items[i]->exchange != NULL)
                http_stop(fetcher->fetches.items[i]->exchange);
    }
    fetcher->active--;
    go_on(fetcher);
}

static void fetch_succeeded(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    record(fetch, fetch->kept ? "kept" : "done", fetch->told);
    fetcher->engine->fetched[fetch->input] = steal(&fetch->path);
    fetcher->active--;
    go_on(fetcher);
}

/* On a helper thread: the whole file is there; is it the right one? */
static void settle_work(void *context)
{
    struct fetch *fetch = context;
    char digest[DIGEST_TEXT];
    if (fsync(fetch->descriptor) != 0) {
        error_system(&fetch->error, "cannot sync '%s'", fetch->temporary);
        return;
    }
    if (fetch->sha256 != NULL && !digest_of_file(fetch->temporary, digest, &fetch->error))
        return;
    if (fetch->sha256 != NULL && strcmp(digest, fetch->sha256) != 0) {
        error_set(&fetch->error, ERROR_NETWORK, "the input '%s' from '%s' has the sha256 %s, not %s", fetch->tag,
                  fetch->shown, digest, fetch->sha256);
        error_hint(&fetch->error, "it is not the file that the pipeline was written for; correct its sha256 if the new "
                                  "one is right");
        return;
    }
    if (rename(fetch->temporary, fetch->path) != 0)
        error_system(&fetch->error, "cannot put '%s' in place", fetch->path);
    else
        folder_sync(fetch->fetcher->folder, &fetch->error);
}

static void settle_done(void *context)
{
    struct fetch *fetch = context;
    if (fetch->error.message != NULL) {
        fetch_failed(fetch);
        return;
    }
    descriptor_close(fetch->descriptor);
    fetch->descriptor = -1;
    memory_free(steal(&fetch->temporary));
    fetch_succeeded(fetch);
}

static const char *hint_of(const struct descpipe_http_end *end)
{
    switch (end->status) {
    case 401:
    case 403:
        return "the server wants a login, which the url of an input cannot give: fetch the file yourself and name it";
    case 404:
    case 410:
        return "correct its url under 'runtime.inputs', or name a file of yours";
    default:
        return "try again later, or fetch the file yourself and name it";
    }
}

static void exchange_ended(void *context, const struct descpipe_http_end *end)
{
    struct fetch *fetch = context;
    fetch->exchange = NULL;
    if (fetch->fetcher->closing) {
        drop_temporary(fetch);
        return;
    }
    if (end->outcome == DESCPIPE_HTTP_DONE && end->status / 100 == 2) {
        fetch->told = bytes_so_far(fetch);
        pool_run(engine_pool(fetch->fetcher->engine), settle_work, settle_done, fetch);
        return;
    }
    if (end->outcome == DESCPIPE_HTTP_DONE)
        error_set(&fetch->error, ERROR_NETWORK, "the input '%s' cannot be fetched: GET '%s': the server answers %d",
                  fetch->tag, fetch->shown, end->status);
    else
        error_set(&fetch->error, ERROR_NETWORK, "the input '%s' cannot be fetched: %s", fetch->tag,
                  end->message != NULL ? end->message : "no reason is known");
    error_hint(&fetch->error, "%s: --input %s=PATH", hint_of(end), fetch->tag);
    fetch_failed(fetch);
}

static void exchange_header(void *context, const char *name, const char *value)
{
    struct fetch *fetch = context;
    uint64_t total;
    if (strcasecmp(name, "content-length") == 0)
        fetch->total = text_to_unsigned(value, &total) ? total : 0;
}

static void send_request(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    fetch->temporary = path_join(fetcher->folder, name);
    fetch->descriptor = open(fetch->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fetch->descriptor < 0) {
        error_system(&fetch->error, "cannot make '%s'", fetch->temporary);
        fetch_failed(fetch);
        return;
    }
    record(fetch, "started", 0);
    /* Bytes that a digest vouches for may come over any line; a redirect to plain http is another matter. */
    bool plain = text_starts_with(fetch->url, "http://") && fetch->sha256 != NULL;
    const struct descpipe_http_request request = {.size = sizeof request,
                                                  .flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS |
                                                           (plain ? (uint32_t)DESCPIPE_HTTP_PLAIN_ALLOWED : 0),
                                                  .method = "GET",
                                                  .url = fetch->url,
                                                  .body_descriptor = -1,
                                                  .answer_descriptor = fetch->descriptor,
                                                  .answer_limit = UINT64_MAX,
                                                  .header = exchange_header,
                                                  .ended = exchange_ended,
                                                  .context = fetch};
    fetch->exchange = http_start(fetcher->http, &request);
}

/* On a helper thread: a file of this name that is not what its name says goes. */
static void look_work(void *context)
{
    struct fetch *fetch = context;
    char digest[DIGEST_TEXT];
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!file_exists(fetch->path))
        return;
    fetch->kept =
        fetch->sha256 == NULL || (digest_of_file(fetch->path, digest, &error) && strcmp(digest, fetch->sha256) == 0);
    struct stat status;
    if (fetch->kept && stat(fetch->path, &status) == 0)
        fetch->told = (uint64_t)status.st_size;
    else
        unlink(fetch->path);
}

static void look_done(void *context)
{
    struct fetch *fetch = context;
    if (fetch->fetcher->failed || fetch->fetcher->closing) {
        fetch->fetcher->active--;
        go_on(fetch->fetcher);
    } else if (fetch->kept) {
        fetch_succeeded(fetch);
    } else {
        send_request(fetch);
    }
}

static void go_on(struct fetcher *fetcher)
{
    while (!fetcher->failed && fetcher->active < PARALLEL && fetcher->next < fetcher->fetches.count) {
        struct fetch *fetch = fetcher->fetches.items[fetcher->next++];
        fetcher->active++;
        pool_run(engine_pool(fetcher->engine), look_work, look_done, fetch);
    }
    if (fetcher->active > 0 || fetcher->done == NULL || fetcher->closing)
        return;
    loop_timer_stop(steal(&fetcher->progress));
    void (*done)(struct engine *) = fetcher->done;
    fetcher->done = NULL;
    done(fetcher->engine);
}

static void add(struct fetcher *fetcher, uint32_t number, symbol suffix)
{
    const struct pipeline *pipeline = fetcher->engine->pipeline;
    const struct run_input *input = &pipeline->inputs.items[number];
    struct fetch *fetch = memory_allocate(sizeof *fetch);
    *fetch = (struct fetch){.fetcher = fetcher,
                            .input = number,
                            .tag = pipeline_text(pipeline, input->tag),
                            .url = pipeline_text(pipeline, input->url),
                            .sha256 = input->sha256 != 0 ? pipeline_text(pipeline, input->sha256) : NULL,
                            .descriptor = -1};
    cleanup(text_clear) struct text shown = TEXT_INIT;
    request_append_url(&shown, fetch->url);
    fetch->shown = memory_copy_text(text_bytes(&shown));
    uint8_t bytes[DIGEST_BYTES];
    char of_url[DIGEST_TEXT];
    digest_of(fetch->url, strlen(fetch->url), bytes);
    digest_to_text(bytes, of_url);
    fetch->path = memory_format("%s/%s%s.%s", fetcher->folder, fetch->sha256 != NULL ? "" : "url-",
                                fetch->sha256 != NULL ? fetch->sha256 : of_url, pipeline_text(pipeline, suffix));
    list_add(&fetcher->fetches, fetch);
}

/* What the selected stages take; all of them take an input with the same suffix. */
static void add_all(struct fetcher *fetcher)
{
    struct engine *engine = fetcher->engine;
    const struct pipeline *pipeline = engine->pipeline;
    cleanup(memory_free) symbol *suffixes = memory_allocate((pipeline->inputs.count + 1) * sizeof *suffixes);
    for (uint32_t i = 0; i < pipeline->stages.count; i++) {
        struct slice inputs = pipeline->stages.items[i].inputs;
        for (uint32_t j = 0; j < inputs.count && engine->plan->stages[i].selected; j++) {
            const struct file_tag *file = &pipeline->files.items[inputs.at + j];
            const struct run_input *input = pipeline_input(pipeline, file->tag);
            if (input != NULL && input->url != 0)
                suffixes[input - pipeline->inputs.items] = file->suffix;
        }
    }
    for (uint32_t i = 0; i < pipeline->inputs.count; i++)
        if (suffixes[i] != 0)
            add(fetcher, i, suffixes[i]);
}

/* What an engine that died had begun. The working folder's lease says that nobody else is at it. */
static void remove_temporaries(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (text_starts_with(entry->d_name, TEMPORARY_PREFIX))
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

void fetch_begin(struct engine *engine, void (*done)(struct engine *engine))
{
    struct fetcher *fetcher = memory_allocate(sizeof *fetcher);
    *fetcher = (struct fetcher){.engine = engine, .folder = path_join(engine->folder.descpipe, "inputs"), .done = done};
    engine->fetcher = fetcher;
    engine->fetched = memory_allocate((engine->pipeline->inputs.count + 1) * sizeof *engine->fetched);
    add_all(fetcher);
    if (fetcher->fetches.count > 0) {
        fetcher->http = http_new(engine->loop, &engine->error);
        fetcher->failed = fetcher->http == NULL || !folder_make(fetcher->folder, 0777, &engine->error);
        remove_temporaries(fetcher->folder);
        fetcher->progress = loop_timer(engine->loop, PROGRESS_MS, tell_progress, fetcher);
    }
    go_on(fetcher);
}

void fetch_end(struct engine *engine)
{
    if (engine->fetcher == NULL)
        return;
    engine->fetcher->closing = true; /* a helper thread may still have one: it is found by the next run */
    loop_timer_stop(steal(&engine->fetcher->progress));
    http_free(steal(&engine->fetcher->http));
}
