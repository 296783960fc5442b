/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stages that live in a repository of GitHub: where a fetched one lies.
 *
 *     CACHE/github/OWNER/REPOSITORY/commits/COMMIT/     its files
 *     CACHE/github/OWNER/REPOSITORY/refs/CHECKOUT       the commit that a branch or tag stood for when it was fetched
 *
 * CACHE is $XDG_CACHE_HOME/descpipe. Whoever reads a pipeline only looks here; `descpipe build` fetches.
 */
#ifndef DESCPIPE_PIPELINE_GITHUB_H
#define DESCPIPE_PIPELINE_GITHUB_H

#include <stdbool.h>

#include "base/error.h"

#define GITHUB_STAGE_FOLDER "pipeline/docker" /* of the repository: Dockerfile and run.py */
#define GITHUB_DEFAULT_CHECKOUT "HEAD"        /* the repository's own default branch */
#define GITHUB_HOST "github.com"

/* OWNER/REPOSITORY, of letters that GitHub allows. */
bool github_repository_is_valid(const char *repository);
bool github_checkout_is_valid(const char *checkout); /* a branch, tag or commit that git cannot take for an option */
bool github_is_commit(const char *text);             /* 40 hexadecimal digits */

/* All owned. NULL when there is no home for a cache. */
char *github_commit_folder(const char *repository, const char *commit);
/* The commit that was fetched for it last; itself when it is a commit. NULL: none was. */
char *github_known_commit(const char *repository, const char *checkout);
/* Where the stage's Dockerfile and run.py lie, when they have been fetched; else NULL. */
char *github_stage_folder(const char *repository, const char *checkout);
bool github_remember(const char *repository, const char *checkout, const char *commit, struct error *error);

#endif
