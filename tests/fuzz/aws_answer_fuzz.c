/* SPDX-License-Identifier: BSD-3-Clause */
/* links: ecr-aws
 * What AWS's services, a machine's metadata service and a credential_process answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/base64.h"
#include "aws/hosts.h"
#include "registry/ownership.h"

/* Keys go into header lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *word)
{
    for (; word != NULL && *word != '\0'; word++)
        if (*word <= ' ' || *word > '~')
            __builtin_trap();
}

static void read_keys(bool (*read)(const char *, size_t, struct aws_keys *, struct failure *), const char *text,
                      size_t size)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(aws_keys_clear) struct aws_keys keys = {0};
    if (read(text, size, &keys, &failure)) {
        check(keys.access_key_id);
        check(keys.secret_access_key);
        check(keys.session_token);
    } else if (failure.kind == 0) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(aws_authorization_clear) struct aws_authorization authorization = {0};
    struct aws_error error;
    struct ecr_host host;
    read_keys(aws_read_process, text, size);
    read_keys(aws_read_endpoint, text, size);
    read_keys(aws_read_role, text, size);
    if (aws_read_authorization(text, size, &authorization, &failure)) {
        check(authorization.password);
        if (authorization.account != NULL && !ecr_account_valid(authorization.account))
            __builtin_trap();
    }
    aws_read_error(text, size, &error);
    char *copy = strndup(size > 0 ? text : "", size);
    if (copy != NULL) {
        char *decoded = base64_decode(copy);
        free(decoded);
        ecr_host_read(copy, &host);
    }
    free(copy);
    return 0;
}
