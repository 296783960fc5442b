/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "../base/suite.h"
#include "../base/temporary_folder.h"
#include "base/clock.h"
#include "base/file.h"
#include "io/process.h"

static struct loop *loop;

static void make(void)
{
    temporary_folder_make();
    loop = loop_new(NULL);
}

static void end(void)
{
    loop_free(loop);
    temporary_folder_remove();
}

/* All lines as "1:text|" and the end of one tool. */
static struct text lines;
static struct tool_end last;
static char *last_message;
static int ends_seen;
static size_t longest;
static struct tool *tool;
static bool stop_at_line;

static void line_came(void *context, int stream, const char *line, size_t length)
{
    (void)context;
    ck_assert_int_eq(ends_seen, 0);
    ck_assert_int_eq(line[length], '\0');
    longest = length > longest ? length : longest;
    text_append_signed(&lines, stream);
    text_append(&lines, ":");
    text_append_bytes(&lines, line, length);
    text_append(&lines, "|");
    if (stop_at_line)
        tool_stop(tool);
}

static void tool_ended(void *context, const struct tool_end *end)
{
    (void)context;
    ends_seen++;
    last = *end;
    last_message = memory_copy_text(end->message);
    loop_stop(loop);
}

static struct tool_request request_for(const char *const *argv)
{
    text_reset(&lines);
    ends_seen = 0;
    return (struct tool_request){.argv = argv, .line = line_came, .ended = tool_ended};
}

static void run(const struct tool_request *request)
{
    tool = tool_start(loop, request);
    ck_assert_ptr_nonnull(tool);
    ck_assert_int_eq(ends_seen, 0);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(ends_seen, 1);
}

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

START_TEST(lines_come_apart_by_stream_and_before_the_end)
{
    struct tool_request request = request_for(SHELL("printf 'a\\n\\nb'; exit 3"));
    run(&request);
    ck_assert_str_eq(text_bytes(&lines), "1:a|1:|1:b|");
    ck_assert(last.started && !last.timed_out && !last.truncated);
    ck_assert_int_eq(last.exit_code, 3);
    ck_assert_ptr_null(last.message);
    request = request_for(SHELL("echo wrong >&2; printf '%s\\000x\\n' nul >&2"));
    run(&request);
    ck_assert_uint_eq(lines.length, strlen("2:wrong|") + strlen("2:nul") + 3);
    ck_assert_mem_eq(lines.bytes, "2:wrong|2:nul\0x|", lines.length);
}
END_TEST

START_TEST(a_line_that_comes_in_parts_is_one_line)
{
    /* The loop sees the first part alone: the second is written by a second process, after it. */
    struct tool_request request = request_for(SHELL("printf one; sh -c 'printf two'; sh -c 'printf \"three\\nx\\n\"'"));
    run(&request);
    ck_assert_str_eq(text_bytes(&lines), "1:onetwothree|1:x|");
}
END_TEST

START_TEST(endless_lines_come_in_pieces)
{
    struct tool_request request = request_for(
        SHELL("head -c 200000 /dev/zero | tr '\\0' x; echo; head -c 65536 /dev/zero | tr '\\0' y; echo; echo z"));
    run(&request);
    ck_assert_uint_eq(longest, 65536);
    /* 65536 * 3 + 3392, exactly 65536 without an empty line behind it, and the last */
    size_t pieces = 0;
    for (size_t i = 0; i < lines.length; i++)
        pieces += lines.bytes[i] == '|';
    ck_assert_uint_eq(lines.length, 200000 + 65536 + 1 + 3 * pieces);
    ck_assert_uint_eq(pieces, 6);
}
END_TEST

START_TEST(input_larger_than_a_pipe_goes_through)
{
    enum { BYTES = 1000000 };
    cleanup(memory_free) char *input = memory_allocate(BYTES);
    memset(input, 'i', BYTES);
    struct tool_request request = request_for(SHELL("wc -c"));
    request.input = input;
    request.input_length = BYTES;
    tool = tool_start(loop, &request);
    memset(input, 'o', BYTES); /* it was copied */
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(text_bytes(&lines), "1:1000000|");
    request = request_for(SHELL("head -c 3; exec <&-; exit 4")); /* does not want the rest */
    request.input = input;
    request.input_length = BYTES;
    run(&request);
    ck_assert_str_eq(text_bytes(&lines), "1:ooo|");
    ck_assert_int_eq(last.exit_code, 4);
    request = request_for(SHELL("cat; echo end"));
    run(&request); /* none: at its end at once */
    ck_assert_str_eq(text_bytes(&lines), "1:end|");
}
END_TEST

