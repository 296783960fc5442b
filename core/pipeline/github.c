/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds what has been fetched of GitHub. */
#include "pipeline/github.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum { NAME_LIMIT = 100, CHECKOUT_LIMIT = 200, COMMIT_LENGTH = 40 };

bool github_repository_is_valid(const char *repository)
{
    size_t owner = strspn(repository, LETTERS "-_.");
    if (owner == 0 || owner > NAME_LIMIT || repository[owner] != '/' || strchr(".-", repository[0]) != NULL)
        return false;
    const char *name = repository + owner + 1;
    size_t length = strlen(name);
    return length > 0 && length <= NAME_LIMIT && strspn(name, LETTERS "-_.") == length && name[0] != '-' &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool github_checkout_is_valid(const char *checkout)
{
    size_t length = strlen(checkout);
    return length > 0 && length <= CHECKOUT_LIMIT && strspn(checkout, LETTERS "-_./+@") == length &&
           checkout[0] != '-' && strstr(checkout, "..") == NULL && strstr(checkout, "@{") == NULL;
}

bool github_is_commit(const char *text)
{
    return strlen(text) == COMMIT_LENGTH && strspn(text, "0123456789abcdef") == COMMIT_LENGTH;
}

static char *repository_folder(const char *repository)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
    if (cache != NULL && cache[0] == '/')
        return memory_format("%s/descpipe/github/%s", cache, repository);
    return home != NULL && home[0] == '/' ? memory_format("%s/.cache/descpipe/github/%s", home, repository) : NULL;
}

char *github_commit_folder(const char *repository, const char *commit)
{
    cleanup(memory_free) char *folder = repository_folder(repository);
    return folder != NULL ? memory_format("%s/commits/%s", folder, commit) : NULL;
}

/* One component: a branch may have slashes. '+' cannot stand for one and be one. */
static char *reference_file(const char *repository, const char *checkout)
{
    cleanup(memory_free) char *folder = repository_folder(repository);
    if (folder == NULL)
        return NULL;
    cleanup(text_clear) struct text name = TEXT_INIT;
    for (const char *at = checkout; *at != '\0'; at++)
        text_append(&name, *at == '/' ? "+s" : *at == '+' ? "++" : (const char[]){*at, '\0'});
    return memory_format("%s/refs/%s", folder, text_bytes(&name));
}

char *github_known_commit(const char *repository, const char *checkout)
{
    if (github_is_commit(checkout))
        return memory_copy_text(checkout);
    cleanup(memory_free) char *path = reference_file(repository, checkout);
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (path == NULL || !file_exists(path) || !file_read(path, 1024, &text, NULL))
        return NULL;
    char *commit = memory_copy_bytes(text_bytes(&text), strcspn(text_bytes(&text), "\n"));
    if (github_is_commit(commit))
        return commit;
    memory_free(commit);
    return NULL;
}

char *github_stage_folder(const char *repository, const char *checkout)
{
    if (!github_repository_is_valid(repository) || !github_checkout_is_valid(checkout))
        return NULL;
    cleanup(memory_free) char *commit = github_known_commit(repository, checkout);
    cleanup(memory_free) char *folder = commit != NULL ? github_commit_folder(repository, commit) : NULL;
    char *stage = folder != NULL ? path_join(folder, GITHUB_STAGE_FOLDER) : NULL;
    if (stage == NULL || file_exists(stage))
        return stage;
    memory_free(stage);
    return NULL;
}

bool github_remember(const char *repository, const char *checkout, const char *commit, struct error *error)
{
    cleanup(memory_free) char *path = reference_file(repository, checkout);
    if (path == NULL)
        return error_set(error, ERROR_SYSTEM, "there is no folder for a cache: neither XDG_CACHE_HOME nor HOME is set");
    cleanup(memory_free) char *folder = path_folder(path);
    cleanup(memory_free) char *line = memory_format("%s\n", commit);
    return folder_make(folder, 0700, error) && file_write(path, line, strlen(line), 0600, error);
}
