/* SPDX-License-Identifier: BSD-3-Clause */
/* What a descriptor is to a person. */
#include "report/terminal.h"

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
