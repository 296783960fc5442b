/* SPDX-License-Identifier: BSD-3-Clause */
/* What slurm reads and writes: records, answers, limits, the token bucket. */
#include <stdio.h>
#include <string.h>

#include "parts/answer.h"
#include "parts/bucket.h"
#include "parts/limits.h"
#include "parts/log.h"
#include "parts/record.h"
#include "parts_test.h"

START_TEST(reads_a_row_of_the_queue)
{
    static const char line[] = "3|1|7|PENDING|Priority|1795276039|N/A||r1-1|with a bar";
    struct record record;
    ck_assert(record_read_queue(line, strlen(line), &record));
    ck_assert_uint_eq(record.array, 3);
    ck_assert_int_eq(record.index, 1);
    ck_assert_uint_eq(record.raw, 7);
    ck_assert_int_eq(record.state, STATE_PENDING);
    ck_assert_int_eq(record.started_s, 1795276039);
    ck_assert_int_eq(record.ended_s, 0);
    ck_assert_str_eq(record.reason, "Priority");
    ck_assert_str_eq(record.nodes, "");
    ck_assert_str_eq(record.name, "r1-1|with a bar");
}
END_TEST

START_TEST(refuses_rows_that_are_none)
{
    static const char *const lines[] = {"",
                                        "|",
                                        "slurm_load_jobs error: Unable to contact slurm controller",
                                        "JOBID|X|ID|STATE|REASON|START|END|NODES|NAME",
                                        "3|1|7|PENDING|Priority|1795276039|N/A|",
                                        "3|x|7|PENDING|Priority|1|2|n|name",
                                        "99999999999999999999999|1|7|PENDING|Priority|1|2|n|name"};
    struct record record;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        ck_assert_msg(!record_read_queue(lines[i], strlen(lines[i]), &record), "%s", lines[i]);
    }
}
END_TEST

START_TEST(knows_which_members_a_collapsed_row_stands_for)
{
    static const struct {
        const char *index;
        int64_t asked;
        bool covered;
    } cases[] = {
        {"[5-1024%4]", 5, true},   {"[5-1024%4]", 1024, true}, {"[5-1024%4]", 4, false}, {"5-7,9", 9, true},
        {"5-7,9", 8, false},       {"[0-10:2]", 4, true},      {"[0-10:2]", 5, false},   {"[1,3,5...]", 3, true},
        {"[1,3,5...]", 900, true}, {"[1-2", 1, true},          {"[3,4%1]", 4, true},     {"[3,4%1]", 1, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char line[128];
        struct record record;
        snprintf(line, sizeof(line), "123|%s|123|PENDING|Resources|N/A|N/A||r1-1", cases[i].index);
        ck_assert_msg(record_read_queue(line, strlen(line), &record), "%s", line);
        ck_assert_int_eq(record.index, RECORD_NO_INDEX);
        ck_assert_msg(record_covers(&record, cases[i].asked) == cases[i].covered, "%s: %d", cases[i].index,
                      (int)cases[i].asked);
    }
}
END_TEST

START_TEST(reads_what_accounting_counts)
{
    static const char line[] = "1941.batch|1941.batch|CANCELLED by 0|0:9|1|2|3|n1||424440K|1-02:03:04|None|batch";
    struct record record;
    ck_assert(record_read_account(line, strlen(line), ACCOUNT_ALL, &record));
    ck_assert_int_eq(record.part, PART_BATCH);
    ck_assert_int_eq(record.by, 0);
    ck_assert_uint_eq(record.peak_memory, (uint64_t)424440 << 10);
    ck_assert_uint_eq(record.cpu_ms, (uint64_t)(((24 + 2) * 60 + 3) * 60 + 4) * 1000);
    static const char fraction[] = "5_7|9|RUNNING|0:0|1|2|Unknown|n1|1.5G|||None|r1-1";
    ck_assert(record_read_account(fraction, strlen(fraction), ACCOUNT_ALL, &record));
    ck_assert_int_eq(record.index, 7);
    ck_assert_uint_eq(record.raw, 9);
    ck_assert_uint_eq(record.requested_memory, (uint64_t)1536 << 20);
    ck_assert_int_eq(record.ended_s, 0);
}
END_TEST

START_TEST(does_without_columns_that_a_version_lacks)
{
    static const char line[] = "5|5|FAILED|3:0|1|2|3|n1||||r1-1";
    struct record record;
    ck_assert(record_read_account(line, strlen(line), ACCOUNT_ALL & ~(1u << ACCOUNT_REASON), &record));
    ck_assert_str_eq(record.name, "r1-1");
    ck_assert_str_eq(record.reason, "");
    ck_assert_int_eq(record.exit_code, 3);
}
END_TEST

START_TEST(reads_ids_back)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t array;
        int64_t index;
    } cases[] = {{"123", true, 123, -1},     {"123_4", true, 123, 4},    {"123_4@big", true, 123, 4},
                 {"", false, 0, 0},          {"x", false, 0, 0},         {"123_", false, 0, 0},
                 {"123.batch", false, 0, 0}, {"123_[4-5]", false, 0, 0}, {"-1", false, 0, 0},
                 {"123_4x", false, 0, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t array = 0;
        int64_t index = 0;
        ck_assert_msg(record_read_id(cases[i].text, &array, &index) == cases[i].good, "%s", cases[i].text);
        if (cases[i].good) {
            ck_assert_uint_eq(array, cases[i].array);
            ck_assert_int_eq(index, cases[i].index);
        }
    }
}
END_TEST

