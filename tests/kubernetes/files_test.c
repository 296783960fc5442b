/* SPDX-License-Identifier: BSD-3-Clause */
/* In how many ConfigMaps the files of a Workflow's pods go. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "argo/files.h"

enum { HALF = 500000 };

static char *text_of(char letter, size_t length)
{
    char *text = malloc(length + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, letter, length);
    text[length] = '\0';
    return text;
}

static const struct descpipe_form form = {.size = sizeof(form), .form = DESCPIPE_FORM_POD};

START_TEST(what_is_too_much_for_one_configmap_goes_into_the_next)
{
    char *a = text_of('a', HALF), *b = text_of('b', HALF), *c = text_of('c', HALF);
    const struct descpipe_job jobs[] = {
        {.stage = "0", .form = &form, .bring_in = a},
        {.stage = "1", .form = &form, .bring_in = a, .publish = b}, /* a is there already */
        {.stage = "2", .form = &form, .bring_in = c},
        {.stage = "3", .form = &form},
        {.stage = "4", .form = &form, .bring_in = c, .publish = a}, /* and once more where the others are */
    };
    const struct descpipe_job *list[] = {&jobs[0], &jobs[1], &jobs[2], &jobs[3], &jobs[4], NULL};
    const struct descpipe_submission submission = {.count = 5, .jobs = list};
    const uint32_t places[] = {0, 0, 1, 1, 1};
    struct files files;
    char words[POD_WORDS];
    ck_assert_msg(files_pack(&files, &submission, true, words), "%s", words);
    ck_assert_uint_eq(json_array_size(files.maps), 2);
    ck_assert_uint_eq(json_object_size(json_array_get(files.maps, 0)), 2);
    ck_assert_uint_eq(json_object_size(json_array_get(files.maps, 1)), 2);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(files_place(&files, i), places[i]);
    }
    files_clear(&files);
    ck_assert(files_pack(&files, &submission, false, words));
    ck_assert_uint_eq(json_array_size(files.maps), 0);
    files_clear(&files);
    free(a);
    free(b);
    free(c);
}
END_TEST

START_TEST(what_is_too_much_for_any_is_refused_with_its_stage)
{
    char *a = text_of('a', POD_FILES_LIMIT + 1);
    const struct descpipe_job job = {.stage = "huge", .form = &form, .bring_in = a};
    const struct descpipe_job *list[] = {&job, NULL};
    const struct descpipe_submission submission = {.count = 1, .jobs = list};
    struct files files;
    char words[POD_WORDS];
    ck_assert(!files_pack(&files, &submission, true, words));
    ck_assert_ptr_nonnull(strstr(words, "stage 'huge'"));
    ck_assert_ptr_nonnull(strstr(words, "put large files on the volume"));
    free(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("files");
    TCase *tests = tcase_create("files");
    tcase_add_test(tests, what_is_too_much_for_one_configmap_goes_into_the_next);
    tcase_add_test(tests, what_is_too_much_for_any_is_refused_with_its_stage);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
