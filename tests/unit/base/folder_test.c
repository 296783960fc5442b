/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "suite.h"
#include "temporary_folder.h"

static struct error error;
static char *tree; /* where the test works, in the temporary folder */

static void make(void)
{
    temporary_folder_make();
    error = ERROR_INIT;
    tree = temporary_path("tree");
}

static void remove_all(void)
{
    error_clear(&error);
    free(tree);
    temporary_folder_remove();
}

static void make_folder(const char *name, mode_t mode)
{
    cleanup(memory_free) char *path = temporary_path(name);
    ck_assert_msg(mkdir(path, mode) == 0, "%s", name);
}

static void make_file(const char *name, const char *content)
{
    cleanup(memory_free) char *path = temporary_path(name);
    put_file(path, content);
}

static bool is_there(const char *name)
{
    cleanup(memory_free) char *path = temporary_path(name);
    struct stat status;
    return lstat(path, &status) == 0;
}

START_TEST(makes_every_folder_of_a_path)
{
    cleanup(memory_free) char *path = temporary_path("a/b//c/");
    umask(0);
    ck_assert(folder_make(path, 0750, &error));
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0750);
    ck_assert(folder_make(path, 0750, &error));
    make_file("file", "");
    cleanup(memory_free) char *file = temporary_path("file");
    ck_assert(!folder_make(file, 0700, &error));
    cleanup(memory_free) char *below = temporary_path("file/x/y");
    ck_assert(!folder_make(below, 0700, &error));
    cleanup(memory_free) char *expected = memory_format("cannot make the folder '%s': Not a directory", below);
    ck_assert_str_eq(error.message, expected);
}
END_TEST

