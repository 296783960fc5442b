/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a table of pipeline files and the exact messages about them; the including file defines the table. */
#ifndef DESCPIPE_TESTS_PIPELINE_MESSAGES_H
#define DESCPIPE_TESTS_PIPELINE_MESSAGES_H

#include "pipeline_fixture.h"

/* "@" in the expected text is the temporary folder. The table ends with a NULL name. */
struct message_case {
    const char *name, *yaml, *expected;
    bool good; /* there is a model: no problem is an error */
};
extern const struct message_case message_cases[];

static void write_stage_folders(const struct fixture *fixture)
{
    fixture_write(fixture, "folder/kept", "", 0644);
    fixture_write(fixture, "file.fits", "SIMPLE  =", 0644);
    fixture_write(fixture, "images/bare/README", "", 0644);
    fixture_write(fixture, "images/named/run.py",
                  "#!/usr/bin/env python3\nclass Stage(descpipe.Stage):\n    inputs = {\"a\": SUFFIX}\n", 0755);
    fixture_write(fixture, "images/rough/run.py", "class Stage(descpipe.Stage):\n    outputs = {\"t\": \"fits\"}\n",
                  0644);
    fixture_write(fixture, "images/rough/dockerfile", "FROM x\nENTRYPOINT run me\n", 0644);
    fixture_write(fixture, "images/bash/run.py", "#!/bin/bash\necho \"hello\"\n", 0755);
}

START_TEST(says_what_where_and_what_to_do)
{
    const struct message_case *each = &message_cases[_i];
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    write_stage_folders(&fixture);
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(&fixture, each->yaml, NULL, &problems);
    fixture_print(&fixture, &problems, &printed);
    ck_assert_msg(strcmp(text_bytes(&printed), each->expected) == 0, "%s: got\n%s\nexpected\n%s", each->name,
                  text_bytes(&printed), each->expected);
    ck_assert_msg((pipeline != NULL) == each->good, "%s: model %d", each->name, pipeline != NULL);
}
END_TEST

int main(void)
{
    int count = 0;
    while (message_cases[count].name != NULL)
        count++;
    Suite *suite = suite_create("messages");
    TCase *messages = tcase_create("messages");
    tcase_add_loop_test(messages, says_what_where_and_what_to_do, 0, count);
    suite_add_tcase(suite, messages);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}

#endif
