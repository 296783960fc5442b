/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage's output, from its pod into its log file.
 *
 * How it works: while the stage runs its log is followed. A stream that breaks begins anew and skips what is written
 * already. When the stage is over and no stream of it ended in good order afterwards, the log is read once more for its
 * rest: a stream may end early (rotation, a restarted kubelet), so its end says nothing about the stage. Standard
 * output and standard error are one there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kubernetes.h"

enum { LOG_PAUSE_MS = 1000, LOG_PATIENCE_MS = 30000, LOG_END_MS = 3000 };

static void ask_log(struct task *task);

static void close_log(struct task *task)
{
    if (task->log_descriptor > 0) {
        close(task->log_descriptor);
    }
    task->log_descriptor = 0;
}

void log_drop(struct task *task)
{
    if (task->log != NULL) {
        cluster_drop(task->log);
        task->log = NULL;
        task->self->following -= task->log_followed;
    }
    if (task->log_timer != NULL) {
        task->self->host->timer->stop(task->log_timer);
        task->log_timer = NULL;
    }
    close_log(task);
}

static void log_data(void *context, const char *bytes, size_t length)
{
    struct task *task = context;
    size_t skipped = task->log_skip < length ? (size_t)task->log_skip : length;
    task->log_skip -= skipped;
    bytes += skipped;
    length -= skipped;
    while (length > 0 && task->log_descriptor > 0) {
        ssize_t written = write(task->log_descriptor, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return; /* a full disk is found out by whoever needs more of it than a log */
        }
        task->log_written += (uint64_t)written;
        bytes += written;
        length -= (size_t)written;
    }
}

static void log_again(void *context)
{
    struct task *task = context;
    task->log_timer = NULL;
    ask_log(task);
}

static void whole(struct task *task)
{
    close_log(task);
    task_log_is_whole(task);
}

static void log_done(void *context, const struct cluster_reply *reply)
{
    struct task *task = context;
    bool over = task->end == TASK_LOG;
    task->log = NULL;
    if (task->log_timer != NULL) {
        task->self->host->timer->stop(task->log_timer);
        task->log_timer = NULL;
    }
    task->self->following -= task->log_followed;
    if (reply->ok && over) {
        if (task->log_final) {
            whole(task);
        } else {
            ask_log(task); /* it ended about when the stage did */
        }
        return;
    }
    if (over && (reply->status == 404 || cluster_now_ms() > task->log_until_ms)) {
        char message[POD_WORDS + CLUSTER_WORDS];
        snprintf(message, sizeof(message), "the log of pod '%s' may lack its end: %s", task->pod, reply->words);
        task->self->host->log->write(task->self->host, DESCPIPE_LOG_WARNING, message);
        whole(task);
        return;
    }
    task->log_timer = task->self->host->timer->start(task->self->host, LOG_PAUSE_MS, log_again, task);
}

static void ask_log(struct task *task)
{
    struct kubernetes *self = task->self;
    if (task->log_descriptor <= 0) {
        task->log_descriptor = open(task->output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    }
    task->log_final = task->end == TASK_LOG;
    task->log_followed = !task->log_final;
    task->log_skip = task->log_written;
    char *path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods/%s/log?container=" POD_CONTAINER "%s",
                              self->cluster.namespace, task->pod, task->log_followed ? "&follow=true" : "");
    const struct cluster_request request = {.method = "GET",
                                            .path = path,
                                            .patience_ms = -1,
                                            .idle_timeout_ms = task->log_followed ? UINT64_MAX : 0,
                                            .data = log_data,
                                            .done = log_done,
                                            .context = task};
    task->log = path != NULL ? cluster_ask(&self->cluster, &request) : NULL;
    free(path);
    self->following += task->log != NULL && task->log_followed;
    if (task->log == NULL && task->end == TASK_LOG) {
        whole(task);
    }
}

void log_follow(struct task *task)
{
    bool wanted = task->output != NULL && task->pod != NULL && task->log == NULL && task->log_timer == NULL;
    if (wanted && task->self->following < KUBERNETES_FOLLOWED) {
        ask_log(task);
    }
}

/* The stage is over and its stream does not end. */
static void log_cut(void *context)
{
    struct task *task = context;
    task->log_timer = NULL;
    log_drop(task);
    ask_log(task);
}

void log_finish(struct task *task)
{
    task->log_until_ms = cluster_now_ms() + LOG_PATIENCE_MS;
    if (task->output == NULL || task->pod == NULL) {
        whole(task);
    } else if (task->log == NULL && task->log_timer == NULL) {
        ask_log(task);
    } else if (task->log_timer == NULL) {
        task->log_timer = task->self->host->timer->start(task->self->host, LOG_END_MS, log_cut, task);
    } /* else it begins again soon */
}
