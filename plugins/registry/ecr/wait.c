/* SPDX-License-Identifier: BSD-3-Clause */
/* Those who wait for the same thing, told in the order they came. */
#include "ecr.h"

bool waiters_add(struct waiter **list, waited *done, void *context)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL)
        return false;
    *waiter = (struct waiter){.done = done, .context = context};
    while (*list != NULL)
        list = &(*list)->next;
    *list = waiter;
    return true;
}

void waiters_finish(struct waiter **list, const void *value, const struct failure *failure)
{
    struct waiter *waiter = steal(list); /* first: who is told may wait anew */
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        waiter->done(waiter->context, failure == NULL ? value : NULL, failure);
        free(waiter);
        waiter = next;
    }
}
