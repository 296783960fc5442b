/* SPDX-License-Identifier: BSD-3-Clause */
/* Log files: found, made harmless, printed, followed. */
#include "report/logs.h"

#include <fcntl.h>
#include <pthread.h>

#include "run_maker.h"
#include "suite.h"

static struct run_maker maker;
static struct run_view *view;

static void set_up(void)
{
    maker = run_maker_new(TWO_STAGES);
    run_maker_play(&maker);
    run_maker_file(&maker, "logs/000/tomography.1.out", "one\ntwo\n");
    run_maker_file(&maker, "logs/000/tomography.1.err", "oops\n");
    run_maker_file(&maker, "logs/000/counts.g.1.out", "");
    run_maker_file(&maker, "logs/000/counts.r.1.out", "begin\n");
    view = run_view_open(maker.folder, 0, NULL);
    run_view_read(view, 0, NULL, NULL);
}

static void tear_down(void)
{
    run_view_free(view);
    run_maker_free(&maker);
}

START_TEST(lines_are_made_harmless)
{
    static const struct {
        const char *line, *shown;
    } cases[] = {
        {"plain", "plain"},
        {"\x1b[31mred\x1b[0m", "red"},
        {"\x1b]0;title\atext", "text"},
        {"\x1b]8;;http://x\x1b\\link", "link"},
        {"\x1b(Bascii", "ascii"},
        {"a\tb", "a       b"},
        {" 10%\r 55%\r100%", "100%"},
        {"done\r", "done"},
        {"bell\a", "bell\\x07"},
        {"\xFF", "\\xFF"},
        {"\x1b[", ""},
        {"\x1b", ""},
        {"abcdefghijklmnop", "abcdefghijkl…"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(text_clear) struct text out = TEXT_INIT;
        log_line_append(cases[i].line, strlen(cases[i].line), 12, &out);
        ck_assert_str_eq(text_bytes(&out), cases[i].shown);
    }
    cleanup(text_clear) struct text out = TEXT_INIT;
    log_line_append("a\0b", 3, 12, &out);
    ck_assert_str_eq(text_bytes(&out), "a\\x00b");
}
END_TEST

START_TEST(the_last_line_is_the_last_that_says_something)
{
    static const struct {
        const char *file, *line;
    } cases[] = {
        {"", ""}, {"\n\n", ""}, {"one", "one"}, {"one\ntwo\n", "two"}, {"one\n\n  \n", "one"}, {"a\n10%\r20%", "20%"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(text_clear) struct text out = TEXT_INIT;
        cleanup(memory_free) char *path = path_join(maker.folder, "file");
        run_maker_file(&maker, "file", cases[i].file);
        log_file_last_line(path, 100, &out);
        ck_assert_str_eq(text_bytes(&out), cases[i].line);
    }
}
END_TEST

START_TEST(the_tail_has_as_many_lines_as_asked)
{
    static const struct {
        const char *file;
        size_t lines;
        const char *tail;
    } cases[] = {{"", 3, ""},
                 {"one", 3, "> one\n"},
                 {"1\n2\n3\n4\n", 2, "> 3\n> 4\n"},
                 {"1\n2\n3\n4", 3, "> 2\n> 3\n> 4\n"},
                 {"1\n\n3\n", 2, "> \n> 3\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(text_clear) struct text out = TEXT_INIT;
        cleanup(memory_free) char *path = path_join(maker.folder, "file");
        run_maker_file(&maker, "file", cases[i].file);
        log_file_tail(path, cases[i].lines, "> ", &out);
        ck_assert_str_eq(text_bytes(&out), cases[i].tail);
    }
}
END_TEST

/* What logs_print writes, and its error. */
static char *printed(struct logs_request request, struct error *error)
{
    FILE *file = tmpfile();
    struct output output;
    output_open(&output, fileno(file));
    request.view = view;
    request.stop = -1;
    logs_print(&request, &output, error);
    ck_assert(output_finish(&output, NULL));
    output_clear(&output);
    long length = ftell(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    length = ftell(file);
    rewind(file);
    char *bytes = memory_allocate((size_t)length + 1);
    ck_assert_uint_eq(fread(bytes, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    return bytes;
}

START_TEST(prints_standard_output_then_standard_error)
{
    uint32_t task = run_view_task(view, "tomography", NULL);
    static const struct {
        struct logs_request request;
        const char *text;
    } cases[] = {
        {{.out = false}, "one\ntwo\n\n==> stderr <==\noops\n"},
        {{.out = true}, "one\ntwo\n"},
        {{.err = true}, "oops\n"},
        {{.harmless = true}, "one\ntwo\n\n==> stderr <==\noops\n"},
        {{.follow = true}, "one\ntwo\n\n==> stderr <==\noops\n"}, /* it has ended: nothing to wait for */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct logs_request request = cases[i].request;
        request.task = task;
        cleanup(memory_free) char *text = printed(request, NULL);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(bytes_for_a_file_are_not_touched)
{
    run_maker_file(&maker, "logs/000/tomography.1.err", "\x1b[31mred\r\xFF");
    cleanup(memory_free) char *text =
        printed((struct logs_request){.task = run_view_task(view, "tomography", NULL), .err = true}, NULL);
    ck_assert_str_eq(text, "\x1b[31mred\r\xFF");
}
END_TEST

START_TEST(says_when_there_is_no_log)
{
    run_maker_record(&maker, "state", ",\"stage\":\"later\",\"state\":\"planned\"");
    run_view_read(view, 0, NULL, NULL);
    static const struct {
        const char *stage, *member;
        uint32_t attempt;
        const char *message, *hint;
    } cases[] = {
        {"later", NULL, 0, "'later' has written nothing: it is planned", "-f waits for it"},
        {"tomography", NULL, 7, "there is no log of attempt 7 of 'tomography'", NULL},
        {"counts", "r", 2, "there is no log of attempt 2 of 'counts/r'", "-f waits for it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        const struct logs_request request = {.task = run_view_task(view, cases[i].stage, cases[i].member),
                                             .attempt = cases[i].attempt};
        cleanup(memory_free) char *text = printed(request, &error);
        ck_assert_str_eq(text, "");
        ck_assert_int_eq(error.kind, ERROR_INPUT);
        ck_assert_str_eq(error.message, cases[i].message);
        ck_assert_pstr_eq(error.hint, cases[i].hint);
    }
}
END_TEST

START_TEST(says_why_a_stage_was_never_started)
{
    run_maker_record(&maker, "state",
                     ",\"stage\":\"later\",\"state\":\"skipped\",\"reason\":\"because 'counts/g' failed\"");
    run_view_read(view, 0, NULL, NULL);
    for (int follow = 0; follow < 2; follow++) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        cleanup(memory_free) char *text =
            printed((struct logs_request){.task = run_view_task(view, "later", NULL), .follow = follow == 1}, &error);
        ck_assert_str_eq(text, "");
        ck_assert_int_eq(error.kind, ERROR_STAGE);
        ck_assert_str_eq(error.message,
                         "'later' has written nothing: it was never started (skipped because 'counts/g' failed)");
        ck_assert_ptr_null(error.hint);
    }
}
END_TEST

START_TEST(tells_of_an_attempt_that_wrote_nothing)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    uint32_t task = run_view_task(view, "counts", "g");
    cleanup(memory_free) char *out = log_file_find(view, task, 1, LOG_STREAM_OUT);
    cleanup(memory_free) char *err = log_file_find(view, task, 1, LOG_STREAM_ERR);
    if (out != NULL)
        unlink(out);
    if (err != NULL)
        unlink(err);
    cleanup(memory_free) char *text = printed((struct logs_request){.task = task}, &error);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(error.kind, ERROR_NONE);
}
END_TEST

struct following {
    int pipe;
    struct run_view *view;
};

static void *follow(void *context)
{
    struct following *following = context;
    struct output output;
    output_open(&output, following->pipe);
    const struct logs_request request = {
        .view = following->view, .task = run_view_task(following->view, "counts", "r"), .follow = true, .stop = -1};
    logs_print(&request, &output, NULL);
    output_finish(&output, NULL);
    output_clear(&output);
    close(following->pipe);
    return NULL;
}

/* Waits for exactly this text. */
static void expect(int pipe, const char *text)
{
    char got[256] = "";
    size_t length = 0, wanted = strlen(text);
    while (length < wanted) {
        ssize_t some = read(pipe, got + length, wanted - length);
        ck_assert_int_gt(some, 0);
        length += (size_t)some;
    }
    ck_assert_str_eq(got, text);
}

static void grow(const char *name, const char *text)
{
    cleanup(memory_free) char *path = path_join(maker.folder, name);
    cleanup(descriptor_close) int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert(descriptor_write(file, text, strlen(text), NULL));
}

START_TEST(follows_through_further_attempts_until_the_end)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct following following = {.pipe = ends[1], .view = view};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, follow, &following), 0);
    expect(ends[0], "begin\n");
    grow("logs/000/counts.r.1.out", "half a li");
    grow("logs/000/counts.r.1.out", "ne\n");
    expect(ends[0], "half a line\n");
    grow("logs/000/counts.r.1.err", "complaint\n");
    expect(ends[0], "\n==> stderr <==\ncomplaint\n");
    run_maker_record(&maker, "verdict",
                     ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"OOM\",\"retry\":{"
                     "\"at\":1,\"reason\":\"oom\"}");
    run_maker_record(
        &maker, "intent",
        ",\"submission\":\"s9\",\"jobs\":[{\"job\":9,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":2}]");
    expect(ends[0], "\n==> attempt 2 <==\n");
    grow("logs/000/counts.r.2.out", "again\nno newline");
    expect(ends[0], "again\n");
    run_maker_record(&maker, "verdict",
                     ",\"job\":9,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":2,\"verdict\":\"OK\"");
    expect(ends[0], "no newline\n");
    char rest;
    ck_assert_int_eq(read(ends[0], &rest, 1), 0);
    pthread_join(thread, NULL);
    close(ends[0]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {lines_are_made_harmless,
                                  the_last_line_is_the_last_that_says_something,
                                  the_tail_has_as_many_lines_as_asked,
                                  prints_standard_output_then_standard_error,
                                  bytes_for_a_file_are_not_touched,
                                  says_when_there_is_no_log,
                                  says_why_a_stage_was_never_started,
                                  tells_of_an_attempt_that_wrote_nothing,
                                  follows_through_further_attempts_until_the_end,
                                  NULL};
    return suite_run("logs", tests, set_up, tear_down);
}
