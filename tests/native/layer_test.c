/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpacking layers: what archives may and may not do. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/runtime/native/store/layer.h"
#include "plugins/runtime/native/store/tree.h"

#include "images.h"
#include "layers.h"
#include "registry/digest.h"

struct reading {
    const struct blob *blob;
    size_t at;
};

static ssize_t read_memory(void *context, void *bytes, size_t size, struct failure *failure)
{
    struct reading *reading = context;
    size_t left = reading->blob->length - reading->at;
    (void)failure;
    size = size < left ? size : left;
    memcpy(bytes, reading->blob->bytes + reading->at, size);
    reading->at += size;
    return (ssize_t)size;
}

static const struct budget roomy = {.entries = 1000, .bytes = 1 << 20};

struct unpacking {
    char *folder; /* FOLDER/layer is unpacked into, FOLDER/outside must stay as it is */
    bool done;
    struct failure failure;
    struct layer_result result;
};

static void unpack_blob(struct unpacking *unpacking, const struct blob *blob, const char *digest, const char *diff_id,
                        const struct budget *budget)
{
    *unpacking = (struct unpacking){.folder = folder_make()};
    file_write(unpacking->folder, "outside/secret", "secret\n");
    file_write(unpacking->folder, "layer/x", "");
    char path[4096];
    snprintf(path, sizeof path, "%s/layer/x", unpacking->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/layer", unpacking->folder);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/outside", unpacking->folder);
    char *before = folder_describe(path);
    struct reading reading = {.blob = blob};
    struct layer_request request = {.read = read_memory,
                                    .context = &reading,
                                    .folder = folder,
                                    .digest = digest,
                                    .diff_id = diff_id,
                                    .budget = budget};
    unpacking->done = layer_unpack(&request, &unpacking->result, &unpacking->failure);
    close(folder);
    char *after = folder_describe(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    ck_assert(unpacking->done == (unpacking->failure.kind == 0));
}

static void unpack(struct unpacking *unpacking, const struct layer_entry *entries, const struct budget *budget)
{
    struct blob blob = layer_make(entries, PACK_PLAIN, NULL);
    unpack_blob(unpacking, &blob, blob.digest, blob.digest, budget);
    blob_clear(&blob);
}

static void finish(struct unpacking *unpacking)
{
    failure_clear(&unpacking->failure);
    folder_remove(unpacking->folder);
}

static void assert_file(const struct unpacking *unpacking, const char *name, const char *content)
{
    char *actual = file_read(unpacking->folder, name);
    if (content == NULL)
        ck_assert_ptr_null(actual);
    else
        ck_assert_str_eq(actual, content);
    free(actual);
}

START_TEST(unpacks_files_folders_links_and_pipes)
{
    static const struct layer_entry entries[] = {{'d', "./", NULL, 0, 0},
                                                 {'d', "etc", NULL, 0555, 0},
                                                 {'f', "etc/motd", "hello\n", 0, 0},
                                                 {'f', "/absolute/path", "inside\n", 0, 0},
                                                 {'f', "unreadable", "x\n", 04100, 0},
                                                 {'l', "motd", "etc/motd", 0, 0},
                                                 {'h', "same", "etc/motd", 0, 0},
                                                 {'p', "pipe", NULL, 0, 0},
                                                 {'c', "null", NULL, 0, 0},
                                                 {'f', "caf\xc3\xa9", "name\n", 0, 0},
                                                 {'f', "new\nline", "odd\n", 0, 0},
                                                 {'f', "hole", "start", 0, 100000},
                                                 {'f', "etc/motd2", "in a folder closed to writing\n", 0, 0},
                                                 {0}};
    struct unpacking unpacking;
    unpack(&unpacking, entries, &roomy);
    ck_assert_msg(unpacking.done, "%s", failure_message(&unpacking.failure));
    assert_file(&unpacking, "layer/tree/etc/motd", "hello\n");
    assert_file(&unpacking, "layer/tree/absolute/path", "inside\n");
    assert_file(&unpacking, "layer/tree/motd", "hello\n");
    assert_file(&unpacking, "layer/tree/same", "hello\n");
    assert_file(&unpacking, "layer/tree/caf\xc3\xa9", "name\n");
    assert_file(&unpacking, "layer/tree/new\nline", "odd\n");
    assert_file(&unpacking, "layer/tree/etc/motd2", "in a folder closed to writing\n");
    ck_assert(!file_exists(unpacking.folder, "layer/tree/null"));
    ck_assert_uint_eq(unpacking.result.skipped, 1);
    ck_assert_uint_eq(unpacking.result.entries, 13);
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/layer/tree/unreadable", unpacking.folder);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0500);
    ck_assert_int_eq(status.st_mtim.tv_sec, 1000000000);
    snprintf(path, sizeof path, "%s/layer/tree/etc", unpacking.folder);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0755);
    snprintf(path, sizeof path, "%s/layer/tree/hole", unpacking.folder);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 100000);
    ck_assert_int_lt(status.st_blocks * 512, 100000);
    snprintf(path, sizeof path, "%s/layer/tree/pipe", unpacking.folder);
    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert(S_ISFIFO(status.st_mode));
    finish(&unpacking);
}
END_TEST

