/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing job scripts and reading what they say.
 *
 * How it works: the stage runs in a subshell that first drops the job's environment, then sets exactly what the stage
 * may see, and becomes the command; so the script around it keeps its own PATH, and $! is the command itself. Waiting
 * in the background lets the script hear a signal at once and still write its outcome.
 */
#include "run/elsewhere/job_script.h"

#include <string.h>

#include "base/file.h"
#include "run/elsewhere/job_files.h"
#include "run/journal/run_folder.h"

#define REMOVAL_AFTER_SECONDS "15"

static bool is_variable(const char *name, size_t length)
{
    if (length == 0 || (name[0] >= '0' && name[0] <= '9'))
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") >= length;
}

static void append_words(struct text *text, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        text_append_character(text, ' ');
        text_append_shell_word(text, words[i]);
    }
}

static void assign(struct text *text, const char *name, const char *value)
{
    text_append(text, name);
    text_append_character(text, '=');
    text_append_shell_word(text, value);
    text_append_character(text, '\n');
}

bool job_script_print_exports(const char *const *pairs, struct text *text, struct error *error)
{
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++) {
        size_t name = strcspn(pairs[i], "=");
        if (!is_variable(pairs[i], name))
            return error_set(error, ERROR_INPUT, "a job cannot be given a variable called '%.*s'", (int)name, pairs[i]);
        text_append(text, "    export ");
        text_append_bytes(text, pairs[i], name + 1);
        text_append_shell_word(text, pairs[i] + name + 1);
        text_append_character(text, '\n');
    }
    return true;
}

static bool is_named(const struct job_script *script, const char *name)
{
    for (size_t i = 0; script->late_names != NULL && script->late_names[i] != NULL; i++)
        if (strcmp(script->late_names[i], name) == 0)
            return true;
    return false;
}

void job_script_print_saying(const char *outcome, struct text *text)
{
    text_append(text, "outcome=");
    text_append_shell_word(text, outcome);
    text_append(
        text, "\numask 022\n"
              "PATH=${PATH:-/usr/bin:/bin}\n"
              "stopped= warned= failed= reason= timed_out= finished= attempt=\n"
              "now() { date +%s.%3N; }\n"
              "here=$(uname -n)\n"
              "say() { # PHASE: what is known so far, as a whole or not at all\n"
              "    {\n"
              "        echo \"phase=$1\"\n"
              "        echo \"host=$here\"\n"
              "        echo \"started=$started\"\n"
              "        [ \"$1\" != end ] || echo \"finished=$(now)\"\n"
              "        [ \"$1\" != end ] || echo \"exit=$status\"\n"
              "        [ -z \"$stopped\" ] || echo \"stopped=$stopped\"\n"
              "        [ -z \"$warned\" ] || echo \"warned=$warned\"\n"
              "        [ -z \"$attempt\" ] || echo \"attempt=$attempt\"\n"
              "        [ -z \"$timed_out\" ] || echo \"timed_out=$timed_out\"\n"
              "        [ -z \"$failed\" ] || echo \"failed=$failed\"\n"
              "        [ -z \"$reason\" ] || printf 'reason=%s\\n' \"$(printf '%s' \"$reason\" | tr '\\n' ' ' | cut -b "
              "1-500)\"\n"
              "        [ -z \"$finished\" ] || echo done=yes\n"
              /* The end alone must outlive its node. */
              "    } >\"$outcome.new\" && { [ \"$1\" != end ] || sync \"$outcome.new\" 2>/dev/null || :; } &&\n"
              "        mv -f \"$outcome.new\" \"$outcome\"\n"
              "}\n");
}

static void print_head(const struct job_script *script, struct text *text)
{
    text_append(text, "#!/bin/sh\n# Made by descpipe: runs one stage and says how it ended.\n");
    if (script->path != NULL)
        assign(text, "script", script->path);
    text_append(text, "descpipe_gpus=${CUDA_VISIBLE_DEVICES-}\n");
    job_script_print_saying(script->outcome, text);
}

/* The shell's own variables cannot be unset, and `command` keeps that from ending the script. */
static void print_forgetting(const struct job_script *script, struct text *text)
{
    text_append(text, "    for descpipe_name in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do\n"
                      "        case $descpipe_name in\n");
    if (script->ranks_outside) /* how a rank finds its world */
        text_append(text, "        PMI*|SLURM_*|OMPI_*|MPI_*|I_MPI_*|PRTE_*|PALS_*) ;;\n");
    text_append(text, "        *) command unset \"$descpipe_name\" 2>/dev/null || : ;;\n"
                      "        esac\n"
                      "    done\n");
}

