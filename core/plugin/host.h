/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's side of all plugins, and of each one. For core/plugin alone; the rest of the core sees instance.h.
 *
 * How it works: what must not happen on a plugin's stack (ends of calls, progress, changes, wishes to cancel) is put in
 * queues here and handed over by host_hand_over, which runs once from the loop whenever something is due.
 */
#ifndef DESCPIPE_PLUGIN_HOST_H
#define DESCPIPE_PLUGIN_HOST_H

#include "plugin/instance.h"
#include "plugin/module.h"

struct queued_change {
    struct descpipe_change change; /* texts in the queue's arena */
    const char *blind;             /* with is_blind: the message or NULL */
    bool is_blind;
};

struct change_queue {
    LIST(struct queued_change) items;
    struct arena *arena;
};

/* A stage that a scheduler started. service_stage.c */
struct stage_slot {
    struct plugin_instance *instance; /* NULL: free */
    uintptr_t generation;
    void (*ended)(void *context, uint64_t job);
    void *context;
    size_t next_free;
};

struct plugin_host {
    struct loop *loop;
    struct plugin_catalogue *catalogue;
    struct plugin_callbacks callbacks;
    struct trust_rules trust;
    char *cache_root; /* "" when there is none */
    LIST(struct module *) modules;
    LIST(struct plugin_instance *) instances; /* closing ones too */
    LIST(struct settings *) kept;             /* freed last: a closing plugin may still read them */
    struct http *http;                        /* both made on first use */
    struct pool *pool;
    struct change_queue changes[2]; /* one filled, one handed over */
    unsigned filling;
    struct plugin_call *due_first, *due_last;
    LIST(struct stage_slot) stages;
    size_t stages_free; /* a slot's number plus one; 0: none */
    bool posted;
    bool silent;  /* whoever asked is done */
    bool gave_up; /* closing took too long */
    /* Rules that plugins broke, for the conformance kit; may be NULL. */
    void (*fault)(void *context, const struct plugin_instance *instance, const char *message);
    void *fault_context;
    /* Changes the services of an instance before it is opened; for the conformance kit; may be NULL. */
    void (*install)(struct plugin_instance *instance);
};

struct service_item; /* a tool, an exchange, work ... that the plugin still has open */

struct plugin_instance {
    struct descpipe_host table; /* first: what the plugin holds is its address */
    struct plugin_host *host;
    struct module *module;
    char *identity; /* "kind/name" */
    char *cache_folder;
    const struct settings *settings;
    struct settings *own_settings; /* when the caller gave none */
    void *self;
    struct plugin_call *calls;     /* open */
    struct service_item *items;    /* end by themselves; close waits for them */
    struct descpipe_timer *timers; /* taken away after close */
    struct descpipe_watch *watches;
    size_t position; /* in the host's list */
    bool is_open, closing;
};

struct plugin_instance *instance_of(const struct descpipe_host *table);
struct plugin_host *host_of_process(void); /* or NULL */
/* Something became due: host_hand_over will run from the loop. */
void host_schedule(struct plugin_host *host);
void host_queue_call(struct plugin_host *host, struct plugin_call *call);
/* A plugin broke a rule: said to the user as a warning, and to the conformance kit. */
void host_fault(const struct plugin_instance *instance, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct plugin_instance *instance_open(struct plugin_host *host, struct module *module, const struct settings *settings,
                                      struct error *error);
/* Loads a file by its path, outside the catalogue (`plugins show FILE`, `plugins check FILE`). The host keeps it. */
struct module *host_module_of_file(struct plugin_host *host, const struct module_request *request, struct error *error);
struct http *host_http(struct plugin_host *host, struct error *error);
struct pool *host_pool(struct plugin_host *host, struct error *error);
/* Closes what waits for closing and has nothing open any more. */
void instance_settle(struct plugin_instance *instance);

/* Things that end by themselves. */
struct service_item {
    struct plugin_instance *instance;
    void (*stop)(struct service_item *item); /* ends it sooner; NULL: cannot be stopped */
    struct service_item *previous, *next;
};
void service_item_open(struct plugin_instance *instance, struct service_item *item);
void service_item_close(struct service_item *item); /* may close the instance; the item is not freed */

extern const struct descpipe_log_service log_service;
extern const struct descpipe_config_service config_service;
extern const struct descpipe_process_service process_service;
extern const struct descpipe_stage_service stage_service;
extern const struct descpipe_http_service http_service;
extern const struct descpipe_credential_service credential_service;
extern const struct descpipe_work_service work_service;
extern const struct descpipe_timer_service timer_service;
extern const struct descpipe_secret_service secret_service;
extern const struct descpipe_descriptor_service descriptor_service;
extern const struct descpipe_observe_service observe_service;

void timers_free(struct plugin_instance *instance);
void stages_forget(const struct plugin_instance *instance); /* their ends find nobody any more */
void watches_free(struct plugin_instance *instance);

#endif
