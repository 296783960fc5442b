/* SPDX-License-Identifier: BSD-3-Clause */
/* Job scripts, run by the real shell: hostile words, the world of the stage, signals, and what is left to read. */
#include "run/elsewhere/job_script.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"

static char folder[64], script_path[96], outcome_path[96], witness_path[96];
static const char *const no_words[] = {NULL};

#define ROUNDS 20

static void set_up(void)
{
    memcpy(folder, "/tmp/descpipe-job it's-XXXXXX", 30);
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(script_path, sizeof script_path, "%s/job.0.sh", folder);
    snprintf(outcome_path, sizeof outcome_path, "%s/outcome.0", folder);
    snprintf(witness_path, sizeof witness_path, "%s/witness", folder);
}

static void tear_down(void)
{
    ck_assert(folder_remove(folder, NULL));
}

static void write_script(struct job_script script)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    script.path = script_path;
    script.outcome = outcome_path;
    ck_assert_msg(job_script_print(&script, &text, &error), "%s", error.message);
    ck_assert(file_write(script_path, text_bytes(&text), text.length, 0700, &error));
}

/* With an environment as a batch system leaves it. Standard output goes to the witness. */
static pid_t start_script(char *const environment[])
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (freopen(witness_path, "w", stdout) == NULL || setsid() < 0)
            _exit(99);
        char *const argv[] = {(char[]){"sh"}, script_path, NULL};
        execve("/bin/sh", argv, environment);
        _exit(98);
    }
    return child;
}

static char *const batch_environment[] = {(char[]){"PATH=/usr/bin:/bin"},
                                          (char[]){"SLURM_JOB_ID=7"},
                                          (char[]){"LEFT_OVER=a\nFAKE=line\nexec=1"},
                                          (char[]){"outcome=/nowhere"},
                                          (char[]){"CUDA_VISIBLE_DEVICES=GPU-3,GPU-5"},
                                          NULL};

static int run_script(void)
{
    int status = 0;
    ck_assert(waitpid(start_script(batch_environment), &status, 0) > 0);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static struct text witness(void)
{
    struct text text = TEXT_INIT;
    ck_assert(file_read(witness_path, 1 << 20, &text, NULL));
    return text;
}

START_TEST(hostile_words_arrive_as_they_are)
{
    static const char *const argv[] = {
        "/usr/bin/printf", "[%s]\n", "it's", "$(touch /tmp/never)", "`id`", "a\nb", "", "-n", "\\", "\"*\"", "~", NULL};
    write_script((struct job_script){.argv = argv, .environment = no_words});
    ck_assert_int_eq(run_script(), 0);
    cleanup(text_clear) struct text text = witness();
    ck_assert_str_eq(text_bytes(&text),
                     "[it's]\n[$(touch /tmp/never)]\n[`id`]\n[a\nb]\n[]\n[-n]\n[\\]\n[\"*\"]\n[~]\n");
}
END_TEST

START_TEST(the_stage_sees_what_was_named_and_nothing_else)
{
    static const char *const argv[] = {"/usr/bin/env", NULL};
    static const char *const environment[] = {"PATH=/nowhere", "QUOTED=it's $HOME\nand `more`", NULL};
    static const char *const late[] = {"CUDA_VISIBLE_DEVICES", NULL};
    static const char *const secrets[] = {"LET_TOKEN=s3'cr$et", NULL};
    cleanup(text_clear) struct text exports = TEXT_INIT;
    char secrets_path[96];
    snprintf(secrets_path, sizeof secrets_path, "%s/secrets.0", folder);
    ck_assert(job_script_print_exports(secrets, &exports, NULL));
    ck_assert(file_write(secrets_path, text_bytes(&exports), exports.length, 0600, NULL));
    write_script((struct job_script){.argv = argv,
                                     .environment = environment,
                                     .late_names = late,
                                     .late_prefix = "LET_",
                                     .secrets = secrets_path,
                                     .directory = folder});
    ck_assert_int_eq(run_script(), 0);
    cleanup(text_clear) struct text text = witness(), script = TEXT_INIT;
    const char *seen = text_bytes(&text);
    ck_assert(strstr(seen, "QUOTED=it's $HOME\nand `more`\n") != NULL);
    ck_assert(strstr(seen, "LET_CUDA_VISIBLE_DEVICES=GPU-3,GPU-5\n") != NULL);
    ck_assert(strstr(seen, "LET_TOKEN=s3'cr$et\n") != NULL);
    ck_assert(strstr(seen, "SLURM_") == NULL);
    ck_assert(strstr(seen, "LEFT_OVER") == NULL);
    ck_assert(strstr(seen, "OLDPWD") == NULL);
    ck_assert(strstr(seen, "outcome") == NULL);
    ck_assert(file_read(script_path, 1 << 20, &script, NULL));
    ck_assert_msg(strstr(text_bytes(&script), "cr$et") == NULL, "the script holds a secret");
    ck_assert_msg(access(secrets_path, F_OK) != 0, "the secret is still there");
}
END_TEST

START_TEST(the_outcome_says_how_where_and_when)
{
    static const char *const argv[] = {"/bin/sh", "-c", "exit 37", NULL};
    write_script((struct job_script){.argv = argv, .environment = no_words});
    ck_assert_int_eq(run_script(), 37);
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_END);
    ck_assert_int_eq(outcome.exit_code, 37);
    ck_assert(!outcome.stopped);
    ck_assert_int_gt(outcome.started_at_ms, INT64_C(1700000000000));
    ck_assert_int_ge(outcome.finished_at_ms, outcome.started_at_ms);
    ck_assert_uint_gt(strlen(outcome.host), 0);
}
END_TEST

