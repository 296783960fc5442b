/* SPDX-License-Identifier: BSD-3-Clause */
/* What decided a task, where a record of the journal only tells what differs from an earlier one. */
#include "report/decided.h"

#include "run_maker.h"
#include "suite.h"

static struct run_maker maker;

static void set_up(void)
{
    maker = run_maker_new(NULL);
}

static void tear_down(void)
{
    run_maker_free(&maker);
}

#define WHOLE                                                                                                          \
    ",\"key\":\"k\",\"fields\":[{\"name\":\"command\",\"value\":\"fit\"},{\"name\":\"environment "                     \
    "RANK\",\"value\":\"0\"},"                                                                                         \
    "{\"name\":\"image\",\"value\":\"none\"},{\"name\":\"input a\",\"value\":\"aa\",\"path\":\"/a\"}]"

/* "NAME=VALUE(PATH);" of all fields of one member of stage `fit`; "-" when they are not known. */
static char *fields_of(const char *member)
{
    struct text said = TEXT_INIT;
    cleanup(decided_free) struct decided *decided = decided_read(maker.folder, NULL);
    cleanup(arena_free) struct arena *arena = arena_new();
    const struct decided_task *task = decided_task(decided, "fit", member);
    struct decided_fields fields;
    ck_assert_ptr_nonnull(task);
    if (!decided_fields(decided, task, arena, &fields))
        return memory_copy_text("-");
    for (size_t i = 0; i < fields.count; i++)
        text_format(&said, "%s=%s(%s);", fields.items[i].name, fields.items[i].value,
                    fields.items[i].path != NULL ? fields.items[i].path : "");
    return text_take(&said);
}

#define expect_fields(member, expected)                                                                                \
    do {                                                                                                               \
        cleanup(memory_free) char *said = fields_of(member);                                                           \
        ck_assert_str_eq(said, expected);                                                                              \
    } while (0)

static void put_like(const char *member, uint64_t sequence, const char *rest)
{
    cleanup(memory_free) char *record =
        memory_format(",\"stage\":\"fit\",\"member\":\"%s\",\"key\":\"%s\",\"like\":%llu,%s", member, member,
                      (unsigned long long)sequence, rest);
    run_maker_record(&maker, "key", record);
}

START_TEST(what_a_record_leaves_out_is_that_of_the_one_it_is_like)
{
    run_maker_record(&maker, "key", ",\"stage\":\"fit\",\"member\":\"0\"" WHOLE);
    uint64_t whole = journal_sequence(maker.journal);
    put_like("1", whole, "\"fields\":[{\"name\":\"environment RANK\",\"value\":\"1\"}]");
    put_like("2", whole, "\"fields\":[]");
    put_like(
        "3", whole,
        "\"fields\":[{\"name\":\"input b\",\"value\":\"bb\",\"path\":\"/b\"}],\"without\":[\"input a\",\"command\"]");
    expect_fields("0", "command=fit();environment RANK=0();image=none();input a=aa(/a);");
    expect_fields("1", "command=fit();environment RANK=1();image=none();input a=aa(/a);");
    expect_fields("2", "command=fit();environment RANK=0();image=none();input a=aa(/a);");
    expect_fields("3", "environment RANK=0();image=none();input b=bb(/b);");
}
END_TEST

START_TEST(of_a_record_that_is_like_a_lost_one_nothing_is_said)
{
    run_maker_record(&maker, "key", ",\"stage\":\"fit\",\"member\":\"0\"" WHOLE);
    uint64_t whole = journal_sequence(maker.journal);
    put_like("1", whole, "\"fields\":[]");
    put_like("2", whole + 1, "\"fields\":[]"); /* like one that is like another: nobody writes that */
    put_like("3", 999, "\"fields\":[{\"name\":\"image\",\"value\":\"none\"}]");
    expect_fields("2", "-");
    expect_fields("3", "-");
}
END_TEST

START_TEST(the_last_attempt_s_record_counts)
{
    run_maker_record(&maker, "key", ",\"stage\":\"fit\",\"member\":\"0\"" WHOLE);
    put_like("0", journal_sequence(maker.journal), "\"fields\":[{\"name\":\"image\",\"value\":\"other\"}]");
    expect_fields("0", "command=fit();environment RANK=0();image=other();input a=aa(/a);");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_a_record_leaves_out_is_that_of_the_one_it_is_like,
                                  of_a_record_that_is_like_a_lost_one_nothing_is_said, the_last_attempt_s_record_counts,
                                  NULL};
    return suite_run("decided", tests, set_up, tear_down);
}
