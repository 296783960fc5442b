/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal: what is written can be read, damage costs no more than it must, the chain tells of every change. */
#include "run/journal/journal.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

static char folder[256];
static char file[300];

static void set_up(void)
{
    const char *temporary = secure_getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/journal-test-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/%s", folder, JOURNAL_FILE);
}

static void tear_down(void)
{
    struct error error = ERROR_INIT;
    ck_assert_msg(folder_remove(folder, &error), "%s", error.message);
}

static struct journal *open_journal(uint64_t epoch)
{
    struct error error = ERROR_INIT;
    struct journal *journal = journal_open(folder, epoch, "0.1.0", &error);
    ck_assert_msg(journal != NULL, "%s", error.message);
    return journal;
}

static void add_number(struct journal *journal, unsigned number)
{
    struct text *text = journal_begin(journal, "started");
    text_append(text, ",\"job\":");
    text_append_unsigned(text, number);
    journal_end(journal);
}

static void write_numbers(uint64_t epoch, unsigned from, unsigned count)
{
    struct journal *journal = open_journal(epoch);
    for (unsigned i = 0; i < count; i++)
        add_number(journal, from + i);
    ck_assert(journal_flush(journal, false, NULL));
    journal_close(journal);
}

static struct text read_all(void)
{
    struct text bytes = TEXT_INIT;
    ck_assert(file_read(file, 64 << 20, &bytes, NULL));
    return bytes;
}

static void write_all(const char *bytes, size_t length)
{
    ck_assert(file_write(file, bytes, length, 0600, NULL));
}

static void append(const char *bytes, size_t length)
{
    int descriptor = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, bytes, length), (ssize_t)length);
    close(descriptor);
}

/* How many records a fresh reader finds, and how many lines it passed over. */
static unsigned count_records(size_t *skipped)
{
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    ck_assert_ptr_nonnull(reader);
    struct journal_record record;
    unsigned count = 0;
    while (journal_reader_next(reader, &record))
        count++;
    if (skipped != NULL)
        *skipped = journal_reader_skipped(reader);
    journal_reader_close(reader);
    return count;
}

static char *line_start(struct text *bytes, unsigned line)
{
    char *place = bytes->bytes;
    for (unsigned i = 0; i < line; i++)
        place = strchr(place, '\n') + 1;
    return place;
}

START_TEST(reads_what_was_written)
{
    struct journal *journal = open_journal(1);
    struct text *text = journal_begin(journal, "run");
    text_append(text, ",\"name\":");
    text_append_json(text, "a \"quoted\" name, \n and more, \"hash\":");
    journal_end(journal);
    ck_assert_uint_eq(journal_sequence(journal), 2);
    ck_assert_uint_gt(journal_unflushed(journal), 0);
    ck_assert(journal_flush(journal, false, NULL));
    ck_assert_uint_eq(journal_unflushed(journal), 0);
    ck_assert(journal_unsynced(journal));
    ck_assert(journal_flush(journal, true, NULL));
    ck_assert(!journal_unsynced(journal));
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    ck_assert(journal_reader_next(reader, &record));
    ck_assert_str_eq(record.kind, "writer");
    ck_assert_ptr_nonnull(strstr(record.line, "\"version\":\"0.1.0\""));
    ck_assert(journal_reader_next(reader, &record));
    ck_assert_str_eq(record.kind, "run");
    ck_assert_uint_eq(record.sequence, 2);
    ck_assert_uint_eq(record.epoch, 1);
    ck_assert_int_gt(record.at_ms, INT64_C(1700000000000));
    ck_assert_ptr_nonnull(strstr(record.line, ",\"name\":\"a \\\"quoted\\\" name, \\n and more, \\\"hash\\\":\""));
    ck_assert_uint_eq(strlen(record.line), record.length);
    ck_assert(!journal_reader_next(reader, &record));
    cleanup(arena_free) struct arena *arena = arena_new();
    ck_assert_str_eq(journal_reader_again(reader, record.place, arena), record.line);
    const struct journal_place behind = {record.place.at + record.place.length, 100};
    ck_assert_ptr_null(journal_reader_again(reader, behind, arena));
    /* And on, while it is written. */
    add_number(journal, 7);
    ck_assert(!journal_reader_next(reader, &record));
    ck_assert(journal_flush(journal, false, NULL));
    ck_assert(journal_reader_next(reader, &record));
    ck_assert_uint_eq(record.sequence, 3);
    journal_reader_close(reader);
    journal_close(journal);
}
END_TEST