START_TEST(removes_trees_and_never_what_links_name)
{
    make_folder("tree", 0700);
    make_folder("tree/a", 0700);
    make_folder("tree/a/b", 0700);
    make_folder("tree/empty", 0700);
    make_file("tree/a/b/file", "x");
    make_folder("precious", 0700);
    make_file("precious/file", "keep");
    cleanup(memory_free) char *target = temporary_path("precious");
    cleanup(memory_free) char *link = temporary_path("tree/a/link");
    ck_assert_int_eq(symlink(target, link), 0);
    cleanup(memory_free) char *fifo = temporary_path("tree/fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert(folder_remove(tree, &error));
    ck_assert(!is_there("tree"));
    ck_assert(is_there("precious/file"));
    ck_assert(folder_remove(tree, &error)); /* missing is fine */
    ck_assert_int_eq(symlink(target, tree), 0);
    ck_assert(folder_remove(tree, &error)); /* a link at the top goes, what it names stays */
    ck_assert(!is_there("tree"));
    ck_assert(is_there("precious/file"));
    make_file("tree", "a file");
    ck_assert(folder_remove(tree, &error));
    ck_assert(!is_there("tree"));
}
END_TEST

START_TEST(takes_a_slash_at_the_end)
{
    make_folder("tree", 0700);
    make_folder("tree/a", 0700);
    cleanup(memory_free) char *slashed = temporary_path("tree//");
    ck_assert(folder_remove(slashed, &error));
    ck_assert(!is_there("tree"));
}
END_TEST

/* Deeper than paths can be named, than descriptors last and than a recursion would bear. */
START_TEST(removes_any_depth)
{
    enum { DEPTH = 3000 };
    make_folder("tree", 0700);
    cleanup(descriptor_close) int folder = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        ck_assert_int_eq(mkdirat(folder, "quite-a-long-name-for-a-folder", 0700), 0);
        ck_assert_int_eq(mkdirat(folder, "side", 0700), 0);
        cleanup(descriptor_close) int file = openat(folder, "side/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_ge(file, 0);
        int next = openat(folder, "quite-a-long-name-for-a-folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(next, 0);
        close(folder);
        folder = next;
    }
    ck_assert_msg(folder_remove(tree, &error), "%s", error.message);
    ck_assert(!is_there("tree"));
}
END_TEST

START_TEST(removes_many_filled_folders)
{
    make_folder("tree", 0700);
    for (int i = 0; i < 2000; i++) {
        char name[64];
        snprintf(name, sizeof name, "tree/%d", i);
        make_folder(name, 0700);
        snprintf(name, sizeof name, "tree/%d/file", i);
        make_file(name, "");
    }
    ck_assert_msg(folder_remove(tree, &error), "%s", error.message);
    ck_assert(!is_there("tree"));
}
END_TEST

/* As somebody who is not root, to whom rights mean something. */
static void become_nobody(void)
{
    ck_assert_int_eq(chmod(temporary_folder, 0777), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
}

static void become_root_again(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}

START_TEST(removes_own_folders_without_rights)
{
    become_nobody();
    make_folder("tree", 0700);
    make_folder("tree/closed", 0700);
    make_folder("tree/closed/deeper", 0700);
    make_file("tree/closed/deeper/file", "x");
    make_folder("tree/read-only", 0700);
    make_file("tree/read-only/file", "x");
    static const struct {
        const char *name;
        mode_t mode;
    } modes[] = {{"tree/closed/deeper", 0400}, {"tree/closed", 0}, {"tree/read-only", 0500}, {"tree", 0100}};
    for (size_t i = 0; i < 4; i++) {
        cleanup(memory_free) char *path = temporary_path(modes[i].name);
        ck_assert_int_eq(chmod(path, modes[i].mode), 0);
    }
    bool removed = folder_remove(tree, &error);
    become_root_again();
    ck_assert_msg(removed, "%s", error.message);
    ck_assert(!is_there("tree"));
}
END_TEST

START_TEST(says_what_it_may_not_remove)
{
    if (geteuid() != 0)
        return; /* nobody else's folder can be made */
    make_folder("tree", 0777);
    make_folder("tree/others", 0755);
    make_file("tree/others/file", "x");
    ck_assert_int_eq(chmod(tree, 0777), 0);
    become_nobody();
    bool removed = folder_remove(tree, &error);
    become_root_again();
    ck_assert(!removed);
    cleanup(memory_free) char *expected = memory_format("cannot remove 'file' of '%s': Permission denied", tree);
    ck_assert_str_eq(error.message, expected);
    ck_assert(is_there("tree/others/file"));
}
END_TEST

/* A mount of the same file system has the same device number: only its being a mount gives it away. */
START_TEST(stays_out_of_mounts)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
        return; /* not allowed here */
    make_folder("tree", 0700);
    make_folder("tree/mounted", 0700);
    make_folder("precious", 0700);
    make_file("precious/file", "keep");
    cleanup(memory_free) char *from = temporary_path("precious");
    cleanup(memory_free) char *to = temporary_path("tree/mounted");
    ck_assert_int_eq(mount(from, to, "none", MS_BIND, NULL), 0);
    bool removed = folder_remove(tree, &error);
    ck_assert_int_eq(umount(to), 0);
    ck_assert(!removed);
    cleanup(memory_free) char *expected =
        memory_format("cannot remove '%s': something is mounted on 'mounted' in it", tree);
    ck_assert_str_eq(error.message, expected);
    ck_assert(is_there("precious/file"));
}
END_TEST

START_TEST(places_a_tree_whole)
{
    make_folder("from", 0700);
    make_folder("from/sub", 0750);
    make_file("from/sub/file", "content");
    make_file("from/top", "top");
    cleanup(memory_free) char *link = temporary_path("from/link");
    ck_assert_int_eq(symlink("sub/file", link), 0);
    cleanup(memory_free) char *read_only = temporary_path("from/sub");
    ck_assert_int_eq(chmod(read_only, 0550), 0);
    cleanup(memory_free) char *from = temporary_path("from");
    for (int round = 0; round < 2; round++) { /* the second replaces the first */
        ck_assert_msg(folder_place(from, tree, round == 0 ? FILE_MAY_LINK : 0, FOLDER_LINKS_KEPT, &error), "%s", error.message);
        cleanup(memory_free) char *file = temporary_path("tree/sub/file");
        check_file(file, "content");
        struct stat left, right;
        cleanup(memory_free) char *original = temporary_path("from/sub/file");
        ck_assert(stat(file, &right) == 0 && stat(original, &left) == 0);
        ck_assert_int_eq(left.st_ino == right.st_ino, round == 0);
        cleanup(memory_free) char *sub = temporary_path("tree/sub");
        ck_assert(stat(sub, &right) == 0 && stat(read_only, &left) == 0);
        ck_assert_uint_eq(right.st_mode & 07777, 0550);
        ck_assert_int_eq(left.st_mtim.tv_sec, right.st_mtim.tv_sec);
        ck_assert_int_eq(left.st_mtim.tv_nsec, right.st_mtim.tv_nsec);
        char target[64] = "";
        cleanup(memory_free) char *copied = temporary_path("tree/link");
        ck_assert_int_eq(readlink(copied, target, sizeof target - 1), 8);
        ck_assert_str_eq(target, "sub/file");
        ck_assert_uint_eq(count_entries(temporary_folder), 2);
    }
}
END_TEST

START_TEST(a_tree_with_something_else_in_it_is_refused_and_the_old_one_stays)
{
    make_folder("from", 0700);
    make_file("from/file", "x");
    make_folder("from/sub", 0700);
    cleanup(memory_free) char *fifo = temporary_path("from/sub/fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    make_folder("tree", 0700);
    make_file("tree/old", "old");
    cleanup(memory_free) char *from = temporary_path("from");
    ck_assert(!folder_place(from, tree, FILE_MAY_LINK, FOLDER_LINKS_KEPT, &error));
    cleanup(memory_free) char *expected = memory_format("'%s' is a FIFO, not a regular file", fifo);
    ck_assert_str_eq(error.message, expected);
    ck_assert(is_there("tree/old"));
    ck_assert_uint_eq(count_entries(temporary_folder), 2);
}
END_TEST

START_TEST(a_tree_too_deep_is_refused)
{
    cleanup(text_clear) struct text path = TEXT_INIT;
    text_append(&path, temporary_folder);
    text_append(&path, "/from");
    for (int i = 0; i <= FOLDER_DEPTH_LIMIT; i++) {
        ck_assert_int_eq(mkdir(path.bytes, 0700), 0);
        if (i < FOLDER_DEPTH_LIMIT)
            text_append(&path, "/d");
    }
    cleanup(memory_free) char *from = temporary_path("from");
    ck_assert(!folder_place(from, tree, FILE_MAY_LINK, FOLDER_LINKS_KEPT, &error));
    cleanup(memory_free) char *expected = memory_format("'%s' lies deeper than 100 folders", path.bytes);
    ck_assert_str_eq(error.message, expected);
    ck_assert_uint_eq(count_entries(temporary_folder), 1);
    ck_assert_int_eq(rmdir(path.bytes), 0);
    ck_assert_msg(folder_place(from, tree, FILE_MAY_LINK, FOLDER_LINKS_KEPT, &error), "%s", error.message);
}
END_TEST

START_TEST(a_link_at_the_top_is_not_followed)
{
    cleanup(memory_free) char *link = temporary_path("link");
    ck_assert_int_eq(symlink("/etc", link), 0);
    ck_assert(!folder_place(link, tree, FILE_MAY_LINK, FOLDER_LINKS_KEPT, &error));
    cleanup(memory_free) char *expected = memory_format("cannot open the folder '%s': Not a directory", link);
    ck_assert_str_eq(error.message, expected);
    ck_assert(folder_sync(temporary_folder, &error));
    ck_assert(!folder_sync(tree, &error));
}
END_TEST

static const struct {
    const char *target;
    bool inside;
} links[] = {
    {"x", true},          {"../top", true},     {"./y/./z", true}, {"nowhere", true}, {"/etc/passwd", false},
    {"../../out", false}, {"y/../../z", false}, {"y/../z", false}, {"..", true},      {"../..", false},
};

START_TEST(places_links_that_stay_inside_and_refuses_others)
{
    cleanup(memory_free) char *from = temporary_path("from"), *inner = temporary_path("from/inner");
    cleanup(memory_free) char *link = temporary_path("from/inner/link"), *to = temporary_path("to");
    ck_assert(mkdir(from, 0755) == 0 && mkdir(inner, 0755) == 0 && symlink(links[_i].target, link) == 0);
    ck_assert_int_eq(folder_place(from, to, FILE_MAY_LINK, FOLDER_LINKS_INSIDE, &error), links[_i].inside);
    if (!links[_i].inside) {
        cleanup(memory_free) char *message =
            memory_format("'%s' is a link to '%s', which may lead out of the folder", link, links[_i].target);
        ck_assert_str_eq(error.message, message);
        ck_assert(access(to, F_OK) != 0);
    }
    cleanup(memory_free) char *kept = temporary_path("kept");
    ck_assert(folder_place(from, kept, FILE_MAY_LINK, FOLDER_LINKS_KEPT, &error));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("folder");
    tcase_add_checked_fixture(tests, make, remove_all);
    tcase_add_loop_test(tests, places_links_that_stay_inside_and_refuses_others, 0, sizeof links / sizeof *links);
    tcase_add_test(tests, makes_every_folder_of_a_path);
    tcase_add_test(tests, removes_trees_and_never_what_links_name);
    tcase_add_test(tests, takes_a_slash_at_the_end);
    tcase_add_test(tests, removes_any_depth);
    tcase_add_test(tests, removes_many_filled_folders);
    tcase_add_test(tests, removes_own_folders_without_rights);
    tcase_add_test(tests, says_what_it_may_not_remove);
    tcase_add_test(tests, stays_out_of_mounts);
    tcase_add_test(tests, places_a_tree_whole);
    tcase_add_test(tests, a_tree_with_something_else_in_it_is_refused_and_the_old_one_stays);
    tcase_add_test(tests, a_tree_too_deep_is_refused);
    tcase_add_test(tests, a_link_at_the_top_is_not_followed);
    return run_case("folder", tests);
}
