/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inspecting, pulling and loading images through the Engine's socket.
 *
 * Pull and load answer 200 at once and then a stream of JSON lines; whether it worked is only known from that stream: a
 * line with `error`, or its end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "docker.h"

enum { LINE_LIMIT = 64 << 10, LAYERS_LIMIT = 256, PROGRESS_EVERY_MS = 200 };

struct layer {
    char id[ANSWER_ID];
    uint64_t current, total;
};

struct api_step {
    struct image_step step; /* first */
    struct exchange *exchange;
    struct descpipe_timer *timer; /* until the login is asked for */
    char *name, *reference;
    struct bytes line;
    bool line_too_long;
    bool stopped;
    char error[ANSWER_WORDS];
    struct layer *layers;
    size_t layer_count;
    int64_t told_at_ms;
    int descriptor; /* of the archive that is loaded, or -1 */
};

static void free_step(struct api_step *step)
{
    if (step->descriptor >= 0) {
        close(step->descriptor);
    }
    free(step->name);
    free(step->reference);
    free(step->layers);
    bytes_clear(&step->line);
    free(step);
}

static void finish(struct api_step *step, const struct image_answer *answer)
{
    step->step.request.done(step->step.request.context, answer);
    free_step(step);
}

static void finish_failed(struct api_step *step, uint32_t failure, const char *words, const char *hint)
{
    struct image_answer answer = {.outcome = IMAGE_FAILED, .failure = failure, .words = words, .hint = hint};
    finish(step, &answer);
}

static void stop_step(struct image_step *base)
{
    struct api_step *step = (struct api_step *)base;
    step->stopped = true;
    if (step->exchange != NULL) {
        docker_stop_asking(step->exchange);
    } else if (step->timer != NULL) {
        step->step.docker->host->timer->stop(step->timer);
        finish_failed(step, DESCPIPE_FAILED_CANCELLED, "stopped", NULL);
    }
}

static struct api_step *new_step(struct docker *docker, const struct image_request *request)
{
    struct api_step *step = calloc(1, sizeof(*step));
    if (step == NULL) {
        return NULL;
    }
    step->descriptor = -1;
    step->step = (struct image_step){.docker = docker, .request = *request, .stop = stop_step};
    step->name = strdup(request->name);
    step->reference = request->reference != NULL ? strdup(request->reference) : NULL;
    if (step->name == NULL || (request->reference != NULL && step->reference == NULL)) {
        free_step(step);
        return NULL;
    }
    return step;
}

static void inspected(void *context, const struct docker_reply *reply)
{
    struct api_step *step = context;
    struct image_facts facts;
    struct image_answer answer = {.outcome = IMAGE_DONE, .facts = &facts};
    step->exchange = NULL;
    if (docker_answered(reply, 404)) {
        answer = (struct image_answer){.outcome = IMAGE_ABSENT, .words = reply->words};
        finish(step, &answer);
    } else if (!docker_answered(reply, 200)) {
        finish_failed(step, docker_failure(reply), reply->words, reply->hint);
    } else if (!answer_read_image(reply->body, reply->length, step->reference, &facts)) {
        finish_failed(step, DESCPIPE_FAILED_REFUSED, "Docker's answer about the image cannot be read", NULL);
    } else {
        finish(step, &answer);
    }
}

