/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls: one operation of one plugin in progress. For core/plugin alone; the rest of the core sees instance.h.
 *
 * How it works: the plugin never gets an address of ours. Its `struct descpipe_call *` is a number, made of the call's
 * slot and the slot's generation, so that an answer after the end is recognised for what it is however late it comes.
 * Slots are reused in the order in which they became free; a call that the plugin finishes inside its operation uses no
 * timer and, once the slot's memory is warm, allocates nothing.
 */
#ifndef DESCPIPE_PLUGIN_CALL_H
#define DESCPIPE_PLUGIN_CALL_H

#include "plugin/answer.h"
#include "plugin/host.h"

struct operation {
    const char *name;
    unsigned may, must; /* ANSWER_ bits; `must` only on success */
};

struct plugin_call {
    uint32_t index;
    uintptr_t generation;
    struct plugin_instance *instance;
    const struct operation *operation;
    struct call_options options;
    struct loop_timer *timer; /* the deadline, then the grace */
    void (*wish)(void *context);
    void *wish_context;
    bool inside; /* the operation itself is on the stack */
    bool ended;
    bool cancelled;
    bool wished; /* the wish is due or done */
    bool timed_out;
    bool late_said;
    bool progressed; /* progress is due */
    uint64_t progress_done, progress_total;
    struct text progress_text;
    bool has_progress_text;
    bool ok, plugin_fault;
    uint32_t failure;
    const char *message, *hint; /* in the answers' arena */
    struct answers answers;
    struct plugin_call *previous, *next; /* open calls of the instance */
    struct plugin_call *next_in_queue;   /* free, or due */
    bool queued;
};

/* Opens a call; the plugin's name of it is call_handle. Never NULL; when too many are open it has ended already. */
struct plugin_call *call_open(struct plugin_instance *instance, const struct operation *operation,
                              const struct call_options *options);
struct descpipe_call *call_handle(const struct plugin_call *call);
struct descpipe_sink *call_sink(const struct plugin_call *call);
struct plugin_call *call_of_sink(struct descpipe_sink *sink, const char *what); /* NULL and a note when it has ended */
/* After the operation has returned: NULL when the call has ended, and then `done` has been called. */
struct plugin_call *call_leave(struct plugin_call *call);
/* Ends it as UNSUPPORTED: the plugin has no such operation. */
#define CALL_LACKS_OPERATION "this plugin cannot do that"
struct plugin_call *call_unsupported(struct plugin_call *call);
/* Ends it by force; `done` comes at once. */
void call_abandon(struct plugin_call *call, const char *message);
/* Hands over what is due for one call; it may be gone after. */
void call_hand_over(struct plugin_call *call);

extern const struct descpipe_call_service call_service;
extern const struct descpipe_answer_service answer_service;

/* The instance is gone: no note may name it any more. */
void calls_forget(const struct plugin_instance *instance);
void calls_free(void); /* all slots; no call is open */

#endif
