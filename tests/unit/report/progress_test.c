/* SPDX-License-Identifier: BSD-3-Clause */
/* Work side by side: as lines, as JSON and on a small terminal. */
#include "report/progress.h"

#include <stdio.h>

#include "screen.h"
#include "suite.h"

static void play(struct progress *progress)
{
    size_t first = progress_add(progress, "tomography"), second = progress_add(progress, "treecorr");
    progress_start(progress, first, "pulling a/b:1", 1000);
    progress_start(progress, second, "pulling a/c:1", 1000);
    progress_step(progress, first, 3 << 20, 12 << 20, NULL, 1500);
    progress_step(progress, first, 4 << 20, 12 << 20, NULL, 1600);
    progress_output(progress, second, "Step 2 \x1b[31mred");
}

START_TEST(elsewhere_it_is_plain_lines)
{
    const struct terminal terminal = {.descriptor = -1};
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(progress_free) struct progress *progress = progress_new(&terminal, PROGRESS_PLAIN, false, &out);
    play(progress);
    progress_end(progress, 0, true, "pulled, 12 MiB", 3000);
    progress_end(progress, 1, false, "no such tag", 1050);
    progress_draw(progress, 3000);
    progress_leave(progress);
    ck_assert_str_eq(text_bytes(&out), "tomography: pulling a/b:1\ntreecorr: pulling a/c:1\n"
                                       "treecorr | Step 2 red\n"
                                       "tomography: pulled, 12 MiB, 2.0 s\ntreecorr: no such tag\n");
}
END_TEST

START_TEST(quiet_says_failures_only)
{
    const struct terminal terminal = {.descriptor = -1};
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(progress_free) struct progress *progress = progress_new(&terminal, PROGRESS_PLAIN, true, &out);
    play(progress);
    progress_end(progress, 0, true, "pulled, 12 MiB", 3000);
    progress_end(progress, 1, false, "no such tag", 1050);
    ck_assert_str_eq(text_bytes(&out), "treecorr: no such tag\n");
}
END_TEST

START_TEST(json_is_one_object_a_line)
{
    const struct terminal terminal = {.descriptor = -1};
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(progress_free) struct progress *progress = progress_new(&terminal, PROGRESS_JSON, false, &out);
    play(progress);
    progress_end(progress, 0, true, "pulled \"it\"", 3000);
    ck_assert_str_eq(text_bytes(&out),
                     "{\"event\":\"started\",\"name\":\"tomography\",\"action\":\"pulling a/b:1\"}\n"
                     "{\"event\":\"started\",\"name\":\"treecorr\",\"action\":\"pulling a/c:1\"}\n"
                     "{\"event\":\"progress\",\"name\":\"tomography\",\"done\":3145728,\"total\":12582912}\n"
                     "{\"event\":\"output\",\"name\":\"treecorr\",\"line\":\"Step 2 red\"}\n"
                     "{\"event\":\"ended\",\"name\":\"tomography\",\"ok\":true,\"message\":\"pulled \\\"it\\\"\"}\n");
}
END_TEST

static struct screen screen;

static const char *row(unsigned number)
{
    static char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    screen_row(&screen, number, text);
    return text;
}

START_TEST(on_a_terminal_there_is_one_block)
{
    const struct terminal terminal = {.descriptor = -1, .is_terminal = true, .width = 80, .height = 10};
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(progress_free) struct progress *progress = progress_new(&terminal, PROGRESS_LIVE, false, &out);
    memset(&screen, 0, sizeof screen);
    screen.width = 80;
    screen.height = 10;
    play(progress);
    progress_draw(progress, 3000);
    progress_draw(progress, 3100);
    screen_write(&screen, text_bytes(&out));
    text_reset(&out);
    ck_assert_str_eq(row(0), "tomography  ####........  4 MiB of 12 MiB       pulling a/b:1");
    ck_assert_str_eq(row(2), "0 of 2 done");
    ck_assert_ptr_nonnull(strstr(row(1), "2 s                   Step 2 red"));
    progress_end(progress, 0, true, "pulled, 12 MiB", 3200);
    progress_draw(progress, 3200);
    screen_write(&screen, text_bytes(&out));
    text_reset(&out);
    ck_assert_str_eq(row(0), "ok tomography: pulled, 12 MiB, 2.2 s");
    ck_assert_ptr_nonnull(strstr(row(1), "treecorr"));
    ck_assert_str_eq(row(2), "1 of 2 done");
    progress_end(progress, 1, false, "no such tag", 3300);
    progress_leave(progress);
    screen_write(&screen, text_bytes(&out));
    ck_assert_str_eq(row(1), "FAILED treecorr: no such tag, 2.3 s");
    ck_assert_str_eq(row(2), "");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {elsewhere_it_is_plain_lines, quiet_says_failures_only, json_is_one_object_a_line,
                                  on_a_terminal_there_is_one_block, NULL};
    return suite_run("progress", tests, NULL, NULL);
}
