/* SPDX-License-Identifier: BSD-3-Clause */
/* What pods say of themselves, as evidence and in words; and the manifest of a stage whose runtime is a command. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/pod.h"

#define OVER(phase, rest)                                                                                              \
    "{\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"main\"}]},\"status\":{\"phase\":\"" phase "\"" rest "}}"
#define ENDED(rest) ",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"terminated\":{" rest "}}}]"
#define WAITS(reason, message)                                                                                         \
    ",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"waiting\":{\"reason\":\"" reason                          \
    "\",\"message\":\"" message "\"}}}]"
/* With containers around the stage's own. */
#define AROUND(phase, before, after)                                                                                   \
    "{\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"publish\"}]},\"status\":{\"phase\":\"" phase           \
    "\",\"initContainerStatuses\":[" before "],\"containerStatuses\":[" after "]}}"
#define CONTAINER(name, state) "{\"name\":\"" name "\",\"state\":{" state "}}"
#define WELL                                                                                                           \
    "\"terminated\":{\"exitCode\":0,\"startedAt\":\"2026-11-28T10:00:00Z\",\"finishedAt\":\"2026-11-28T10:00:05Z\"}"
#define QUEUED "\"waiting\":{\"reason\":\"PodInitializing\"}"
#define SAYS(failed, reason)                                                                                           \
    "\"terminated\":{\"exitCode\":1,\"reason\":\"Error\",\"message\":\"failed=" failed "\\nreason=" reason "\\n\"}"

