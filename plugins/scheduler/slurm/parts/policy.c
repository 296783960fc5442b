/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading what sacctmgr prints, and the limits that hold together; policy.h. */
#include "parts/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/limits.h"

enum { COLUMNS = 7 };

void policy_clear(struct policy *policy)
{
    free(policy->associations);
    free(policy->qualities);
    *policy = (struct policy){0};
}

/* "a|b|c", cut where the bars are; missing ones are empty. False: more columns than that. */
static bool read_columns(const char *line, size_t length, const char *columns[COLUMNS], size_t lengths[COLUMNS])
{
    const char *end = line + length;
    size_t count = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        columns[i] = "";
        lengths[i] = 0;
    }
    while (line <= end && count < COLUMNS) {
        const char *bar = memchr(line, '|', (size_t)(end - line));
        columns[count] = line;
        lengths[count++] = (size_t)((bar != NULL ? bar : end) - line);
        line = (bar != NULL ? bar : end) + 1;
    }
    return line > end;
}

static bool keep(char *place, size_t size, const char *text, size_t length)
{
    return snprintf(place, size, "%.*s", (int)(length < size ? length : size - 1), text) >= 0 && length < size;
}

static uint64_t read_number(const char *text, size_t length)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || number > UINT64_MAX / 100) {
            return POLICY_NONE;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    return length > 0 ? number : POLICY_NONE;
}

static uint64_t read_minutes(const char *text, size_t length)
{
    uint64_t minutes = POLICY_NONE;
    return length > 0 && limits_read_minutes(text, length, &minutes) ? minutes : POLICY_NONE;
}

/* Room for one more; NULL: no memory. `full` when there are enough. */
static void *grow(void *items, size_t *count, size_t size, bool *full)
{
    *full = *count >= POLICY_ROWS;
    return *full ? NULL : realloc(items, (*count + 1) * size);
}

bool policy_read_association(struct policy *policy, const char *line, size_t length)
{
    const char *columns[COLUMNS];
    size_t lengths[COLUMNS];
    bool full;
    struct association read = {.jobs = POLICY_NONE};
    if (!read_columns(line, length, columns, lengths) ||
        !keep(read.account, sizeof(read.account), columns[1], lengths[1]) || read.account[0] == '\0' ||
        !keep(read.partition, sizeof(read.partition), columns[2], lengths[2]) ||
        !keep(read.default_qos, sizeof(read.default_qos), columns[3], lengths[3])) {
        return true;
    }
    if (!keep(read.qos, sizeof(read.qos), columns[4], lengths[4])) {
        read.qos[0] = '\0'; /* too long to say what it lacks */
    }
    read.is_default = lengths[0] == lengths[1] && memcmp(columns[0], columns[1], lengths[0]) == 0;
    read.jobs = read_number(columns[5], lengths[5]);
    read.minutes = read_minutes(columns[6], lengths[6]);
    struct association *items =
        grow(policy->associations, &policy->associations_count, sizeof(*policy->associations), &full);
    if (items == NULL) {
        return full;
    }
    policy->associations = items;
    items[policy->associations_count++] = read;
    return true;
}

bool policy_read_quality(struct policy *policy, const char *line, size_t length)
{
    const char *columns[COLUMNS];
    size_t lengths[COLUMNS];
    bool full;
    struct quality read = {.jobs = POLICY_NONE};
    if (!read_columns(line, length, columns, lengths) || !keep(read.name, sizeof(read.name), columns[0], lengths[0]) ||
        read.name[0] == '\0') {
        return true;
    }
    read.jobs = read_number(columns[1], lengths[1]);
    read.minutes = read_minutes(columns[2], lengths[2]);
    read.over_partition = memmem(columns[3], lengths[3], "OverPartQOS", strlen("OverPartQOS")) != NULL;
    struct quality *items = grow(policy->qualities, &policy->qualities_count, sizeof(*policy->qualities), &full);
    if (items == NULL) {
        return full;
    }
    policy->qualities = items;
    items[policy->qualities_count++] = read;
    return true;
}

