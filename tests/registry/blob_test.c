/* SPDX-License-Identifier: BSD-3-Clause */
/* Blobs from a server that cuts, lies and crawls. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "registry/image/blob.h"

#define BLOB_BYTES (20u << 20) /* more than the helper takes at once */

struct script {
    char *blob;
    size_t length;
    unsigned cuts;    /* so many first answers break off in the middle */
    bool no_ranges;   /* always sends everything */
    bool wrong_range; /* sends another part than asked for */
    bool wrong_bytes;
    unsigned wrong_first; /* only in the first so many answers */
    size_t announced;     /* another length than the manifest's */
    unsigned drips;       /* so many first answers crawl */
    unsigned busy;        /* so many first answers are 503 */
    unsigned ranges;      /* asked for */
    size_t sent;
};

static void serve(void *context, const struct scripted_request *request, struct scripted_connection *connection)
{
    struct script *script = context;
    char range[64], headers[128] = "";
    size_t from = 0;
    bool part = scripted_header(request, "Range", range, sizeof range) && !script->no_ranges;
    if (script->busy > 0) {
        script->busy--;
        scripted_text(connection, 503, "Retry-After: 0\r\n", "");
        return;
    }
    if (script->drips > 0) {
        script->drips--;
        scripted_drip(connection, script->length);
        return;
    }
    if (part) {
        script->ranges++;
        from = strtoul(strchr(range, '=') + 1, NULL, 10);
        snprintf(headers, sizeof headers, "Content-Range: bytes %zu-%zu/%zu\r\n", from + script->wrong_range,
                 script->length - 1, script->length);
    }
    size_t length = script->length - from, cut = length / 2;
    char *bytes = malloc(length + 1);
    memcpy(bytes, script->blob + from, length);
    if (script->wrong_bytes || script->wrong_first > 0)
        bytes[length - 1] ^= 1;
    script->wrong_first -= script->wrong_first > 0;
    int status = part ? 206 : 200;
    if (script->cuts > 0) {
        script->cuts--;
        script->sent += cut;
        scripted_cut(connection, status, headers, bytes, cut, length);
    } else if (script->announced > 0)
        scripted_answer(connection, status, headers, script->blob, script->announced);
    else {
        script->sent += length;
        scripted_answer(connection, status, headers, bytes, length);
    }
    free(bytes);
}

struct outcome {
    struct end end;
    uint64_t received, progress;
};

static void on_done(void *context, uint64_t received, const struct failure *failure)
{
    struct outcome *outcome = context;
    outcome->received = received;
    end_take_failure(&outcome->end, failure);
}

static void on_progress(void *context, uint64_t bytes)
{
    struct outcome *outcome = context;
    outcome->progress = bytes;
}

static struct fixture fixture;
static struct script script;
static struct outcome outcome;
static char digest[DIGEST_SIZE];
static FILE *file;

static void setup(void)
{
    script = (struct script){.length = BLOB_BYTES};
    script.blob = malloc(BLOB_BYTES + 1);
    for (size_t i = 0; i <= BLOB_BYTES; i++)
        script.blob[i] = (char)(i * 2654435761u >> 13);
    digest_of_bytes(script.blob, script.length, digest);
    outcome = (struct outcome){0};
    file = tmpfile();
    fixture_open(&fixture, serve, &script);
}

static void teardown(void)
{
    end_clear(&outcome.end);
    fixture_close(&fixture);
    free(script.blob);
    fclose(file);
}

static struct blob_fetch *begin(uint64_t bytes, uint64_t slow_window_ms)
{
    struct failure failure = FAILURE_INIT;
    const struct blob_request request = {.client = fixture.client,
                                         .repository = "a/b",
                                         .digest = digest,
                                         .bytes = bytes,
                                         .descriptor = fileno(file),
                                         .slow_window_ms = slow_window_ms,
                                         .progress = on_progress,
                                         .done = on_done,
                                         .context = &outcome};
    struct blob_fetch *fetch = blob_fetch_start(&request, &failure);
    ck_assert_msg(fetch != NULL, "%s", failure_message(&failure));
    ck_assert(!outcome.end.done);
    return fetch;
}

static void fetch(uint64_t bytes)
{
    begin(bytes, 0);
    fixture_wait(&fixture, &outcome.end.done);
}

static size_t file_size(void)
{
    struct stat status;
    ck_assert_int_eq(fstat(fileno(file), &status), 0);
    return (size_t)status.st_size;
}

static void check_file(void)
{
    char *bytes = malloc(script.length + 1);
    ck_assert_good(outcome.end);
    ck_assert_uint_eq(file_size(), script.length);
    ck_assert_int_eq(pread(fileno(file), bytes, script.length, 0), (ssize_t)script.length);
    ck_assert(memcmp(bytes, script.blob, script.length) == 0);
    free(bytes);
}

START_TEST(fetches_a_blob)
{
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(outcome.received, script.length);
    ck_assert_uint_eq(outcome.progress, script.length);
    ck_assert_uint_eq(script.ranges, 0);
}
END_TEST

START_TEST(an_empty_blob_is_a_blob)
{
    script.length = 0;
    digest_of_bytes("", 0, digest);
    fetch(0);
    check_file();
}
END_TEST

START_TEST(goes_on_where_it_was_cut)
{
    script.cuts = 3;
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(script.ranges, 3);
    ck_assert_uint_eq(outcome.received, script.length); /* nothing twice */
}
END_TEST

START_TEST(goes_on_from_an_earlier_time)
{
    ck_assert_int_eq(pwrite(fileno(file), script.blob, 12345678, 0), 12345678);
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(outcome.received, script.length - 12345678);
}
END_TEST

