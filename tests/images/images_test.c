/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, pins, locks, mirrors, pull, push, build and logins: the built program with a scripted registry and runtime. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../cli/program.h"
#include "base/file.h"
#include "base/path.h"
#include "suite.h"

#define PLUGINS "--plugin-dir " IMAGE_PLUGINS " "
#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define MANIFEST_ONE "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MANIFEST_TWO "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define BACKEND                                                                                                        \
    "runtime: {backend: here, working: ./work, output: ./out}\n"                                                       \
    "backends:\n"                                                                                                      \
    "  here: {scheduler: sequential, runtime: {use: shelf, board: board}, registry: {use: harbour, board: board}}\n"

#define STARS "pipeline: {name: p, stages: [a]}\n" BACKEND "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n"

/* In BOARD/harbour or BOARD/shelf. */
static void image(const char *folder, const char *name, const char *config, const char *manifest)
{
    cleanup(memory_free) char *file = memory_format("board/%s/%s", folder, name);
    cleanup(memory_free) char *text =
        memory_format("config %s\nmanifest %s\nbytes 3000000\ncreated 1790000000000\n", config, manifest);
    program_file(file, text);
}

static void forget(const char *name)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    ck_assert_int_eq(unlink(path), 0);
}

/* What the plugins were asked since the last time, without their opening. */
static char *asked(void)
{
    cleanup(memory_free) char *path = path_join(program_folder, "board/asked");
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(text_clear) struct text kept = TEXT_INIT;
    if (file_exists(path)) {
        ck_assert(file_read(path, 1 << 20, &text, NULL));
        unlink(path);
    }
    for (const char *line = text_bytes(&text); *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        if (strncmp(line, "open ", 5) != 0)
            text_append_bytes(&kept, line, length);
        line += length;
    }
    return text_take(&kept);
}

static void expect_asked(const char *expected)
{
    cleanup(memory_free) char *lines = asked();
    ck_assert_str_eq(lines != NULL ? lines : "", expected);
}

static void expect(const char *line, int status, const char *err)
{
    cleanup(result_clear) struct result result = program_run(line);
    ck_assert_msg(result.status == status, "'%s' ended with %d: %s%s", line, result.status, text_bytes(&result.out),
                  text_bytes(&result.err));
    ck_assert_msg(strstr(text_bytes(&result.err), err) != NULL, "'%s' says %s", line, text_bytes(&result.err));
}

static void set_up(void)
{
    program_set_up();
    program_file("board/harbour/.here", "");
    program_file("board/shelf/.here", "");
    program_file("p.yaml", STARS);
}

/* Names and pins. */