START_TEST(finds_the_job_in_whatever_a_wrapper_prints)
{
    static const struct {
        const char *printed;
        uint64_t job;
        const char *cluster;
    } cases[] = {
        {"123\n", 123, ""},
        {"123;perlmutter\n", 123, "perlmutter"},
        {"Submitted batch job 123\n", 123, ""},
        {"Welcome to Big Machine!\nYour balance: 12 hours\n123\n", 123, ""},
        {"sbatch: INFO: 77 cpus\n123\r\n", 123, ""},
        {"123\nThank you.\n", 123, ""},
        {"", 0, ""},
        {"accepted\n", 0, ""},
        {"0\n", 0, ""},
        {"12 34\n", 0, ""},
        {"123;\n", 0, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t job = 0;
        char cluster[16];
        bool found = answer_read_job(cases[i].printed, &job, cluster, sizeof(cluster));
        ck_assert_msg(found == (cases[i].job != 0), "%s", cases[i].printed);
        ck_assert_uint_eq(job, cases[i].job);
        ck_assert_msg(!found || strcmp(cluster, cases[i].cluster) == 0, "%s: %s", cases[i].printed, cluster);
    }
}
END_TEST

START_TEST(tells_a_no_from_a_lost_answer)
{
    static const struct {
        const char *words;
        enum answer_kind kind;
        const char *message;
    } cases[] = {
        {"sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n", ANSWER_UNKNOWN,
         "Batch job submission failed: Socket timed out on send/recv operation"},
        {"sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received\n", ANSWER_UNKNOWN, NULL},
        {"sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n",
         ANSWER_CANNOT_ASK, NULL},
        {"slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", ANSWER_CANNOT_ASK, NULL},
        {"sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying.\n"
         "sbatch: error: Batch job submission failed: Resource temporarily unavailable\n",
         ANSWER_LATER, NULL},
        {"sbatch: error: RPC rate limit exceeded\n", ANSWER_LATER, NULL},
        {"sbatch: error: AssocMaxSubmitJobLimit\n"
         "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's "
         "size "
         "and/or time limits)\n",
         ANSWER_TOO_MANY, NULL},
        {"sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
         "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy\n",
         ANSWER_TOO_MANY, NULL},
        {"sbatch: error: invalid partition specified: nope\n"
         "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
         ANSWER_REFUSED, NULL},
        {"sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n",
         ANSWER_REFUSED, NULL},
        {"sbatch: error: You must ask for a project (job_submit/lua)\nsbatch: error: Batch job submission failed: "
         "Unspecified error\n",
         ANSWER_REFUSED, "Batch job submission failed: Unspecified error"},
        {"sbatch: unrecognized option '--frobnicate'\n", ANSWER_REFUSED, NULL},
        {"Segmentation fault\n", ANSWER_UNKNOWN, "Segmentation fault"},
        {"", ANSWER_UNKNOWN, "it said nothing"},
        {"slurm_load_jobs error: Invalid job id specified\n", ANSWER_NO_JOB, NULL},
        {"scancel: error: Kill job error on job id 5: Job/step already completing or completed\n", ANSWER_NO_JOB, NULL},
        {"Slurm accounting storage is disabled\n", ANSWER_DISABLED, NULL},
        {"sacct: error: Problem talking to the database: Connection refused\n", ANSWER_CANNOT_ASK, NULL},
        {"sacct: fatal: Invalid field requested: \"Reason\"\n", ANSWER_NO_FIELD, "Invalid field requested: \"Reason\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct answer answer;
        answer_read(cases[i].words, &answer);
        ck_assert_msg(answer.kind == cases[i].kind, "%s: %d", cases[i].words, (int)answer.kind);
        ck_assert_msg(cases[i].message == NULL || strcmp(answer.message, cases[i].message) == 0, "%s", answer.message);
    }
    ck_assert(answer_names_field("Invalid field requested: \"Reason\"", "Reason"));
    ck_assert(!answer_names_field("Invalid field requested: \"ReasonX\"", "Reason"));
}
END_TEST

START_TEST(reads_the_sites_limits)
{
    struct limits limits = {0};
    static const char *const lines[] = {
        "SLURM_VERSION           = 22.05.8",
        "MaxArraySize            = 1001",
        "MinJobAge               = 300 sec",
        "ClusterName             = testbed",
        "SlurmctldParameters     = enable_configless,rl_enable,rl_bucket_size=40,rl_refill_rate=4,rl_refill_period=60",
        "no equals sign"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        limits_read_config(&limits, lines[i], strlen(lines[i]));
    }
    ck_assert_str_eq(limits.version, "22.05.8");
    ck_assert_uint_eq(limits.array_size, 1001);
    ck_assert_uint_eq(limits.forget_s, 300);
    ck_assert(limits.has_rate);
    ck_assert_uint_eq(limits.rate_bucket, 40);
    ck_assert_uint_eq(limits.rate_period_s, 60);
    static const char partition[] =
        "PartitionName=debug AllowGroups=ALL Default=YES MaxNodes=UNLIMITED MaxTime=2-01:00:30 "
        "State=UP TotalNodes=3 MaxMemPerNode=1000";
    ck_assert(limits_read_partition(&limits, partition, strlen(partition)));
    ck_assert(limits_read_partition(&limits, "Slurmctld(primary) at vm is UP", 30));
    ck_assert_uint_eq(limits.partitions_count, 1);
    const struct partition *found = limits_partition(&limits, NULL);
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->minutes, 2 * 1440 + 60 + 1);
    ck_assert_uint_eq(found->nodes, LIMITS_NONE);
    ck_assert_uint_eq(found->total_nodes, 3);
    ck_assert_uint_eq(found->memory_per_node, (uint64_t)1000 << 20);
    ck_assert_ptr_null(limits_partition(&limits, "other"));
    limits_clear(&limits);
}
END_TEST

START_TEST(reads_lengths_of_time)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t minutes;
    } cases[] = {{"60", true, 60},
                 {"1:00:00", true, 60},
                 {"00:01:00", true, 1},
                 {"2-03", true, 2 * 1440 + 180},
                 {"2-03:04", true, 3064},
                 {"0:30", true, 1},
                 {"90:30", true, 91},
                 {"1-00:00:00", true, 1440},
                 {"UNLIMITED", true, LIMITS_NONE},
                 {"", false, 0},
                 {"x", false, 0},
                 {"1:x", false, 0},
                 {"1-", true, 1440},
                 {"1-1-1", false, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t minutes = 0;
        bool good = limits_read_minutes(cases[i].text, strlen(cases[i].text), &minutes);
        ck_assert_msg(good == cases[i].good && minutes == cases[i].minutes, "%s: %llu", cases[i].text,
                      (unsigned long long)minutes);
    }
}
END_TEST

