/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds an image from a folder.
 *
 *     read the Dockerfile's FROM lines ─► ask for the login of each base's registry ─► write the context into a file
 *         without a name ─► POST /build, whose answer is the tool's output ─► look at the image
 *
 * The context is written first, because the host's HTTP wants to know how long a body is; a helper thread does it. An
 * error within the output is a failure, whatever the status was.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "docker.h"
#include "engine/context.h"
#include "engine/dockerfile.h"
#include "engine/lines.h"

enum { BUILD_IDLE_MS = 6 * 3600 * 1000 }; /* a step may compile for hours without a word */

struct build {
    struct docker *docker;
    struct descpipe_call *call;           /* NULL: cancelled, what cannot be stopped goes on unheard */
    const struct descpipe_build *request; /* lives as long as the call */
    char *folder, *file, *reference;
    struct texts bases;
    size_t base; /* whose login is asked for */
    struct bytes logins;
    int archive;
    volatile bool stop;
    struct context_answer context;
    bool written;
    struct exchange *exchange;
    struct image_step *step;
    struct lines lines;
    struct bytes tail; /* of the output: the line that is not complete */
    char id[ANSWER_ID], error[ANSWER_WORDS];
    bool log_failed;
};

static void free_build(struct build *build)
{
    if (build->archive >= 0) {
        close(build->archive);
    }
    free(build->folder);
    free(build->file);
    free(build->reference);
    texts_clear(&build->bases);
    bytes_wipe(&build->logins);
    lines_clear(&build->lines);
    bytes_clear(&build->tail);
    free(build);
}

static void fail(struct build *build, uint32_t failure, const char *hint, const char *words)
{
    if (build->call != NULL) {
        docker_fail(build->docker, build->call, failure, hint, "building '%.200s': %s", build->reference, words);
    }
    free_build(build);
}

static void cancelled(void *context)
{
    struct build *build = context;
    if (build->exchange != NULL) {
        docker_stop_asking(build->exchange);
        return;
    }
    if (build->step != NULL) {
        build->step->stop(build->step);
        return;
    }
    struct descpipe_call *call = build->call;
    build->stop = true;
    build->call = NULL;
    docker_fail(build->docker, call, DESCPIPE_FAILED_CANCELLED, NULL, "building '%.200s': stopped", build->reference);
}

/* ---- the image ---- */

static void inspected(void *context, const struct image_answer *answer)
{
    struct build *build = context;
    build->step = NULL;
    if (answer->outcome == IMAGE_DONE) {
        answer_image(build->docker, build->call, answer->facts);
        free_build(build);
        return;
    }
    char words[ANSWER_WORDS];
    snprintf(words, sizeof(words), "it was built, but cannot be looked at: %.400s", answer->words);
    fail(build, answer->outcome == IMAGE_ABSENT ? DESCPIPE_FAILED_REFUSED : answer->failure, answer->hint, words);
}

static void look(struct build *build)
{
    const char *name = build->id[0] != '\0' ? build->id : build->reference;
    struct image_request request = {.name = name, .reference = build->reference, .done = inspected, .context = build};
    build->step = image_inspect(build->docker, &request);
    if (build->step == NULL) {
        fail(build, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
    }
}

/* ---- the output ---- */

static void write_log(struct build *build, const char *text, size_t length)
{
    while (length > 0 && build->request->log_descriptor > 0 && !build->log_failed) {
        ssize_t put = write(build->request->log_descriptor, text, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        build->log_failed = put <= 0;
        text += put > 0 ? put : 0;
        length -= put > 0 ? (size_t)put : 0;
    }
}

/* The last complete line is what a person sees move. */
static void tell(struct build *build, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text != '\n' && *text != '\r') {
            if (build->tail.length < MESSAGE_LIMIT) {
                bytes_add(&build->tail, text, 1);
            }
            continue;
        }
        struct bytes line = {0};
        bytes_add_line(&line, bytes_text(&build->tail), build->tail.length, MESSAGE_LIMIT / 2);
        if (line.length > 0) {
            build->docker->host->call->progress(build->call, 0, 0, bytes_text(&line));
        }
        bytes_clear(&line);
        build->tail.length = 0;
    }
}

