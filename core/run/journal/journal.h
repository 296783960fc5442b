/* SPDX-License-Identifier: BSD-3-Clause */
/* clang-format off */
/*
 * The truth about a run: journal.jsonl in the run folder, append-only, one writer, any number of readers.
 *
 * Each line is one JSON object. The first members are always, in this order:
 *     {"seq":N,"epoch":E,"at":WALL_MS,"kind":"...", ... ,"hash":"64 hex"}
 * `hash` is SHA-256 over the previous line's hash (64 hex digits; 64 zeros before the first) followed by this line's
 * bytes up to, not including, `,"hash"`. `epoch` grows with each writer (lease). A torn tail, NULs or a line that does
 * not parse mean "read again"; the next writer starts on a new line, so a reader skips what is between and goes on with
 * the chain of the last good line (a record `writer` with the hash of the last good line starts each epoch).
 *
 * Kinds and their members (task = "STAGE" or "STAGE/MEMBER" as {"stage","member"}):
 *     writer     {previous, host, boot, pids, pid, version}
 *     keeper     {pid, start}                   who keeps what this writer starts; start time in clock ticks
 *     run        {run, pipeline, name, user, host, site?, working, output?, results?, backend, options,
 *                 plugins:[{kind,name,version,path,sha256}], tasks, keep_going}; results: where they will be, in words,
 *                when that is not the folder `output`
 *     image      {image, reference, config_digest?, manifest_digest?, handle?, failure?}
 *     fetch      {tag, url, done, total?, state?, reason?}      an input from a URL (without its query): done of total
 *                bytes, at most once a second; state: started, done, kept (it was there already), failed
 *     intent     {submission, first?, jobs:[{job, stage, member?, attempt, outcome?}]}      before the act; `first` is the
 *                position of the first job in the submission, `outcome` where a job elsewhere says how it ended
 *     submitted  {submission, job, native}      after it: the system's name for it; none where the host starts stages
 *     queued     {job, reason}                  what a scheduler says a job waits for; rare
 *     blind      {reason?}                      a scheduler or runtime cannot ask its system; without reason: it can again
 *     adopted    {job}                          begun under an earlier writer; this one follows it
 *     started    {job, pid?, session_start?, native?, host?, started_at?}    the pid is its session too; start time in clock ticks;
 *                host: where, when it is not the run's own machine
 *     ended      {job, exit? | signal?, evidence:[{witness, exit?, signal?, host?, reason?, ... true for each cause}],
 *                 started_at, finished_at}
 *     key        {stage, member?, key, refused?, like?, fields:[{name, value, path?}], without?:[name]}      what decides a
 *                task's results, before it runs (cache/identity.h); refused: why a result that is known was not taken;
 *                like: the sequence of an earlier record `key` without it, which has all fields that are not here
 *     source     {folder, commit, dirty}      a work tree of git that the pipeline or its stage folders lie in
 *     text       {sha256, content}      what a configuration or script of a key says, once; without what sounds secret
 *     publish    {job, files:[{tag, path, name, bytes, sha256?}]} before; published {job} after; both before the verdict
 *     verdict    {job, stage, member?, attempt, verdict, reason, cpu_ms, peak_memory,
 *                 retry?: {at, reason, memory?, time_limit_ms?}}
 *     used       {job, cpu_ms?, peak_memory?, witness}      of a job elsewhere whose scheduler said so after its verdict
 *     state      {stage, member?, state, reason?}      for tasks that end without a verdict: skipped, cancelled, cached
 *                (with key, made_by: the run, made_in: its attempt)
 *     request    {cancel: true | cancel_now: true | leave: true, by}      somebody asked; by PILOT_LEAVES…: time is up
 *     detached   {scheduler, submission, pilot?}        the run was handed over: nobody writes here until it is taken up again; its
 *                jobs leave outcomes in submissions/N, and `submission` is that of the last one, which ends the run; with
 *                pilot: of the only one, an allocation in which an engine takes the run up
 *     end        {state, verdicts:{VERDICT: n}, succeeded, failed, cancelled, skipped, cached}      the run is over; a run that
 *                its engine left or lost has no `end`, and its lease is free or its holder dead
 * Readers ignore members and kinds they do not know.
 */
/* clang-format on */
#ifndef DESCPIPE_RUN_JOURNAL_JOURNAL_H
#define DESCPIPE_RUN_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"

#define PILOT_LEAVES "its allocation "
#define JOURNAL_FILE "journal.jsonl"
#define JOURNAL_LINE_LIMIT (1024 * 1024) /* bytes of a line with its newline; longer ones are damage to a reader */

/* Writing. */
struct journal;
/* Continues what is there with a record `writer`. `version` is the program's. Refused when the journal has an epoch
 * that is not older. */
struct journal *journal_open(const char *run_folder, uint64_t epoch, const char *version, struct error *error);
void journal_close(struct journal *journal); /* flushes; what the disk does not take is lost */
DEFINE_CLEANUP(struct journal *, journal_close);
/* A record: journal_begin gives the text to append `,"name":value` members to; journal_end chains and buffers it. A
 * record over JOURNAL_LINE_LIMIT is replaced by one of the same kind with the single member "too_long": callers keep
 * batches below it. */
struct text *journal_begin(struct journal *journal, const char *kind);
void journal_end(struct journal *journal);
/* Hands the buffer to the kernel; with `sync` also to the disk. Failure (disk full) leaves the rest buffered: try
 * again. */
bool journal_flush(struct journal *journal, bool sync, struct error *error);
uint64_t journal_sequence(const struct journal *journal);
size_t journal_unflushed(const struct journal *journal); /* bytes that only this process has */
bool journal_unsynced(const struct journal *journal);    /* something was written since the last sync */

/* Reading, also while somebody writes. A line is good when it has the members above in their order and its hash
 * continues the chain of the last good line, or of the line just before it: one damaged line costs itself and no more
 * than the one after it. Damage at the end is read again on the next call, because it may be on its way; damage before
 * a good line is skipped for good. */
struct journal_place { /* of a line in the file */
    uint64_t at;
    uint32_t length;
};
struct journal_record {
    uint64_t sequence, epoch;
    int64_t at_ms;
    const char *kind;
    const char *line; /* the whole line, JSON, NUL-terminated; lives until the next call */
    size_t length;
    struct journal_place place;
};
struct journal_reader;
struct journal_reader *journal_reader_open(const char *run_folder, struct error *error);
/* Every line is written by this very process, or by one that it has started: their chain is not checked once more. */
void journal_reader_trust(struct journal_reader *reader);
void journal_reader_close(struct journal_reader *reader);
DEFINE_CLEANUP(struct journal_reader *, journal_reader_close);
/* The next good record, or false when there is none (yet): call again later. */
bool journal_reader_next(struct journal_reader *reader, struct journal_record *record);
/* A line that was given before, for who keeps places and no lines: NULL, with a warning, when the file cannot be read. */
const char *journal_reader_again(const struct journal_reader *reader, struct journal_place place, struct arena *arena);
size_t journal_reader_skipped(const struct journal_reader *reader); /* damaged lines so far */
/* Recomputes the chain; names the first line that differs. */
bool journal_verify(const char *run_folder, uint64_t *records, struct error *error);

#endif
