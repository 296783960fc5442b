/* SPDX-License-Identifier: BSD-3-Clause */
/* `run` in a terminal: a pseudo terminal, read through the small terminal of the live view's own test. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "pipelines.h"
#include "program.h"
#include "screen.h"
#include "suite.h"

static struct screen screen;

struct session {
    int master;
    pid_t pid;
    struct text pending; /* an unfinished sequence or character */
};

static struct session session_start(const char *line, unsigned width, unsigned height)
{
    struct session session = {.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    ck_assert_int_ge(session.master, 0);
    ck_assert_int_eq(grantpt(session.master), 0);
    ck_assert_int_eq(unlockpt(session.master), 0);
    char name[64];
    ck_assert_int_eq(ptsname_r(session.master, name, sizeof name), 0);
    const struct winsize size = {.ws_col = (unsigned short)width, .ws_row = (unsigned short)height};
    ck_assert_int_eq(ioctl(session.master, TIOCSWINSZ, &size), 0);
    cleanup(descriptor_close) int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(slave, 0);
    memset(&screen, 0, sizeof screen);
    screen.width = width;
    screen.height = height;
    session.pid = program_start(line, (const int[]){slave, slave, slave});
    return session;
}

/* Feeds what is complete: frames end with a sequence or a newline, and one write is one read at most of the times. */
static bool session_read(struct session *session)
{
    char buffer[4096];
    ssize_t got = read(session->master, buffer, sizeof buffer);
    if (got <= 0) /* EIO: the other side is closed */
        return false;
    text_append_bytes(&session->pending, buffer, (size_t)got);
    size_t whole = session->pending.length;
    const char *bytes = session->pending.bytes;
    size_t escape = whole;
    for (size_t i = whole; i > 0 && whole - i < 32; i--)
        if (bytes[i - 1] == '\x1b') {
            escape = i - 1;
            break;
        }
    if (escape < whole && strpbrk(bytes + escape, "AKJmhl") == NULL)
        whole = escape;
    while (whole > 0 && whole == session->pending.length && (bytes[whole - 1] & 0x80) != 0)
        whole--; /* perhaps half a character; more of it comes */
    cleanup(memory_free) char *part = memory_copy_bytes(bytes, whole);
    cleanup(memory_free) char *rest = memory_copy_text(bytes + whole);
    screen_write(&screen, part);
    text_reset(&session->pending);
    text_append(&session->pending, rest);
    return true;
}

/* The row that has this text, or -1. */
static int row_with(const char *part)
{
    char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    for (unsigned row = 0; row < screen.height; row++) {
        screen_row(&screen, row, text);
        if (strstr(text, part) != NULL)
            return (int)row;
    }
    return -1;
}

static void show_screen(void)
{
    char text[SCREEN_WIDTH_LIMIT * 4 + 1];
    for (unsigned row = 0; row < screen.height; row++) {
        screen_row(&screen, row, text);
        if (text[0] != '\0')
            fprintf(stderr, "%2u|%s\n", row, text);
    }
}

/* A read may end in the middle of a frame: what stands on the screen counts when the frame is whole. */
static bool is_whole(const struct session *session)
{
    return !screen.held && session->pending.length == 0;
}

static void wait_for(struct session *session, const char *part)
{
    while (!is_whole(session) || row_with(part) < 0)
        if (!session_read(session)) {
            show_screen();
            ck_abort_msg("the program ended without showing '%s'", part);
        }
}

/* Until the program has stopped and all it had written before is on the screen: what comes later was written later. */
static void wait_for_stop(struct session *session)
{
    int status;
    ck_assert_int_eq(waitpid(session->pid, &status, WUNTRACED), session->pid);
    ck_assert(WIFSTOPPED(status));
    while (poll(&(struct pollfd){.fd = session->master, .events = POLLIN}, 1, 0) > 0)
        ck_assert(session_read(session));
    ck_assert(is_whole(session)); /* a frame is one write */
}

/* Until it has ended; the terminal stays to be looked at. */
static int session_end_open(struct session *session)
{
    while (session_read(session))
        ;
    return program_wait(session->pid);
}

static void session_close(struct session *session)
{
    close(session->master);
    text_clear(&session->pending);
}

static int session_end(struct session *session)
{
    int status = session_end_open(session);
    session_close(session);
    return status;
}

static void make_waiting(void)
{
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(memory_free) char *pipeline = memory_format(WAITING, program_folder);
    ck_assert_int_eq(mkfifo(gate, 0600), 0);
    program_file("p.yaml", pipeline);
}

static void open_gate(void)
{
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    int descriptor = open(gate, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
}

#define RUN_IN_COLORS "--plugin-dir " PLUGINS " run p.yaml"

START_TEST(the_live_block_shows_what_runs_and_leaves_a_table)
{
    static const struct {
        unsigned width, height;
    } sizes[] = {{80, 24}, {200, 50}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (i > 0) {
            program_tear_down();
            program_set_up();
        }
        make_waiting();
        struct session session = session_start(RUN_IN_COLORS, sizes[i].width, sizes[i].height);
        wait_for(&session, "step 7 of 9");
        int quick = row_with("✓ quick  OK"), waiting = row_with("waiting   "),
            overall = row_with("1 of 2 done, 1 running");
        if (quick != 0 || waiting != 1 || overall != 2) {
            show_screen();
            ck_abort_msg("rows %d %d %d", quick, waiting, overall);
        }
        open_gate();
        int status = session_end(&session);
        if (status != 0 || screen.cursor_hidden || row_with("1 of 2 done") >= 0 || row_with("✓ waiting  OK") != 1 ||
            row_with("stage    verdict") != 3 || row_with(": succeeded, took ") < 0) {
            show_screen();
            ck_abort_msg("exit %d, hidden %d", status, screen.cursor_hidden);
        }
    }
}
END_TEST

START_TEST(an_interrupt_leaves_the_terminal_in_order)
{
    make_waiting();
    struct session session = session_start(RUN_IN_COLORS, 80, 24);
    wait_for(&session, "step 7 of 9");
    kill(session.pid, SIGINT);
    int status = session_end(&session);
    if (status != 7 || screen.cursor_hidden || row_with("stopping; Ctrl-C again stops at once") < 0 ||
        row_with("waiting  CANCELLED") < 0 || row_with(" done, ") >= 0) {
        show_screen();
        ck_abort_msg("exit %d", status);
    }
}
END_TEST

START_TEST(a_new_size_is_taken_at_once)
{
    make_waiting();
    struct session session = session_start(RUN_IN_COLORS, 80, 24);
    wait_for(&session, "step 7 of 9");
    kill(session.pid, SIGSTOP); /* or a frame of the old width would be read as one of the new */
    wait_for_stop(&session);
    const struct winsize wide = {.ws_col = 30, .ws_row = 24};
    ck_assert_int_eq(ioctl(session.master, TIOCSWINSZ, &wide), 0);
    kill(session.pid, SIGWINCH); /* it is not the terminal's foreground group: nobody else tells it */
    screen.width = 30;           /* a line that is too wide now fails the test */
    memset(screen.cells, 0, sizeof screen.cells);
    screen.row = 6; /* where two wrapped lines and one more have put the cursor */
    kill(session.pid, SIGCONT);
    wait_for(&session, "1 of 2 done");
    open_gate();
    ck_assert_int_eq(session_end(&session), 0);
}
END_TEST

static bool echoes(const struct session *session)
{
    struct termios modes;
    ck_assert_int_eq(tcgetattr(session->master, &modes), 0); /* of the terminal's other side */
    return (modes.c_lflag & ECHO) != 0;
}

START_TEST(what_is_typed_does_not_break_into_the_view)
{
    make_waiting();
    struct session session = session_start(RUN_IN_COLORS, 80, 24);
    wait_for(&session, "step 7 of 9");
    ck_assert(!echoes(&session));
    ck_assert_int_eq(write(session.master, "word\n\n", 6), 6);
    kill(session.pid, SIGTSTP);
    wait_for_stop(&session);
    ck_assert(echoes(&session)); /* for the shell, or whatever comes now */
    kill(session.pid, SIGCONT);
    memset(screen.cells, 0, sizeof screen.cells);
    wait_for(&session, "step 7 of 9");
    ck_assert(!echoes(&session));
    open_gate();
    int status = session_end_open(&session);
    if (status != 0 || row_with("word") >= 0 || row_with("waiting  OK") < 0) {
        show_screen();
        ck_abort_msg("exit %d", status);
    }
    ck_assert(echoes(&session));
    session_close(&session);
}
END_TEST

START_TEST(every_end_gives_the_echo_back)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (i > 0) {
            program_tear_down();
            program_set_up();
        }
        make_waiting();
        struct session session = session_start(RUN_IN_COLORS, 80, 24);
        wait_for(&session, "step 7 of 9");
        ck_assert(!echoes(&session));
        kill(session.pid, signals[i]);
        session_end_open(&session);
        ck_assert_msg(echoes(&session), "signal %d", signals[i]);
        session_close(&session);
        if (signals[i] != SIGINT)
            open_gate(); /* what goes on ends */
        program_wait_for_orphans();
    }
}
END_TEST

START_TEST(problems_of_the_file_are_shown_whole)
{
    program_file("p.yaml",
                 "pipeline: {name: x, stages: [a]}\n" HERE "a: {depends-on: [nobody], command: [/bin/true]}\n");
    struct session session = session_start(RUN_IN_COLORS, 200, 24);
    int status = session_end(&session);
    if (status != 2 || row_with("p.yaml:5:") < 0 || row_with("nobody") < 0 || screen.cursor_hidden) {
        show_screen();
        ck_abort_msg("exit %d", status);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_live_block_shows_what_runs_and_leaves_a_table,
                                  an_interrupt_leaves_the_terminal_in_order,
                                  a_new_size_is_taken_at_once,
                                  what_is_typed_does_not_break_into_the_view,
                                  every_end_gives_the_echo_back,
                                  problems_of_the_file_are_shown_whole,
                                  NULL};
    return suite_run("terminal", tests, program_set_up, program_tear_down);
}