static void print_late(const struct job_script *script, struct text *text)
{
    const char *prefix = script->late_prefix != NULL ? script->late_prefix : "";
    if (is_named(script, "CUDA_VISIBLE_DEVICES"))
        text_format(text, "    export %sCUDA_VISIBLE_DEVICES=\"$descpipe_gpus\"\n", prefix);
    if (is_named(script, "DESC_RANK"))
        text_format(text, "    export %sDESC_RANK=\"$descpipe_rank\"\n", prefix);
}

/* The function that becomes the command. */
static bool print_stage(const struct job_script *script, struct text *text, struct error *error)
{
    text_append(text, "stage() {\n    descpipe_rank=${DESCPIPE_RANK:-0}\n");
    print_forgetting(script, text);
    if (!job_script_print_exports(script->environment, text, error))
        return false;
    print_late(script, text);
    if (script->secrets != NULL) {
        text_append(text, "    . ");
        text_append_shell_word(text, script->secrets);
        text_append(text, " || exit 126\n");
    }
    if (script->directory != NULL) {
        text_append(text, "    cd ");
        text_append_shell_word(text, script->directory);
        text_append(text, " || exit 126\n    command unset OLDPWD\n");
    }
    text_append(text, "    exec");
    append_words(text, script->argv);
    text_append(text, "\n}\n");
    return true;
}

/* What runs beside the stage is told where its files are by the same variables as the stage's own argv: this script as
 * `SCRIPT setup` or `SCRIPT remove`, so that no value stands in a process list. */
static bool print_beside(const struct job_script *script, struct text *text, struct error *error)
{
    const struct {
        const char *word;
        const char *const *argv;
    } all[] = {{"setup", script->setup}, {"remove", script->removal}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].argv == NULL)
            continue;
        text_format(text, "if [ \"${1-}\" = %s ]; then\n", all[i].word);
        if (!job_script_print_exports(script->environment, text, error))
            return false;
        text_append(text, "    exec");
        append_words(text, all[i].argv);
        text_append(text, "\nfi\n");
    }
    return true;
}

static void print_on_nodes(const char *word, struct text *text)
{
    text_format(text,
                "if [ -n \"${DESCPIPE_LAUNCHER-}\" ]; then\n"
                "    /bin/sh \"$DESCPIPE_LAUNCHER\" nodes /bin/sh \"$script\" %s \"${DESCPIPE_INDEX-}\"\n"
                "else\n    /bin/sh \"$script\" %s \"${DESCPIPE_INDEX-}\"\nfi",
                word, word);
}

/* Whatever happens from here on, the job ends by `finish STATUS`. */
static void print_finish(const struct job_script *script, struct text *text)
{
    if (script->scratch != NULL)
        assign(text, "scratch", script->scratch);
    if (script->secrets != NULL)
        assign(text, "secrets", script->secrets);
    text_append(text, "finish() { # STATUS\n");
    if (script->scratch != NULL)
        text_append(text, "    rm -rf \"$scratch\"\n");
    /* Who is told to end may be started again. */
    if (script->secrets != NULL)
        text_append(text, script->detached != NULL ? "    [ -n \"$stopped\" ] || rm -f \"$secrets\"\n"
                                                   : "    rm -f \"$secrets\"\n");
    if (script->detached != NULL) {
        text_append(text, "    [ -s \"$log.$attempt.out\" ] || rm -f \"$log.$attempt.out\"\n"
                          "    [ -s \"$log.$attempt.err\" ] || rm -f \"$log.$attempt.err\"\n");
        if (script->detached->name != NULL)
            text_append(text, "    case $1,$stopped,$timed_out,$failed in\n"
                              "    0,* | *,?*,, | *,cancelled | *,skipped) ;;\n"
                              "    *) printf '%s\\n' \"$name\" >\"$run/" RUN_FAILED_FILE "\" ;;\n"
                              "    esac\n");
    }
    text_append(text, "    say end\n    exit \"$1\"\n}\n");
}

static void print_setup(const struct job_script *script, struct text *text)
{
    if (script->setup == NULL)
        return;
    text_append(text, "say setup\n");
    print_on_nodes("setup", text);
    text_append(text, " || {\n    status=$?\n    failed=image\n    reason='its node could not be made ready'\n"
                      "    finish \"$status\"\n}\n");
}

/* What a service keeps for a stage that is deaf to its signal must go before the batch system ends this script by
 * force, which it does half a minute after the signal where nobody changed that (slurm.conf(5), "KillWait"). */
