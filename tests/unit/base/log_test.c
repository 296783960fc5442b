/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "suite.h"

/* A socket that keeps messages apart: each read gives exactly one write. */
static int ends[2];

static void open_ends(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    log_to(ends[1]);
}

static void close_ends(void)
{
    log_to(STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
}

static const char *next_write(void)
{
    static char bytes[65536];
    ssize_t length = recv(ends[0], bytes, sizeof bytes - 1, 0);
    if (length < 0)
        return NULL;
    bytes[length] = '\0';
    return bytes;
}

START_TEST(each_level_has_its_line)
{
    log_set_level(LOG_LEVEL_DEBUG);
    log_write(LOG_LEVEL_ERROR, "e %d", 1);
    ck_assert_str_eq(next_write(), "descpipe: error: e 1\n");
    log_warning("w");
    ck_assert_str_eq(next_write(), "descpipe: warning: w\n");
    log_notice("n");
    ck_assert_str_eq(next_write(), "descpipe: n\n");
    log_debug("d");
    ck_assert_str_eq(next_write(), "descpipe: debug: d\n");
}
END_TEST

START_TEST(what_is_above_the_level_is_not_written)
{
    log_debug("hidden");
    ck_assert_ptr_null(next_write());
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("hidden");
    log_notice("hidden");
    ck_assert_ptr_null(next_write());
}
END_TEST

START_TEST(one_message_is_one_write_of_one_harmless_line)
{
    log_warning("from outside: %s", "a\nb\x1b[2J");
    ck_assert_str_eq(next_write(), "descpipe: warning: from outside: a\\x0Ab\\x1B[2J\n");
    ck_assert_ptr_null(next_write());
}
END_TEST

START_TEST(long_messages_are_cut)
{
    cleanup(memory_free) char *long_text = memory_allocate(40001);
    memset(long_text, 'x', 40000);
    log_warning("%s", long_text);
    const char *line = next_write();
    ck_assert(text_ends_with(line, "x\xE2\x80\xA6\n"));
    ck_assert_uint_eq(strlen(line), strlen("descpipe: warning: ") + 16384 + 4);
}
END_TEST

START_TEST(an_error_shows_place_and_hint)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, ERROR_INPUT, "no such key 'imgae'");
    log_error(&error);
    ck_assert_str_eq(next_write(), "descpipe: error: no such key 'imgae'\n");
    ck_assert_ptr_null(next_write());
    error_place(&error, "pipe\x1bline.yaml", 3, 0);
    error_hint(&error, "did you mean 'image'?");
    log_error(&error);
    ck_assert_str_eq(next_write(), "descpipe: error: pipe\\x1Bline.yaml:3: no such key 'imgae'\n");
    ck_assert_str_eq(next_write(), "descpipe: hint: did you mean 'image'?\n");
    error_place(&error, "a.yaml", 3, 5);
    log_error(&error);
    ck_assert_str_eq(next_write(), "descpipe: error: a.yaml:3:5: no such key 'imgae'\n");
}
END_TEST

START_TEST(a_closed_place_does_no_harm_and_errno_survives)
{
    log_to(-1);
    errno = ENOSPC;
    log_warning("lost");
    ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, open_ends, close_ends);
    tcase_add_test(tests, each_level_has_its_line);
    tcase_add_test(tests, what_is_above_the_level_is_not_written);
    tcase_add_test(tests, one_message_is_one_write_of_one_harmless_line);
    tcase_add_test(tests, long_messages_are_cut);
    tcase_add_test(tests, an_error_shows_place_and_hint);
    tcase_add_test(tests, a_closed_place_does_no_harm_and_errno_survives);
    return run_case("log", tests);
}
