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
};

/* `color` is "auto", "always", "never" or NULL (auto: terminals without NO_COLOR). */
void terminal_look(struct terminal *terminal, int descriptor, const char *color);
/* Asks for the size again, after SIGWINCH. */
void terminal_measure(struct terminal *terminal);

#endif
