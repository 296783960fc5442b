/* SPDX-License-Identifier: BSD-3-Clause */
/* Resolving against a server that may lie. */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"
#include "registry/image/resolve.h"
#include "registry/image/tags.h"

#define CONFIG                                                                                                         \
    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2024-01-02T03:04:05Z\",\"rootfs\":{\"type\":"          \
    "\"layers\","                                                                                                      \
    "\"diff_ids\":[]}}"
#define LAYER_DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000001"

struct script {
    char manifest[1024], config[1024], index[4096];
    char manifest_digest[DIGEST_SIZE], config_digest[DIGEST_SIZE], index_digest[DIGEST_SIZE];
    bool serve_index;    /* the tag names the index */
    bool other_manifest; /* answers another document than the digest's */
    bool other_config;
    bool truncated;
    bool hide_digest; /* no Docker-Content-Digest */
    const char *said_digest;
    size_t oversized;
    const char *tags; /* pages, split at '|' */
    unsigned heads, manifests, configs, pages;
    char accept[1024];
};

static void serve_manifest(struct script *script, const struct scripted_request *request,
                           struct scripted_connection *connection)
{
    const char *object = strrchr(request->target, '/') + 1;
    bool head = strcmp(request->method, "HEAD") == 0;
    bool index = strcmp(object, script->index_digest) == 0 || (strcmp(object, "1.0") == 0 && script->serve_index);
    bool known = index || strcmp(object, "1.0") == 0 || strcmp(object, script->manifest_digest) == 0;
    char headers[256] = "";
    script->heads += head;
    script->manifests += !head;
    scripted_header(request, "Accept", script->accept, sizeof script->accept);
    if (!known) {
        scripted_text(connection, 404, "",
                      "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}");
        return;
    }
    if (!script->hide_digest)
        snprintf(headers, sizeof headers, "Docker-Content-Digest: %s\r\n",
                 script->said_digest != NULL ? script->said_digest
                 : index                     ? script->index_digest
                                             : script->manifest_digest);
    if (script->oversized > 0) {
        char *bytes = calloc(1, script->oversized);
        memset(bytes, ' ', script->oversized);
        scripted_answer(connection, 200, headers, bytes, script->oversized);
        free(bytes);
    } else if (script->other_manifest)
        scripted_text(connection, 200, headers, "{}");
    else if (script->truncated)
        scripted_answer(connection, 200, "", script->manifest, strlen(script->manifest) / 2);
    else
        scripted_text(connection, 200, headers, index ? script->index : script->manifest);
}

static void serve_tags(struct script *script, const struct scripted_request *request,
                       struct scripted_connection *connection)
{
    const char *page = script->tags;
    const char *last = strstr(request->target, "last=");
    unsigned number = last != NULL ? (unsigned)strtoul(last + 5, NULL, 10) : 0;
    char headers[256] = "", body[4096];
    script->pages++;
    if (page == NULL) {
        scripted_text(connection, 404, "", "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"unknown\"}]}");
        return;
    }
    for (unsigned i = 0; i < number; i++)
        page = strchr(page, '|') + 1;
    if (strchr(page, '|') != NULL)
        snprintf(headers, sizeof headers, "Link: </v2/a/b/tags/list?n=1000&last=%u>; rel=\"next\"\r\n", number + 1);
    snprintf(body, sizeof body, "{\"name\":\"a/b\",\"tags\":[%.*s]}", (int)strcspn(page, "|"), page);
    scripted_text(connection, 200, headers, body);
}

static void serve(void *context, const struct scripted_request *request, struct scripted_connection *connection)
{
    struct script *script = context;
    if (target_begins(request, "/v2/a/b/manifests/"))
        serve_manifest(script, request, connection);
    else if (target_begins(request, "/v2/a/b/tags/"))
        serve_tags(script, request, connection);
    else {
        script->configs++;
        scripted_text(connection, 200, "", script->other_config ? "{\"os\":\"evil\"}" : script->config);
    }
}

struct outcome {
    struct end end;
    struct resolution resolution;
};

static void on_resolved(void *context, struct resolution *resolution, const struct failure *failure)
{
    struct outcome *outcome = context;
    if (resolution != NULL) {
        outcome->resolution = *resolution;
        *resolution = (struct resolution){0};
    }
    end_take_failure(&outcome->end, failure);
}

