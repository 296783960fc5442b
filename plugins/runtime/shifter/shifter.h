/* SPDX-License-Identifier: BSD-3-Clause */
/* One opened runtime `shifter`, as its files share it. */
#ifndef SHIFTER_SHIFTER_H
#define SHIFTER_SHIFTER_H

#include <stdbool.h>

#include <descpipe/plugin.h>

struct shifter {
    const struct descpipe_host *host;
    char *run, *images; /* shifter and shifterimg, absolute; NULL: not found */
    const char *login_location;
    const char *gpu_module;
    const char *site_file; /* udiRoot.conf */
    bool has_env, by_id;
    uint64_t pull_timeout_ms;
};

#define SHIFTER_TOOL_MESSAGE "shifter is not on this machine"
#define SHIFTER_TOOL_HINT "load the site's module for Shifter, or name its folder with the option 'folder'"

void shifter_probe(void *self, struct descpipe_call *call);
void shifter_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image);
void shifter_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare);
void shifter_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);

#endif
