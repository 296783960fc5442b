/* SPDX-License-Identifier: BSD-3-Clause */
/* `descpipe login`: passwords through a pipe and at a terminal, with a scripted registry. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "board_world.h"
#include "suite.h"

static int login_with(const char *line, const char *password, struct text *err)
{
    int in[2], out[2];
    ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t pid = program_start(line, (const int[]){in[0], out[1], out[1]});
    close(in[0]);
    close(out[1]);
    ck_assert_int_eq(write(in[1], password, strlen(password)), (ssize_t)strlen(password));
    close(in[1]);
    char buffer[4096];
    for (ssize_t got; (got = read(out[0], buffer, sizeof buffer)) > 0;)
        text_append_bytes(err, buffer, (size_t)got);
    close(out[0]);
    return program_wait(pid);
}

#define LOGIN PLUGINS "login harbour.test -o registry/harbour.board=board "

START_TEST(login_tries_and_keeps)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    ck_assert_int_eq(login_with(LOGIN "-u ada --password-stdin", "right\n", &said), 0);
    ck_assert_str_eq(text_bytes(&said), "descpipe: logged in to 'harbour.test': kept in the harbour's own list\n");
    board_expect_asked("login harbour.test ada\n");
    text_reset(&said);
    ck_assert_int_eq(login_with(LOGIN "-u ada --password-stdin", "wrong", &said), 4);
    ck_assert_str_eq(text_bytes(&said), "descpipe: error: harbour.test does not take this login\n"
                                        "descpipe: hint: look at the user's name and password\n");
    text_reset(&said);
    ck_assert_int_eq(login_with(LOGIN "-u ada --password-stdin", "\n", &said), 2);
    ck_assert_str_eq(text_bytes(&said), "descpipe: error: the password is empty\n");
    board_expect(PLUGINS "login https://harbour.test -u a", 2, "'https://harbour.test' is not the host of a registry");
    program_file("config/descpipe/config.yaml", "options: {registry: {harbour: {board: board}}}\n");
    board_expect(PLUGINS "login mirror.test", 3, "its logins are made from keys"); /* before anything is asked */
    board_expect(PLUGINS "logout mirror.test", 2, "there is no login for mirror.test");
}
END_TEST

/* A terminal whose own process group the program is not in would stop it; the test's child makes a session. */
static pid_t start_on_terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(*master, 0);
    ck_assert(grantpt(*master) == 0 && unlockpt(*master) == 0);
    char name[64];
    ck_assert_int_eq(ptsname_r(*master, name, sizeof name), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    setsid();
    int slave = open(name, O_RDWR); /* becomes the controlling terminal */
    pid_t program = program_start(LOGIN "-u ada", (const int[]){slave, slave, slave});
    tcsetpgrp(slave, program);
    close(*master);
    _exit(program_wait(program));
}

static bool echoes(int master)
{
    struct termios state;
    ck_assert_int_eq(tcgetattr(master, &state), 0);
    return (state.c_lflag & ECHO) != 0;
}

static void read_until(int master, const char *part)
{
    cleanup(text_clear) struct text seen = TEXT_INIT;
    char buffer[256];
    while (strstr(text_bytes(&seen), part) == NULL) {
        ssize_t got = read(master, buffer, sizeof buffer);
        ck_assert_msg(got > 0, "it ended after %s", text_bytes(&seen));
        text_append_bytes(&seen, buffer, (size_t)got);
        ck_assert_msg(strstr(text_bytes(&seen), "hunter2") == NULL, "the password was echoed");
    }
}

START_TEST(a_password_is_typed_without_an_echo_and_signals_bring_it_back)
{
    int master;
    int status;
    signal(SIGTTOU, SIG_IGN);
    pid_t pid = start_on_terminal(&master);
    read_until(master, "password for harbour.test: ");
    ck_assert(!echoes(master));
    ck_assert_int_eq(write(master, "hunter2\n", 8), 8);
    read_until(master, "does not take this login");
    ck_assert(echoes(master));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), 4);
    close(master);
    pid = start_on_terminal(&master);
    read_until(master, "password for harbour.test: ");
    ck_assert_int_eq(write(master, "\x03", 1), 1); /* Ctrl-C */
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGINT);
    ck_assert(echoes(master));
    close(master);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("login");
    TCase *cases = tcase_create("login");
    tcase_add_checked_fixture(cases, board_set_up, program_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, login_tries_and_keeps);
    tcase_add_test(cases, a_password_is_typed_without_an_echo_and_signals_bring_it_back);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
