/* SPDX-License-Identifier: BSD-3-Clause */
/* What a descriptor is to a person. */
#include "report/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"

enum { DEFAULT_WIDTH = 80, DEFAULT_HEIGHT = 24, WIDTH_LIMIT = 1000, HEIGHT_LIMIT = 1000 };

/* The locale's character set by its usual names; a bare "C" or nothing says nothing about the terminal, which today
 * nearly always takes UTF-8 too, but there ASCII is sure. */
static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = secure_getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

void terminal_measure(struct terminal *terminal)
{
    if (!terminal->is_terminal)
        return;
    struct winsize size = {0};
    bool known = ioctl(terminal->descriptor, TIOCGWINSZ, &size) == 0;
    terminal->width = known && size.ws_col > 0 ? size.ws_col : DEFAULT_WIDTH;
    terminal->height = known && size.ws_row > 0 ? size.ws_row : DEFAULT_HEIGHT;
    if (terminal->width > WIDTH_LIMIT)
        terminal->width = WIDTH_LIMIT;
    if (terminal->height > HEIGHT_LIMIT)
        terminal->height = HEIGHT_LIMIT;
}

void terminal_look(struct terminal *terminal, int descriptor, const char *color)
{
    const char *name = secure_getenv("TERM");
    const char *no_color = secure_getenv("NO_COLOR");
    *terminal = (struct terminal){.descriptor = descriptor};
    terminal->is_terminal = isatty(descriptor) == 1 && name != NULL && name[0] != '\0' && strcmp(name, "dumb") != 0;
    terminal->unicode = locale_is_utf8();
    if (text_equal(color, "always"))
        terminal->color = true;
    else if (!text_equal(color, "never"))
        terminal->color = terminal->is_terminal && (no_color == NULL || no_color[0] == '\0');
    terminal_measure(terminal);
}

/* Setting a terminal that is somebody else's now would stop us (SIGTTOU). One that is not our controlling terminal has
 * no foreground. */
static bool is_ours(const struct terminal *terminal)
{
    pid_t foreground = tcgetpgrp(terminal->descriptor);
    return foreground < 0 ? errno == ENOTTY : foreground == getpgrp();
}

static void set_echo(const struct terminal *terminal, tcflag_t clear, tcflag_t set)
{
    struct termios modes;
    if (tcgetattr(terminal->descriptor, &modes) != 0)
        return;
    modes.c_lflag = (modes.c_lflag & ~clear) | set;
    tcsetattr(terminal->descriptor, TCSANOW, &modes);
}

void terminal_hide_input(struct terminal *terminal)
{
    struct termios modes;
    if (!terminal->is_terminal || terminal->hidden != 0 || !is_ours(terminal) ||
        tcgetattr(terminal->descriptor, &modes) != 0)
        return;
    terminal->hidden = modes.c_lflag & (ECHO | ECHONL);
    set_echo(terminal, ECHO | ECHONL, 0);
}

void terminal_show_input(struct terminal *terminal)
{
    if (terminal->hidden != 0 && is_ours(terminal))
        set_echo(terminal, 0, terminal->hidden);
    terminal->hidden = 0;
}
