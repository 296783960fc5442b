/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams a container's output into two descriptors, completely.
 *
 * How it works: the Engine is asked for the log from the beginning (or from `since`), following it to the container's
 * end. When the connection breaks in between, the log is asked for again from the same beginning, and as many bytes of
 * each stream as are written already are passed over: nothing is lost or doubled, and nothing is kept in memory. The
 * Engine also ends a followed log when it shuts down; so after every end, an inspection says whether the container
 * lives. A log that was followed to a container's end may still lack what came last (seen with 20.10 on a busy
 * machine), so what is kept is read again, and only what is new is written, until nothing is.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "docker.h"
#include "engine/frames.h"

enum { FIRST_PAUSE_MS = 100, LAST_PAUSE_MS = 5000, WRITE_PATIENCE_MS = 10000 };

struct follow {
    struct docker *docker;
    struct follow *next;
    struct descpipe_call *call;
    struct exchange *exchange;
    struct descpipe_timer *timer;
    char *name;
    struct frames frames;
    int64_t since_ms;
    int32_t descriptors[2];
    uint64_t written[2]; /* bytes of each stream, over all connections */
    uint64_t skip[2];
    uint64_t pause_ms;
    bool to_the_end;
    bool last_read;          /* the container has ended: what is kept is read again, without following */
    uint64_t written_before; /* the last read began: of both streams */
    bool terminal;
    bool whole;  /* the last stream ended as a stream should */
    bool unsure; /* something went wrong since the last stream: it does not prove that it was all */
    bool cancelled;
    int write_error;
    char words[ANSWER_WORDS];
};

static void free_follow(struct follow *follow)
{
    free(follow->name);
    free(follow);
}

static void unlink_follow(struct follow *follow)
{
    for (struct follow **place = &follow->docker->follows; *place != NULL; place = &(*place)->next) {
        if (*place == follow) {
            *place = follow->next;
            return;
        }
    }
}

static void finish_done(struct follow *follow)
{
    unlink_follow(follow);
    follow->docker->host->call->succeed(follow->call);
    free_follow(follow);
}

static void finish_failed(struct follow *follow, uint32_t failure, const char *hint, const char *words)
{
    unlink_follow(follow);
    docker_fail(follow->docker, follow->call, failure, hint, "output of container %.100s: %s", follow->name, words);
    free_follow(follow);
}

void docker_drop_follows(struct docker *docker)
{
    while (docker->follows != NULL) {
        struct follow *follow = docker->follows;
        docker->follows = follow->next;
        if (follow->timer != NULL) {
            docker->host->timer->stop(follow->timer);
        }
        free_follow(follow);
    }
}

bool docker_write_all(int descriptor, const void *bytes, size_t length)
{
    const char *data = bytes;
    while (length > 0) {
        ssize_t put = write(descriptor, data, length);
        if (put < 0 && errno == EAGAIN) {
            /* A pipe whose reader is slow. What is meant for files never gets here. */
            struct pollfd ready = {.fd = descriptor, .events = POLLOUT};
            if (poll(&ready, 1, WRITE_PATIENCE_MS) > 0) {
                continue;
            }
            errno = ETIMEDOUT;
        }
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return false;
        }
        data += put;
        length -= (size_t)put;
    }
    return true;
}

static bool content_came(void *context, uint8_t stream, const char *data, size_t length)
{
    struct follow *follow = context;
    if (stream == 3) {
        struct bytes line = {0};
        bytes_add_line(&line, data, length, ANSWER_WORDS - 4);
        snprintf(follow->words, sizeof(follow->words), "%s", bytes_text(&line));
        bytes_clear(&line);
        follow->unsure = true;
        return true;
    }
    size_t index = stream == 2 ? 1 : 0;
    uint64_t skipped = follow->skip[index] < length ? follow->skip[index] : length;
    follow->skip[index] -= skipped;
    data += skipped;
    length -= (size_t)skipped;
    if (!docker_write_all(follow->descriptors[index], data, length)) {
        follow->write_error = errno;
        return false;
    }
    follow->written[index] += length;
    return true;
}

static void stream_came(void *context, const void *data, size_t length)
{
    struct follow *follow = context;
    follow->pause_ms = 0;
    if (follow->write_error == 0 && follow->words[0] == '\0' &&
        !frames_read(&follow->frames, data, length, content_came, follow)) {
        if (follow->write_error == 0) {
            snprintf(follow->words, sizeof(follow->words), "what Docker sends is no log");
        }
        docker_stop_asking(follow->exchange);
    }
}

static void look(struct follow *follow);
static void read_log(struct follow *follow);

static void timer_fired(void *context)
{
    struct follow *follow = context;
    follow->timer = NULL;
    look(follow);
}

/* `words` for the user, NULL: nothing is wrong. */
static void look_later(struct follow *follow, const char *words)
{
    char text[MESSAGE_LIMIT];
    follow->unsure = true;
    if (follow->pause_ms == 0 && words != NULL) {
        snprintf(text, sizeof(text), "cannot ask Docker for output: %.500s", words);
        follow->docker->host->call->progress(follow->call, 0, 0, text);
    }
    follow->pause_ms = follow->pause_ms == 0 ? FIRST_PAUSE_MS : follow->pause_ms * 2;
    if (follow->pause_ms > LAST_PAUSE_MS) {
        follow->pause_ms = LAST_PAUSE_MS;
    }
    follow->timer = follow->docker->host->timer->start(follow->docker->host, follow->pause_ms, timer_fired, follow);
}