/* Pulling a base image: only what is new of a layer, not every step of its bar. */
static void log_status(struct build *build, const struct work_line *line)
{
    struct bytes text = {0};
    if (line->status[0] == '\0' || line->total > 0) {
        return;
    }
    bytes_format(&text, "%s%s%s\n", line->layer, line->layer[0] != '\0' ? ": " : "", line->status);
    write_log(build, bytes_text(&text), text.length);
    bytes_clear(&text);
}

static void line_came(void *context, const char *text, size_t length)
{
    struct build *build = context;
    struct work_line line;
    if (!answer_read_work_line(text, length, &line)) {
        return;
    }
    if (line.output != NULL) {
        write_log(build, line.output, strlen(line.output));
        tell(build, line.output);
    }
    log_status(build, &line);
    if (line.id[0] != '\0') {
        memcpy(build->id, line.id, sizeof(build->id));
    }
    if (line.error[0] != '\0' && build->error[0] == '\0') {
        memcpy(build->error, line.error, sizeof(build->error));
        write_log(build, line.error, strlen(line.error));
        write_log(build, "\n", 1);
    }
    free(line.output);
}

static void output_came(void *context, const void *data, size_t length)
{
    struct build *build = context;
    lines_add(&build->lines, data, length, line_came, build);
}

static uint32_t build_failure(const char *words, const char **hint)
{
    if (strstr(words, "requires BuildKit") != NULL || strstr(words, "requires buildkit") != NULL) {
        *hint = "set the runtime's option `form: client`: the docker client builds with BuildKit";
        return DESCPIPE_FAILED_REFUSED;
    }
    if (strstr(words, "returned a non-zero code") != NULL) {
        *hint = "the log of the build shows what the command said";
        return DESCPIPE_FAILED_REFUSED;
    }
    if (strncmp(words, "COPY failed", 11) == 0 || strncmp(words, "ADD failed", 10) == 0) {
        *hint = "what is copied must lie in the stage's folder and not be left out by its .dockerignore";
        return DESCPIPE_FAILED_REFUSED;
    }
    return image_pull_failure(words, hint);
}

static void output_ended(void *context, const struct docker_reply *reply)
{
    struct build *build = context;
    const char *hint = NULL;
    build->exchange = NULL;
    char words[ANSWER_WORDS];
    if (reply->outcome == DESCPIPE_HTTP_DONE) {
        lines_end(&build->lines, line_came, build);
    }
    if (reply->outcome != DESCPIPE_HTTP_DONE) {
        snprintf(words, sizeof(words), "%s", reply->words);
        fail(build, docker_failure(reply), reply->hint, words);
    } else if (reply->status >= 300) {
        snprintf(words, sizeof(words), "%s", reply->words);
        uint32_t failure = image_pull_failure(words, &hint);
        fail(build, failure, hint, words);
    } else if (build->error[0] != '\0') {
        memcpy(words, build->error, sizeof(words));
        uint32_t failure = build_failure(words, &hint);
        fail(build, failure, hint, words);
    } else if (build->log_failed) {
        fail(build, DESCPIPE_FAILED_REFUSED, "is the disk full?", "its log cannot be written");
    } else {
        look(build);
    }
}

/* ---- the question ---- */

static void add_parameter(struct bytes *path, const char *name, const char *value)
{
    bytes_format(path, "&%s=", name);
    bytes_add_escaped(path, value, "");
}

static void add_text(struct bytes *json, const char *text, size_t length)
{
    bytes_add(json, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char value = (unsigned char)text[i];
        if (value < 0x20 || value == '"' || value == '\\') {
            bytes_format(json, "\\u%04x", value);
        } else {
            bytes_add(json, text + i, 1);
        }
    }
    bytes_add(json, "\"", 1);
}

