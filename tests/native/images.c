/* SPDX-License-Identifier: BSD-3-Clause */
/* Small images made by hand for tests. */
#include "images.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

char *folder_make(void)
{
    const char *temporary = secure_getenv("TMPDIR");
    char *folder = NULL;
    ck_assert_int_gt(asprintf(&folder, "%s/descpipe-native-XXXXXX", temporary != NULL ? temporary : "/tmp"), 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0755), 0); /* tests that give up root must get in */
    return folder;
}

static int by_name(const FTSENT **one, const FTSENT **other)
{
    return strcmp((*one)->fts_name, (*other)->fts_name);
}

void folder_remove(char *folder)
{
    char *const roots[] = {folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    ck_assert_ptr_nonnull(walk);
    for (FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_D)
            chmod(entry->fts_path, 0700);
        else if (entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR)
            rmdir(entry->fts_path);
        else
            unlink(entry->fts_path);
    }
    fts_close(walk);
    free(folder);
}

static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

void file_write(const char *folder, const char *name, const char *content)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    make_parents(path);
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    fputs(content, file);
    ck_assert_int_eq(fclose(file), 0);
}

char *file_read(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *content = calloc(1, 65536);
    size_t length = fread(content, 1, 65535, file);
    content[length] = '\0';
    fclose(file);
    return content;
}

bool file_exists(const char *folder, const char *name)
{
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &status) == 0;
}

char *root_make(const char *folder, const char *name)
{
    char *root = NULL, path[4096];
    ck_assert_int_gt(asprintf(&root, "%s/%s", folder, name), 0);
    snprintf(path, sizeof path, "%s/bin/busybox", root);
    make_parents(path);
    int from = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    struct stat status;
    ck_assert_msg(from >= 0 && to >= 0, "busybox (Debian: busybox-static) is needed");
    ck_assert_int_eq(fstat(from, &status), 0);
    ck_assert_int_eq(sendfile(to, from, NULL, (size_t)status.st_size), status.st_size);
    close(from);
    close(to);
    snprintf(path, sizeof path, "%s/bin/sh", root);
    ck_assert_int_eq(symlink("busybox", path), 0);
    return root;
}

char *folder_describe(const char *folder)
{
    char *text = NULL, *path = strdup(folder);
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *const roots[] = {path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_DP)
            continue;
        char link[4096] = "";
        if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)
            ck_assert_int_gt(readlink(entry->fts_path, link, sizeof link - 1), -1);
        const struct stat *status = entry->fts_statp;
        fprintf(out, "%s %o %lld %lld.%09ld %s\n", entry->fts_path + strlen(folder), (unsigned)status->st_mode,
                (long long)status->st_size, (long long)status->st_ctim.tv_sec, status->st_ctim.tv_nsec, link);
    }
    fts_close(walk);
    fclose(out);
    free(path);
    return text;
}
