/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs from URLs, on real runs against a server of the test's own, which is a process: a run splits this one. */
#include "run_fixture.h"

#include <dirent.h>
#include <fcntl.h>

#include "../io/http_server.h"
#include "base/digest.h"

static const char body[] = "one\n";
static char body_digest[DIGEST_TEXT];

/* What each path answers. */
static bool answer(struct server *server, int connection, const struct server_request *request)
{
    (void)server;
    const char *head = request->head;
    if (text_starts_with(head, "GET /good?key=s3cret "))
        server_send(connection, "HTTP/1.1 302 Found\r\nLocation: /real?key=t0ken\r\nContent-Length: 0\r\n\r\n");
    else if (text_starts_with(head, "GET /real"))
        server_send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none\n");
    else if (text_starts_with(head, "GET /cut"))
        server_send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\none\n");
    else if (text_starts_with(head, "GET /denied"))
        server_send(connection, "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n");
    else
        server_send(connection, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return !text_starts_with(head, "GET /cut");
}

/* GET /slow never gets an answer. */
static bool answer_nothing(struct server *server, int connection, const struct server_request *request)
{
    (void)server;
    (void)connection;
    (void)request;
    return true;
}

static unsigned short port;

static pid_t start_server(bool (*answers)(struct server *server, int connection, const struct server_request *request))
{
    static struct server server;
    int pair[2];
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    pid_t pid = process_split(SIGKILL, NULL);
    if (pid == 0) {
        server_start(&server, answers);
        if (write(pair[1], &server.port, sizeof server.port) != sizeof server.port)
            _exit(1);
        for (;;)
            pause();
    }
    close(pair[1]);
    ck_assert_int_eq(read(pair[0], &port, sizeof port), sizeof port);
    close(pair[0]);
    return pid;
}

static void stop_server(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static void set_up(void)
{
    uint8_t digest[DIGEST_BYTES];
    fixture_set_up();
    digest_of(body, strlen(body), digest);
    digest_to_text(digest, body_digest);
}

static void write_fetching(const char *path, const char *sha256)
{
    cleanup(memory_free) char *runtime =
        memory_format(", inputs: {x: {url: 'http://127.0.0.1:%u/%s', sha256: %s}}", port, path, sha256);
    write_pipeline_with(runtime, "a",
                        "a: {command: [sh, -c, 'cat $DESC_INPUT/x.txt > $DESC_OUTPUT/y.txt'], inputs: {x: txt}, "
                        "outputs: {y: txt}}\n");
}

static unsigned files_in(const char *path)
{
    DIR *folder = opendir(path);
    unsigned count = 0;
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += !text_equal(entry->d_name, ".") && !text_equal(entry->d_name, "..");
    closedir(folder);
    return count;
}

static void expect_no_secret(const char *folder)
{
    static const char *const files[] = {"journal.jsonl", "plan.json", "keeper.log"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        cleanup(memory_free) char *path = path_join(folder, files[i]);
        cleanup(text_clear) struct text text = TEXT_INIT;
        ck_assert(!file_exists(path) || file_read(path, 1 << 20, &text, NULL));
        ck_assert_ptr_null(strstr(text_bytes(&text), "s3cret"));
        ck_assert_ptr_null(strstr(text_bytes(&text), "t0ken"));
    }
}

START_TEST(fetches_once_and_checks_what_is_there)
{
    pid_t server = start_server(answer);
    write_fetching("good?key=s3cret", body_digest);
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 0);
    cleanup(memory_free) char *result = read_text("out/y.txt");
    ck_assert_str_eq(result, body);
    char *record = NULL;
    ck_assert_uint_eq(count_records(folder, "fetch", "\"state\":\"started\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "fetch", "\"state\":\"done\"", &record), 1);
    cleanup(memory_free) char *expected =
        memory_format("\"tag\":\"x\",\"url\":\"http://127.0.0.1:%u/good\",\"done\":4,\"total\":4", port);
    ck_assert_msg(strstr(record, expected) != NULL, "expected %s in %s", expected, record);
    memory_free(record);
    expect_no_secret(folder);
    memory_free(steal(&folder));
    cleanup(memory_free) char *kept = memory_format("work/.descpipe/inputs/%s.txt", body_digest);
    ck_assert(file_exists(kept));
    /* Damaged, it is fetched again; whole, nobody is asked. */
    ck_assert(file_write(kept, "two\n", 4, 0644, NULL));
    ck_assert(file_write("work/.descpipe/inputs/.descpipe-0123456789abcdef.tmp", "half", 4, 0644, NULL));
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "fetch", "\"state\":\"done\"", NULL), 1);
    memory_free(steal(&folder));
    stop_server(server);
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "fetch", "\"state\":\"kept\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "fetch", "", NULL), 1);
    ck_assert_uint_eq(files_in("work/.descpipe/inputs"), 1);
    memory_free(folder);
}
END_TEST