START_TEST(a_machine_that_has_its_images_asks_no_registry)
{
    image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    program_file("board/offline", "");
    expect(PLUGINS "plan p.yaml", 0, "");
    expect_asked("identify harbour.test/joezuntz/stars:1.0\n");
    expect(PLUGINS "run p.yaml", 0, "");
    expect_asked("identify harbour.test/joezuntz/stars:1.0\n"
                 "prepare harbour.test/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                 "launch a harbour.test/joezuntz/stars:1.0\n");
}
END_TEST

START_TEST(what_is_not_here_is_pinned_by_its_registry)
{
    image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    expect(PLUGINS "run p.yaml", 0, "");
    expect_asked("identify harbour.test/joezuntz/stars:1.0\n"
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
    expect(PLUGINS "plan p.yaml", 4, "image 'joezuntz/stars:1.0': harbour.test has no such tag\n");
    expect(PLUGINS "plan p.yaml", 4, "hint: the nearest tags are 1.0 and 1.1\n");
}
END_TEST

START_TEST(pull_always_asks_the_registry_first_and_takes_what_it_has_now)
{
    program_file("p.yaml", "pipeline: {name: p, stages: [a]}\n" BACKEND
                           "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true], pull: always}\n");
    image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    expect(PLUGINS "run p.yaml", 0, "");
    expect_asked("resolve harbour.test/joezuntz/stars:1.0\n"
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
    image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    expect(PLUGINS "plan p.yaml", 2, "hint: build or pull it first, or remove 'pull: never'\n");
    expect_asked("identify harbour.test/joezuntz/stars:1.0\n");
}
END_TEST

START_TEST(a_mirror_is_asked_instead_and_its_images_count)
{
    program_file("config/descpipe/config.yaml", "mirrors: {harbour.test: mirror.test/hub}\n");
    image("harbour", "hub_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    expect(PLUGINS "run p.yaml", 0, "");
    expect_asked("identify harbour.test/joezuntz/stars:1.0\n"
                 "identify mirror.test/hub/joezuntz/stars:1.0\n"
                 "resolve mirror.test/hub/joezuntz/stars:1.0\n"
                 "prepare mirror.test/hub/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                 "credentials pull mirror.test/hub/joezuntz/stars:1.0\n"
                 "login of mirror.test/hub/joezuntz/stars:1.0: sailor\n"
                 "launch a mirror.test/hub/joezuntz/stars:1.0\n");
    program_file("board/offline", "");
    forget("board/shelf/mirror.test_hub_joezuntz_stars_1.0");
    expect(PLUGINS "plan p.yaml", 4,
           "image 'joezuntz/stars:1.0', asked of its mirror 'mirror.test/hub/joezuntz/stars:1.0': cannot reach");
}
END_TEST

/* The lock. */

START_TEST(a_lock_is_used_and_a_moved_tag_is_told)
{
    image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    expect(PLUGINS "images p.yaml --lock", 0, "wrote 'descpipe.lock'");
    cleanup(memory_free) char *path = path_join(program_folder, "descpipe.lock");
    cleanup(text_clear) struct text lock = TEXT_INIT;
    ck_assert(file_read(path, 10000, &lock, NULL));
    ck_assert_str_eq(text_bytes(&lock),
                     "# Which image each tag stood for; kept by 'descpipe images PIPELINE --lock'.\n"
                     "version: 1\nimages:\n  \"harbour.test/joezuntz/stars:1.0\":\n"
                     "    linux/amd64: {config: \"" ONE "\", manifest: \"" MANIFEST_ONE "\", bytes: 3000000}\n");
    image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    image("shelf", "harbour.test_joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    memory_free(asked());
    cleanup(result_clear) struct result plan = program_run(PLUGINS "plan p.yaml --json");
    ck_assert_int_eq(plan.status, 0);
    ck_assert_str_eq(
        text_bytes(&plan.err),
        "p.yaml:5:12: warning: the tag of image 'joezuntz/stars:1.0' has moved: descpipe.lock has " MANIFEST_ONE
        ", harbour has " MANIFEST_TWO "\n  hint: 'descpipe images PIPELINE --lock' accepts what it means now\n");
    ck_assert_ptr_nonnull(strstr(text_bytes(&plan.out), "\"digest\":\"" ONE "\""));
    expect_asked("identify harbour.test/joezuntz/stars:1.0 " ONE "\nresolve harbour.test/joezuntz/stars:1.0\n");
    expect(PLUGINS "images p.yaml", 1, "the tag of 'joezuntz/stars:1.0' has moved since descpipe.lock was written");
    /* The locked one is here: nobody is asked. */
    image("shelf", "old", ONE, MANIFEST_ONE);
    memory_free(asked());
    expect(PLUGINS "run p.yaml", 0, "");
    expect_asked("identify harbour.test/joezuntz/stars:1.0 " ONE "\n"
                 "prepare harbour.test/joezuntz/stars:1.0 " MANIFEST_ONE "\n"
                 "launch a harbour.test/joezuntz/stars:1.0\n");
    expect(PLUGINS "images p.yaml --lock", 0, "'joezuntz/stars:1.0' is now " MANIFEST_TWO);
    expect(PLUGINS "images p.yaml", 0, "");
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
        expect(PLUGINS "plan p.yaml", 2, cases[i].err);
    }
}
END_TEST

START_TEST(an_image_that_only_this_machine_has_is_locked_too)
{
    image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, "");
    expect(PLUGINS "images p.yaml --lock", 0, "wrote 'descpipe.lock'");
    expect(PLUGINS "plan p.yaml", 0, "");
    image("shelf", "harbour.test_joezuntz_stars_1.0", TWO, "");
    expect(PLUGINS "plan p.yaml", 2, "image 'joezuntz/stars:1.0': descpipe.lock has " ONE ", this machine has " TWO);
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
    image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    image("shelf", "harbour.test_joezuntz_stars_1.0", ONE, MANIFEST_ONE);
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
    expect(PLUGINS "images p.yaml", 0, "joezuntz/stars:1.0: cannot reach harbour.test: no network");
    forget("board/shelf/harbour.test_joezuntz_stars_1.0");
    expect(PLUGINS "images p.yaml", 4, "error: joezuntz/stars:1.0: cannot reach harbour.test: no network");
    expect(PLUGINS "images p.yaml --lock", 4, "nothing is locked");
}
END_TEST

#define TWO_STAGES                                                                                                     \
    "pipeline: {name: p, stages: [a, b, c]}\n" BACKEND "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n"    \
    "b: {image: \"joezuntz/moons:2\", command: [/bin/true]}\n"                                                         \
    "c: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n"

START_TEST(pull_gets_every_image_once_and_again_only_what_is_new)
{
    program_file("p.yaml", TWO_STAGES);
    image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    image("harbour", "joezuntz_moons_2", TWO, MANIFEST_TWO);
    cleanup(result_clear) struct result first = program_run(PLUGINS "pull p.yaml");
    ck_assert_int_eq(first.status, 0);
    ck_assert_str_eq(text_bytes(&first.out), "a, c: pulling harbour.test/joezuntz/stars:1.0\n"
                                             "b: pulling harbour.test/joezuntz/moons:2\n"
                                             "a, c: pulled, 2.8 MiB\nb: pulled, 2.8 MiB\n");
    cleanup(result_clear) struct result second = program_run(PLUGINS "pull p.yaml b");
    ck_assert_str_eq(text_bytes(&second.out), "b: is here already\n");
    forget("board/harbour/joezuntz_moons_2");
    image("harbour", "joezuntz_stars_1.0", TWO, MANIFEST_TWO);
    cleanup(result_clear) struct result third = program_run(PLUGINS "pull p.yaml --json");
    ck_assert_int_eq(third.status, 4);
    ck_assert_ptr_nonnull(strstr(text_bytes(&third.out),
                                 "{\"event\":\"ended\",\"name\":\"b\",\"ok\":false,\"message\":"
                                 "\"image 'joezuntz/moons:2': harbour.test has no such tag\"}"));
}
END_TEST

START_TEST(an_interrupted_pull_stops_and_exits_7)
{
    image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
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
    cleanup(memory_free) char *lines = asked();
    ck_assert_ptr_nonnull(strstr(lines, "cancelled harbour.test/joezuntz/stars:1.0"));
}
END_TEST

START_TEST(push_makes_repositories_and_names_what_is_missing)
{
    program_file("p.yaml", TWO_STAGES);
    image("shelf", "joezuntz_stars_1.0", ONE, ""); /* under the short name, as another tool builds it */
    cleanup(result_clear) struct result result = program_run(PLUGINS "push p.yaml");
    ck_assert_int_eq(result.status, 2);
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&result.out), "a, c: pushed to harbour.test/joezuntz/stars:1.0 as sha256:"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "b: joezuntz/moons:2 is not on this machine\n"
                                                          "  hint: build it first: descpipe build p.yaml\n"));
    cleanup(memory_free) char *lines = asked();
    ck_assert_ptr_nonnull(strstr(lines, "ensure harbour.test/joezuntz/stars:1.0\n"
                                        "push joezuntz/stars:1.0 as harbour.test/joezuntz/stars:1.0\n"));
    program_file("board/shelf/harbour.test_joezuntz_moons_2", "fail login harbour.test wants a login\n");
    expect(PLUGINS "push p.yaml b", 4, "");
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
        expect(wrong[i][0], 2, wrong[i][1]);
    cleanup(result_clear) struct result result =
        program_run(PLUGINS "images p.yaml --prune --older-than 30d --keep 1GiB --dry-run");
    ck_assert_int_eq(result.status, 0);
    ck_assert_str_eq(text_bytes(&result.out), "old:1.0\n1 image would go, 3 MiB\n");
    expect_asked("prune flags 1 unused 2592000000 keep 1073741824\n");
    json_t *json = json_of(PLUGINS "images --prune --keep 1GiB --runtime shelf -o runtime.board=board --json");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "freed")), 3145728);
    json_decref(json);
}
END_TEST