static void inspected(void *context, const struct docker_reply *reply)
{
    struct follow *follow = context;
    struct container_facts facts;
    follow->exchange = NULL;
    if (follow->cancelled || reply->outcome == DESCPIPE_HTTP_STOPPED) {
        finish_failed(follow, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (docker_answered(reply, 404)) {
        finish_failed(follow, DESCPIPE_FAILED_NOT_FOUND, NULL, reply->words);
    } else if (!docker_answered(reply, 200) || !answer_read_container(reply->body, reply->length, &facts)) {
        const char *words = reply->words[0] != '\0' ? reply->words : "its answer cannot be read";
        if (follow->to_the_end) {
            look_later(follow, words);
        } else {
            finish_failed(follow, docker_failure(reply), reply->hint, words);
        }
    } else if (follow->whole && !follow->unsure && !facts.alive && follow->last_read &&
               follow->written_before == follow->written[0] + follow->written[1]) {
        finish_done(follow);
    } else if (follow->whole && !follow->unsure && !facts.alive) {
        follow->last_read = true; /* the Engine may end a followed log before it has sent all that it keeps */
        follow->written_before = follow->written[0] + follow->written[1];
        follow->terminal = facts.terminal;
        read_log(follow);
    } else if (follow->whole && !follow->unsure) {
        look_later(follow, NULL); /* a log that ended before its container: the Engine went, or is a moment behind */
    } else {
        follow->terminal = facts.terminal;
        read_log(follow);
    }
}

static void log_ended(void *context, const struct docker_reply *reply)
{
    struct follow *follow = context;
    follow->exchange = NULL;
    follow->whole = reply->outcome == DESCPIPE_HTTP_DONE && reply->status == 200 && frames_complete(&follow->frames) &&
                    follow->skip[0] == 0 && follow->skip[1] == 0;
    if (follow->write_error != 0) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "cannot be written: %s", strerrordesc_np(follow->write_error));
        finish_failed(follow, DESCPIPE_FAILED_REFUSED, NULL, words);
    } else if (follow->cancelled) {
        finish_failed(follow, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (reply->outcome == DESCPIPE_HTTP_STOPPED && follow->words[0] == '\0') {
        finish_failed(follow, DESCPIPE_FAILED_CANCELLED, NULL, "stopped");
    } else if (reply->outcome == DESCPIPE_HTTP_DONE && reply->status != 200) {
        finish_failed(follow, docker_failure(reply), reply->hint, reply->words);
    } else if (follow->words[0] != '\0' && !follow->unsure) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "%s", follow->words);
        finish_failed(follow, DESCPIPE_FAILED_REFUSED, NULL, words);
    } else if (!follow->to_the_end && follow->whole && !follow->unsure) {
        finish_done(follow);
    } else if (!follow->to_the_end) {
        finish_failed(follow, DESCPIPE_FAILED_CANNOT_ASK, reply->hint,
                      follow->words[0] != '\0' ? follow->words : reply->words);
    } else if (!follow->whole || follow->unsure) {
        look_later(follow, follow->words[0] != '\0' ? follow->words : reply->words);
    } else {
        look(follow);
    }
}

/* Takes `path`. */
static void ask(struct follow *follow, struct docker_request *request, char *path)
{
    request->path = path;
    follow->exchange = path != NULL ? docker_ask(follow->docker, request) : NULL;
    free(path);
    if (follow->exchange == NULL) {
        finish_failed(follow, DESCPIPE_FAILED_CANNOT_ASK, NULL, "not enough memory for a question to Docker");
    }
}

static void look(struct follow *follow)
{
    struct docker_request request = {.method = "GET", .done = inspected, .context = follow};
    ask(follow, &request, container_path(follow->name, "/json"));
}

static void read_log(struct follow *follow)
{
    struct docker_request request = {.method = "GET",
                                     .idle_timeout_ms = UINT64_MAX, /* a stage may be silent for days */
                                     .stream = true,
                                     .data = stream_came,
                                     .done = log_ended,
                                     .context = follow};
    follow->frames = (struct frames){.raw = follow->terminal};
    follow->skip[0] = follow->written[0];
    follow->skip[1] = follow->written[1];
    follow->unsure = false;
    follow->words[0] = '\0';
    char since[64] = "";
    if (follow->since_ms > 0) {
        snprintf(since, sizeof(since), "&since=%" PRId64 ".%03" PRId64 "000000", follow->since_ms / 1000,
                 follow->since_ms % 1000);
    }
    ask(follow, &request,
        container_path(follow->name, "/logs?stdout=1&stderr=1&follow=%d%s",
                       follow->to_the_end && !follow->last_read ? 1 : 0, since));
}

static void follow_cancelled(void *context)
{
    struct follow *follow = context;
    follow->cancelled = true;
    if (follow->timer != NULL) {
        follow->docker->host->timer->stop(follow->timer);
        follow->timer = NULL;
        finish_failed(follow, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (follow->exchange != NULL) {
        docker_stop_asking(follow->exchange);
    }
}

void docker_logs(void *self, struct descpipe_call *call, const struct descpipe_logs *logs)
{
    struct docker *docker = self;
    struct follow *follow = calloc(1, sizeof(*follow));
    if (follow != NULL) {
        follow->name = strdup(container_name(logs->container));
    }
    if (follow == NULL || follow->name == NULL) {
        free(follow);
        docker_fail_memory(docker, call);
        return;
    }
    follow->docker = docker;
    follow->call = call;
    follow->since_ms = logs->since_ms;
    follow->descriptors[0] = logs->output_descriptor;
    follow->descriptors[1] = logs->error_descriptor;
    follow->to_the_end = logs->follow != 0;
    follow->next = docker->follows;
    docker->follows = follow;
    docker->host->call->on_cancel(call, follow_cancelled, follow);
    /* First a look: whether it has a terminal decides how its log is written. */
    look(follow);
}
