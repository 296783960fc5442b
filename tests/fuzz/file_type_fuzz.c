/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as the output of a stage: the first byte says of which type, the second how much the head has of them.
 * links: core-pipeline */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pipeline/file_content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const file_content_check checks[] = {
    file_content_json, file_content_yaml, file_content_csv, file_content_fits, file_content_hdf5,
    file_content_npy,  file_content_png,  file_content_pdf, file_content_gzip, file_content_zip,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const char *bytes = (const char *)data + 2;
    size -= 2;
    int file = memfd_create("file", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    size_t head = 1 + (size - 1) * data[1] / 255, tail = size < 64 ? size : 64;
    /* Copies of their own, so that one byte too many is seen. */
    cleanup(memory_free) char *first = memory_copy_bytes(bytes, head),
                              *last = memory_copy_bytes(bytes + size - tail, tail);
    struct file_content content = {.descriptor = file,
                                   .size = size,
                                   .head = first,
                                   .head_length = head,
                                   .tail = head == size ? first : last,
                                   .tail_length = head == size ? head : tail};
    cleanup(text_clear) struct text why = TEXT_INIT;
    bool fits = checks[data[0] % (sizeof checks / sizeof checks[0])](&content, &why);
    if (fits != (why.length == 0)) /* every refusal says why, nothing else does */
        abort();
    close(file);
    return 0;
}