/* build */

#define FOLDERS                                                                                                        \
    "pipeline: {name: p, owner: joezuntz, basename: desc-pipe, version: 1.0, images: [images], stages: [z, y, "        \
    "x]}\n" BACKEND

#define RUN_PY "import descpipe\nclass Stage(descpipe.Stage):\n    config = {}\n    inputs = {}\n    outputs = {}\n"

static void make_folders(void)
{
    program_file("p.yaml", FOLDERS);
    program_file("images/base/Dockerfile", "FROM ubuntu:22.04\n");
    program_file("images/base-mpi/Dockerfile", "ARG user\nFROM ${user}/desc-pipe-base:1.0\n");
    program_file("images/x/Dockerfile", "ARG user\nARG base=1.0\nFROM ${user}/desc-pipe-base-mpi:${base}\n");
    program_file("images/y/dockerfile", "FROM joezuntz/desc-pipe-x:1.0\nARG speed\n");
    program_file("images/z/Dockerfile", "FROM alpine\n");
    program_file("images/x/run.py", RUN_PY);
    program_file("images/y/run.py", RUN_PY);
    program_file("images/z/run.py", RUN_PY);
}

START_TEST(build_follows_the_from_lines)
{
    make_folders();
    cleanup(result_clear) struct result result =
        program_run(PLUGINS "build p.yaml --build-arg speed=9 --build-arg user=ada --no-cache --pull");
    ck_assert_int_eq(result.status, 0);
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.err), "the logs are in '"));
    cleanup(memory_free) char *lines = asked();
    /* With another user the folders beside the stages are somebody else's images: the tool gets them. */
    ck_assert_ptr_nonnull(strstr(lines, "build z Dockerfile flags 3\n  called joezuntz/desc-pipe-z:1.0\n"
                                        "  called harbour.test/joezuntz/desc-pipe-z:1.0\n"));
    ck_assert_ptr_nonnull(strstr(lines, "build y dockerfile flags 1\n")); /* no registry has x yet */
    ck_assert_ptr_nonnull(strstr(lines, "  argument speed=9\n"));
    ck_assert_ptr_null(strstr(lines, "build base"));
    cleanup(result_clear) struct result one = program_run(PLUGINS "build p.yaml y");
    ck_assert_int_eq(one.status, 0);
    cleanup(memory_free) char *one_asked = asked();
    ck_assert_ptr_nonnull(strstr(one_asked, "build y dockerfile flags 0\n  called joezuntz/desc-pipe-y:1.0\n"));
    ck_assert_ptr_nonnull(strstr(one_asked, "build x Dockerfile")); /* it is made from that */
    ck_assert_ptr_null(strstr(one_asked, "build z"));
    cleanup(result_clear) struct result order = program_run(PLUGINS "build p.yaml");
    ck_assert_int_eq(order.status, 0);
    cleanup(memory_free) char *built = asked();
    const char *base = strstr(built, "build base D"), *mpi = strstr(built, "build base-mpi D"),
               *x = strstr(built, "build x D"), *y = strstr(built, "build y d");
    ck_assert(base != NULL && mpi != NULL && x != NULL && y != NULL);
    ck_assert(base < mpi && mpi < x && x < y);
    ck_assert_ptr_nonnull(strstr(built, "  called joezuntz/desc-pipe-base-mpi:1.0\n  argument user=joezuntz\n"));
    expect(PLUGINS "plan p.yaml", 0, "");
}
END_TEST

