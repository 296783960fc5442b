/* SPDX-License-Identifier: BSD-3-Clause */
/* What sbatch gets: options, arrays, and scripts that hold whatever a path may be called. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "parts/request.h"
#include "parts/script.h"
#include "parts_test.h"

extern char **environ;

static struct descpipe_resources plain = {.nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};

static void take_wishes(void *context, const struct descpipe_job *job, struct wishes *wishes)
{
    const struct wishes *given = context;
    (void)job;
    if (given != NULL) {
        *wishes = *given;
    }
}

static const struct request_source nothing_more = {.wishes = take_wishes};

static char *join(const struct arguments *arguments)
{
    struct buffer text = {0};
    for (size_t i = 0; i < arguments->count; i++) {
        buffer_format(&text, "%s%s", i > 0 ? " " : "", arguments->items[i]);
    }
    return text.data;
}

START_TEST(maps_every_resource)
{
    static const char *const extra[] = {"--mail-type=END", NULL};
    static const char *const directives[] = {"slurm:--image=docker:x@sha256:1", "argo:not ours", NULL};
    struct descpipe_resources resources = {.nodes = 2,
                                           .ranks_per_node = 32,
                                           .cpus_per_rank = 4,
                                           .gpus_per_node = 1,
                                           .memory_per_node = ((uint64_t)8 << 30) + 1,
                                           .scratch = 20u << 20,
                                           .time_limit_ms = 30 * 60000 + 1};
    struct descpipe_form form = {.size = sizeof(form), .directives = directives};
    struct descpipe_job job = {.size = sizeof(job), .stage = "s", .resources = &resources, .form = &form};
    struct wishes wishes = {.account = "m1727",
                            .partition = "",
                            .qos = "regular",
                            .constraint = "cpu",
                            .reservation = "r",
                            .licenses = "cfs:1",
                            .gpu_type = "a100",
                            .extra = extra};
    struct arguments arguments = {0};
    request_add(&arguments, &wishes, &job);
    cleanup(memory_free) char *joined = join(&arguments);
    ck_assert_str_eq(joined, "--nodes=2 --ntasks-per-node=32 --cpus-per-task=4 --mem=8193M --tmp=20M --time=31 "
                             "--gres=gpu:a100:1 --account=m1727 --qos=regular --constraint=cpu --reservation=r "
                             "--licenses=cfs:1 --image=docker:x@sha256:1 --mail-type=END");
    arguments_clear(&arguments);
    wishes = (struct wishes){.gpu_request = "gpus-per-node"};
    resources = (struct descpipe_resources){.gpus_per_node = 2};
    job.form = NULL;
    request_add(&arguments, &wishes, &job);
    cleanup(memory_free) char *few = join(&arguments);
    ck_assert_str_eq(few, "--nodes=1 --ntasks-per-node=1 --cpus-per-task=1 --gpus-per-node=2");
    arguments_clear(&arguments);
}
END_TEST

START_TEST(extra_never_says_what_is_ours)
{
    static const char *const good[] = {"--mail-type=END", "--exclusive", "--signal=B:USR1@60", NULL};
    static const char *const bad[][2] = {
        {"--array=1-3", NULL}, {"--job-name=x", NULL}, {"-A", NULL},       {"--output=x", NULL},
        {"script.sh", NULL},   {"--export=ALL", NULL}, {"--time=5", NULL}, {"--wrap=x", NULL},
        {"--", NULL},          {"--requeue", NULL},    {"", NULL},         {"--dependency=afterok:1", NULL}};
    char message[REQUEST_MESSAGE];
    ck_assert(request_allows_extra(good, message));
    ck_assert(request_allows_extra(NULL, message));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_msg(!request_allows_extra(bad[i], message), "%s", bad[i][0]);
        ck_assert_ptr_nonnull(strstr(message, "extra"));
    }
}
END_TEST

enum { MOST = 64 };
struct shaped {
    struct descpipe_job jobs[MOST];
    const struct descpipe_job *list[MOST];
    struct descpipe_edge edges[MOST];
    const struct descpipe_edge *after[MOST][2];
    struct descpipe_submission submission;
};

static void shape(struct shaped *shaped, uint32_t count)
{
    *shaped = (struct shaped){.submission = {.size = sizeof(struct descpipe_submission), .count = count}};
    for (uint32_t i = 0; i < count; i++) {
        shaped->jobs[i] = (struct descpipe_job){
            .size = sizeof(struct descpipe_job), .job = i + 1, .stage = "s", .group = "s", .resources = &plain};
        shaped->list[i] = &shaped->jobs[i];
    }
    shaped->submission.jobs = shaped->list;
}

static void wait_for(struct shaped *shaped, uint32_t position, uint64_t job, uint32_t condition)
{
    shaped->edges[position] =
        (struct descpipe_edge){.size = sizeof(struct descpipe_edge), .condition = condition, .job = job};
    shaped->after[position][0] = &shaped->edges[position];
    shaped->jobs[position].after = shaped->after[position];
}

START_TEST(equal_needs_are_one_array_whatever_the_stage)
{
    struct shaped shaped;
    struct request_groups groups;
    struct descpipe_resources large = plain;
    char message[REQUEST_MESSAGE];
    shape(&shaped, 7);
    large.cpus_per_rank = 8;
    shaped.jobs[2].resources = shaped.jobs[5].resources = &large;
    shaped.jobs[4].stage = shaped.jobs[4].group = "other";
    ck_assert(request_group(&shaped.submission, 1000, &nothing_more, &groups, message));
    ck_assert_uint_eq(groups.count, 2);
    struct buffer text = {0};
    request_add_indices(&text, &groups.items[0]);
    buffer_add_text(&text, " ");
    request_add_indices(&text, &groups.items[1]);
    ck_assert_str_eq(buffer_text(&text), "0-1,3-4,6 2,5");
    buffer_clear(&text);
    request_groups_clear(&groups);
}
END_TEST

START_TEST(a_concurrency_limit_is_of_one_stage)
{
    struct shaped shaped;
    struct request_groups groups;
    char message[REQUEST_MESSAGE];
    shape(&shaped, 6);
    for (uint32_t i = 0; i < 4; i++) {
        shaped.jobs[i].members_limit = 2;
        shaped.jobs[i].group = i < 2 ? "one" : "two";
    }
    ck_assert(request_group(&shaped.submission, 1000, &nothing_more, &groups, message));
    ck_assert_uint_eq(groups.count, 3);
    struct buffer text = {0};
    request_add_indices(&text, &groups.items[1]);
    ck_assert_str_eq(buffer_text(&text), "2-3%2");
    buffer_clear(&text);
    request_groups_clear(&groups);
}
END_TEST

START_TEST(large_groups_are_split_and_waiting_ones_come_last)
{
    struct shaped shaped;
    struct request_groups groups;
    char message[REQUEST_MESSAGE];
    shape(&shaped, 10);
    wait_for(&shaped, 1, 1, DESCPIPE_AFTER_OK);
    wait_for(&shaped, 2, 2, DESCPIPE_AFTER_END);
    wait_for(&shaped, 3, 999, DESCPIPE_AFTER_OK); /* of an earlier submission */
    ck_assert(request_group(&shaped.submission, 3, &nothing_more, &groups, message));
    ck_assert_uint_eq(groups.count, 6); /* 0 4 5, 6 7 8, 9, and three that wait */
    ck_assert_str_eq(groups.items[groups.count - 1].after, "end:2");
    ck_assert_uint_eq(groups.items[groups.count - 1].level, 2);
    ck_assert_str_eq(groups.items[groups.count - 2].after, "ok:1");
    for (size_t i = 0; i < groups.count; i++) {
        ck_assert_uint_le(groups.items[i].count, 3);
    }
    request_groups_clear(&groups);
}
END_TEST

