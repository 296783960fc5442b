/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "suite.h"
#include "temporary_folder.h"

static struct error error;

static void make(void)
{
    temporary_folder_make();
    error = ERROR_INIT;
}

static void remove_all(void)
{
    error_clear(&error);
    temporary_folder_remove();
}

#define check_error(kind_, ...)                                                                                        \
    do {                                                                                                               \
        cleanup(memory_free) char *expected = memory_format(__VA_ARGS__);                                              \
        ck_assert_str_eq(error.message, expected);                                                                     \
        ck_assert_int_eq(error.kind, kind_);                                                                           \
    } while (0)

START_TEST(reads_up_to_its_limit)
{
    cleanup(memory_free) char *path = temporary_path("file");
    put_file(path, "12345");
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "<");
    ck_assert(file_read(path, 5, &text, &error));
    ck_assert_str_eq(text.bytes, "<12345");
    ck_assert(!file_read(path, 4, &text, &error));
    check_error(ERROR_INPUT, "'%s' is larger than the limit of 4 B", path);
    ck_assert_str_eq(text.bytes, "<12345");
    put_file(path, "");
    ck_assert(file_read(path, 0, &text, &error));
    ck_assert_str_eq(text.bytes, "<12345");
}
END_TEST

START_TEST(reads_files_that_say_they_are_empty)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read("/proc/self/status", 65536, &text, &error));
    ck_assert(text_starts_with(text_bytes(&text), "Name:"));
    size_t before = text.length;
    ck_assert(!file_read("/proc/self/status", 10, &text, &error));
    check_error(ERROR_INPUT, "'/proc/self/status' is larger than the limit of 10 B");
    ck_assert_uint_eq(text.length, before);
}
END_TEST

/* A FIFO without a writer would hold an open for ever: this test would then run into its timeout. */
START_TEST(refuses_what_is_no_regular_file)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(memory_free) char *fifo = temporary_path("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert(!file_read(fifo, 10, &text, &error));
    check_error(ERROR_INPUT, "'%s' is a FIFO, not a regular file", fifo);
    ck_assert(!file_read(temporary_folder, 10, &text, &error));
    check_error(ERROR_INPUT, "'%s' is a folder, not a regular file", temporary_folder);
    ck_assert(!file_read("/dev/zero", 10, &text, &error));
    check_error(ERROR_INPUT, "'/dev/zero' is a device, not a regular file");
    cleanup(memory_free) char *path = temporary_path("socket");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cleanup(descriptor_close) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert(!file_read(path, 10, &text, &error));
    check_error(ERROR_INPUT, "'%s' is a socket or device, not a regular file", path);
    ck_assert(!file_read("/nowhere", 10, &text, &error));
    check_error(ERROR_SYSTEM, "cannot open '/nowhere': No such file or directory");
}
END_TEST

static bool next_letter(void *context, struct text *piece)
{
    char *letter = context;
    if (*letter > 'e')
        return false;
    for (unsigned i = 0; i < 3; i++)
        text_append_character(piece, *letter);
    ++*letter;
    return true;
}

START_TEST(writes_pieces_one_after_the_other_and_all_or_none)
{
    cleanup(memory_free) char *path = temporary_path("file");
    char letter = 'a', again = 'a';
    ck_assert(file_write_pieces(path, (struct file_pieces){next_letter, &letter}, 0666, &error));
    check_file(path, "aaabbbcccdddeee");
    ck_assert(
        file_write_pieces(path, (struct file_pieces){next_letter, &letter}, 0666, &error)); /* there are no more */
    check_file(path, "");
    struct rlimit kept, little = {.rlim_cur = 7};
    getrlimit(RLIMIT_FSIZE, &kept);
    little.rlim_max = kept.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &little);
    bool written = file_write_pieces(path, (struct file_pieces){next_letter, &again}, 0666, &error);
    setrlimit(RLIMIT_FSIZE, &kept);
    ck_assert(!written);
    check_error(ERROR_SYSTEM, "cannot write '%s': cannot write: File too large", path);
    check_file(path, "");
    ck_assert_uint_eq(count_entries(temporary_folder), 1);
}
END_TEST

START_TEST(writes_whole_files_and_leaves_nothing_else)
{
    cleanup(memory_free) char *path = temporary_path("file");
    umask(022);
    ck_assert(file_write(path, "first", 5, 0666, &error));
    check_file(path, "first");
    struct stat before, after;
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_uint_eq(before.st_mode & 07777, 0644);
    ck_assert(file_write(path, "", 0, 0600, &error));
    check_file(path, "");
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_uint_eq(after.st_mode & 07777, 0600);
    ck_assert_uint_ne(before.st_ino, after.st_ino); /* replaced, not written over */
    ck_assert_uint_eq(count_entries(temporary_folder), 1);
}
END_TEST

