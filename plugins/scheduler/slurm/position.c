/* SPDX-License-Identifier: BSD-3-Clause */
/* A job's place in the queue; position.h. */
#include "position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm.h"

enum { RHYTHM_MS = 60000, QUESTION_COST = 2, QUESTION_LIMIT_MS = 60000 };

/* "123|debug": by priority, an array once. False at the end. */
static bool next_row(const char **line, uint64_t *array, const char **partition, size_t *length)
{
    while (**line != '\0') {
        const char *row = *line;
        size_t whole = strcspn(row, "\n");
        char *end;
        *line = row + whole + (row[whole] == '\n');
        *array = strtoull(row, &end, 10);
        if (end != row && *end == '|') {
            *partition = end + 1;
            *length = whole - (size_t)(end + 1 - row);
            return true;
        }
    }
    return false;
}

/* False: it does not wait any more. */
static bool find_place(const char *rows, uint64_t array, struct batch *batch)
{
    const char *line = rows, *partition = NULL, *ours = NULL;
    size_t length = 0, our_length = 0;
    uint64_t row = 0, place = 0, count = 0;
    while (ours == NULL && next_row(&line, &row, &partition, &length)) {
        if (row == array) {
            ours = partition;
            our_length = length;
        }
    }
    if (ours == NULL || our_length >= sizeof(batch->partition)) {
        return false;
    }
    line = rows;
    while (next_row(&line, &row, &partition, &length)) {
        if (length != our_length || memcmp(partition, ours, length) != 0) {
            continue;
        }
        count++;
        place = row == array && place == 0 ? count : place;
    }
    batch->position = place;
    batch->of = count;
    snprintf(batch->partition, sizeof(batch->partition), "%.*s", (int)our_length, ours);
    return true;
}

static void answered(void *context, const struct tool_answer *answer)
{
    struct slurm *self = context;
    struct position *position = &self->watch.position;
    struct watched *watched = jobs_find(&self->jobs, position->job);
    position->tool = NULL;
    if (watched == NULL || !tool_went_well(answer)) {
        return;
    }
    uint64_t before = watched->batch->position;
    if (find_place(buffer_text(&answer->output), watched->array, watched->batch) &&
        watched->batch->position != before) {
        watch_found_position(self, watched);
    }
}

void position_ask(struct slurm *self, struct watched *watched)
{
    struct position *position = &self->watch.position;
    int64_t now = slurm_now_ms();
    if (position->tool != NULL || !self->limits_known || self->limits.has_rate || self->limits.hides_jobs ||
        (position->asked_ms != 0 && now - position->asked_ms < RHYTHM_MS)) {
        return;
    }
    struct tool_request request = {.kind = TOOL_QUESTION,
                                   .cost = QUESTION_COST,
                                   .timeout_ms = QUESTION_LIMIT_MS,
                                   .done = answered,
                                   .context = self};
    arguments_add(&request.arguments, "squeue");
    arguments_add(&request.arguments, "--noheader");
    arguments_add(&request.arguments, "--states=PENDING");
    arguments_add(&request.arguments, "--sort=-p,i");
    if (watched->cluster[0] != '\0') {
        arguments_format(&request.arguments, "--clusters=%s", watched->cluster);
    }
    arguments_add(&request.arguments, "--format=%F|%P");
    position->asked_ms = now;
    position->job = watched->job;
    position->tool = tool_start(&self->tools, &request);
}

void position_stop(struct slurm *self)
{
    tool_stop(self->watch.position.tool);
}
