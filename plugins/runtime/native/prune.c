/* SPDX-License-Identifier: BSD-3-Clause */
/* `prune` of the runtime: the store's own (store/prune.h), as a call. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "registry/failure.h"

#include "native.h"
#include "store/prune.h"

struct prune_job {
    struct native *native;
    struct descpipe_call *call;
    struct prune_wish wish;
    atomic_bool stop;
    bool busy;
    struct prune_result result;
    struct failure failure;
};

static void work_on_prune(void *context)
{
    struct prune_job *job = context;
    struct store *store = store_open(job->native->store, &job->failure);
    if (store != NULL && !prune_store(store, &job->wish, &job->result, &job->busy, &job->failure) && job->busy) {
        failure_set(&job->failure, DESCPIPE_FAILED_LATER, "images are being fetched or unpacked in '%s'",
                    job->native->store);
        failure_hint(&job->failure, "try again when that is done");
    }
    store_close(store);
}

static void on_pruned(void *context)
{
    struct prune_job *job = context;
    const struct descpipe_host *host = job->native->host;
    char freed[32];
    if (job->failure.kind != 0)
        failure_finish(&job->failure, host, job->call);
    else {
        for (size_t i = 0; i < job->result.count; i++)
            host->answer->text(job->call, job->result.lines[i]);
        snprintf(freed, sizeof freed, "%" PRIu64, job->result.freed);
        host->answer->fact(job->call, "freed", freed);
        host->call->succeed(job->call);
    }
    prune_result_clear(&job->result);
    failure_clear(&job->failure);
    free(job);
}

static void stop_job(void *context)
{
    struct prune_job *job = context;
    atomic_store(&job->stop, true);
}

void native_prune(void *self, struct descpipe_call *call, const struct descpipe_prune *prune)
{
    struct native *native = self;
    struct timespec now;
    if (!native_has_store(native, call))
        return;
    struct prune_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        native->host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    job->native = native;
    job->call = call;
    job->wish = (struct prune_wish){.unused_ms = prune->unused_ms,
                                    .keep_bytes = prune->keep_bytes,
                                    .only_say = (prune->flags & DESCPIPE_PRUNE_ONLY_SAY) != 0,
                                    .now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                                    .stop = &job->stop};
    native->host->call->on_cancel(call, stop_job, job);
    native->host->work->run(native->host, work_on_prune, on_pruned, job);
}
