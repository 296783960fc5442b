/* SPDX-License-Identifier: BSD-3-Clause */
/* Uploads and pushes to a server that loses what it was told. */
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"
#include "registry/image/push.h"
#include "registry/image/upload.h"

#define BLOB_BYTES 3000000u

struct script {
    bool has_blob;          /* HEAD finds it */
    bool mounts;            /* from c/d */
    bool mount_refused;     /* 403 */
    unsigned lost_parts;    /* so many first parts: takes half of it, and closes without an answer */
    unsigned lost_sessions; /* so many first parts are answered 404, and the session is gone */
    unsigned lost_closes;   /* so many first closes are carried out, but not answered */
    bool forgets_closes;    /* and were not carried out */
    bool refuses_digest;
    bool elsewhere; /* names another host as the place */
    size_t limit;   /* of one part; 0: none */
    unsigned sessions, parts, closes, wheres, mounts_asked, puts, heads;
    char *upload;
    size_t uploaded;
    bool in_session;
    char manifest_digest[DIGEST_SIZE]; /* what the tag names; "": nothing */
    char first_content_range[64];
};

static struct script script;
static char *blob, digest[DIGEST_SIZE];

static void answer_place(struct scripted_connection *connection, int status)
{
    char headers[256];
    snprintf(headers, sizeof headers, "Location: %s/v2/a/b/blobs/uploads/session?state=%zu\r\nRange: 0-%zu\r\n",
             script.elsewhere ? "http://127.0.0.1:1" : "", script.uploaded,
             script.uploaded > 0 ? script.uploaded - 1 : 0);
    scripted_text(connection, status, headers, "");
}

static void take_part(const struct scripted_request *request, struct scripted_connection *connection)
{
    char range[64] = "";
    size_t length = request->body_length;
    script.parts++;
    scripted_header(request, "Content-Range", range, sizeof range);
    if (script.parts == 1)
        snprintf(script.first_content_range, sizeof script.first_content_range, "%s", range);
    if (script.limit > 0 && length > script.limit) {
        scripted_text(connection, 413, "", "<html>Request Entity Too Large</html>");
        return;
    }
    if (script.lost_sessions > 0 || !script.in_session) {
        script.lost_sessions -= script.lost_sessions > 0;
        script.in_session = false;
        scripted_text(connection, 404, "", "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}");
        return;
    }
    if (strtoul(range, NULL, 10) != script.uploaded) {
        scripted_text(connection, 416, "", "");
        return;
    }
    if (script.lost_parts > 0)
        length /= 2;
    memcpy(script.upload + script.uploaded, request->body, length);
    script.uploaded += length;
    if (script.lost_parts > 0) {
        script.lost_parts--;
        scripted_close(connection);
    } else
        answer_place(connection, 202);
}

static void close_upload(struct scripted_connection *connection)
{
    script.closes++;
    if (!script.in_session) {
        scripted_text(connection, 404, "", "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}");
        return;
    }
    if (script.refuses_digest) {
        scripted_text(connection, 400, "", "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"not that\"}]}");
        return;
    }
    if (!script.forgets_closes || script.lost_closes == 0)
        script.has_blob = true;
    script.in_session = false;
    if (script.lost_closes > 0) {
        script.lost_closes--;
        scripted_close(connection);
    } else
        scripted_text(connection, 201, "", "");
}

static void begin_upload(const struct scripted_request *request, struct scripted_connection *connection)
{
    bool mount = strstr(request->target, "mount=") != NULL;
    script.mounts_asked += mount;
    if (mount && script.mount_refused)
        scripted_text(connection, 403, "", "{\"errors\":[{\"code\":\"DENIED\"}]}");
    else if (mount && script.mounts && strstr(request->target, "from=c/d") != NULL)
        scripted_text(connection, 201, "", "");
    else {
        script.sessions++;
        script.in_session = true;
        script.uploaded = 0;
        answer_place(connection, 202);
    }
}

static void serve(void *context, const struct scripted_request *request, struct scripted_connection *connection)
{
    (void)context;
    char headers[256] = "";
    if (strstr(request->target, "/manifests/") != NULL) {
        script.puts += strcmp(request->method, "PUT") == 0;
        if (strcmp(request->method, "PUT") == 0)
            digest_of_bytes(request->body, request->body_length, script.manifest_digest);
        snprintf(headers, sizeof headers, "Docker-Content-Digest: %s\r\n", script.manifest_digest);
        scripted_text(connection, script.manifest_digest[0] == '\0' ? 404 : script.puts > 0 ? 201 : 200, headers, "");
    } else if (strcmp(request->method, "HEAD") == 0) {
        script.heads++;
        scripted_text(connection, script.has_blob ? 200 : 404, "", "");
    } else if (strcmp(request->method, "POST") == 0)
        begin_upload(request, connection);
    else if (strcmp(request->method, "PATCH") == 0)
        take_part(request, connection);
    else if (strcmp(request->method, "PUT") == 0)
        close_upload(connection);
    else {
        script.wheres++;
        if (script.in_session)
            answer_place(connection, 204);
        else
            scripted_text(connection, 404, "", "");
    }
}

