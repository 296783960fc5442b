/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building and pushing with the docker client, for machines where only the client may talk to the Engine. The client
 * brings its own logins and, where it has it, BuildKit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "docker.h"

enum { OUTPUT_LIMIT = 1 << 30, WORK_TIMEOUT_MS = 24 * 3600 * 1000 };

enum work { WORK_BUILD, WORK_TAG, WORK_PUSH };

struct client_work {
    struct docker *docker;
    struct descpipe_call *call;
    enum work work;
    char *reference; /* what is built, or the target of a push */
    int log_descriptor;
    struct descpipe_process *process;
    struct image_step *step;
    char digest[ANSWER_ID];
    char last[ANSWER_WORDS]; /* the last line that says something */
};

static const char *verb(const struct client_work *work)
{
    return work->work == WORK_BUILD ? "building" : "pushing";
}

static void free_work(struct client_work *work)
{
    free(work->reference);
    free(work);
}

static void fail(struct client_work *work, uint32_t failure, const char *hint, const char *words)
{
    docker_fail(work->docker, work->call, failure, hint, "%s '%.250s': %.600s", verb(work), work->reference, words);
    free_work(work);
}

static void cancelled(void *context)
{
    struct client_work *work = context;
    if (work->process != NULL) {
        work->docker->host->process->stop(work->process);
    } else if (work->step != NULL) {
        work->step->stop(work->step);
    }
}

static void inspected(void *context, const struct image_answer *answer)
{
    struct client_work *work = context;
    char words[ANSWER_WORDS];
    work->step = NULL;
    if (answer->outcome != IMAGE_DONE) {
        snprintf(words, sizeof(words), "it cannot be looked at: %.400s", answer->words);
        fail(work, answer->outcome == IMAGE_ABSENT ? DESCPIPE_FAILED_REFUSED : answer->failure, answer->hint, words);
        return;
    }
    struct image_facts facts = *answer->facts;
    if (work->digest[0] != '\0') {
        memcpy(facts.manifest_digest, work->digest, sizeof(facts.manifest_digest));
    }
    answer_image(work->docker, work->call, &facts);
    free_work(work);
}

static void write_log(int descriptor, const char *text, size_t length)
{
    while (length > 0 && descriptor > 0) {
        ssize_t put = write(descriptor, text, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return; /* the log is for people; what was built says the image */
        }
        text += put;
        length -= (size_t)put;
    }
}

/* "1.0: digest: sha256:... size: 1234" */
static void note_digest(struct client_work *work, const char *line)
{
    const char *place = strstr(line, "digest: sha256:");
    if (place != NULL && strspn(place + 15, "0123456789abcdef") == 64) {
        snprintf(work->digest, sizeof(work->digest), "sha256:%.64s", place + 15);
    }
}

static void line_came(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct client_work *work = context;
    struct bytes text = {0};
    (void)stream;
    write_log(work->log_descriptor, line, (size_t)length);
    write_log(work->log_descriptor, "\n", 1);
    bytes_add_line(&text, line, (size_t)length, ANSWER_WORDS - 4);
    if (text.length > 0) {
        snprintf(work->last, sizeof(work->last), "%s", bytes_text(&text));
        note_digest(work, work->last);
        work->docker->host->call->progress(work->call, 0, 0, work->last);
    }
    bytes_clear(&text);
}

static void start_push(struct client_work *work);

