/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A person's login for a registry, wherever it is kept: the options, the environment, Docker's config file and its
 * helpers, in this order; the first that has one is taken.
 *
 * The environment: DOCKER_AUTH_CONFIG holds what Docker's config file would (GitLab's runners and Docker's own client
 * know it); CI_REGISTRY, CI_REGISTRY_USER and CI_REGISTRY_PASSWORD are what GitLab gives its jobs.
 */
#ifndef DESCPIPE_INQUIRY_LOGIN_H
#define DESCPIPE_INQUIRY_LOGIN_H

#include <stdbool.h>

#include "registry/failure.h"
#include "registry/login/docker_config.h"

struct login_search {
    const struct descpipe_host *host;
    const char *server; /* borrowed for the call */
    bool ours;          /* username and password of the options are for it */
    /* Exactly once, perhaps before the search returns. Neither: there is no login. Both are borrowed. */
    void (*found)(void *context, const struct docker_login *login, const struct failure *failure);
    void *context;
};
void login_find(const struct login_search *search);
/* Options that contradict each other, told when the plugin opens. */
bool login_options_fit(const struct descpipe_host *host, struct failure *failure);

#endif
