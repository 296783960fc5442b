/* SPDX-License-Identifier: BSD-3-Clause */
/* The changes that a scheduler of this machine reports, and the option that all of them have. */
#include "this-machine/observer.h"

const struct descpipe_option grace_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "grace",
    .default_value = "10s",
    .help = "What a cancelled stage gets from SIGTERM to SIGKILL.",
    .minimum = 0,
    .maximum = 3600000,
};

static void cancelled(void *context)
{
    struct observer *observer = context;
    struct descpipe_call *call = observer->call;
    observer->call = NULL;
    observer->sink = NULL;
    observer->host->call->succeed(call);
}

bool observer_open(struct observer *observer, struct descpipe_call *call, struct descpipe_sink *sink)
{
    const struct descpipe_call_service *calls = observer->host->call;
    if (observer->call != NULL) {
        calls->fail(call, DESCPIPE_FAILED_REFUSED, "the jobs are being observed already", NULL);
        return false;
    }
    observer->call = call;
    observer->sink = sink;
    calls->on_cancel(call, cancelled, observer);
    return true;
}

void observer_tell_waiting(const struct observer *observer, const struct queued_job *job, const char *reason)
{
    if (observer->sink == NULL) {
        return;
    }
    const struct descpipe_change change = {
        .size = sizeof(change),
        .state = DESCPIPE_JOB_QUEUED,
        .job = job->job,
        .attempt = job->attempt,
        .reason = reason,
    };
    observer->host->observe->changed(observer->sink, &change);
}

void observer_tell_not_started(const struct observer *observer, const struct queued_job *job, uint32_t flags,
                               const char *reason)
{
    if (observer->sink == NULL) {
        return;
    }
    const struct descpipe_ending ending = {
        .size = sizeof(ending),
        .flags = flags | DESCPIPE_ENDED_NOT_STARTED,
        .witness = observer->witness,
        .reason = reason,
    };
    const struct descpipe_change change = {
        .size = sizeof(change),
        .state = DESCPIPE_JOB_ENDED,
        .job = job->job,
        .attempt = job->attempt,
        .reason = reason,
        .ending = &ending,
    };
    observer->host->observe->changed(observer->sink, &change);
}