static struct fixture fixture;
static struct script script;
static struct outcome outcome;
static char cache[] = "/tmp/resolve-test.XXXXXX";

static void make_documents(const char *config)
{
    snprintf(script.config, sizeof script.config, "%s", config);
    digest_of_bytes(script.config, strlen(script.config), script.config_digest);
    snprintf(
        script.manifest, sizeof script.manifest,
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
        "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" LAYER_DIGEST "\",\"size\":1000}]}",
        script.config_digest, strlen(script.config));
    digest_of_bytes(script.manifest, strlen(script.manifest), script.manifest_digest);
    snprintf(
        script.index, sizeof script.index,
        "{\"schemaVersion\":2,\"manifests\":["
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" LAYER_DIGEST
        "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},"
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" LAYER_DIGEST
        "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}},"
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" LAYER_DIGEST
        "\",\"size\":1,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
        /* A signature that was made on this machine: neither its platform nor that it has none makes it an image. */
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" LAYER_DIGEST
        "\",\"size\":1,\"artifactType\":\"application/vnd.example.signature\",\"platform\":{\"os\":\"linux\","
        "\"architecture\":\"amd64\"}},"
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" LAYER_DIGEST
        "\",\"size\":1,\"artifactType\":\"application/spdx+json\"},"
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,\"platform\":"
        "{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
        script.manifest_digest, strlen(script.manifest));
    digest_of_bytes(script.index, strlen(script.index), script.index_digest);
}

static void setup(void)
{
    script = (struct script){0};
    outcome = (struct outcome){0};
    make_documents(CONFIG);
    fixture_open(&fixture, serve, &script);
    memcpy(cache, "/tmp/resolve-test.XXXXXX", sizeof cache);
    ck_assert_ptr_nonnull(mkdtemp(cache));
}

static void teardown(void)
{
    char path[2048];
    DIR *folder = opendir(cache);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", cache, entry->d_name);
        unlink(path);
    }
    closedir(folder);
    rmdir(cache);
    end_clear(&outcome.end);
    resolution_clear(&outcome.resolution);
    fixture_close(&fixture);
}

static void resolve(const char *object, const char *platform, const char *cache_folder)
{
    struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    char text[300];
    snprintf(text, sizeof text, "%s/a/b%s%s", fixture.name, strchr(object, ':') != NULL ? "@" : ":", object);
    ck_assert_msg(reference_read(&reference, text, &failure), "%s", failure.message);
    const struct resolve_request request = {.client = fixture.client,
                                            .reference = &reference,
                                            .platform = platform,
                                            .cache_folder = cache_folder,
                                            .done = on_resolved,
                                            .context = &outcome};
    end_clear(&outcome.end);
    resolution_clear(&outcome.resolution);
    ck_assert_msg(resolve_start(&request, &failure) != NULL, "%s", failure.message);
    ck_assert(!outcome.end.done);
    fixture_wait(&fixture, &outcome.end.done);
}

START_TEST(resolves_a_manifest)
{
    resolve("1.0", "linux/amd64", NULL);
    ck_assert_good(outcome.end);
    ck_assert_str_eq(outcome.resolution.digest, script.manifest_digest);
    ck_assert_str_eq(outcome.resolution.manifest_digest, script.manifest_digest);
    ck_assert_str_eq(outcome.resolution.config_digest, script.config_digest);
    ck_assert_str_eq(outcome.resolution.platform, "linux/amd64");
    ck_assert_str_eq(outcome.resolution.media_type, "application/vnd.oci.image.manifest.v1+json");
    ck_assert_uint_eq(outcome.resolution.stored_bytes, 1000 + strlen(script.config));
    ck_assert_int_eq(outcome.resolution.created_at_ms, 1704164645000);
    ck_assert_str_eq(outcome.resolution.manifest, script.manifest);
    struct descpipe_image_identity identity = resolution_identity(&outcome.resolution);
    ck_assert_str_eq(identity.config_digest, script.config_digest);
}
END_TEST