START_TEST(images_that_do_not_need_each_other_are_built_side_by_side)
{
    program_file("p.yaml", FOLDERS);
    program_file("images/base/Dockerfile", "FROM scratch\n# with 2\n");
    program_file("images/z/Dockerfile", "FROM scratch\n# with 2\n");
    program_file("images/x/Dockerfile", "FROM joezuntz/desc-pipe-base:1.0\n# with 2\n");
    program_file("images/y/Dockerfile", "FROM joezuntz/desc-pipe-base:1.0\n# with 2\n");
    program_file("images/x/run.py", RUN_PY);
    program_file("images/y/run.py", RUN_PY);
    program_file("images/z/run.py", RUN_PY);
    cleanup(result_clear) struct result result = program_run(PLUGINS "build p.yaml");
    ck_assert_int_eq(result.status, 0);
    cleanup(memory_free) char *lines = asked();
    const char *base = strstr(lines, "built base\n"), *x = strstr(lines, "build x D"), *y = strstr(lines, "build y D");
    ck_assert_msg(base != NULL && x != NULL && y != NULL && base < x && base < y, "%s", lines);
}
END_TEST

START_TEST(a_build_that_fails_is_told_with_its_log)
{
    make_folders();
    program_file("images/base-mpi/Dockerfile", "FROM alpine\nRUN false\n");
    cleanup(result_clear) struct result result = program_run(PLUGINS "build p.yaml");
    ck_assert_int_eq(result.status, 5);
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "base-mpi | the command '/bin/sh -c false' returned 1\n"
                                                          "base-mpi: the command '/bin/sh -c false' returned 1\n"
                                                          "  log: "));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "x: not built, because 'base-mpi' was not\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "y: not built, because 'x' was not\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "z: built joezuntz/desc-pipe-z:1.0 sha256:"));
    const char *path = strstr(text_bytes(&result.out), "  log: ") + 7;
    cleanup(memory_free) char *log = memory_copy_bytes(path, strcspn(path, "\n"));
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read(log, 10000, &text, NULL));
    ck_assert_ptr_nonnull(strstr(text_bytes(&text), "Step 1 : FROM something\n"));
}
END_TEST

