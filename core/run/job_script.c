/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing job scripts and reading what they say.
 *
 * How it works: the stage runs in a subshell that first drops the job's environment, then sets exactly what the stage
 * may see, and becomes the command; so the script around it keeps its own PATH, and $! is the command itself. Waiting
 * in the background lets the script hear a signal at once and still write its outcome.
 */
#include "run/job_script.h"

#include <string.h>

#include "base/file.h"

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

static void print_head(const struct job_script *script, struct text *text)
{
    text_append(text, "#!/bin/sh\n# Made by descpipe: runs one stage and says how it ended.\nscript=");
    text_append_shell_word(text, script->path);
    text_append(text, "\noutcome=");
    text_append_shell_word(text, script->outcome);
    text_append(text,
                "\numask 022\n"
                "PATH=${PATH:-/usr/bin:/bin}\n"
                "descpipe_gpus=${CUDA_VISIBLE_DEVICES-}\n"
                "now() { date +%s.%3N; }\n"
                "say() { # PHASE: what is known so far, as a whole or not at all\n"
                "    {\n"
                "        echo \"phase=$1\"\n"
                "        echo \"host=$(uname -n)\"\n"
                "        echo \"started=$started\"\n"
                "        [ \"$1\" != end ] || echo \"finished=$(now)\"\n"
                "        [ \"$1\" != end ] || echo \"exit=$status\"\n"
                "        [ -z \"$stopped\" ] || echo \"stopped=$stopped\"\n"
                "    } >\"$outcome.new\" && { sync \"$outcome.new\" 2>/dev/null || :; } && mv -f \"$outcome.new\" "
                "\"$outcome\"\n"
                "}\n");
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

static void print_on_nodes(const char *const *words, struct text *text)
{
    text_append(text, "if [ -n \"${DESCPIPE_LAUNCHER-}\" ]; then\n    /bin/sh \"$DESCPIPE_LAUNCHER\" nodes");
    append_words(text, words);
    text_append(text, "\nelse\n   ");
    append_words(text, words);
    text_append(text, "\nfi");
}

static void print_setup(const struct job_script *script, struct text *text)
{
    if (script->setup == NULL)
        return;
    text_append(text, "say setup\n");
    print_on_nodes(script->setup, text);
    text_append(text, " || {\n    status=$?\n    exit \"$status\"\n}\n");
}

/* What a service keeps for a stage that is deaf to its signal must go before the batch system ends this script by
 * force, which it does half a minute after the signal where nobody changed that (slurm.conf(5), "KillWait"). */
static void print_removal(const struct job_script *script, struct text *text)
{
    if (script->removal == NULL)
        return;
    text_append(text, "remover=\nremove() {\n");
    print_on_nodes(script->removal, text);
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
    text_append(text, "scratch=");
    text_append_shell_word(text, script->scratch);
    text_append(text, "\nmkdir -m 700 \"$scratch\" || exit 1\n");
}

static void print_end(const struct job_script *script, struct text *text)
{
    if (script->scratch != NULL)
        text_append(text, "rm -rf \"$scratch\"\n");
    if (script->secrets != NULL) {
        text_append(text, "rm -f ");
        text_append_shell_word(text, script->secrets);
        text_append_character(text, '\n');
    }
    text_append(text, "say end\nexit \"$status\"\n");
}

bool job_script_print(const struct job_script *script, struct text *text, struct error *error)
{
    print_head(script, text);
    if (!print_stage(script, text, error))
        return false;
    if (script->ranks_outside)
        text_append(text, "if [ \"${1-}\" = rank ]; then\n    stage\nfi\n");
    text_append(text, "started=$(now)\nstatus=1\nstopped=\nheard=\nchild=\n");
    print_removal(script, text);
    text_append(text, "hear() {\n");
    if (script->removal != NULL)
        text_append(text, "    [ -n \"$stopped\" ] || remove_later\n");
    text_append(text, "    stopped=$1\n    heard=yes\n    [ -z \"$child\" ] || kill -s \"$1\" \"$child\" 2>/dev/null "
                      "|| :\n}\n"
                      "trap 'hear TERM' TERM\ntrap 'hear INT' INT\ntrap 'hear HUP' HUP\n");
    print_setup(script, text);
    print_scratch(script, text);
    text_append(text, "say run\n");
    text_append(text, script->ranks_outside
                          ? "/bin/sh \"${DESCPIPE_LAUNCHER:?is not set: nobody starts the ranks}\" ranks /bin/sh "
                            "\"$script\" rank &\n"
                          : "(trap - TERM INT HUP; stage) &\n");
    text_append(text, "child=$!\n"
                      "[ -z \"$stopped\" ] || kill -s \"$stopped\" \"$child\" 2>/dev/null || :\n"
                      "status=0\nwait \"$child\" || status=$?\n"
                      /* A signal cuts `wait` short, and its status is then no status of the child, which may have
                       * ended meanwhile; so it is asked again. A shell that has told it once may say 127. */
                      "while [ -n \"$heard\" ]; do\n    heard=\n    again=0\n    wait \"$child\" || again=$?\n"
                      "    [ \"$again\" -eq 127 ] || status=$again\ndone\n");
    print_end_of_removal(script, text);
    print_end(script, text);
    return true;
}

static void read_phase(const char *value, struct job_outcome *outcome)
{
    static const char *const names[] = {[JOB_PHASE_SETUP] = "setup", [JOB_PHASE_RUN] = "run", [JOB_PHASE_END] = "end"};
    for (enum job_phase i = JOB_PHASE_SETUP; i <= JOB_PHASE_END; i++)
        if (strcmp(value, names[i]) == 0)
            outcome->phase = i;
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
