/* SPDX-License-Identifier: BSD-3-Clause */
/* Host names of ECR, read and written. */
#include "aws/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/plan.h"

/* Part of the host that follows the region, by the kind of name. */
static const struct {
    const char *infix, *suffix;
    bool fips;
} forms[] = {
    {".dkr.ecr.", ".amazonaws.com", false},
    {".dkr.ecr.", ".amazonaws.com.cn", false},
    {".dkr.ecr-fips.", ".amazonaws.com", true},
    {".dkr-ecr.", ".on.aws", false},
    {".dkr-ecr.", ".on.amazonwebservices.com.cn", false},
    {".dkr-ecr-fips.", ".on.aws", true},
};

bool ecr_account_valid(const char *account)
{
    return strlen(account) == ECR_ACCOUNT_LENGTH && strspn(account, "0123456789") == ECR_ACCOUNT_LENGTH;
}

static bool read_form(const char *host, size_t form, struct ecr_host *read)
{
    const char *infix = forms[form].infix, *suffix = forms[form].suffix;
    size_t length = strlen(host), head = ECR_ACCOUNT_LENGTH + strlen(infix), tail = strlen(suffix);
    if (length <= head + tail || strncmp(host + ECR_ACCOUNT_LENGTH, infix, strlen(infix)) != 0 ||
        strcmp(host + length - tail, suffix) != 0 || length - head - tail >= ECR_REGION_SIZE)
        return false;
    *read = (struct ecr_host){.fips = forms[form].fips};
    memcpy(read->account, host, ECR_ACCOUNT_LENGTH);
    memcpy(read->region, host + head, length - head - tail);
    return ecr_account_valid(read->account) && aws_region_valid(read->region);
}

bool ecr_host_read(const char *host, struct ecr_host *read)
{
    if (strcmp(host, ECR_PUBLIC_HOST) == 0) {
        *read = (struct ecr_host){.is_public = true, .region = ECR_PUBLIC_REGION};
        return true;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (read_form(host, i, read))
            return true;
    return false;
}

static const char *domain_of(const char *region)
{
    return strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
}

char *ecr_host_of(const char *account, const char *region)
{
    char *host = NULL;
    return asprintf(&host, "%s.dkr.ecr.%s.%s", account, region, domain_of(region)) < 0 ? NULL : host;
}

char *ecr_api_url(const struct ecr_host *host)
{
    char *url = NULL;
    const char *name = host->is_public ? "api.ecr-public" : host->fips ? "ecr-fips" : "api.ecr";
    return asprintf(&url, "https://%s.%s.%s", name, host->region, domain_of(host->region)) < 0 ? NULL : url;
}

char *ecr_sts_url(const char *region)
{
    char *url = NULL;
    return asprintf(&url, "https://sts.%s.%s", region, domain_of(region)) < 0 ? NULL : url;
}