static void print_removal(const struct job_script *script, struct text *text)
{
    if (script->removal == NULL)
        return;
    text_append(text, "remover=\nremove() {\n");
    print_on_nodes("remove", text);
    text_append(text, " </dev/null >/dev/null 2>&1\n}\n"
                      "remove_later() {\n    { sleep " REMOVAL_AFTER_SECONDS "; remove; } >/dev/null 2>&1 &\n"
                      "    remover=$!\n}\n");
}

static void print_end_of_removal(const struct job_script *script, struct text *text)
{
    if (script->removal != NULL)
        text_append(text, "[ -z \"$remover\" ] || kill \"$remover\" 2>/dev/null || :\n"
                          "if [ -n \"$stopped\" ] || [ \"$status\" -gt 128 ]; then\n    remove || :\nfi\n");
}

static void print_scratch(const struct job_script *script, struct text *text)
{
    if (script->scratch == NULL)
        return;
    if (script->detached != NULL)
        text_append(text, "rm -rf \"$scratch\"\n"); /* of its life before */
    text_append(text, "mkdir -m 700 \"$scratch\" || {\n    failed=stage_in\n"
                      "    reason=\"its scratch folder '$scratch' cannot be made\"\n    finish 1\n}\n");
}

/* A job that its scheduler starts once more begins anew: its own logs, an empty output folder. What another life of it,
 * on a node that is not quite dead, may still write goes with the folder that is moved away. */
static void print_life(const struct job_detached *detached, struct text *text)
{
    assign(text, "run", detached->run);
    assign(text, "log", detached->log);
    assign(text, "output", detached->output);
    assign(text, "mark", detached->mark);
    if (detached->name != NULL)
        assign(text, "name", detached->name);
    text_append(text, "LC_ALL=C\nexport LC_ALL\n"
                      "attempt=$((${DESCPIPE_RESTART:-0} + 1))\n"
                      "if [ \"$attempt\" -gt 1 ]; then\n"
                      "    exec >>\"$log.$attempt.out\" 2>>\"$log.$attempt.err\"\n"
                      "    [ ! -d \"$output\" ] || mv \"$output\" \"$output.before-$attempt\"\n"
                      "    mkdir \"$output\"\n"
                      "fi\n");
    job_files_print_placing(text);
    job_files_print_functions(text);
    if (detached->in != NULL)
        job_files_print_in(detached->in, text);
    if (detached->out != NULL)
        job_files_print_out(detached->out, text);
}

static void print_question(struct text *text, const char *file, const char *failure, const char *reason)
{
    text_format(text, "if [ -e \"$run/%s\" ]; then\n    failed=%s\n    reason='%s'\n    finish 1\nfi\n", file, failure,
                reason);
}

static void print_begin(const struct job_detached *detached, struct text *text)
{
    print_question(text, RUN_CANCEL_FILE, "cancelled", "before it began");
    print_question(text, RUN_FAILED_FILE, "skipped", "because another stage failed");
    if (detached->in != NULL)
        text_append(text, "say in\nbring_in || finish 1\n");
}

/* A job's time is counted from its allocation, a little before this script's. */
#define CLOCK_SLACK_S 15

static void print_results(const struct job_detached *detached, struct text *text)
{
    if (detached->time_limit_ms > 0)
        text_format(text,
                    "if [ -n \"$stopped\" ] && [ $(($(date +%%s) - ${started%%%%.*})) -ge %lld ]; then\n"
                    "    timed_out=yes\nfi\n",
                    (long long)(detached->time_limit_ms / 1000 - CLOCK_SLACK_S));
    text_append(text, "if [ \"$status\" -ne 0 ]; then\n    [ -z \"$warned\" ] || timed_out=yes\n"
                      "    finish \"$status\"\nfi\n");
    if (detached->out != NULL)
        text_append(text, "say out\nif ! look_at_outputs || ! publish_outputs; then\n    finish 1\nfi\n");
    text_append(text, "finished=yes\n");
}

/* Its scheduler tells this script alone; who must hear of it may be some processes below the child, all of them in this
 * one's group. */
static void print_warning(const char *signal, struct text *text)
{
    text_format(text,
                "warn() {\n    warned=%s\n    [ -n \"$child\" ] || return 0\n    heard=yes\n    trap '' %s\n"
                "    kill -s %s 0\n}\ntrap warn %s\n",
                signal, signal, signal, signal);
}

