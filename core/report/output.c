/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffered standard output whose failures are kept. */
#include "report/output.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"

#define EASE_BYTES ((size_t)256 * 1024)

void output_open(struct output *output, int descriptor)
{
    *output = (struct output){.descriptor = descriptor};
}

void output_clear(struct output *output)
{
    text_clear(&output->text);
}

void output_flush(struct output *output)
{
    if (output->failure == 0 && output->text.length > 0) {
        errno = 0;
        if (!descriptor_write(output->descriptor, output->text.bytes, output->text.length, NULL))
            output->failure = errno != 0 ? errno : EIO;
    }
    text_reset(&output->text);
}

void output_ease(struct output *output)
{
    if (output->descriptor >= 0 && output->text.length >= EASE_BYTES)
        output_flush(output);
}

bool output_finish(struct output *output, struct error *error)
{
    output_flush(output);
    if (output->failure == 0)
        return true;
    if (output->failure == EPIPE)
        return error_set(error, ERROR_SYSTEM, "%s", "");
    return error_set(error, ERROR_SYSTEM, "cannot write to standard output: %s", strerror(output->failure));
}
