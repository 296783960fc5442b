/* SPDX-License-Identifier: BSD-3-Clause */
/* `shared-cache`: what one working folder has made, another one need not make again; and nothing there is believed. */
#include <check.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "program.h"
#include "suite.h"

#define PIPELINE                                                                                                       \
    "pipeline: {name: group, stages: [one, two, tree]}\n"                                                              \
    "runtime: {backend: here%s}\n"                                                                                     \
    "backends: {here: {scheduler: sequential, runtime: host}}\n"                                                       \
    "one: {outputs: {a: txt}, command: [/bin/sh, -c, 'echo ran; echo content > a.txt']}\n"                             \
    "two: {inputs: {a: txt}, outputs: {b: txt}, command: [/bin/sh, -c, 'sed s/^/more/ \"$$DESC_INPUT/a.txt\" > "       \
    "b.txt']}\n"                                                                                                       \
    "tree: {outputs: {t: /}, command: [/bin/sh, -c, 'mkdir -p t/deep && echo leaf > t/deep/leaf']}\n"

static char *group;

static void set_up(void)
{
    program_set_up();
    group = path_join(program_folder, "group");
    ck_assert(mkdir(group, 0777) == 0 && chmod(group, 02775) == 0);
    cleanup(memory_free) char *shared = memory_format(", shared-cache: %s", group);
    cleanup(memory_free) char *text = memory_format(PIPELINE, shared);
    program_file("p.yaml", text);
}

static void tear_down(void)
{
    memory_free(group);
    program_tear_down();
}

/* A run with folders of its own; how many of its three stages were taken. */
static unsigned taken(const char *who, const char *said)
{
    cleanup(memory_free) char *line =
        memory_format("--plugin-dir " PLUGINS " run p.yaml --working %s --output %s.out", who, who);
    cleanup(result_clear) struct result run = program_run(line);
    ck_assert_msg(run.status == 0, "exit %d:\n%s%s", run.status, text_bytes(&run.out), text_bytes(&run.err));
    ck_assert_msg(said == NULL || strstr(text_bytes(&run.err), said) != NULL, "no '%s' in:\n%s", said,
                  text_bytes(&run.err));
    ck_assert_msg(said != NULL || strstr(text_bytes(&run.err), "warning") == NULL, "%s", text_bytes(&run.err));
    cleanup(memory_free) char *leaf = memory_format("%s/%s.out/t/deep/leaf", program_folder, who);
    cleanup(memory_free) char *last = memory_format("%s/%s.out/b.txt", program_folder, who);
    cleanup(text_clear) struct text tree = TEXT_INIT, text = TEXT_INIT;
    ck_assert(file_read(leaf, 100, &tree, NULL) && file_read(last, 100, &text, NULL));
    ck_assert_str_eq(text_bytes(&tree), "leaf\n");
    ck_assert_str_eq(text_bytes(&text), "morecontent\n");
    unsigned count = 0;
    for (const char *at = text_bytes(&run.out); (at = strstr(at, " cached: made by ")) != NULL; at++)
        count++;
    return count;
}

START_TEST(what_one_has_made_the_other_takes)
{
    ck_assert_uint_eq(taken("ann", NULL), 0);
    ck_assert_uint_eq(taken("bob", NULL), 3);
    ck_assert_uint_eq(taken("bob", NULL), 3); /* by now they are its own */
    cleanup(memory_free) char *content = path_join(group, "content");
    struct stat status;
    ck_assert_int_eq(stat(content, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 02775);
}
END_TEST

/* What lies two steps below gets another content: a file, or the one file of a folder. */
static void spoil(const char *kind)
{
    cleanup(memory_free) char *folder = path_join(group, kind);
    DIR *letters = opendir(folder);
    ck_assert_ptr_nonnull(letters);
    for (const struct dirent *letter; (letter = readdir(letters)) != NULL;) {
        cleanup(memory_free) char *below = path_join(folder, letter->d_name);
        DIR *files = letter->d_name[0] != '.' ? opendir(below) : NULL;
        for (const struct dirent *file; files != NULL && (file = readdir(files)) != NULL;) {
            cleanup(memory_free) char *path = path_join(below, file->d_name);
            cleanup(memory_free) char *leaf = path_join(path, "deep/leaf");
            const char *spoilt = file_exists(leaf) ? leaf : path;
            struct stat status;
            if (stat(spoilt, &status) == 0 && S_ISREG(status.st_mode))
                ck_assert(file_write(spoilt, "lead\n", 5, 0644, NULL));
        }
        if (files != NULL)
            closedir(files);
    }
    closedir(letters);
}

START_TEST(what_is_not_what_its_name_says_is_made_again)
{
    ck_assert_uint_eq(taken("ann", NULL), 0);
    spoil("content");
    ck_assert_uint_eq(taken("bob", "is not what its name says"), 0);
    ck_assert_uint_eq(taken("eve", NULL), 3); /* bob's are there now */
    spoil("results");
    ck_assert_uint_eq(taken("joe", "cannot be understood"), 0);
    ck_assert_uint_eq(taken("kim", NULL), 3);
}
END_TEST

START_TEST(a_folder_that_anybody_may_write_to_is_not_used)
{
    ck_assert_int_eq(chmod(group, 0777), 0);
    ck_assert_uint_eq(taken("ann", "is not used: anybody may write to it"), 0);
    ck_assert_int_eq(rmdir(group), 0); /* it is empty, and then gone */
    ck_assert_uint_eq(taken("bob", "cannot be used: No such file or directory"), 0);
}
END_TEST

START_TEST(a_site_may_say_it)
{
    cleanup(memory_free) char *config = memory_format("shared-cache: %s\n", group);
    cleanup(memory_free) char *text = memory_format(PIPELINE, "");
    program_file("p.yaml", text);
    program_file("config/descpipe/config.yaml", config);
    ck_assert_uint_eq(taken("ann", NULL), 0);
    ck_assert_uint_eq(taken("bob", NULL), 3);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_one_has_made_the_other_takes, what_is_not_what_its_name_says_is_made_again,
                                  a_folder_that_anybody_may_write_to_is_not_used, a_site_may_say_it, NULL};
    return suite_run("shared", tests, set_up, tear_down);
}
