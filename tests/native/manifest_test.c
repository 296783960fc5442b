/* SPDX-License-Identifier: BSD-3-Clause */
/* Image documents: what is read, and what each mistake is called. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "registry/document.h"
#include "registry/manifest.h"

#define DIGEST "sha256:abababababababababababababababababababababababababababababababab"

START_TEST(reads_index_with_platforms_and_names)
{
    static const char text[] =
        "{\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"" DIGEST
        "\",\"size\":7,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"},\"annotations\":"
        "{\"org.opencontainers.image.ref.name\":\"host/name:1.0\"}},{\"digest\":\"" DIGEST "\",\"size\":0}]}";
    struct oci_index index;
    struct failure failure = FAILURE_INIT;
    ck_assert(oci_index_read(&index, text, strlen(text), &failure));
    ck_assert_uint_eq(index.count, 2);
    ck_assert_str_eq(index.manifests[0].platform, "linux/arm64/v8");
    ck_assert_uint_eq(index.manifests[0].bytes, 7);
    ck_assert(oci_document_is_index(&index.manifests[0]));
    ck_assert(!oci_document_is_index(&index.manifests[1]));
    ck_assert_ptr_null(index.manifests[1].platform);
    ck_assert_ptr_eq(oci_index_choose(&index, "1.0", "linux/arm64", "x", &failure), &index.manifests[0]);
    ck_assert_ptr_eq(oci_index_choose(&index, "host/name:1.0", "linux/arm64", "x", &failure), &index.manifests[0]);
    ck_assert_ptr_null(oci_index_choose(&index, ".0", "linux/arm64", "x", &failure));
    ck_assert_str_eq(failure_message(&failure), "'x' has no image named '.0': it holds 'host/name:1.0'");
    failure_clear(&failure);
    oci_index_clear(&index);
}
END_TEST

START_TEST(platforms_match_by_whole_parts)
{
    ck_assert(oci_platform_matches("linux/amd64", "linux/amd64"));
    ck_assert(oci_platform_matches("linux/arm64/v8", "linux/arm64"));
    ck_assert(oci_platform_matches(NULL, "linux/arm64"));
    ck_assert(oci_platform_matches("linux/arm64", NULL));
    ck_assert(!oci_platform_matches("linux/arm64be", "linux/arm64"));
    ck_assert(!oci_platform_matches("linux/arm", "linux/arm64"));
}
END_TEST

START_TEST(times_with_and_without_offset)
{
    ck_assert_int_eq(document_time_ms("2024-05-06T07:08:09Z"), 1714979289000);
    ck_assert_int_eq(document_time_ms("2024-05-06T07:08:09.123456789Z"), 1714979289123);
    ck_assert_int_eq(document_time_ms("2024-05-06T09:08:09+02:00"), 1714979289000);
    ck_assert_int_eq(document_time_ms("2024-05-06T04:38:09.5-02:30"), 1714979289500);
    ck_assert_int_eq(document_time_ms("2024-05-06T07:08:09"), 0);
    ck_assert_int_eq(document_time_ms("2024-05-06T07:08:09+2:00"), 0);
    ck_assert_int_eq(document_time_ms("yesterday"), 0);
}
END_TEST

enum reader { READ_INDEX, READ_MANIFEST, READ_CONFIG, READ_DOCKER };
static const struct {
    enum reader reader;
    const char *text, *message;
} mistakes[] = {
    {READ_INDEX, "{", "not valid JSON: line 1, column 1: string or '}' expected near end of file"},
    {READ_INDEX, "{\"manifests\":[],\"manifests\":[]}",
     "not valid JSON: line 1, column 27: duplicate object key near '\"manifests\"'"},
    {READ_INDEX, "{}", "no list 'manifests' in the index"},
    {READ_INDEX, "[]", "no list 'manifests' in the index"},
    {READ_INDEX, "{\"manifests\":[3]}", "'digest' is missing"},
    {READ_INDEX, "{\"manifests\":[{\"digest\":3,\"size\":1}]}", "'digest' is not a text"},
    {READ_INDEX, "{\"manifests\":[{\"digest\":\"sha512:00\",\"size\":1}]}", "'sha512:00' is not a sha256 digest"},
    {READ_INDEX, "{\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":-1}]}", "'size' is not a size"},
    {READ_INDEX, "{\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":1,\"platform\":{}}]}", "'os' is missing"},
    {READ_MANIFEST, "{}", "no 'config' and 'layers' in the manifest"},
    {READ_MANIFEST, "{\"config\":{},\"layers\":[]}", "'digest' is missing"},
    {READ_CONFIG, "{\"os\":\"linux\"}", "'architecture' is missing"},
    {READ_CONFIG, "{\"os\":\"linux\",\"architecture\":\"a\"}", "'diff_ids' is not a list"},
    {READ_CONFIG, "{\"os\":\"linux\",\"architecture\":\"a\",\"rootfs\":{\"diff_ids\":[1]}}",
     "'diff_ids' holds something that is not a text"},
    {READ_CONFIG, "{\"os\":\"linux\",\"architecture\":\"a\",\"rootfs\":{\"diff_ids\":[\"../x\"]}}",
     "'../x' is not a sha256 digest"},
    {READ_DOCKER, "[]", "manifest.json lists no image, or more than 4096"},
    {READ_DOCKER, "[{\"Layers\":[]}]", "'Config' is missing"},
    {READ_DOCKER, "[{\"Config\":\"c\"}]", "'Layers' is not a list"},
};

START_TEST(each_mistake_has_its_message)
{
    struct oci_index index;
    struct oci_manifest manifest;
    struct oci_config config;
    struct docker_images images;
    struct failure failure = FAILURE_INIT;
    const char *text = mistakes[_i].text;
    size_t length = strlen(text);
    bool read = mistakes[_i].reader == READ_INDEX      ? oci_index_read(&index, text, length, &failure)
                : mistakes[_i].reader == READ_MANIFEST ? oci_manifest_read(&manifest, text, length, &failure)
                : mistakes[_i].reader == READ_CONFIG   ? oci_config_read(&config, text, length, &failure)
                                                       : docker_images_read(&images, text, length, &failure);
    ck_assert(!read);
    ck_assert_str_eq(failure_message(&failure), mistakes[_i].message);
    failure_clear(&failure);
}
END_TEST

START_TEST(refuses_documents_and_lists_over_their_limits)
{
    struct oci_index index;
    struct failure failure = FAILURE_INIT;
    char *text = malloc(OCI_DOCUMENT_LIMIT + 1);
    memset(text, ' ', OCI_DOCUMENT_LIMIT + 1);
    ck_assert(!oci_index_read(&index, text, OCI_DOCUMENT_LIMIT + 1, &failure));
    ck_assert_str_eq(failure_message(&failure), "the document is larger than 4194304 bytes");
    size_t length = strlen("{\"manifests\":[0");
    memcpy(text, "{\"manifests\":[0", length);
    for (int i = 0; i < OCI_MANIFESTS_LIMIT; i++, length += 2)
        memcpy(text + length, ",0", 2);
    memcpy(text + length, "]}", 2);
    ck_assert(!oci_index_read(&index, text, length + 2, &failure));
    ck_assert_str_eq(failure_message(&failure), "it lists 4097 parts, more than 4096");
    free(text);
    failure_clear(&failure);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image documents");
    TCase *cases = tcase_create("manifest");
    tcase_add_test(cases, reads_index_with_platforms_and_names);
    tcase_add_test(cases, platforms_match_by_whole_parts);
    tcase_add_test(cases, times_with_and_without_offset);
    tcase_add_loop_test(cases, each_mistake_has_its_message, 0, sizeof mistakes / sizeof mistakes[0]);
    tcase_add_test(cases, refuses_documents_and_lists_over_their_limits);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