static const struct {
    const char *what, *pod;
    enum pod_phase phase;
    enum pod_trouble trouble;
    uint32_t flags;
    int32_t exit_code;
    const char *words; /* a part of them */
} views[] = {
    {"ended well", OVER("Succeeded", ENDED("\"exitCode\":0")), POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 0, ""},
    {"failed", OVER("Failed", ENDED("\"exitCode\":3,\"reason\":\"Error\"")), POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 3,
     ""},
    {"out of memory", OVER("Failed", ENDED("\"exitCode\":137,\"reason\":\"OOMKilled\"")), POD_ENDED, 0,
     DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUT_OF_MEMORY, 137, "OOMKilled"},
    {"cannot run",
     OVER("Failed", ENDED("\"exitCode\":128,\"reason\":\"ContainerCannotRun\",\"message\":\"not found\"")), POD_ENDED,
     0, DESCPIPE_ENDED_EXITED, 127, "not found"},
    {"may not run",
     OVER("Failed", ENDED("\"exitCode\":128,\"reason\":\"StartError\",\"message\":\"permission denied\"")), POD_ENDED,
     0, DESCPIPE_ENDED_EXITED, 126, "permission denied"},
    {"evicted for the disk",
     OVER("Failed", ",\"reason\":\"Evicted\",\"message\":\"low on resource: ephemeral-storage\""), POD_ENDED, 0,
     DESCPIPE_ENDED_DISK, 0, "Evicted"},
    {"evicted for memory",
     OVER("Failed", ",\"reason\":\"Evicted\",\"message\":\"The node was low on resource: memory.\""), POD_ENDED, 0,
     DESCPIPE_ENDED_OUT_OF_MEMORY, 0, "memory"},
    {"evicted for its emptyDir",
     OVER("Failed", ",\"reason\":\"Evicted\",\"message\":\"Usage of EmptyDir volume exceeds the limit\""), POD_ENDED, 0,
     DESCPIPE_ENDED_DISK, 0, "EmptyDir"},
    {"evicted for something else",
     OVER("Failed", ",\"reason\":\"Evicted\",\"message\":\"The node had condition: [PIDPressure]\""), POD_ENDED, 0,
     DESCPIPE_ENDED_PREEMPTED, 0, "PIDPressure"},
    {"preempted", OVER("Failed", ",\"reason\":\"Preempting\",\"message\":\"Preempted in order to admit critical pod\""),
     POD_ENDED, 0, DESCPIPE_ENDED_PREEMPTED, 0, "Preempt"},
    {"its node is lost", OVER("Failed", ",\"reason\":\"NodeLost\",\"message\":\"unresponsive\""), POD_ENDED, 0,
     DESCPIPE_ENDED_NODE_FAILED, 0, "unresponsive"},
    {"its node went down", OVER("Failed", ",\"reason\":\"Shutdown\",\"message\":\"Node is shutting down\""), POD_ENDED,
     0, DESCPIPE_ENDED_NODE_FAILED, 0, "shutting down"},
    {"its node forgot it",
     OVER("Failed", ENDED("\"exitCode\":137,\"reason\":\"ContainerStatusUnknown\",\"message\":\"gone\"")), POD_ENDED, 0,
     DESCPIPE_ENDED_NODE_FAILED, 137, "gone"},
    {"its node turned it away",
     OVER("Failed", ",\"reason\":\"OutOfcpu\",\"message\":\"Node didn't have enough resource\""), POD_ENDED, 0,
     DESCPIPE_ENDED_NODE_FAILED | DESCPIPE_ENDED_NOT_STARTED, 0, "OutOfcpu"},
    {"past its deadline",
     OVER("Failed", ",\"reason\":\"DeadlineExceeded\",\"message\":\"active longer\"" ENDED("\"exitCode\":143")),
     POD_ENDED, 0, DESCPIPE_ENDED_TIMED_OUT, 0, "DeadlineExceeded"},
    {"over without a word", OVER("Failed", ""), POD_ENDED, 0, DESCPIPE_ENDED_LOST, 0, "does not say how"},
    {"its image is not there", OVER("Pending", WAITS("ErrImagePull", "manifest unknown")), POD_WAITING,
     POD_TROUBLE_IMAGE, 0, 0, "manifest unknown"},
    {"its image does not come", OVER("Pending", WAITS("ImagePullBackOff", "Back-off")), POD_WAITING, POD_TROUBLE_IMAGE,
     0, 0, "ImagePullBackOff: Back-off"},
    {"its image has no legal name", OVER("Pending", WAITS("InvalidImageName", "couldn't parse")), POD_WAITING,
     POD_TROUBLE_IMAGE, 0, 0, "parse"},
    {"its Secret is missing", OVER("Pending", WAITS("CreateContainerConfigError", "secret not found")), POD_WAITING,
     POD_TROUBLE_SETUP, 0, 0, "secret not found"},
    {"it is being made", OVER("Pending", WAITS("ContainerCreating", "")), POD_WAITING, 0, 0, 0, "is being made"},
    {"no node has room",
     "{\"spec\":{},\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
     "\"reason\":\"Unschedulable\",\"message\":\"0/3 nodes: 3 Insufficient memory\"}]}}",
     POD_WAITING, POD_TROUBLE_PLACE, 0, 0, "Insufficient memory"},
    {"nobody has looked at it", "{\"spec\":{},\"status\":{\"phase\":\"Pending\"}}", POD_WAITING, 0, 0, 0,
     "waits for a node"},
    {"runs", OVER("Running", ",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"running\":{}}}]"), POD_RUNNING, 0,
     0, 0, ""},
    {"an empty object", "{}", POD_WAITING, 0, 0, 0, ""},
    /* With helpers. */
    {"its files are brought in",
     AROUND("Pending", CONTAINER("bring-in", "\"running\":{}") "," CONTAINER("main", QUEUED),
            CONTAINER("publish", QUEUED)),
     POD_WAITING, 0, 0, 0, "brought in"},
    {"an input is missing",
     AROUND("Failed",
            CONTAINER("bring-in", SAYS("stage_in", "its input 'x' is not there")) "," CONTAINER("main", QUEUED),
            CONTAINER("publish", QUEUED)),
     POD_ENDED, 0, DESCPIPE_ENDED_STAGE_IN | DESCPIPE_ENDED_NOT_STARTED, 0, "its input 'x' is not there"},
    {"no room for an input",
     AROUND("Failed", CONTAINER("bring-in", SAYS("disk", "No space left")) "," CONTAINER("main", QUEUED),
            CONTAINER("publish", QUEUED)),
     POD_ENDED, 0, DESCPIPE_ENDED_DISK | DESCPIPE_ENDED_NOT_STARTED, 0, "No space left"},
    {"a helper without a shell",
     AROUND(
         "Failed",
         CONTAINER("bring-in",
                   "\"terminated\":{\"exitCode\":128,\"reason\":\"ContainerCannotRun\",\"message\":\"no such file\"}"),
         CONTAINER("publish", QUEUED)),
     POD_ENDED, 0, DESCPIPE_ENDED_STAGE_IN | DESCPIPE_ENDED_NOT_STARTED, 0, "status 128"},
    {"a helper's image does not come",
     AROUND("Pending",
            CONTAINER("bring-in", "\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"unknown\"}") "," CONTAINER(
                "main", QUEUED),
            CONTAINER("publish", QUEUED)),
     POD_WAITING, POD_TROUBLE_IMAGE, 0, 0, "unknown"},
    {"the stage runs between them",
     AROUND("Pending", CONTAINER("bring-in", WELL) "," CONTAINER("main", "\"running\":{}"),
            CONTAINER("publish", QUEUED)),
     POD_RUNNING, 0, 0, 0, ""},
    {"the stage fails between them",
     AROUND("Failed", CONTAINER("bring-in", WELL) "," CONTAINER("main", "\"terminated\":{\"exitCode\":4}"),
            CONTAINER("publish", QUEUED)),
     POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 4, ""},
    {"the stage's memory ends between them",
     AROUND("Failed",
            CONTAINER("bring-in", WELL) "," CONTAINER("main",
                                                      "\"terminated\":{\"exitCode\":137,\"reason\":\"OOMKilled\"}"),
            CONTAINER("publish", QUEUED)),
     POD_ENDED, 0, DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUT_OF_MEMORY, 137, "OOMKilled"},
    {"its outputs are published",
     AROUND("Running", CONTAINER("bring-in", WELL) "," CONTAINER("main", WELL), CONTAINER("publish", "\"running\":{}")),
     POD_RUNNING, 0, 0, 0, ""},
    {"an output is missing",
     AROUND("Failed", CONTAINER("bring-in", WELL) "," CONTAINER("main", WELL),
            CONTAINER("publish", SAYS("output_missing", "did not write its output 'y'"))),
     POD_ENDED, 0, DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUTPUT_MISSING, 0, "did not write its output 'y'"},
    {"a stage fails whose publisher then never has its turn",
     AROUND("Failed", CONTAINER("bring-in", WELL),
            CONTAINER("main", "\"terminated\":{\"exitCode\":3}") "," CONTAINER(
                "publish", "\"terminated\":{\"exitCode\":64,\"reason\":\"Error\"}")),
     POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 3, ""},
    {"all of it went well",
     AROUND("Succeeded", CONTAINER("bring-in", WELL) "," CONTAINER("main", WELL), CONTAINER("publish", WELL)),
     POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 0, ""},
};