START_TEST(build_refuses_what_cannot_be_built)
{
    make_folders();
    expect(PLUGINS "build p.yaml --build-arg spede=1", 2, "--build-arg spede: no Dockerfile here has ARG spede");
    expect(PLUGINS "build p.yaml --build-arg speed", 2, "--build-arg speed: it has no value");
    expect(PLUGINS "build p.yaml --tool kaniko", 2, "option '--tool' cannot be 'kaniko'");
    program_file("images/base/Dockerfile", "FROM joezuntz/desc-pipe-y:1.0\n");
    expect(PLUGINS "build p.yaml", 2, "these images are made from each other: ");
    forget("images/z/Dockerfile");
    expect(PLUGINS "build p.yaml z", 2, "'z' cannot be built: '");
    program_file("p.yaml", STARS);
    expect(PLUGINS "build p.yaml", 2, "there is nothing to build: the pipeline names no folders of images");
}
END_TEST

START_TEST(make_builds_when_asked)
{
    make_folders();
    program_file("images/Makefile", "%:\n\t@echo making $@ for $(OWNER), $(BASENAME) $(VERSION)\n"
                                    ".PHONY: base base-mpi x y z\nbase base-mpi x y:\n\t@echo making $@ for $(OWNER)\n"
                                    "z:\n\t@echo trouble >&2; exit 3\n");
    cleanup(result_clear) struct result result = program_run(PLUGINS "build p.yaml --tool make");
    ck_assert_int_eq(result.status, 5);
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "x | making x for joezuntz\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "z | trouble\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "z: make ended with exit status 2: make"));
    forget("images/Makefile");
    expect(PLUGINS "build p.yaml z --tool make", 2, "");
}
END_TEST

static void git(const char *folder, const char *arguments)
{
    cleanup(memory_free) char *line =
        memory_format("git -C '%s' -c user.name=a -c user.email=a@b %s >/dev/null", folder, arguments);
    ck_assert_msg(system(line) == 0, "%s", line);
}