START_TEST(a_bucket_gives_what_it_holds_and_then_its_rate)
{
    struct bucket bucket;
    bucket_start(&bucket, 4, 2, 1000);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(bucket_take(&bucket, 1, 1000), 0);
    }
    int64_t wait = bucket_take(&bucket, 1, 1000);
    ck_assert_int_ge(wait, 500);
    ck_assert_int_le(wait, 502);
    ck_assert_int_eq(bucket_take(&bucket, 1, 1000 + wait), 0);
    ck_assert_int_eq(bucket_take(&bucket, 100, 1000 + wait + 2000), 0); /* more than it can hold: all of it */
}
END_TEST

START_TEST(a_bucket_never_gives_more_than_the_limit_it_was_told)
{
    /* The harshest site known: 40 at once, then 4 a minute. */
    struct bucket bucket;
    int taken = 0;
    bucket_start(&bucket, 50, 5, 0);
    for (int i = 0; i < 10; i++) {
        taken += bucket_take(&bucket, 1, 0) == 0;
    }
    bucket_limit(&bucket, 32, 4.0 / 60 * 0.8, 0);
    for (int64_t now = 0; now < 3600000; now += 100) {
        taken += bucket_take(&bucket, 1, now) == 0;
        ck_assert_msg(taken <= 40 + (int)(now * 4 / 60000), "%d after %d ms", taken, (int)now);
    }
    ck_assert_int_gt(taken, 180); /* and not much less */
}
END_TEST

