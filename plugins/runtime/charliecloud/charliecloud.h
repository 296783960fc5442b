/* SPDX-License-Identifier: BSD-3-Clause */
/* One opened runtime `charliecloud`, as its files share it. */
#ifndef CHARLIECLOUD_CHARLIECLOUD_H
#define CHARLIECLOUD_CHARLIECLOUD_H

#include <stdbool.h>

#include <descpipe/plugin.h>

struct charliecloud {
    const struct descpipe_host *host;
    char *run, *image, *convert; /* ch-run, ch-image, ch-convert, absolute; NULL: not found */
    char *cache;                 /* absolute; NULL: there is no place for one */
    uint64_t pull_timeout_ms;
};

#define CHARLIECLOUD_TOOL_HINT                                                                                         \
    "install Charliecloud (Debian: apt install charliecloud charliecloud-builders), or name its folder with the "      \
    "option 'folder'"

/* Ends the call when there is no folder to keep images in; true when there is one. */
bool charliecloud_has_cache(const struct charliecloud *charliecloud, struct descpipe_call *call);

void charliecloud_probe(void *self, struct descpipe_call *call);
void charliecloud_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image);
void charliecloud_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare);
void charliecloud_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);

#endif
