/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the first records and the last line of a journal. */
#include "report/run_summary.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "report/run_reader.h"
#include "run/elsewhere/job_script.h"
#include "run/journal/journal.h"
#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

enum { FIRST_RECORDS = 10, END_BYTES = 65536 };

void run_summary_clear(struct run_summary *summary)
{
    memory_free(summary->run);
    memory_free(summary->name);
    memory_free(summary->pipeline);
    memory_free(summary->user);
    memory_free(summary->host);
    memory_free(summary->state);
    *summary = (struct run_summary){0};
}

static char *member_text(const json_t *record, const char *member)
{
    return memory_copy_text(json_string_value(json_object_get(record, member)));
}

/* The `run` record stands at the beginning, behind the writer's. */
static bool read_first(const char *run_folder, struct run_summary *summary, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return false;
    struct journal_record record;
    for (int i = 0; i < FIRST_RECORDS && journal_reader_next(reader, &record); i++) {
        if (summary->started_at_ms == 0)
            summary->started_at_ms = record.at_ms;
        if (strcmp(record.kind, "run") != 0)
            continue;
        json_t *json = json_loadb(record.line, record.length, 0, NULL);
        if (json == NULL)
            continue;
        summary->run = member_text(json, "run");
        summary->name = member_text(json, "name");
        summary->pipeline = member_text(json, "pipeline");
        summary->user = member_text(json, "user");
        summary->host = member_text(json, "host");
        json_int_t tasks = json_integer_value(json_object_get(json, "tasks"));
        summary->tasks = tasks > 0 && tasks < UINT32_MAX ? (uint32_t)tasks : 0;
        json_decref(json);
        break;
    }
    return true;
}

static void read_last_job(const char *run_folder, const struct job_outcome *last, struct run_summary *summary)
{
    cleanup(memory_free) char *cancel = path_join(run_folder, RUN_CANCEL_FILE);
    summary->state = memory_copy_text(last->done ? "succeeded" : file_exists(cancel) ? "cancelled" : "failed");
    summary->finished_at_ms = last->finished_at_ms;
}

/* The last line, when it is an `end` record, or one that says where the end is to be found. */
static void read_end(const char *run_folder, struct run_summary *summary)
{
    cleanup(memory_free) char *path = path_join(run_folder, JOURNAL_FILE);
    struct stat status;
    cleanup(descriptor_close) int descriptor = file_open(path, &status, NULL);
    if (descriptor < 0)
        return;
    cleanup(memory_free) char *bytes = memory_allocate(END_BYTES + 1);
    off_t at = status.st_size > END_BYTES ? status.st_size - END_BYTES : 0;
    ssize_t got;
    do
        got = pread(descriptor, bytes, END_BYTES, at);
    while (got < 0 && errno == EINTR);
    size_t length = got > 0 ? (size_t)got : 0;
    while (length > 0 && bytes[length - 1] == '\n')
        length--;
    const char *newline = length > 0 ? memrchr(bytes, '\n', length) : NULL;
    size_t start = newline != NULL ? (size_t)(newline + 1 - bytes) : 0;
    json_t *json = json_loadb(bytes + start, length - start, 0, NULL);
    if (json != NULL && text_equal(json_string_value(json_object_get(json, "kind")), "end")) {
        summary->state = member_text(json, "state");
        summary->finished_at_ms = json_integer_value(json_object_get(json, "at"));
    }
    const char *kind = json_string_value(json_object_get(json, "kind"));
    struct job_outcome last; /* of a run that was handed over */
    if (text_equal(kind, "detached") &&
        run_reader_last_job(run_folder, (uint64_t)json_integer_value(json_object_get(json, "submission")), &last))
        read_last_job(run_folder, &last, summary);
    json_decref(json);
}

bool run_summary_read(const char *run_folder, struct run_summary *summary, struct error *error)
{
    *summary = (struct run_summary){0};
    if (!read_first(run_folder, summary, error))
        return false;
    read_end(run_folder, summary);
    if (summary->state != NULL)
        return true;
    enum lease_state state;
    struct lease_holder holder;
    bool gone = lease_look(run_folder, &state, &holder, NULL) && state != LEASE_HELD && state != LEASE_RUN;
    summary->state = memory_copy_text(gone ? "stopped" : "running");
    return true;
}
