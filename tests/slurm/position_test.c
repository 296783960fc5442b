/* SPDX-License-Identifier: BSD-3-Clause */
/* A job's place in the queue: what squeue says is read, and asked so seldom that nobody is disturbed. */
#include "position.h"

#include <check.h>
#include <string.h>

#include "slurm.h"

enum { ARRAY = 500, JOB = 7 };

/* What position.c asks of the others. */
static int64_t now_ms;
static unsigned asked, told, stopped;
static struct tool_request request;
static bool goes_well;

int64_t slurm_now_ms(void)
{
    return now_ms;
}

struct tool *tool_start(struct tools *tools, struct tool_request *asked_for)
{
    static char tool;
    ck_assert_ptr_nonnull(tools);
    arguments_clear(&request.arguments);
    request = *asked_for;
    asked++;
    return (struct tool *)&tool;
}

void tool_stop(struct tool *tool)
{
    stopped += tool != NULL;
}

bool tool_went_well(const struct tool_answer *answer)
{
    return answer->ran && goes_well;
}

void watch_found_position(struct slurm *self, struct watched *watched)
{
    ck_assert_ptr_eq(jobs_find(&self->jobs, JOB), watched);
    told++;
}

static struct slurm slurm;
static struct watched *watched;

static void set_up(void)
{
    slurm = (struct slurm){.limits_known = true};
    now_ms = 1000;
    asked = told = stopped = 0;
    goes_well = true;
    request = (struct tool_request){0};
    ck_assert(jobs_reserve(&slurm.jobs, 1));
    watched = jobs_add(&slurm.jobs, jobs_batch(&slurm.jobs, "token", "/folder"), JOB, ARRAY, 0);
    ck_assert_ptr_nonnull(watched);
}

static void tear_down(void)
{
    jobs_clear(&slurm.jobs);
    arguments_clear(&request.arguments);
}

static void answer(const char *rows)
{
    struct tool_answer said = {.ran = true};
    buffer_add_text(&said.output, rows);
    request.done(request.context, &said);
    buffer_clear(&said.output);
}

static bool has_word(const char *word)
{
    for (const char *const *one = arguments_list(&request.arguments); *one != NULL; one++)
        if (strcmp(*one, word) == 0)
            return true;
    return false;
}