START_TEST(reads_every_cut_of_a_growing_file)
{
    write_numbers(1, 0, 3);
    struct text bytes = read_all();
    write_all("", 0);
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    unsigned found = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        /* NULs first, as a shared file system may show them; then the byte itself. */
        int descriptor = open(file, O_WRONLY | O_CLOEXEC);
        ck_assert_int_eq(pwrite(descriptor, "\0", 1, (off_t)i), 1);
        ck_assert(!journal_reader_next(reader, &record));
        ck_assert_int_eq(pwrite(descriptor, bytes.bytes + i, 1, (off_t)i), 1);
        close(descriptor);
        bool complete = bytes.bytes[i] == '\n';
        ck_assert_msg(journal_reader_next(reader, &record) == complete, "at byte %zu", i);
        found += complete;
    }
    ck_assert_uint_eq(found, 4);
    ck_assert_uint_eq(journal_reader_skipped(reader), 0);
    journal_reader_close(reader);
    text_clear(&bytes);
}
END_TEST

START_TEST(late_bytes_before_a_newline_are_read_again)
{
    write_numbers(1, 0, 2);
    struct text bytes = read_all();
    struct text torn = TEXT_INIT;
    text_append_bytes(&torn, bytes.bytes, bytes.length);
    size_t hole = (size_t)(line_start(&torn, 2) - torn.bytes);
    memset(torn.bytes + hole, 0, 40);
    write_all(torn.bytes, torn.length);
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    ck_assert(journal_reader_next(reader, &record));
    ck_assert(journal_reader_next(reader, &record));
    ck_assert(!journal_reader_next(reader, &record));
    int descriptor = open(file, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(descriptor, bytes.bytes + hole, 40, (off_t)hole), 40);
    close(descriptor);
    ck_assert(journal_reader_next(reader, &record));
    ck_assert_uint_eq(record.sequence, 3);
    ck_assert_uint_eq(journal_reader_skipped(reader), 0);
    journal_reader_close(reader);
    text_clear(&bytes);
    text_clear(&torn);
}
END_TEST

START_TEST(next_writer_goes_on_behind_a_torn_line)
{
    write_numbers(1, 0, 5);
    append("{\"seq\":7,\"epoch\":1,\"at\":17", 26);
    struct journal *journal = open_journal(2);
    ck_assert_uint_eq(journal_sequence(journal), 7); /* 6 and its own `writer` */
    add_number(journal, 9);
    journal_close(journal);
    size_t skipped;
    ck_assert_uint_eq(count_records(&skipped), 8);
    ck_assert_uint_eq(skipped, 1);
    uint64_t records;
    struct error error = ERROR_INIT;
    ck_assert_msg(journal_verify(folder, &records, &error), "%s", error.message);
    ck_assert_uint_eq(records, 8);
}
END_TEST

START_TEST(a_record_that_only_lacks_its_newline_is_torn_for_good)
{
    write_numbers(1, 0, 5);
    struct text bytes = read_all();
    write_all(bytes.bytes, bytes.length - 1);
    text_clear(&bytes);
    struct journal *journal = open_journal(2);
    ck_assert_uint_eq(journal_sequence(journal), 6); /* of the one that is torn, and now of its own `writer` */
    add_number(journal, 9);
    journal_close(journal);
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    uint64_t last = 0;
    for (; journal_reader_next(reader, &record); last = record.sequence)
        ck_assert_uint_eq(record.sequence, last + 1);
    ck_assert_uint_eq(last, 7);
    ck_assert_uint_eq(journal_reader_skipped(reader), 1);
    journal_reader_close(reader);
    uint64_t records;
    struct error error = ERROR_INIT;
    ck_assert_msg(journal_verify(folder, &records, &error), "%s", error.message);
    ck_assert_uint_eq(records, 7);
}
END_TEST

START_TEST(one_damaged_line_costs_one_record)
{
    write_numbers(1, 0, 20);
    struct text bytes = read_all();
    char *place = strstr(line_start(&bytes, 9), "\"job\":") + 6;
    *place = *place == '5' ? '6' : '5';
    write_all(bytes.bytes, bytes.length);
    size_t skipped;
    ck_assert_uint_eq(count_records(&skipped), 20);
    ck_assert_uint_eq(skipped, 1);
    text_clear(&bytes);
}
END_TEST

START_TEST(a_reader_that_trusts_reads_the_same_and_asks_only_for_whole_lines)
{
    write_numbers(1, 0, 20);
    struct text bytes = read_all();
    char *changed = strstr(line_start(&bytes, 9), "\"job\":") + 6;
    *changed = *changed == '5' ? '6' : '5';
    line_start(&bytes, 12)[3] = '\0';
    write_all(bytes.bytes, bytes.length);
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    journal_reader_trust(reader);
    struct journal_record record;
    unsigned count = 0;
    for (uint64_t last = 0; journal_reader_next(reader, &record); last = record.sequence, count++)
        ck_assert_uint_gt(record.sequence, last);
    ck_assert_uint_eq(count, 20); /* the changed one too, and of the writer's and the twenty the torn one not */
    ck_assert_uint_eq(journal_reader_skipped(reader), 1);
    journal_reader_close(reader);
    text_clear(&bytes);
}
END_TEST

