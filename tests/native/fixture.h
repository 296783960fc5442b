/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of runtime `native` begin and end with: a work folder, a store in it, an opened plugin. */
#ifndef TESTS_NATIVE_FIXTURE_H
#define TESTS_NATIVE_FIXTURE_H

#include "fake_host.h"

extern struct fake_host fake;
extern char *work, *store_folder;

/* User 0 is the caller, user 1 an ordinary user when the caller is root. Check runs each test in a child, which gives
 * up its rights for good. */
void begin_as(int user);
void finish(void);
char *in_work(const char *name); /* owned */

#endif
