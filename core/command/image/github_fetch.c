/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fetches one commit with git.
 *
 * How it works: `git ls-remote` says which commit a branch or tag is; when the cache has it, that is all. Else an empty
 * repository in a temporary folder fetches exactly this commit, without history, and its files are laid into the cache
 * by one rename. git never asks anybody anything and runs no hook.
 */
#include "command/image/github_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "io/process.h"
#include "pipeline/github.h"

enum { TIMEOUT_MS = 600000, OUTPUT_LIMIT = 4 << 20 };

enum step { STEP_ASK, STEP_INIT, STEP_FETCH, STEP_CHECKOUT, STEP_VERIFY };

struct github_fetch {
    struct github_fetch_request request;
    enum step step;
    struct tool *tool;
    struct words environment;
    char *url, *temporary, *folder;
    char *commit, *head, *tag, *peeled; /* what ls-remote said */
    char *verified;
    struct text words; /* the last that git said on its error stream */
    bool stopped;
};

static void finish(struct github_fetch *fetch, bool fresh, const struct error *error)
{
    if (fetch->temporary != NULL)
        folder_remove(fetch->temporary, NULL);
    fetch->request.done(fetch->request.context, fetch->commit, fresh, error);
    words_clear(&fetch->environment);
    memory_free(fetch->url);
    memory_free(fetch->temporary);
    memory_free(fetch->folder);
    memory_free(fetch->commit);
    memory_free(fetch->head);
    memory_free(fetch->tag);
    memory_free(fetch->peeled);
    memory_free(fetch->verified);
    text_clear(&fetch->words);
    memory_free(fetch);
}

static void fail(struct github_fetch *fetch, enum error_kind kind, const char *message, const char *hint)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, kind, "%s: %s", fetch->request.repository, message);
    if (hint != NULL)
        error_hint(&error, "%s", hint);
    finish(fetch, false, &error);
}

static void take_reference(struct github_fetch *fetch, const char *line)
{
    const char *tab = strchr(line, '\t');
    if (tab == NULL || tab - line != 40)
        return;
    cleanup(memory_free) char *commit = memory_copy_bytes(line, 40);
    const char *name = tab + 1, *checkout = fetch->request.checkout;
    cleanup(memory_free) char *branch = memory_format("refs/heads/%s", checkout);
    cleanup(memory_free) char *tag = memory_format("refs/tags/%s", checkout);
    cleanup(memory_free) char *peeled = memory_format("refs/tags/%s^{}", checkout);
    if (!github_is_commit(commit))
        return;
    if (text_equal(name, branch) || (text_equal(name, checkout) && text_equal(name, "HEAD")))
        fetch->head = steal(&commit);
    else if (text_equal(name, tag))
        fetch->tag = steal(&commit);
    else if (text_equal(name, peeled))
        fetch->peeled = steal(&commit);
}

static void line_came(void *context, int stream, const char *line, size_t length)
{
    struct github_fetch *fetch = context;
    if (stream == 1 && fetch->step == STEP_ASK) {
        take_reference(fetch, line);
    } else if (stream == 1 && fetch->step == STEP_VERIFY && fetch->verified == NULL) {
        fetch->verified = memory_copy_bytes(line, length);
    } else if (stream == 2 && length > 0) {
        text_reset(&fetch->words);
        text_append_printable(&fetch->words, line, 500);
        fetch->request.line(fetch->request.context, text_bytes(&fetch->words));
    }
}

static void ended(void *context, const struct tool_end *end);

static void run(struct github_fetch *fetch, enum step step, const char *const *argv)
{
    fetch->step = step;
    const struct tool_request request = {.argv = argv,
                                         .environment = words_list(&fetch->environment),
                                         .directory = fetch->temporary,
                                         .timeout_ms = TIMEOUT_MS,
                                         .output_limit = OUTPUT_LIMIT,
                                         .line = line_came,
                                         .ended = ended,
                                         .context = fetch};
    fetch->tool = tool_start(fetch->request.loop, &request);
}

#define GIT                                                                                                            \
    "git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "http.lowSpeedLimit=1000", "-c", \
        "http.lowSpeedTime=60"

static void ask(struct github_fetch *fetch)
{
    cleanup(memory_free) char *peeled = memory_format("%s^{}", fetch->request.checkout);
    const char *const argv[] = {GIT, "ls-remote", "--quiet", "--", fetch->url, fetch->request.checkout, peeled, NULL};
    run(fetch, STEP_ASK, argv);
}

/* A folder beside its final place, so that a rename is enough. */
static bool make_temporary(struct github_fetch *fetch, struct error *error)
{
    cleanup(memory_free) char *parent = path_folder(fetch->folder);
    char name[FILE_TEMPORARY_NAME];
    if (!folder_make(parent, 0700, error))
        return false;
    file_temporary_name(name);
    fetch->temporary = path_join(parent, name);
    return folder_make(fetch->temporary, 0700, error);
}

/* The commit is known: it is here, or it is fetched. */
static void get(struct github_fetch *fetch)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    fetch->folder = github_commit_folder(fetch->request.repository, fetch->commit);
    if (fetch->folder == NULL) {
        fail(fetch, ERROR_SYSTEM, "there is no folder for a cache: neither XDG_CACHE_HOME nor HOME is set", NULL);
        return;
    }
    if (file_exists(fetch->folder)) {
        bool kept = github_remember(fetch->request.repository, fetch->request.checkout, fetch->commit, &error);
        finish(fetch, false, kept ? NULL : &error);
        return;
    }
    if (!make_temporary(fetch, &error)) {
        finish(fetch, false, &error);
        return;
    }
    const char *const argv[] = {GIT, "init", "--quiet", ".", NULL};
    run(fetch, STEP_INIT, argv);
}

