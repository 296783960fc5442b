/* SPDX-License-Identifier: BSD-3-Clause */
/* What AWS's services and a credential_process answer, read with a bound and without trust. */
#ifndef DESCPIPE_ECR_ANSWER_H
#define DESCPIPE_ECR_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry/failure.h"

enum { AWS_ANSWER_LIMIT = 256 << 10 };

/* Keys to sign with. Owned, overwritten when cleared. */
struct aws_keys {
    char *access_key_id, *secret_access_key;
    char *session_token;   /* or NULL */
    int64_t expires_at_ms; /* 0: never */
};
void aws_keys_clear(struct aws_keys *keys);
static inline void aws_keys_clear_at(struct aws_keys *place)
{
    aws_keys_clear(place);
}

/* What a credential_process prints (Version 1), and what the endpoints of containers and machines answer. A failure
 * never quotes the text. */
bool aws_read_process(const char *text, size_t length, struct aws_keys *keys, struct failure *failure);
bool aws_read_endpoint(const char *text, size_t length, struct aws_keys *keys, struct failure *failure);
/* AssumeRole and AssumeRoleWithWebIdentity of STS: XML. */
bool aws_read_role(const char *text, size_t length, struct aws_keys *keys, struct failure *failure);

/* GetAuthorizationToken of ECR and of its public sister. */
struct aws_authorization {
    char *username, *password; /* the password is overwritten when cleared */
    char *account;             /* of the private registry's proxyEndpoint, or NULL */
    int64_t expires_at_ms;     /* 0: not told */
};
bool aws_read_authorization(const char *text, size_t length, struct aws_authorization *authorization,
                            struct failure *failure);
void aws_authorization_clear(struct aws_authorization *authorization);
static inline void aws_authorization_clear_at(struct aws_authorization *place)
{
    aws_authorization_clear(place);
}

/* An answer that is no success: AWS's name for it, and its words. */
struct aws_error {
    char code[80]; /* "ExpiredTokenException", "" when it is not known */
    char words[400];
};
void aws_read_error(const char *text, size_t length, struct aws_error *error);
/* Which DESCPIPE_FAILED_ kind an error is, and what to do (static, or NULL). */
uint32_t aws_error_kind(int32_t status, const char *code, const char **hint);

#endif