struct image_step *image_inspect(struct docker *docker, const struct image_request *request)
{
    if (docker->by_client) {
        return image_inspect_by_client(docker, request);
    }
    struct api_step *step = new_step(docker, request);
    struct bytes path = {0};
    if (step == NULL) {
        return NULL;
    }
    bytes_add_text(&path, "/images/");
    bytes_add_escaped(&path, step->name, "/:@");
    bytes_add_text(&path, "/json");
    struct docker_request question = {.method = "GET", .path = bytes_text(&path), .done = inspected, .context = step};
    step->exchange = path.failed ? NULL : docker_ask(docker, &question);
    bytes_clear(&path);
    if (step->exchange == NULL) {
        free_step(step);
        return NULL;
    }
    return &step->step;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void note_layer(struct api_step *step, const struct fetch_line *line)
{
    size_t i = 0;
    while (i < step->layer_count && strcmp(step->layers[i].id, line->layer) != 0) {
        i++;
    }
    if (i == LAYERS_LIMIT) {
        return; /* only the bar is less exact */
    }
    if (i == step->layer_count) {
        step->layer_count++;
        memcpy(step->layers[i].id, line->layer, sizeof(line->layer));
    }
    step->layers[i].current = line->current;
    step->layers[i].total = line->total;
}

static void tell_progress(struct api_step *step, const struct fetch_line *line)
{
    /* A layer is first fetched and then unpacked; one bar for both would run backwards. */
    if (step->step.request.progress == NULL || line->layer[0] == '\0' || line->total == 0 ||
        strcmp(line->status, "Downloading") != 0) {
        return;
    }
    if (step->layers == NULL) {
        step->layers = calloc(LAYERS_LIMIT, sizeof(*step->layers));
        if (step->layers == NULL) {
            return;
        }
    }
    note_layer(step, line);
    int64_t now = now_ms();
    if (now - step->told_at_ms < PROGRESS_EVERY_MS) {
        return;
    }
    step->told_at_ms = now;
    uint64_t current = 0, total = 0;
    for (size_t i = 0; i < step->layer_count; i++) {
        current += step->layers[i].current;
        total += step->layers[i].total;
    }
    step->step.request.progress(step->step.request.context, current, total, NULL);
}

static void read_line(struct api_step *step)
{
    struct fetch_line line;
    if (!step->line_too_long && step->line.length > 0 &&
        answer_read_fetch_line(bytes_text(&step->line), step->line.length, &line)) {
        if (line.error[0] != '\0' && step->error[0] == '\0') {
            memcpy(step->error, line.error, sizeof(step->error));
        }
        tell_progress(step, &line);
    }
    step->line.length = 0;
    step->line_too_long = false;
}

static void stream_came(void *context, const void *data, size_t length)
{
    struct api_step *step = context;
    const char *place = data;
    for (size_t i = 0; i < length; i++) {
        if (place[i] == '\n') {
            read_line(step);
        } else if (step->line.length >= LINE_LIMIT || !bytes_add(&step->line, place + i, 1)) {
            step->line_too_long = true; /* no line of Docker's is that long; what matters comes in others */
        }
    }
}

uint32_t image_pull_failure(const char *words, const char **hint)
{
    static const struct {
        const char *part;
        uint32_t failure;
        const char *hint;
    } meanings[] = {
        {"toomanyrequests", DESCPIPE_FAILED_LATER,
         "the registry limits how often it is asked; a login raises the limit"},
        {"rate limit", DESCPIPE_FAILED_LATER, "the registry limits how often it is asked; a login raises the limit"},
        {"pull access denied", DESCPIPE_FAILED_NEEDS_LOGIN,
         "check the name; if the image is private, log in to its registry (descpipe login)"},
        {"unauthorized", DESCPIPE_FAILED_NEEDS_LOGIN, "log in to the image's registry (descpipe login)"},
        {"denied", DESCPIPE_FAILED_NEEDS_LOGIN, "log in to the image's registry (descpipe login)"},
        {"no basic auth credentials", DESCPIPE_FAILED_NEEDS_LOGIN, "log in to the image's registry (descpipe login)"},
        {"authentication required", DESCPIPE_FAILED_NEEDS_LOGIN, "log in to the image's registry (descpipe login)"},
        {"manifest unknown", DESCPIPE_FAILED_NOT_FOUND, "check the image's name and tag"},
        {"not found", DESCPIPE_FAILED_NOT_FOUND, "check the image's name and tag"},
        {"no matching manifest", DESCPIPE_FAILED_NOT_FOUND, "the image was not built for this kind of machine"},
        {"no such host", DESCPIPE_FAILED_CANNOT_ASK, "Docker could not reach the registry"},
        {"i/o timeout", DESCPIPE_FAILED_CANNOT_ASK, "Docker could not reach the registry"},
        {"connection refused", DESCPIPE_FAILED_CANNOT_ASK, "Docker could not reach the registry"},
        {"connection reset", DESCPIPE_FAILED_CANNOT_ASK, "Docker could not reach the registry"},
        {"TLS handshake timeout", DESCPIPE_FAILED_CANNOT_ASK, "Docker could not reach the registry"},
        {"Client.Timeout", DESCPIPE_FAILED_CANNOT_ASK, "Docker could not reach the registry"},
        {"no space left on device", DESCPIPE_FAILED_REFUSED, "the disk with Docker's data is full"},
    };
    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++) {
        if (strstr(words, meanings[i].part) != NULL) {
            *hint = meanings[i].hint;
            return meanings[i].failure;
        }
    }
    *hint = NULL;
    return DESCPIPE_FAILED_REFUSED;
}