START_TEST(a_line_that_is_gone_costs_two_records)
{
    write_numbers(1, 0, 20);
    struct text bytes = read_all();
    char *place = line_start(&bytes, 9);
    memset(place, 0, (size_t)(strchr(place, '\n') - place));
    write_all(bytes.bytes, bytes.length);
    size_t skipped;
    ck_assert_uint_eq(count_records(&skipped), 19);
    ck_assert_uint_eq(skipped, 2);
    text_clear(&bytes);
}
END_TEST

START_TEST(replayed_lines_are_not_records)
{
    write_numbers(1, 0, 4);
    struct text bytes = read_all();
    append(bytes.bytes, bytes.length);
    ck_assert_uint_eq(count_records(NULL), 5);
    text_clear(&bytes);
}
END_TEST

START_TEST(passes_over_lines_of_any_length)
{
    static const size_t lengths[] = {JOURNAL_LINE_LIMIT - 1, JOURNAL_LINE_LIMIT, JOURNAL_LINE_LIMIT + 1,
                                     3 * JOURNAL_LINE_LIMIT};
    size_t length = lengths[_i];
    write_numbers(1, 0, 2);
    char *garbage = memory_allocate(length + 1);
    memset(garbage, 'x', length);
    garbage[length] = '\n';
    append(garbage, length + 1);
    memory_free(garbage);
    write_numbers(2, 2, 3);
    size_t skipped;
    ck_assert_uint_eq(count_records(&skipped), 7);
    ck_assert_uint_eq(skipped, 1);
}
END_TEST

START_TEST(garbage_without_end_is_given_up)
{
    write_numbers(1, 0, 2);
    enum { LINES = 100000 };
    struct text garbage = TEXT_INIT;
    for (unsigned i = 0; i < LINES; i++)
        text_append(&garbage, "................................................................................\n");
    append(garbage.bytes, garbage.length);
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    while (journal_reader_next(reader, &record))
        ;
    ck_assert_uint_gt(journal_reader_skipped(reader), 50000);
    ck_assert_uint_lt(journal_reader_skipped(reader), LINES);
    write_numbers(2, 2, 1);
    ck_assert(journal_reader_next(reader, &record));
    ck_assert_str_eq(record.kind, "writer");
    ck_assert_uint_eq(journal_reader_skipped(reader), LINES);
    journal_reader_close(reader);
    text_clear(&garbage);
}
END_TEST

START_TEST(verify_names_the_first_line_that_differs)
{
    write_numbers(1, 0, 6);
    struct text bytes = read_all();
    char *place = strstr(line_start(&bytes, 3), "\"at\":") + 5;
    *place = *place == '1' ? '2' : '1';
    write_all(bytes.bytes, bytes.length);
    struct error error = ERROR_INIT;
    char expected[400];
    snprintf(expected, sizeof expected, "'%s', line 4 does not continue the chain of the line before it", file);
    ck_assert(!journal_verify(folder, NULL, &error));
    ck_assert_str_eq(error.message, expected);
    ck_assert_int_eq(error.kind, ERROR_DIFFERS);
    error_clear(&error);
    text_clear(&bytes);
}
END_TEST

START_TEST(verify_sees_a_line_that_was_taken_out)
{
    write_numbers(1, 0, 6);
    struct text bytes = read_all();
    char *from = line_start(&bytes, 3), *to = line_start(&bytes, 4);
    memmove(from, to, bytes.length - (size_t)(to - bytes.bytes));
    write_all(bytes.bytes, bytes.length - (size_t)(to - from));
    struct error error = ERROR_INIT;
    ck_assert(!journal_verify(folder, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "line 4 does not continue"));
    error_clear(&error);
    text_clear(&bytes);
}
END_TEST

START_TEST(verify_sees_a_last_line_that_was_changed)
{
    write_numbers(1, 0, 6);
    struct text bytes = read_all();
    char *place = strstr(line_start(&bytes, 6), "\"job\":") + 6;
    *place = *place == '1' ? '2' : '1';
    write_all(bytes.bytes, bytes.length);
    struct error error = ERROR_INIT;
    ck_assert(!journal_verify(folder, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "line 7 does not continue"));
    error_clear(&error);
    text_clear(&bytes);
}
END_TEST

