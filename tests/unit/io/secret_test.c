/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/secret.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../base/suite.h"
#include "base/text.h"

START_TEST(gives_back_what_it_keeps)
{
    uint64_t length;
    cleanup(secret_release) struct descpipe_secret *secret = secret_make("pass\0word", 9);
    ck_assert_mem_eq(secret_reveal(secret, &length), "pass\0word", 10); /* ends with NUL as well */
    ck_assert_uint_eq(length, 9);
    cleanup(secret_release) struct descpipe_secret *copy = secret_copy(secret);
    ck_assert_ptr_ne(secret_reveal(copy, NULL), secret_reveal(secret, NULL));
    ck_assert_mem_eq(secret_reveal(copy, &length), "pass\0word", 10);
    ck_assert_uint_eq(length, 9);
    cleanup(secret_release) struct descpipe_secret *empty = secret_make(NULL, 0);
    ck_assert_str_eq(secret_reveal(empty, &length), "");
    ck_assert_uint_eq(length, 0);
    ck_assert_ptr_null(secret_copy(NULL));
    secret_release(NULL);
}
END_TEST

START_TEST(takes_more_than_a_page)
{
    cleanup(memory_free) char *bytes = memory_allocate(100001);
    memset(bytes, 'k', 100000);
    cleanup(secret_release) struct descpipe_secret *secret = secret_make(bytes, 100000);
    ck_assert_str_eq(secret_reveal(secret, NULL), bytes);
}
END_TEST

/* The VmFlags of the mapping that holds `place`: "dd" is left out of dumps, "lo" is locked. */
static void read_flags(const char *place, char *flags, size_t size)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    ck_assert_ptr_nonnull(maps);
    char line[512];
    bool inside = false;
    flags[0] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        char *end;
        unsigned long first = strtoul(line, &end, 16);
        if (*end == '-') {
            unsigned long last = strtoul(end + 1, NULL, 16);
            inside = (uintptr_t)place >= first && (uintptr_t)place < last;
        }
        if (inside && text_starts_with(line, "VmFlags:"))
            snprintf(flags, size, "%s", line);
    }
    fclose(maps);
}

START_TEST(is_kept_out_of_dumps_and_swap)
{
    char flags[512];
    cleanup(secret_release) struct descpipe_secret *secret = secret_make("x", 1);
    read_flags(secret_reveal(secret, NULL), flags, sizeof flags);
    ck_assert_msg(strstr(flags, " dd") != NULL, "%s", flags);
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur >= 65536 && !SANITIZED)
        ck_assert_msg(strstr(flags, " lo") != NULL, "%s", flags);
}
END_TEST

START_TEST(works_without_the_right_to_lock)
{
    struct rlimit none = {0};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    cleanup(secret_release) struct descpipe_secret *secret = secret_make("still", 5);
    ck_assert_str_eq(secret_reveal(secret, NULL), "still");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("secret");
    tcase_add_test(tests, gives_back_what_it_keeps);
    tcase_add_test(tests, takes_more_than_a_page);
    tcase_add_test(tests, is_kept_out_of_dumps_and_swap);
    tcase_add_test(tests, works_without_the_right_to_lock);
    return run_case("secret", tests);
}
