/* SPDX-License-Identifier: BSD-3-Clause */
/* What nodes of a Workflow say, as evidence and in words; nodes that are packed. */
#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "argo/argo.h"

#define NODE(phase, rest) "{\"phase\":\"" phase "\",\"hostNodeName\":\"n1\"" rest "}"
#define SAYS(message) ",\"message\":\"" message "\""
#define CODE(code) ",\"outputs\":{\"exitCode\":\"" code "\"}"

static const struct {
    const char *node;
    enum pod_phase phase;
    enum pod_trouble trouble;
    uint32_t flags;
    int32_t exit_code;
    const char *words; /* a part of them */
} views[] = {
    {NODE("Succeeded", CODE("0")), POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 0, ""},
    {NODE("Failed", CODE("3") SAYS("Error (exit code 3)")), POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 3, "exit code 3"},
    {NODE("Failed", SAYS("Error (exit code 7)")), POD_ENDED, 0, DESCPIPE_ENDED_EXITED, 7, ""},
    {NODE("Failed", CODE("256")), POD_ENDED, 0, DESCPIPE_ENDED_LOST, 0, ""},
    {NODE("Failed", CODE("0")), POD_ENDED, 0, DESCPIPE_ENDED_LOST, 0, ""},
    {NODE("Error", ""), POD_ENDED, 0, DESCPIPE_ENDED_LOST, 0, ""},
    {NODE("Error", SAYS("pod deleted")), POD_ENDED, 0, DESCPIPE_ENDED_LOST, 0, "pod deleted"},
    {NODE("Failed", CODE("137") SAYS("OOMKilled (exit code 137)")), POD_ENDED, 0,
     DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_EXITED, 137, "OOMKilled"},
    {NODE("Failed", CODE("143") SAYS("Pod was active on the node longer than the specified deadline")), POD_ENDED, 0,
     DESCPIPE_ENDED_TIMED_OUT, 0, "deadline"},
    {NODE("Failed", SAYS("workflow shutdown with strategy:  Stop")), POD_ENDED, 0, DESCPIPE_ENDED_CANCELLED, 0, ""},
    {NODE("Failed", SAYS("The node was low on resource: ephemeral-storage.")), POD_ENDED, 0, DESCPIPE_ENDED_DISK, 0,
     ""},
    {NODE("Failed", SAYS("Preempting: a more important pod")), POD_ENDED, 0, DESCPIPE_ENDED_PREEMPTED, 0, ""},
    {NODE("Error", SAYS("NodeLost: node n1 is unresponsive")), POD_ENDED, 0, DESCPIPE_ENDED_NODE_FAILED, 0, ""},
    {NODE("Omitted", SAYS("omitted: depends condition not met")), POD_ENDED, 0,
     DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED, 0, "omitted"},
    {NODE("Running", ""), POD_RUNNING, 0, 0, 0, ""},
    {NODE("Pending", ""), POD_WAITING, 0, 0, 0, "its pod is being made"},
    {NODE("Pending", SAYS("ContainerCreating")), POD_WAITING, 0, 0, 0, "its container is being made"},
    {NODE("Pending", SAYS("ImagePullBackOff: Back-off\\npulling")), POD_WAITING, POD_TROUBLE_IMAGE, 0, 0,
     "off pulling"},
    {NODE("Pending", SAYS("Unschedulable: 0/1 nodes are available")), POD_WAITING, POD_TROUBLE_PLACE, 0, 0,
     "0/1 nodes"},
    {NODE("Pending", SAYS("CreateContainerConfigError: no secret")), POD_WAITING, POD_TROUBLE_SETUP, 0, 0, "no secret"},
    {NODE("Pending", ",\"synchronizationStatus\":{\"waiting\":\"x\"}"), POD_WAITING, 0, 0, 0, "it waits for a lock"},
    {"{}", POD_WAITING, 0, 0, 0, "its pod is being made"},
};

START_TEST(what_a_node_says_is_told_as_it_is)
{
    json_t *node = json_loads(views[_i].node, 0, NULL);
    struct pod_view view;
    ck_assert_ptr_nonnull(node);
    node_look(node, &view);
    ck_assert_msg(view.phase == views[_i].phase && view.trouble == views[_i].trouble && view.flags == views[_i].flags &&
                      view.exit_code == views[_i].exit_code && strstr(view.reason, views[_i].words) != NULL,
                  "%s: phase %d, trouble %d, flags 0x%x, code %d, '%s'", views[_i].node, (int)view.phase,
                  (int)view.trouble, (unsigned)view.flags, (int)view.exit_code, view.reason);
    ck_assert_int_eq(node_is_over(node), view.phase == POD_ENDED);
    json_decref(node);
}
END_TEST

