/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading SLURM's configuration; limits.h. */
#include "parts/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void limits_clear(struct limits *limits)
{
    free(limits->partitions);
    policy_clear(&limits->policy);
    *limits = (struct limits){0};
}

static void keep(char *place, const char *text, size_t length)
{
    snprintf(place, LIMITS_TEXT, "%.*s", (int)(length < LIMITS_TEXT ? length : LIMITS_TEXT - 1), text);
}

/* Digits at the start; false when there are none. */
static bool read_number(const char *text, size_t length, uint64_t *number)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9' && value < UINT64_MAX / 100; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (i > 0) {
        *number = value;
    }
    return i > 0;
}

static bool is(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

bool limits_read_minutes(const char *text, size_t length, uint64_t *minutes)
{
    uint64_t parts[3] = {0}, days = 0, number = 0;
    size_t count = 0;
    bool has_days = false;
    if (is(text, length, "UNLIMITED") || is(text, length, "INFINITE")) {
        *minutes = LIMITS_NONE;
        return true;
    }
    const char *end = text + length;
    while (count < 3 && read_number(text, (size_t)(end - text), &number) && number < 100000000) {
        while (text < end && *text >= '0' && *text <= '9') {
            text++;
        }
        char mark = text < end ? *text : '\0';
        if (mark == '-' && !has_days && count == 0) {
            has_days = true;
            days = number;
        } else {
            parts[count++] = number;
            if (mark != ':') {
                break;
            }
        }
        text++;
    }
    if (text != end || (count == 0 && !has_days)) {
        return false;
    }
    if (has_days) { /* days-hours[:minutes[:seconds]] */
        *minutes = days * 1440 + parts[0] * 60 + parts[1] + (parts[2] > 0);
    } else if (count == 3) {
        *minutes = parts[0] * 60 + parts[1] + (parts[2] > 0);
    } else { /* minutes[:seconds] */
        *minutes = parts[0] + (parts[1] > 0);
    }
    return true;
}

/* "idle_on_node_suspend,rl_enable,rl_bucket_size=40,rl_refill_rate=4" */
static void read_parameters(struct limits *limits, const char *text, size_t length)
{
    struct {
        const char *name;
        uint64_t *place;
    } const numbers[] = {{"rl_bucket_size=", &limits->rate_bucket},
                         {"rl_refill_rate=", &limits->rate_refill},
                         {"rl_refill_period=", &limits->rate_period_s}};
    const char *end = text + length;
    limits->rate_bucket = 30; /* SLURM's own defaults, slurm.conf(5) */
    limits->rate_refill = 2;
    limits->rate_period_s = 1;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t part = (size_t)((comma != NULL ? comma : end) - text);
        limits->has_rate = limits->has_rate || is(text, part, "rl_enable");
        for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
            size_t name = strlen(numbers[i].name);
            if (part > name && memcmp(text, numbers[i].name, name) == 0) {
                read_number(text + name, part - name, numbers[i].place);
            }
        }
        text += part + 1;
    }
    if (limits->rate_bucket == 0 || limits->rate_refill == 0 || limits->rate_period_s == 0) {
        limits->has_rate = false;
    }
}

/* "associations,limits,qos,safe": each takes those before it along. */
static void read_enforced(struct limits *limits, const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t part = (size_t)((comma != NULL ? comma : end) - text);
        bool safe = is(text, part, "safe") || is(text, part, "all"), limited = is(text, part, "limits") || safe;
        bool qos = is(text, part, "qos");
        limits->enforces_limits = limits->enforces_limits || limited;
        limits->enforces_qos = limits->enforces_qos || qos || is(text, part, "all");
        limits->enforces_associations =
            limits->enforces_associations || limited || qos || is(text, part, "associations");
        text += part + 1;
    }
}