static bool said(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The row of a partition of its own goes before the one for all of them. */
static const struct association *find_association(const struct policy *policy, const char *account,
                                                  const char *partition)
{
    const struct association *found = NULL;
    for (size_t i = 0; i < policy->associations_count; i++) {
        const struct association *row = &policy->associations[i];
        bool fits = said(account) ? strcmp(row->account, account) == 0 : row->is_default;
        bool own = said(partition) && strcmp(row->partition, partition) == 0;
        if (fits && (own || (row->partition[0] == '\0' && found == NULL))) {
            found = row;
        }
    }
    return found;
}

static const struct quality *find_quality(const struct policy *policy, const char *name)
{
    for (size_t i = 0; said(name) && i < policy->qualities_count; i++) {
        if (strcmp(policy->qualities[i].name, name) == 0) {
            return &policy->qualities[i];
        }
    }
    return NULL;
}

/* Whoever says a limit first, says it. */
static void take(struct allowance *allowance, uint64_t jobs, uint64_t minutes, const char *kind, const char *name)
{
    if (allowance->jobs == POLICY_NONE && jobs != POLICY_NONE) {
        allowance->jobs = jobs;
        snprintf(allowance->jobs_by, sizeof(allowance->jobs_by), "%s '%s'", kind, name);
    }
    if (allowance->minutes == POLICY_NONE && minutes != POLICY_NONE) {
        allowance->minutes = minutes;
        snprintf(allowance->minutes_by, sizeof(allowance->minutes_by), "%s '%s'", kind, name);
    }
}

/* The order of SLURM's resource_limits page: the partition's quality, the job's, the association. */
void policy_allow(const struct policy *policy, const char *account, const char *qos, const char *partition,
                  const char *partition_qos, struct allowance *allowance)
{
    const struct association *association = find_association(policy, account, partition);
    const struct quality *quality = find_quality(policy, said(qos)             ? qos
                                                         : association != NULL ? association->default_qos
                                                                               : NULL);
    const struct quality *of_partition = find_quality(policy, partition_qos);
    bool over = quality != NULL && quality->over_partition;
    const struct quality *const qualities[] = {over ? quality : of_partition, over ? of_partition : quality};
    *allowance = (struct allowance){.jobs = POLICY_NONE, .minutes = POLICY_NONE};
    for (size_t i = 0; i < 2; i++) {
        if (qualities[i] != NULL) {
            take(allowance, qualities[i]->jobs, qualities[i]->minutes, "qos", qualities[i]->name);
        }
    }
    if (association != NULL) {
        take(allowance, association->jobs, association->minutes, "account", association->account);
    }
}

bool policy_lacks_account(const struct policy *policy, const char *account)
{
    for (size_t i = 0; i < policy->associations_count; i++) {
        if (!said(account) || strcmp(policy->associations[i].account, account) == 0) {
            return false;
        }
    }
    return policy->associations_count > 0;
}

const char *policy_qualities(const struct policy *policy, const char *account)
{
    const struct association *association = find_association(policy, account, "");
    return association != NULL ? association->qos : "";
}

bool policy_lacks_qos(const struct policy *policy, const char *account, const char *qos)
{
    const char *list = policy_qualities(policy, account);
    size_t length = said(qos) ? strlen(qos) : 0;
    if (length == 0 || list[0] == '\0') {
        return false;
    }
    for (size_t part; *list != '\0'; list += part + (list[part] == ',')) {
        part = strcspn(list, ",");
        if (part == length && strncmp(list, qos, length) == 0) {
            return false;
        }
    }
    return true;
}

void policy_write_accounts(const struct policy *policy, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < policy->associations_count && used < size; i++) {
        bool seen = false;
        for (size_t other = 0; other < i && !seen; other++) {
            seen = strcmp(policy->associations[other].account, policy->associations[i].account) == 0;
        }
        int added =
            seen ? 0
                 : snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", policy->associations[i].account);
        used += added > 0 ? (size_t)added : 0;
    }
}