/* "NAME=value" ... as a JSON object, in a parameter of the query. */
static void add_map(struct bytes *path, const char *name, const char *const *pairs)
{
    struct bytes json = {0};
    bytes_add_text(&json, "{");
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++) {
        size_t length = strcspn(pairs[i], "=");
        bytes_add_text(&json, i > 0 ? "," : "");
        add_text(&json, pairs[i], length);
        bytes_add_text(&json, ":");
        const char *value = pairs[i][length] == '=' ? pairs[i] + length + 1 : "";
        add_text(&json, value, strlen(value));
    }
    bytes_add_text(&json, "}");
    if (pairs != NULL && pairs[0] != NULL) {
        add_parameter(path, name, bytes_text(&json));
    }
    path->failed = path->failed || json.failed;
    bytes_clear(&json);
}

static void write_path(struct build *build, struct bytes *path)
{
    const struct descpipe_build *request = build->request;
    bytes_add_text(path, "/build?rm=1&forcerm=1");
    add_parameter(path, "dockerfile", build->context.file);
    for (const char *const *reference = request->references; *reference != NULL; reference++) {
        add_parameter(path, "t", *reference);
    }
    add_map(path, "buildargs", request->arguments);
    add_map(path, "labels", request->labels);
    bytes_add_text(path, (request->flags & DESCPIPE_BUILD_NO_CACHE) != 0 ? "&nocache=1" : "");
    bytes_add_text(path, (request->flags & DESCPIPE_BUILD_PULL) != 0 ? "&pull=1" : "");
    if (request->platform != NULL && build->docker->api >= API_PULL_PLATFORM) {
        add_parameter(path, "platform", request->platform);
    }
}

static void ask_to_build(struct build *build)
{
    struct bytes path = {0}, header = {0};
    struct stat status;
    write_path(build, &path);
    bytes_add_text(&build->logins, "}");
    bytes_add_text(&header, "X-Registry-Config: ");
    bytes_add_base64url(&header, bytes_text(&build->logins), build->logins.length);
    bool ready = !path.failed && !header.failed && !build->logins.failed && fstat(build->archive, &status) == 0;
    struct docker_request question = {
        .method = "POST",
        .path = bytes_text(&path),
        .type = "application/x-tar",
        .header = build->logins.length > 2 ? bytes_text(&header) : NULL,
        .body_length = ready ? (size_t)status.st_size : 0,
        .body_descriptor = build->archive,
        .idle_timeout_ms = BUILD_IDLE_MS,
        .stream = true,
        .data = output_came,
        .done = output_ended,
        .context = build,
    };
    build->exchange = ready ? docker_ask(build->docker, &question) : NULL;
    bytes_clear(&path);
    bytes_wipe(&header);
    bytes_wipe(&build->logins);
    if (build->exchange == NULL) {
        fail(build, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
    }
}

/* ---- the context ---- */

static void write_context(void *context)
{
    struct build *build = context;
    struct context_request request = {.folder = build->folder, .file = build->file, .descriptor = build->archive};
    build->written = context_write(&request, &build->stop, &build->context);
}

static void context_was_written(void *context)
{
    struct build *build = context;
    if (build->call == NULL) {
        free_build(build);
    } else if (!build->written) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "its context cannot be read: %.450s", build->context.words);
        fail(build, DESCPIPE_FAILED_REFUSED, NULL, words);
    } else if (lseek(build->archive, 0, SEEK_SET) != 0) {
        fail(build, DESCPIPE_FAILED_REFUSED, NULL, "its context cannot be read back");
    } else {
        ask_to_build(build);
    }
}

