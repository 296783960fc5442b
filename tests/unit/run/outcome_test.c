/* SPDX-License-Identifier: BSD-3-Clause */
/* Evidence and verdicts: one table. */
#include "run/journal/outcome.h"

#include <check.h>
#include <signal.h>
#include <string.h>

#define MEBI (UINT64_C(1) << 20)

enum {
    EXITED = DESCPIPE_ENDED_EXITED,
    SIGNALLED = DESCPIPE_ENDED_SIGNALLED,
    MEMORY = DESCPIPE_ENDED_OUT_OF_MEMORY,
    TIMED = DESCPIPE_ENDED_TIMED_OUT,
    NODE = DESCPIPE_ENDED_NODE_FAILED,
    PREEMPTED = DESCPIPE_ENDED_PREEMPTED,
    CANCELLED = DESCPIPE_ENDED_CANCELLED,
    IMAGE = DESCPIPE_ENDED_IMAGE,
    NOT_STARTED = DESCPIPE_ENDED_NOT_STARTED,
    STAGE_IN = DESCPIPE_ENDED_STAGE_IN,
    MISSING = DESCPIPE_ENDED_OUTPUT_MISSING,
    DISK = DESCPIPE_ENDED_DISK,
    LOST = DESCPIPE_ENDED_LOST,
};

struct row {
    const char *label;
    struct descpipe_ending endings[3];
    size_t count;
    uint64_t memory_limit, time_limit_ms;
    const char *argv0, *error_tail;
    enum verdict verdict;
    int exit_code, signal;
    const char *reason;
};

#define EXIT_OF(code)                                                                                                  \
    {                                                                                                                  \
        .flags = EXITED, .exit_code = (code), .witness = "wait"                                                        \
    }
#define KILLED_BY(number)                                                                                              \
    {                                                                                                                  \
        .flags = SIGNALLED, .signal = (number), .witness = "wait"                                                      \
    }
#define SAYS(bits, words)                                                                                              \
    {                                                                                                                  \
        .flags = (bits), .reason = (words), .witness = "system"                                                        \
    }