/* Starts the script with a FIFO as its standard output, and returns when the stage has said something. */
static pid_t start_and_hear(char *const environment[], int *heard)
{
    char byte;
    ck_assert_int_eq(mkfifo(witness_path, 0600), 0);
    pid_t child = start_script(environment);
    *heard = open(witness_path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(*heard, &byte, 1), 1);
    return child;
}

START_TEST(a_signal_reaches_the_stage_and_the_outcome)
{
    static const char *const argv[] = {"/bin/sh", "-c", "trap 'exit 21' TERM; sleep 1000 & echo ready; wait", NULL};
    write_script((struct job_script){.argv = argv, .environment = (const char *const[]){"PATH=/usr/bin:/bin", NULL}});
    int heard = -1;
    pid_t child = start_and_hear(batch_environment, &heard);
    ck_assert_int_eq(kill(child, SIGTERM), 0);
    int status = 0;
    ck_assert(waitpid(child, &status, 0) == child);
    close(heard);
    kill(-child, SIGKILL); /* what the stage left */
    ck_assert_int_eq(WEXITSTATUS(status), 21);
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_END);
    ck_assert(outcome.stopped);
}
END_TEST

/* Its scheduler tells the script alone. Whoever must hear of it may stand below a launcher that does not care. */
START_TEST(a_warning_reaches_all_that_the_stage_is)
{
    static const char *const argv[] = {
        "/bin/sh", "-c",
        "trap : USR1; /bin/sh -c 'trap \"exit 75\" USR1; echo ready; while :; do sleep 1; done'; exit $?", NULL};
    write_script((struct job_script){
        .argv = argv, .environment = (const char *const[]){"PATH=/usr/bin:/bin", NULL}, .warning = "USR1"});
    int heard = -1;
    pid_t child = start_and_hear(batch_environment, &heard);
    ck_assert_int_eq(kill(child, SIGUSR1), 0);
    int status = 0;
    ck_assert(waitpid(child, &status, 0) == child);
    close(heard);
    ck_assert_int_eq(WEXITSTATUS(status), 75);
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_END);
    ck_assert(outcome.warned);
    ck_assert(!outcome.stopped);
}
END_TEST

START_TEST(a_job_ended_by_force_leaves_the_phase_it_was_in)
{
    static const char *const argv[] = {"/bin/sh", "-c", "echo ready; exec sleep 1000", NULL};
    write_script((struct job_script){.argv = argv, .environment = (const char *const[]){"PATH=/usr/bin:/bin", NULL}});
    int heard = -1;
    pid_t child = start_and_hear(batch_environment, &heard);
    ck_assert_int_eq(kill(-child, SIGKILL), 0);
    ck_assert(waitpid(child, NULL, 0) == child);
    close(heard);
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_RUN);
    ck_assert_int_eq(outcome.exit_code, -1);
}
END_TEST

/* What a killed stage leaves with a service is removed; of one that ended by itself nothing is looked for. */
static const struct {
    const char *stage;
    int status;
    bool removed;
} removals[] = {
    {"exit 0", 0, false},
    {"exit 21", 21, false},
    {"kill -9 $$", 137, true},
};

