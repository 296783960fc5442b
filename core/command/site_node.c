/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a job finds on a node: one small job of this scheduler looks for the working folder and for the runtime's tool.
 *
 * How it works: the job's script lies in a folder of its own below the working folder, writes its answer there, and the
 * folder is removed. A node that is not free within the patience is not known, and the job is taken back.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "command/site.h"

#define MINUTE_MS 60000
#define SUBMIT_DEADLINE_MS 300000
#define END_PATIENCE_MS 30000  /* after a cancel */
#define FILE_PATIENCE_MS 15000 /* a file of another node, through a file system with caches */
#define LOOK_MS 250
#define ANSWER_LIMIT 4096

struct node_job {
    struct site_check *check;
    const char *about;
    char *folder, *answer;
    char *made[2]; /* the folders above it that were not there before, innermost first; or NULL */
    bool over, timed_out, looking;
    char *host, *reason;
    uint32_t flags;
    int32_t exit_code;
    bool has_ending;
};

static void node_job_clear_at(struct node_job *node)
{
    if (node->folder != NULL)
        folder_remove(node->folder, NULL);
    for (size_t i = 0; i < 2; i++) {
        if (node->made[i] != NULL)
            rmdir(node->made[i]); /* unless somebody has put something there meanwhile */
        memory_free(node->made[i]);
    }
    memory_free(node->folder);
    memory_free(node->answer);
    memory_free(node->host);
    memory_free(node->reason);
}

static void note_missing(struct node_job *node)
{
    struct stat status;
    char *above = path_folder(node->folder);
    for (size_t i = 0; i < 2 && stat(above, &status) != 0; i++) {
        node->made[i] = above;
        above = path_folder(above);
    }
    memory_free(above);
}

static void keep(char **place, const char *text)
{
    if (text == NULL)
        return;
    memory_free(*place);
    *place = memory_copy_text(text);
}

static void changed(void *context, const struct descpipe_change *change)
{
    struct node_job *node = context;
    keep(&node->host, change->host);
    keep(&node->reason, change->reason);
    if (change->state != DESCPIPE_JOB_ENDED || node->over)
        return;
    node->over = true;
    if (change->ending == NULL)
        return;
    node->has_ending = true;
    node->flags = change->ending->flags;
    node->exit_code = change->ending->exit_code;
    keep(&node->host, change->ending->host);
    keep(&node->reason, change->ending->reason);
}

static void patience_is_over(void *context)
{
    struct node_job *node = context;
    node->timed_out = true;
}

static bool is_awaited(void *context)
{
    const struct node_job *node = context;
    return !node->over && !node->timed_out;
}

static void wait_for_end(struct node_job *node, int64_t patience_ms)
{
    struct loop *loop = node->check->planning->installation.loop;
    node->timed_out = false;
    struct loop_timer *timer = loop_timer(loop, patience_ms, patience_is_over, node);
    if (is_awaited(node))
        loop_run(loop, is_awaited, node);
    if (!node->timed_out)
        loop_timer_stop(timer);
}

/* Lines "folder yes", "tool VERSION" or "tool missing", and "end". */
static bool write_script(const struct node_job *node, const char *tool, const char *path, struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "#!/bin/sh\n# Written by descpipe check --site: what is here?\nanswer=");
    text_append_shell_word(&text, node->answer);
    text_append(&text, "\n{\n    echo folder yes\n");
    if (tool != NULL) {
        text_append(&text, "    tool=");
        text_append_shell_word(&text, tool);
        text_append(&text, "\n    if command -v \"$tool\" >/dev/null 2>&1; then\n"
                           "        echo tool \"$(\"$tool\" --version </dev/null 2>&1 | head -n 1)\"\n"
                           "    else\n        echo tool missing\n    fi\n");
    }
    text_append(&text, "    echo end\n} >\"$answer.new\" && mv \"$answer.new\" \"$answer\"\n");
    return file_write(path, text_bytes(&text), text.length, 0700, error);
}

static void look_again(void *context)
{
    struct node_job *node = context;
    node->looking = false;
}

static bool is_looking(void *context)
{
    const struct node_job *node = context;
    return node->looking;
}

/* The whole answer; false when it does not come. */
static bool read_answer(struct node_job *node, struct text *text)
{
    int64_t until = clock_monotonic_ms() + FILE_PATIENCE_MS;
    for (;;) {
        text->length = 0;
        if (file_read(node->answer, ANSWER_LIMIT, text, NULL) && strstr(text_bytes(text), "\nend\n") != NULL)
            return true;
        if (clock_monotonic_ms() >= until)
            return false;
        node->looking = true;
        loop_timer(node->check->planning->installation.loop, LOOK_MS, look_again, node);
        loop_run(node->check->planning->installation.loop, is_looking, node);
    }
}

