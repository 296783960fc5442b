/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe build`: stage folders, repositories and make, with a scripted runtime that builds. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "board_world.h"
#include "suite.h"

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
    cleanup(memory_free) char *lines = board_asked();
    /* With another user the folders beside the stages are somebody else's images: the tool gets them. */
    ck_assert_ptr_nonnull(strstr(lines, "build z Dockerfile flags 3\n  called joezuntz/desc-pipe-z:1.0\n"
                                        "  called harbour.test/joezuntz/desc-pipe-z:1.0\n"));
    ck_assert_ptr_nonnull(strstr(lines, "build y dockerfile flags 1\n")); /* no registry has x yet */
    ck_assert_ptr_nonnull(strstr(lines, "  argument speed=9\n"));
    ck_assert_ptr_null(strstr(lines, "build base"));
    cleanup(result_clear) struct result one = program_run(PLUGINS "build p.yaml y");
    ck_assert_int_eq(one.status, 0);
    cleanup(memory_free) char *one_asked = board_asked();
    ck_assert_ptr_nonnull(strstr(one_asked, "build y dockerfile flags 0\n  called joezuntz/desc-pipe-y:1.0\n"));
    ck_assert_ptr_nonnull(strstr(one_asked, "build x Dockerfile")); /* it is made from that */
    ck_assert_ptr_null(strstr(one_asked, "build z"));
    cleanup(result_clear) struct result order = program_run(PLUGINS "build p.yaml");
    ck_assert_int_eq(order.status, 0);
    cleanup(memory_free) char *built = board_asked();
    const char *base = strstr(built, "build base D"), *mpi = strstr(built, "build base-mpi D"),
               *x = strstr(built, "build x D"), *y = strstr(built, "build y d");
    ck_assert(base != NULL && mpi != NULL && x != NULL && y != NULL);
    ck_assert(base < mpi && mpi < x && x < y);
    ck_assert_ptr_nonnull(strstr(built, "  called joezuntz/desc-pipe-base-mpi:1.0\n  argument user=joezuntz\n"));
    board_expect(PLUGINS "plan p.yaml", 0, "");
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
    cleanup(memory_free) char *lines = board_asked();
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
    board_expect(PLUGINS "build p.yaml --build-arg spede=1", 2, "--build-arg spede: no Dockerfile here has ARG spede");
    board_expect(PLUGINS "build p.yaml --build-arg speed", 2, "--build-arg speed: it has no value");
    board_expect(PLUGINS "build p.yaml --tool kaniko", 2, "option '--tool' cannot be 'kaniko'");
    program_file("images/base/Dockerfile", "FROM joezuntz/desc-pipe-y:1.0\n");
    board_expect(PLUGINS "build p.yaml", 2, "these images are made from each other: ");
    board_forget("images/z/Dockerfile");
    board_expect(PLUGINS "build p.yaml z", 2, "'z' cannot be built: '");
    program_file("p.yaml", STARS);
    board_expect(PLUGINS "build p.yaml", 2, "there is nothing to build: the pipeline names no folders of images");
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
    board_forget("images/Makefile");
    board_expect(PLUGINS "build p.yaml z --tool make", 2, "");
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
    cleanup(memory_free) char *lines = board_asked();
    ck_assert_ptr_nonnull(strstr(lines,
                                 "  label org.opencontainers.image.source=https://github.com/joezuntz/ngmix_2pt\n"
                                 "  label org.opencontainers.image.revision="));
    cleanup(result_clear) struct result plan = program_run(PLUGINS "plan p.yaml");
    ck_assert_ptr_nonnull(strstr(text_bytes(&plan.out), "shapes.fits")); /* its run.py is known now */
    board_expect(PLUGINS "images p.yaml --lock", 0, "wrote");
    /* The tag moves; what is locked does not, and needs nobody to ask. */
    program_file("hub/joezuntz/ngmix_2pt/pipeline/docker/Dockerfile", "FROM alpine:3\n");
    git(repository, "commit -qam two");
    git(repository, "tag -f -a v1 -m v1");
    cleanup(result_clear) struct result locked = program_run(PLUGINS "build p.yaml");
    ck_assert_ptr_nonnull(strstr(text_bytes(&locked.out), "n: fetched before: v1 of"));
    board_forget("descpipe.lock");
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
    board_expect(PLUGINS "build p.yaml", 4, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("build");
    TCase *cases = tcase_create("build");
    tcase_add_checked_fixture(cases, board_set_up, program_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, build_follows_the_from_lines);
    tcase_add_test(cases, images_that_do_not_need_each_other_are_built_side_by_side);
    tcase_add_test(cases, a_build_that_fails_is_told_with_its_log);
    tcase_add_test(cases, build_refuses_what_cannot_be_built);
    tcase_add_test(cases, make_builds_when_asked);
    tcase_add_test(cases, stages_of_repositories_are_fetched_by_commit);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
