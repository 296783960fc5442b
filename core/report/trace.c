/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run as a table of tasks.
 *
 * The first fourteen columns are those of Nextflow's trace file, in its order and with its units, as tools for it
 * expect them; the others have the names that it gives them when they are asked for.
 */
#include "base/clock.h"
#include "report/decided.h"
#include "report/run_records.h"

static const char columns[] =
    "task_id\thash\tnative_id\tname\tstatus\texit\tsubmit\tduration\trealtime\t%cpu\tpeak_rss\t"
    "peak_vmem\trchar\twchar\tprocess\ttag\tattempt\tstart\tcomplete\thostname\n";

enum { MS_PER_SECOND = 1000, MS_PER_MINUTE = 60000, MS_PER_HOUR = 3600000, MS_PER_DAY = 86400000, FIELD_LIMIT = 1000 };

static void tab(struct text *out)
{
    text_append_character(out, '\t');
}

static void append_text(const char *text, struct text *out)
{
    tab(out);
    if (text == NULL || text[0] == '\0')
        text_append_character(out, '-');
    else
        text_append_printable(out, text, FIELD_LIMIT);
}

static void append_number(bool known, int64_t number, struct text *out)
{
    tab(out);
    if (known)
        text_append_signed(out, number);
    else
        text_append_character(out, '-');
}

/* "2026-11-28 13:11:47.123", in UTC. */
static void append_time(int64_t wall_ms, struct text *out)
{
    enum { DATE_LENGTH = 10 };
    tab(out);
    if (wall_ms <= 0) {
        text_append_character(out, '-');
        return;
    }
    cleanup(text_clear) struct text stamp = TEXT_INIT;
    clock_append_stamp(&stamp, wall_ms);
    text_append_bytes(out, stamp.bytes, DATE_LENGTH);
    text_append_character(out, ' ');
    text_append_bytes(out, stamp.bytes + DATE_LENGTH + 1, stamp.length - DATE_LENGTH - 2); /* without T and Z */
}

/* "450ms", "12.3s", "4m 5s", "2h 10m 3s", "1d 2h". */
static void append_length(int64_t ms, struct text *out)
{
    long long days = ms / MS_PER_DAY, hours = ms / MS_PER_HOUR % 24, minutes = ms / MS_PER_MINUTE % 60;
    long long seconds = ms / MS_PER_SECOND % 60;
    tab(out);
    if (ms < 0)
        text_append_character(out, '-');
    else if (ms < MS_PER_SECOND)
        text_format(out, "%lldms", (long long)ms);
    else if (ms < MS_PER_MINUTE)
        text_format(out, "%lld.%llds", seconds, (long long)(ms % MS_PER_SECOND / 100));
    else if (days > 0)
        text_format(out, "%lldd %lldh %lldm %llds", days, hours, minutes, seconds);
    else if (hours > 0)
        text_format(out, "%lldh %lldm %llds", hours, minutes, seconds);
    else
        text_format(out, "%lldm %llds", minutes, seconds);
}

static void append_bytes(uint64_t bytes, struct text *out)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double amount = (double)bytes;
    size_t unit = 0;
    for (; amount >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        amount /= 1024;
    tab(out);
    if (bytes == 0)
        text_append_character(out, '-');
    else
        text_format(out, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
}

static const char *status_word(enum task_state state)
{
    switch (state) {
    case TASK_SUCCEEDED:
        return "COMPLETED";
    case TASK_CACHED:
        return "CACHED";
    case TASK_FAILED:
    case TASK_LOST:
        return "FAILED";
    case TASK_CANCELLED:
    case TASK_SKIPPED:
        return "ABORTED";
    case TASK_RUNNING:
        return "RUNNING";
    default:
        return "SUBMITTED";
    }
}

static void append_hash(const struct decided *decided, const char *stage, const char *member, struct text *out)
{
    char key[DECIDED_BEGINNING];
    tab(out);
    if (decided_key_beginning(decided, stage, member, key)) {
        text_append_bytes(out, key, 2);
        text_append_character(out, '/');
        text_append_bytes(out, key + 2, DECIDED_BEGINNING - 3);
    } else {
        text_append_character(out, '-');
    }
}

static void append_cpu(const struct task_view *task, int64_t wall_ms, struct text *out)
{
    tab(out);
    if (task->cpu_ms > 0 && wall_ms > 0)
        text_format(out, "%.1f%%", 100.0 * (double)task->cpu_ms / (double)wall_ms);
    else
        text_append_character(out, '-');
}

static void append_task(const struct run_view *view, uint32_t number, const struct decided *decided, struct text *out)
{
    const struct task_view *task = &view->tasks.items[number];
    const char *stage = run_view_text(view, task->stage);
    const char *member = task->member != 0 ? run_view_text(view, task->member) : NULL;
    int64_t wall_ms = task_view_wall_ms(task, task->finished_at_ms);
    int64_t submitted = task->submitted_at_ms > 0 ? task->submitted_at_ms : task->started_at_ms;
    bool whole = submitted > 0 && task->finished_at_ms >= submitted;
    cleanup(text_clear) struct text name = TEXT_INIT;
    text_append(&name, stage);
    if (member != NULL)
        text_format(&name, " (%s)", member);
    text_append_unsigned(out, number + 1);
    append_hash(decided, stage, member, out);
    append_text(run_view_text(view, task->native), out);
    append_text(text_bytes(&name), out);
    append_text(status_word((enum task_state)task->state), out);
    append_number(task->exit_code >= 0, task->exit_code, out);
    append_time(submitted, out);
    append_length(whole ? task->finished_at_ms - submitted : -1, out);
    append_length(wall_ms, out);
    append_cpu(task, wall_ms, out);
    append_bytes(task->peak_memory, out);
    text_append(out, "\t-\t-\t-"); /* nobody here measures these */
    append_text(stage, out);
    append_text(member, out);
    append_number(task->attempt > 0, task->attempt, out);
    append_time(task->started_at_ms, out);
    append_time(task->finished_at_ms, out);
    append_text(run_view_text(view, task->host), out);
    text_append_character(out, '\n');
}

bool trace_next(void *context, struct text *piece)
{
    struct records_writing *writing = context;
    const struct run_records *records = writing->records;
    if (!writing->begun)
        text_append(piece, columns);
    writing->begun = true;
    for (; writing->task < records->view->tasks.count && piece->length < RECORDS_PIECE; writing->task++)
        append_task(records->view, writing->task, records->decided, piece);
    return piece->length > 0;
}