static void judge(struct node_job *node, const char *tool)
{
    struct site_check *check = node->check;
    cleanup(text_clear) struct text answer = TEXT_INIT;
    const char *host = node->host != NULL ? node->host : "a node";
    const char *working = check->planning->pipeline->working;
    bool ran_well = node->has_ending && node->flags == DESCPIPE_ENDED_EXITED && node->exit_code == 0;
    if (!ran_well) {
        site_find(check, SITE_DIFFERS, node->about, "the working folder must be one that every node sees",
                  "its job did not run well on %s: %s", host, node->reason != NULL ? node->reason : "nothing says why");
        return;
    }
    if (!read_answer(node, &answer)) {
        site_find(check, SITE_DIFFERS, node->about, "the working folder must be one that every node sees",
                  "what its job wrote into '%s' on %s is not seen here", working, host);
        return;
    }
    site_find(check, SITE_FINE, node->about, NULL, "%s sees the working folder", host);
    char *line = strstr(text_bytes(&answer), "\ntool ");
    if (tool == NULL || line == NULL)
        return;
    line += strlen("\ntool ");
    line[strcspn(line, "\n")] = '\0';
    cleanup(memory_free) char *about = memory_format("'%s' on a node", tool);
    if (strcmp(line, "missing") == 0)
        site_find(check, SITE_DIFFERS, about,
                  "ask where it is on the nodes, and set the runtime's option for its program", "it is not on %s",
                  host);
    else
        site_find(check, SITE_FINE, about, NULL, "%s has %s", host, line[0] != '\0' ? line : "it");
}

/* Nobody waits for it any more. */
static void take_back(struct node_job *node, const struct plan_backend *backend)
{
    const uint64_t jobs[] = {1};
    cleanup(site_answer_clear) struct site_answer cancelled = {0};
    cleanup(memory_free) char *reason = memory_copy_text(node->reason != NULL ? node->reason : "nothing says why");
    scheduler_cancel(backend->scheduler, jobs, 1, site_ask(&cancelled, 0));
    site_wait(node->check, &cancelled);
    wait_for_end(node, END_PATIENCE_MS);
    site_find(node->check, SITE_NOT_KNOWN, node->about, "a longer --node-wait gives it more time",
              "no node was free for a small job within %llu s (%s)", (unsigned long long)node->check->wait_s, reason);
}

static void submit_and_wait(struct node_job *node, const struct plan_backend *backend,
                            const struct descpipe_submission *submission, const char *tool)
{
    struct site_check *check = node->check;
    cleanup(site_answer_clear) struct site_answer observed = {0}, submitted = {0}, released = {0};
    struct plugin_call *observing = scheduler_observe(backend->scheduler, site_ask(&observed, INT64_MAX));
    scheduler_submit(backend->scheduler, submission, site_ask(&submitted, SUBMIT_DEADLINE_MS));
    site_wait(check, &submitted);
    if (!submitted.ok) {
        enum site_state state = submitted.failure == DESCPIPE_FAILED_REFUSED ? SITE_DIFFERS : SITE_NOT_KNOWN;
        site_find(check, state, node->about, submitted.hint, "%s", submitted.message);
    } else {
        wait_for_end(node, (int64_t)check->wait_s * 1000);
        if (node->over)
            judge(node, tool);
        else
            take_back(node, backend);
        scheduler_release(backend->scheduler, submission->token, site_ask(&released, 0));
        site_wait(check, &released);
    }
    if (observing != NULL && !observed.over)
        call_cancel(observing);
    site_wait(check, &observed);
}

void site_check_node(struct site_check *check, const struct plan_backend *backend, const struct descpipe_job *job,
                     const char *tool)
{
    cleanup(memory_free) char *about = memory_format("node of scheduler '%s'", backend->scheduler_name);
    cleanup(node_job_clear) struct node_job node = {.check = check, .about = about};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *name = memory_format(".descpipe/site-check-%lld", (long long)getpid());
    node.folder = path_join(check->planning->pipeline->working, name);
    node.answer = path_join(node.folder, "answer");
    cleanup(memory_free) char *script = path_join(node.folder, "job.sh"), *log = path_join(node.folder, "job.log");
    note_missing(&node);
    if (!folder_make(node.folder, 0700, &error) || !write_script(&node, tool, script, &error)) {
        site_find(check, SITE_DIFFERS, about, error.hint, "%s", error.message);
        return;
    }
    struct descpipe_resources small = *job->resources;
    small.nodes = small.ranks_per_node = small.cpus_per_rank = 1;
    small.time_limit_ms = MINUTE_MS;
    struct descpipe_job asked = *job;
    asked.resources = &small;
    asked.stage = asked.group = "site-check";
    asked.script = script;
    asked.output_path = asked.error_path = log;
    const struct descpipe_job *const jobs[] = {&asked};
    cleanup(memory_free) char *run = memory_format("check-%lld-%lld", (long long)getpid(), (long long)clock_wall_ms());
    cleanup(memory_free) char *token = memory_format("%s-1", run);
    const struct descpipe_submission submission = {
        .size = sizeof submission, .count = 1, .token = token, .run = run, .folder = node.folder, .jobs = jobs};
    check->planning->installation.changed = changed;
    check->planning->installation.changed_context = &node;
    submit_and_wait(&node, backend, &submission, tool);
    check->planning->installation.changed = NULL;
}