START_TEST(what_a_pod_says_is_told_as_it_is)
{
    json_error_t error;
    json_t *pod = json_loads(views[_i].pod, 0, &error);
    struct pod_view view;
    ck_assert_msg(pod != NULL, "%s: %s", views[_i].what, error.text);
    pod_look(pod, &view);
    json_decref(pod);
    ck_assert_msg(view.phase == views[_i].phase, "%s: phase %d", views[_i].what, (int)view.phase);
    ck_assert_msg(view.trouble == views[_i].trouble, "%s: trouble %d", views[_i].what, (int)view.trouble);
    ck_assert_msg(view.flags == views[_i].flags, "%s: flags %x", views[_i].what, view.flags);
    ck_assert_msg(view.exit_code == views[_i].exit_code, "%s: exit %d", views[_i].what, view.exit_code);
    ck_assert_msg(strstr(view.reason, views[_i].words) != NULL, "%s: '%s'", views[_i].what, view.reason);
}
END_TEST

START_TEST(times_are_those_of_the_stage_not_of_its_helpers)
{
    struct pod_view view;
    json_t *pod = json_loads(AROUND("Failed", CONTAINER("bring-in", WELL) "," CONTAINER("main", WELL),
                                    CONTAINER("publish", SAYS("disk", "full"))),
                             0, NULL);
    pod_look(pod, &view);
    json_decref(pod);
    ck_assert_int_eq(view.finished_at_ms - view.started_at_ms, 5000);
}
END_TEST