/* Each either is refused with this message or puts its file only here. "*" in a message is any text. */
static const struct {
    const char *message; /* NULL: unpacked */
    const char *where;   /* the file that must be there, with content "evil\n" */
    struct layer_entry entries[6];
} hostile[] = {
    {"entry '../evil' leads outside of the layer", NULL, {{'f', "../evil", "evil\n", 0, 0}}},
    {"entry 'a/../../evil' leads outside of the layer", NULL, {{'f', "a/../../evil", "evil\n", 0, 0}}},
    {NULL, "layer/tree/etc/evil", {{'f', "//etc/./evil", "evil\n", 0, 0}}},
    {"entry 'out': cannot go into it: No such file or directory",
     NULL,
     {{'l', "out", "../../outside", 0, 0}, {'f', "out/secret", "evil\n", 0, 0}}},
    {NULL,
     "layer/tree/b/evil",
     {{'d', "b", NULL, 0, 0}, {'l', "a", "/../../b", 0, 0}, {'f', "a/evil", "evil\n", 0, 0}}},
    {"entry 'self': cannot go into it: Too many levels of symbolic links",
     NULL,
     {{'l', "self", "self", 0, 0}, {'f', "self/evil", "evil\n", 0, 0}}},
    {NULL, "layer/tree/link", {{'l', "link", "../../outside/secret", 0, 0}, {'f', "link", "evil\n", 0, 0}}},
    {NULL,
     "layer/tree/dir/evil",
     {{'l', "dir", "../../outside", 0, 0}, {'d', "dir", NULL, 0, 0}, {'f', "dir/evil", "evil\n", 0, 0}}},
    {"entry '../../outside/secret' leads outside of the layer",
     NULL,
     {{'h', "hard", "../../outside/secret", 0, 0}, {'f', "hard", "evil\n", 0, 0}}},
    {"entry 'hard' is a hard link to 'etc/passwd', which the layer does not hold",
     NULL,
     {{'d', "etc", NULL, 0, 0}, {'h', "hard", "/etc/passwd", 0, 0}}},
    {"entry 'out': cannot go into it: No such file or directory",
     NULL,
     {{'l', "out", "../../outside", 0, 0}, {'h', "hard", "out/secret/x", 0, 0}}},
    {"entry 'hard' is a hard link to a folder", NULL, {{'d', "etc", NULL, 0, 0}, {'h', "hard", "etc", 0, 0}}},
    {NULL,
     "layer/tree/plain/evil",
     {{'d', "plain", NULL, 0, 0},
      {'f', "plain/old", "old", 0, 0},
      {'f', "plain", "file", 0, 0},
      {'d', "plain", NULL, 0, 0},
      {'f', "plain/evil", "evil\n", 0, 0}}},
    {"entry 'file': cannot go into it: Not a directory",
     NULL,
     {{'f', "file", "x", 0, 0}, {'f', "file/evil", "evil\n", 0, 0}}},
    {"entry '.wh.' removes nothing that can exist", NULL, {{'f', ".wh.", "", 0, 0}}},
    {"entry 'a/.wh...' removes nothing that can exist", NULL, {{'f', "a/.wh...", "", 0, 0}}},
    {"entry '.wh..' removes nothing that can exist", NULL, {{'f', ".wh..", "", 0, 0}}},
    {"entry '.wh.a/evil' lies in a whiteout", NULL, {{'f', ".wh.a/evil", "evil\n", 0, 0}}},
    {"entry 'ab' is a link to nothing", NULL, {{'l', "ab", "", 0, 0}}},
    {"the layer's root is not a folder", NULL, {{'l', "./", "/etc", 0, 0}}},
};