START_TEST(verify_takes_a_write_in_progress)
{
    write_numbers(1, 0, 6);
    append("{\"seq\":8,\"ep", 12);
    uint64_t records;
    ck_assert(journal_verify(folder, &records, NULL));
    ck_assert_uint_eq(records, 7);
}
END_TEST

START_TEST(refuses_an_epoch_that_is_not_newer)
{
    write_numbers(3, 0, 1);
    struct error error = ERROR_INIT;
    ck_assert_ptr_null(journal_open(folder, 3, "0.1.0", &error));
    char expected[400];
    snprintf(expected, sizeof expected, "the journal '%s' is of epoch 3 already, epoch 3 cannot continue it", file);
    ck_assert_str_eq(error.message, expected);
    error_clear(&error);
    ck_assert_uint_eq(count_records(NULL), 2);
}
END_TEST

START_TEST(a_record_over_the_limit_becomes_a_note_of_itself)
{
    struct journal *journal = open_journal(1);
    struct text *text = journal_begin(journal, "ended");
    text_append(text, ",\"evidence\":\"");
    for (unsigned i = 0; i < JOURNAL_LINE_LIMIT; i++)
        text_append_character(text, 'e');
    text_append_character(text, '"');
    journal_end(journal);
    add_number(journal, 1);
    journal_close(journal);
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    ck_assert(journal_reader_next(reader, &record));
    ck_assert(journal_reader_next(reader, &record));
    ck_assert_str_eq(record.kind, "ended");
    ck_assert_ptr_nonnull(strstr(record.line, ",\"too_long\":"));
    ck_assert_uint_lt(record.length, 300);
    ck_assert(journal_reader_next(reader, &record));
    journal_reader_close(reader);
}
END_TEST

START_TEST(a_full_disk_leaves_the_rest_for_later)
{
    struct journal *journal = open_journal(1);
    struct stat status;
    ck_assert_int_eq(stat(file, &status), 0);
    struct rlimit limit, kept;
    getrlimit(RLIMIT_FSIZE, &kept);
    limit = kept;
    limit.rlim_cur = (rlim_t)status.st_size + 100; /* in the middle of the first record */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (unsigned i = 0; i < 10; i++)
        add_number(journal, i);
    struct error error = ERROR_INIT;
    bool flushed = journal_flush(journal, false, &error);
    setrlimit(RLIMIT_FSIZE, &kept);
    ck_assert(!flushed);
    char expected[400];
    snprintf(expected, sizeof expected, "cannot write the journal '%s': File too large", file);
    ck_assert_str_eq(error.message, expected);
    error_clear(&error);
    ck_assert(journal_flush(journal, false, &error));
    journal_close(journal);
    uint64_t records;
    ck_assert(journal_verify(folder, &records, NULL));
    ck_assert_uint_eq(records, 11);
}
END_TEST

START_TEST(names_a_journal_that_is_not_there)
{
    struct error error = ERROR_INIT;
    ck_assert_ptr_null(journal_reader_open(folder, &error));
    char expected[400];
    snprintf(expected, sizeof expected, "cannot open '%s': No such file or directory", file);
    ck_assert_str_eq(error.message, expected);
    error_clear(&error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *cases = tcase_create("journal");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, reads_what_was_written);
    tcase_add_test(cases, reads_every_cut_of_a_growing_file);
    tcase_add_test(cases, late_bytes_before_a_newline_are_read_again);
    tcase_add_test(cases, next_writer_goes_on_behind_a_torn_line);
    tcase_add_test(cases, a_record_that_only_lacks_its_newline_is_torn_for_good);
    tcase_add_test(cases, one_damaged_line_costs_one_record);
    tcase_add_test(cases, a_reader_that_trusts_reads_the_same_and_asks_only_for_whole_lines);
    tcase_add_test(cases, a_line_that_is_gone_costs_two_records);
    tcase_add_test(cases, replayed_lines_are_not_records);
    tcase_add_loop_test(cases, passes_over_lines_of_any_length, 0, 4);
    tcase_add_test(cases, garbage_without_end_is_given_up);
    tcase_add_test(cases, verify_names_the_first_line_that_differs);
    tcase_add_test(cases, verify_sees_a_line_that_was_taken_out);
    tcase_add_test(cases, verify_sees_a_last_line_that_was_changed);
    tcase_add_test(cases, verify_takes_a_write_in_progress);
    tcase_add_test(cases, refuses_an_epoch_that_is_not_newer);
    tcase_add_test(cases, a_record_over_the_limit_becomes_a_note_of_itself);
    tcase_add_test(cases, a_full_disk_leaves_the_rest_for_later);
    tcase_add_test(cases, names_a_journal_that_is_not_there);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
