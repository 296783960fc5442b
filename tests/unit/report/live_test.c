/* SPDX-License-Identifier: BSD-3-Clause */
/* The live view, looked at through a small terminal: a grid of cells that knows the sequences we use. */
#include "report/live.h"

#include "run_maker.h"
#include "screen.h"
#include "suite.h"

static struct run_maker maker;
static struct run_view *view;
static struct live *live;
static struct terminal terminal;
static struct screen screen;

static void set_up(void)
{
    maker = run_maker_new(TWO_STAGES);
    view = run_view_open(maker.folder, 0, NULL);
    terminal = (struct terminal){.is_terminal = true, .unicode = true, .width = 80, .height = 24};
    live = live_new(&terminal);
    memset(&screen, 0, sizeof screen);
    screen.width = 80;
    screen.height = 24;
}

static void tear_down(void)
{
    live_free(live);
    run_view_free(view);
    run_maker_free(&maker);
}

static void draw(void)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    run_view_read(view, 0, live_change, live);
    for (size_t i = 0; i < view->tasks.count; i++) /* lengths that do not depend on the clock */
        if (view->tasks.items[i].state == TASK_RUNNING)
            view->tasks.items[i].started_at_ms = INT64_C(1795242600000);
    if (view->started_at_ms != 0)
        view->started_at_ms = INT64_C(1795242600000);
    live_draw(live, INT64_C(1795242615500), &out);
    screen_write(&screen, text_bytes(&out));
    ck_assert(!screen.cursor_hidden);
    ck_assert(!screen.held);
    ck_assert_uint_eq(screen.wrapped, 0);
    ck_assert_uint_eq(screen.column, 0);
}

static void expect_rows(const char *const *rows)
{
    char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    unsigned row = 0;
    for (; rows[row] != NULL; row++) {
        screen_row(&screen, row, text);
        ck_assert_str_eq(text, rows[row]);
    }
    for (; row < screen.height; row++) {
        screen_row(&screen, row, text);
        ck_assert_str_eq(text, "");
    }
}

START_TEST(shows_the_phase_before_there_is_a_run)
{
    live_set_phase(live, "planning");
    draw();
    draw();
    expect_rows((const char *const[]){"planning", NULL});
    live_set_view(live, view);
    draw();
    expect_rows((const char *const[]){"planning", NULL});
}
END_TEST

START_TEST(a_line_per_running_stage_and_ended_ones_above)
{
    live_set_view(live, view);
    run_maker_play(&maker);
    run_maker_file(&maker, "logs/000/counts.r.1.out", "step 1\nstep \x1b[1m2\x1b[0m of 9\n");
    draw();
    expect_rows((const char *const[]){
        "✓ tomography  OK  12.3 s  CPU 10.5 s  1 GiB  node1",
        "✗ counts/g  EXIT 3  1.0 s  node1  exit 3",
        "counts    ━━━━━━──────  0 s        1/2  node2  r: step 2 of 9",
        "━━━━━━━━────  2 of 3 done, 1 running, 1 failed, 15 s",
        NULL,
    });
    draw(); /* nothing new: the same picture */
    expect_rows((const char *const[]){
        "✓ tomography  OK  12.3 s  CPU 10.5 s  1 GiB  node1",
        "✗ counts/g  EXIT 3  1.0 s  node1  exit 3",
        "counts    ━━━━━━──────  0 s        1/2  node2  r: step 2 of 9",
        "━━━━━━━━────  2 of 3 done, 1 running, 1 failed, 15 s",
        NULL,
    });
}
END_TEST

START_TEST(the_time_limit_makes_the_bar)
{
    live_set_view(live, view);
    run_maker_record(&maker, "run", ",\"run\":\"r\",\"tasks\":3,\"host\":\"hub\"");
    run_maker_record(&maker, "intent",
                     ",\"submission\":\"s1\",\"jobs\":[{\"job\":1,\"stage\":\"tomography\",\"attempt\":1}]");
    run_maker_record(&maker, "started", ",\"job\":1");
    run_view_read(view, 0, live_change, live);
    view->stages.items[0].minutes = 1; /* 15.5 s of 60 s: a quarter of twelve */
    draw();
    expect_rows((const char *const[]){
        "tomography  ━━━─────────  15 s       hub",
        "────────────  0 of 3 done, 1 running, 15 s",
        NULL,
    });
}
END_TEST

START_TEST(the_end_leaves_only_what_scrolled_up)
{
    live_set_view(live, view);
    run_maker_play(&maker);
    draw();
    live_say(live, "a notice\x1b[2J");
    cleanup(text_clear) struct text out = TEXT_INIT;
    live_end(live, &out);
    screen_write(&screen, text_bytes(&out));
    expect_rows((const char *const[]){
        "✓ tomography  OK  12.3 s  CPU 10.5 s  1 GiB  node1",
        "✗ counts/g  EXIT 3  1.0 s  node1  exit 3",
        "a notice\\x1B[2J",
        NULL,
    });
    ck_assert_uint_eq(screen.row, 3);
}
END_TEST