START_TEST(writes_over_a_link_and_not_through_it)
{
    cleanup(memory_free) char *target = temporary_path("target");
    cleanup(memory_free) char *link = temporary_path("link");
    put_file(target, "precious");
    ck_assert_int_eq(symlink(target, link), 0);
    ck_assert(file_write(link, "new", 3, 0600, &error));
    check_file(target, "precious");
    check_file(link, "new");
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file_and_nothing_else)
{
    cleanup(memory_free) char *path = temporary_path("file");
    put_file(path, "old");
    cleanup(memory_free) char *large = memory_allocate(100000);
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(!file_write(path, large, 100000, 0600, &error));
    check_error(ERROR_SYSTEM, "cannot write '%s': cannot write: File too large", path);
    check_file(path, "old");
    ck_assert_uint_eq(count_entries(temporary_folder), 1);
    cleanup(memory_free) char *folder = temporary_path("folder");
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(!file_write(folder, "x", 1, 0600, &error));
    check_error(ERROR_SYSTEM, "cannot write '%s': cannot rename: Is a directory", folder);
    ck_assert_uint_eq(count_entries(temporary_folder), 2);
    cleanup(memory_free) char *nowhere = temporary_path("no/where");
    ck_assert(!file_write(nowhere, "x", 1, 0600, &error));
    check_error(ERROR_SYSTEM, "cannot write '%s': cannot open the folder '%s/no': No such file or directory", nowhere,
                temporary_folder);
}
END_TEST

static void *drain(void *context)
{
    int descriptor = *(int *)context;
    static char bytes[65536];
    size_t all = 0;
    for (ssize_t got; (got = read(descriptor, bytes, sizeof bytes)) > 0;)
        all += (size_t)got;
    return (void *)(uintptr_t)all;
}

START_TEST(descriptor_write_waits_for_room)
{
    enum { BYTES = 3000000 };
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, drain, &ends[0]), 0);
    cleanup(memory_free) char *bytes = memory_allocate(BYTES);
    ck_assert(descriptor_write(ends[1], bytes, BYTES, &error));
    close(ends[1]);
    void *all;
    pthread_join(reader, &all);
    ck_assert_uint_eq((uintptr_t)all, BYTES);
    close(ends[0]);
    ck_assert(!descriptor_write(-1, "x", 1, &error));
    check_error(ERROR_SYSTEM, "cannot write: Bad file descriptor");
}
END_TEST

START_TEST(descriptor_close_keeps_errno_and_takes_none)
{
    errno = EDOM;
    descriptor_close(-1);
    descriptor_close(9999);
    ck_assert_int_eq(errno, EDOM);
}
END_TEST

START_TEST(places_by_link_where_it_may)
{
    cleanup(memory_free) char *from = temporary_path("from");
    cleanup(memory_free) char *to = temporary_path("to");
    const char *how = NULL;
    put_file(from, "content");
    put_file(to, "old");
    ck_assert(file_place(from, to, FILE_MAY_LINK, &how, &error));
    ck_assert_str_eq(how, "link");
    struct stat left, right;
    ck_assert(stat(from, &left) == 0 && stat(to, &right) == 0);
    ck_assert_uint_eq(left.st_ino, right.st_ino);
    ck_assert(file_place(from, to, FILE_MAY_LINK, &how,
                         &error)); /* onto itself: rename alone would leave the temporary name */
    ck_assert_uint_eq(count_entries(temporary_folder), 2);
    ck_assert(stat(from, &left) == 0);
    ck_assert_uint_eq(left.st_nlink, 2);
}
END_TEST

START_TEST(places_by_copy_with_mode_and_time)
{
    cleanup(memory_free) char *from = temporary_path("from");
    cleanup(memory_free) char *to = temporary_path("to");
    const char *how = NULL;
    put_file(from, "content");
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1234567890, .tv_nsec = 987654000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, from, times, 0), 0);
    ck_assert_int_eq(chmod(from, 0750), 0);
    ck_assert(file_place(from, to, 0, &how, &error));
    ck_assert(text_equal(how, "copy") || text_equal(how, "reflink"));
    check_file(to, "content");
    struct stat left, right;
    ck_assert(stat(from, &left) == 0 && stat(to, &right) == 0);
    ck_assert_uint_ne(left.st_ino, right.st_ino);
    ck_assert_uint_eq(right.st_mode & 07777, 0750);
    ck_assert_int_eq(right.st_mtim.tv_sec, 1234567890);
    ck_assert_int_eq(right.st_mtim.tv_nsec, 987654000);
}
END_TEST

