/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of the scheduler slurm against tests/fakes/slurm share: a simulation, and the plugin that asks it. */
#ifndef DESCPIPE_TESTS_SLURM_SIMULATOR_H
#define DESCPIPE_TESTS_SLURM_SIMULATOR_H

#include "driver.h"

extern struct driver driver;
extern struct answer answer;
extern char *simulation, *commands; /* its folder; where its commands are */

extern const struct test_job counting; /* writes its index to the file "count" */
extern const struct test_job failing;  /* exits with 3 */

/* "KEY=VALUE" of the simulation, NULL at the end: begins one, changes one. */
void make(const char *first, ...);
void turn(const char *first, ...);
/* Key, value pairs for the plugin beside what every test has; NULL at the end. */
void open_driver(const char *first, ...);
void tear_down(void);

/* How often a command was called or a thing happened. */
long count_of(const char *what);

void submit(const char *token, const struct test_job *job, uint32_t count);
void submit_well(const char *token, const struct test_job *job, uint32_t count);
void expect_exit(uint64_t job, int exit_code);

#endif
