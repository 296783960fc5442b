/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `singularity` makes of a stage for programs that cannot be had here: each version it knows, GPUs without a GPU,
 * ranks of a launcher, images that nodes pull. A script stands in for the program; it only says its version.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../docker/driver.h"
#include "base/file.h"

static struct driver driver;
static char folder[64];

static struct descpipe_resources resources;
static struct descpipe_mount mount;
static const struct descpipe_mount *const mounts[] = {&mount, NULL};
static const char *environment[] = {"HOME=/tmp", "LEVEL=3", NULL};
static struct descpipe_stage stage;

static void set_up(void)
{
    static const char *const command[] = {"stage", "its word", NULL};
    memcpy(folder, "/tmp/descpipe-words-XXXXXX", sizeof "/tmp/descpipe-words-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    environment[1] = "LEVEL=3";
    resources =
        (struct descpipe_resources){.size = sizeof resources, .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};
    mount = (struct descpipe_mount){sizeof mount, DESCPIPE_MOUNT_READ_ONLY, "/data/plain", "/opt/input"};
    stage = (struct descpipe_stage){.size = sizeof stage,
                                    .umask_bits = 022,
                                    .run = "20261128-000000-words",
                                    .name = "shear",
                                    .attempt = 1,
                                    .token = "words-1",
                                    .uid = geteuid(),
                                    .gid = getegid(),
                                    .image_handle = "/images/one.sif",
                                    .command = command,
                                    .environment = environment,
                                    .mounts = mounts,
                                    .resources = &resources};
}

static void tear_down(void)
{
    driver_close(&driver);
    ck_assert(folder_remove(folder, NULL));
}

/* The program that says this, probed, so that the runtime knows what it has. */
static void open_tool(const char *program, const char *says, const char *key, const char *value)
{
    cleanup(answer_free) struct answer answer;
    cleanup(memory_free) char *path = memory_format("%s/%s", folder, program);
    cleanup(memory_free) char *script = memory_format("#!/bin/sh\necho '%s'\n", says);
    const char *const options[] = {"tool", path, "cache", folder, key, value, NULL};
    ck_assert(file_write(path, script, strlen(script), 0755, NULL));
    driver_open_runtime(&driver, "singularity", options, NULL);
    runtime_probe(driver.instance, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s: %s", says, answer.message);
}

static void launch(struct answer *answer)
{
    runtime_launch(driver.instance, &stage, driver_call(answer));
    driver_wait(&driver, answer);
}

/* The words after one another, "[one][two]". */
static char *joined(char *const *words)
{
    struct text text = TEXT_INIT;
    for (; words != NULL && *words != NULL; words++)
        text_format(&text, "[%s]", *words);
    text_append(&text, "");
    return text_take(&text);
}

static void expect(const struct answer *answer, const char *words, const char *variables)
{
    cleanup(memory_free) char *argv = joined(answer->argv), *set = joined(answer->environment);
    ck_assert_msg(answer->ok, "%s", answer->message);
    ck_assert_msg(strstr(argv, words) != NULL, "no %s in %s", words, argv);
    ck_assert_msg(strstr(set, variables) != NULL, "no %s in %s", variables, set);
}

/* Which options and names each version has; a value that an old one would evaluate, and a path that it cannot take. */
static const struct {
    const char *program, *says, *mount, *variable;
    bool takes_commas, leaves_values;
} versions[] = {
    {"singularity", "singularity version 3.7.0", "[--bind][/data/plain:/opt/input:ro]", "[SINGULARITYENV_LEVEL=3]",
     false, false},
    {"singularity", "singularity-ce version 3.8.7-1", "[--bind][/data/plain:/opt/input:ro]", "[SINGULARITYENV_LEVEL=3]",
     false, false},
    {"singularity", "singularity-ce version 3.9.0", "[--mount][type=bind,source=/data/plain,destination=/opt/input,ro]",
     "[SINGULARITYENV_LEVEL=3]", true, false},
    {"singularity", "singularity-ce version 3.10.2",
     "[--mount][type=bind,source=/data/plain,destination=/opt/input,ro]", "[SINGULARITYENV_LEVEL=3]", true, true},
    {"singularity", "singularity-ce version 4.1.0", "[--mount][type=bind,source=/data/plain,destination=/opt/input,ro]",
     "[SINGULARITYENV_LEVEL=3]", true, true},
    {"apptainer", "apptainer version 1.0.3", "[--mount][type=bind,source=/data/plain,destination=/opt/input,ro]",
     "[APPTAINERENV_LEVEL=3]", true, false},
    {"apptainer", "apptainer version 1.1.0", "[--mount][type=bind,source=/data/plain,destination=/opt/input,ro]",
     "[APPTAINERENV_LEVEL=3]", true, true},
    {"singularity", "apptainer version 1.4.5", "[--mount][type=bind,source=/data/plain,destination=/opt/input,ro]",
     "[APPTAINERENV_LEVEL=3]", true, true},
};

START_TEST(a_stage_is_said_in_the_words_of_each_version)
{
    cleanup(answer_free) struct answer plain, commas, value;
    open_tool(versions[_i].program, versions[_i].says, NULL, NULL);
    launch(&plain);
    expect(&plain, versions[_i].mount, versions[_i].variable);
    expect(&plain, "[--containall]", "_NO_EVAL=1]");
    expect(&plain, "[--no-home][--home][/tmp:/tmp]", "[");
    expect(&plain, "[/images/one.sif][stage][its word]", "[");
    mount.source = "/data/a, b:c \"d\"";
    launch(&commas);
    if (versions[_i].takes_commas)
        expect(&commas, "[type=bind,\"source=/data/a, b:c \"\"d\"\"\",destination=/opt/input,ro]", "[");
    else
        ck_assert_msg(!commas.ok && strstr(commas.message, "cannot take ':' and ','") != NULL, "%s", commas.message);
    mount.source = "/data/plain";
    environment[1] = "LEVEL=$(id)";
    launch(&value);
    if (versions[_i].leaves_values)
        expect(&value, "[stage]", "ENV_LEVEL=$(id)]");
    else
        ck_assert_msg(!value.ok && strstr(value.message, "would let a shell evaluate") != NULL, "%s", value.message);
}
END_TEST

START_TEST(an_older_program_is_refused)
{
    static const char *const says[] = {"singularity version 3.6.4", "nonsense"};
    cleanup(memory_free) char *path = memory_format("%s/singularity", folder);
    const char *const options[] = {"tool", path, NULL};
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        cleanup(answer_free) struct answer answer;
        cleanup(memory_free) char *script = memory_format("#!/bin/sh\necho '%s'\n", says[i]);
        ck_assert(file_write(path, script, strlen(script), 0755, NULL));
        driver_open_runtime(&driver, "singularity", options, NULL);
        runtime_probe(driver.instance, driver_call(&answer));
        driver_wait(&driver, &answer);
        ck_assert_msg(!answer.ok && answer.failure == DESCPIPE_FAILED_UNSUPPORTED, "'%s' was taken", says[i]);
        driver_close(&driver);
    }
    driver_open_runtime(&driver, "singularity", options, NULL); /* for tear_down */
}
END_TEST

START_TEST(a_stage_with_gpus_gets_their_makers_libraries)
{
    static const struct {
        const char *key, *value, *word;
    } makers[] = {{NULL, NULL, "[--nv]"}, {"gpu", "amd", "[--rocm]"}};
    cleanup(answer_free) struct answer none, some;
    open_tool("apptainer", "apptainer version 1.4.5", makers[_i].key, makers[_i].value);
    launch(&none);
    cleanup(memory_free) char *words = joined(none.argv);
    ck_assert_ptr_null(strstr(words, makers[_i].word));
    resources.gpus_per_node = 1;
    launch(&some);
    expect(&some, makers[_i].word, "[");
}
END_TEST

/* One container for each rank, started by the launcher: processes and memory are shared, and one argv serves all. */
START_TEST(ranks_of_a_launcher_share_what_they_need)
{
    cleanup(answer_free) struct answer answer;
    open_tool("apptainer", "apptainer version 1.4.5", "mpi-binds", "/var/spool/launcher");
    stage.ranks = DESCPIPE_RANKS_OUTSIDE;
    launch(&answer);
    expect(&answer, "[--contain]", "[");
    expect(&answer, "[type=bind,source=/var/spool/launcher,destination=/var/spool/launcher]", "[");
    cleanup(memory_free) char *words = joined(answer.argv);
    ck_assert_ptr_null(strstr(words, "[--containall]"));
    ck_assert_ptr_null(strstr(words, "RANK"));
}
END_TEST

/* No login goes there: it would stand in a job's script. */
START_TEST(an_image_that_nodes_pull_is_pulled_once_by_its_digest)
{
    static const char digest[] = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    cleanup(answer_free) struct answer prepared, launched;
    open_tool("apptainer", "apptainer version 1.4.5", "pull", "node");
    const struct descpipe_image image = {.size = sizeof image,
                                         .source = DESCPIPE_SOURCE_REGISTRY,
                                         .reference = "quay.io/desc/probe:1",
                                         .platform = "linux/amd64",
                                         .manifest_digest = digest};
    const struct descpipe_prepare request = {
        .size = sizeof request, .where = DESCPIPE_PREPARE_PER_NODE, .image = &image};
    runtime_prepare(driver.instance, &request, driver_call(&prepared));
    driver_wait(&driver, &prepared);
    ck_assert_msg(prepared.ok, "%s", prepared.message);
    stage.image = &image;
    stage.image_handle = prepared.handle;
    launch(&launched);
    ck_assert_msg(launched.ok, "%s", launched.message);
    cleanup(memory_free) char *setup = joined(launched.setup);
    cleanup(memory_free) char *pinned = memory_format("[quay.io/desc/probe@%s]", digest);
    ck_assert_msg(strstr(setup, pinned) != NULL, "%s", setup);
    ck_assert_msg(strstr(setup, folder) != NULL && strstr(setup, ".sif]") != NULL, "%s", setup);
    stage.image_handle = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("singularity's words");
    TCase *tests = tcase_create("launch");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_stage_is_said_in_the_words_of_each_version, 0, sizeof versions / sizeof versions[0]);
    tcase_add_test(tests, an_older_program_is_refused);
    tcase_add_loop_test(tests, a_stage_with_gpus_gets_their_makers_libraries, 0, 2);
    tcase_add_test(tests, ranks_of_a_launcher_share_what_they_need);
    tcase_add_test(tests, an_image_that_nodes_pull_is_pulled_once_by_its_digest);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
