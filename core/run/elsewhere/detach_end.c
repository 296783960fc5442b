/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last job of a run that was handed over: when all others are over it puts the results in place, as results.c does,
 * and gives the leases back.
 *
 * How it works: a script, and beside it the list of results, two lines each: where from, where to. It counts the
 * outcomes that are done; the results are placed when that is all of them. Its own outcome says done=yes then, so that
 * the run's state can be read from the folder alone.
 */
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "run/elsewhere/detach.h"
#include "run/elsewhere/job_files.h"
#include "run/elsewhere/job_script.h"

#define RESULTS_NAME "results"

static void print_count(const struct detach *detach, struct text *text)
{
    text_append(text, "missing=0\n"
                      "count() { # SERIAL JOBS\n"
                      "    good=$(grep -l -x done=yes \"$run/submissions/$1\"/outcome.* 2>/dev/null | wc -l)\n"
                      "    missing=$((missing + $2 - good))\n"
                      "    rm -f \"$run/submissions/$1\"/secrets.*\n"
                      "}\n");
    for (size_t i = 0; i < detach->sent_count; i++)
        text_format(text, "count %llu %u\n", (unsigned long long)detach->sent[i].serial, detach->sent[i].count);
}

/* A folder of members shows one run: what an earlier one put there is taken away, if it is kept in the data as well. */
static const char placing[] =
    "place_results() {\n"
    "    while IFS= read -r from && IFS= read -r to; do\n"
    "        mkdir -p \"${to%/*}\" && place \"$from\" \"$to\" yes || return 1\n"
    "    done <\"$results\"\n"
    "    while IFS= read -r tag; do\n"
    "        for old in \"$place/$tag\"/*; do\n"
    "            if [ -f \"$old\" ] && [ \"$old\" -ef \"$working/data/$tag/${old##*/}\" ] &&\n"
    "                ! grep -q -F -x -e \"$old\" \"$results\"; then\n"
    "                rm -f \"$old\"\n"
    "            fi\n"
    "        done\n"
    "    done <\"$results.folders\"\n"
    "}\n";

static void assign(struct text *text, const char *name, const char *value)
{
    text_format(text, "%s=", name);
    text_append_shell_word(text, value);
    text_append_character(text, '\n');
}

/* The last thing: from then on another run may begin. A lease that somebody took to follow the run is theirs. */
void detach_print_leases(const struct engine *engine, struct text *text)
{
    cleanup(memory_free) char *line = memory_format("run %s", engine->folder.id);
    assign(text, "run", engine->folder.path);
    assign(text, "working", engine->folder.working);
    text_append(text, "give_back() {\n    for lease in \"$run/lease\" \"$working/.descpipe/lease\"; do\n"
                      "        if grep -q -x 'pid 0' \"$lease\" 2>/dev/null && grep -q -x ");
    text_append_shell_word(text, line);
    text_append(text, " \"$lease\"; then\n            rm -f \"$lease\"\n        fi\n    done\n}\n");
}

static bool print_script(const struct detach *detach, const char *folder, struct text *text, struct error *error)
{
    struct engine *engine = detach->engine;
    cleanup(memory_free) char *outcome = path_join(folder, "outcome.0");
    cleanup(memory_free) char *results = path_join(folder, RESULTS_NAME);
    cleanup(memory_free) char *mark = memory_format(".descpipe-%s-end.tmp", engine->folder.id);
    text_append(text, "#!/bin/sh\n# Made by descpipe: what is left to do when all jobs of a run are over.\n");
    job_script_print_saying(outcome, text);
    detach_print_leases(engine, text);
    assign(text, "results", results);
    assign(text, "mark", mark);
    text_append(text, "LC_ALL=C\nexport LC_ALL\nstarted=$(now)\nstatus=0\n"
                      "attempt=$((${DESCPIPE_RESTART:-0} + 1))\nsay run\n");
    print_count(detach, text);
    if (engine->pipeline->output != NULL) {
        job_files_print_placing(text);
        assign(text, "place", engine->pipeline->output);

        text_append(text, placing);
        text_append(text, "if [ \"$missing\" -eq 0 ]; then\n"
                          "    words=$(place_results 2>&1) || {\n"
                          "        status=1\n"
                          "        missing=1\n"
                          "        reason=\"the results cannot be put into '$place': $words\"\n"
                          "    }\n"
                          "fi\n");
    }
    text_append(text, "[ \"$missing\" -ne 0 ] || finished=yes\nsay end\ngive_back\n");
    if (!on_exit_print(engine, folder, text, error))
        return false;
    text_append(text, "exit \"$status\"\n");
    return true;
}

static bool write_text(const char *folder, const char *name, const struct text *text, mode_t mode, struct error *error)
{
    cleanup(memory_free) char *path = path_join(folder, name);
    return file_write(path, text_bytes(text), text->length, mode, error);
}

static bool write_files(struct detach *detach, const char *folder, struct error *error)
{
    cleanup(text_clear) struct text script = TEXT_INIT, pairs = TEXT_INIT, folders = TEXT_INIT;
    if (!print_script(detach, folder, &script, error))
        return false;
    results_append(detach->engine, &pairs, &folders);
    return write_text(folder, RESULTS_NAME, &pairs, 0600, error) &&
           write_text(folder, RESULTS_NAME ".folders", &folders, 0600, error) &&
           write_text(folder, DETACH_SCRIPT, &script, 0700, error);
}

/* It asks for as little as there is, for as long as the longest stage may take. */
static struct descpipe_job *make_job(struct remote *remote)
{
    const struct engine *engine = remote->engine;
    struct descpipe_resources resources = {
        .size = sizeof resources, .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};
    for (uint32_t i = 0; i < engine->detach->order_count; i++) {
        struct descpipe_resources stage;
        plan_resources(engine->plan, engine->detach->order[i], &stage);
        if (stage.time_limit_ms > resources.time_limit_ms)
            resources.time_limit_ms = stage.time_limit_ms;
    }
    struct descpipe_job *job = detach_make_job(remote, "the end of the run", &resources);
    job->order = UINT32_MAX;
    job->after = detach_wait_for_all(engine->detach);
    return job;
}

void detach_send_end(struct detach *detach)
{
    struct engine *engine = detach->engine;
    struct remote *remote = remote_new(engine, detach->backend, 1);
    cleanup(error_clear) struct error error = ERROR_INIT;
    remote->preparing = 0;
    if (!folder_make(remote->folder, 0755, &error) || !write_files(detach, remote->folder, &error)) {
        detach_fail(engine, error.message);
        return;
    }
    detach_send_job(remote, make_job(remote), DESCPIPE_SUBMISSION_DETACHED);
}