/* A file without a name: nothing is left behind, whatever happens. */
static int open_archive(const struct docker *docker)
{
    const char *folders[] = {docker->host->cache_folder, secure_getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        int descriptor = folders[i] != NULL ? open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
        char path[4096];
        if (descriptor < 0 && folders[i] != NULL && (errno == EOPNOTSUPP || errno == EISDIR)) {
            snprintf(path, sizeof(path), "%s/context-XXXXXX", folders[i]);
            descriptor = mkostemp(path, O_CLOEXEC);
            if (descriptor >= 0) {
                unlink(path);
            }
        }
        if (descriptor >= 0) {
            return descriptor;
        }
    }
    return -1;
}

/* ---- the logins of the bases ---- */

static void next_login(struct build *build);

static void login_came(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct build *build = context;
    struct docker *docker = build->docker;
    if (build->call == NULL) {
        free_build(build);
        return;
    }
    const char *base = texts_list(&build->bases)[build->base - 1];
    if (message != NULL) { /* the base may be on this machine, or open to all: the Engine says when it is not */
        struct bytes line = {0};
        bytes_format(&line, "no login for the base image '%.200s': ", base);
        bytes_add_line(&line, message, strlen(message), MESSAGE_LIMIT / 2);
        docker->host->log->write(docker->host, DESCPIPE_LOG_NOTICE, bytes_text(&line));
        bytes_clear(&line);
    } else if (login_is_given(credential) && !login_add_config(docker, credential, base, &build->logins)) {
        fail(build, DESCPIPE_FAILED_LATER, NULL, "not enough memory");
        return;
    }
    next_login(build);
}

static void next_login(struct build *build)
{
    struct docker *docker = build->docker;
    if (build->base < build->bases.count) {
        const char *base = texts_list(&build->bases)[build->base++];
        struct descpipe_image image = {.size = sizeof(image), .source = DESCPIPE_SOURCE_REGISTRY, .reference = base};
        docker->host->credential->for_image(docker->host, &image, DESCPIPE_PURPOSE_PULL, login_came, build);
        return;
    }
    build->archive = open_archive(docker);
    if (build->archive < 0) {
        fail(build, DESCPIPE_FAILED_REFUSED, "set TMPDIR to a folder that can be written",
             "there is no place for its context");
        return;
    }
    docker->host->work->run(docker->host, write_context, context_was_written, build);
}

static bool read_bases(struct build *build)
{
    int descriptor = open(build->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = descriptor >= 0 ? malloc(DOCKERFILE_LIMIT + 1) : NULL;
    size_t length = 0;
    ssize_t got = 1;
    while (text != NULL && got > 0 && length <= DOCKERFILE_LIMIT) {
        got = read(descriptor, text + length, DOCKERFILE_LIMIT + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    bool done = text != NULL && got == 0 && dockerfile_bases(text, length, build->request->arguments, &build->bases);
    free(text);
    return done;
}

void docker_build(void *self, struct descpipe_call *call, const struct descpipe_build *request)
{
    struct docker *docker = self;
    if (docker->by_client) {
        docker_build_by_client(docker, call, request);
        return;
    }
    struct build *build = calloc(1, sizeof(*build));
    if (build == NULL) {
        docker_fail_memory(docker, call);
        return;
    }
    *build = (struct build){.docker = docker, .call = call, .request = request, .archive = -1};
    build->folder = strdup(request->folder);
    build->file = strdup(request->file);
    build->reference = strdup(request->references[0]);
    if (build->folder == NULL || build->file == NULL || build->reference == NULL ||
        !bytes_add_text(&build->logins, "{")) {
        free_build(build);
        docker_fail_memory(docker, call);
        return;
    }
    if (!read_bases(build)) {
        char words[ANSWER_WORDS];
        snprintf(words, sizeof(words), "its Dockerfile '%.300s' cannot be read", request->file);
        fail(build, DESCPIPE_FAILED_REFUSED, "it is a text file of at most 1 MiB", words);
        return;
    }
    docker->host->call->on_cancel(call, cancelled, build);
    next_login(build);
}