START_TEST(what_is_whole_is_only_hashed)
{
    ck_assert_int_eq(pwrite(fileno(file), script.blob, script.length, 0), (ssize_t)script.length);
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(scripted_requests(fixture.server), 0);
}
END_TEST

START_TEST(a_damaged_rest_is_fetched_anew)
{
    ck_assert_int_eq(pwrite(fileno(file), "damaged", 7, 0), 7);
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(outcome.received, script.length - 7 + script.length);
}
END_TEST

START_TEST(a_rest_that_is_too_long_is_dropped)
{
    ck_assert_int_eq(pwrite(fileno(file), "x", 1, (off_t)script.length), 1);
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(outcome.received, script.length);
}
END_TEST

START_TEST(starts_over_where_ranges_are_unknown)
{
    script.cuts = 1;
    script.no_ranges = true;
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(outcome.received, script.length + script.length / 2);
}
END_TEST

START_TEST(another_range_is_refused)
{
    script.cuts = 1;
    script.wrong_range = true;
    fetch(script.length);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "another part");
}
END_TEST

START_TEST(a_wrong_digest_is_refused_and_nothing_kept)
{
    script.wrong_bytes = true;
    fetch(script.length);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "sent something else than it was asked for: its digest is sha256:");
    ck_assert_uint_eq(file_size(), 0);
    ck_assert_uint_eq(scripted_requests(fixture.server), 1);
}
END_TEST

static const size_t lengths[] = {BLOB_BYTES - 1, BLOB_BYTES + 1, 10};

START_TEST(a_wrong_length_is_refused)
{
    script.announced = lengths[_i];
    fetch(script.length);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_uint_eq(scripted_requests(fixture.server), 1);
}
END_TEST

START_TEST(a_busy_server_is_asked_again)
{
    script.busy = 2;
    fetch(script.length);
    check_file();
}
END_TEST

START_TEST(a_server_that_crawls_is_left)
{
    script.drips = 1;
    script.wrong_first = 0;
    /* The drops are no part of the blob: what follows them shows a wrong digest, and all begins anew. */
    begin(script.length, 300);
    fixture_wait(&fixture, &outcome.end.done);
    ck_assert_uint_ge(scripted_requests(fixture.server), 2);
    ck_assert_says(failure_message(&outcome.end.failure), "something else");
}
END_TEST

START_TEST(a_server_that_only_crawls_is_told)
{
    script.drips = 99;
    begin(script.length, 100);
    fixture_wait(&fixture, &outcome.end.done);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_CANNOT_ASK);
    ck_assert_says(outcome.end.failure.message, "bytes a second");
}
END_TEST

static void stop_at_progress(void *context, uint64_t bytes)
{
    (void)bytes;
    blob_fetch_stop(*(struct blob_fetch **)context);
}

struct stopping {
    struct blob_fetch *fetch; /* first */
    struct end end;
};

static void on_stopped(void *context, uint64_t received, const struct failure *failure)
{
    struct stopping *stopping = context;
    ck_assert_uint_lt(received, script.length);
    end_take_failure(&stopping->end, failure);
}

START_TEST(a_stopped_fetch_keeps_what_came)
{
    struct failure failure = FAILURE_INIT;
    struct stopping stopping = {0};
    const struct blob_request request = {.client = fixture.client,
                                         .repository = "a/b",
                                         .digest = digest,
                                         .bytes = script.length,
                                         .descriptor = fileno(file),
                                         .progress = stop_at_progress,
                                         .done = on_stopped,
                                         .context = &stopping};
    stopping.fetch = blob_fetch_start(&request, &failure);
    fixture_wait(&fixture, &stopping.end.done);
    ck_assert_uint_eq(stopping.end.failure.kind, DESCPIPE_FAILED_CANCELLED);
    end_clear(&stopping.end);
    ck_assert_uint_gt(file_size(), 0);
    fetch(script.length);
    check_file();
    ck_assert_uint_eq(script.ranges, 1);
}
END_TEST

START_TEST(a_fetch_may_be_stopped_at_once)
{
    blob_fetch_stop(begin(script.length, 0));
    fixture_wait(&fixture, &outcome.end.done);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_CANCELLED);
    ck_assert_uint_eq(scripted_requests(fixture.server), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blob");
    TCase *test = tcase_create("blob");
    tcase_set_timeout(test, 60);
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_test(test, fetches_a_blob);
    tcase_add_test(test, an_empty_blob_is_a_blob);
    tcase_add_test(test, goes_on_where_it_was_cut);
    tcase_add_test(test, goes_on_from_an_earlier_time);
    tcase_add_test(test, what_is_whole_is_only_hashed);
    tcase_add_test(test, a_damaged_rest_is_fetched_anew);
    tcase_add_test(test, a_rest_that_is_too_long_is_dropped);
    tcase_add_test(test, starts_over_where_ranges_are_unknown);
    tcase_add_test(test, another_range_is_refused);
    tcase_add_test(test, a_wrong_digest_is_refused_and_nothing_kept);
    tcase_add_loop_test(test, a_wrong_length_is_refused, 0, (int)(sizeof lengths / sizeof lengths[0]));
    tcase_add_test(test, a_busy_server_is_asked_again);
    tcase_add_test(test, a_server_that_crawls_is_left);
    tcase_add_test(test, a_server_that_only_crawls_is_told);
    tcase_add_test(test, a_stopped_fetch_keeps_what_came);
    tcase_add_test(test, a_fetch_may_be_stopped_at_once);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