bool job_script_print(const struct job_script *script, struct text *text, struct error *error)
{
    print_head(script, text);
    if (!print_stage(script, text, error))
        return false;
    if (script->ranks_outside)
        text_append(text, "if [ \"${1-}\" = rank ]; then\n    stage\nfi\n");
    if (!print_beside(script, text, error))
        return false;
    text_append(text, "started=$(now)\nstatus=1\nheard=\nchild=\n");
    print_removal(script, text);
    text_append(text, "hear() {\n");
    if (script->removal != NULL)
        text_append(text, "    [ -n \"$stopped\" ] || remove_later\n");
    text_append(text, "    stopped=$1\n    heard=yes\n    [ -z \"$child\" ] || kill -s \"$1\" \"$child\" 2>/dev/null "
                      "|| :\n}\n"
                      "trap 'hear TERM' TERM\ntrap 'hear INT' INT\ntrap 'hear HUP' HUP\n");
    if (script->warning != NULL)
        print_warning(script->warning, text);
    if (script->detached != NULL)
        print_life(script->detached, text);
    print_finish(script, text);
    if (script->detached != NULL)
        print_begin(script->detached, text);
    print_setup(script, text);
    print_scratch(script, text);
    text_append(text, "say run\n");
    text_append(text, script->ranks_outside
                          ? "/bin/sh \"${DESCPIPE_LAUNCHER:?is not set: nobody starts the ranks}\" ranks /bin/sh "
                            "\"$script\" rank \"${DESCPIPE_INDEX-}\" &\n"
                          : "(trap - TERM INT HUP USR1 USR2; stage) &\n");
    text_append(text, "child=$!\n"
                      "[ -z \"$stopped\" ] || kill -s \"$stopped\" \"$child\" 2>/dev/null || :\n"
                      "[ -z \"$warned\" ] || warn\n"
                      "status=0\nwait \"$child\" || status=$?\n"
                      /* A signal cuts `wait` short, and its status is then no status of the child, which may have
                       * ended meanwhile; so it is asked again. A shell that has told it once may say 127. */
                      "while [ -n \"$heard\" ]; do\n    heard=\n    again=0\n    wait \"$child\" || again=$?\n"
                      "    [ \"$again\" -eq 127 ] || status=$again\ndone\n"
                      "child=\n");
    print_end_of_removal(script, text);
    if (script->detached != NULL)
        print_results(script->detached, text);
    text_append(text, "finish \"$status\"\n");
    return true;
}

static void read_phase(const char *value, struct job_outcome *outcome)
{
    static const char *const names[] = {[JOB_PHASE_SETUP] = "setup",
                                        [JOB_PHASE_IN] = "in",
                                        [JOB_PHASE_RUN] = "run",
                                        [JOB_PHASE_OUT] = "out",
                                        [JOB_PHASE_END] = "end"};
    for (enum job_phase i = JOB_PHASE_SETUP; i <= JOB_PHASE_END; i++)
        if (strcmp(value, names[i]) == 0)
            outcome->phase = i;
}

static void read_failure(const char *value, struct job_outcome *outcome)
{
    static const char *const names[JOB_FAILURES] = {[JOB_FAILURE_NONE] = "",
                                                    [JOB_FAILURE_IMAGE] = "image",
                                                    [JOB_FAILURE_STAGE_IN] = "stage_in",
                                                    [JOB_FAILURE_OUTPUT_MISSING] = "output_missing",
                                                    [JOB_FAILURE_DISK] = "disk",
                                                    [JOB_FAILURE_CANCELLED] = "cancelled",
                                                    [JOB_FAILURE_SKIPPED] = "skipped"};
    for (enum job_failure i = JOB_FAILURE_IMAGE; i < JOB_FAILURES; i++)
        if (strcmp(value, names[i]) == 0)
            outcome->failure = i;
}

#define SECONDS_LIMIT UINT64_C(100000000000)

/* "1795279967.123"; a `date` that knows no parts of a second writes something else after the point. */
static void read_seconds(char *value, int64_t *at_ms)
{
    uint64_t seconds = 0, parts = 0;
    char *point = strchr(value, '.');
    if (point != NULL)
        *point++ = '\0';
    if (!text_to_unsigned(value, &seconds) || seconds >= SECONDS_LIMIT)
        return;
    if (point == NULL || strlen(point) != 3 || !text_to_unsigned(point, &parts))
        parts = 0;
    *at_ms = (int64_t)(seconds * 1000 + parts);
}