static void lay_into_cache(struct github_fetch *fetch)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *git = path_join(fetch->temporary, ".git");
    cleanup(memory_free) char *stage = path_join(fetch->temporary, GITHUB_STAGE_FOLDER);
    if (!text_equal(fetch->verified, fetch->commit)) {
        fail(fetch, ERROR_NETWORK, "git fetched another commit than it was asked for", NULL);
        return;
    }
    if (!file_exists(stage)) {
        fail(fetch, ERROR_INPUT, "this commit has no folder '" GITHUB_STAGE_FOLDER "'",
             "that is where the Dockerfile and run.py of a stage in a repository lie");
        return;
    }
    bool done = folder_remove(git, &error);
    if (done && rename(fetch->temporary, fetch->folder) != 0 && errno != EEXIST && errno != ENOTEMPTY)
        done = error_system(&error, "cannot rename '%s' to '%s'", fetch->temporary, fetch->folder);
    done = done && github_remember(fetch->request.repository, fetch->request.checkout, fetch->commit, &error);
    finish(fetch, true, done ? NULL : &error);
}

static void say_git_failed(struct github_fetch *fetch, const struct tool_end *end)
{
    cleanup(memory_free) char *message = NULL;
    if (!end->started) {
        fail(fetch, ERROR_SYSTEM, "git cannot be started", "install git");
        return;
    }
    const char *words = text_bytes(&fetch->words);
    if (strstr(words, "not our ref") != NULL || strstr(words, "unadvertised object") != NULL) {
        message = memory_format("it has no commit %s", fetch->commit);
        fail(fetch, ERROR_INPUT, message, "is the number right, and is the commit pushed there?");
        return;
    }
    if (strstr(words, "could not read Username") != NULL || strstr(words, "Authentication failed") != NULL ||
        strstr(words, "' not found") != NULL) {
        fail(fetch, ERROR_NETWORK, "there is no such repository, or it is private and git has no login for it",
             "is it spelt right? a login is given to git itself, with a credential helper: git help credentials");
        return;
    }
    if (end->timed_out)
        message = memory_copy_text("git gave no answer in ten minutes");
    else
        message = memory_format("git: %s", fetch->words.length > 0 ? text_bytes(&fetch->words) : "it failed");
    fail(fetch, ERROR_NETWORK, message, "a commit (40 digits) under 'checkout:' that is in the cache needs no network");
}

static void asked(struct github_fetch *fetch)
{
    fetch->commit = steal(fetch->peeled != NULL ? &fetch->peeled : fetch->tag != NULL ? &fetch->tag : &fetch->head);
    if (fetch->commit == NULL) {
        cleanup(memory_free) char *message = memory_format("it has no branch and no tag '%s'", fetch->request.checkout);
        fail(fetch, ERROR_INPUT, message, "a commit is written with all its 40 digits");
        return;
    }
    get(fetch);
}

static void ended(void *context, const struct tool_end *end)
{
    struct github_fetch *fetch = context;
    fetch->tool = NULL;
    if (fetch->stopped) {
        fail(fetch, ERROR_INTERRUPTED, "stopped", NULL);
        return;
    }
    if (!end->started || end->exit_code != 0) {
        say_git_failed(fetch, end);
        return;
    }
    switch (fetch->step) {
    case STEP_ASK:
        asked(fetch);
        return;
    case STEP_INIT: {
        const char *const argv[] = {
            GIT,  "fetch",    "--quiet",     "--depth=1", "--no-tags", "--no-recurse-submodules",
            "--", fetch->url, fetch->commit, NULL};
        run(fetch, STEP_FETCH, argv);
        return;
    }
    case STEP_FETCH: {
        const char *const argv[] = {GIT, "checkout", "--quiet", "--detach", fetch->commit, NULL};
        run(fetch, STEP_CHECKOUT, argv);
        return;
    }
    case STEP_CHECKOUT: {
        const char *const argv[] = {GIT, "rev-parse", "HEAD", NULL};
        run(fetch, STEP_VERIFY, argv);
        return;
    }
    case STEP_VERIFY:
        lay_into_cache(fetch);
        return;
    }
}

static void fill_environment(struct words *environment)
{
    static const char *const names[] = {
        "PATH",      "HOME",     "USER",     "TMPDIR",        "http_proxy",   "https_proxy",     "HTTPS_PROXY",
        "ALL_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME", NULL};
    for (size_t i = 0; names[i] != NULL; i++)
        if (secure_getenv(names[i]) != NULL)
            words_format(environment, "%s=%s", names[i], secure_getenv(names[i]));
    words_add(environment, "LC_ALL=C"); /* what it says is read */
    words_add(environment, "GIT_TERMINAL_PROMPT=0");
    words_add(environment, "GIT_ASKPASS=false");
    words_add(environment, "GCM_INTERACTIVE=never");
}

static void begin(void *context)
{
    struct github_fetch *fetch = context;
    const char *checkout = fetch->request.checkout;
    if (fetch->request.commit != NULL || github_is_commit(checkout)) {
        fetch->commit = memory_copy_text(fetch->request.commit != NULL ? fetch->request.commit : checkout);
        get(fetch);
    } else {
        ask(fetch);
    }
}

struct github_fetch *github_fetch_start(const struct github_fetch_request *request)
{
    struct github_fetch *fetch = memory_allocate(sizeof *fetch);
    *fetch = (struct github_fetch){.request = *request,
                                   .url = memory_format("https://%s/%s", GITHUB_HOST, request->repository)};
    fill_environment(&fetch->environment);
    loop_post(request->loop, begin, fetch);
    return fetch;
}

void github_fetch_stop(struct github_fetch *fetch)
{
    fetch->stopped = true;
    if (fetch->tool != NULL)
        tool_stop(fetch->tool);
}
