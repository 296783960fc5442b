/* SPDX-License-Identifier: BSD-3-Clause */
/* What a descriptor is to a person: a terminal or not, its size, whether colours and drawn lines may be used. */
#ifndef DESCPIPE_REPORT_TERMINAL_H
#define DESCPIPE_REPORT_TERMINAL_H

#include <stdbool.h>

struct terminal {
    int descriptor;
    bool is_terminal; /* and can move its cursor (TERM is not "dumb") */
    bool color;
    bool unicode;           /* lines and marks beyond ASCII */
    unsigned width, height; /* 0 when it is no terminal */
    unsigned hidden;        /* echo flags that terminal_hide_input took away */
};

/* `color` is "auto", "always", "never" or NULL (auto: terminals without NO_COLOR). */
void terminal_look(struct terminal *terminal, int descriptor, const char *color);
/* Asks for the size again, after SIGWINCH. */
void terminal_measure(struct terminal *terminal);

/* Takes the echo away, so that what is typed does not break into what is drawn; it waits for who reads next. Signals of
 * keys go on. Nothing happens to a terminal that others have in their foreground. */
void terminal_hide_input(struct terminal *terminal);
/* Gives it back; fine when nothing was taken. To be called before every end and every stop. */
void terminal_show_input(struct terminal *terminal);

#endif
