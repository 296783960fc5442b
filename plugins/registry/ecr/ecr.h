/* SPDX-License-Identifier: BSD-3-Clause */
/* One configured ECR, and what the files of this plugin do for each other. */
#ifndef DESCPIPE_ECR_ECR_H
#define DESCPIPE_ECR_ECR_H

#include <descpipe/plugin.h>

#include "aws/answer.h"
#include "aws/hosts.h"
#include "aws/plan.h"
#include "inquiry/inquiry.h"
#include "registry/digest.h"

enum { ECR_URL_LIMIT = 2048 };

struct asking; /* ask.c */
struct token;  /* token.c */

/* Those who wait for the same thing. */
typedef void waited(void *context, const void *value, const struct failure *failure); /* one of both is NULL */
struct waiter {
    struct waiter *next;
    waited *done;
    void *context;
};

struct ecr {
    struct inquirer inquirer;                                                                    /* first */
    const char *region, *account, *profile, *endpoint, *sts_endpoint, *data_host, *public_alias; /* or NULL */
    const char *access_key_id;                                                                   /* or NULL */
    const char *project, *prefix;
    bool creates, immutable, scans;
    int64_t renew_ms; /* a token with less than this left is renewed */
    struct asking *askings;
    struct keys_flight *flight; /* keys.c: keys are being fetched */
    struct aws_keys keys;       /* the last that were fetched, for */
    char keys_identity[DIGEST_SIZE];
    struct token *tokens;
};

static inline const struct descpipe_host *ecr_services(const struct ecr *ecr)
{
    return ecr->inquirer.host;
}

/* ---- wait.c ---- */

bool waiters_add(struct waiter **list, waited *done, void *context);
void waiters_finish(struct waiter **list, const void *value, const struct failure *failure);

/* ---- ask.c: one request to a service of AWS's, repeated when it is busy ---- */

struct question {
    const char *what; /* for messages: "GetAuthorizationToken" */
    const char *method, *url;
    const char *type;               /* of the body */
    const char *body;               /* copied by the host, or NULL */
    const char *service, *region;   /* signed for it with */
    const struct aws_keys *keys;    /* NULL: not signed */
    const char *headers[4];         /* "Name: value", may be secret; copied */
    const char *origin;             /* whose keys, for messages; or NULL */
    bool metadata;                  /* an address of this machine: no proxy, plain http, not for long */
    bool (*fine)(const char *code); /* errors that are none; may be NULL */
    /* Exactly once, perhaps before `ask` returns when it could not begin. `body` ends with NUL. */
    void (*done)(void *context, const char *body, size_t length, const struct failure *failure);
    void *context;
};
void ecr_ask(struct ecr *ecr, const struct question *question);
void ecr_drop_askings(struct ecr *ecr); /* at close */

/* ---- plan.c: where keys come from, as things are now ---- */

/* Reads the environment and the files. `identity` tells these keys from others. */
bool ecr_plan(struct ecr *ecr, struct aws_plan *plan, char identity[DIGEST_SIZE], struct failure *failure);
/* The region of the option, the environment or the profile. Owned; NULL with a failure. */
char *ecr_region(struct ecr *ecr, struct failure *failure);
/* A small file that may hold a secret, without white space at its end: wipe and free it. NULL with a failure. */
char *ecr_read_secret_file(const char *path, size_t limit, size_t *length, struct failure *failure);
/* The URL of a service: the option, what the environment says (AWS_ENDPOINT_URL_...), else `url`. Owned. */
char *ecr_service_url(const char *option, const char *variable, char *url, struct failure *failure);

/* ---- keys.c ---- */

struct keys_answer {
    const struct aws_keys *keys;
    const char *origin;
};
/* `done` gets a keys_answer; exactly once, perhaps at once. */
void keys_want(struct ecr *ecr, waited *done, void *context);

/* ---- token.c ---- */

struct token_answer {
    const struct aws_authorization *authorization;
    const char *origin;
};
/* `done` gets a token_answer; exactly once, perhaps at once. */
void token_want(struct ecr *ecr, const struct ecr_host *place, waited *done, void *context);
/* What was fetched was refused: all of it is fetched anew next time. */
void tokens_forget(struct ecr *ecr);
void tokens_free(struct ecr *ecr); /* at close */

/* ---- cache.c: tokens kept between runs ---- */

bool cache_read(const struct ecr *ecr, const char *key, struct aws_authorization *authorization);
void cache_write(const struct ecr *ecr, const char *key, const struct aws_authorization *authorization);
void cache_drop(const struct ecr *ecr, const char *key);

/* ---- repository.c ---- */

void ecr_ensure_repository(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup);
/* Which account and region serve a reference. False with a failure. */
bool ecr_place_of(struct ecr *ecr, const char *server, struct ecr_host *place, struct failure *failure);

int64_t ecr_now_ms(void);

#endif