START_TEST(what_a_killed_stage_leaves_is_removed)
{
    char file[96];
    snprintf(file, sizeof file, "%s/remo ved", folder);
    const char *const removal[] = {"/bin/sh", "-c", "echo said; : > \"$0\"", file, NULL};
    const char *const argv[] = {"/bin/sh", "-c", removals[_i].stage, NULL};
    write_script((struct job_script){.argv = argv, .environment = no_words, .removal = removal});
    ck_assert_int_eq(run_script(), removals[_i].status);
    ck_assert_int_eq(access(file, F_OK) == 0, removals[_i].removed);
    cleanup(text_clear) struct text text = witness();
    ck_assert_str_eq(text_bytes(&text), "");
}
END_TEST

/* The patience with it is the time of a `sleep`; this one has none. */
START_TEST(what_keeps_a_deaf_stage_is_removed_before_the_script_is_ended_by_force)
{
    static const char sleeper[] = "#!/bin/sh\n[ \"$1\" = 15 ]\n";
    static const char deaf[] = "trap '' TERM; echo $$ >\"$0\"; echo ready; while :; do read line <\"$0.pipe\"; done";
    char path[96], pipe[128], search[128];
    snprintf(path, sizeof path, "%s/sleep", folder);
    snprintf(pipe, sizeof pipe, "%s/pid.pipe", folder);
    snprintf(search, sizeof search, "PATH=%s:/usr/bin:/bin", folder);
    ck_assert(file_write(path, sleeper, sizeof sleeper - 1, 0700, NULL));
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    char pid[96];
    snprintf(pid, sizeof pid, "%s/pid", folder);
    const char *const stage[] = {"/bin/sh", "-c", deaf, pid, NULL};
    const char *const removal[] = {"/bin/sh", "-c", "kill -9 $(cat \"$0\")", pid, NULL};
    write_script((struct job_script){
        .argv = stage, .environment = (const char *const[]){"PATH=/usr/bin:/bin", NULL}, .removal = removal});
    char *const environment[] = {search, NULL};
    int heard = -1;
    pid_t child = start_and_hear(environment, &heard);
    ck_assert_int_eq(kill(child, SIGTERM), 0);
    int status = 0;
    ck_assert(waitpid(child, &status, 0) == child);
    close(heard);
    ck_assert_int_eq(WEXITSTATUS(status), 137);
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_END);
    ck_assert(outcome.stopped);
}
END_TEST

START_TEST(a_node_that_cannot_be_made_ready_runs_nothing)
{
    static const char *const argv[] = {"/bin/echo", "ran", NULL};
    static const char *const setup[] = {"/bin/sh", "-c", "exit 9", NULL};
    write_script((struct job_script){.argv = argv, .environment = no_words, .setup = setup});
    ck_assert_int_eq(run_script(), 9);
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_END);
    ck_assert_int_eq(outcome.failure, JOB_FAILURE_IMAGE);
    cleanup(text_clear) struct text text = witness();
    ck_assert_str_eq(text_bytes(&text), "");
}
END_TEST

START_TEST(scratch_is_there_and_then_gone)
{
    char scratch[96];
    snprintf(scratch, sizeof scratch, "%s/scra tch", folder);
    const char *const argv[] = {"/bin/sh", "-c", "test -d \"$0\" && echo x > \"$0/file\"", scratch, NULL};
    write_script((struct job_script){.argv = argv, .environment = no_words, .scratch = scratch});
    ck_assert_int_eq(run_script(), 0);
    ck_assert(access(scratch, F_OK) != 0);
}
END_TEST