START_TEST(without_a_digest_the_file_is_named_after_its_url)
{
    static const char url[] = "https://127.0.0.1:1/x?key=s3cret";
    uint8_t digest[DIGEST_BYTES];
    char of_url[DIGEST_TEXT];
    digest_of(url, strlen(url), digest);
    digest_to_text(digest, of_url);
    ck_assert(folder_make("work/.descpipe/inputs", 0755, NULL));
    cleanup(memory_free) char *kept = memory_format("work/.descpipe/inputs/url-%s.txt", of_url);
    ck_assert(file_write(kept, body, strlen(body), 0644, NULL));
    cleanup(memory_free) char *runtime = memory_format(", inputs: {x: {url: '%s'}}", url);
    write_pipeline_with(runtime, "a", "a: {command: [sh, -c, 'grep one $DESC_INPUT/x.txt'], inputs: {x: txt}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 0);
    expect_no_secret(folder);
    memory_free(folder);
}
END_TEST

static const struct {
    const char *path, *reason; /* %s: http://host:port/ */
} failures[] = {
    {"none?key=s3cret", "the input 'x' cannot be fetched: GET '%snone': the server answers 404"},
    {"denied?key=s3cret", "the input 'x' cannot be fetched: GET '%sdenied': the server answers 403"},
    {"cut?key=s3cret", "the input 'x' cannot be fetched: GET '%scut': "},
    {"real?key=s3cret", "the input 'x' from '%sreal' has the sha256 "},
};

START_TEST(an_input_that_cannot_be_had_ends_the_run_before_any_stage)
{
    pid_t server = start_server(answer);
    write_fetching(failures[_i].path, "0000000000000000000000000000000000000000000000000000000000000000");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 4);
    stop_server(server);
    cleanup(memory_free) char *where = memory_format("http://127.0.0.1:%u/", port);
    const char *mark = strstr(failures[_i].reason, "%s");
    cleanup(memory_free) char *expected =
        memory_format("\"reason\":\"%.*s%s%s", (int)(mark - failures[_i].reason), failures[_i].reason, where, mark + 2);
    char *record = NULL;
    ck_assert_uint_eq(count_records(folder, "fetch", "\"state\":\"failed\"", &record), 1);
    ck_assert_msg(strstr(record, expected) != NULL, "expected %s in %s", expected, record);
    memory_free(record);
    ck_assert_uint_eq(count_records(folder, "intent", "", NULL), 0);
    ck_assert_uint_eq(count_records(folder, "state", "\"state\":\"skipped\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "end", "\"state\":\"failed\"", NULL), 1);
    expect_no_secret(folder);
    ck_assert_uint_eq(files_in("work/.descpipe/inputs"), 0);
    memory_free(folder);
}
END_TEST

START_TEST(cancelling_ends_a_fetch)
{
    pid_t server = start_server(answer_nothing);
    write_fetching("slow", body_digest);
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local"}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    int64_t end = clock_monotonic_ms() + PATIENCE_MS;
    while (count_records(front.folder, "fetch", "\"state\":\"started\"", NULL) == 0 && clock_monotonic_ms() < end)
        poll(NULL, 0, 5);
    ck_assert(run_front_send(&front, RUN_CANCEL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    stop_server(server);
    ck_assert_uint_eq(count_records(folder, "end", "\"state\":\"cancelled\"", NULL), 1);
    ck_assert_uint_eq(files_in("work/.descpipe/inputs"), 0);
    expect_sound(folder);
    memory_free(folder);
}
END_TEST

START_TEST(only_what_selected_stages_take_is_fetched)
{
    write_pipeline_with(", inputs: {x: {url: 'https://127.0.0.1:1/x'}}", "a, b",
                        "a: {command: ['true'], inputs: {x: txt}}\nb: {command: ['true']}\n");
    static const char *const only[] = {"b", NULL};
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.only = only}, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "fetch", "", NULL), 0);
    memory_free(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fetch");
    TCase *cases = tcase_create("fetch");
    tcase_add_checked_fixture(cases, set_up, fixture_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, fetches_once_and_checks_what_is_there);
    tcase_add_test(cases, without_a_digest_the_file_is_named_after_its_url);
    tcase_add_loop_test(cases, an_input_that_cannot_be_had_ends_the_run_before_any_stage, 0,
                        sizeof failures / sizeof *failures);
    tcase_add_test(cases, cancelling_ends_a_fetch);
    tcase_add_test(cases, only_what_selected_stages_take_is_fetched);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
