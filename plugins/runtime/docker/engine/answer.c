/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the Engine's answers about itself, containers and streams; image.c of this folder reads those about images. */
#include "engine/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/bytes.h"
#include "engine/json.h"

enum { FIRST_YEAR = 1970, LAST_YEAR = 9999, LIST_LIMIT = 1000000, NANOSECONDS_PER_MS = 1000000 };

json_t *json_object_of(const char *text, size_t length)
{
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (root != NULL && !json_is_object(root)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

bool json_copy_text(const json_t *object, const char *key, char *into, size_t size)
{
    const json_t *value = json_object_get(object, key);
    into[0] = '\0';
    if (!json_is_string(value)) {
        return false;
    }
    struct bytes line = {0};
    bool done = bytes_add_line(&line, json_string_value(value), json_string_length(value), size - 4);
    if (done) {
        snprintf(into, size, "%s", bytes_text(&line));
    }
    bytes_clear(&line);
    return done;
}

uint64_t json_read_count(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
}

uint32_t answer_api_number(const char *text)
{
    unsigned long parts[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 3) {
            return 0;
        }
        for (size_t d = 0; d < digits; d++) {
            parts[i] = parts[i] * 10 + (unsigned long)(text[d] - '0');
        }
        text += digits;
        if (i == 0 && *text++ != '.') {
            return 0;
        }
    }
    return *text == '\0' ? (uint32_t)(parts[0] * 1000 + parts[1]) : 0;
}

bool answer_read_version(const char *text, size_t length, struct engine_version *version)
{
    struct engine_version read = {0};
    char api[ANSWER_NAME], oldest[ANSWER_NAME], system[ANSWER_NAME / 2 - 1], machine[ANSWER_NAME / 2 - 1];
    json_t *root = json_object_of(text, length);
    if (root == NULL) {
        return false;
    }
    json_copy_text(root, "ApiVersion", api, sizeof(api));
    json_copy_text(root, "MinAPIVersion", oldest, sizeof(oldest));
    json_copy_text(root, "Version", read.version, sizeof(read.version));
    json_copy_text(root, "Os", system, sizeof(system));
    json_copy_text(root, "Arch", machine, sizeof(machine));
    json_decref(root);
    snprintf(read.system, sizeof(read.system), "%s/%s", system, machine);
    read.api = answer_api_number(api);
    read.oldest_api = answer_api_number(oldest);
    if (read.api == 0) {
        return false;
    }
    *version = read;
    return true;
}

bool answer_read_info(const char *text, size_t length, struct engine_info *info)
{
    struct engine_info read = {0};
    json_t *root = json_object_of(text, length);
    if (root == NULL) {
        return false;
    }
    json_copy_text(root, "Driver", read.storage_driver, sizeof(read.storage_driver));
    json_copy_text(root, "CgroupVersion", read.cgroup_version, sizeof(read.cgroup_version));
    const json_t *options = json_object_get(root, "SecurityOptions");
    for (size_t i = 0; i < json_array_size(options); i++) {
        const char *option = json_string_value(json_array_get(options, i));
        read.rootless = read.rootless || (option != NULL && strstr(option, "name=rootless") != NULL);
    }
    json_decref(root);
    *info = read;
    return true;
}

void answer_read_words(const char *text, size_t length, char words[ANSWER_WORDS])
{
    json_t *root = json_object_of(text, length);
    bool found = root != NULL && json_copy_text(root, "message", words, ANSWER_WORDS) && words[0] != '\0';
    json_decref(root);
    if (found) {
        return;
    }
    struct bytes line = {0};
    size_t end = 0;
    while (end < length && text[end] != '\n' && text[end] != '\0') {
        end++;
    }
    bytes_add_line(&line, text, end, ANSWER_WORDS - 4);
    snprintf(words, ANSWER_WORDS, "%s", line.length > 0 ? bytes_text(&line) : "no words");
    bytes_clear(&line);
}

/* `count` digits at *place, which moves behind them and then over `end`. */
static bool read_digits(const char **place, size_t count, char end, int *number)
{
    *number = 0;
    for (size_t i = 0; i < count; i++) {
        char digit = (*place)[i];
        if (digit < '0' || digit > '9') {
            return false;
        }
        *number = *number * 10 + (digit - '0');
    }
    *place += count;
    if (end != '\0' && *(*place)++ != end) {
        return false;
    }
    return true;
}

int64_t answer_read_time(const char *text)
{
    struct tm parts = {0};
    int offset_hours = 0, offset_minutes = 0;
    if (!read_digits(&text, 4, '-', &parts.tm_year) || !read_digits(&text, 2, '-', &parts.tm_mon) ||
        !read_digits(&text, 2, 'T', &parts.tm_mday) || !read_digits(&text, 2, ':', &parts.tm_hour) ||
        !read_digits(&text, 2, ':', &parts.tm_min) || !read_digits(&text, 2, '\0', &parts.tm_sec)) {
        return 0;
    }
    if (parts.tm_year < FIRST_YEAR || parts.tm_year > LAST_YEAR || parts.tm_mon < 1 || parts.tm_mon > 12 ||
        parts.tm_mday < 1 || parts.tm_mday > 31 || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60) {
        return 0;
    }
    int64_t milliseconds = 0;
    if (*text == '.') {
        int64_t weight = 100;
        for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10) {
            milliseconds += (*text - '0') * weight;
        }
    }
    int64_t sign = *text == '-' ? 1 : -1;
    if (*text == '+' || *text == '-') {
        text++;
        if (!read_digits(&text, 2, ':', &offset_hours) || !read_digits(&text, 2, '\0', &offset_minutes)) {
            return 0;
        }
    } else if (*text++ != 'Z') {
        return 0;
    }
    if (*text != '\0') {
        return 0;
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    int64_t seconds = (int64_t)timegm(&parts) + sign * (offset_hours * 3600 + offset_minutes * 60);
    return seconds >= 0 ? seconds * 1000 + milliseconds : 0;
}

static int64_t read_time_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? answer_read_time(text) : 0;
}

