/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of runtime `native` begin and end with. */
#include "fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images.h"

#define ORDINARY_USER 65534

struct fake_host fake;
char *work, *store_folder;

void begin_as(int user)
{
    work = folder_make();
    if (user == 1 && geteuid() == 0) {
        ck_assert_int_eq(chown(work, ORDINARY_USER, ORDINARY_USER), 0);
        ck_assert_int_eq(setgid(ORDINARY_USER), 0);
        ck_assert_int_eq(setuid(ORDINARY_USER), 0);
    }
    store_folder = in_work("store");
    ck_assert_int_eq(mkdir(store_folder, 0700), 0);
    fake_host_open(&fake, "runtime-native.so", store_folder, NULL);
}

void finish(void)
{
    fake_host_close(&fake);
    free(store_folder);
    folder_remove(work);
}

char *in_work(const char *name)
{
    char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/%s", work, name), 0);
    return path;
}
