/* SPDX-License-Identifier: BSD-3-Clause */
/* The lease: one holder, a dead one is replaced, a living or distant one is named. */
#include "run/journal/lease.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "io/process.h"

static char folder[256];
static char file[300];

static void set_up(void)
{
    const char *temporary = secure_getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/lease-test-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/lease", folder);
}

static void tear_down(void)
{
    struct error error = ERROR_INIT;
    ck_assert_msg(folder_remove(folder, &error), "%s", error.message);
}

static struct lease_request request(void)
{
    return (struct lease_request){
        .folder = folder, .subject = "the working folder 'work'", .run = "20261121-063012-k3f9"};
}

static pid_t dead_pid(void)
{
    pid_t pid;
    char *argv[] = {(char[]){"true"}, NULL};
    ck_assert_int_eq(posix_spawnp(&pid, "true", NULL, NULL, argv, NULL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return pid;
}

struct written { /* what a lease made by hand says */
    const char *host, *boot, *pids;
    long long pid;
    unsigned long long start, epoch;
    int age_s;
};

static void write_lease(struct written written)
{
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "descpipe-lease 1\nhost %s\nboot %s\npids %s\npid %lld\nstart %llu\nepoch %llu\nrun \n",
                          written.host, written.boot, written.pids, written.pid, written.start, written.epoch);
    ck_assert(file_write(file, text, (size_t)length, 0644, NULL));
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= written.age_s;
    times[1] = times[0];
    ck_assert_int_eq(utimensat(AT_FDCWD, file, times, 0), 0);
}

static unsigned count_files(void)
{
    unsigned count = 0;
    cleanup(memory_free) char *taking = path_join(folder, "lease.taking");
    count += file_exists(file);
    count += file_exists(taking);
    return count;
}

START_TEST(one_takes_it_and_gives_it_back)
{
    struct error error = ERROR_INIT;
    struct lease_request wanted = request();
    struct lease *lease = lease_take(&wanted, 0, &error);
    ck_assert_msg(lease != NULL, "%s", error.message);
    ck_assert_uint_eq(lease_epoch(lease), 1);
    enum lease_state state;
    struct lease_holder holder;
    ck_assert(lease_look(folder, &state, &holder, &error));
    ck_assert_int_eq(state, LEASE_HELD);
    ck_assert_int_eq(holder.pid, getpid());
    ck_assert_str_eq(holder.run, "20261121-063012-k3f9");
    ck_assert(lease_touch(lease));
    lease_release(lease);
    ck_assert(lease_look(folder, &state, &holder, &error));
    ck_assert_int_eq(state, LEASE_FREE);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing temporary is left */
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}
END_TEST

START_TEST(what_was_handed_over_belongs_to_its_run)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct lease_request wanted = request();
    struct lease *lease = lease_take(&wanted, 0, NULL);
    ck_assert_msg(lease_hand_over(lease, wanted.run, &error), "%s", error.message);
    ck_assert(!lease_touch(lease));
    lease_release(lease); /* which is nobody's any more: it stays */
    enum lease_state state;
    struct lease_holder holder;
    ck_assert(lease_look(folder, &state, &holder, NULL));
    ck_assert_int_eq(state, LEASE_RUN);
    ck_assert_uint_eq(count_files(), 1);
    struct lease_request other = wanted;
    other.run = "20991121-063012-other";
    other.force = true;
    ck_assert_ptr_null(lease_take(&other, 0, &error));
    ck_assert_msg(text_starts_with(error.message, "the working folder 'work' is in use by run 20261121-063012-k3f9, "
                                                  "which was handed to a scheduler on '"),
                  "%s", error.message);
    lease = lease_take(&wanted, 0, NULL);
    ck_assert_ptr_nonnull(lease);
    ck_assert_uint_eq(lease_epoch(lease), 2);
    lease_release(lease);
    ck_assert_uint_eq(count_files(), 0);
}
END_TEST