START_TEST(a_volume_without_a_place_here_is_apart)
{
    static const struct {
        const char *map[7];
        bool apart;
    } table[] = {{{"claim", "c", NULL}, true},
                 {{"claim", "c", "mount", "/data", NULL}, false},
                 {{"claim", "c", "mount", "none", NULL}, true},
                 {{"host-path", "/data", NULL}, false},
                 {{"host-path", "/data", "mount", "none", "path", "x", NULL}, true},
                 {{NULL}, false}};
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        ck_assert_msg(pod_volume_is_apart(table[i].map) == table[i].apart, "row %zu", i);
    }
    ck_assert(!pod_volume_is_apart(NULL));
}
END_TEST

struct command_job {
    char folder[64], script[128];
    struct descpipe_form form;
    struct descpipe_resources resources;
    struct descpipe_job job;
    struct pod_wishes wishes;
};

static void prepare_command(struct command_job *made)
{
    snprintf(made->folder, sizeof(made->folder), "/tmp/descpipe-pod-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(made->folder));
    snprintf(made->script, sizeof(made->script), "%s/job.0.sh", made->folder);
    FILE *script = fopen(made->script, "w");
    ck_assert_ptr_nonnull(script);
    fclose(script);
    made->form = (struct descpipe_form){.size = sizeof(made->form), .form = DESCPIPE_FORM_COMMAND};
    made->resources = (struct descpipe_resources){.size = sizeof(made->resources),
                                                  .nodes = 1,
                                                  .ranks_per_node = 1,
                                                  .cpus_per_rank = 2,
                                                  .memory_per_node = 1 << 20,
                                                  .time_limit_ms = 60000};
    made->job = (struct descpipe_job){.size = sizeof(made->job),
                                      .stage = "s",
                                      .form = &made->form,
                                      .resources = &made->resources,
                                      .script = made->script};
    made->wishes = (struct pod_wishes){.claim = "data",
                                       .mount = made->folder,
                                       .path = "sub",
                                       .launcher_image = "site/apptainer:1.3",
                                       .launcher_privileged = true,
                                       .uid = 1000,
                                       .gid = 100,
                                       .grace_ms = 10000};
}

static void remove_command(const struct command_job *made)
{
    unlink(made->script);
    rmdir(made->folder);
}

START_TEST(a_command_becomes_a_pod_of_the_launcher_image)
{
    struct command_job made = {.folder = ""};
    char words[POD_WORDS] = "", wanted[2048];
    prepare_command(&made);
    json_t *pod = pod_specification(&made.wishes, &made.job, 7, NULL, words);
    ck_assert_msg(pod != NULL, "%s", words);
    snprintf(wanted, sizeof(wanted),
             "{\"restartPolicy\":\"Never\",\"automountServiceAccountToken\":false,\"enableServiceLinks\":false,"
             "\"terminationGracePeriodSeconds\":10,\"containers\":[{\"name\":\"main\",\"image\":\"site/apptainer:1.3\","
             "\"command\":[\"/bin/sh\",\"%s\"],\"env\":[{\"name\":\"DESCPIPE_INDEX\",\"value\":\"7\"},"
             "{\"name\":\"DESCPIPE_RESTART\",\"value\":\"0\"}],"
             "\"resources\":{\"requests\":{\"cpu\":\"2\",\"memory\":\"1048576\"},\"limits\":{\"cpu\":\"2\",\"memory\":"
             "\"1048576\"}},"
             "\"volumeMounts\":[{\"name\":\"work\",\"mountPath\":\"%s\",\"subPath\":\"sub\"}],"
             "\"securityContext\":{\"privileged\":true}}],"
             "\"volumes\":[{\"name\":\"work\",\"persistentVolumeClaim\":{\"claimName\":\"data\"}}],"
             "\"securityContext\":{\"runAsUser\":1000,\"runAsGroup\":100},\"activeDeadlineSeconds\":60}",
             made.script, made.folder);
    json_t *golden = json_loads(wanted, 0, NULL);
    ck_assert_ptr_nonnull(golden);
    char *shown = json_dumps(pod, JSON_COMPACT);
    ck_assert_msg(json_equal(pod, golden), "%s", shown);
    free(shown);
    json_decref(golden);
    json_decref(pod);
    remove_command(&made);
}
END_TEST

START_TEST(a_command_that_no_pod_can_run_is_refused_with_the_reason)
{
    struct command_job made = {.folder = ""};
    char words[POD_WORDS] = "";
    prepare_command(&made);
    made.wishes.launcher_image = NULL;
    ck_assert_ptr_null(pod_specification(&made.wishes, &made.job, 0, NULL, words));
    ck_assert_ptr_nonnull(strstr(words, "launcher-image"));
    made.wishes.launcher_image = "x";
    made.resources.ranks_per_node = 4;
    ck_assert_ptr_null(pod_specification(&made.wishes, &made.job, 0, NULL, words));
    ck_assert_ptr_nonnull(strstr(words, "4 ranks"));
    made.resources.ranks_per_node = 1;
    made.wishes.mount = "/elsewhere";
    ck_assert_ptr_null(pod_specification(&made.wishes, &made.job, 0, NULL, words));
    ck_assert_ptr_nonnull(strstr(words, "cannot see its script"));
    made.wishes.mount = NULL;
    ck_assert_ptr_null(pod_specification(&made.wishes, &made.job, 0, NULL, words));
    ck_assert_ptr_nonnull(strstr(words, "sees as well"));
    remove_command(&made);
}
END_TEST

START_TEST(configuration_and_scripts_beyond_a_configmap_are_refused)
{
    char *large = malloc((1 << 20) + 2), words[POD_WORDS] = "";
    ck_assert_ptr_nonnull(large);
    memset(large, 'x', (1 << 20) + 1);
    large[(1 << 20) + 1] = '\0';
    const struct descpipe_form form = {.size = sizeof(form), .form = DESCPIPE_FORM_POD};
    const struct descpipe_job job = {.size = sizeof(job), .stage = "s", .form = &form, .bring_in = large};
    ck_assert_ptr_null(pod_files_data(&job, words));
    ck_assert_ptr_nonnull(strstr(words, "ConfigMap"));
    free(large);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pod");
    TCase *tests = tcase_create("pod");
    tcase_add_loop_test(tests, what_a_pod_says_is_told_as_it_is, 0, (int)(sizeof(views) / sizeof(*views)));
    tcase_add_test(tests, times_are_those_of_the_stage_not_of_its_helpers);
    tcase_add_test(tests, a_volume_without_a_place_here_is_apart);
    tcase_add_test(tests, a_command_becomes_a_pod_of_the_launcher_image);
    tcase_add_test(tests, a_command_that_no_pod_can_run_is_refused_with_the_reason);
    tcase_add_test(tests, configuration_and_scripts_beyond_a_configmap_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
