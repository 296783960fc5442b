/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where AWS keys are to come from, decided from the environment and the shared files alone: nothing is asked here.
 *
 *     keys of the environment ─► the profile's (roles, web identity, keys, a process) ─► the container's endpoint
 *         ─► the machine's metadata service ─► nothing
 *
 * Source: "Standardized credential providers" of the AWS SDKs and Tools Reference Guide. The first that is configured
 * is taken and stays taken: when it does not work that is said, and no other one is tried.
 */
#ifndef DESCPIPE_ECR_PLAN_H
#define DESCPIPE_ECR_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/ini.h"
#include "registry/failure.h"

enum { PLAN_ROLES_LIMIT = 5 };

enum aws_source {
    AWS_SOURCE_NONE, /* nothing is configured */
    AWS_SOURCE_KEYS,
    AWS_SOURCE_PROCESS,
    AWS_SOURCE_WEB_IDENTITY,
    AWS_SOURCE_CONTAINER,
    AWS_SOURCE_INSTANCE
};

struct aws_role {
    char *arn, *session;
    char *external_id; /* or NULL */
};

struct aws_plan {
    enum aws_source source;
    char *access_key_id, *secret_access_key, *session_token; /* KEYS; the last may be NULL */
    char **argv;                                             /* PROCESS */
    char *token_file;                                        /* WEB_IDENTITY */
    struct aws_role web_role;
    char *url;                                /* CONTAINER, and where the service is for INSTANCE */
    char *authorization, *authorization_file; /* CONTAINER; may be NULL */
    struct aws_role roles[PLAN_ROLES_LIMIT];  /* to be taken on one after the other */
    size_t role_count;
    char *region; /* of the environment or the profile, or NULL */
    char *origin; /* for people: "profile 'work' in /home/u/.aws/credentials" */
};

/* What decides. Texts may be NULL. */
struct aws_inputs {
    const char *(*environment)(void *context, const char *name); /* NULL when not set or empty */
    void *context;
    const char *profile; /* of the options; then keys of the environment do not count */
    const struct ini *config, *credentials;
    const char *config_path, *credentials_path;
};

bool aws_plan_make(const struct aws_inputs *inputs, struct aws_plan *plan, struct failure *failure);
void aws_plan_clear(struct aws_plan *plan); /* overwrites secrets */
static inline void aws_plan_clear_at(struct aws_plan *place)
{
    aws_plan_clear(place);
}

/* A region goes into host names: lower case, digits and "-". */
bool aws_region_valid(const char *region);
/* May credentials be asked for at this address? https, or plain http to this machine or to the addresses that AWS gives
 * its containers. */
bool aws_container_url_valid(const char *url);

#endif
