/* SPDX-License-Identifier: BSD-3-Clause */
/* A private folder for one test, made before it and removed after it without the code under test. */
#ifndef DESCPIPE_TESTS_TEMPORARY_FOLDER_H
#define DESCPIPE_TESTS_TEMPORARY_FOLDER_H

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static char *temporary_folder;

static inline void temporary_folder_make(void)
{
    const char *base = secure_getenv("TMPDIR");
    temporary_folder = memory_format("%s/descpipe-test-XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(temporary_folder));
}

static inline int temporary_folder_remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)where;
    (void)(kind == FTW_DP ? rmdir(path) : unlink(path));
    return 0;
}

static inline void temporary_folder_remove(void)
{
    nftw(temporary_folder, temporary_folder_remove_one, 32, FTW_DEPTH | FTW_PHYS);
    free(temporary_folder);
}

/* The path of `name` in the folder; owned by the caller. */
static inline char *temporary_path(const char *name)
{
    return memory_format("%s/%s", temporary_folder, name);
}

static inline void put_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content, 1, strlen(content), file), strlen(content));
    ck_assert_int_eq(fclose(file), 0);
}

static inline void check_file(const char *path, const char *content)
{
    char bytes[4096];
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s is not there", path);
    size_t length = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[length] = '\0';
    fclose(file);
    ck_assert_str_eq(bytes, content);
}

/* Number of entries of a folder, without "." and "..". */
static inline size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *entries = opendir(path);
    ck_assert_ptr_nonnull(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count - 2;
}

#endif