START_TEST(hostile_layers_put_nothing_outside)
{
    struct layer_entry entries[7] = {{0}};
    memcpy(entries, hostile[_i].entries, sizeof hostile[_i].entries);
    struct unpacking unpacking;
    unpack(&unpacking, entries, &roomy);
    const char *message = unpacking.done ? "unpacked" : failure_message(&unpacking.failure);
    const char *expected = hostile[_i].message != NULL ? hostile[_i].message : "unpacked";
    size_t fixed = strcspn(expected, "*");
    ck_assert_msg(strncmp(message, expected, fixed) == 0 && (expected[fixed] == '*' || message[fixed] == '\0'),
                  "'%s' instead of '%s'", message, expected);
    if (hostile[_i].where != NULL)
        assert_file(&unpacking, hostile[_i].where, "evil\n");
    ck_assert(!file_exists(unpacking.folder, "evil"));
    ck_assert(!file_exists(unpacking.folder, "layer/evil"));
    finish(&unpacking);
}
END_TEST

START_TEST(notes_what_the_layer_removes)
{
    static const struct layer_entry entries[] = {{'f', "a/.wh.gone", "", 0, 0},
                                                 {'f', "b/.wh..wh..opq", "", 0, 0},
                                                 {'f', ".wh..wh.plnk", "", 0, 0},
                                                 {'f', ".wh..wh.aufs/x", "", 0, 0},
                                                 {0}};
    struct unpacking unpacking;
    unpack(&unpacking, entries, &roomy);
    ck_assert(unpacking.done);
    char path[4096], records[64] = "";
    snprintf(path, sizeof path, "%s/layer/whiteouts", unpacking.folder);
    FILE *file = fopen(path, "re");
    ck_assert_uint_eq(fread(records, 1, sizeof records, file), 11);
    fclose(file);
    ck_assert_mem_eq(records, "wa/gone\0ob\0", 11);
    snprintf(path, sizeof path, "%s/layer/tree", unpacking.folder);
    char *tree = folder_describe(path);
    ck_assert_ptr_null(strstr(tree, ".wh"));
    free(tree);
    finish(&unpacking);
}
END_TEST

START_TEST(keeps_to_its_budget)
{
    static const struct layer_entry many[] = {
        {'d', "a", NULL, 0, 0}, {'d', "b", NULL, 0, 0}, {'d', "c", NULL, 0, 0}, {0}};
    static const struct layer_entry large[] = {{'f', "large", "0123456789", 0, 0}, {0}};
    static const struct layer_entry hole[] = {{'f', "hole", "x", 0, 1ll << 40}, {0}};
    static const atomic_bool stop = true;
    static const struct {
        const struct layer_entry *entries;
        struct budget budget;
        const char *message;
    } cases[] = {
        {many, {.entries = 2, .bytes = 100}, "the layer has more than 2 entries"},
        {large, {.entries = 2, .bytes = 9}, "the layer unpacks to more than 9 bytes"},
        {hole, {.entries = 2, .bytes = 1 << 20}, "the layer unpacks to more than 1048576 bytes"},
        {large, {.entries = 2, .bytes = 99, .free_bytes = UINT64_MAX}, "no space left to unpack the layer"},
        {large, {.entries = 2, .bytes = 99, .stop = &stop}, "unpacking was cancelled"},
    };
    struct unpacking unpacking;
    unpack(&unpacking, cases[_i].entries, &cases[_i].budget);
    ck_assert_str_eq(failure_message(&unpacking.failure), cases[_i].message);
    finish(&unpacking);
}
END_TEST

