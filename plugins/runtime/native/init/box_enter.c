/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of a developer's container: one runs a command in it and ends as the command did, one stops it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "box.h"
#include "init.h"

static int connect_here(void)
{
    const struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = BOX_SOCKET};
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server >= 0 && connect(server, (const struct sockaddr *)&place, sizeof place) == 0)
        return server;
    if (server >= 0)
        close(server);
    return -1;
}

static int is_gone(int number)
{
    return number == ECONNREFUSED || number == ENOENT;
}

int box_end(uint64_t grace_ms)
{
    const struct box_wish wish = {.kind = BOX_END, .grace_ms = grace_ms};
    char byte;
    int server = connect_here();
    if (server < 0 && is_gone(errno))
        return 0;
    if (server < 0 || box_send(server, &wish, sizeof wish, NULL, 0) < 0)
        return say_failure("", "stop", errno);
    box_receive(server, &byte, 1, NULL, 0); /* nothing comes: it ends with the container */
    close(server);
    return 0;
}

/* ---- a command ---- */

static size_t count_words(char **words, uint32_t *count)
{
    size_t length = 0;
    for (*count = 0; words[*count] != NULL; (*count)++)
        length += strlen(words[*count]) + 1;
    return length;
}

/* The place behind it. */
static char *add_word(char *to, const char *word)
{
    size_t length = strlen(word) + 1;
    memcpy(to, word, length);
    return to + length;
}

static char *add_words(char *to, char **words)
{
    for (; *words != NULL; words++)
        to = add_word(to, *words);
    return to;
}

/* "-": the container's own folder. */
static int send_wish(int server, struct box_wish *wish, const char *folder, char **words)
{
    static const int streams[] = {0, 1, 2};
    if (strcmp(folder, "-") == 0)
        folder = "";
    size_t length = strlen(folder) + 1 + count_words(words, &wish->words) + count_words(environ, &wish->variables);
    if (length > BOX_TEXTS_LIMIT) {
        errno = E2BIG;
        return -1;
    }
    wish->length = (uint32_t)length;
    char *texts = malloc(length);
    if (texts == NULL)
        return -1;
    add_words(add_words(add_word(texts, folder), words), environ);
    int sent = box_send(server, wish, sizeof *wish, streams, wish->kind == BOX_RUN ? 3 : 0);
    if (sent > 0)
        sent = box_send(server, texts, length, NULL, 0);
    free(texts);
    return sent;
}

static int tell(const struct box_answer *answer, const char *program)
{
    if (answer->kind == BOX_ENDED)
        return end_alike(answer->number);
    if (answer->number == ESRCH)
        return say_failure(" in the container, which is being stopped", program, ESRCH);
    return say_failure(" in the container", program, answer->number);
}

static int container_went(const char *program)
{
    return say_failure(": the container was stopped", program, ECONNRESET);
}

/* ---- the terminal ---- */

static struct termios modes_before;

/* Carries what there is one way; false at its end. */
static bool carry(int from, int to)
{
    char bytes[8192];
    ssize_t got = read(from, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR)
        return true;
    for (ssize_t at = 0; at < got;) {
        ssize_t written = write(to, bytes + at, (size_t)(got - at));
        if (written < 0 && errno != EINTR)
            return false;
        at += written > 0 ? written : 0;
    }
    return got > 0;
}

static void follow_size(int signals, int terminal)
{
    struct signalfd_siginfo told;
    struct winsize size;
    if (read(signals, &told, sizeof told) == (ssize_t)sizeof told && ioctl(0, TIOCGWINSZ, &size) == 0)
        ioctl(terminal, TIOCSWINSZ, &size);
}

/* Until the command's end has been told and nothing more comes from its terminal. */
static int converse(int server, int terminal, struct box_answer *answer)
{
    sigset_t resized;
    bool ended = false, input = true;
    sigemptyset(&resized);
    sigaddset(&resized, SIGWINCH);
    sigprocmask(SIG_BLOCK, &resized, NULL);
    int signals = signalfd(-1, &resized, SFD_CLOEXEC);
    for (;;) {
        struct pollfd places[] = {{.fd = terminal, .events = POLLIN},
                                  {.fd = ended ? -1 : server, .events = POLLIN},
                                  {.fd = input && !ended ? 0 : -1, .events = POLLIN},
                                  {.fd = signals, .events = POLLIN}};
        if (poll(places, 4, ended ? 0 : -1) < 0 && errno != EINTR)
            return -1;
        bool more = places[0].revents != 0 && carry(terminal, 1);
        if (ended && !more)
            return 1;
        if (places[0].revents != 0 && !more)
            terminal = -1; /* all of its sides were closed: the end is to come */
        if (places[1].revents != 0) {
            if (box_receive(server, answer, sizeof *answer, NULL, 0) <= 0)
                return -1;
            ended = true;
        }
        if (places[2].revents != 0)
            input = carry(0, terminal);
        if (places[3].revents != 0)
            follow_size(signals, terminal);
    }
}

static void restore_modes(void)
{
    tcsetattr(0, TCSADRAIN, &modes_before);
}

static int run_on_terminal(int server, const char *folder, char **words)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    struct box_answer answer;
    int terminal;
    ioctl(0, TIOCGWINSZ, &size);
    struct box_wish wish = {.kind = BOX_RUN_TERMINAL, .rows = size.ws_row, .columns = size.ws_col};
    if (send_wish(server, &wish, folder, words) < 0)
        return say_failure(" in the container", words[0], errno);
    if (box_receive(server, &answer, sizeof answer, &terminal, 1) <= 0)
        return container_went(words[0]);
    if (answer.kind != BOX_TERMINAL || terminal < 0)
        return tell(&answer, words[0]);
    struct termios raw = modes_before;
    cfmakeraw(&raw);
    tcsetattr(0, TCSADRAIN, &raw);
    int told = converse(server, terminal, &answer);
    restore_modes();
    return told > 0 ? tell(&answer, words[0]) : container_went(words[0]);
}

static int run_on_streams(int server, const char *folder, char **words)
{
    struct box_answer answer;
    struct box_wish wish = {.kind = BOX_RUN};
    if (send_wish(server, &wish, folder, words) < 0)
        return say_failure(" in the container", words[0], errno);
    if (box_receive(server, &answer, sizeof answer, NULL, 0) <= 0)
        return container_went(words[0]);
    return tell(&answer, words[0]);
}

int box_enter(const char *how, char **words)
{
    int server = connect_here();
    if (server < 0)
        return say_failure(" in the container, which is not running", words[1], errno);
    if (strcmp(how, "terminal") == 0 && tcgetattr(0, &modes_before) == 0)
        return run_on_terminal(server, words[0], words + 1);
    return run_on_streams(server, words[0], words + 1);
}
