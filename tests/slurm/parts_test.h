/* SPDX-License-Identifier: BSD-3-Clause */
/* The suites of slurm-parts_test. */
#ifndef DESCPIPE_TESTS_SLURM_PARTS_TEST_H
#define DESCPIPE_TESTS_SLURM_PARTS_TEST_H

#include <check.h>

Suite *ending_suite(void);  /* ending_table_test.c */
Suite *request_suite(void); /* request_test.c */

#endif