START_TEST(too_much_output_ends_it)
{
    struct tool_request request = request_for(SHELL("while :; do echo 123456789; done"));
    request.output_limit = 25;
    run(&request);
    ck_assert(last.truncated);
    ck_assert_int_eq(last.signal, SIGKILL);
    ck_assert_int_eq(last.exit_code, -1);
    ck_assert_str_eq(text_bytes(&lines), "1:123456789|1:123456789|");
    request = request_for(SHELL("printf 12345; printf 67890 >&2"));
    request.output_limit = 10; /* of both together, exactly */
    run(&request);
    ck_assert(!last.truncated);
}
END_TEST

START_TEST(the_deadline_ends_it_and_its_children)
{
    cleanup(memory_free) char *fifo = temporary_path("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    cleanup(descriptor_close) int holds = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cleanup(memory_free) char *script = memory_format("(sleep 1000 > '%s') & sleep 1000", fifo);
    struct tool_request request = request_for(SHELL(script));
    request.timeout_ms = 100;
    int64_t started_ms = clock_monotonic_ms();
    run(&request);
    ck_assert(last.timed_out);
    ck_assert_int_eq(last.signal, SIGTERM);
    ck_assert_int_lt(clock_monotonic_ms() - started_ms, 5000);
    struct pollfd hung_up = {.fd = holds};
    ck_assert_int_eq(poll(&hung_up, 1, 10000), 1); /* the grandchild is gone: nobody writes any more */
}
END_TEST

START_TEST(stop_asks_and_then_kills)
{
    stop_at_line = true;
    struct tool_request request = request_for(SHELL("trap '' TERM; echo up; while :; do sleep 1; done"));
    int64_t started_ms = clock_monotonic_ms();
    run(&request);
    ck_assert_int_eq(last.signal, SIGKILL);
    ck_assert(!last.timed_out);
    int64_t took_ms = clock_monotonic_ms() - started_ms;
    ck_assert_int_ge(took_ms, 5000);
    ck_assert_int_lt(took_ms, 15000);
}
END_TEST

START_TEST(stop_is_heard_by_a_tool_that_minds_it)
{
    stop_at_line = true;
    /* The signal goes to the sleep, too, which may be gone when the shell comes to it. */
    struct tool_request request =
        request_for(SHELL("trap 'echo bye; kill $! 2>/dev/null; exit 5' TERM; sleep 1000 & echo up; wait"));
    run(&request);
    ck_assert_int_eq(last.exit_code, 5);
    ck_assert_str_eq(text_bytes(&lines), "1:up|1:bye|");
}
END_TEST

/* A daemon that keeps our pipe open must not keep us: a second after the tool's end is the end. */
START_TEST(a_grandchild_that_keeps_the_output_open_is_not_waited_for)
{
    cleanup(memory_free) char *file = temporary_path("pid");
    cleanup(memory_free) char *script = memory_format("setsid sleep 100 & echo $! > '%s'; echo done", file);
    struct tool_request request = request_for(SHELL(script));
    int64_t started_ms = clock_monotonic_ms();
    run(&request);
    int64_t took_ms = clock_monotonic_ms() - started_ms;
    ck_assert_int_ge(took_ms, 1000);
    ck_assert_int_lt(took_ms, 30000);
    ck_assert_str_eq(text_bytes(&lines), "1:done|");
    ck_assert_int_eq(last.exit_code, 0);
    cleanup(text_clear) struct text pid_text = TEXT_INIT;
    ck_assert(file_read(file, 100, &pid_text, NULL));
    pid_text.bytes[pid_text.length - 1] = '\0';
    uint64_t pid;
    ck_assert(text_to_unsigned(pid_text.bytes, &pid) && pid > 1);
    kill((pid_t)pid, SIGKILL);
}
END_TEST

START_TEST(what_cannot_start_says_so_later)
{
    if (runs_under_valgrind())
        return;
    struct tool_request request = request_for((const char *const[]){"/no/such/tool", NULL});
    run(&request);
    ck_assert(!last.started);
    ck_assert_str_eq(last_message, "cannot start '/no/such/tool': No such file or directory");
    ck_assert_int_eq(last.exit_code, -1);
    free(last_message);
    last_message = NULL;
}
END_TEST

START_TEST(the_environment_is_a_short_list_of_ours)
{
    setenv("PATH", "/usr/bin:/bin", 1);
    setenv("HOME", "/home/me", 1);
    setenv("SECRET_TOKEN", "x", 1);
    setenv("LD_PRELOAD_NOT", "x", 1);
    unsetenv("USER");
    unsetenv("LANG");
    unsetenv("LC_ALL");
    unsetenv("TMPDIR");
    unsetenv("XDG_RUNTIME_DIR");
    struct tool_request request = request_for((const char *const[]){"env", NULL});
    run(&request);
    ck_assert_str_eq(text_bytes(&lines), "1:PATH=/usr/bin:/bin|1:HOME=/home/me|");
    request = request_for((const char *const[]){"/usr/bin/env", NULL});
    request.environment = (const char *const[]){"ONLY=this", NULL};
    request.directory = "/";
    run(&request);
    ck_assert_str_eq(text_bytes(&lines), "1:ONLY=this|");
}
END_TEST

static int many_ended;

static void one_of_many(void *context, const struct tool_end *end)
{
    (void)context;
    ck_assert_int_eq(end->exit_code, 0);
    if (++many_ended == 100)
        loop_stop(loop);
}

static int open_descriptors(void)
{
    return (int)count_entries("/proc/self/fd");
}

START_TEST(many_run_at_once_and_leave_no_descriptor)
{
    struct tool_request warm = request_for(SHELL(":"));
    run(&warm);
    int before = open_descriptors();
    for (int i = 0; i < 100; i++) {
        struct tool_request request = {.argv = SHELL("cat"), .input = "x\n", .input_length = 2, .ended = one_of_many};
        tool_start(loop, &request);
    }
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(streams_of_the_caller_are_used_as_they_are)
{
    cleanup(memory_free) char *path = temporary_path("streams");
    ck_assert(file_write(path, "what comes in\n", 14, 0600, NULL));
    struct tool_request request = request_for(SHELL("read -r line; echo \"$line\"; echo an error >&2; exit 3"));
    request.input_descriptor = open(path, O_RDONLY | O_CLOEXEC);
    request.output_descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    request.timeout_ms = INT64_MAX;
    ck_assert_int_gt(request.input_descriptor, 2);
    run(&request);
    ck_assert_int_eq(last.exit_code, 3);
    ck_assert_str_eq(text_bytes(&lines), "2:an error|");
    cleanup(text_clear) struct text all = TEXT_INIT;
    ck_assert(file_read(path, 100, &all, NULL));
    ck_assert_str_eq(text_bytes(&all), "what comes in\nwhat comes in\n");
    close(request.input_descriptor);
    close(request.output_descriptor);
}
END_TEST

/* A process of another session could not use our terminal. */
START_TEST(a_tool_with_our_terminal_stays_in_our_session)
{
    cleanup(memory_free) char *script =
        memory_format("read -r a b c d e session f </proc/self/stat; [ \"$session\" = %d ]", (int)getsid(0));
    struct tool_request request = request_for(SHELL(script));
    request.terminal = true;
    run(&request);
    ck_assert_int_eq(last.exit_code, 0);
    request = request_for(SHELL(script));
    run(&request);
    ck_assert_int_eq(last.exit_code, 1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("tool");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, lines_come_apart_by_stream_and_before_the_end);
    tcase_add_test(tests, a_line_that_comes_in_parts_is_one_line);
    tcase_add_test(tests, endless_lines_come_in_pieces);
    tcase_add_test(tests, input_larger_than_a_pipe_goes_through);
    tcase_add_test(tests, too_much_output_ends_it);
    tcase_add_test(tests, the_deadline_ends_it_and_its_children);
    tcase_add_test(tests, stop_asks_and_then_kills);
    tcase_add_test(tests, stop_is_heard_by_a_tool_that_minds_it);
    tcase_add_test(tests, a_grandchild_that_keeps_the_output_open_is_not_waited_for);
    tcase_add_test(tests, what_cannot_start_says_so_later);
    tcase_add_test(tests, the_environment_is_a_short_list_of_ours);
    tcase_add_test(tests, many_run_at_once_and_leave_no_descriptor);
    tcase_add_test(tests, streams_of_the_caller_are_used_as_they_are);
    tcase_add_test(tests, a_tool_with_our_terminal_stays_in_our_session);
    return run_case("tool", tests);
}
