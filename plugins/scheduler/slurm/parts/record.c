/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading lines of squeue, sacct and scontrol; record.h. */
#include "parts/record.h"

#include <string.h>

struct span {
    const char *at;
    size_t length;
};

static bool span_is(struct span span, const char *word)
{
    return span.length == strlen(word) && memcmp(span.at, word, span.length) == 0;
}

/* A prefix of digits; how many characters it took is in *used. */
static bool read_digits(struct span span, uint64_t *number, size_t *used)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < span.length && span.at[i] >= '0' && span.at[i] <= '9'; i++) {
        if (value > (UINT64_MAX - 9) / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(span.at[i] - '0');
    }
    if (i > 0) {
        *number = value;
        *used = i;
    }
    return i > 0;
}

static bool read_number(struct span span, uint64_t *number)
{
    size_t used = 0;
    uint64_t value = 0;
    if (!read_digits(span, &value, &used) || used != span.length) {
        return false;
    }
    *number = value;
    return true;
}

static int64_t read_time(struct span span)
{
    uint64_t seconds = 0; /* "N/A", "Unknown", "None": not known */
    return read_number(span, &seconds) && seconds < INT64_MAX / 1000 ? (int64_t)seconds : 0;
}

/* "424440K", "50M", "4000Mn" (per node), "2Gc" (per cpu, before 21.08). */
static uint64_t read_memory(struct span span, bool *per_cpu)
{
    static const char units[] = "KMGTP";
    uint64_t whole = 0, part = 0;
    size_t used = 0;
    *per_cpu = span.length > 0 && span.at[span.length - 1] == 'c';
    if (!read_digits(span, &whole, &used)) {
        return 0;
    }
    span.at += used;
    span.length -= used;
    if (span.length > 1 && span.at[0] == '.' && span.at[1] >= '0' && span.at[1] <= '9') {
        part = (uint64_t)(span.at[1] - '0'); /* a tenth is near enough */
        do {
            span.at++;
            span.length--;
        } while (span.length > 0 && span.at[0] >= '0' && span.at[0] <= '9');
    }
    const char *unit = span.length > 0 ? strchr(units, span.at[0]) : NULL;
    unsigned shift = unit != NULL && *unit != '\0' ? (unsigned)(unit - units + 1) * 10 : 0;
    return whole >> (63 - shift) != 0 ? 0 : (whole << shift) + ((part << shift) / 10);
}

/* "00:00.005", "01:02:03", "2-03:04:05" */
static uint64_t read_cpu_ms(struct span span)
{
    uint64_t total = 0, number = 0;
    size_t used = 0;
    while (read_digits(span, &number, &used)) {
        if (number > 1000000 || total > UINT64_MAX / 1000000) {
            return 0;
        }
        span.at += used;
        span.length -= used;
        char mark = span.length > 0 ? span.at[0] : '\0';
        if (mark == '-') {
            total = (total + number) * 24;
        } else if (mark == ':') {
            total = (total + number) * 60;
        } else {
            total = (total + number) * 1000;
            if (mark == '.' && span.length >= 4 && read_digits((struct span){span.at + 1, 3}, &number, &used) &&
                used == 3) {
                total += number;
            }
            return total;
        }
        span.at++;
        span.length--;
    }
    return 0;
}

static void read_exit(struct span span, struct record *record)
{
    uint64_t code = 0, signal = 0;
    size_t used = 0;
    if (!read_digits(span, &code, &used) || used >= span.length || span.at[used] != ':' || code > 255 ||
        !read_number((struct span){span.at + used + 1, span.length - used - 1}, &signal) || signal > 255) {
        return;
    }
    record->has_exit = true;
    record->exit_code = (int)code;
    record->exit_signal = (int)signal;
}

/* Printable, and never longer than its place. */
static void keep(char *place, size_t size, struct span span)
{
    size_t kept = 0;
    for (size_t i = 0; i < span.length && kept + 1 < size; i++) {
        unsigned char value = (unsigned char)span.at[i];
        place[kept++] = value < 0x20 || value == 0x7F ? ' ' : span.at[i];
    }
    while (kept > 0 && ((unsigned char)place[kept - 1] & 0x80) != 0 && kept + 1 == size) {
        kept--; /* a cut character of several bytes */
    }
    place[kept] = '\0';
}

static void keep_reason(struct record *record, struct span span)
{
    bool none = span_is(span, "None") || span_is(span, "(null)") || span_is(span, "N/A");
    keep(record->reason, sizeof(record->reason), none ? (struct span){"", 0} : span);
}

static void keep_nodes(struct record *record, struct span span)
{
    bool none = span_is(span, "None assigned") || span_is(span, "(null)") || span_is(span, "N/A");
    keep(record->nodes, sizeof(record->nodes), none ? (struct span){"", 0} : span);
}

