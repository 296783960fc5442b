/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the built program without a shell, in a folder and with a home of its own, and keeps what it wrote. */
#ifndef TESTS_CLI_PROGRAM_H
#define TESTS_CLI_PROGRAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"

struct result {
    int status; /* exit status; 128 + signal when one ended it */
    struct text out, err;
};
void result_clear(struct result *result);
static inline void result_clear_at(struct result *place)
{
    result_clear(place);
}

/* Until everything that the program left running has ended. */
void program_wait_for_orphans(void);

/* A fresh folder for each test: cwd, HOME and XDG folders of the program. */
extern char *program_folder;
void program_set_up(void);
void program_tear_down(void);
void program_file(const char *name, const char *text); /* below program_folder */
/* Its time of change, in seconds from now. A file of the future is never taken to be settled. */
void program_file_time(const char *name, int64_t seconds);
void program_variable(const char *assignment); /* "NAME=value", before those that every test has; forgotten at set-up */

/* `line`: words parted by blanks; in a word '~' stands for a blank. --plugin-dir of the build is not added. */
struct result program_run(const char *line);
/* Starts it with these descriptors as 0, 1 and 2, -1: closed; for terminals and signals. */
pid_t program_start(const char *line, const int descriptors[3]);
int program_wait(pid_t pid); /* its status as in struct result */

#endif