static void stream_ended(void *context, const struct docker_reply *reply)
{
    struct api_step *step = context;
    struct image_answer answer = {.outcome = IMAGE_DONE};
    const char *hint = NULL;
    step->exchange = NULL;
    read_line(step); /* the last one may lack its newline */
    if (reply->outcome != DESCPIPE_HTTP_DONE) {
        finish_failed(step, docker_failure(reply), reply->words, reply->hint);
    } else if (reply->status >= 300) {
        uint32_t failure = image_pull_failure(reply->words, &hint);
        finish_failed(step, failure, reply->words, hint);
    } else if (step->error[0] != '\0') {
        uint32_t failure = image_pull_failure(step->error, &hint);
        finish_failed(step, failure, step->error, hint);
    } else {
        finish(step, &answer);
    }
}

static void login_came(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct api_step *step = context;
    struct docker *docker = step->step.docker;
    struct bytes path = {0}, header = {0};
    if (step->stopped) {
        finish_failed(step, DESCPIPE_FAILED_CANCELLED, "stopped", NULL);
        return;
    }
    if (message != NULL) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "no login for the image's registry: %.400s", message);
        finish_failed(step, DESCPIPE_FAILED_NEEDS_LOGIN, words, NULL);
        return;
    }
    bool named = login_is_given(credential);
    bool ready = !named || login_write_header(docker, credential, step->name, &header);
    bytes_add_text(&path, "/images/create?fromImage=");
    bytes_add_escaped(&path, step->name, "");
    const char *platform = step->step.request.image->platform;
    if (platform != NULL && docker->api >= API_PULL_PLATFORM) {
        bytes_add_text(&path, "&platform=");
        bytes_add_escaped(&path, platform, "");
    }
    struct docker_request question = {
        .method = "POST",
        .path = bytes_text(&path),
        .header = named ? bytes_text(&header) : NULL,
        .idle_timeout_ms = UINT64_C(600000), /* unpacking a large layer says nothing for minutes */
        .stream = true,
        .data = stream_came,
        .done = stream_ended,
        .context = step,
    };
    step->exchange = ready && !path.failed ? docker_ask(docker, &question) : NULL;
    bytes_clear(&path);
    bytes_wipe(&header);
    if (step->exchange == NULL) {
        finish_failed(step, DESCPIPE_FAILED_LATER, "not enough memory to pull the image", NULL);
    }
}

static void ask_for_login(void *context)
{
    struct api_step *step = context;
    struct docker *docker = step->step.docker;
    step->timer = NULL;
    docker->host->credential->for_image(docker->host, step->step.request.image, DESCPIPE_PURPOSE_PULL, login_came,
                                        step);
}

struct image_step *image_pull(struct docker *docker, const struct image_request *request)
{
    if (docker->by_client) {
        return image_pull_by_client(docker, request);
    }
    struct api_step *step = new_step(docker, request);
    if (step == NULL) {
        return NULL;
    }
    /* Not at once: the answer may come before for_image returns, and the caller does not have the step yet. */
    step->timer = docker->host->timer->start(docker->host, 0, ask_for_login, step);
    return &step->step;
}

struct image_step *image_load(struct docker *docker, const struct image_request *request)
{
    if (docker->by_client) {
        return image_load_by_client(docker, request);
    }
    struct api_step *step = new_step(docker, request);
    struct stat status;
    if (step == NULL) {
        return NULL;
    }
    step->descriptor = open(step->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (step->descriptor < 0 || fstat(step->descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        free_step(step);
        return NULL;
    }
    struct docker_request question = {
        .method = "POST",
        .path = "/images/load?quiet=1",
        .type = "application/x-tar",
        .body_length = (size_t)status.st_size,
        .body_descriptor = step->descriptor,
        .idle_timeout_ms = UINT64_C(1800000), /* the Engine unpacks after the last byte, without a word */
        .stream = true,
        .data = stream_came,
        .done = stream_ended,
        .context = step,
    };
    step->exchange = docker_ask(docker, &question);
    if (step->exchange == NULL) {
        free_step(step);
        return NULL;
    }
    return &step->step;
}