/* Jobs 101 to 104 are the members 0 to 3 of the array 7. */
static bool locate_earlier(void *context, uint64_t job, uint64_t *array, int64_t *index)
{
    (void)context;
    *array = 7;
    *index = (int64_t)job - 101;
    return job >= 101 && job <= 104;
}

START_TEST(members_that_wait_for_their_own_member_are_one_array)
{
    static const struct request_source source = {.wishes = take_wishes, .locate = locate_earlier};
    struct shaped shaped;
    struct request_groups groups;
    char message[REQUEST_MESSAGE];
    shape(&shaped, 4);
    for (uint32_t i = 0; i < 4; i++) {
        wait_for(&shaped, i, 101 + i, DESCPIPE_AFTER_OK);
    }
    ck_assert(request_group(&shaped.submission, 1000, &source, &groups, message));
    ck_assert_uint_eq(groups.count, 1);
    ck_assert_str_eq(groups.items[0].after, "corr:7");
    request_groups_clear(&groups);
    wait_for(&shaped, 0, 104, DESCPIPE_AFTER_OK);  /* another's member */
    wait_for(&shaped, 1, 102, DESCPIPE_AFTER_END); /* SLURM has no such thing for it */
    const struct descpipe_edge all[2] = {{.size = sizeof(all[0]), .job = 103}, {.size = sizeof(all[0]), .job = 104}};
    const struct descpipe_edge *const both[] = {&all[0], &all[1], NULL};
    shaped.jobs[2].after = both; /* its own member, and another one as well */
    ck_assert(request_group(&shaped.submission, 1000, &source, &groups, message));
    ck_assert_uint_eq(groups.count, 4);
    ck_assert_str_eq(groups.items[0].after, "ok:104");
    ck_assert_str_eq(groups.items[1].after, "end:102");
    ck_assert_str_eq(groups.items[2].after, "ok:103 ok:104");
    ck_assert_str_eq(groups.items[3].after, "corr:7");
    request_groups_clear(&groups);
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static char *read_text(const char *path)
{
    char text[4096];
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    size_t got = fread(text, 1, sizeof(text) - 1, file);
    text[got] = '\0';
    fclose(file);
    return memory_copy_text(text);
}

/* As slurmd would: the exit status of the batch script. */
static int run_batch(const char *script, const char *log, const char *index)
{
    pid_t child;
    int status;
    cleanup(memory_free) char *variable = memory_format("SLURM_ARRAY_TASK_ID=%s", index);
    cleanup(memory_free) char *command = memory_format("exec /bin/sh \"$0\" 2>>\"$1\"");
    char sh[] = "/bin/sh", c[] = "-c", path[] = "PATH=/usr/bin:/bin", id[] = "SLURM_JOB_ID=42",
         cpus[] = "SLURM_CPUS_PER_TASK=3";
    char *first = memory_copy_text(script), *second = memory_copy_text(log);
    char *argv[] = {sh, c, command, first, second, NULL};
    char *environment[] = {path, id, cpus, variable, NULL};
    ck_assert_int_eq(posix_spawn(&child, sh, NULL, NULL, argv, environment), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    memory_free(first);
    memory_free(second);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *const names[] = {"plain", "two words",   "it's",      "a\"b", "$HOME",
                                    "`id`",  "back\\slash", "new\nline", "*?[",  "%j%%",
                                    "-n",    "; exit 9",    "ü",         "#",    "tab\there"};

START_TEST(the_batch_script_holds_whatever_a_path_is_called)
{
    char top[] = "/tmp/descpipe-script-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(top));
    cleanup(memory_free) char *folder = memory_format("%s/%s", top, names[_i]);
    cleanup(memory_free) char *own = memory_format("%s/%s.sh", folder, names[_i]);
    cleanup(memory_free) char *output = memory_format("%s/%s.out", folder, names[_i]);
    cleanup(memory_free) char *error = memory_format("%s/%s.err", folder, names[_i]);
    cleanup(memory_free) char *batch = memory_format("%s/" SCRIPT_NAME, top);
    cleanup(memory_free) char *log = memory_format("%s/log", top);
    cleanup(memory_free) char *index = memory_format("%s/" SCRIPT_INDEX_NAME, folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    struct shaped shaped;
    shape(&shaped, 2);
    for (size_t i = 0; i < 2; i++) {
        shaped.jobs[i].script = i == 1 ? own : "/nowhere";
        shaped.jobs[i].output_path = output;
        shaped.jobs[i].error_path = error;
    }
    struct buffer text = {0};
    script_write_batch(&text, "run-1", folder);
    write_text(batch, buffer_text(&text));
    buffer_clear(&text);
    ck_assert_int_eq(run_batch(batch, log, "1"), 120); /* no index yet */
    script_write_index(&text, &shaped.submission);
    write_text(index, buffer_text(&text));
    buffer_clear(&text);
    ck_assert_int_eq(run_batch(batch, log, "1"), 120); /* no script yet */
    write_text(own, "echo \"$DESCPIPE_INDEX $SRUN_CPUS_PER_TASK $SLURM_EXPORT_ENV [${DESCPIPE_LAUNCHER:-}]\"\nread "
                    "line && echo read\necho e >&2\nexit 17\n");
    ck_assert_int_eq(run_batch(batch, log, "0"), 120); /* a member whose script is gone */
    ck_assert_int_eq(run_batch(batch, log, "2"), 120); /* no such member */
    ck_assert_int_eq(run_batch(batch, log, "1"), 17);
    ck_assert_int_eq(run_batch(batch, log, "1"), 17);
    cleanup(memory_free) char *said = read_text(output);
    ck_assert_str_eq(said, "1 3 ALL []\n1 3 ALL []\n");
    cleanup(memory_free) char *complained = read_text(error);
    ck_assert_str_eq(complained, "e\ne\n");
    cleanup(memory_free) char *logged = read_text(log);
    ck_assert_ptr_nonnull(strstr(logged, "descpipe: job 42: cannot read"));
    ck_assert_ptr_nonnull(strstr(logged, "member 2 is not in"));
    cleanup(memory_free) char *remove = memory_format("exec rm -r '%s'", top);
    pid_t child;
    char sh[] = "/bin/sh", c[] = "-c";
    char *argv[] = {sh, c, remove, NULL};
    ck_assert_int_eq(posix_spawn(&child, sh, NULL, NULL, argv, environ), 0);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(refuses_what_a_partition_never_gives)
{
    struct limits limits = {0};
    static const char partition[] = "PartitionName=debug Default=YES MaxTime=01:00:00 MaxNodes=2 TotalNodes=8 State=UP";
    struct descpipe_resources resources = plain;
    struct descpipe_job job = {.size = sizeof(job), .stage = "s", .resources = &resources};
    struct wishes wishes = {0};
    char message[REQUEST_MESSAGE];
    limits_read_partition(&limits, partition, strlen(partition));
    resources.time_limit_ms = 3600000;
    ck_assert(request_fits(&limits, &wishes, &job, message));
    resources.time_limit_ms++;
    ck_assert(!request_fits(&limits, &wishes, &job, message));
    ck_assert_str_eq(message, "stage 's' asks for 61 minutes; partition 'debug' gives at most 60");
    resources = (struct descpipe_resources){.nodes = 3};
    ck_assert(!request_fits(&limits, &wishes, &job, message));
    ck_assert_str_eq(message, "stage 's' asks for 3 nodes; partition 'debug' gives at most 2");
    wishes.partition = "other";
    ck_assert(!request_fits(&limits, &wishes, &job, message));
    ck_assert_str_eq(message, "stage 's' asks for partition 'other', which this SLURM does not have");
    wishes.partition = "other,debug";
    ck_assert(request_fits(&limits, &wishes, &job, message));
    limits_clear(&limits);
}
END_TEST

/* What sacctmgr 22.05 prints for a user of two accounts, and its qualities of service. */
static void read_policy(struct limits *limits)
{
    static const char *const associations[] = {"physics|physics|||normal,tiny|6|00:45:00",
                                               "physics|physics|night|long|normal,long|40|", "physics|root|||normal||"};
    static const char *const qualities[] = {"normal||||", "tiny|3|00:10:00|", "long|0||OverPartQOS",
                                            "part|5|00:20:00|"};
    static const char enforced[] = "AccountingStorageEnforce = associations,limits,qos";
    limits_read_config(limits, enforced, strlen(enforced));
    for (size_t i = 0; i < sizeof(associations) / sizeof(*associations); i++) {
        ck_assert(policy_read_association(&limits->policy, associations[i], strlen(associations[i])));
    }
    for (size_t i = 0; i < sizeof(qualities) / sizeof(*qualities); i++) {
        ck_assert(policy_read_quality(&limits->policy, qualities[i], strlen(qualities[i])));
    }
    ck_assert(policy_read_quality(&limits->policy, "", 0));
}

static const struct {
    const char *account, *qos, *partition;
    uint64_t minutes, jobs;
    const char *message; /* NULL: it fits */
} allowed[] = {
    {NULL, NULL, NULL, 45, 6, NULL},
    {NULL, NULL, NULL, 46, 6, "stage 's' asks for 46 minutes; account 'physics' gives at most 45"},
    {"physics", "tiny", NULL, 10, 3, NULL},
    {"physics", "tiny", NULL, 11, 3, "stage 's' asks for 11 minutes; qos 'tiny' gives at most 10"},
    {"root", NULL, NULL, 5000, LIMITS_NONE, NULL},
    {"root", "tiny", NULL, 1, 3, "stage 's' asks for qos 'tiny', which your account may not use; it has: normal"},
    {"chemistry", NULL, NULL, 1, LIMITS_NONE,
     "stage 's' asks for account 'chemistry', which you may not use; yours: physics, root"},
    {"physics", NULL, "ruled", 21, 5, "stage 's' asks for 21 minutes; qos 'part' gives at most 20"},
    {"physics", "tiny", "ruled", 20, 5, NULL},
    {"physics", NULL, "night", 1, 0, "stage 's' cannot be submitted: qos 'long' lets you have no job in the queue"},
};

START_TEST(what_accounting_allows_is_known_before_anything_is_submitted)
{
    struct limits limits = {0};
    struct descpipe_resources resources = {.time_limit_ms = allowed[_i].minutes * 60000};
    struct descpipe_job job = {.size = sizeof(job), .stage = "s", .resources = &resources};
    struct wishes wishes = {.account = allowed[_i].account, .qos = allowed[_i].qos, .partition = allowed[_i].partition};
    char message[REQUEST_MESSAGE] = "";
    static const char *const partitions[] = {"PartitionName=debug Default=YES QoS=N/A MaxTime=UNLIMITED",
                                             "PartitionName=night QoS=N/A MaxTime=UNLIMITED",
                                             "PartitionName=ruled QoS=part MaxTime=UNLIMITED"};
    for (size_t i = 0; i < 3; i++) {
        limits_read_partition(&limits, partitions[i], strlen(partitions[i]));
    }
    read_policy(&limits);
    bool fits = request_fits(&limits, &wishes, &job, message);
    ck_assert_msg(fits == (allowed[_i].message == NULL), "%s", message);
    if (!fits) {
        ck_assert_str_eq(message, allowed[_i].message);
    }
    ck_assert_uint_eq(request_jobs_allowed(&limits, &wishes), allowed[_i].jobs);
    limits.enforces_limits = limits.enforces_associations = limits.enforces_qos = false;
    ck_assert(request_fits(&limits, &wishes, &job, message));
    ck_assert_uint_eq(request_jobs_allowed(&limits, &wishes), LIMITS_NONE);
    limits_clear(&limits);
}
END_TEST

Suite *request_suite(void)
{
    Suite *suite = suite_create("slurm/request");
    TCase *options = tcase_create("options");
    tcase_add_test(options, maps_every_resource);
    tcase_add_test(options, extra_never_says_what_is_ours);
    tcase_add_test(options, refuses_what_a_partition_never_gives);
    tcase_add_loop_test(options, what_accounting_allows_is_known_before_anything_is_submitted, 0,
                        (int)(sizeof(allowed) / sizeof(*allowed)));
    tcase_add_test(options, equal_needs_are_one_array_whatever_the_stage);
    tcase_add_test(options, a_concurrency_limit_is_of_one_stage);
    tcase_add_test(options, large_groups_are_split_and_waiting_ones_come_last);
    tcase_add_test(options, members_that_wait_for_their_own_member_are_one_array);
    tcase_add_loop_test(options, the_batch_script_holds_whatever_a_path_is_called, 0,
                        (int)(sizeof(names) / sizeof(*names)));
    suite_add_tcase(suite, options);
    return suite;
}
