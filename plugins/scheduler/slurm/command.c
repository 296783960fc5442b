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

/* Our number → "123_4", from this submission or an earlier one. A job that is over and not watched any more needs no
 * waiting for. False: it is of this submission and comes after. */
static bool write_dependency(const struct submitting *submitting, uint64_t job, struct buffer *text)
{
    char id[96];
    const struct watched *watched = jobs_find(&submitting->slurm->jobs, job);
    for (uint32_t i = 0; i < submitting->submission->count; i++) {
        if (submitting->submission->jobs[i]->job == job && submitting->accepted[i].array == 0) {
            return false;
        }
        if (submitting->submission->jobs[i]->job == job) {
            buffer_format(text, ":%" PRIu64, submitting->accepted[i].array);
            if (submitting->accepted[i].index != RECORD_NO_INDEX) {
                buffer_format(text, "_%" PRId64, submitting->accepted[i].index);
            }
            return true;
        }
    }
    if (watched != NULL) {
        jobs_write_id(watched, id, sizeof(id));
        id[strcspn(id, "@")] = '\0';
        buffer_format(text, ":%s", id);
    }
    return true;
}

/* "afterok:1_0:1_1,afterany:2" */
static bool add_dependencies(const struct submitting *submitting, const struct request_group *group,
                             struct arguments *arguments)
{
    struct buffer text = {0};
    bool done = true;
    static const char *const kinds[][2] = {{"ok:", "afterok"}, {"end:", "afterany"}};
    for (size_t kind = 0; kind < 2; kind++) {
        struct buffer ids = {0};
        for (const char *word = group->after; *word != '\0'; word += strcspn(word, " "), word += *word == ' ') {
            size_t length = strlen(kinds[kind][0]);
            if (strncmp(word, kinds[kind][0], length) == 0) {
                done = write_dependency(submitting, strtoull(word + length, NULL, 10), &ids) && done;
            }
        }
        if (ids.length > 0) {
            buffer_format(&text, "%s%s%s", text.length > 0 ? "," : "", kinds[kind][1], buffer_text(&ids));
        }
        buffer_clear(&ids);
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

bool command_add(const struct submitting *submitting, const struct request_group *group, struct arguments *arguments)
{
    const struct descpipe_submission *submission = submitting->submission;
    struct buffer indices = {0}, name = {0};
    command_write_name(submitting, group, &name);
    arguments_add(arguments, "sbatch");
    arguments_add(arguments, "--parsable");
    arguments_add(arguments, "--export=NONE");
    arguments_format(arguments, "--job-name=%s", buffer_text(&name));
    buffer_clear(&name);
    arguments_format(arguments, "--chdir=%s", submission->folder);
    /* Beside the batch script; a name with % or \ in its path would be a pattern. */
    arguments_add(arguments, "--output=" SCRIPT_LOG_NAME);
    arguments_add(arguments, "--error=" SCRIPT_LOG_NAME);
    arguments_add(arguments, "--open-mode=append");
    arguments_add(arguments, submission->flags & DESCPIPE_SUBMISSION_DETACHED ? "--requeue" : "--no-requeue");
    slurm_add_clusters(submitting->slurm, arguments);
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
