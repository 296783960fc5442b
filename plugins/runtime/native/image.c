/* SPDX-License-Identifier: BSD-3-Clause */
/* What an image is and how it gets here: `identify` and `prepare`. */
#include "native.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "registry/failure.h"
#include "registry/ownership.h"

#include "pull.h"
#include "store/store.h"

/* A folder is used as it is. Anybody may change it, so it has no digest. */
static bool find_folder(const struct descpipe_image *image, char **folder, struct failure *failure)
{
    struct stat status;
    cleanup(memory_free) char *real = image->path != NULL ? realpath(image->path, NULL) : NULL;
    if (real == NULL || stat(real, &status) != 0) {
        int number = image->path != NULL ? errno : ENOENT;
        errno = number;
        failure_system(failure, "image '%s'", image->reference);
        if (number == ENOENT)
            failure->kind = DESCPIPE_FAILED_NOT_FOUND;
        return false;
    }
    if (!S_ISDIR(status.st_mode)) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "image '%s' is not a folder", image->reference);
        return failure_hint(failure, "name an archive as docker-archive:FILE or oci-archive:FILE");
    }
    *folder = steal(&real);
    return true;
}

static void answer_folder(struct native *native, struct descpipe_call *call, const struct descpipe_image *image)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(memory_free) char *folder = NULL;
    if (!find_folder(image, &folder, &failure)) {
        failure_finish(&failure, native->host, call);
        return;
    }
    struct descpipe_image_identity identity = {
        .size = sizeof identity, .present = 1, .media_type = "rootfs", .handle = folder};
    native->host->answer->identity(call, &identity);
    native->host->call->succeed(call);
}

static void refuse_source(struct native *native, struct descpipe_call *call, const struct descpipe_image *image)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    failure_set(&failure, DESCPIPE_FAILED_UNSUPPORTED, "runtime 'native' cannot use image '%s'", image->reference);
    failure_hint(&failure,
                 "it takes images of registries, rootfs:FOLDER, oci:FOLDER, oci-archive:FILE and docker-archive:FILE");
    failure_finish(&failure, native->host, call);
}

#define BUSY_RETRY_MS 200

/* One `identify` or `prepare` of an image that is kept in the store: reading and unpacking happen on a helper thread,
 * which touches only this. While somebody else unpacks the same, a timer asks again. */
struct image_job {
    struct native *native;
    struct descpipe_call *call;
    const struct descpipe_image *image; /* lives until the call is finished */
    bool unpack;
    atomic_bool stop;
    struct store *store; /* NULL before the first try */
    struct source *source;
    struct description description;
    bool described;
    bool busy;
    char *root; /* NULL: not unpacked */
    struct failure failure;
};

static bool describe_image(struct image_job *job, const struct budget *budget)
{
    if (job->described)
        return true;
    job->store = store_open(job->native->store, &job->failure);
    job->source =
        job->store == NULL ? NULL : source_open(job->image->path, store_temporary(job->store), budget, &job->failure);
    job->described = job->source != NULL && description_read(&job->description, job->source, job->image, &job->failure);
    return job->described;
}

static void find_or_make(struct image_job *job, const struct budget *budget)
{
    if (!job->unpack)
        job->root = store_find_image(job->store, job->description.config_digest, &job->failure);
    else if (store_enter(job->store, &job->busy, &job->failure))
        job->root = store_make_image(job->store, job->source, &job->description, budget, &job->busy, &job->failure);
}

static void work_on_image(void *context)
{
    struct image_job *job = context;
    const struct budget budget = {.entries = BUDGET_ENTRIES,
                                  .bytes = job->native->layer_bytes,
                                  .free_bytes = BUDGET_FREE_BYTES,
                                  .stop = &job->stop};
    if (atomic_load(&job->stop))
        failure_set(&job->failure, DESCPIPE_FAILED_CANCELLED, "preparing '%s' was cancelled", job->image->reference);
    else if (describe_image(job, &budget))
        find_or_make(job, &budget);
}

static void job_free(struct image_job *job)
{
    failure_clear(&job->failure);
    if (job->described)
        description_clear(&job->description);
    source_close(job->source);
    store_close(job->store);
    free(job->root);
    free(job);
}

static void answer_image(void *context);

static void try_again(void *context)
{
    struct image_job *job = context;
    const struct descpipe_host *host = job->native->host;
    job->busy = false;
    host->work->run(host, work_on_image, answer_image, job);
}

static void answer_image(void *context)
{
    struct image_job *job = context;
    const struct descpipe_host *host = job->native->host;
    if (job->busy) {
        host->call->progress(job->call, 0, 0, "another process is unpacking it");
        host->timer->start(host, BUSY_RETRY_MS, try_again, job);
        return;
    }
    if (job->failure.kind != 0)
        failure_finish(&job->failure, host, job->call);
    else {
        struct descpipe_image_identity identity = {.size = sizeof identity,
                                                   .present = job->root != NULL,
                                                   .config_digest = job->description.config_digest,
                                                   .manifest_digest = job->description.manifest_digest,
                                                   .media_type = job->description.media_type,
                                                   .platform = job->description.platform,
                                                   .handle = job->root,
                                                   .stored_bytes = job->description.stored_bytes,
                                                   .created_at_ms = job->description.created_at_ms};
        if (job->unpack && job->root != NULL)
            native_hold(job->native, job->store, job->description.config_digest);
        host->answer->identity(job->call, &identity);
        host->call->succeed(job->call);
    }
    job_free(job);
}

static void stop_job(void *context)
{
    struct image_job *job = context;
    atomic_store(&job->stop, true);
}

static void start_job(struct native *native, struct descpipe_call *call, const struct descpipe_image *image,
                      bool unpack)
{
    const struct descpipe_host *host = native->host;
    if (image->path == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_REFUSED, "the image is named without a path", NULL);
        return;
    }
    struct image_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    job->native = native;
    job->call = call;
    job->image = image;
    job->unpack = unpack;
    host->call->on_cancel(call, stop_job, job);
    host->work->run(host, work_on_image, answer_image, job);
}

static void take_image(struct native *native, struct descpipe_call *call, const struct descpipe_image *image,
                       bool unpack)
{
    if (!native_has_store(native, call))
        return;
    switch (image->source) {
    case DESCPIPE_SOURCE_ROOTFS:
        answer_folder(native, call, image);
        return;
    case DESCPIPE_SOURCE_REGISTRY:
        pull_image(native, call, image, unpack);
        return;
    case DESCPIPE_SOURCE_OCI_LAYOUT:
    case DESCPIPE_SOURCE_OCI_ARCHIVE:
    case DESCPIPE_SOURCE_DOCKER_ARCHIVE:
        start_job(native, call, image, unpack);
        return;
    default:
        refuse_source(native, call, image);
    }
}

void native_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    take_image(self, call, image, false);
}

/* `pull` says nothing for files and folders: what their image is, is read from them each time. */
void native_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    take_image(self, call, prepare->image, true);
}
