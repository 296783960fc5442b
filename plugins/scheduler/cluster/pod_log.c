/* SPDX-License-Identifier: BSD-3-Clause */
/* Logs of pods; pod_log.h says how it works. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/pod.h"
#include "cluster/pod_log.h"

enum { LOG_PAUSE_MS = 1000, LOG_PATIENCE_MS = 30000, LOG_END_MS = 3000, LOG_WORDS = 1024 };

static void ask_log(struct pod_log *log);

static void close_log(struct pod_log *log)
{
    if (log->descriptor > 0) {
        close(log->descriptor);
    }
    log->descriptor = 0;
    lines_free(&log->lines);
}

void pod_log_drop(struct pod_log *log)
{
    if (log->exchange != NULL) {
        cluster_drop(log->exchange);
        log->exchange = NULL;
        *log->following -= log->followed;
    }
    if (log->timer != NULL) {
        log->cluster->host->timer->stop(log->timer);
        log->timer = NULL;
    }
    close_log(log);
}

/* From here on the file has something else than the node. A little of it was the node's own words in place of the log,
 * which go; more of it is from before the node began a new file, and the rest of this answer is new. */
static void differs(struct pod_log *log)
{
    uint64_t same = log->written - log->skip;
    if (log->skip <= LOG_WORDS && ftruncate(log->descriptor, (off_t)same) == 0) {
        log->written = same;
    } else {
        log->origin = log->written;
    }
    log->skip = 0;
}

/* How many of these bytes are written already: they stand in the file where this answer goes on. */
static size_t already_there(struct pod_log *log, const char *bytes, size_t length)
{
    size_t there = 0;
    while (there < length && log->skip > 0) {
        char kept[4096];
        size_t wanted = length - there < sizeof(kept) ? length - there : sizeof(kept);
        wanted = log->skip < wanted ? (size_t)log->skip : wanted;
        ssize_t got = pread(log->descriptor, kept, wanted, (off_t)(log->written - log->skip));
        size_t same = 0;
        while (got > 0 && same < (size_t)got && kept[same] == bytes[there + same]) {
            same++;
        }
        there += same;
        log->skip -= same;
        if (got <= 0 || same < (size_t)got) {
            differs(log);
        }
    }
    return there;
}

static void add_bytes(struct pod_log *log, const char *bytes, size_t length)
{
    size_t there = already_there(log, bytes, length);
    bytes += there;
    length -= there;
    while (length > 0 && log->descriptor > 0) {
        ssize_t written = write(log->descriptor, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; /* a full disk is found out by whoever needs more of it than a log */
        }
        log->written += (uint64_t)written;
        bytes += written;
        length -= (size_t)written;
    }
}

/* {"result": {"content": "...", "podName": "..."}} */
static void add_entry(struct pod_log *log)
{
    json_t *said = json_loadb(log->lines.bytes, log->lines.length, JSON_ALLOW_NUL, NULL);
    const json_t *content = json_object_get(json_object_get(said, "result"), "content");
    if (json_is_string(content)) {
        add_bytes(log, json_string_value(content), json_string_length(content));
        add_bytes(log, "\n", 1);
    }
    json_decref(said);
}

static void log_data(void *context, const char *bytes, size_t length)
{
    struct pod_log *log = context;
    if (log->workflow == NULL) {
        add_bytes(log, bytes, length);
        return;
    }
    enum lines_word word = LINES_MORE;
    while (length > 0 && (word = lines_next(&log->lines, &bytes, &length)) != LINES_TOO_LONG) {
        if (word == LINES_WHOLE && log->lines.length > 0) {
            add_entry(log);
        }
    }
    if (word == LINES_TOO_LONG) { /* none of Argo's; what follows its end is read on */
        lines_begin(&log->lines);
    }
}

static void log_again(void *context)
{
    struct pod_log *log = context;
    log->timer = NULL;
    ask_log(log);
}

static void whole(struct pod_log *log)
{
    close_log(log);
    log->whole(log->context);
}

static void log_done(void *context, const struct cluster_reply *reply)
{
    struct pod_log *log = context;
    log->exchange = NULL;
    if (log->timer != NULL) {
        log->cluster->host->timer->stop(log->timer);
        log->timer = NULL;
    }
    *log->following -= log->followed;
    if (reply->ok && log->over) {
        if (log->final) {
            whole(log);
        } else {
            ask_log(log); /* it ended about when the stage did */
        }
        return;
    }
    if (log->over && (reply->status == 404 || cluster_now_ms() > log->until_ms)) {
        char message[POD_WORDS + CLUSTER_WORDS];
        snprintf(message, sizeof(message), "the log of pod '%s' may lack its end: %s", log->pod, reply->words);
        log->cluster->host->log->write(log->cluster->host, DESCPIPE_LOG_WARNING, message);
        whole(log);
        return;
    }
    log->timer = log->cluster->host->timer->start(log->cluster->host, LOG_PAUSE_MS, log_again, log);
}

static char *path_of(const struct pod_log *log)
{
    const char *namespace = log->cluster->namespace;
    return log->workflow != NULL
               ? cluster_path(log->cluster,
                              "/api/v1/workflows/%s/%s/log?podName=%s&logOptions.container=" POD_CONTAINER "%s",
                              namespace, log->workflow, log->pod, log->followed ? "&logOptions.follow=true" : "")
               : cluster_path(log->cluster, "/api/v1/namespaces/%s/pods/%s/log?container=" POD_CONTAINER "%s",
                              namespace, log->pod, log->followed ? "&follow=true" : "");
}

static void ask_log(struct pod_log *log)
{
    if (log->descriptor <= 0) {
        struct stat status;
        log->descriptor = open(log->output, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
        log->written = log->descriptor >= 0 && fstat(log->descriptor, &status) == 0 ? (uint64_t)status.st_size : 0;
    }
    log->final = log->over;
    log->followed = !log->final;
    log->skip = log->written - log->origin;
    lines_begin(&log->lines);
    char *path = path_of(log);
    const struct cluster_request request = {.method = "GET",
                                            .path = path,
                                            .patience_ms = -1,
                                            .idle_timeout_ms = log->followed ? UINT64_MAX : 0,
                                            .data = log_data,
                                            .done = log_done,
                                            .context = log};
    log->exchange = path != NULL ? cluster_ask(log->cluster, &request) : NULL;
    free(path);
    *log->following += log->exchange != NULL && log->followed;
    if (log->exchange == NULL && log->over) {
        whole(log);
    }
}

void pod_log_follow(struct pod_log *log)
{
    bool wanted = log->output != NULL && log->pod != NULL && log->exchange == NULL && log->timer == NULL;
    if (wanted && *log->following < POD_LOG_FOLLOWED) {
        ask_log(log);
    }
}

/* The stage is over and its stream does not end. */
static void log_cut(void *context)
{
    struct pod_log *log = context;
    log->timer = NULL;
    pod_log_drop(log);
    ask_log(log);
}

void pod_log_finish(struct pod_log *log)
{
    log->over = true;
    log->until_ms = cluster_now_ms() + LOG_PATIENCE_MS;
    if (log->output == NULL || log->pod == NULL) {
        whole(log);
    } else if (log->exchange == NULL && log->timer == NULL) {
        ask_log(log);
    } else if (log->timer == NULL) {
        log->timer = log->cluster->host->timer->start(log->cluster->host, LOG_END_MS, log_cut, log);
    } /* else it begins again soon */
}
