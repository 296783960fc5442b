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
    struct decided_task task;
    struct decided_fields fields;
    ck_assert(decided_task(decided, "fit", member, arena, &task));
    if (!decided_fields(decided, &task, arena, &fields))
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

/* Asked of one reader in any order: what it keeps of the first is not changed by what the others say. */
START_TEST(tasks_that_are_alike_name_the_record_that_speaks_for_all)
{
    static const struct {
        const char *member, *rank;
        bool alike;
    } asked[] = {{"1", "1", false}, {"2", "0", true}, {"1", "1", false}, {"3", "0", true}, {"2", "0", true}};
    run_maker_record(&maker, "key", ",\"stage\":\"fit\",\"member\":\"0\"" WHOLE);
    uint64_t whole = journal_sequence(maker.journal);
    put_like("1", whole, "\"fields\":[{\"name\":\"environment RANK\",\"value\":\"1\"}]");
    put_like("2", whole, "\"fields\":[]");
    put_like("3", whole, "\"fields\":[]");
    cleanup(decided_free) struct decided *decided = decided_read(maker.folder, NULL);
    cleanup(arena_free) struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct decided_task task;
        struct decided_fields fields;
        ck_assert(decided_task(decided, "fit", asked[i].member, arena, &task));
        ck_assert(decided_fields(decided, &task, arena, &fields));
        ck_assert_uint_eq(fields.count, 4);
        ck_assert_str_eq(fields.items[1].name, "environment RANK");
        ck_assert_str_eq(fields.items[1].value, asked[i].rank);
        ck_assert_uint_eq(fields.whole, asked[i].alike ? whole : 0);
        fields.items[1].value = "the caller's own";
    }
}
END_TEST

START_TEST(how_a_key_begins_is_known_without_a_look)
{
    char beginning[DECIDED_BEGINNING];
    run_maker_record(&maker, "key", ",\"stage\":\"fit\"" WHOLE);
    run_maker_record(
        &maker, "state",
        ",\"stage\":\"fat\",\"member\":\"7\",\"state\":\"cached\",\"made_by\":\"r1\",\"made_in\":7,\"key\":"
        "\"0a9f00c4cccccccccccccccccccccccccccccccccccccccccccccccccccccccc\"");
    cleanup(decided_free) struct decided *decided = decided_read(maker.folder, NULL);
    ck_assert(decided_key_beginning(decided, "fat", "7", beginning));
    ck_assert_str_eq(beginning, "0a9f00c4");
    ck_assert(!decided_key_beginning(decided, "fat", NULL, beginning));
    ck_assert(!decided_key_beginning(decided, "fit", NULL, beginning)); /* 'k' is no digest */
}
END_TEST

START_TEST(the_last_attempt_s_record_counts)
{
    run_maker_record(&maker, "key", ",\"stage\":\"fit\",\"member\":\"0\"" WHOLE);
    put_like("0", journal_sequence(maker.journal), "\"fields\":[{\"name\":\"image\",\"value\":\"other\"}]");
    expect_fields("0", "command=fit();environment RANK=0();image=other();input a=aa(/a);");
}
END_TEST

START_TEST(what_stands_behind_a_digest_is_told_where_it_is_known)
{
    char sha256[DIGEST_TEXT], other[DIGEST_TEXT];
    memset(sha256, 'c', DIGEST_TEXT - 1);
    sha256[DIGEST_TEXT - 1] = '\0';
    memcpy(other, sha256, DIGEST_TEXT);
    other[DIGEST_TEXT - 2] = 'd'; /* they begin alike */
    cleanup(memory_free) char *text = memory_format(",\"sha256\":\"%s\",\"content\":\"rank: \\u00e9\\n\"", sha256);
    cleanup(memory_free) char *key =
        memory_format(",\"stage\":\"fit\",\"key\":\"k\",\"fields\":[{\"name\":\"config a\",\"value\":\"%s\"},"
                      "{\"name\":\"config b\",\"value\":\"%s\"},{\"name\":\"image\",\"value\":\"none\"}]",
                      sha256, other);
    run_maker_record(&maker, "text", text);
    run_maker_record(&maker, "key", key);
    cleanup(decided_free) struct decided *decided = decided_read(maker.folder, NULL);
    cleanup(arena_free) struct arena *arena = arena_new();
    struct decided_task task;
    struct decided_fields fields;
    ck_assert(decided_task(decided, "fit", NULL, arena, &task));
    ck_assert(decided_fields(decided, &task, arena, &fields));
    ck_assert_ptr_null(fields.items[0].text); /* nobody has asked */
    decided_texts(decided, arena, &fields);
    ck_assert_str_eq(fields.items[0].text, "rank: \303\251\n");
    ck_assert_ptr_null(fields.items[1].text);
    ck_assert_ptr_null(fields.items[2].text);
}
END_TEST

START_TEST(of_a_cached_task_the_run_that_made_it_is_known_and_no_fields)
{
    run_maker_record(&maker, "key", ",\"stage\":\"fit\"" WHOLE);
    run_maker_record(&maker, "state",
                     ",\"stage\":\"fit\",\"state\":\"cached\",\"key\":\"k2\",\"made_by\":\"r1\",\"made_in\":7");
    cleanup(decided_free) struct decided *decided = decided_read(maker.folder, NULL);
    cleanup(arena_free) struct arena *arena = arena_new();
    struct decided_task task;
    struct decided_fields fields;
    ck_assert(decided_task(decided, "fit", NULL, arena, &task));
    ck_assert_str_eq(task.key, "k2");
    ck_assert_str_eq(task.made_by, "r1");
    ck_assert_uint_eq(task.made_in, 7);
    ck_assert(!decided_fields(decided, &task, arena, &fields));
    ck_assert(!decided_task(decided, "fit", "0", arena, &task));
    ck_assert(!decided_task(decided, "fat", NULL, arena, &task));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_a_record_leaves_out_is_that_of_the_one_it_is_like,
                                  of_a_record_that_is_like_a_lost_one_nothing_is_said,
                                  tasks_that_are_alike_name_the_record_that_speaks_for_all,
                                  how_a_key_begins_is_known_without_a_look,
                                  the_last_attempt_s_record_counts,
                                  what_stands_behind_a_digest_is_told_where_it_is_known,
                                  of_a_cached_task_the_run_that_made_it_is_known_and_no_fields,
                                  NULL};
    return suite_run("decided", tests, set_up, tear_down);
}
