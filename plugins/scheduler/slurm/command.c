/* SPDX-License-Identifier: BSD-3-Clause */
/* What sbatch gets: its options and the files of a submission. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parts/script.h"
#include "submit.h"

static bool write_file(const char *folder, const char *name, const struct buffer *text, char *message, size_t size)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (text->failed || length < 0 || (size_t)length >= sizeof(path)) {
        snprintf(message, size, "no room for the name or the text of '%s'", name);
        return false;
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = descriptor >= 0;
    for (size_t written = 0; done && written < text->length;) {
        ssize_t got = write(descriptor, text->data + written, text->length - written);
        done = got > 0 || (got < 0 && errno == EINTR);
        written += got > 0 ? (size_t)got : 0;
    }
    /* The nodes read it as soon as sbatch has said yes. */
    done = done && fsync(descriptor) == 0;
    int problem = errno;
    if (descriptor >= 0 && close(descriptor) != 0 && done) {
        done = false;
        problem = errno;
    }
    if (!done) {
        snprintf(message, size, "cannot write '%.400s': %s", path, strerror(problem));
    }
    return done;
}

static bool needs_launcher(const struct descpipe_submission *submission)
{
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct descpipe_resources *resources = submission->jobs[i]->resources;
        if ((uint64_t)resources->nodes * resources->ranks_per_node > 1) {
            return true;
        }
    }
    return false;
}

bool command_write_files(const struct submitting *submitting, char *message, size_t size)
{
    const struct slurm *self = submitting->slurm;
    const struct descpipe_submission *submission = submitting->submission;
    const char *launcher_name = slurm_text(self, "launcher");
    struct launcher launcher = {
        .is_mpirun = launcher_name != NULL && strcmp(launcher_name, "mpirun") == 0,
        .mpi = slurm_text(self, "mpi"),
        .options = self->host->config->list(self->settings, "launcher-options"),
    };
    struct buffer text = {0};
    script_write_batch(&text, submission->token, submission->folder);
    bool done = write_file(submission->folder, SCRIPT_NAME, &text, message, size);
    buffer_clear(&text);
    script_write_index(&text, submission);
    done = done && write_file(submission->folder, SCRIPT_INDEX_NAME, &text, message, size);
    buffer_clear(&text);
    if (done && needs_launcher(submission)) {
        script_write_launcher(&text, &launcher);
        done = write_file(submission->folder, SCRIPT_LAUNCHER_NAME, &text, message, size);
        buffer_clear(&text);
    }
    return done;
}

struct dependency { /* one job that is waited for */
    uint64_t array;
    int64_t index;
    uint32_t members;
};

struct dependencies {
    struct dependency *items;
    size_t count, capacity;
    bool failed;
};

static void add_dependency(struct dependencies *all, const struct dependency *one)
{
    if (all->count == all->capacity) {
        size_t capacity = all->capacity > 0 ? all->capacity * 2 : 16;
        struct dependency *items = realloc(all->items, capacity * sizeof(*items));
        if (items == NULL) {
            all->failed = true;
            return;
        }
        all->items = items;
        all->capacity = capacity;
    }
    all->items[all->count++] = *one;
}

/* A job in our number, of this submission or an earlier one. One that is over, and that nobody was to wait for, needs
 * no waiting. False: it is of this submission and comes after. */
static bool find_dependency(const struct submitting *submitting, uint64_t job, struct dependencies *all)
{
    const struct slurm *self = submitting->slurm;
    for (uint32_t i = 0; i < submitting->submission->count; i++) {
        const struct accepted *accepted = &submitting->accepted[i];
        if (submitting->submission->jobs[i]->job != job) {
            continue;
        }
        if (accepted->array == 0) {
            return false;
        }
        add_dependency(all, &(struct dependency){accepted->array, accepted->index, accepted->members});
        return true;
    }
    const struct watched *known = jobs_find(&self->sent, job);
    known = known != NULL ? known : jobs_find(&self->jobs, job);
    if (known != NULL) {
        add_dependency(all, &(struct dependency){known->array, known->index, known->members});
    }
    return true;
}

/* ":123" for all members of an array that follow each other, else ":123_4:123_5". */
static void write_dependencies(const struct dependencies *all, struct buffer *text)
{
    for (size_t i = 0, end; i < all->count; i = end) {
        const struct dependency *first = &all->items[i];
        for (end = i + 1; end < all->count && all->items[end].array == first->array;) {
            end++;
        }
        if (first->index == RECORD_NO_INDEX || end - i == first->members) {
            buffer_format(text, ":%" PRIu64, first->array);
            continue;
        }
        for (size_t j = i; j < end; j++) {
            buffer_format(text, ":%" PRIu64 "_%" PRId64, first->array, all->items[j].index);
        }
    }
}