/* Many stages that run at the same time. */
static void run_many(unsigned count)
{
    run_maker_record(&maker, "run", ",\"run\":\"r\",\"host\":\"hub\"");
    for (unsigned i = 1; i <= count; i++) {
        cleanup(memory_free) char *intent = memory_format(",\"submission\":\"s%u\",\"jobs\":[{\"job\":%u,\"stage\":\"a "
                                                          "stage with quite a long name %03u\",\"attempt\":1}]",
                                                          i, i, i);
        cleanup(memory_free) char *started = memory_format(",\"job\":%u", i);
        run_maker_record(&maker, "intent", intent);
        run_maker_record(&maker, "started", started);
    }
}

START_TEST(the_block_is_cut_to_the_terminal)
{
    static const struct {
        unsigned width, height;
    } sizes[] = {{80, 24}, {200, 50}, {40, 10}, {20, 5}, {12, 4}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tear_down();
        set_up();
        terminal.width = screen.width = sizes[i].width;
        terminal.height = screen.height = sizes[i].height;
        live_set_view(live, view);
        run_many(100);
        for (int frame = 0; frame < 5; frame++)
            draw();
        ck_assert_uint_eq(screen.scrolled_count, 0);
        ck_assert_uint_eq(screen.row, sizes[i].height - 1);
        char text[SCREEN_WIDTH_LIMIT * 4 + 1];
        cleanup(memory_free) char *more = memory_format("… and %u more", 100 - (sizes[i].height - 3));
        screen_row(&screen, sizes[i].height - 3, text);
        if (sizes[i].width >= 20)
            ck_assert_str_eq(text, more);
    }
}
END_TEST

START_TEST(what_ends_scrolls_up_once_and_whole)
{
    live_set_view(live, view);
    terminal.height = screen.height = 8;
    run_many(30);
    draw();
    for (unsigned i = 1; i <= 30; i++) {
        cleanup(memory_free) char *verdict = memory_format(
            ",\"job\":%u,\"stage\":\"a stage with quite a long name %03u\",\"attempt\":1,\"verdict\":\"OK\"", i, i);
        run_maker_record(&maker, "verdict", verdict);
        if (i % 7 == 0)
            draw();
    }
    draw();
    unsigned seen = 0;
    for (unsigned i = 0; i < screen.scrolled_count; i++)
        seen += strstr(screen.scrolled[i], "✓ a stage with") != NULL;
    char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    for (unsigned row = 0; row < screen.height; row++) {
        screen_row(&screen, row, text);
        seen += strstr(text, "✓ a stage with") != NULL;
    }
    ck_assert_uint_eq(seen, 30);
}
END_TEST

START_TEST(a_narrower_terminal_is_redrawn_from_its_wrapped_top)
{
    live_set_view(live, view);
    run_many(2);
    draw();
    /* The terminal wraps each of the three lines that are longer than 40 columns. */
    struct screen wrapped = {.width = 40, .height = 24};
    char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    for (unsigned row = 0; row < 3; row++) {
        screen_row(&screen, row, text);
        const char *place = text;
        while (*place != '\0') {
            for (unsigned column = 0; column < 40 && *place != '\0'; column++) {
                size_t length = 1;
                while ((place[length] & 0xC0) == 0x80)
                    length++;
                memcpy(wrapped.cells[wrapped.row][column], place, length);
                place += length;
            }
            wrapped.row++;
        }
    }
    screen = wrapped;
    terminal.width = 40;
    draw();
    screen_row(&screen, 0, text);
    ck_assert_ptr_nonnull(strstr(text, "a stage"));
    screen_row(&screen, 2, text);
    ck_assert_ptr_nonnull(strstr(text, "0 of 5 done"));
    screen_row(&screen, 3, text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_long_notice_is_not_cut)
{
    cleanup(text_clear) struct text long_line = TEXT_INIT;
    cleanup(text_clear) struct text out = TEXT_INIT;
    for (int i = 0; i < 30; i++)
        text_format(&long_line, "word%d ", i);
    live_say(live, text_bytes(&long_line));
    live_set_phase(live, "planning");
    live_draw(live, 0, &out);
    live_draw(live, 0, &out);
    screen_write(&screen, text_bytes(&out));
    char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    screen_row(&screen, 2, text);
    ck_assert_ptr_nonnull(strstr(text, "word29"));
    screen_row(&screen, 3, text);
    ck_assert_str_eq(text, "planning");
}
END_TEST

START_TEST(an_ascii_terminal_gets_ascii)
{
    terminal.unicode = false;
    live_set_view(live, view);
    run_maker_play(&maker);
    draw();
    expect_rows((const char *const[]){
        "ok tomography  OK  12.3 s  CPU 10.5 s  1 GiB  node1",
        "FAILED counts/g  EXIT 3  1.0 s  node1  exit 3",
        "counts    ######......  0 s        1/2  node2",
        "########....  2 of 3 done, 1 running, 1 failed, 15 s",
        NULL,
    });
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {shows_the_phase_before_there_is_a_run,
                                  a_line_per_running_stage_and_ended_ones_above,
                                  the_time_limit_makes_the_bar,
                                  the_end_leaves_only_what_scrolled_up,
                                  the_block_is_cut_to_the_terminal,
                                  what_ends_scrolls_up_once_and_whole,
                                  a_narrower_terminal_is_redrawn_from_its_wrapped_top,
                                  a_long_notice_is_not_cut,
                                  an_ascii_terminal_gets_ascii,
                                  NULL};
    return suite_run("live", tests, set_up, tear_down);
}
