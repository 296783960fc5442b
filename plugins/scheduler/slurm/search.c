/* SPDX-License-Identifier: BSD-3-Clause */
/* How a job ended, as far as it can be said by now; search.h. */
#include "search.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parts/ending.h"
#include "parts/log.h"
#include "parts/script.h"
#include "slurm.h"

enum {
    FIRST_DELAY_MS = 500,
    RELEASED_PATIENCE_MS = 15000,
    RELEASED_GRID_MS = 1000,
    USAGE_QUESTIONS = 2,
    FAILED_LIMIT = 2, /* accounting that cannot be asked so often: the controller then, while it knows */
    LOG_LIMIT = 256 << 10
};

static void read_log(struct log_file *log, const struct batch *batch)
{
    char path[PATH_MAX], block[8192];
    struct stat status;
    if (log->batch == batch) {
        return;
    }
    buffer_clear(&log->text);
    log->batch = batch;
    int length = snprintf(path, sizeof(path), "%s/" SCRIPT_LOG_NAME, batch->folder);
    int descriptor = batch->folder[0] != '\0' && length > 0 && (size_t)length < sizeof(path)
                         ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
                         : -1;
    if (descriptor < 0) {
        return;
    }
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
        off_t place = status.st_size > LOG_LIMIT ? status.st_size - LOG_LIMIT : 0;
        ssize_t got;
        while (log->text.length < LOG_LIMIT && (got = pread(descriptor, block, sizeof(block), place)) > 0) {
            buffer_add(&log->text, block, (size_t)got);
            place += got;
        }
    }
    close(descriptor);
}

static void finish(struct slurm *self, struct watched *watched, const struct record *job, const char *witness,
                   struct log_file *log)
{
    const struct search *search = watched->search;
    char words[ENDING_REASON];
    struct evidence evidence = {.job = job,
                                .batch = search->batch.array != 0 ? &search->batch : NULL,
                                .peak_memory = search->peak_memory,
                                .memory_limit = watched->memory_limit,
                                .log_words = words,
                                .user = self->user};
    struct verdict verdict;
    if (job->state != STATE_COMPLETED) {
        read_log(log, watched->batch);
        evidence.log = log_read(buffer_text(&log->text), log->text.length, job->raw != 0 ? job->raw : search->last.raw,
                                words, sizeof(words));
    }
    if (!ending_judge(&evidence, &verdict)) {
        verdict = (struct verdict){.flags = DESCPIPE_ENDED_LOST};
        int64_t looked_ms = search->since_ms != 0 ? slurm_now_ms() - search->since_ms : 0;
        snprintf(verdict.reason, sizeof(verdict.reason),
                 "SLURM has forgotten it: neither squeue nor accounting nor the controller knows how it ended "
                 "(accounting was "
                 "given %" PRId64 " s, see accounting-patience of slurm)",
                 looked_ms / 1000);
    }
    if (search->restarts > watched->restarts) {
        watched->restarts = search->restarts;
    }
    struct descpipe_ending ending = {.size = sizeof(ending),
                                     .flags = verdict.flags,
                                     .exit_code = verdict.exit_code,
                                     .signal = verdict.signal,
                                     .started_at_ms = job->started_s * 1000,
                                     .finished_at_ms = job->ended_s * 1000,
                                     .peak_memory = search->peak_memory,
                                     .cpu_ms = search->cpu_ms,
                                     .witness = witness,
                                     .host = job->nodes[0] != '\0' ? job->nodes : NULL,
                                     .reason = verdict.reason[0] != '\0' ? verdict.reason : NULL};
    watch_ended(self, watched, &ending);
}

/* Does the record tell of the life that squeue saw last? A requeued job has several, and sacct lags. */
static bool is_of_last_life(const struct watched *watched, const struct record *job)
{
    int64_t seen = watched->phase == PHASE_RUNNING ? watched->last_start_s : 0;
    if (watched->search->last.state != STATE_OTHER && watched->search->last.started_s > seen) {
        seen = watched->search->last.started_s;
    }
    return seen == 0 || job->started_s == 0 || job->started_s + 1 >= seen;
}

/* States that need no exit code, no memory and nobody's name to be understood. */
static bool says_it_all(enum state state)
{
    return state == STATE_COMPLETED || state == STATE_TIMEOUT || state == STATE_NODE_FAIL || state == STATE_PREEMPTED ||
           state == STATE_BOOT_FAIL || state == STATE_DEADLINE;
}

static void ask_again(struct slurm *self, struct watched *watched, unsigned times)
{
    struct accounts *accounts = &self->watch.accounts;
    int64_t delay = FIRST_DELAY_MS, now = slurm_now_ms();
    for (unsigned i = 1; i < times && delay < SEARCH_LONGEST_DELAY_MS; i++) {
        delay *= 2;
    }
    watched->search->at_ms = now + (delay < SEARCH_LONGEST_DELAY_MS ? delay : SEARCH_LONGEST_DELAY_MS);
    if (watched->batch->released) { /* all at the same moments */
        watched->search->at_ms = (now / RELEASED_GRID_MS + 1) * RELEASED_GRID_MS;
    }
    accounts->usage_since_ms = accounts->usage_since_ms != 0 ? accounts->usage_since_ms : now;
}

void search_decide(struct slurm *self, struct watched *watched, struct log_file *log)
{
    struct accounts *accounts = &self->watch.accounts;
    struct search *search = watched->search;
    int64_t now = slurm_now_ms();
    int64_t patience = watched->batch->released ? RELEASED_PATIENCE_MS
                                                : self->host->config->integer(self->settings, "accounting-patience");
    if (search->found && state_phase(search->job.state) == PHASE_ENDED && is_of_last_life(watched, &search->job)) {
        finish(self, watched, &search->job, accounts->asks_controller ? "scontrol" : "sacct", log);
        return;
    }
    /* Of a success only accounting knows what it used. */
    bool wants_usage =
        search->last.state == STATE_COMPLETED && accounts->state == ACCOUNTING_ON && search->asked < USAGE_QUESTIONS;
    if (says_it_all(search->last.state) && !wants_usage && !watched->batch->released) {
        finish(self, watched, &search->last, "squeue", log);
        return;
    }
    if (accounts->asks_controller) {
        search->controller_asked = true;
        search->controller_turn = false;
    } else {
        search->asked++;
        search->since_ms = search->since_ms != 0 ? search->since_ms : now;
    }
    bool accounting_had_its_time =
        accounts->state == ACCOUNTING_OFF || (search->since_ms != 0 && now - search->since_ms >= patience);
    if (!accounting_had_its_time) {
        ask_again(self, watched, search->asked);
    } else if (!search->controller_asked && !watched->batch->released) {
        search->controller_turn = true;
        search->at_ms = now;
    } else {
        finish(self, watched, &search->last, search->last.state != STATE_OTHER ? "squeue" : "squeue, sacct, scontrol",
               log);
    }
}

void search_unanswered(struct slurm *self, struct watched *watched, struct log_file *log)
{
    struct search *search = watched->search;
    search->failed++;
    if (says_it_all(search->last.state)) {
        finish(self, watched, &search->last, "squeue", log);
        return;
    }
    if (!self->watch.accounts.asks_controller && search->failed >= FAILED_LIMIT && search->last.state != STATE_OTHER &&
        !search->controller_asked) {
        search->controller_turn = true;
    }
    ask_again(self, watched, search->failed + 1);
}
