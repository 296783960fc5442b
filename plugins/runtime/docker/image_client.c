/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inspecting, pulling and loading images with the docker client: for machines where only the client may talk to the
 * Engine (`command: [sudo, docker]`). The client brings its own logins.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"

enum { OUTPUT_LIMIT = 16 << 20, PULL_TIMEOUT_MS = 24 * 3600 * 1000, INSPECT_TIMEOUT_MS = 60 * 1000 };

enum client_work { CLIENT_INSPECT, CLIENT_PULL, CLIENT_LOAD };

struct client_step {
    struct image_step step; /* first */
    enum client_work work;
    struct descpipe_process *process;
    char *reference;
    struct bytes output, errors;
    bool stopped;
};

static void free_step(struct client_step *step)
{
    free(step->reference);
    bytes_clear(&step->output);
    bytes_clear(&step->errors);
    free(step);
}

static void line_came(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct client_step *step = context;
    if (stream == 1 && step->work == CLIENT_INSPECT) {
        bytes_add(&step->output, line, (size_t)length);
    } else if (stream == 2 && step->errors.length == 0 && length > 0) {
        bytes_add_line(&step->errors, line, (size_t)length, ANSWER_WORDS - 4); /* the first line says what it was */
    }
}

static void client_ended(void *context, const struct descpipe_process_end *end)
{
    struct client_step *step = context;
    struct image_facts facts;
    char words[ANSWER_WORDS];
    struct image_answer answer = {.outcome = IMAGE_FAILED, .failure = DESCPIPE_FAILED_REFUSED, .words = words};
    if (step->stopped) {
        answer.failure = DESCPIPE_FAILED_CANCELLED;
        answer.words = "stopped";
    } else if (!end->started) {
        answer.failure = DESCPIPE_FAILED_CANNOT_ASK;
        snprintf(words, sizeof(words), "cannot run '%.100s': %.300s", step->step.docker->command[0],
                 end->message != NULL ? end->message : "no words");
        answer.hint = "install the docker client, or set the option `command`";
    } else if (end->timed_out) {
        answer.failure = DESCPIPE_FAILED_CANNOT_ASK;
        snprintf(words, sizeof(words), "'%.100s' did not answer in time", step->step.docker->command[0]);
    } else if (end->exit_code != 0) {
        snprintf(words, sizeof(words), "%s", step->errors.length > 0 ? bytes_text(&step->errors) : "no words");
        if (step->work == CLIENT_INSPECT &&
            (strstr(words, "No such image") != NULL || strstr(words, "No such object") != NULL)) {
            answer.outcome = IMAGE_ABSENT;
        } else if (strstr(words, "Cannot connect to the Docker daemon") != NULL ||
                   strstr(words, "permission denied") != NULL) {
            answer.failure = DESCPIPE_FAILED_CANNOT_ASK;
            answer.hint = "start Docker, or use --runtime=native";
        } else {
            answer.failure = image_pull_failure(words, &answer.hint);
        }
    } else if (step->work != CLIENT_INSPECT) {
        answer = (struct image_answer){.outcome = IMAGE_DONE};
    } else if (end->truncated || step->output.failed ||
               !answer_read_image(bytes_text(&step->output), step->output.length, step->reference, &facts)) {
        snprintf(words, sizeof(words), "what '%.100s image inspect' prints cannot be read",
                 step->step.docker->command[0]);
    } else {
        answer = (struct image_answer){.outcome = IMAGE_DONE, .facts = &facts};
    }
    step->step.request.done(step->step.request.context, &answer);
    free_step(step);
}

static void stop_step(struct image_step *base)
{
    struct client_step *step = (struct client_step *)base;
    step->stopped = true;
    step->step.docker->host->process->stop(step->process);
}

static struct image_step *run_client(struct docker *docker, const struct image_request *request, enum client_work work)
{
    struct texts argv = {0}, environment = {0};
    struct client_step *step = calloc(1, sizeof(*step));
    if (step == NULL) {
        return NULL;
    }
    step->work = work;
    step->step = (struct image_step){.docker = docker, .request = *request, .stop = stop_step};
    step->reference = request->reference != NULL ? strdup(request->reference) : NULL;
    texts_add_all(&argv, docker->command);
    if (work == CLIENT_INSPECT) {
        const char *const words[] = {"image", "inspect", "--format", "{{json .}}", "--", request->name, NULL};
        texts_add_all(&argv, words);
    } else if (work == CLIENT_PULL) {
        const char *const words[] = {"pull", "--quiet", "--", request->name, NULL};
        texts_add_all(&argv, words);
    } else {
        const char *const words[] = {"load", "--quiet", "--input", request->name, NULL};
        texts_add_all(&argv, words);
    }
    if (!client_environment(docker, &environment) || argv.failed ||
        (request->reference != NULL && step->reference == NULL)) {
        texts_clear(&argv);
        texts_clear(&environment);
        free_step(step);
        return NULL;
    }
    struct descpipe_process_request process = {
        .size = sizeof(process),
        .argv = texts_list(&argv),
        .environment = texts_list(&environment),
        .timeout_ms = work == CLIENT_INSPECT ? INSPECT_TIMEOUT_MS : PULL_TIMEOUT_MS,
        .output_limit = OUTPUT_LIMIT,
        .line = line_came,
        .ended = client_ended,
        .context = step,
    };
    step->process = docker->host->process->start(docker->host, &process);
    texts_clear(&argv);
    texts_clear(&environment);
    return &step->step;
}

struct image_step *image_inspect_by_client(struct docker *docker, const struct image_request *request)
{
    return run_client(docker, request, CLIENT_INSPECT);
}

struct image_step *image_pull_by_client(struct docker *docker, const struct image_request *request)
{
    return run_client(docker, request, CLIENT_PULL);
}

struct image_step *image_load_by_client(struct docker *docker, const struct image_request *request)
{
    return run_client(docker, request, CLIENT_LOAD);
}
