/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the bytes of a file are what its type promises, as far as bounded reading can tell.
 *
 * A file may be larger than memory: each check gets the file's beginning and its last bytes, and may look at single
 * places in between. What cannot be judged that way is not refused.
 */
#ifndef DESCPIPE_PIPELINE_FILE_CONTENT_H
#define DESCPIPE_PIPELINE_FILE_CONTENT_H

#include <stdint.h>

#include "base/text.h"

struct file_content { /* borrowed for the call */
    int descriptor;   /* of a regular file, read with pread only */
    uint64_t size;    /* bytes of the file */
    const char *head; /* its first bytes */
    size_t head_length;
    const char *tail; /* its last bytes: the head's own when the head is the whole file */
    size_t tail_length;
};

static inline bool file_content_is_cut(const struct file_content *content)
{
    return content->size > content->head_length;
}

/* Every check returns true when the content fits, else says why not in `why` ("line 3 has 2 fields, ..."). None is
 * asked about an empty file. */
typedef bool (*file_content_check)(const struct file_content *content, struct text *why);

/* RFC 8259. The whole of what the head holds is parsed; of a larger file also the last bracket is looked at. */
bool file_content_json(const struct file_content *content, struct text *why);
/* YAML 1.1, any number of documents; of a larger file its head. */
bool file_content_yaml(const struct file_content *content, struct text *why);
/* RFC 4180 with ',', ';' or a tab between the fields: the same number of fields in every line but empty ones and those
 * that begin with '#', and no quote left open. */
bool file_content_csv(const struct file_content *content, struct text *why);

/* FITS 4.0: each header and the size of its data, so that a cut file is seen without reading it. */
bool file_content_fits(const struct file_content *content, struct text *why);
/* HDF5 file format III.A: the superblock, and the size of the file that it states. */
bool file_content_hdf5(const struct file_content *content, struct text *why);
/* NPY format 1.0 to 3.0: a header that lies in the file. */
bool file_content_npy(const struct file_content *content, struct text *why);
/* PNG 3rd edition, 5.6: IHDR first, IEND last. */
bool file_content_png(const struct file_content *content, struct text *why);
/* ISO 32000 7.5: version in front, %%EOF at the end. */
bool file_content_pdf(const struct file_content *content, struct text *why);
/* RFC 1952: a header, and room for a trailer. */
bool file_content_gzip(const struct file_content *content, struct text *why);
/* ZIP application note 4.3: an end of central directory whose directory lies in the file. */
bool file_content_zip(const struct file_content *content, struct text *why);

/* Bytes of the file's end that the checks want: a zip's last record may have a comment of 65,535 bytes behind it. */
#define FILE_CONTENT_TAIL ((size_t)66 * 1024)

#endif
