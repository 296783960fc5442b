/* SPDX-License-Identifier: BSD-3-Clause */
/* The identity of an image in a docker-archive, without unpacking it. */
#ifndef DESCPIPE_DOCKER_ARCHIVE_H
#define DESCPIPE_DOCKER_ARCHIVE_H

#include "engine/answer.h"

enum archive_answer { ARCHIVE_READ, ARCHIVE_MISSING, ARCHIVE_REFUSED };

/* Finds manifest.json in the tar file by stepping over everything else. On failure `words` says why, without the path.
 */
enum archive_answer archive_read(const char *path, const char *tag, char config_digest[ANSWER_ID],
                                 char words[ANSWER_WORDS]);

#endif