/* "7", "N/A", "5-1024%4": the index of a member, of none, or of several that wait. */
static bool read_index(struct span span, struct record *record)
{
    uint64_t number = 0;
    record->index = RECORD_NO_INDEX;
    if (span.length == 0 || span_is(span, "N/A")) {
        return true;
    }
    if (read_number(span, &number)) {
        record->index = (int64_t)(number & INT64_MAX);
        return true;
    }
    if (span.at[0] == '[' && span.length >= 2) {
        span = (struct span){span.at + 1, span.length - 2};
    }
    keep(record->ranges, sizeof(record->ranges), span);
    if (span.length >= sizeof(record->ranges)) {
        memcpy(record->ranges + sizeof(record->ranges) - 4, "...", 4); /* as SLURM itself says that there is more */
    }
    return record->ranges[0] >= '0' && record->ranges[0] <= '9';
}

static bool read_part(struct span span, enum record_part *part)
{
    if (span.length == 0) {
        *part = PART_JOB;
    } else if (span_is(span, ".batch") || span_is(span, ".batch+")) {
        *part = PART_BATCH;
    } else {
        *part = PART_STEP;
        return span.at[0] == '.';
    }
    return true;
}

/* "123", "123_4", "123_[5-7%2]", "123.batch", "123_4.0" */
static bool read_job_id(struct span span, struct record *record)
{
    size_t used = 0;
    if (!read_digits(span, &record->array, &used)) {
        return false;
    }
    span = (struct span){span.at + used, span.length - used};
    record->index = RECORD_NO_INDEX;
    if (span.length > 0 && span.at[0] == '_') {
        const char *dot = memchr(span.at, '.', span.length);
        size_t length = dot != NULL ? (size_t)(dot - span.at) : span.length;
        if (length < 2 || !read_index((struct span){span.at + 1, length - 1}, record)) {
            return false;
        }
        span = (struct span){span.at + length, span.length - length};
    }
    return read_part(span, &record->part);
}

bool record_read_id(const char *text, uint64_t *array, int64_t *index)
{
    struct record record = {0};
    const char *end = strchr(text, '@');
    size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
    if (!read_job_id((struct span){text, length}, &record) || record.part != PART_JOB || record.ranges[0] != '\0') {
        return false;
    }
    *array = record.array;
    *index = record.index;
    return true;
}

/* The next column; the last one asked for takes the rest of the line. */
static bool next_column(struct span *line, bool last, struct span *column)
{
    if (line->at == NULL) {
        return false;
    }
    const char *end = last ? NULL : memchr(line->at, '|', line->length);
    if (end == NULL) {
        *column = *line;
        line->at = NULL;
        return true;
    }
    *column = (struct span){line->at, (size_t)(end - line->at)};
    line->length -= column->length + 1;
    line->at = end + 1;
    return true;
}

bool record_read_queue(const char *line, size_t length, struct record *record)
{
    enum { COLUMNS = 9 };
    struct span rest = {line, length}, columns[COLUMNS];
    *record = (struct record){.by = -1, .index = RECORD_NO_INDEX};
    for (size_t i = 0; i < COLUMNS; i++) {
        if (!next_column(&rest, i + 1 == COLUMNS, &columns[i])) {
            return false;
        }
    }
    if (!read_number(columns[0], &record->array) || !read_index(columns[1], record) ||
        !read_number(columns[2], &record->raw)) {
        return false;
    }
    record->state = state_read(columns[3].at, columns[3].length, &record->by);
    keep_reason(record, columns[4]);
    record->started_s = read_time(columns[5]);
    record->ended_s = read_time(columns[6]);
    keep_nodes(record, columns[7]);
    keep(record->name, sizeof(record->name), columns[8]);
    return true;
}

const char *account_field_name(enum account_field field)
{
    static const char *const names[ACCOUNT_FIELDS] = {"JobID",    "JobIDRaw", "State",    "ExitCode", "Submit",
                                                      "Start",    "End",      "NodeList", "ReqMem",   "MaxRSS",
                                                      "TotalCPU", "Reason",   "JobName"};
    return field < ACCOUNT_FIELDS ? names[field] : "";
}

static bool read_account_field(enum account_field field, struct span column, struct record *record)
{
    bool ignored = false;
    switch (field) {
    case ACCOUNT_JOB_ID:
        return read_job_id(column, record);
    case ACCOUNT_RAW_ID: {
        size_t used = 0;
        read_digits(column, &record->raw, &used);
        return true;
    }
    case ACCOUNT_STATE:
        record->state = state_read(column.at, column.length, &record->by);
        return true;
    case ACCOUNT_EXIT:
        read_exit(column, record);
        return true;
    case ACCOUNT_SUBMIT:
        record->submitted_s = read_time(column);
        return true;
    case ACCOUNT_START:
        record->started_s = read_time(column);
        return true;
    case ACCOUNT_END:
        record->ended_s = read_time(column);
        return true;
    case ACCOUNT_NODES:
        keep_nodes(record, column);
        return true;
    case ACCOUNT_REQUESTED_MEMORY:
        record->requested_memory = read_memory(column, &record->memory_is_per_cpu);
        return true;
    case ACCOUNT_PEAK_MEMORY:
        record->peak_memory = read_memory(column, &ignored);
        return true;
    case ACCOUNT_CPU:
        record->cpu_ms = read_cpu_ms(column);
        return true;
    case ACCOUNT_REASON:
        keep_reason(record, column);
        return true;
    case ACCOUNT_NAME:
        keep(record->name, sizeof(record->name), column);
        return true;
    case ACCOUNT_FIELDS:
        break;
    }
    return false;
}

