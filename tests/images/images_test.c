/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, pins, locks, mirrors, pull and push: the built program with a scripted registry and runtime. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "board_world.h"
#include "suite.h"

/* Names and pins. */

START_TEST(a_machine_that_has_its_images_asks_no_registry)
{
    board_image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    program_file("board/offline", "");
    board_expect(PLUGINS "plan p.yaml", 0, "");
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0\n");
    board_expect(PLUGINS "run p.yaml", 0, "");
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0\n"
                       "prepare harbour.test/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                       "launch a harbour.test/joezuntz/stars:1.0\n");
}
END_TEST

START_TEST(what_is_not_here_is_pinned_by_its_registry)
{
    board_image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    board_expect(PLUGINS "run p.yaml", 0, "");
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0\n"
                       "resolve harbour.test/joezuntz/stars:1.0\n"
                       "prepare harbour.test/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                       "credentials pull harbour.test/joezuntz/stars:1.0\n"
                       "login of harbour.test/joezuntz/stars:1.0: sailor\n"
                       "launch a harbour.test/joezuntz/stars:1.0\n");
}
END_TEST

START_TEST(without_an_answer_that_is_needed_there_is_one_line_and_exit_4)
{
    program_file("board/offline", "");
    static const char *const commands[] = {PLUGINS "plan p.yaml", PLUGINS "run p.yaml", NULL};
    for (size_t i = 0; commands[i] != NULL; i++) {
        cleanup(result_clear) struct result result = program_run(commands[i]);
        ck_assert_int_eq(result.status, 4);
        ck_assert_str_eq(text_bytes(&result.err),
                         "descpipe: error: p.yaml:5:12: image 'joezuntz/stars:1.0': cannot reach harbour.test: no "
                         "network\ndescpipe: hint: pull the image while there is a network\n");
    }
}
END_TEST

START_TEST(what_fails_for_the_same_reason_is_told_once_with_its_names)
{
    program_file("p.yaml", "pipeline: {name: p, stages: [a, b, c]}\n" BACKEND
                           "a: {image: \"joezuntz/a:1\", command: [/bin/true]}\n"
                           "b: {image: \"joezuntz/b:1\", command: [/bin/true]}\n"
                           "c: {image: \"joezuntz/c:1\", command: [/bin/true]}\n");
    program_file("board/harbour/joezuntz_a_1", "fail login the keys have expired\n");
    program_file("board/harbour/joezuntz_b_1", "fail login this repository is for others\n");
    program_file("board/harbour/joezuntz_c_1", "fail login the keys have expired\n");
    cleanup(result_clear) struct result result = program_run(PLUGINS "plan p.yaml");
    ck_assert_int_eq(result.status, 4);
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.err), "this repository is for others\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.err), "the keys have expired (likewise 'joezuntz/"));
}
END_TEST

START_TEST(a_missing_tag_is_told_with_the_nearest)
{
    board_expect(PLUGINS "plan p.yaml", 4, "image 'joezuntz/stars:1.0': harbour.test has no such tag\n");
    board_expect(PLUGINS "plan p.yaml", 4, "hint: the nearest tags are 1.0 and 1.1\n");
}
END_TEST

START_TEST(pull_always_asks_the_registry_first_and_takes_what_it_has_now)
{
    program_file("p.yaml", "pipeline: {name: p, stages: [a]}\n" BACKEND
                           "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true], pull: always}\n");
    board_image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    board_image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    board_expect(PLUGINS "run p.yaml", 0, "");
    board_expect_asked("resolve harbour.test/joezuntz/stars:1.0\n"
                       "identify harbour.test/joezuntz/stars:1.0 " TWO "\n"
                       "prepare harbour.test/joezuntz/stars:1.0 " MANIFEST_TWO "\n"
                       "credentials pull harbour.test/joezuntz/stars:1.0\n"
                       "login of harbour.test/joezuntz/stars:1.0: sailor\n"
                       "launch a harbour.test/joezuntz/stars:1.0\n");
}
END_TEST

START_TEST(pull_never_never_asks_a_registry)
{
    program_file("p.yaml", "pipeline: {name: p, stages: [a]}\n" BACKEND
                           "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true], pull: never}\n");
    board_image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    board_expect(PLUGINS "plan p.yaml", 2, "hint: build or pull it first, or remove 'pull: never'\n");
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0\n");
}
END_TEST