static bool is_alive(const char *status)
{
    return strcmp(status, "running") == 0 || strcmp(status, "paused") == 0 || strcmp(status, "restarting") == 0;
}

bool answer_read_created(const char *text, size_t length, char id[ANSWER_ID])
{
    json_t *root = json_object_of(text, length);
    bool done = root != NULL && json_copy_text(root, "Id", id, ANSWER_ID) && id[0] != '\0';
    json_decref(root);
    return done;
}

bool answer_read_container(const char *text, size_t length, struct container_facts *facts)
{
    struct container_facts read = {0};
    json_t *root = json_object_of(text, length);
    const json_t *state = json_object_get(root, "State");
    const json_t *config = json_object_get(root, "Config");
    const json_t *labels = json_object_get(config, "Labels");
    const json_t *exit_code = json_object_get(state, "ExitCode");
    bool done = json_copy_text(root, "Id", read.id, sizeof(read.id)) && read.id[0] != '\0' &&
                json_copy_text(state, "Status", read.status, sizeof(read.status)) && json_is_integer(exit_code) &&
                json_integer_value(exit_code) >= INT32_MIN && json_integer_value(exit_code) <= INT32_MAX;
    if (done) {
        json_copy_text(labels, "descpipe.token", read.token, sizeof(read.token));
        json_copy_text(labels, "descpipe.run", read.run, sizeof(read.run));
        json_copy_text(state, "Error", read.error, sizeof(read.error));
        read.exit_code = (int32_t)json_integer_value(exit_code);
        read.out_of_memory = json_is_true(json_object_get(state, "OOMKilled"));
        read.memory_limit = json_read_count(json_object_get(root, "HostConfig"), "Memory");
        read.terminal = json_is_true(json_object_get(config, "Tty"));
        read.alive = is_alive(read.status);
        read.started_at_ms = read_time_member(state, "StartedAt");
        read.finished_at_ms = read_time_member(state, "FinishedAt");
        read.ever_started = read.started_at_ms > 0;
        if (read.finished_at_ms > 0 && read.finished_at_ms < read.started_at_ms) {
            read.finished_at_ms = read.started_at_ms; /* seen: the Engine's two clocks readings can cross */
        }
        *facts = read;
    }
    json_decref(root);
    return done;
}