bool record_read_account(const char *line, size_t length, unsigned fields, struct record *record)
{
    struct span rest = {line, length}, column;
    *record = (struct record){.by = -1, .index = RECORD_NO_INDEX};
    for (enum account_field field = 0; field < ACCOUNT_FIELDS; field++) {
        bool last = fields >> field == 1;
        if ((fields >> field & 1) == 0) {
            continue;
        }
        if (!next_column(&rest, last, &column) || !read_account_field(field, column, record)) {
            return false;
        }
    }
    return record->array > 0;
}

/* "Key=value Key=value": values of the keys asked for hold no space. */
static bool find_value(struct span line, const char *key, struct span *value)
{
    size_t key_length = strlen(key);
    for (size_t i = 0; i + key_length < line.length; i++) {
        bool begins = i == 0 || line.at[i - 1] == ' ';
        if (begins && memcmp(line.at + i, key, key_length) == 0 && line.at[i + key_length] == '=') {
            const char *start = line.at + i + key_length + 1;
            size_t left = line.length - (i + key_length + 1);
            const char *end = memchr(start, ' ', left);
            *value = (struct span){start, end != NULL ? (size_t)(end - start) : left};
            return true;
        }
    }
    *value = (struct span){"", 0};
    return false;
}

bool record_read_control(const char *line, size_t length, struct record *record)
{
    struct span all = {line, length}, value;
    *record = (struct record){.by = -1, .index = RECORD_NO_INDEX};
    if (!find_value(all, "JobId", &value) || !read_number(value, &record->raw)) {
        return false;
    }
    record->array = record->raw;
    if (find_value(all, "ArrayJobId", &value) && !read_number(value, &record->array)) {
        return false;
    }
    if (find_value(all, "ArrayTaskId", &value) && !read_index(value, record)) {
        return false;
    }
    if (!find_value(all, "JobState", &value)) {
        return false;
    }
    record->state = state_read(value.at, value.length, &record->by);
    find_value(all, "Reason", &value);
    keep_reason(record, value);
    find_value(all, "ExitCode", &value);
    read_exit(value, record);
    find_value(all, "SubmitTime", &value);
    record->submitted_s = read_time(value);
    find_value(all, "StartTime", &value);
    record->started_s = read_time(value);
    find_value(all, "EndTime", &value);
    record->ended_s = read_time(value);
    find_value(all, "NodeList", &value);
    keep_nodes(record, value);
    find_value(all, "JobName", &value);
    keep(record->name, sizeof(record->name), value);
    if (find_value(all, "Restarts", &value)) {
        read_number(value, &record->restarts);
    }
    if (find_value(all, "MinMemoryNode", &value)) {
        record->requested_memory = read_memory(value, &record->memory_is_per_cpu);
    } else if (find_value(all, "MinMemoryCPU", &value)) {
        record->requested_memory = read_memory(value, &record->memory_is_per_cpu);
        record->memory_is_per_cpu = true;
    }
    return true;
}

bool record_covers(const struct record *record, int64_t index)
{
    struct span rest = {record->ranges, strlen(record->ranges)};
    while (rest.length > 0 && index >= 0) {
        uint64_t first = 0, last = 0, step = 1;
        size_t used = 0;
        if (!read_digits(rest, &first, &used)) {
            return rest.at[0] == '.'; /* "1,3,5...": SLURM's own cut; whether it is in the rest is not known */
        }
        rest = (struct span){rest.at + used, rest.length - used};
        last = first;
        if (rest.length > 0 && rest.at[0] == '-' &&
            read_digits((struct span){rest.at + 1, rest.length - 1}, &last, &used)) {
            rest = (struct span){rest.at + used + 1, rest.length - used - 1};
        }
        if (rest.length > 0 && rest.at[0] == ':' &&
            read_digits((struct span){rest.at + 1, rest.length - 1}, &step, &used)) {
            rest = (struct span){rest.at + used + 1, rest.length - used - 1};
        }
        uint64_t wanted = (uint64_t)index;
        if (wanted >= first && wanted <= last && step > 0 && (wanted - first) % step == 0) {
            return true;
        }
        if (rest.length == 0 || rest.at[0] == '%') {
            return false;
        }
        if (rest.at[0] == ',') {
            rest = (struct span){rest.at + 1, rest.length - 1};
        } else if (rest.at[0] != '.') {
            return false;
        }
    }
    return false;
}