START_TEST(stages_of_repositories_are_fetched_by_commit)
{
    cleanup(memory_free) char *repository = path_join(program_folder, "hub/joezuntz/ngmix_2pt");
    program_file("hub/joezuntz/ngmix_2pt/pipeline/docker/Dockerfile", "FROM alpine\n");
    program_file("hub/joezuntz/ngmix_2pt/pipeline/docker/run.py",
                 "import descpipe\nclass Stage(descpipe.Stage):\n    config = {}\n    inputs = {}\n"
                 "    outputs = {\"shapes\": \"fits\"}\n");
    git(repository, "init -q -b main");
    git(repository, "add .");
    git(repository, "commit -qm one");
    git(repository, "tag -a v1 -m v1");
    cleanup(memory_free) char *config =
        memory_format("[url \"file://%s/hub/\"]\n\tinsteadOf = https://github.com/\n", program_folder);
    program_file(".gitconfig", config);
    program_file("p.yaml", "pipeline: {name: p, owner: joezuntz, basename: d, version: 1.0, stages: [n]}\n" BACKEND
                           "n: {github: joezuntz/ngmix_2pt, checkout: v1}\n");
    cleanup(result_clear) struct result first = program_run(PLUGINS "build p.yaml");
    ck_assert_int_eq(first.status, 0);
    ck_assert_ptr_nonnull(strstr(text_bytes(&first.out), "n: fetched: v1 of joezuntz/ngmix_2pt is commit "));
    cleanup(memory_free) char *lines = asked();
    ck_assert_ptr_nonnull(strstr(lines,
                                 "  label org.opencontainers.image.source=https://github.com/joezuntz/ngmix_2pt\n"
                                 "  label org.opencontainers.image.revision="));
    cleanup(result_clear) struct result plan = program_run(PLUGINS "plan p.yaml");
    ck_assert_ptr_nonnull(strstr(text_bytes(&plan.out), "shapes.fits")); /* its run.py is known now */
    expect(PLUGINS "images p.yaml --lock", 0, "wrote");
    /* The tag moves; what is locked does not, and needs nobody to ask. */
    program_file("hub/joezuntz/ngmix_2pt/pipeline/docker/Dockerfile", "FROM alpine:3\n");
    git(repository, "commit -qam two");
    git(repository, "tag -f -a v1 -m v1");
    cleanup(result_clear) struct result locked = program_run(PLUGINS "build p.yaml");
    ck_assert_ptr_nonnull(strstr(text_bytes(&locked.out), "n: fetched before: v1 of"));
    forget("descpipe.lock");
    cleanup(result_clear) struct result moved = program_run(PLUGINS "build p.yaml");
    ck_assert_ptr_nonnull(strstr(text_bytes(&moved.out), "n: fetched: v1 of"));
    program_file("p.yaml", "pipeline: {name: p, owner: joezuntz, basename: d, version: 1.0, stages: [n]}\n" BACKEND
                           "n: {github: joezuntz/ngmix_2pt, checkout: nowhere}\n");
    cleanup(result_clear) struct result nowhere = program_run(PLUGINS "build p.yaml");
    ck_assert_int_eq(nowhere.status, 2);
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&nowhere.out), "joezuntz/ngmix_2pt: it has no branch and no tag 'nowhere'"));
    program_file("p.yaml", "pipeline: {name: p, owner: joezuntz, basename: d, version: 1.0, stages: [n]}\n" BACKEND
                           "n: {github: joezuntz/gone}\n");
    expect(PLUGINS "build p.yaml", 4, "");
}
END_TEST

START_TEST(a_run_tells_that_logins_end_where_nobody_renews_them)
{
    image("harbour", "joezuntz_stars_1.0", ONE, MANIFEST_ONE);
    static const char told[] =
        "image 'joezuntz/stars:1.0' is pulled where its stages run; the login of registry 'harbour' ends at "
        "2099-01-01T00:00:00.000Z, and nobody renews it there";
    program_file(
        "p.yaml",
        "pipeline: {name: p, stages: [a]}\nruntime: {backend: away, working: ./work, output: ./out}\nbackends:\n"
        "  away: {scheduler: lighthouse, runtime: {use: shelf, board: board}, registry: {use: harbour, board: "
        "board}}\na: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n");
    program_file("board/nodes", "");
    expect(PLUGINS "run p.yaml", 5, told);
    forget("board/nodes"); /* pulled before it submits, as is the rule */
    cleanup(result_clear) struct result result = program_run(PLUGINS "run p.yaml");
    ck_assert_int_eq(result.status, 5);
    ck_assert_ptr_null(strstr(text_bytes(&result.err), "login of registry"));
    cleanup(memory_free) char *lines = asked();
    ck_assert_ptr_nonnull(strstr(lines, "login of harbour.test/joezuntz/stars:1.0: sailor\n"));
}
END_TEST

/* Logins. */

static int login_with(const char *line, const char *password, struct text *err)
{
    int in[2], out[2];
    ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t pid = program_start(line, (const int[]){in[0], out[1], out[1]});
    close(in[0]);
    close(out[1]);
    ck_assert_int_eq(write(in[1], password, strlen(password)), (ssize_t)strlen(password));
    close(in[1]);
    char buffer[4096];
    for (ssize_t got; (got = read(out[0], buffer, sizeof buffer)) > 0;)
        text_append_bytes(err, buffer, (size_t)got);
    close(out[0]);
    return program_wait(pid);
}