START_TEST(a_place_is_counted_among_those_of_its_partition)
{
    static const struct {
        const char *rows;
        uint64_t place, of;
        const char *partition;
    } cases[] = {
        {"500|debug\n", 1, 1, "debug"},
        {"1|debug\n500|debug\n3|debug\n", 2, 3, "debug"},
        {"1|long\n2|debug\n3|long\n500|debug\n4|debug\n", 2, 3, "debug"}, /* others wait elsewhere */
        {"1|debu\n2|debug2\n500|debug\n", 1, 1, "debug"},                 /* a name is meant whole */
        {"500|debug\n500|debug\n3|debug\n", 1, 3, "debug"},               /* its first row is its place */
        {"slurm is slow today\n|debug\n\n1|debug\n500|debug", 2, 2, "debug"},
        {"1|a,b\n500|a,b\n", 2, 2, "a,b"}, /* several partitions are one word */
        {"500|\n", 1, 1, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        position_ask(&slurm, watched);
        answer(cases[i].rows);
        ck_assert_msg(watched->batch->position == cases[i].place && watched->batch->of == cases[i].of, "%s: %d of %d",
                      cases[i].rows, (int)watched->batch->position, (int)watched->batch->of);
        ck_assert_str_eq(watched->batch->partition, cases[i].partition);
        now_ms += 60000;
    }
    ck_assert_uint_eq(asked, sizeof(cases) / sizeof(*cases));
}
END_TEST

START_TEST(what_does_not_tell_its_place_changes_nothing)
{
    static const char *const rows[] = {
        "",
        "1|debug\n2|debug\n",
        "500\n",
        "500 debug\n",
        "5000|debug\n",
        "500|a-partition-whose-name-is-longer-than-any-place-that-we-have-for-it\n",
    };
    position_ask(&slurm, watched);
    answer("1|debug\n500|debug\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        now_ms += 60000;
        position_ask(&slurm, watched);
        answer(rows[i]);
        ck_assert_msg(watched->batch->position == 2 && watched->batch->of == 2, "%s", rows[i]);
        ck_assert_str_eq(watched->batch->partition, "debug");
    }
    now_ms += 60000;
    goes_well = false;
    position_ask(&slurm, watched);
    answer("500|debug\n");
    ck_assert_uint_eq(watched->batch->position, 2);
    ck_assert_uint_eq(told, 1);
}
END_TEST

START_TEST(only_another_place_is_told)
{
    static const char *const rows[] = {"1|debug\n500|debug\n", "2|debug\n500|debug\n3|debug\n", "500|debug\n"};
    static const unsigned tellings[] = {1, 1, 2};
    for (size_t i = 0; i < 3; i++) {
        position_ask(&slurm, watched);
        answer(rows[i]);
        ck_assert_uint_eq(told, tellings[i]);
        now_ms += 60000;
    }
}
END_TEST

START_TEST(it_is_asked_once_a_minute_and_once_at_a_time)
{
    position_ask(&slurm, watched);
    now_ms += 3600000;
    position_ask(&slurm, watched); /* the first still goes on */
    ck_assert_uint_eq(asked, 1);
    answer("500|debug\n");
    position_ask(&slurm, watched);
    ck_assert_uint_eq(asked, 2);
    answer("500|debug\n");
    now_ms += 59999;
    position_ask(&slurm, watched);
    ck_assert_uint_eq(asked, 2);
    now_ms += 1;
    position_ask(&slurm, watched);
    ck_assert_uint_eq(asked, 3);
    position_stop(&slurm);
    ck_assert_uint_eq(stopped, 1);
}
END_TEST

START_TEST(it_is_not_asked_where_the_site_would_mind)
{
    static const struct {
        bool known, has_rate, hides_jobs;
    } cases[] = {{false, false, false}, {true, true, false}, {true, false, true}};
    for (size_t i = 0; i < 3; i++) {
        slurm.limits_known = cases[i].known;
        slurm.limits.has_rate = cases[i].has_rate;
        slurm.limits.hides_jobs = cases[i].hides_jobs;
        position_ask(&slurm, watched);
        ck_assert_uint_eq(asked, 0);
    }
}
END_TEST

START_TEST(the_question_is_of_what_waits_by_priority)
{
    position_ask(&slurm, watched);
    ck_assert_str_eq(arguments_list(&request.arguments)[0], "squeue");
    ck_assert(has_word("--states=PENDING") && has_word("--sort=-p,i") && has_word("--format=%F|%P"));
    ck_assert(!has_word("--clusters="));
    ck_assert_int_eq(request.kind, TOOL_QUESTION);
    answer("");
    now_ms += 60000;
    strcpy(watched->cluster, "escori");
    position_ask(&slurm, watched);
    ck_assert(has_word("--clusters=escori"));
}
END_TEST

START_TEST(an_answer_about_a_job_that_is_gone_is_nothing)
{
    position_ask(&slurm, watched);
    jobs_remove(&slurm.jobs, watched);
    answer("500|debug\n");
    ck_assert_uint_eq(told, 0);
    ck_assert_ptr_null(slurm.watch.position.tool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slurm/position");
    TCase *cases = tcase_create("place");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_place_is_counted_among_those_of_its_partition);
    tcase_add_test(cases, what_does_not_tell_its_place_changes_nothing);
    tcase_add_test(cases, only_another_place_is_told);
    tcase_add_test(cases, it_is_asked_once_a_minute_and_once_at_a_time);
    tcase_add_test(cases, it_is_not_asked_where_the_site_would_mind);
    tcase_add_test(cases, the_question_is_of_what_waits_by_priority);
    tcase_add_test(cases, an_answer_about_a_job_that_is_gone_is_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