bool answer_read_usage(const char *text, size_t length, struct usage_facts *facts)
{
    json_t *root = json_object_of(text, length);
    if (root == NULL) {
        return false;
    }
    const json_t *memory = json_object_get(root, "memory_stats"), *details = json_object_get(memory, "stats");
    const json_t *cpu = json_object_get(json_object_get(root, "cpu_stats"), "cpu_usage");
    uint64_t used = json_read_count(memory, "usage");
    uint64_t cached = json_read_count(details, "total_inactive_file"); /* cgroup v1; v2 has the other name */
    if (cached == 0) {
        cached = json_read_count(details, "inactive_file");
    }
    facts->cpu_ms = json_read_count(cpu, "total_usage") / NANOSECONDS_PER_MS;
    facts->memory = used > cached ? used - cached : 0;
    json_decref(root);
    return true;
}

bool answer_read_list(const char *text, size_t length,
                      void (*found)(void *context, const struct listed_container *container), void *context)
{
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    bool done = json_is_array(root) && json_array_size(root) <= LIST_LIMIT;
    for (size_t i = 0; done && i < json_array_size(root); i++) {
        const json_t *entry = json_array_get(root, i);
        const char *id = json_string_value(json_object_get(entry, "Id"));
        const char *state = json_string_value(json_object_get(entry, "State"));
        const char *token = json_string_value(json_object_get(json_object_get(entry, "Labels"), "descpipe.token"));
        if (id == NULL || state == NULL) {
            done = false;
        } else if (token != NULL) {
            struct listed_container container = {.id = id, .token = token, .alive = is_alive(state)};
            found(context, &container);
        }
    }
    json_decref(root);
    return done;
}

bool answer_read_fetch_line(const char *text, size_t length, struct fetch_line *line)
{
    struct fetch_line read = {0};
    json_t *root = json_object_of(text, length);
    if (root == NULL) {
        return false;
    }
    const json_t *detail = json_object_get(root, "progressDetail");
    bool failed = json_object_get(root, "error") != NULL || json_object_get(root, "errorDetail") != NULL;
    if (failed && (!json_copy_text(root, "error", read.error, sizeof(read.error)) || read.error[0] == '\0') &&
        (!json_copy_text(json_object_get(root, "errorDetail"), "message", read.error, sizeof(read.error)) ||
         read.error[0] == '\0')) {
        snprintf(read.error, sizeof(read.error), "an error without words");
    }
    json_copy_text(root, "status", read.status, sizeof(read.status));
    json_copy_text(root, "id", read.layer, sizeof(read.layer));
    read.current = json_read_count(detail, "current");
    read.total = json_read_count(detail, "total");
    json_decref(root);
    *line = read;
    return true;
}

static bool is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strspn(text + 7, "0123456789abcdef") == 64 && text[71] == '\0';
}

bool answer_read_work_line(const char *text, size_t length, struct work_line *line)
{
    struct fetch_line fetched;
    json_t *root = json_object_of(text, length);
    if (root == NULL || !answer_read_fetch_line(text, length, &fetched)) {
        json_decref(root);
        return false;
    }
    const json_t *aux = json_object_get(root, "aux");
    const char *output = json_string_value(json_object_get(root, "stream"));
    *line = (struct work_line){.current = fetched.current, .total = fetched.total};
    line->output = output != NULL ? strdup(output) : NULL;
    memcpy(line->error, fetched.error, sizeof(line->error));
    memcpy(line->status, fetched.status, sizeof(line->status));
    memcpy(line->layer, fetched.layer, sizeof(line->layer));
    if (!json_copy_text(aux, "ID", line->id, sizeof(line->id)) || !is_digest(line->id)) {
        line->id[0] = '\0';
    }
    if (!json_copy_text(aux, "Digest", line->digest, sizeof(line->digest)) || !is_digest(line->digest)) {
        line->digest[0] = '\0';
    }
    json_decref(root);
    return true;
}