struct outcome {
    struct end end;
    enum upload_way way;
    struct push_summary summary;
};

static void on_done(void *context, enum upload_way way, const struct failure *failure)
{
    struct outcome *outcome = context;
    outcome->way = way;
    end_take_failure(&outcome->end, failure);
}

static struct fixture fixture;
static struct outcome outcome;
static FILE *file;

static void setup(void)
{
    script = (struct script){.upload = calloc(1, 2 * BLOB_BYTES)};
    outcome = (struct outcome){0};
    blob = malloc(BLOB_BYTES);
    for (size_t i = 0; i < BLOB_BYTES; i++)
        blob[i] = (char)(i * 2654435761u >> 13);
    digest_of_bytes(blob, BLOB_BYTES, digest);
    file = tmpfile();
    ck_assert_int_eq(pwrite(fileno(file), blob, BLOB_BYTES, 0), BLOB_BYTES);
    fixture_open(&fixture, serve, NULL);
}

static void teardown(void)
{
    end_clear(&outcome.end);
    fixture_close(&fixture);
    free(script.upload);
    free(blob);
    fclose(file);
}

static void upload(const char *const *mounts, int descriptor)
{
    struct failure failure = FAILURE_INIT;
    const struct upload_request request = {.client = fixture.client,
                                           .repository = "a/b",
                                           .digest = digest,
                                           .bytes = BLOB_BYTES,
                                           .descriptor = descriptor,
                                           .mount_from = mounts,
                                           .done = on_done,
                                           .context = &outcome};
    ck_assert_msg(upload_start(&request, &failure) != NULL, "%s", failure_message(&failure));
    ck_assert(!outcome.end.done);
    fixture_wait(&fixture, &outcome.end.done);
}

static void check_uploaded(void)
{
    ck_assert_good(outcome.end);
    ck_assert_int_eq(outcome.way, UPLOAD_SENT);
    ck_assert(script.has_blob);
    ck_assert_uint_eq(script.uploaded, BLOB_BYTES);
    ck_assert(memcmp(script.upload, blob, BLOB_BYTES) == 0);
}

START_TEST(sends_a_blob)
{
    upload(NULL, fileno(file));
    check_uploaded();
    ck_assert_uint_eq(script.parts, 1);
    ck_assert_str_eq(script.first_content_range, "0-2999999");
}
END_TEST

START_TEST(sends_nothing_that_is_there)
{
    script.has_blob = true;
    upload(NULL, fileno(file));
    ck_assert_int_eq(outcome.way, UPLOAD_EXISTED);
    ck_assert_uint_eq(scripted_requests(fixture.server), 1);
}
END_TEST

START_TEST(mounts_what_another_repository_has)
{
    const char *const mounts[] = {"x/y", "a/b", "c/d", NULL};
    script.mounts = true;
    upload(mounts, fileno(file));
    ck_assert_good(outcome.end);
    ck_assert_int_eq(outcome.way, UPLOAD_MOUNTED);
    ck_assert_uint_eq(script.mounts_asked, 2); /* never from itself */
    ck_assert_uint_eq(script.parts, 0);
}
END_TEST

START_TEST(sends_what_cannot_be_mounted)
{
    const char *const mounts[] = {"c/d", NULL};
    script.mount_refused = _i == 1;
    upload(mounts, fileno(file));
    check_uploaded();
    ck_assert_uint_eq(script.sessions, 1);
}
END_TEST

START_TEST(sends_in_shorter_parts_what_is_too_long_for_a_proxy)
{
    script.limit = 400000; /* 3000000, 1500000 and 750000 are too long: eight of 375000 */
    upload(NULL, fileno(file));
    check_uploaded();
    ck_assert_uint_eq(script.parts, 3 + 8);
    ck_assert_uint_eq(script.sessions, 1);
}
END_TEST

START_TEST(a_limit_that_nothing_passes_is_told)
{
    script.limit = 1000;
    upload(NULL, fileno(file));
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "takes no request of 375000 bytes");
    ck_assert_says(outcome.end.failure.hint, "a proxy before the registry");
    ck_assert_uint_eq(script.parts, 4);
}
END_TEST

START_TEST(goes_on_after_a_lost_part)
{
    script.lost_parts = 2;
    upload(NULL, fileno(file));
    check_uploaded();
    ck_assert_uint_eq(script.sessions, 1);
    ck_assert_uint_eq(script.wheres, 2);
    ck_assert_uint_eq(script.parts, 3);
}
END_TEST