START_TEST(a_mirror_is_asked_instead_and_its_images_count)
{
    program_file("config/descpipe/config.yaml", "mirrors: {harbour.test: mirror.test/hub}\n");
    board_image("harbour", "hub_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    board_expect(PLUGINS "run p.yaml", 0, "");
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0\n"
                       "identify mirror.test/hub/joezuntz/stars:1.0\n"
                       "resolve mirror.test/hub/joezuntz/stars:1.0\n"
                       "prepare mirror.test/hub/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                       "credentials pull mirror.test/hub/joezuntz/stars:1.0\n"
                       "login of mirror.test/hub/joezuntz/stars:1.0: sailor\n"
                       "launch a mirror.test/hub/joezuntz/stars:1.0\n");
    program_file("board/offline", "");
    board_forget("board/shelf/mirror.test_hub_joezuntz_stars_1.0");
    board_expect(PLUGINS "plan p.yaml", 4,
                 "image 'joezuntz/stars:1.0', asked of its mirror 'mirror.test/hub/joezuntz/stars:1.0': cannot reach");
}
END_TEST

/* The lock. */

START_TEST(a_lock_is_used_and_a_moved_tag_is_told)
{
    board_image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    board_expect(PLUGINS "images p.yaml --lock", 0, "wrote 'descpipe.lock'");
    cleanup(memory_free) char *path = path_join(program_folder, "descpipe.lock");
    cleanup(text_clear) struct text lock = TEXT_INIT;
    ck_assert(file_read(path, 10000, &lock, NULL));
    ck_assert_str_eq(text_bytes(&lock),
                     "# Which image each tag stood for; kept by 'descpipe images PIPELINE --lock'.\n"
                     "version: 1\nimages:\n  \"harbour.test/joezuntz/stars:1.0\":\n"
                     "    linux/amd64: {config: \"" ONE "\", manifest: \"" MANIFEST_ONE "\", bytes: 3000000}\n");
    board_image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    board_image("shelf", "harbour.test_joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    memory_free(board_asked());
    cleanup(result_clear) struct result plan = program_run(PLUGINS "plan p.yaml --json");
    ck_assert_int_eq(plan.status, 0);
    ck_assert_str_eq(
        text_bytes(&plan.err),
        "p.yaml:5:12: warning: the tag of image 'joezuntz/stars:1.0' has moved: descpipe.lock has " MANIFEST_ONE
        ", harbour has " MANIFEST_TWO "\n  hint: 'descpipe images PIPELINE --lock' accepts what it means now\n");
    ck_assert_ptr_nonnull(strstr(text_bytes(&plan.out), "\"digest\":\"" ONE "\""));
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0 " ONE "\nresolve harbour.test/joezuntz/stars:1.0\n");
    board_expect(PLUGINS "images p.yaml", 1,
                 "the tag of 'joezuntz/stars:1.0' has moved since descpipe.lock was written");
    /* The locked one is here: nobody is asked. */
    board_image("shelf", "old", ONE, MANIFEST_ONE);
    memory_free(board_asked());
    board_expect(PLUGINS "run p.yaml", 0, "");
    board_expect_asked("identify harbour.test/joezuntz/stars:1.0 " ONE "\n"
                       "prepare harbour.test/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                       "launch a harbour.test/joezuntz/stars:1.0\n");
    board_expect(PLUGINS "images p.yaml --lock", 0, "'joezuntz/stars:1.0' is now " MANIFEST_TWO);
    board_expect(PLUGINS "images p.yaml", 0, "");
}
END_TEST

START_TEST(a_lock_that_is_wrong_is_told_at_its_place)
{
    static const struct {
        const char *lock, *err;
    } cases[] = {
        {"version: 2\nimages: {}\n", "descpipe.lock:1:10: error: this lock was written by a newer descpipe\n"},
        {"images: {}\n", "error: this is no lock of images: it has no 'version'\n"},
        {"version: 1\nimages: {x: {linux/amd64: {config: sha256:12}}}\n",
         "descpipe.lock:2:36: error: a digest is sha256: and 64 hexadecimal digits\n"},
        {"version: 1\nimages: {x: {linux/amd64: {bytes: 1}}}\n",
         "error: a locked image must have a digest: 'config' or 'manifest'\n"},
        {"version: 1\nsources: {x: abc}\n", "error: a commit is 40 hexadecimal digits\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        program_file("descpipe.lock", cases[i].lock);
        board_expect(PLUGINS "plan p.yaml", 2, cases[i].err);
    }
}
END_TEST

START_TEST(an_image_that_only_this_machine_has_is_locked_too)
{
    board_image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, "");
    board_expect(PLUGINS "images p.yaml --lock", 0, "wrote 'descpipe.lock'");
    board_expect(PLUGINS "plan p.yaml", 0, "");
    board_image("shelf", "harbour.test_joezuntz_stars_1.0", TWO, "");
    board_expect(PLUGINS "plan p.yaml", 2,
                 "image 'joezuntz/stars:1.0': descpipe.lock has " ONE ", this machine has " TWO);
}
END_TEST

/* images, pull, push. */

static json_t *json_of(const char *line)
{
    cleanup(result_clear) struct result result = program_run(line);
    json_t *json = json_loads(text_bytes(&result.out), 0, NULL);
    ck_assert_msg(json != NULL, "'%s' prints %s%s", line, text_bytes(&result.out), text_bytes(&result.err));
    return json;
}

START_TEST(images_tells_what_is_where)
{
    board_image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    board_image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    cleanup(result_clear) struct result table = program_run(PLUGINS "images p.yaml");
    ck_assert_int_eq(table.status, 0);
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&table.out), "harbour.test/joezuntz/stars:1.0  harbour   sha256:bbbbbbbbbbbb"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&table.out), "2.8 MiB"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&table.out), "other"));
    json_t *json = json_of(PLUGINS "images p.yaml --json"), *first = json_array_get(json_object_get(json, "images"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(first, "reference")), "harbour.test/joezuntz/stars:1.0");
    ck_assert_str_eq(json_string_value(json_object_get(first, "manifest_digest")), MANIFEST_TWO);
    ck_assert_str_eq(json_string_value(json_object_get(first, "here_digest")), ONE);
    ck_assert_str_eq(json_string_value(json_object_get(first, "here")), "other");
    ck_assert_int_eq(json_integer_value(json_object_get(first, "bytes")), 3000000);
    json_decref(json);
    /* Without a network the machine's own knowledge is enough, and the rest is told. */
    program_file("board/offline", "");
    board_expect(PLUGINS "images p.yaml", 0, "joezuntz/stars:1.0: cannot reach harbour.test: no network");
    board_forget("board/shelf/harbour.test_joezuntz_stars_1.0");
    board_expect(PLUGINS "images p.yaml", 4, "error: joezuntz/stars:1.0: cannot reach harbour.test: no network");
    board_expect(PLUGINS "images p.yaml --lock", 4, "nothing is locked");
}
END_TEST

