/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host names of ECR: which account and region a registry's host means, and where the services' APIs are.
 *
 * Source: "Amazon ECR endpoints and quotas" of the AWS General Reference; "Private registry" of the ECR User Guide.
 */
#ifndef DESCPIPE_ECR_HOSTS_H
#define DESCPIPE_ECR_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#define ECR_PUBLIC_HOST "public.ecr.aws"
#define ECR_PUBLIC_REGION "us-east-1" /* the only one with the public registry's API */

enum { ECR_ACCOUNT_LENGTH = 12, ECR_REGION_SIZE = 41 };

struct ecr_host {
    bool is_public;
    bool fips;
    char account[ECR_ACCOUNT_LENGTH + 1]; /* "" for the public registry */
    char region[ECR_REGION_SIZE];
};

/* False: no host of ECR's. */
bool ecr_host_read(const char *host, struct ecr_host *read);
bool ecr_account_valid(const char *account);
/* "123456789012.dkr.ecr.eu-north-1.amazonaws.com". The caller frees it; NULL: no memory. */
char *ecr_host_of(const char *account, const char *region);
/* "https://api.ecr.eu-north-1.amazonaws.com", or of the public registry, or of STS. */
char *ecr_api_url(const struct ecr_host *host);
char *ecr_sts_url(const char *region);

#endif