static void client_ended(void *context, const struct descpipe_process_end *end)
{
    struct client_work *work = context;
    char words[ANSWER_WORDS];
    const char *hint = NULL;
    work->process = NULL;
    if (work->docker->host->call->cancelled(work->call)) {
        fail(work, work->work == WORK_PUSH ? DESCPIPE_FAILED_UNKNOWN : DESCPIPE_FAILED_CANCELLED, NULL, "stopped");
    } else if (!end->started) {
        snprintf(words, sizeof(words), "cannot run '%.100s': %.300s", work->docker->command[0],
                 end->message != NULL ? end->message : "no words");
        fail(work, DESCPIPE_FAILED_CANNOT_ASK, "install the docker client, or set the option `command`", words);
    } else if (end->timed_out || end->exit_code != 0) {
        memcpy(words, work->last, sizeof(words));
        uint32_t failure = image_pull_failure(words, &hint);
        fail(work, failure, hint,
             end->timed_out     ? "it did not end within a day"
             : words[0] != '\0' ? words
                                : "no words");
    } else if (work->work == WORK_TAG) {
        start_push(work);
    } else {
        struct image_request request = {
            .name = work->reference, .reference = work->reference, .done = inspected, .context = work};
        work->step = image_inspect_by_client(work->docker, &request);
        if (work->step == NULL) {
            fail(work, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
        }
    }
}

/* Starts the client with these words behind its command; takes the list. */
static void start_client(struct client_work *work, struct texts *argv)
{
    struct docker *docker = work->docker;
    struct texts environment = {0};
    if (!client_environment(docker, &environment) || argv->failed) {
        fail(work, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
    } else {
        struct descpipe_process_request process = {
            .size = sizeof(process),
            .argv = texts_list(argv),
            .environment = texts_list(&environment),
            .timeout_ms = WORK_TIMEOUT_MS,
            .output_limit = OUTPUT_LIMIT,
            .line = line_came,
            .ended = client_ended,
            .context = work,
        };
        work->process = docker->host->process->start(docker->host, &process);
    }
    texts_clear(argv);
    texts_clear(&environment);
}

static struct client_work *new_work(struct docker *docker, struct descpipe_call *call, enum work kind,
                                    const char *reference)
{
    struct client_work *work = calloc(1, sizeof(*work));
    if (work == NULL || (work->reference = strdup(reference)) == NULL) {
        free(work);
        docker_fail_memory(docker, call);
        return NULL;
    }
    work->docker = docker;
    work->call = call;
    work->work = kind;
    docker->host->call->on_cancel(call, cancelled, work);
    return work;
}

static void add_each(struct texts *argv, const char *option, const char *const *values)
{
    for (; values != NULL && *values != NULL; values++) {
        texts_add(argv, option);
        texts_add(argv, *values);
    }
}

/* Build arguments stand in the image's history for everybody to read; they are no place for secrets, and so they may
 * stand in argv. */
void docker_build_by_client(struct docker *docker, struct descpipe_call *call, const struct descpipe_build *request)
{
    struct texts argv = {0};
    struct client_work *work = new_work(docker, call, WORK_BUILD, request->references[0]);
    if (work == NULL) {
        return;
    }
    work->log_descriptor = request->log_descriptor;
    texts_add_all(&argv, docker->command);
    texts_add(&argv, "build");
    add_each(&argv, "--tag", request->references);
    add_each(&argv, "--build-arg", request->arguments);
    add_each(&argv, "--label", request->labels);
    texts_add(&argv, "--file");
    texts_add(&argv, request->file);
    if (request->platform != NULL) {
        texts_add(&argv, "--platform");
        texts_add(&argv, request->platform);
    }
    if ((request->flags & DESCPIPE_BUILD_NO_CACHE) != 0) {
        texts_add(&argv, "--no-cache");
    }
    if ((request->flags & DESCPIPE_BUILD_PULL) != 0) {
        texts_add(&argv, "--pull");
    }
    texts_add(&argv, "--");
    texts_add(&argv, request->folder);
    start_client(work, &argv);
}

static void start_push(struct client_work *work)
{
    struct texts argv = {0};
    work->work = WORK_PUSH;
    texts_add_all(&argv, work->docker->command);
    texts_add(&argv, "push");
    texts_add(&argv, "--");
    texts_add(&argv, work->reference);
    start_client(work, &argv);
}

void docker_push_by_client(struct docker *docker, struct descpipe_call *call, const struct descpipe_push *request)
{
    struct texts argv = {0};
    struct client_work *work = new_work(docker, call, WORK_TAG, request->target->reference);
    if (work == NULL) {
        return;
    }
    texts_add_all(&argv, docker->command);
    texts_add(&argv, "tag");
    texts_add(&argv, "--");
    texts_add(&argv, request->image_handle != NULL ? request->image_handle : request->image->reference);
    texts_add(&argv, request->target->reference);
    start_client(work, &argv);
}
