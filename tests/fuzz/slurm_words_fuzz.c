/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever SLURM's commands, or a site's wrappers of them, print is read without harm. links: slurm-parts
 * The first byte chooses the reader, the rest is its input. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parts/answer.h"
#include "parts/ending.h"
#include "parts/limits.h"
#include "parts/log.h"
#include "parts/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
    if (!truth) {
        abort();
    }
}

static void ends_within(const char *text, size_t size)
{
    require(memchr(text, '\0', size) != NULL);
}

/* A success needs the word for it; nothing else becomes one. */
static void judge(const struct record *record)
{
    struct evidence evidence = {.job = record, .user = 1000};
    struct verdict verdict = {0};
    ends_within(record->nodes, sizeof(record->nodes));
    ends_within(record->reason, sizeof(record->reason));
    ends_within(record->name, sizeof(record->name));
    ends_within(record->ranges, sizeof(record->ranges));
    for (int64_t index = -1; index < 20; index++) {
        record_covers(record, index);
    }
    if (ending_judge(&evidence, &verdict)) {
        ends_within(verdict.reason, sizeof(verdict.reason));
        require(verdict.flags != 0);
        int succeeded = verdict.flags == DESCPIPE_ENDED_EXITED && verdict.exit_code == 0;
        require(!succeeded || record->state == STATE_COMPLETED);
    }
}

static void read_text(uint8_t reader, const char *text, size_t length)
{
    struct answer answer;
    struct limits limits = {0};
    uint64_t number = 0;
    int64_t index = 0;
    char small[24];
    switch (reader % 6) {
    case 0:
        answer_read(text, &answer);
        ends_within(answer.message, sizeof(answer.message));
        answer_asks_for_patience(text);
        answer_names_field(text, "Reason");
        break;
    case 1:
        if (answer_read_job(text, &number, small, sizeof(small))) {
            require(number > 0);
            ends_within(small, sizeof(small));
        }
        break;
    case 2:
        limits_read_config(&limits, text, length);
        require(limits_read_partition(&limits, text, length));
        require(policy_read_association(&limits.policy, text, length));
        require(policy_read_quality(&limits.policy, text, length));
        limits_clear(&limits);
        break;
    case 3:
        limits_read_minutes(text, length, &number);
        break;
    case 4:
        log_read(text, length, 7, small, sizeof(small));
        ends_within(small, sizeof(small));
        break;
    default:
        record_read_id(text, &number, &index);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record;
    if (size == 0) {
        return 0;
    }
    char *text = malloc(size); /* exactly as long as it is, so that a step too far is seen */
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    size_t length = size - 1;
    switch (data[0] % 4) {
    case 0:
        if (record_read_queue(text, length, &record)) {
            judge(&record);
        }
        break;
    case 1:
        if (record_read_account(text, length, ACCOUNT_ALL, &record)) {
            judge(&record);
        }
        break;
    case 2:
        if (record_read_control(text, length, &record)) {
            judge(&record);
        }
        break;
    default:
        read_text(data[0] / 4, text, length);
    }
    free(text);
    return 0;
}