void limits_read_config(struct limits *limits, const char *line, size_t length)
{
    const char *equals = memchr(line, '=', length);
    if (equals == NULL) {
        return;
    }
    size_t key = (size_t)(equals - line);
    while (key > 0 && line[key - 1] == ' ') {
        key--;
    }
    const char *value = equals + 1;
    size_t left = length - (size_t)(value - line);
    while (left > 0 && *value == ' ') {
        value++;
        left--;
    }
    while (left > 0 && (value[left - 1] == ' ' || value[left - 1] == '\r')) {
        left--;
    }
    if (is(line, key, "SLURM_VERSION")) {
        keep(limits->version, value, left);
    } else if (is(line, key, "ClusterName")) {
        keep(limits->cluster, value, left);
    } else if (is(line, key, "SlurmctldHost[0]")) {
        keep(limits->host, value, left);
    } else if (is(line, key, "AccountingStorageType")) {
        keep(limits->accounting, value, left);
    } else if (is(line, key, "AccountingStorageEnforce")) {
        read_enforced(limits, value, left);
    } else if (is(line, key, "PrivateData")) {
        limits->hides_jobs = memmem(value, left, "jobs", strlen("jobs")) != NULL;
    } else if (is(line, key, "MaxArraySize")) {
        read_number(value, left, &limits->array_size);
    } else if (is(line, key, "MaxJobCount")) {
        read_number(value, left, &limits->jobs);
    } else if (is(line, key, "MinJobAge")) {
        read_number(value, left, &limits->forget_s);
    } else if (is(line, key, "SlurmctldParameters")) {
        read_parameters(limits, value, left);
    }
}

static const char *find_value(const char *line, size_t length, const char *key, size_t *value_length)
{
    size_t key_length = strlen(key);
    for (size_t i = 0; i + key_length < length; i++) {
        if ((i == 0 || line[i - 1] == ' ') && memcmp(line + i, key, key_length) == 0 && line[i + key_length] == '=') {
            const char *value = line + i + key_length + 1;
            size_t left = length - (size_t)(value - line);
            const char *end = memchr(value, ' ', left);
            *value_length = end != NULL ? (size_t)(end - value) : left;
            return value;
        }
    }
    *value_length = 0;
    return "";
}

static uint64_t read_or_none(const char *line, size_t length, const char *key)
{
    size_t value_length = 0;
    uint64_t number = LIMITS_NONE; /* "UNLIMITED", or not there */
    const char *value = find_value(line, length, key, &value_length);
    read_number(value, value_length, &number);
    return number;
}

bool limits_read_partition(struct limits *limits, const char *line, size_t length)
{
    size_t value_length = 0;
    const char *value = find_value(line, length, "PartitionName", &value_length);
    if (value_length == 0 || value_length >= LIMITS_TEXT || limits->partitions_count == LIMITS_PARTITIONS) {
        return true;
    }
    struct partition *grown = realloc(limits->partitions, (limits->partitions_count + 1) * sizeof(*limits->partitions));
    if (grown == NULL) {
        return false;
    }
    limits->partitions = grown;
    struct partition *partition = &grown[limits->partitions_count++];
    *partition = (struct partition){.minutes = LIMITS_NONE};
    keep(partition->name, value, value_length);
    value = find_value(line, length, "QoS", &value_length);
    if (!is(value, value_length, "N/A")) {
        keep(partition->qos, value, value_length);
    }
    value = find_value(line, length, "Default", &value_length);
    partition->is_default = is(value, value_length, "YES");
    value = find_value(line, length, "State", &value_length);
    partition->is_up = is(value, value_length, "UP");
    value = find_value(line, length, "MaxTime", &value_length);
    limits_read_minutes(value, value_length, &partition->minutes);
    partition->nodes = read_or_none(line, length, "MaxNodes");
    partition->total_nodes = read_or_none(line, length, "TotalNodes");
    uint64_t mebibytes = read_or_none(line, length, "MaxMemPerNode");
    partition->memory_per_node = mebibytes < LIMITS_NONE >> 20 ? mebibytes << 20 : LIMITS_NONE;
    return true;
}

const struct partition *limits_partition(const struct limits *limits, const char *name)
{
    for (size_t i = 0; i < limits->partitions_count; i++) {
        const struct partition *partition = &limits->partitions[i];
        if (name != NULL ? strcmp(partition->name, name) == 0 : partition->is_default) {
            return partition;
        }
    }
    return NULL;
}
