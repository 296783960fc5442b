/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/digest.h"

#include <string.h>

#include "suite.h"
#include "temporary_folder.h"

/* From FIPS 180-2, and the empty text. */
#define DIGEST_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGEST_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST_OF_MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

START_TEST(gives_the_published_values)
{
    uint8_t result[DIGEST_BYTES];
    char text[DIGEST_TEXT];
    digest_of("abc", 3, result);
    digest_to_text(result, text);
    ck_assert_str_eq(text, DIGEST_OF_ABC);
    digest_of(NULL, 0, result);
    digest_to_text(result, text);
    ck_assert_str_eq(text, DIGEST_OF_NOTHING);
}
END_TEST

START_TEST(a_running_one_can_be_started_again)
{
    cleanup(digest_free) struct digest *digest = digest_new();
    char text[DIGEST_TEXT], piece[1000];
    uint8_t result[DIGEST_BYTES];
    memset(piece, 'a', sizeof piece);
    digest_add(digest, "left over", 9);
    for (int round = 0; round < 2; round++) {
        digest_start(digest);
        for (int i = 0; i < 1000; i++)
            digest_add(digest, piece, sizeof piece);
        digest_end(digest, result);
        digest_to_text(result, text);
        ck_assert_str_eq(text, DIGEST_OF_MILLION_A);
    }
}
END_TEST

START_TEST(reads_files_and_refuses_the_rest)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *path = temporary_path("file");
    char text[DIGEST_TEXT];
    put_file(path, "abc");
    ck_assert(digest_of_file(path, text, &error));
    ck_assert_str_eq(text, DIGEST_OF_ABC);
    put_file(path, "");
    ck_assert(digest_of_file(path, text, &error));
    ck_assert_str_eq(text, DIGEST_OF_NOTHING);
    ck_assert(!digest_of_file("/", text, &error));
    ck_assert_str_eq(error.message, "'/' is a folder, not a regular file");
    ck_assert(!digest_of_file("/nowhere", text, &error));
    ck_assert_str_eq(error.message, "cannot open '/nowhere': No such file or directory");
}
END_TEST

START_TEST(knows_its_texts)
{
    ck_assert(digest_is_text(DIGEST_OF_ABC));
    ck_assert(!digest_is_text("") && !digest_is_text(DIGEST_OF_ABC "0") && !digest_is_text(&DIGEST_OF_ABC[1]));
    char upper[DIGEST_TEXT] = DIGEST_OF_ABC;
    upper[0] = 'B';
    ck_assert(!digest_is_text(upper));
}
END_TEST

START_TEST(random_bytes_fill_everything)
{
    unsigned char bytes[4096];
    unsigned seen[256] = {0};
    memset(bytes, 0, sizeof bytes);
    ck_assert(random_bytes(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        seen[bytes[i]]++;
    for (size_t i = 0; i < 256; i++) /* 16 expected; 64 is out of all chance */
        ck_assert_uint_lt(seen[i], 64);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("digest");
    tcase_add_checked_fixture(tests, temporary_folder_make, temporary_folder_remove);
    tcase_add_test(tests, gives_the_published_values);
    tcase_add_test(tests, a_running_one_can_be_started_again);
    tcase_add_test(tests, reads_files_and_refuses_the_rest);
    tcase_add_test(tests, knows_its_texts);
    tcase_add_test(tests, random_bytes_fill_everything);
    return run_case("digest", tests);
}