#define LOGIN PLUGINS "login harbour.test -o registry/harbour.board=board "

START_TEST(login_tries_and_keeps)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    ck_assert_int_eq(login_with(LOGIN "-u ada --password-stdin", "right\n", &said), 0);
    ck_assert_str_eq(text_bytes(&said), "descpipe: logged in to 'harbour.test': kept in the harbour's own list\n");
    expect_asked("login harbour.test ada\n");
    text_reset(&said);
    ck_assert_int_eq(login_with(LOGIN "-u ada --password-stdin", "wrong", &said), 4);
    ck_assert_str_eq(text_bytes(&said), "descpipe: error: harbour.test does not take this login\n"
                                        "descpipe: hint: look at the user's name and password\n");
    text_reset(&said);
    ck_assert_int_eq(login_with(LOGIN "-u ada --password-stdin", "\n", &said), 2);
    ck_assert_str_eq(text_bytes(&said), "descpipe: error: the password is empty\n");
    expect(PLUGINS "login https://harbour.test -u a", 2, "'https://harbour.test' is not the host of a registry");
    program_file("config/descpipe/config.yaml", "options: {registry: {harbour: {board: board}}}\n");
    expect(PLUGINS "login mirror.test", 3, "its logins are made from keys"); /* before anything is asked */
    expect(PLUGINS "logout mirror.test", 2, "there is no login for mirror.test");
}
END_TEST

/* A terminal whose own process group the program is not in would stop it; the test's child makes a session. */
static pid_t start_on_terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(*master, 0);
    ck_assert(grantpt(*master) == 0 && unlockpt(*master) == 0);
    char name[64];
    ck_assert_int_eq(ptsname_r(*master, name, sizeof name), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    setsid();
    int slave = open(name, O_RDWR); /* becomes the controlling terminal */
    pid_t program = program_start(LOGIN "-u ada", (const int[]){slave, slave, slave});
    tcsetpgrp(slave, program);
    close(*master);
    _exit(program_wait(program));
}

static bool echoes(int master)
{
    struct termios state;
    ck_assert_int_eq(tcgetattr(master, &state), 0);
    return (state.c_lflag & ECHO) != 0;
}

static void read_until(int master, const char *part)
{
    cleanup(text_clear) struct text seen = TEXT_INIT;
    char buffer[256];
    while (strstr(text_bytes(&seen), part) == NULL) {
        ssize_t got = read(master, buffer, sizeof buffer);
        ck_assert_msg(got > 0, "it ended after %s", text_bytes(&seen));
        text_append_bytes(&seen, buffer, (size_t)got);
        ck_assert_msg(strstr(text_bytes(&seen), "hunter2") == NULL, "the password was echoed");
    }
}

START_TEST(a_password_is_typed_without_an_echo_and_signals_bring_it_back)
{
    int master;
    int status;
    signal(SIGTTOU, SIG_IGN);
    pid_t pid = start_on_terminal(&master);
    read_until(master, "password for harbour.test: ");
    ck_assert(!echoes(master));
    ck_assert_int_eq(write(master, "hunter2\n", 8), 8);
    read_until(master, "does not take this login");
    ck_assert(echoes(master));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), 4);
    close(master);
    pid = start_on_terminal(&master);
    read_until(master, "password for harbour.test: ");
    ck_assert_int_eq(write(master, "\x03", 1), 1); /* Ctrl-C */
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGINT);
    ck_assert(echoes(master));
    close(master);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("images");
    TCase *cases = tcase_create("images");
    tcase_add_checked_fixture(cases, set_up, program_tear_down);
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
    tcase_add_test(cases, build_follows_the_from_lines);
    tcase_add_test(cases, images_that_do_not_need_each_other_are_built_side_by_side);
    tcase_add_test(cases, a_build_that_fails_is_told_with_its_log);
    tcase_add_test(cases, build_refuses_what_cannot_be_built);
    tcase_add_test(cases, make_builds_when_asked);
    tcase_add_test(cases, stages_of_repositories_are_fetched_by_commit);
    tcase_add_test(cases, a_run_tells_that_logins_end_where_nobody_renews_them);
    tcase_add_test(cases, login_tries_and_keeps);
    tcase_add_test(cases, a_password_is_typed_without_an_echo_and_signals_bring_it_back);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
