/* SPDX-License-Identifier: BSD-3-Clause */
/* Which images a Dockerfile needs. */
#include "pipeline/dockerfile.h"

#include <check.h>
#include <stdlib.h>

#include "base/text.h"

struct bases_case {
    const char *text, *given; /* of one argument, or NULL */
    const char *bases;        /* parted by blanks */
};

static const struct bases_case cases[] = {
    {"FROM ubuntu:22.04\n", NULL, "ubuntu:22.04"},
    {"ARG user\nARG base=1.0\nFROM ${user}/desc-pipe-base:${base}\n", "user=joezuntz", "joezuntz/desc-pipe-base:1.0"},
    {"ARG user\nARG base=1.0\nFROM ${user}/desc-pipe-base:${base}\n", "base=2", "/desc-pipe-base:2"},
    {"ARG a=\"x y\"\nARG b='q'\nFROM $b-${none:-d}\n", NULL, "q-d"},
    {"ARG v=7\nFROM x${v:+:tag$}${v-no}\n", NULL, "x:tag$7"},
    {"FROM a\nARG v=1\nFROM b:$v\n", NULL, "a b:"}, /* ARG behind a FROM is that stage's own */
    {"from a as One\nFROM one\ncopy --from=ONE /a /b\nCOPY --from=0 /a /b\nCOPY --chmod=1 --from=tool:1 /a /b\n", NULL,
     "a tool:1"},
    {"FROM scratch\nRUN --mount=type=bind,from=m:2,target=/x --mount=from=n true\n", NULL, "m:2 n"},
    {"# comment\n\nFROM \\\n# between\n\n  --platform=linux/arm64 \\\n  a\n", NULL, "a"},
    {"# escape=`\nFROM `\na\nRUN x \\\nFROM b\n", NULL, "a b"},
    {"# no directive\n# escape=`\nFROM `\na\n", NULL, "`"},
    {"FROM a\nRUN <<EOF <<-\"TWO\"\nFROM b\nEOF\nFROM c\n\tTWO\nFROM d\n", NULL, "a d"},
    {"FROM a\nRUN echo $((1 << 3))\nFROM d\n", NULL, "a d"},
    {"FROM a\r\nFROM b AS x\r\n", NULL, "a b"},
    {"FROM a\nONBUILD COPY --from=z run.py /\n", NULL, "a"},
    {"FROM\nFROM   \nARG\nARG =x\n", NULL, ""},
    {"ARG a=$b\nARG b=1\nFROM i:$a-$b\n", NULL, "i:-1"},
    {"FROM a", NULL, "a"},
    {"", NULL, ""},
};

START_TEST(from_and_arg_lines_decide)
{
    const struct bases_case *one = &cases[_i];
    cleanup(dockerfile_clear) struct dockerfile dockerfile = {0};
    cleanup(words_clear) struct words bases = {0};
    cleanup(text_clear) struct text joined = TEXT_INIT;
    const char *const given[] = {one->given, NULL};
    ck_assert(dockerfile_parse(one->text, strlen(one->text), "Dockerfile", &dockerfile, NULL));
    dockerfile_bases(&dockerfile, given, &bases);
    for (size_t i = 0; i < bases.count; i++)
        text_format(&joined, "%s%s", i > 0 ? " " : "", bases.items[i]);
    ck_assert_str_eq(text_bytes(&joined), one->bases);
}
END_TEST

START_TEST(tells_what_it_declares)
{
    static const char text[] = "ARG user\nFROM a\nARG one two=2\n";
    cleanup(dockerfile_clear) struct dockerfile dockerfile = {0};
    ck_assert(dockerfile_parse(text, strlen(text), "Dockerfile", &dockerfile, NULL));
    ck_assert(dockerfile_declares(&dockerfile, "user"));
    ck_assert(dockerfile_declares(&dockerfile, "two"));
    ck_assert(!dockerfile_declares(&dockerfile, "three"));
}
END_TEST

START_TEST(a_bomb_is_refused_or_harmless)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "ARG a0=xxxxxxxxxxxxxxxx\n");
    for (int i = 1; i < 200; i++)
        text_format(&text, "ARG a%d=$a%d$a%d$a%d\n", i, i - 1, i - 1, i - 1);
    text_append(&text, "FROM $a199\nFROM b\n");
    cleanup(dockerfile_clear) struct dockerfile dockerfile = {0};
    cleanup(words_clear) struct words bases = {0};
    ck_assert(dockerfile_parse(text_bytes(&text), text.length, "Dockerfile", &dockerfile, NULL));
    dockerfile_bases(&dockerfile, NULL, &bases);
    ck_assert_str_eq(bases.items[bases.count - 1], "b");
    cleanup(text_clear) struct text many = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(dockerfile_clear) struct dockerfile large = {0};
    for (int i = 0; i < 2000; i++)
        text_append(&many, "FROM a\n");
    ck_assert(!dockerfile_parse(text_bytes(&many), many.length, "x/Dockerfile", &large, &error));
    ck_assert_str_eq(error.message, "'x/Dockerfile' is larger than a Dockerfile may be");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dockerfile");
    TCase *tests = tcase_create("dockerfile");
    tcase_add_loop_test(tests, from_and_arg_lines_decide, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, tells_what_it_declares);
    tcase_add_test(tests, a_bomb_is_refused_or_harmless);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
