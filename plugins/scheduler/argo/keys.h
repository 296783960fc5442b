/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of a store, from the Secret by which the cluster's pods have them. */
#ifndef DESCPIPE_ARGO_KEYS_H
#define DESCPIPE_ARGO_KEYS_H

#include "cluster/client.h"
#include "store.h"

struct keys_asking { /* its owner's; until `done`, or until the exchange is dropped */
    struct store *store;
    void (*done)(void *context, uint32_t failure, const char *words); /* 0: the store has them */
    void *context;
};

/* NULL: memory is short, and `done` does not come. */
struct cluster_exchange *keys_ask(struct cluster *cluster, struct keys_asking *asking);

#endif
