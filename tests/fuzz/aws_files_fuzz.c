/* SPDX-License-Identifier: BSD-3-Clause */
/* links: ecr-aws
 * AWS's shared files: the first half of the input is the config file, what follows a line "---" the credentials file.
 */
#include <stdint.h>
#include <string.h>

#include "aws/plan.h"
#include "aws/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *environment(void *context, const char *name)
{
    static const char *const known[] = {"AWS_ACCESS_KEY_ID", "KEY", "AWS_SECRET_ACCESS_KEY", "SECRET"};
    for (size_t i = 0; context != NULL && i < 4; i += 2)
        if (strcmp(known[i], name) == 0)
            return known[i + 1];
    return NULL;
}

static void make(const struct ini *config, const struct ini *credentials, const char *profile, void *context)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    struct aws_inputs inputs = {.environment = environment,
                                .context = context,
                                .profile = profile,
                                .config = config,
                                .credentials = credentials,
                                .config_path = "config",
                                .credentials_path = "credentials"};
    if (aws_plan_make(&inputs, &plan, &failure) == (failure.kind != 0))
        __builtin_trap(); /* done and failed at once, or neither */
    if (plan.region != NULL && !aws_region_valid(plan.region))
        __builtin_trap();
    if (plan.source == AWS_SOURCE_KEYS && (plan.access_key_id == NULL || plan.secret_access_key == NULL) &&
        failure.kind == 0)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char mark[] = "\n---\n";
    const char *text = (const char *)data;
    const char *between = size > 0 ? memmem(text, size, mark, sizeof mark - 1) : NULL;
    size_t first = between != NULL ? (size_t)(between - text) : size;
    size_t second = between != NULL ? size - first - (sizeof mark - 1) : 0;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(ini_clear) struct ini config = {0}, credentials = {0};
    bool read = ini_read(text, first, &config, &failure) &&
                ini_read(between != NULL ? between + sizeof mark - 1 : "", second, &credentials, &failure);
    if (!read && failure.kind == 0)
        __builtin_trap();
    make(&config, &credentials, NULL, NULL);
    make(&config, &credentials, NULL, (void *)(uintptr_t)data);
    for (size_t i = 0; i < config.count && i < 8; i++) {
        const char *name = config.sections[i].name;
        make(&config, &credentials, strncmp(name, "profile ", 8) == 0 ? name + 8 : name, NULL);
    }
    return 0;
}