#define TWO_STAGES                                                                                                     \
    "pipeline: {name: p, stages: [a, b, c]}\n" BACKEND "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n"    \
    "b: {image: \"joezuntz/moons:2\", command: [/bin/true]}\n"                                                         \
    "c: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n"

START_TEST(pull_gets_every_image_once_and_again_only_what_is_new)
{
    program_file("p.yaml", TWO_STAGES);
    board_image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    board_image("harbour", "joezuntz_moons_2", TWO, MANIFEST_TWO);
    cleanup(result_clear) struct result first = program_run(PLUGINS "pull p.yaml");
    ck_assert_int_eq(first.status, 0);
    ck_assert_str_eq(text_bytes(&first.out), "a, c: pulling harbour.test/joezuntz/stars:1.0\n"
                                             "b: pulling harbour.test/joezuntz/moons:2\n"
                                             "a, c: pulled, 2.8 MiB\nb: pulled, 2.8 MiB\n");
    cleanup(result_clear) struct result second = program_run(PLUGINS "pull p.yaml b");
    ck_assert_str_eq(text_bytes(&second.out), "b: is here already\n");
    board_forget("board/harbour/joezuntz_moons_2");
    board_image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    cleanup(result_clear) struct result third = program_run(PLUGINS "pull p.yaml --json");
    ck_assert_int_eq(third.status, 4);
    ck_assert_ptr_nonnull(strstr(text_bytes(&third.out),
                                 "{\"event\":\"ended\",\"name\":\"b\",\"ok\":false,\"message\":"
                                 "\"image 'joezuntz/moons:2': harbour.test has no such tag\"}"));
}
END_TEST

START_TEST(an_interrupted_pull_stops_and_exits_7)
{
    board_image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    program_file("board/slow", "");
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = program_start(PLUGINS "pull p.yaml --json", (const int[]){-1, ends[1], ends[1]});
    close(ends[1]);
    cleanup(text_clear) struct text seen = TEXT_INIT;
    char buffer[4096];
    ssize_t got;
    bool sent = false;
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0) {
        text_append_bytes(&seen, buffer, (size_t)got);
        if (!sent && strstr(text_bytes(&seen), "\"event\":\"progress\"") != NULL) {
            ck_assert_int_eq(kill(pid, SIGINT), 0);
            sent = true;
        }
    }
    close(ends[0]);
    ck_assert_int_eq(program_wait(pid), 7);
    ck_assert_msg(sent, "%s", text_bytes(&seen));
    ck_assert_ptr_nonnull(strstr(text_bytes(&seen), "\"ok\":false,\"message\":\"joezuntz/stars:1.0: stopped"));
    cleanup(memory_free) char *lines = board_asked();
    ck_assert_ptr_nonnull(strstr(lines, "cancelled harbour.test/joezuntz/stars:1.0"));
}
END_TEST