static const struct row rows[] = {
    {"exit 0", {EXIT_OF(0)}, 1, .verdict = VERDICT_OK, .reason = "done"},
    {"exit 3", {EXIT_OF(3)}, 1, .verdict = VERDICT_EXIT, .exit_code = 3, .reason = "exit status 3"},
    {"exit 137 of a shell",
     {EXIT_OF(137)},
     1,
     .verdict = VERDICT_EXIT,
     .exit_code = 137,
     .reason = "exit status 137 (as a shell says it: signal 9 (SIGKILL))"},
    {"exit 255 is no signal",
     {EXIT_OF(255)},
     1,
     .verdict = VERDICT_EXIT,
     .exit_code = 255,
     .reason = "exit status 255"},
    {"exit 128 is no signal",
     {EXIT_OF(128)},
     1,
     .verdict = VERDICT_EXIT,
     .exit_code = 128,
     .reason = "exit status 128"},
    {"killed",
     {KILLED_BY(SIGKILL)},
     1,
     .verdict = VERDICT_SIGNAL,
     .signal = SIGKILL,
     .reason = "killed by signal 9 (SIGKILL)"},
    {"crashed",
     {KILLED_BY(SIGSEGV)},
     1,
     .verdict = VERDICT_SIGNAL,
     .signal = SIGSEGV,
     .reason = "killed by signal 11 (SIGSEGV)"},
    {"a signal without a name",
     {KILLED_BY(40)},
     1,
     .verdict = VERDICT_SIGNAL,
     .signal = 40,
     .reason = "killed by signal 40"},
    {"nobody saw anything", {{0}}, 0, .verdict = VERDICT_LOST, .reason = "nobody knows how it ended"},
    {"a witness without knowledge", {SAYS(0, NULL)}, 1, .verdict = VERDICT_LOST, .reason = "nobody knows how it ended"},
    {"lost",
     {SAYS(LOST, "not in the queue, not in the accounting")},
     1,
     .verdict = VERDICT_LOST,
     .reason = "nobody knows how it ended: not in the queue, not in the accounting"},
    {"lost by one, seen by another", {SAYS(LOST, "gone"), EXIT_OF(0)}, 2, .verdict = VERDICT_OK, .reason = "done"},
    {"lost by one, failed for another",
     {SAYS(LOST, "gone"), EXIT_OF(2)},
     2,
     .verdict = VERDICT_EXIT,
     .exit_code = 2,
     .reason = "exit status 2"},
    {"two witnesses, success first",
     {EXIT_OF(0), EXIT_OF(3)},
     2,
     .verdict = VERDICT_EXIT,
     .exit_code = 3,
     .reason = "exit status 3"},
    {"two witnesses, failure first",
     {EXIT_OF(3), EXIT_OF(0)},
     2,
     .verdict = VERDICT_EXIT,
     .exit_code = 3,
     .reason = "exit status 3"},
    {"the nearest failure counts",
     {EXIT_OF(3), KILLED_BY(SIGKILL)},
     2,
     .verdict = VERDICT_EXIT,
     .exit_code = 3,
     .reason = "exit status 3"},
    {"out of memory by signal",
     {{.flags = SIGNALLED | MEMORY, .signal = SIGKILL, .peak_memory = 412 * MEBI}},
     1,
     .memory_limit = 512 * MEBI,
     .verdict = VERDICT_OOM,
     .reason = "ran out of memory (peak 412 MiB of 512 MiB)"},
    {"out of memory, nothing measured",
     {{.flags = EXITED | MEMORY, .exit_code = 137}},
     1,
     .verdict = VERDICT_OOM,
     .reason = "ran out of memory"},
    {"out of memory, limit known",
     {{.flags = EXITED | MEMORY, .exit_code = 137}},
     1,
     .memory_limit = 512 * MEBI,
     .verdict = VERDICT_OOM,
     .reason = "ran out of memory (limit 512 MiB)"},
    {"out of memory, peak known",
     {{.flags = MEMORY | EXITED, .exit_code = 1, .peak_memory = 412 * MEBI}},
     1,
     .verdict = VERDICT_OOM,
     .reason = "ran out of memory (peak 412 MiB)"},
    {"out of memory said by another",
     {KILLED_BY(SIGKILL), SAYS(MEMORY, "oom")},
     2,
     .verdict = VERDICT_OOM,
     .reason = "ran out of memory"},
    {"out of memory, status unknown", {SAYS(MEMORY, NULL)}, 1, .verdict = VERDICT_OOM, .reason = "ran out of memory"},
    {"a helper ran out of memory, the stage did not fail",
     {{.flags = EXITED | MEMORY, .exit_code = 0}},
     1,
     .verdict = VERDICT_OK,
     .reason = "done"},
    {"our limit",
     {KILLED_BY(SIGTERM), SAYS(TIMED, NULL)},
     2,
     .time_limit_ms = 60000,
     .verdict = VERDICT_TIMEOUT,
     .reason = "stopped after its limit of 1 minute"},
    {"our limit, longer",
     {KILLED_BY(SIGTERM), SAYS(TIMED, NULL)},
     2,
     .time_limit_ms = 1800000,
     .verdict = VERDICT_TIMEOUT,
     .reason = "stopped after its limit of 30 minutes"},
    {"stopped at its limit, ended with 0",
     {EXIT_OF(0), SAYS(TIMED, NULL)},
     2,
     .time_limit_ms = 60000,
     .verdict = VERDICT_TIMEOUT,
     .reason = "stopped after its limit of 1 minute"},
    {"a system's limit",
     {SAYS(TIMED, "DUE TO TIME LIMIT"), EXIT_OF(0)},
     2,
     .verdict = VERDICT_TIMEOUT,
     .reason = "stopped at its time limit: DUE TO TIME LIMIT"},
    {"node failure",
     {SAYS(NODE, "n3 is down")},
     1,
     .verdict = VERDICT_NODE_FAIL,
     .reason = "its node failed: n3 is down"},
    {"node failure beats the status it caused",
     {KILLED_BY(SIGTERM), SAYS(NODE, NULL)},
     2,
     .verdict = VERDICT_NODE_FAIL,
     .reason = "its node failed"},
    {"preempted", {KILLED_BY(SIGTERM), SAYS(PREEMPTED, NULL)}, 2, .verdict = VERDICT_PREEMPTED, .reason = "preempted"},
    {"cancelled",
     {KILLED_BY(SIGTERM), SAYS(CANCELLED, "by the user")},
     2,
     .verdict = VERDICT_CANCELLED,
     .reason = "cancelled: by the user"},
    {"cancelled, ended with 0",
     {EXIT_OF(0), SAYS(CANCELLED, NULL)},
     2,
     .verdict = VERDICT_CANCELLED,
     .reason = "cancelled"},
    {"cancelled while it waited",
     {SAYS(CANCELLED | NOT_STARTED, "cancelled while it was waiting")},
     1,
     .verdict = VERDICT_CANCELLED,
     .reason = "cancelled: cancelled while it was waiting"},
    {"cancelled before its limit",
     {SAYS(CANCELLED, NULL), SAYS(TIMED, NULL)},
     2,
     .time_limit_ms = 60000,
     .verdict = VERDICT_CANCELLED,
     .reason = "cancelled"},
    {"image",
     {SAYS(IMAGE | NOT_STARTED, "manifest unknown")},
     1,
     .verdict = VERDICT_IMAGE,
     .reason = "its image could not be had: manifest unknown"},
    {"stage in",
     {SAYS(STAGE_IN | NOT_STARTED, "'in.fits' is gone")},
     1,
     .verdict = VERDICT_STAGE_IN,
     .reason = "its inputs could not be brought to it: 'in.fits' is gone"},
    {"not started",
     {SAYS(NOT_STARTED, "'/opt/desc/run.py': No such file or directory")},
     1,
     .verdict = VERDICT_STAGE_IN,
     .reason = "it could not be started: '/opt/desc/run.py': No such file or directory"},
    {"not started, the disk is full",
     {SAYS(NOT_STARTED | DISK, "cannot copy 'x'")},
     1,
     .verdict = VERDICT_DISK,
     .reason = "the disk is full: cannot copy 'x'"},
    {"not started, with a status",
     {{.flags = NOT_STARTED | EXITED, .exit_code = 126}},
     1,
     .verdict = VERDICT_EXIT,
     .exit_code = 126,
     .reason = "its command could not be started"},
    {"not started is no success",
     {{.flags = NOT_STARTED | EXITED, .exit_code = 0}},
     1,
     .verdict = VERDICT_EXIT,
     .exit_code = 127,
     .reason = "its command could not be started"},
    {"output missing",
     {EXIT_OF(0), SAYS(MISSING, "'n_of_m.fits'")},
     2,
     .verdict = VERDICT_OUTPUT_MISSING,
     .reason = "an output is missing: 'n_of_m.fits'"},
    {"a job that looked for its outputs itself, and failed for their sake",
     {{.flags = EXITED | MISSING, .exit_code = 0, .reason = "did not write its output 'x.txt'"}, EXIT_OF(1)},
     2,
     .verdict = VERDICT_OUTPUT_MISSING,
     .reason = "did not write its output 'x.txt'"},
    {"failed and its output is missing",
     {EXIT_OF(3), SAYS(MISSING, "'n_of_m.fits'")},
     2,
     .verdict = VERDICT_EXIT,
     .exit_code = 3,
     .reason = "exit status 3"},
    {"disk",
     {EXIT_OF(1), SAYS(DISK, "'/data' has 0 bytes left")},
     2,
     .verdict = VERDICT_DISK,
     .reason = "the disk is full: '/data' has 0 bytes left"},
    {"a full disk that did not hurt", {EXIT_OF(0), SAYS(DISK, NULL)}, 2, .verdict = VERDICT_OK, .reason = "done"},
    {"bwrap's own failure",
     {EXIT_OF(1)},
     1,
     .argv0 = "/usr/bin/bwrap",
     .error_tail = "bwrap: Can't mkdir parents for /opt/input: Read-only file system\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 1,
     .reason = "its command could not be started: bwrap: Can't mkdir parents for /opt/input: Read-only file system"},
    {"a stage under bwrap that says more",
     {EXIT_OF(1)},
     1,
     .argv0 = "/usr/bin/bwrap",
     .error_tail = "bwrap: not really\nTraceback\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 1,
     .reason = "exit status 1"},
    {"another status under bwrap",
     {EXIT_OF(2)},
     1,
     .argv0 = "/usr/bin/bwrap",
     .error_tail = "bwrap: no\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 2,
     .reason = "exit status 2"},
    {"bwrap's words from another program",
     {EXIT_OF(1)},
     1,
     .argv0 = "/usr/bin/python3",
     .error_tail = "bwrap: no\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 1,
     .reason = "exit status 1"},
    {"a first process of ours that says what is missing",
     {EXIT_OF(127)},
     1,
     .argv0 = "/usr/lib/descpipe/abi-1/native-init",
     .error_tail = "descpipe: cannot run 'x' in the container: No such file or directory\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 127,
     .reason =
         "its command could not be started: descpipe: cannot run 'x' in the container: No such file or directory"},
    {"docker itself",
     {EXIT_OF(125)},
     1,
     .argv0 = "/usr/bin/docker",
     .error_tail = "docker: Error response from daemon: network x not found.\nSee 'docker run --help'.\n",
     .verdict = VERDICT_STAGE_IN,
     .reason = "it could not be started: docker: Error response from daemon: network x not found."},
    {"docker that cannot execute the command",
     {EXIT_OF(127)},
     1,
     .argv0 = "/usr/bin/docker",
     .error_tail = "docker: Error response from daemon: exec: \"x\": executable file not found.\n"
                   "See 'docker run --help'.\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 127,
     .reason = "its command could not be started: docker: Error response from daemon: exec: \"x\": executable file not "
               "found."},
    {"a stage in docker that ends as docker does, and says more",
     {EXIT_OF(125)},
     1,
     .argv0 = "/usr/bin/docker",
     .error_tail = "docker: no\nSee 'docker run --help'.\nTraceback\n",
     .verdict = VERDICT_EXIT,
     .exit_code = 125,
     .reason = "exit status 125"},
    {"words that would harm a terminal",
     {SAYS(NODE, "\033[2J")},
     1,
     .verdict = VERDICT_NODE_FAIL,
     .reason = "its node failed: \\x1B[2J"},
};

