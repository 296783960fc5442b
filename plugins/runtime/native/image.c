/* SPDX-License-Identifier: BSD-3-Clause */
/* What an image is and how it gets here: `identify` and `prepare`. */
#include "native.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "registry/failure.h"
#include "registry/ownership.h"

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
    failure_hint(&failure, "it takes rootfs:FOLDER, oci:FOLDER, oci-archive:FILE and docker-archive:FILE");
    failure_finish(&failure, native->host, call);
}

void native_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    struct native *native = self;
    if (image->source == DESCPIPE_SOURCE_ROOTFS)
        answer_folder(native, call, image);
    else
        refuse_source(native, call, image);
}

void native_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    struct native *native = self;
    if (prepare->image->source == DESCPIPE_SOURCE_ROOTFS)
        answer_folder(native, call, prepare->image);
    else
        refuse_source(native, call, prepare->image);
}