START_TEST(push_makes_repositories_and_names_what_is_missing)
{
    program_file("p.yaml", TWO_STAGES);
    board_image("shelf", "joezuntz_stars_1.0", ONE, ""); /* under the short name, as another tool builds it */
    cleanup(result_clear) struct result result = program_run(PLUGINS "push p.yaml");
    ck_assert_int_eq(result.status, 2);
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&result.out), "a, c: pushed to harbour.test/joezuntz/stars:1.0 as sha256:"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "b: joezuntz/moons:2 is not on this machine\n"
                                                          "  hint: build it first: descpipe build p.yaml\n"));
    cleanup(memory_free) char *lines = board_asked();
    ck_assert_ptr_nonnull(strstr(lines, "ensure harbour.test/joezuntz/stars:1.0\n"
                                        "push joezuntz/stars:1.0 as harbour.test/joezuntz/stars:1.0\n"));
    program_file("board/shelf/harbour.test_joezuntz_moons_2", "fail login harbour.test wants a login\n");
    board_expect(PLUGINS "push p.yaml b", 4, "");
}
END_TEST

START_TEST(prune_says_what_goes)
{
    static const char *const wrong[][2] = {
        {"images --prune", "--prune needs to know what may go"},
        {"images --prune --older-than soon", "'soon' is no length of time"},
        {"images --prune --keep much", "'much' is no size"},
        {"images --keep 1G", "--older-than, --keep and --dry-run go with --prune"},
        {"images", "PIPELINE is missing"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        board_expect(wrong[i][0], 2, wrong[i][1]);
    cleanup(result_clear) struct result result =
        program_run(PLUGINS "images p.yaml --prune --older-than 30d --keep 1GiB --dry-run");
    ck_assert_int_eq(result.status, 0);
    ck_assert_str_eq(text_bytes(&result.out), "old:1.0\n1 image would go, 3 MiB\n");
    board_expect_asked("prune flags 1 unused 2592000000 keep 1073741824\n");
    json_t *json = json_of(PLUGINS "images --prune --keep 1GiB --runtime shelf -o runtime.board=board --json");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "freed")), 3145728);
    json_decref(json);
}
END_TEST

START_TEST(a_run_tells_that_logins_end_where_nobody_renews_them)
{
    board_image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    static const char told[] =
        "image 'joezuntz/stars:1.0' is pulled where its stages run; the login of registry 'harbour' ends at "
        "2099-01-01T00:00:00.000Z, and nobody renews it there";
    program_file(
        "p.yaml",
        "pipeline: {name: p, stages: [a]}\nruntime: {backend: away, working: ./work, output: ./out}\nbackends:\n"
        "  away: {scheduler: lighthouse, runtime: {use: shelf, board: board}, registry: {use: harbour, board: "
        "board}}\na: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n");
    program_file("board/nodes", "");
    board_expect(PLUGINS "run p.yaml", 5, told);
    board_forget("board/nodes"); /* pulled before it submits, as is the rule */
    cleanup(result_clear) struct result result = program_run(PLUGINS "run p.yaml");
    ck_assert_int_eq(result.status, 5);
    ck_assert_ptr_null(strstr(text_bytes(&result.err), "login of registry"));
    cleanup(memory_free) char *lines = board_asked();
    ck_assert_ptr_nonnull(strstr(lines, "login of harbour.test/joezuntz/stars:1.0: sailor\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("images");
    TCase *cases = tcase_create("images");
    tcase_add_checked_fixture(cases, board_set_up, program_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_machine_that_has_its_images_asks_no_registry);
    tcase_add_test(cases, what_is_not_here_is_pinned_by_its_registry);
    tcase_add_test(cases, without_an_answer_that_is_needed_there_is_one_line_and_exit_4);
    tcase_add_test(cases, what_fails_for_the_same_reason_is_told_once_with_its_names);
    tcase_add_test(cases, a_missing_tag_is_told_with_the_nearest);
    tcase_add_test(cases, pull_always_asks_the_registry_first_and_takes_what_it_has_now);
    tcase_add_test(cases, pull_never_never_asks_a_registry);
    tcase_add_test(cases, a_mirror_is_asked_instead_and_its_images_count);
    tcase_add_test(cases, a_lock_is_used_and_a_moved_tag_is_told);
    tcase_add_test(cases, a_lock_that_is_wrong_is_told_at_its_place);
    tcase_add_test(cases, an_image_that_only_this_machine_has_is_locked_too);
    tcase_add_test(cases, images_tells_what_is_where);
    tcase_add_test(cases, pull_gets_every_image_once_and_again_only_what_is_new);
    tcase_add_test(cases, an_interrupted_pull_stops_and_exits_7);
    tcase_add_test(cases, push_makes_repositories_and_names_what_is_missing);
    tcase_add_test(cases, prune_says_what_goes);
    tcase_add_test(cases, a_run_tells_that_logins_end_where_nobody_renews_them);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