START_TEST(a_launcher_starts_each_rank_in_the_same_world)
{
    static const char launcher[] =
        "[ \"$1\" = ranks ] && shift\n"
        "for rank in 0 1; do DESCPIPE_RANK=$rank DESCPIPE_SIZE=2 PMI_RANK=$rank \"$@\"; done\n";
    static const char *const argv[] = {"/bin/sh", "-c", "echo $LET_DESC_RANK/$PMI_RANK/$LEFT_OVER/$SLURM_JOB_ID", NULL};
    static const char *const late[] = {"DESC_RANK", NULL};
    char launcher_path[96], pair[128];
    snprintf(launcher_path, sizeof launcher_path, "%s/launch", folder);
    snprintf(pair, sizeof pair, "DESCPIPE_LAUNCHER=%s", launcher_path);
    ck_assert(file_write(launcher_path, launcher, sizeof launcher - 1, 0600, NULL));
    write_script((struct job_script){
        .argv = argv, .environment = no_words, .late_names = late, .late_prefix = "LET_", .ranks_outside = true});
    char *const environment[] = {(char[]){"PATH=/usr/bin:/bin"}, (char[]){"SLURM_JOB_ID=7"}, (char[]){"LEFT_OVER=x"},
                                 pair, NULL};
    int status = 0;
    ck_assert(waitpid(start_script(environment), &status, 0) > 0);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    cleanup(text_clear) struct text text = witness();
    ck_assert_str_eq(text_bytes(&text), "0/0//7\n1/1//7\n");
}
END_TEST

START_TEST(names_that_are_no_variables_are_refused)
{
    static const char *const argv[] = {"/bin/true", NULL};
    static const char *const bad[][2] = {{"A-B=1", NULL}, {"1A=1", NULL}, {"=1", NULL}, {"A B=1", NULL}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        cleanup(error_clear) struct error error = ERROR_INIT;
        const struct job_script script = {
            .path = script_path, .outcome = outcome_path, .argv = argv, .environment = bad[i]};
        ck_assert(!job_script_print(&script, &text, &error));
        ck_assert_msg(strstr(error.message, "a job cannot be given a variable called") != NULL, "%s", error.message);
    }
}
END_TEST

/* Half a file, somebody else's, none: nothing is believed. */
static const struct {
    const char *bytes;
    enum job_phase phase;
} files[] = {
    {"phase=end\nhost=n1\nstarted=1\nfinished=2\nexit=0\n", JOB_PHASE_END},
    {"phase=end\nhost=n1\nstarted=1\n", JOB_PHASE_NONE},
    {"phase=end\nexit=0", JOB_PHASE_NONE},
    {"phase=end\nexit=300\n", JOB_PHASE_NONE},
    {"phase=end\nexit=-1\n", JOB_PHASE_NONE},
    {"phase=run\nunknown=1\n=\n\n", JOB_PHASE_RUN},
    {"phase=\n", JOB_PHASE_NONE},
    {"", JOB_PHASE_NONE},
    {"garbage", JOB_PHASE_NONE},
};

START_TEST(only_whole_outcomes_count)
{
    struct job_outcome outcome;
    ck_assert(file_write(outcome_path, files[_i].bytes, strlen(files[_i].bytes), 0600, NULL));
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, files[_i].phase);
}
END_TEST

START_TEST(a_missing_outcome_is_none)
{
    struct job_outcome outcome;
    job_outcome_read(outcome_path, &outcome);
    ck_assert_int_eq(outcome.phase, JOB_PHASE_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_script");
    TCase *scripts = tcase_create("scripts");
    tcase_add_checked_fixture(scripts, set_up, tear_down);
    tcase_set_timeout(scripts, 60);
    tcase_add_test(scripts, hostile_words_arrive_as_they_are);
    tcase_add_test(scripts, the_stage_sees_what_was_named_and_nothing_else);
    tcase_add_test(scripts, the_outcome_says_how_where_and_when);
    tcase_add_loop_test(scripts, a_signal_reaches_the_stage_and_the_outcome, 0, ROUNDS); /* it is a race */
    tcase_add_loop_test(scripts, a_warning_reaches_all_that_the_stage_is, 0, ROUNDS);    /* so is this */
    tcase_add_test(scripts, a_job_ended_by_force_leaves_the_phase_it_was_in);
    tcase_add_loop_test(scripts, what_a_killed_stage_leaves_is_removed, 0, sizeof removals / sizeof *removals);
    tcase_add_test(scripts, what_keeps_a_deaf_stage_is_removed_before_the_script_is_ended_by_force);
    tcase_add_test(scripts, a_node_that_cannot_be_made_ready_runs_nothing);
    tcase_add_test(scripts, scratch_is_there_and_then_gone);
    tcase_add_test(scripts, a_launcher_starts_each_rank_in_the_same_world);
    tcase_add_test(scripts, names_that_are_no_variables_are_refused);
    tcase_add_loop_test(scripts, only_whole_outcomes_count, 0, sizeof files / sizeof *files);
    tcase_add_test(scripts, a_missing_outcome_is_none);
    suite_add_tcase(suite, scripts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
