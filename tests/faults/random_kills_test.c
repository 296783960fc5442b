/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine, the keeper or the front of a run is killed at some moment: what is left can be read, is true, and can be
 * ended.
 *
 * How it works: a child process starts the run and stands for the front. When the journal has reached a record whose
 * number chance has chosen (with a seed that is printed), the victim gets SIGKILL. Then `descpipe cancel`; this process
 * is a subreaper, so that whatever is left of the run becomes its child, and it waits until there is none.
 */
#include "run_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "run/journal/run_folder.h"

enum { MEMBERS = 60, ROUNDS = 24, SEQUENCE_FIRST = 3, SEQUENCES = 180, JOBS_LIMIT = 256 };

enum victim { VICTIM_ENGINE, VICTIM_KEEPER, VICTIM_FRONT, VICTIMS };
static const char *const victim_names[VICTIMS] = {"engine", "keeper", "front"};

/* Half of the output is written, then the other half. */
#define STAGE                                                                                                          \
    "a: {image: 'rootfs:/', size: 60, outputs: {x: txt}, interpreter: [sh, -eu], script: 'echo begin > "               \
    "$DESC_OUTPUT/x.txt; sleep 0.03; echo end >> $DESC_OUTPUT/x.txt'}\n"

static unsigned next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*state >> 33);
}

static _Noreturn void live_as_front(const struct run_setup *setup)
{
    struct run_front front;
    start_run(setup, &front);
    enum run_news news;
    while ((news = run_front_next(&front, true)) != RUN_END)
        continue;
    _exit(front.exit_status);
}

/* The only run there is, once it has begun. */
static bool find_run(void *context)
{
    char **folder = context;
    DIR *runs = opendir("work/.descpipe/runs");
    for (struct dirent *entry; runs != NULL && *folder == NULL && (entry = readdir(runs)) != NULL;)
        if (run_id_is_valid(entry->d_name))
            *folder = memory_format("%s/work/.descpipe/runs/%s", base, entry->d_name);
    if (runs != NULL)
        closedir(runs);
    cleanup(memory_free) char *journal = *folder != NULL ? path_join(*folder, JOURNAL_FILE) : NULL;
    return journal != NULL && file_exists(journal);
}

/* Reads on until the record with this number, or the last one: the run may be shorter than chance thought. */
static pid_t read_until(const char *folder, uint64_t sequence)
{
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    pid_t engine = 0;
    int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
    for (uint64_t at = 0; at < sequence;) {
        if (!journal_reader_next(reader, &record)) {
            ck_assert_msg(clock_monotonic_ms() < deadline, "record %llu does not come", (unsigned long long)sequence);
            poll(NULL, 0, 1);
            continue;
        }
        at = record.sequence;
        if (strcmp(record.kind, "writer") == 0)
            engine = (pid_t)strtol(strstr(record.line, "\"pid\":") + 6, NULL, 10);
        if (strcmp(record.kind, "end") == 0)
            break;
    }
    journal_reader_close(reader);
    return engine;
}

static pid_t parent_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup(text_clear) struct text stat = TEXT_INIT;
    if (!file_read(path, 4096, &stat, NULL))
        return 0;
    return (pid_t)strtol(strrchr(stat.bytes, ')') + 4, NULL, 10);
}

