/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a container has used: the Engine tells it once a second while the container runs, and nobody can ask afterwards.
 *
 * How it works: a second after somebody began to watch, the stream of statistics is opened (a container that is over by
 * then costs nothing), and the largest figures are kept. So both are what was seen: what was used after the last
 * line is not in them. Without an answer the stage goes without figures; nothing else depends on them.
 */
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "engine/lines.h"

enum { FIRST_LOOK_MS = 1000, LOOK_AGAIN_MS = 10000 };

struct usage {
    struct docker *docker;
    char *name;
    struct exchange *exchange;
    struct descpipe_timer *timer;
    struct lines lines;
    struct usage_facts most;
    bool dropped; /* freed when its exchange has ended */
};

static void free_usage(struct usage *usage)
{
    lines_clear(&usage->lines);
    free(usage->name);
    free(usage);
}

static void line_came(void *context, const char *text, size_t length)
{
    struct usage *usage = context;
    struct usage_facts facts;
    if (!answer_read_usage(text, length, &facts)) {
        return;
    }
    if (facts.cpu_ms > usage->most.cpu_ms) {
        usage->most.cpu_ms = facts.cpu_ms;
    }
    if (facts.memory > usage->most.memory) {
        usage->most.memory = facts.memory;
    }
}

static void data_came(void *context, const void *bytes, size_t length)
{
    struct usage *usage = context;
    lines_add(&usage->lines, bytes, length, line_came, usage);
}

static void look(void *context);

static void stream_ended(void *context, const struct docker_reply *reply)
{
    struct usage *usage = context;
    usage->exchange = NULL;
    if (usage->dropped) {
        free_usage(usage);
        return;
    }
    lines_end(&usage->lines, line_came, usage);
    /* A lost connection or a restarted Engine; one that refuses will not think better of it. */
    bool lost = reply->outcome != DESCPIPE_HTTP_STOPPED && (reply->status == 0 || reply->status == 200);
    if (lost) {
        usage->timer = usage->docker->host->timer->start(usage->docker->host, LOOK_AGAIN_MS, look, usage);
    }
}

static void look(void *context)
{
    struct usage *usage = context;
    usage->timer = NULL;
    char *path = container_path(usage->name, "/stats?stream=1");
    struct docker_request request = {
        .method = "GET", .path = path, .stream = true, .data = data_came, .done = stream_ended, .context = usage};
    usage->exchange = path != NULL ? docker_ask(usage->docker, &request) : NULL;
    free(path);
}

struct usage *usage_watch(struct docker *docker, const char *name)
{
    struct usage *usage = calloc(1, sizeof(*usage));
    if (usage == NULL) {
        return NULL;
    }
    usage->docker = docker;
    usage->name = strdup(name);
    usage->timer = usage->name != NULL ? docker->host->timer->start(docker->host, FIRST_LOOK_MS, look, usage) : NULL;
    if (usage->timer == NULL) {
        free_usage(usage);
        return NULL;
    }
    return usage;
}

struct usage_facts usage_most(const struct usage *usage)
{
    return usage != NULL ? usage->most : (struct usage_facts){0};
}

void usage_drop(struct usage *usage)
{
    if (usage == NULL) {
        return;
    }
    if (usage->timer != NULL) {
        usage->docker->host->timer->stop(usage->timer);
    }
    usage->dropped = true;
    if (usage->exchange != NULL) {
        docker_stop_asking(usage->exchange);
    } else {
        free_usage(usage);
    }
}