START_TEST(a_bucket_slows_down_when_told_and_recovers)
{
    struct bucket bucket;
    bucket_start(&bucket, 10, 10, 0);
    bucket_slow_down(&bucket, 0);
    ck_assert_int_eq(bucket_take(&bucket, 1, 0), 1000);
    ck_assert_int_eq(bucket_take(&bucket, 1, 1000), 0);
    bucket_slow_down(&bucket, 1000);
    ck_assert_int_eq(bucket_take(&bucket, 1, 1000), 2000);
    for (int i = 0; i < 40; i++) {
        bucket_slow_down(&bucket, 1000);
    }
    ck_assert_int_eq(bucket_take(&bucket, 1, 1000), 60000);
    for (int i = 0; i < 400; i++) {
        bucket_went_well(&bucket, 61000);
    }
    ck_assert(bucket.per_ms >= bucket.full_per_ms);
    ck_assert_int_eq(bucket.block_ms, 0);
}
END_TEST

START_TEST(a_log_line_is_of_the_job_that_it_names)
{
    static const char log[] =
        "slurmstepd-n1: error: *** JOB 1945 ON n2 CANCELLED AT 2026-11-21T00:58:12 DUE TO TIME LIMIT ***\n"
        "descpipe: job 7: cannot read 'a: b'\n"
        "slurmstepd: error: *** STEP 8.0 ON n1 CANCELLED AT X DUE TO PREEMPTION ***";
    char words[64];
    ck_assert_uint_eq(log_read(log, strlen(log), 1945, words, sizeof(words)), 1u << 1);
    ck_assert_uint_eq(log_read(log, strlen(log), 194, words, sizeof(words)), 0);
    ck_assert_uint_eq(log_read(log, strlen(log), 8, words, sizeof(words)), 1u << 3);
    ck_assert_uint_eq(log_read(log, strlen(log), 7, words, sizeof(words)), 1u << 4);
    ck_assert_str_eq(words, "cannot read 'a: b'");
    ck_assert_uint_eq(log_read("", 0, 7, words, sizeof(words)), 0);
}
END_TEST

static Suite *parts_suite(void)
{
    Suite *suite = suite_create("slurm/parts");
    TCase *records = tcase_create("records");
    tcase_add_test(records, reads_a_row_of_the_queue);
    tcase_add_test(records, refuses_rows_that_are_none);
    tcase_add_test(records, knows_which_members_a_collapsed_row_stands_for);
    tcase_add_test(records, reads_what_accounting_counts);
    tcase_add_test(records, does_without_columns_that_a_version_lacks);
    tcase_add_test(records, reads_ids_back);
    tcase_add_test(records, a_log_line_is_of_the_job_that_it_names);
    suite_add_tcase(suite, records);
    TCase *answers = tcase_create("answers");
    tcase_add_test(answers, finds_the_job_in_whatever_a_wrapper_prints);
    tcase_add_test(answers, tells_a_no_from_a_lost_answer);
    suite_add_tcase(suite, answers);
    TCase *limits = tcase_create("limits");
    tcase_add_test(limits, reads_the_sites_limits);
    tcase_add_test(limits, reads_lengths_of_time);
    tcase_add_test(limits, a_bucket_gives_what_it_holds_and_then_its_rate);
    tcase_add_test(limits, a_bucket_never_gives_more_than_the_limit_it_was_told);
    tcase_add_test(limits, a_bucket_slows_down_when_told_and_recovers);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(parts_suite());
    srunner_add_suite(runner, ending_suite());
    srunner_add_suite(runner, request_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