static int run_descpipe(const char *command, const char *folder)
{
    pid_t child = fork();
    if (child == 0) {
        int log = open("command.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(log, 1);
        dup2(log, 2);
        execl(BUILD_FOLDER "/descpipe", "descpipe", command, folder, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Whatever is left has become our child: it must end, all of it. */
static void expect_nobody(const char *what)
{
    alarm(60); /* kills this test, whose name says why */
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    alarm(0);
    ck_assert_msg(errno == ECHILD, "%s", what);
}

struct job {
    bool started, ended, ok;
};

static uint64_t job_in(const char *line)
{
    const char *job = strstr(line, "\"job\":");
    return job != NULL ? strtoull(job + 6, NULL, 10) : 0;
}

static void read_jobs(const char *folder, struct job *jobs, bool *over)
{
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    uint64_t sequence = 0;
    while (journal_reader_next(reader, &record)) {
        ck_assert_uint_gt(record.sequence, sequence);
        sequence = record.sequence;
        uint64_t job = job_in(record.line);
        ck_assert_uint_lt(job, JOBS_LIMIT);
        jobs[job].started = jobs[job].started || strcmp(record.kind, "started") == 0;
        jobs[job].ended = jobs[job].ended || strcmp(record.kind, "ended") == 0;
        if (strcmp(record.kind, "verdict") == 0 && strstr(record.line, "\"verdict\":\"OK\"") != NULL)
            jobs[job].ok = true;
        *over = *over || strcmp(record.kind, "end") == 0;
    }
    ck_assert_uint_le(journal_reader_skipped(reader), 1); /* the line that the kill cut */
    journal_reader_close(reader);
}

/* What is in the data folder is whole, and what has the verdict OK is in there. */
static void expect_whole_results(const struct job *jobs)
{
    for (unsigned member = 0; member < MEMBERS; member++) {
        char path[64];
        snprintf(path, sizeof path, "work/data/x/%u.txt", member);
        ck_assert_msg(!jobs[member + 1].ok || file_exists(path), "%s is missing", path);
        if (!file_exists(path))
            continue;
        cleanup(memory_free) char *words = read_text(path);
        ck_assert_msg(strcmp(words, "begin\nend\n") == 0, "%s: '%s'", path, words);
    }
}

/* The keeper saw how each ended that the engine did not; without a keeper nobody says that one ended well. */
static void expect_all_known(const char *folder, const struct job *jobs)
{
    cleanup(memory_free) char *path = path_join(folder, KEEPER_LOG);
    cleanup(memory_free) char *log = file_exists(path) ? read_text(path) : memory_copy_text("");
    for (unsigned job = 1; job < JOBS_LIMIT; job++) {
        cleanup(memory_free) char *wanted = memory_format("\"job\":%u,", job);
        if (jobs[job].started && !jobs[job].ended)
            ck_assert_msg(strstr(log, wanted) != NULL, "nobody knows how job %u ended:\n%s", job, log);
    }
}

START_TEST(a_kill_at_any_moment_leaves_the_truth)
{
    uint64_t state = UINT64_C(20261121) + (uint64_t)_i;
    enum victim victim = (enum victim)(_i % VICTIMS);
    cleanup(memory_free) char *tool = process_find("bwrap");
    bool native = (_i / VICTIMS) % 2 != 0 && tool != NULL;
    uint64_t sequence = SEQUENCE_FIRST + next_random(&state) % SEQUENCES;
    fprintf(stderr, "round %d: the %s of a run on '%s' dies at record %llu\n", _i, victim_names[victim],
            native ? "native" : "host", (unsigned long long)sequence);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    write_pipeline("a", STAGE);
    const struct run_setup setup = {.scheduler = (_i / 2) % 2 != 0 ? "sequential" : "local",
                                    .runtime = native ? "native" : "host"};
    pid_t front = fork();
    if (front == 0)
        live_as_front(&setup);
    char *folder = NULL;
    ck_assert(eventually(find_run, &folder));
    pid_t engine = read_until(folder, sequence);
    ck_assert_int_gt(engine, 1);
    pid_t keeper = parent_of(engine); /* 0: the run is over */
    pid_t dies = victim == VICTIM_ENGINE ? engine : victim == VICTIM_KEEPER ? keeper : front;
    if (keeper > 1)
        kill(dies, SIGKILL);
    int cancelled = run_descpipe("cancel", folder);
    ck_assert_msg(cancelled == 0 || cancelled == 2, "cancel: %d", cancelled); /* 2: there was nothing to cancel */
    expect_nobody("processes are left");
    struct job jobs[JOBS_LIMIT] = {{.ok = false}};
    bool over = false;
    read_jobs(folder, jobs, &over);
    ck_assert_int_eq(run_descpipe("status", folder), 0);
    cleanup(memory_free) char *status = read_text("command.log");
    ck_assert_msg(strstr(status, "running") == NULL, "status: %s", status);
    expect_whole_results(jobs);
    if (victim != VICTIM_KEEPER)
        expect_all_known(folder, jobs);
    memory_free(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random kills");
    TCase *cases = tcase_create("random kills");
    tcase_set_timeout(cases, 90);
    tcase_add_checked_fixture(cases, fixture_set_up, fixture_tear_down);
    tcase_add_loop_test(cases, a_kill_at_any_moment_leaves_the_truth, 0, ROUNDS);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