START_TEST(second_one_is_told_who_has_it)
{
    struct error error = ERROR_INIT;
    struct lease_request wanted = request();
    struct lease *lease = lease_take(&wanted, 0, NULL);
    ck_assert_ptr_null(lease_take(&wanted, 0, &error));
    struct machine here;
    machine_read(&here);
    char start[300];
    snprintf(start, sizeof start,
             "the working folder 'work' is in use by run 20261121-063012-k3f9 (descpipe process %d on '%s', last sign "
             "of life ",
             getpid(), here.host);
    ck_assert_msg(text_starts_with(error.message, start), "%s", error.message);
    ck_assert_msg(text_ends_with(error.message, " ago)"), "%s", error.message);
    ck_assert_str_eq(error.hint, "wait until it has ended, or cancel it");
    ck_assert_int_eq(error.kind, ERROR_SYSTEM);
    error_clear(&error);
    lease_release(lease);
}
END_TEST

/* {HERE}: this machine's own word. */
static const struct {
    const char *label, *host, *boot, *pids;
    bool pid_lives, start_fits;
    int age_s;
    bool force;
    enum lease_state state;
    bool taken;
} cases[] = {
    {"process gone", "{HERE}", "{HERE}", "{HERE}", false, true, 0, false, LEASE_DEAD, true},
    {"pid used again", "{HERE}", "{HERE}", "{HERE}", true, false, 0, false, LEASE_DEAD, true},
    {"lives", "{HERE}", "{HERE}", "{HERE}", true, true, 0, false, LEASE_HELD, false},
    {"lives, old, by force", "{HERE}", "{HERE}", "{HERE}", true, true, 9000, true, LEASE_HELD, false},
    {"rebooted", "{HERE}", "b00t", "{HERE}", true, true, 0, false, LEASE_DEAD, true},
    {"other container", "{HERE}", "{HERE}", "pid:[1]", false, true, 0, false, LEASE_HELD, false},
    {"other container, old", "{HERE}", "{HERE}", "pid:[1]", false, true, 400, false, LEASE_SILENT, false},
    {"other container, old, by force", "{HERE}", "{HERE}", "pid:[1]", false, true, 400, true, LEASE_SILENT, true},
    {"other host", "elsewhere", "b00t", "{HERE}", false, true, 0, false, LEASE_HELD, false},
    {"other host, by force", "elsewhere", "b00t", "{HERE}", false, true, 0, true, LEASE_HELD, false},
    {"other host, old", "elsewhere", "b00t", "{HERE}", false, true, 400, false, LEASE_SILENT, false},
    {"other host, old, by force", "elsewhere", "b00t", "{HERE}", false, true, 400, true, LEASE_SILENT, true},
};

START_TEST(judges_the_holder)
{
    struct machine here;
    machine_read(&here);
#define WORD(member) (strcmp(cases[_i].member, "{HERE}") == 0 ? here.member : cases[_i].member)
    pid_t pid = cases[_i].pid_lives ? getpid() : dead_pid();
    uint64_t start = process_start_time(getpid()) + (cases[_i].start_fits ? 0 : 1);
    write_lease((struct written){WORD(host), WORD(boot), WORD(pids), pid, start, 6, cases[_i].age_s});
    enum lease_state state;
    struct lease_holder holder;
    ck_assert(lease_look(folder, &state, &holder, NULL));
    ck_assert_msg(state == cases[_i].state, "%s: state %d", cases[_i].label, state);
    struct lease_request wanted = request();
    wanted.force = cases[_i].force;
    struct error error = ERROR_INIT;
    struct lease *lease = lease_take(&wanted, 0, &error);
    ck_assert_msg((lease != NULL) == cases[_i].taken, "%s: %s", cases[_i].label, error.message);
    if (lease != NULL)
        ck_assert_uint_eq(lease_epoch(lease), 7);
    else if (state == LEASE_SILENT)
        ck_assert_str_eq(error.hint, "if it has surely ended, take over by force");
    error_clear(&error);
    lease_release(lease);
    ck_assert_uint_eq(count_files(), cases[_i].taken ? 0 : 1);
}
END_TEST

struct racer {
    pthread_t thread;
    struct lease *lease;
};

static pthread_barrier_t gate;

static void *race(void *context)
{
    struct racer *racer = context;
    struct lease_request wanted = request();
    pthread_barrier_wait(&gate);
    racer->lease = lease_take(&wanted, 0, NULL);
    return NULL;
}

