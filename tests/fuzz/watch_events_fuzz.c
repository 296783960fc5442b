/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream of a watch, and the pods in it. links: scheduler-cluster */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pod.h"
#include "cluster/watch.h"

static void changed(void *context, const json_t *object, bool gone)
{
    struct pod_view view;
    size_t *count = context;
    pod_look(object, &view);
    if (memchr(view.reason, '\0', sizeof(view.reason)) == NULL || view.phase < POD_WAITING || view.phase > POD_ENDED) {
        __builtin_trap();
    }
    if (view.phase == POD_ENDED && view.flags == 0 && !gone) {
        __builtin_trap(); /* an end without evidence */
    }
    (*count)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t whole = 0, pieces = 0;
    for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
        struct cluster cluster = {0};
        struct cluster_watch watch = {.cluster = &cluster, .changed = changed, .context = in_pieces ? &pieces : &whole};
        watch.known = json_object();
        watch.opened = true;
        for (size_t i = 0, step; i < size; i += step) {
            step = in_pieces && size - i > 5 ? 5 : size - i;
            watch_take(&watch, (const char *)data + i, step);
        }
        watch_end(&watch);
    }
    if (whole != pieces) {
        __builtin_trap(); /* how the network cuts it does not matter */
    }
    return 0;
}
