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

static size_t count_of(const uint8_t *data, size_t size, const char *events, size_t step)
{
    size_t count = 0;
    struct cluster cluster = {0};
    struct cluster_watch watch = {.cluster = &cluster, .changed = changed, .context = &count};
    watch.known = json_object();
    watch.opened = true;
    watch.events = events != NULL ? strdup(events) : NULL;
    for (size_t i = 0; i < size; i += step) {
        watch_take(&watch, (const char *)data + i, size - i < step ? size - i : step);
    }
    watch_end(&watch);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const events[] = {NULL, "/api/v1/workflow-events/x"}; /* of the API server, of Argo Server */
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
        if (count_of(data, size, events[i], size + 1) != count_of(data, size, events[i], 5)) {
            __builtin_trap(); /* how the network cuts it does not matter */
        }
    }
    return 0;
}
