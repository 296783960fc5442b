/* SPDX-License-Identifier: BSD-3-Clause */
/* A library that a plugin is linked to and that is not there when it is loaded. */
__attribute__((visibility("default"))) int descpipe_test_gone(void);
int descpipe_test_gone(void)
{
    return 0;
}