START_TEST(chooses_the_platform_of_an_index)
{
    script.serve_index = true;
    resolve("1.0", "linux/amd64", NULL);
    ck_assert_good(outcome.end);
    ck_assert_str_eq(outcome.resolution.digest, script.index_digest);
    ck_assert_str_eq(outcome.resolution.manifest_digest, script.manifest_digest);
}
END_TEST

START_TEST(names_the_platforms_that_exist)
{
    script.serve_index = true;
    resolve("1.0", "linux/ppc64le", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_says(outcome.end.failure.message,
                   "is not made for linux/ppc64le, only for linux/s390x, linux/arm64/v8, linux/amd64");
}
END_TEST

START_TEST(an_index_without_a_named_platform_is_refused)
{
    script.serve_index = true;
    resolve("1.0", NULL, NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "several platforms");
}
END_TEST

START_TEST(a_manifest_for_another_platform_is_told)
{
    resolve("1.0", "linux/arm64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_says(outcome.end.failure.message, "is not made for linux/arm64, only for linux/amd64");
}
END_TEST

START_TEST(resolves_a_digest)
{
    resolve(script.manifest_digest, "linux/amd64", NULL);
    ck_assert_good(outcome.end);
    ck_assert_str_eq(outcome.resolution.digest, script.manifest_digest);
}
END_TEST

START_TEST(another_document_than_the_digest_is_refused)
{
    script.other_manifest = true;
    resolve(script.manifest_digest, "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "sent something else than it was asked for: its digest is sha256:");
    resolve("1.0", "linux/amd64", NULL); /* what it announces counts, too */
    ck_assert_says(outcome.end.failure.message, "sent something else");
}
END_TEST

START_TEST(another_config_is_refused)
{
    script.other_config = true;
    resolve("1.0", "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "sent something else");
}
END_TEST

START_TEST(truncated_json_is_refused)
{
    script.truncated = true;
    resolve("1.0", "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "not valid JSON");
}
END_TEST

START_TEST(an_oversized_manifest_is_refused)
{
    script.oversized = 4u * 1024 * 1024 + 1;
    resolve("1.0", "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(outcome.end.failure.message, "larger than the limit");
}
END_TEST

START_TEST(dockers_first_format_is_told)
{
    snprintf(script.manifest, sizeof script.manifest, "{\"schemaVersion\":1,\"fsLayers\":[]}");
    script.hide_digest = true;
    resolve("1.0", "linux/amd64", NULL);
    ck_assert_says(outcome.end.failure.message, "first format");
}
END_TEST

START_TEST(a_tag_that_is_listed_but_has_no_image_is_not_called_missing)
{
    script.tags = "\"1.0\",\"1.0.2\"|\"latest\"";
    resolve("1.0.2", "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_says(outcome.end.failure.message, "lists the tag '1.0.2', but has no image for it");
}
END_TEST

START_TEST(a_missing_tag_is_answered_with_the_nearest)
{
    script.tags = "\"1.0\",\"0.9\"|\"latest\",\"1.0.1\"";
    resolve("1.0.2", "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_says(outcome.end.failure.message, "/a/b' has no tag '1.0.2'");
    ck_assert_says(outcome.end.failure.hint, "nearest that it has: '1.0.1', '1.0', '0.9'");
    ck_assert_uint_eq(script.pages, 2);
}
END_TEST

START_TEST(a_missing_repository_is_told)
{
    resolve("9", "linux/amd64", NULL);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_says(outcome.end.failure.message, "no such repository");
}
END_TEST

START_TEST(what_is_known_is_not_fetched_again)
{
    script.serve_index = true;
    resolve("1.0", "linux/amd64", cache);
    ck_assert_good(outcome.end);
    ck_assert_uint_eq(script.manifests, 2);
    ck_assert_uint_eq(script.configs, 1);
    resolve("1.0", "linux/amd64", cache);
    ck_assert_good(outcome.end);
    ck_assert_str_eq(outcome.resolution.manifest_digest, script.manifest_digest);
    ck_assert_uint_eq(script.manifests, 2);
    ck_assert_uint_eq(script.configs, 1);
    ck_assert_uint_eq(script.heads, 2);
    resolve(script.manifest_digest, "linux/amd64", cache); /* nobody needs to be asked */
    ck_assert_good(outcome.end);
    ck_assert_uint_eq(script.heads, 2);
}
END_TEST

START_TEST(a_damaged_cache_is_no_cache)
{
    char path[2048];
    resolve("1.0", "linux/amd64", cache);
    snprintf(path, sizeof path, "%s/%s", cache, script.manifest_digest + 7);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("{}", file);
    fclose(file);
    resolve("1.0", "linux/amd64", cache);
    ck_assert_good(outcome.end);
    ck_assert_uint_eq(script.manifests, 2);
}
END_TEST

START_TEST(head_without_a_digest_is_no_matter)
{
    script.hide_digest = true;
    resolve("1.0", "linux/amd64", cache);
    ck_assert_good(outcome.end);
}
END_TEST

struct listed {
    struct end end;
    size_t count;
    char last[64];
};

static void on_tags(void *context, const char *const *tags, size_t count, const struct failure *failure)
{
    struct listed *listed = context;
    listed->count = count;
    if (count > 0)
        snprintf(listed->last, sizeof listed->last, "%.60s", tags[count - 1]);
    end_take_failure(&listed->end, failure);
}

static const struct {
    const char *pages;
    size_t limit, count;
    const char *last;
    unsigned asked;
} lists[] = {
    {"\"a\",\"b\"|\"c\"|\"d\"", 0, 4, "d", 3},
    {"\"a\",\"b\"|\"c\"|\"d\"", 2, 2, "b", 1},
    {"\"a\",7,\"b c\",\"-x\"", 0, 1, "a", 1},
    {"", 0, 0, "", 1},
};

START_TEST(lists_tags)
{
    struct failure failure = FAILURE_INIT;
    struct listed listed = {0};
    script.tags = lists[_i].pages;
    const struct tags_request request = {
        .client = fixture.client, .repository = "a/b", .limit = lists[_i].limit, .done = on_tags, .context = &listed};
    ck_assert_ptr_nonnull(tags_start(&request, &failure));
    fixture_wait(&fixture, &listed.end.done);
    ck_assert_good(listed.end);
    ck_assert_uint_eq(listed.count, lists[_i].count);
    ck_assert_str_eq(listed.last, lists[_i].last);
    ck_assert_uint_eq(script.pages, lists[_i].asked);
}
END_TEST

START_TEST(a_stopped_resolve_is_told)
{
    struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    ck_assert(reference_read(&reference, "a/b:1.0", &failure));
    const struct resolve_request request = {
        .client = fixture.client, .reference = &reference, .done = on_resolved, .context = &outcome};
    resolve_stop(resolve_start(&request, &failure));
    fixture_wait(&fixture, &outcome.end.done);
    ck_assert_uint_eq(outcome.end.failure.kind, DESCPIPE_FAILED_CANCELLED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *test = tcase_create("resolve");
    tcase_set_timeout(test, 60);
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_test(test, resolves_a_manifest);
    tcase_add_test(test, chooses_the_platform_of_an_index);
    tcase_add_test(test, names_the_platforms_that_exist);
    tcase_add_test(test, an_index_without_a_named_platform_is_refused);
    tcase_add_test(test, a_manifest_for_another_platform_is_told);
    tcase_add_test(test, resolves_a_digest);
    tcase_add_test(test, another_document_than_the_digest_is_refused);
    tcase_add_test(test, another_config_is_refused);
    tcase_add_test(test, truncated_json_is_refused);
    tcase_add_test(test, an_oversized_manifest_is_refused);
    tcase_add_test(test, dockers_first_format_is_told);
    tcase_add_test(test, a_tag_that_is_listed_but_has_no_image_is_not_called_missing);
    tcase_add_test(test, a_missing_tag_is_answered_with_the_nearest);
    tcase_add_test(test, a_missing_repository_is_told);
    tcase_add_test(test, what_is_known_is_not_fetched_again);
    tcase_add_test(test, a_damaged_cache_is_no_cache);
    tcase_add_test(test, head_without_a_digest_is_no_matter);
    tcase_add_loop_test(test, lists_tags, 0, (int)(sizeof lists / sizeof lists[0]));
    tcase_add_test(test, a_stopped_resolve_is_told);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