START_TEST(compares_both_digests)
{
    static const struct layer_entry entries[] = {{'f', "file", "content", 0, 0}, {0}};
    static const char *const wrong = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    for (enum layer_packing packing = PACK_PLAIN; packing <= PACK_ZSTD; packing++) {
        char diff_id[72], expected[512];
        struct blob blob = layer_make(entries, packing, diff_id);
        struct unpacking unpacking;
        unpack_blob(&unpacking, &blob, blob.digest, diff_id, &roomy);
        ck_assert_msg(unpacking.done, "%s", failure_message(&unpacking.failure));
        assert_file(&unpacking, "layer/tree/file", "content");
        finish(&unpacking);
        unpack_blob(&unpacking, &blob, wrong, diff_id, &roomy);
        snprintf(expected, sizeof expected, "the layer's digest is %s, and should be %s", blob.digest, wrong);
        ck_assert_str_eq(failure_message(&unpacking.failure), expected);
        finish(&unpacking);
        unpack_blob(&unpacking, &blob, blob.digest, wrong, &roomy);
        snprintf(expected, sizeof expected, "the layer's content is %s, and should be %s", diff_id, wrong);
        ck_assert_str_eq(failure_message(&unpacking.failure), expected);
        finish(&unpacking);
        blob_clear(&blob);
    }
}
END_TEST

START_TEST(refuses_what_is_no_layer)
{
    static const struct {
        const char *text, *message;
    } cases[] = {{"", "the layer is empty"},
                 {"<html>404 not found</html>", "not a readable layer: *"},
                 {"\x1f\x8b\x08 but not gzip at all, whatever it says", "not a readable layer: *"}};
    struct blob blob = blob_of(cases[_i].text);
    struct unpacking unpacking;
    unpack_blob(&unpacking, &blob, blob.digest, blob.digest, &roomy);
    ck_assert(!unpacking.done);
    ck_assert_int_eq(strncmp(failure_message(&unpacking.failure), cases[_i].message, strcspn(cases[_i].message, "*")),
                     0);
    blob_clear(&blob);
    finish(&unpacking);
}
END_TEST

START_TEST(refuses_a_torn_layer)
{
    static const struct layer_entry entries[] = {{'f', "file", "content", 0, 0}, {'f', "other", "more", 0, 0}, {0}};
    for (enum layer_packing packing = PACK_PLAIN; packing <= PACK_ZSTD; packing++) {
        char diff_id[72];
        struct blob blob = layer_make(entries, packing, diff_id);
        size_t length = blob.length;
        for (size_t cut = 1; cut < 8; cut++) {
            struct unpacking unpacking;
            blob.length = length * cut / 8;
            unpack_blob(&unpacking, &blob, blob.digest, diff_id, &roomy);
            ck_assert_msg(!unpacking.done, "cut at %zu of %zu", blob.length, length);
            finish(&unpacking);
        }
        blob_clear(&blob);
    }
}
END_TEST

/* As umoci writes it: the tar ends behind the last file's last byte. One byte less, and the file is cut. */
START_TEST(takes_a_tar_without_its_last_padding)
{
    static const struct layer_entry entries[] = {{'f', "file", "content", 0, 0}, {0}};
    for (int cut = 0; cut < 2; cut++) {
        struct unpacking unpacking;
        struct blob whole = layer_make(entries, PACK_PLAIN, NULL);
        size_t length = whole.length;
        while (whole.bytes[length - 1] == '\0')
            length--;
        struct blob ended = {.bytes = whole.bytes, .length = length - (size_t)cut};
        ck_assert(digest_of_bytes(ended.bytes, ended.length, ended.digest));
        unpack_blob(&unpacking, &ended, ended.digest, ended.digest, &roomy);
        ck_assert_msg(unpacking.done == (cut == 0), "%s", failure_message(&unpacking.failure));
        if (cut > 0)
            ck_assert_str_eq(failure_message(&unpacking.failure), "not a readable layer: its last file is cut");
        finish(&unpacking);
        blob_clear(&whole);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("native layers");
    TCase *cases = tcase_create("layer");
    tcase_set_timeout(cases, 20);
    tcase_add_test(cases, unpacks_files_folders_links_and_pipes);
    tcase_add_loop_test(cases, hostile_layers_put_nothing_outside, 0, sizeof hostile / sizeof hostile[0]);
    tcase_add_test(cases, notes_what_the_layer_removes);
    tcase_add_loop_test(cases, keeps_to_its_budget, 0, 5);
    tcase_add_test(cases, compares_both_digests);
    tcase_add_loop_test(cases, refuses_what_is_no_layer, 0, 3);
    tcase_add_test(cases, refuses_a_torn_layer);
    tcase_add_test(cases, takes_a_tar_without_its_last_padding);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