/* "afterok:1:2_7,afterany:2,aftercorr:9" */
static bool add_dependencies(const struct submitting *submitting, const struct request_group *group,
                             struct arguments *arguments)
{
    struct buffer text = {0};
    bool done = true;
    static const char *const kinds[][2] = {{"ok:", "afterok"}, {"end:", "afterany"}, {"corr:", "aftercorr"}};
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
        struct dependencies all = {0};
        struct buffer ids = {0};
        size_t length = strlen(kinds[kind][0]);
        for (const char *word = group->after; *word != '\0'; word += strcspn(word, " "), word += *word == ' ') {
            if (strncmp(word, kinds[kind][0], length) != 0) {
                continue;
            }
            uint64_t number = strtoull(word + length, NULL, 10);
            if (strcmp(kinds[kind][0], "corr:") == 0) {
                add_dependency(&all, &(struct dependency){.array = number, .index = RECORD_NO_INDEX});
            } else {
                done = find_dependency(submitting, number, &all) && done;
            }
        }
        write_dependencies(&all, &ids);
        if (ids.length > 0) {
            buffer_format(&text, "%s%s%s", text.length > 0 ? "," : "", kinds[kind][1], buffer_text(&ids));
        }
        done = done && !all.failed;
        buffer_clear(&ids);
        free(all.items);
    }
    if (text.length > 0) {
        arguments_format(arguments, "--dependency=%s", buffer_text(&text));
        arguments_add(arguments, "--kill-on-invalid-dep=yes");
    }
    buffer_clear(&text);
    return done;
}

void command_write_name(const struct submitting *submitting, const struct request_group *group, struct buffer *name)
{
    buffer_add_text(name, submitting->submission->token);
    if (submitting->slurm->limits.array_size <= 1) {
        buffer_format(name, ".%" PRIu32, group->positions[0]);
    }
}

/* Nothing of the user's environment but what finds programs. NONE would mean the same, but with it each node runs a
 * login shell of the user before each job, one after the other and for about a second. A token for the controller is
 * sbatch's own matter: with one in its environment it is NONE all the same. */
static void command_add_environment(const struct slurm *self, struct arguments *arguments)
{
    bool login = self->host->config->boolean(self->settings, "login-environment") != 0;
    const char *token = secure_getenv("SLURM_JWT");
    if (login || (token != NULL && token[0] != '\0')) {
        arguments_add(arguments, "--export=NONE");
        return;
    }
    arguments_add(arguments, "--export=ALL"); /* which is what tool.c gives to sbatch */
}

bool command_add(const struct submitting *submitting, const struct request_group *group, struct arguments *arguments)
{
    const struct descpipe_submission *submission = submitting->submission;
    struct buffer indices = {0}, name = {0};
    command_write_name(submitting, group, &name);
    arguments_add(arguments, "sbatch");
    arguments_add(arguments, "--parsable");
    command_add_environment(submitting->slurm, arguments);
    arguments_format(arguments, "--job-name=%s", buffer_text(&name));
    buffer_clear(&name);
    arguments_format(arguments, "--chdir=%s", submission->folder);
    /* Beside the batch script; a name with % or \ in its path would be a pattern. */
    arguments_add(arguments, "--output=" SCRIPT_LOG_NAME);
    arguments_add(arguments, "--error=" SCRIPT_LOG_NAME);
    arguments_add(arguments, "--open-mode=append");
    arguments_add(arguments, submission->flags & DESCPIPE_SUBMISSION_DETACHED ? "--requeue" : "--no-requeue");
    slurm_add_clusters(submitting->slurm, arguments);
    if (submission->flags & DESCPIPE_SUBMISSION_PILOT) { /* whole nodes; `extra` may say otherwise */
        arguments_add(arguments, "--exclusive");
        arguments_add(arguments, "--mem=0");
    }
    for (size_t i = 0; i < group->options.count; i++) {
        arguments_add(arguments, group->options.items[i]);
    }
    bool done = add_dependencies(submitting, group, arguments);
    if (submitting->slurm->limits.array_size > 1) {
        request_add_indices(&indices, group);
        arguments_format(arguments, "--array=%s", buffer_text(&indices));
        buffer_clear(&indices);
        arguments_format(arguments, "%s/" SCRIPT_NAME, submission->folder);
    } else {
        arguments_format(arguments, "%s/" SCRIPT_NAME, submission->folder);
        arguments_format(arguments, "%" PRIu32, group->positions[0]);
    }
    return done;
}