START_TEST(of_many_one_gets_it)
{
    enum { RACERS = 8 };
    struct machine here;
    machine_read(&here);
    if (_i % 2 == 1) /* taking over from the dead, else the first lease */
        write_lease((struct written){here.host, "b00t", here.pids, 1, 1, 3, 0});
    struct racer racers[RACERS] = {{.lease = NULL}};
    ck_assert_int_eq(pthread_barrier_init(&gate, NULL, RACERS), 0);
    for (unsigned i = 0; i < RACERS; i++)
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    struct lease *winner = NULL;
    for (unsigned i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        if (racers[i].lease == NULL)
            continue;
        ck_assert_ptr_null(winner);
        winner = racers[i].lease;
    }
    pthread_barrier_destroy(&gate);
    ck_assert_ptr_nonnull(winner);
    ck_assert(lease_touch(winner));
    ck_assert_uint_eq(count_files(), 1);
    lease_release(winner);
}
END_TEST

START_TEST(a_taker_that_died_is_no_obstacle)
{
    struct machine here;
    machine_read(&here);
    write_lease((struct written){here.host, "b00t", here.pids, 1, 1, 3, 0});
    cleanup(memory_free) char *taking = path_join(folder, "lease.taking");
    ck_assert_int_eq(link(file, taking), 0);
    struct lease_request wanted = request();
    struct lease *lease = lease_take(&wanted, 0, NULL);
    ck_assert_ptr_nonnull(lease);
    ck_assert_uint_eq(lease_epoch(lease), 4);
    lease_release(lease);
    ck_assert_uint_eq(count_files(), 0);
}
END_TEST

START_TEST(touching_tells_when_it_was_taken_away)
{
    struct lease_request wanted = request();
    struct lease *lease = lease_take(&wanted, 0, NULL);
    ck_assert(lease_touch(lease));
    write_lease((struct written){"elsewhere", "b00t", "pid:[1]", 1, 1, 9, 0});
    ck_assert(!lease_touch(lease));
    lease_release(lease);
    ck_assert(file_exists(file)); /* not ours to remove */
}
END_TEST

START_TEST(touching_is_a_sign_of_life)
{
    struct lease_request wanted = request();
    struct lease *lease = lease_take(&wanted, 0, NULL);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, file, times, 0), 0);
    ck_assert(lease_touch(lease));
    struct stat status;
    ck_assert_int_eq(stat(file, &status), 0);
    ck_assert_int_gt(status.st_mtim.tv_sec, 1000);
    lease_release(lease);
}
END_TEST

START_TEST(refuses_a_file_that_is_no_lease)
{
    static const char *const texts[] = {
        "", "something else\n", "descpipe-lease 1\nhost a\n",
        "descpipe-lease 1\nhost a\nboot b\npids c\npid 0\nstart 1\nepoch 1\nrun \n",
        "descpipe-lease 1\nhost a\nboot b\npids c\npid 99999999999\nstart 1\nepoch 1\nrun \n"};
    ck_assert(file_write(file, texts[_i], strlen(texts[_i]), 0644, NULL));
    struct lease_request wanted = request();
    struct error error = ERROR_INIT;
    ck_assert_ptr_null(lease_take(&wanted, 0, &error));
    char expected[400];
    snprintf(expected, sizeof expected, "'%s' is not a lease", file);
    ck_assert_str_eq(error.message, expected);
    ck_assert_str_eq(error.hint, "look what it is; remove it when no descpipe uses the folder");
    error_clear(&error);
}
END_TEST

START_TEST(epoch_never_goes_back)
{
    struct lease_request wanted = request();
    wanted.epoch = 12;
    struct lease *lease = lease_take(&wanted, 0, NULL);
    ck_assert_uint_eq(lease_epoch(lease), 12);
    lease_release(lease);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lease");
    TCase *cases_all = tcase_create("lease");
    tcase_add_checked_fixture(cases_all, set_up, tear_down);
    tcase_add_test(cases_all, one_takes_it_and_gives_it_back);
    tcase_add_test(cases_all, second_one_is_told_who_has_it);
    tcase_add_test(cases_all, what_was_handed_over_belongs_to_its_run);
    tcase_add_loop_test(cases_all, judges_the_holder, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(cases_all, of_many_one_gets_it, 0, 20);
    tcase_add_test(cases_all, a_taker_that_died_is_no_obstacle);
    tcase_add_test(cases_all, touching_tells_when_it_was_taken_away);
    tcase_add_test(cases_all, touching_is_a_sign_of_life);
    tcase_add_loop_test(cases_all, refuses_a_file_that_is_no_lease, 0, 5);
    tcase_add_test(cases_all, epoch_never_goes_back);
    suite_add_tcase(suite, cases_all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