START_TEST(set_id_bits_do_not_come_along)
{
    cleanup(memory_free) char *from = temporary_path("from");
    cleanup(memory_free) char *to = temporary_path("to");
    const char *how = NULL;
    put_file(from, "content");
    ck_assert_int_eq(chmod(from, 06755), 0);
    ck_assert(file_place(from, to, FILE_MAY_LINK, &how, &error));
    ck_assert_str_ne(how, "link");
    struct stat status;
    ck_assert_int_eq(stat(to, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0755);
}
END_TEST

START_TEST(copies_over_file_systems)
{
    struct stat here, there;
    if (stat("/dev/shm", &there) != 0 || stat(temporary_folder, &here) != 0 || here.st_dev == there.st_dev)
        return; /* one file system only: nothing to see */
    char from[] = "/dev/shm/descpipe-test-XXXXXX";
    cleanup(descriptor_close) int descriptor = mkstemp(from);
    ck_assert_int_ge(descriptor, 0);
    cleanup(memory_free) char *large = memory_allocate(1000001);
    memset(large, 'x', 1000000);
    ck_assert(descriptor_write(descriptor, large, 1000000, &error));
    cleanup(memory_free) char *to = temporary_path("to");
    const char *how = NULL;
    ck_assert(file_place(from, to, FILE_MAY_LINK, &how, &error));
    unlink(from);
    ck_assert_str_eq(how, "copy");
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read(to, 2000000, &text, &error));
    ck_assert_uint_eq(text.length, 1000000);
    ck_assert_mem_eq(text.bytes, large, 1000000);
}
END_TEST

START_TEST(places_only_regular_files)
{
    cleanup(memory_free) char *link = temporary_path("link");
    cleanup(memory_free) char *fifo = temporary_path("fifo");
    cleanup(memory_free) char *to = temporary_path("to");
    ck_assert_int_eq(symlink("/etc/passwd", link), 0);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert(!file_place(link, to, FILE_MAY_LINK, NULL, &error));
    check_error(ERROR_INPUT, "'%s' is a symbolic link, not a regular file", link);
    ck_assert(!file_place(fifo, to, FILE_MAY_LINK, NULL, &error));
    check_error(ERROR_INPUT, "'%s' is a FIFO, not a regular file", fifo);
    ck_assert(!file_place(temporary_folder, to, FILE_MAY_LINK, NULL, &error));
    check_error(ERROR_INPUT, "'%s' is a folder, not a regular file", temporary_folder);
    ck_assert(!file_exists(to));
    ck_assert(!file_place("/etc/passwd", "/nowhere/to", 0, NULL, &error));
    check_error(ERROR_SYSTEM, "cannot open the folder '/nowhere': No such file or directory");
    cleanup(memory_free) char *folder = temporary_path("folder");
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(!file_place("/etc/passwd", folder, 0, NULL, &error));
    check_error(ERROR_SYSTEM, "cannot put '%s' in place: Is a directory", folder);
    ck_assert_uint_eq(count_entries(temporary_folder), 3);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, make, remove_all);
    tcase_add_test(tests, reads_up_to_its_limit);
    tcase_add_test(tests, reads_files_that_say_they_are_empty);
    tcase_add_test(tests, refuses_what_is_no_regular_file);
    tcase_add_test(tests, writes_pieces_one_after_the_other_and_all_or_none);
    tcase_add_test(tests, writes_whole_files_and_leaves_nothing_else);
    tcase_add_test(tests, writes_over_a_link_and_not_through_it);
    tcase_add_test(tests, a_failed_write_leaves_the_old_file_and_nothing_else);
    tcase_add_test(tests, descriptor_write_waits_for_room);
    tcase_add_test(tests, descriptor_close_keeps_errno_and_takes_none);
    tcase_add_test(tests, places_by_link_where_it_may);
    tcase_add_test(tests, places_by_copy_with_mode_and_time);
    tcase_add_test(tests, set_id_bits_do_not_come_along);
    tcase_add_test(tests, copies_over_file_systems);
    tcase_add_test(tests, places_only_regular_files);
    return run_case("file", tests);
}