START_TEST(begins_anew_after_a_lost_session)
{
    script.lost_sessions = 1;
    upload(NULL, fileno(file));
    check_uploaded();
    ck_assert_uint_eq(script.sessions, 2);
}
END_TEST

START_TEST(a_lost_end_is_looked_up)
{
    script.lost_closes = 1;
    script.forgets_closes = _i == 1;
    upload(NULL, fileno(file));
    check_uploaded();
    ck_assert_uint_eq(script.sessions, _i == 1 ? 2 : 1);
}
END_TEST

START_TEST(gives_up_when_nothing_gets_through)
{
    script.lost_sessions = 99;
    upload(NULL, fileno(file));
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_LATER);
    ck_assert_uint_le(script.parts, 6);
}
END_TEST

START_TEST(a_refused_digest_is_told)
{
    script.refuses_digest = true;
    upload(NULL, fileno(file));
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "DIGEST_INVALID: not that");
}
END_TEST

START_TEST(what_nobody_has_is_told)
{
    upload(NULL, -1);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_says(outcome.end.failure.message, "nor this machine has it");
}
END_TEST

START_TEST(nothing_is_sent_to_another_host)
{
    script.elsewhere = true; /* the same host: its own port may be wrong behind a proxy, so ours is taken */
    upload(NULL, fileno(file));
    check_uploaded();
}
END_TEST

static const char manifest[] = "{\"schemaVersion\":2}";

static int open_blob(void *context, size_t index, struct failure *failure)
{
    (void)context;
    (void)index;
    (void)failure;
    return dup(fileno(file));
}

static void on_pushed(void *context, const struct push_summary *summary, const struct failure *failure)
{
    struct outcome *to = context;
    if (summary != NULL)
        to->summary = *summary;
    end_take_failure(&to->end, failure);
}

static void push(void)
{
    struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    const struct push_blob blobs[] = {{digest, BLOB_BYTES}, {digest, BLOB_BYTES}};
    ck_assert(reference_read(&reference, "h.io/a/b:1", &failure));
    const struct push_request request = {.client = fixture.client,
                                         .reference = &reference,
                                         .blobs = blobs,
                                         .count = 2,
                                         .manifest = manifest,
                                         .manifest_length = strlen(manifest),
                                         .media_type = "application/vnd.oci.image.manifest.v1+json",
                                         .open = open_blob,
                                         .done = on_pushed,
                                         .context = &outcome};
    end_clear(&outcome.end);
    ck_assert_msg(push_start(&request, &failure) != NULL, "%s", failure_message(&failure));
    fixture_wait(&fixture, &outcome.end.done);
}

START_TEST(pushes_an_image_and_then_nothing)
{
    push();
    ck_assert_good(outcome.end);
    ck_assert_uint_eq(outcome.summary.sent, 1); /* the twin goes once */
    ck_assert_uint_eq(outcome.summary.sent_bytes, BLOB_BYTES);
    ck_assert_uint_eq(script.puts, 1);
    script.puts = 0;
    unsigned before = scripted_requests(fixture.server);
    push();
    ck_assert_good(outcome.end);
    ck_assert(outcome.summary.unchanged);
    ck_assert_uint_eq(scripted_requests(fixture.server) - before, 1);
}
END_TEST

START_TEST(a_failed_blob_leaves_the_tag_alone)
{
    script.refuses_digest = true;
    push();
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_uint_eq(script.puts, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upload");
    TCase *test = tcase_create("upload");
    tcase_set_timeout(test, 60);
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_test(test, sends_a_blob);
    tcase_add_test(test, sends_nothing_that_is_there);
    tcase_add_test(test, mounts_what_another_repository_has);
    tcase_add_loop_test(test, sends_what_cannot_be_mounted, 0, 2);
    tcase_add_test(test, sends_in_shorter_parts_what_is_too_long_for_a_proxy);
    tcase_add_test(test, a_limit_that_nothing_passes_is_told);
    tcase_add_test(test, goes_on_after_a_lost_part);
    tcase_add_test(test, begins_anew_after_a_lost_session);
    tcase_add_loop_test(test, a_lost_end_is_looked_up, 0, 2);
    tcase_add_test(test, gives_up_when_nothing_gets_through);
    tcase_add_test(test, a_refused_digest_is_told);
    tcase_add_test(test, what_nobody_has_is_told);
    tcase_add_test(test, nothing_is_sent_to_another_host);
    tcase_add_test(test, pushes_an_image_and_then_nothing);
    tcase_add_test(test, a_failed_blob_leaves_the_tag_alone);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
