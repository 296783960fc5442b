/* SPDX-License-Identifier: BSD-3-Clause */
/* A credential helper as a child process. */
#include "registry/login/helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/login/docker_config.h"

struct helper {
    struct helper_request request;
    char *program;
    char *output;
    size_t length;
    char last_error[300]; /* the last line of its second stream; helpers write no secrets there */
};

static void helper_free(struct helper *helper)
{
    if (helper->output != NULL)
        explicit_bzero(helper->output, DOCKER_HELPER_OUTPUT_LIMIT);
    free(helper->output);
    free(helper->program);
    free(helper);
}

static void on_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct helper *helper = context;
    if (stream != 1) {
        snprintf(helper->last_error, sizeof helper->last_error, "%.*s", (int)(length < 299 ? length : 299), line);
        return;
    }
    if (length >= DOCKER_HELPER_OUTPUT_LIMIT - helper->length)
        return; /* too long to be an answer: it will not be JSON */
    memcpy(helper->output + helper->length, line, (size_t)length);
    helper->length += (size_t)length;
    helper->output[helper->length] = '\0';
}

/* Helpers say so on their first stream, and exit with 1. */
static bool says_not_found(const struct helper *helper)
{
    return strstr(helper->output, "credentials not found") != NULL ||
           strstr(helper->last_error, "credentials not found") != NULL;
}

static void explain(const struct helper *helper, const struct descpipe_process_end *end, struct failure *failure)
{
    if (!end->started) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "the credential helper '%s' cannot be run: %s", helper->program,
                    end->message != NULL ? end->message : "not found");
        failure_hint(failure, "install it, or take it out of Docker's config file");
    } else if (end->timed_out) {
        failure_set(failure, DESCPIPE_FAILED_LATER, "the credential helper '%s' did not answer within %d s",
                    helper->program, DOCKER_HELPER_TIMEOUT_MS / 1000);
        failure_hint(failure, "it may wait for somebody to unlock it, or for the network");
    } else if (end->exit_code != 0 && says_not_found(helper)) {
        failure_set(failure, DESCPIPE_FAILED_NOT_FOUND, "the credential helper '%s' has no login", helper->program);
    } else if (end->exit_code != 0) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "the credential helper '%s' failed: %s", helper->program,
                    helper->last_error[0] != '\0' ? helper->last_error : "it does not say why");
        failure_hint(failure, "mend what it says, or take it out of Docker's config file and log in anew");
    }
}

static void on_ended(void *context, const struct descpipe_process_end *end)
{
    struct helper *helper = context;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    explain(helper, end, &failure);
    helper->request.done(helper->request.context, helper->output, helper->length, failure.kind != 0 ? &failure : NULL);
    helper_free(helper);
}

bool helper_start(const struct helper_request *request, struct failure *failure)
{
    struct helper *helper = calloc(1, sizeof *helper);
    if (helper == NULL)
        return failure_memory(failure);
    helper->request = *request;
    helper->output = calloc(1, DOCKER_HELPER_OUTPUT_LIMIT);
    if (asprintf(&helper->program, "docker-credential-%s", request->name) < 0)
        helper->program = NULL;
    if (helper->output == NULL || helper->program == NULL) {
        free(helper->output);
        helper->output = NULL;
        helper_free(helper);
        return failure_memory(failure);
    }
    const char *const argv[] = {helper->program, request->action, NULL};
    /* It is the user's own program and finds its key ring, agent or profile by the user's whole environment. */
    const struct descpipe_process_request process = {.size = sizeof process,
                                                     .argv = argv,
                                                     .environment = (const char *const *)environ,
                                                     .input = request->input,
                                                     .input_length = request->input_length,
                                                     .timeout_ms = DOCKER_HELPER_TIMEOUT_MS,
                                                     .output_limit = 2 * DOCKER_HELPER_OUTPUT_LIMIT,
                                                     .line = on_line,
                                                     .ended = on_ended,
                                                     .context = helper};
    request->host->process->start(request->host, &process);
    return true;
}