START_TEST(judges)
{
    const struct row *row = &rows[_i];
    struct outcome outcome;
    outcome_judge(&(struct outcome_case){.endings = row->endings,
                                         .endings_count = row->count,
                                         .memory_limit = row->memory_limit,
                                         .time_limit_ms = row->time_limit_ms,
                                         .argv0 = row->argv0,
                                         .error_tail = row->error_tail,
                                         .error_tail_whole = row->error_tail != NULL},
                  &outcome);
    ck_assert_msg(outcome.verdict == row->verdict, "%s: %s", row->label, verdict_name(outcome.verdict));
    ck_assert_msg(outcome.exit_code == row->exit_code, "%s: exit %d", row->label, outcome.exit_code);
    ck_assert_msg(outcome.signal == row->signal, "%s: signal %d", row->label, outcome.signal);
    ck_assert_msg(strcmp(text_bytes(&outcome.reason), row->reason) == 0, "%s: '%s'", row->label,
                  text_bytes(&outcome.reason));
    text_clear(&outcome.reason);
}
END_TEST

START_TEST(keeps_what_witnesses_measured)
{
    const struct descpipe_ending endings[] = {
        {.flags = EXITED, .started_at_ms = 2000, .finished_at_ms = 1999, .cpu_ms = 5},
        {.flags = EXITED, .started_at_ms = 1000, .finished_at_ms = 9000, .cpu_ms = 7, .peak_memory = 11},
    };
    struct outcome outcome;
    outcome_judge(&(struct outcome_case){.endings = endings, .endings_count = 2}, &outcome);
    ck_assert_int_eq(outcome.started_at_ms, 2000);
    ck_assert_int_eq(outcome.finished_at_ms, 2000); /* never before its start */
    ck_assert_uint_eq(outcome.cpu_ms, 7);
    ck_assert_uint_eq(outcome.peak_memory, 11);
    text_clear(&outcome.reason);
}
END_TEST