static const struct {
    const char *text;
    bool ours;
    const char *task;
    int64_t item, attempt;
} names[] = {
    {"w.a", true, "a", -1, -1},
    {"w.a(0)", true, "a", -1, 0},
    {"w.a(12)", true, "a", -1, 12},
    {"w.a(0:g)", true, "a", 0, -1},
    {"w.a(31:band:g,p2:x.y)", true, "a", 31, -1},
    {"w.a(3:g)(1)", true, "a", 3, 1},
    {"w.a(3:)", true, "a", 3, -1},
    {"w.a(3:f(x))", true, "a", 3, -1},
    {"w.a(3:f(2))", true, "a", 3, -1},
    {"w.a(3:f(2))(4)", true, "a", 3, 4},
    {"w.a(3:x)(y)", true, "a", 3, -1},
    {"w", false, NULL, 0, 0},
    {"w.", false, NULL, 0, 0},
    {"w.a.b", false, NULL, 0, 0},
    {"w.(1)", false, NULL, 0, 0},
    {"w.a(", false, NULL, 0, 0},
    {"w.a(-1)", false, NULL, 0, 0},
    {"w.a(1)x", false, NULL, 0, 0},
    {"w.a(1:x", false, NULL, 0, 0},
    {"w.a(x:1)", false, NULL, 0, 0},
    {"w2.a", false, NULL, 0, 0},
    {"w.a()", false, NULL, 0, 0},
};

START_TEST(a_nodes_name_is_its_workflow_its_task_its_item_and_its_attempt)
{
    struct node_place place;
    ck_assert_msg(node_find_place(names[_i].text, "w", &place) == names[_i].ours, "%s", names[_i].text);
    if (names[_i].ours) {
        ck_assert_str_eq(place.task, names[_i].task);
        ck_assert_msg(place.item == names[_i].item && place.attempt == names[_i].attempt, "%s: %d, %d", names[_i].text,
                      (int)place.item, (int)place.attempt);
    }
}
END_TEST

START_TEST(a_name_that_is_too_long_is_none)
{
    char text[WORKFLOW_TASK_LIMIT + 8] = "w.";
    struct node_place place;
    memset(text + 2, 'a', WORKFLOW_TASK_LIMIT);
    ck_assert(node_find_place(text, "w", &place));
    text[2 + WORKFLOW_TASK_LIMIT] = 'a';
    ck_assert(!node_find_place(text, "w", &place));
    ck_assert(!node_find_place(NULL, "w", &place));
}
END_TEST

/* As Argo's controller does with a status that is large. */
static json_t *packed(const char *text, size_t cut)
{
    unsigned char bytes[4096];
    char base64[6000];
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)text,
                       .avail_in = (uInt)strlen(text),
                       .next_out = bytes,
                       .avail_out = sizeof(bytes)};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t length = sizeof(bytes) - stream.avail_out - cut;
    deflateEnd(&stream);
    EVP_EncodeBlock((unsigned char *)base64, bytes, (int)length);
    return json_pack("{s:s}", "compressedNodes", base64);
}

START_TEST(packed_nodes_are_the_same_nodes)
{
    static const char text[] = "{\"w\":{\"name\":\"w\"},\"w-1\":{\"name\":\"w.a\",\"phase\":\"Running\"}}";
    json_t *status = packed(text, 0), *nodes = node_all(status), *wanted = json_loads(text, 0, NULL);
    ck_assert(json_equal(nodes, wanted));
    json_decref(nodes);
    json_decref(status);
    status = json_pack("{s:O}", "nodes", wanted);
    nodes = node_all(status);
    ck_assert_ptr_eq(nodes, wanted);
    json_decref(nodes);
    json_decref(status);
    json_decref(wanted);
}
END_TEST

START_TEST(nodes_that_cannot_be_unpacked_are_not_told)
{
    json_t *none[] = {packed("{\"w\":{}}", 9),
                      packed("[1, 2]", 0),
                      packed("{\"w\":", 0),
                      json_pack("{s:s}", "compressedNodes", "AAAA"),
                      json_pack("{s:s}", "compressedNodes", "===="),
                      json_pack("{s:s}", "compressedNodes", "x"),
                      json_object(),
                      json_null()};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        ck_assert_msg(node_all(none[i]) == NULL, "number %zu", i);
        json_decref(none[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node");
    TCase *tests = tcase_create("node");
    tcase_add_loop_test(tests, what_a_node_says_is_told_as_it_is, 0, (int)(sizeof(views) / sizeof(*views)));
    tcase_add_loop_test(tests, a_nodes_name_is_its_workflow_its_task_its_item_and_its_attempt, 0,
                        (int)(sizeof(names) / sizeof(*names)));
    tcase_add_test(tests, a_name_that_is_too_long_is_none);
    tcase_add_test(tests, packed_nodes_are_the_same_nodes);
    tcase_add_test(tests, nodes_that_cannot_be_unpacked_are_not_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