static void read_line(const char *name, char *value, struct job_outcome *outcome)
{
    uint64_t number = 0;
    if (strcmp(name, "phase") == 0)
        read_phase(value, outcome);
    else if (strcmp(name, "host") == 0 && strlen(value) < sizeof outcome->host)
        memcpy(outcome->host, value, strlen(value) + 1);
    else if (strcmp(name, "started") == 0)
        read_seconds(value, &outcome->started_at_ms);
    else if (strcmp(name, "finished") == 0)
        read_seconds(value, &outcome->finished_at_ms);
    else if (strcmp(name, "exit") == 0 && text_to_unsigned(value, &number) && number < 256)
        outcome->exit_code = (int)number;
    else if (strcmp(name, "stopped") == 0)
        outcome->stopped = value[0] != '\0';
    else if (strcmp(name, "warned") == 0)
        outcome->warned = value[0] != '\0';
    else if (strcmp(name, "attempt") == 0 && text_to_unsigned(value, &number) && number < UINT32_MAX)
        outcome->attempt = (uint32_t)number;
    else if (strcmp(name, "failed") == 0)
        read_failure(value, outcome);
    else if (strcmp(name, "reason") == 0 && strlen(value) < sizeof outcome->reason)
        memcpy(outcome->reason, value, strlen(value) + 1);
    else if (strcmp(name, "timed_out") == 0)
        outcome->timed_out = true;
    else if (strcmp(name, "done") == 0)
        outcome->done = true;
}

void job_outcome_read(const char *path, struct job_outcome *outcome)
{
    *outcome = (struct job_outcome){.exit_code = -1};
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!file_read(path, OUTCOME_LIMIT, &text, &error))
        return;
    for (char *line = text.bytes; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end == NULL)
            break;
        *end = '\0';
        char *equals = strchr(line, '=');
        if (equals != NULL) {
            *equals = '\0';
            read_line(line, equals + 1, outcome);
        }
        line = end + 1;
    }
    if (outcome->phase == JOB_PHASE_END && outcome->exit_code < 0)
        outcome->phase = JOB_PHASE_NONE; /* cut: it will be read again */
}

void job_outcome_ending(const struct job_outcome *outcome, struct descpipe_ending *ending)
{
    static const uint32_t failures[JOB_FAILURES] = {
        [JOB_FAILURE_IMAGE] = DESCPIPE_ENDED_IMAGE | DESCPIPE_ENDED_NOT_STARTED,
        [JOB_FAILURE_STAGE_IN] = DESCPIPE_ENDED_STAGE_IN | DESCPIPE_ENDED_NOT_STARTED,
        [JOB_FAILURE_OUTPUT_MISSING] = DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUTPUT_MISSING,
        [JOB_FAILURE_DISK] = DESCPIPE_ENDED_DISK | DESCPIPE_ENDED_NOT_STARTED,
        [JOB_FAILURE_CANCELLED] = DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED,
        [JOB_FAILURE_SKIPPED] = DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED,
    };
    *ending = (struct descpipe_ending){.size = sizeof *ending,
                                       .started_at_ms = outcome->started_at_ms,
                                       .finished_at_ms = outcome->finished_at_ms,
                                       .witness = "outcome file",
                                       .host = outcome->host[0] != '\0' ? outcome->host : NULL,
                                       .reason = outcome->reason[0] != '\0' ? outcome->reason : NULL};
    if (outcome->phase != JOB_PHASE_END) {
        ending->flags = DESCPIPE_ENDED_LOST;
        if (outcome->phase == JOB_PHASE_SETUP)
            ending->flags = DESCPIPE_ENDED_IMAGE | DESCPIPE_ENDED_NOT_STARTED;
        ending->reason = outcome->phase == JOB_PHASE_NONE    ? "its job left no word"
                         : outcome->phase == JOB_PHASE_SETUP ? "its node could not be made ready"
                                                             : "its job was ended by force";
        return;
    }
    ending->flags = outcome->failure != JOB_FAILURE_NONE ? failures[outcome->failure] : DESCPIPE_ENDED_EXITED;
    if (outcome->failure == JOB_FAILURE_DISK && outcome->exit_code == 0)
        ending->flags = DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUTPUT_MISSING | DESCPIPE_ENDED_DISK;
    if (ending->flags & DESCPIPE_ENDED_EXITED)
        ending->exit_code = outcome->exit_code;
    if (outcome->timed_out)
        ending->flags |= DESCPIPE_ENDED_TIMED_OUT;
    if (outcome->failure == JOB_FAILURE_NONE && outcome->stopped && outcome->exit_code != 0)
        ending->reason = "it was asked to end";
}