START_TEST(a_success_without_its_output_is_taken_back)
{
    const struct descpipe_ending ending = {.flags = EXITED};
    struct outcome outcome;
    outcome_judge(&(struct outcome_case){.endings = &ending, .endings_count = 1}, &outcome);
    outcome_spoil(&outcome, VERDICT_OUTPUT_MISSING, "did not write its output 'n_of_m.fits'");
    ck_assert_int_eq(outcome.verdict, VERDICT_OUTPUT_MISSING);
    ck_assert_str_eq(text_bytes(&outcome.reason), "did not write its output 'n_of_m.fits'");
    text_clear(&outcome.reason);
}
END_TEST

START_TEST(every_verdict_has_a_name_of_its_own)
{
    for (enum verdict i = VERDICT_OK; i < VERDICTS; i++)
        ck_assert_int_eq(verdict_from_name(verdict_name(i)), i);
    ck_assert_int_eq(verdict_from_name("NONE"), VERDICT_NONE);
    ck_assert_int_eq(verdict_from_name("something new"), VERDICT_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outcome");
    TCase *cases = tcase_create("outcome");
    tcase_add_loop_test(cases, judges, 0, sizeof rows / sizeof *rows);
    tcase_add_test(cases, keeps_what_witnesses_measured);
    tcase_add_test(cases, a_success_without_its_output_is_taken_back);
    tcase_add_test(cases, every_verdict_has_a_name_of_its_own);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
