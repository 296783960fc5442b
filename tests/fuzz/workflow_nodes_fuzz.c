/* SPDX-License-Identifier: BSD-3-Clause */
/* The status of a Workflow, plain or packed, and the nodes in it. links: argo-node */
#include <stdint.h>
#include <string.h>

#include "argo/argo.h"

static void look(const json_t *node)
{
    struct pod_view view;
    struct node_place place;
    node_look(node, &view);
    if (memchr(view.reason, '\0', sizeof(view.reason)) == NULL || memchr(view.node, '\0', sizeof(view.node)) == NULL ||
        view.phase < POD_WAITING || view.phase > POD_ENDED || strchr(view.reason, '\n') != NULL) {
        __builtin_trap();
    }
    if (node_is_over(node) != (view.phase == POD_ENDED) || (view.phase == POD_ENDED && view.flags == 0)) {
        __builtin_trap(); /* an end without evidence */
    }
    if (node_find_place(json_string_value(json_object_get(node, "name")), "w", &place) &&
        (place.task[0] == '\0' || place.item < -1 || place.attempt < -1)) {
        __builtin_trap();
    }
}

static void look_at_all(const json_t *status)
{
    const char *id;
    json_t *node, *nodes = node_all(status);
    json_object_foreach(nodes, id, node)
    {
        look(node);
    }
    json_decref(nodes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *status = json_loadb((const char *)data, size, 0, NULL);
    look_at_all(status);
    json_decref(status);
    /* The same bytes as what is packed: mostly no base64, and then it ends there. */
    json_t *packed = json_object();
    json_object_set_new(packed, "compressedNodes", json_stringn((const char *)data, size));
    look_at_all(packed);
    json_decref(packed);
    return 0;
}
