/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing plugins, and handing over what is due between turns of the loop. */
#include "plugin/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "plugin/abi.h"
#include "plugin/call.h"

#define OPEN_MESSAGE_BYTES 512

static struct plugin_host *only_host;

struct plugin_host *host_of_process(void)
{
    return only_host;
}

static char *cache_root(void)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    if (cache && cache[0] == '/')
        return path_join(cache, "descpipe");
    return home && home[0] == '/' ? path_join(home, ".cache/descpipe") : memory_copy_text("");
}

struct plugin_host *plugin_host_new(struct loop *loop, struct plugin_catalogue *catalogue, struct error *error)
{
    if (only_host) {
        error_set(error, ERROR_BUG, "a process has one plugin host");
        return NULL;
    }
    struct plugin_host *host = memory_allocate(sizeof(*host));
    host->loop = loop;
    host->catalogue = catalogue;
    host->cache_root = cache_root();
    host->trust = trust_rules_here(catalogue ? &plugin_catalogue_policy(catalogue)->trusted_directories : NULL);
    only_host = host;
    return host;
}

void plugin_host_set_callbacks(struct plugin_host *host, const struct plugin_callbacks *callbacks)
{
    host->callbacks = *callbacks;
}

void plugin_host_silence(struct plugin_host *host)
{
    if (!host)
        return;
    host->silent = true;
    host->callbacks = (struct plugin_callbacks){.context = NULL};
}

struct http *host_http(struct plugin_host *host, struct error *error)
{
    if (!host->http)
        host->http = http_new(host->loop, error);
    return host->http;
}

struct pool *host_pool(struct plugin_host *host, struct error *error)
{
    if (!host->pool)
        host->pool = pool_new(host->loop, 0, error);
    return host->pool;
}

void host_fault(const struct plugin_instance *instance, const char *format, ...)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&line, format, arguments);
    va_end(arguments);
    if (instance->host->fault)
        instance->host->fault(instance->host->fault_context, instance, text_bytes(&line));
    else
        log_warning("plugin %s broke a rule: %s", instance->identity, text_bytes(&line));
}

/* Handing over. */

static void hand_over_changes(struct plugin_host *host, struct change_queue *queue)
{
    for (size_t i = 0; i < queue->items.count; i++) {
        const struct queued_change *item = &queue->items.items[i];
        if (!item->is_blind && host->callbacks.changed)
            host->callbacks.changed(host->callbacks.context, &item->change);
        if (item->is_blind && host->callbacks.blind)
            host->callbacks.blind(host->callbacks.context, item->blind);
    }
    queue->items.count = 0;
    if (queue->arena)
        arena_reset(queue->arena);
}

static struct plugin_call *take_due(struct plugin_host *host)
{
    struct plugin_call *call = host->due_first;
    if (!call)
        return NULL;
    host->due_first = call->next_in_queue;
    if (!host->due_first)
        host->due_last = NULL;
    call->next_in_queue = NULL;
    call->queued = false;
    return call;
}

static void settle_all(struct plugin_host *host)
{
    for (size_t i = host->instances.count; i-- > 0;) {
        if (host->instances.items[i]->closing)
            instance_settle(host->instances.items[i]);
    }
}

static void host_hand_over(void *context)
{
    struct plugin_host *host = context;
    host->posted = false;
    struct change_queue *queue = &host->changes[host->filling];
    host->filling = !host->filling;
    hand_over_changes(host, queue);
    /* Only what is due now: what becomes due meanwhile waits for the next turn, so that nobody starves the loop. */
    struct plugin_call *last = host->due_last;
    for (struct plugin_call *call = last ? take_due(host) : NULL; call; call = take_due(host)) {
        bool is_last = call == last;
        call_hand_over(call);
        if (is_last)
            break;
    }
    settle_all(host);
    if (host->due_first || host->changes[host->filling].items.count > 0)
        host_schedule(host);
}

void host_schedule(struct plugin_host *host)
{
    if (host->posted)
        return;
    host->posted = true;
    loop_post(host->loop, host_hand_over, host);
}

void host_queue_call(struct plugin_host *host, struct plugin_call *call)
{
    if (call->queued)
        return;
    call->queued = true;
    call->next_in_queue = NULL;
    if (host->due_last)
        host->due_last->next_in_queue = call;
    else
        host->due_first = call;
    host->due_last = call;
    host_schedule(host);
}

/* Instances. */

struct plugin_instance *instance_of(const struct descpipe_host *table)
{
    const struct plugin_instance *instance = (const struct plugin_instance *)table; /* its first member */
    return instance->host->instances.items[instance->position];
}

static void fill_table(struct plugin_instance *instance)
{
    instance->table = (struct descpipe_host){
        .size = sizeof(struct descpipe_host),
        .abi_major = DESCPIPE_ABI_MAJOR,
        .abi_minor = DESCPIPE_ABI_MINOR,
        .program_version = DESCPIPE_VERSION,
        .cache_folder = instance->cache_folder,
        .settings = (const struct descpipe_settings *)instance->settings,
        .log = &log_service,
        .config = &config_service,
        .call = &call_service,
        .answer = &answer_service,
        .process = &process_service,
        .stage = &stage_service,
        .http = &http_service,
        .credential = &credential_service,
        .work = &work_service,
        .timer = &timer_service,
        .secret = &secret_service,
        .descriptor = &descriptor_service,
        .observe = &observe_service,
    };
}

/* Only such a plugin is hampered without a folder; the others need not make the user read about it. */
static bool keeps_images(const struct module *module)
{
    if (strcmp(module->kind, "runtime") != 0)
        return false;
    uint32_t sources = ((const struct descpipe_runtime *)module->descriptor->operations)->sources;
    return (sources & DESCPIPE_SOURCE_NONE) == 0 &&
           (sources & (DESCPIPE_SOURCE_OCI_LAYOUT | DESCPIPE_SOURCE_OCI_ARCHIVE | DESCPIPE_SOURCE_SIF)) != 0;
}

/* NULL when this machine has no place for it; a plugin that cannot do without says so itself. */
static char *make_cache_folder(const struct plugin_host *host, const struct module *module)
{
    if (host->cache_root[0] == '\0')
        return NULL;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *folder = memory_format("%s/%s-%s", host->cache_root, module->kind, module->name);
    if (folder_make(folder, 0700, &error))
        return steal(&folder);
    if (keeps_images(module))
        log_warning("%s/%s has no cache folder: %s", module->kind, module->name, error.message);
    else
        log_debug("%s/%s has no cache folder: %s", module->kind, module->name, error.message);
    return NULL;
}

static struct module *module_get(struct plugin_host *host, const char *kind, const char *name, struct error *error)
{
    const struct plugin_entry *entry = plugin_catalogue_find(host->catalogue, kind, name, error);
    if (!entry)
        return NULL;
    for (size_t i = 0; i < host->modules.count; i++) {
        struct module *module = host->modules.items[i];
        if (strcmp(module->kind, kind) == 0 && strcmp(module->name, name) == 0)
            return module;
    }
    struct module *module = module_load(
        &(struct module_request){
            .kind = kind, .name = name, .path = entry->path, .policy = entry->policy, .trust = &host->trust},
        error);
    if (module)
        list_add(&host->modules, module);
    return module;
}

struct module *host_module_of_file(struct plugin_host *host, const struct module_request *request, struct error *error)
{
    struct module *module = module_load(request, error);
    if (module)
        list_add(&host->modules, module);
    return module;
}

typedef int32_t (*open_function)(const struct descpipe_host *, void **, char *, uint64_t);
typedef void (*close_function)(void *);

static open_function open_of(const struct module *module)
{
    if (strcmp(module->kind, "runtime") == 0)
        return ((const struct descpipe_runtime *)module->descriptor->operations)->open;
    if (strcmp(module->kind, "registry") == 0)
        return ((const struct descpipe_registry *)module->descriptor->operations)->open;
    return ((const struct descpipe_scheduler *)module->descriptor->operations)->open;
}

static close_function close_of(const struct module *module)
{
    if (strcmp(module->kind, "runtime") == 0)
        return ((const struct descpipe_runtime *)module->descriptor->operations)->close;
    if (strcmp(module->kind, "registry") == 0)
        return ((const struct descpipe_registry *)module->descriptor->operations)->close;
    return ((const struct descpipe_scheduler *)module->descriptor->operations)->close;
}

static void instance_remove(struct plugin_instance *instance)
{
    struct plugin_host *host = instance->host;
    struct plugin_instance *last = host->instances.items[host->instances.count - 1];
    host->instances.items[instance->position] = last;
    last->position = instance->position;
    host->instances.count--;
    calls_forget(instance);
    stages_forget(instance);
    timers_free(instance);
    watches_free(instance);
    settings_free(instance->own_settings);
    memory_free(instance->cache_folder);
    memory_free(instance->identity);
    memory_free(instance);
}

/* What a runtime offers must be what its table can do. */
static bool check_forms(const struct plugin_instance *instance, struct error *error)
{
    const struct descpipe_runtime *runtime = plugin_runtime(instance);
    if (!runtime)
        return true;
    uint32_t forms = runtime->forms(instance->self);
    if (forms == 0)
        return error_set(error, ERROR_PLUGIN, "it offers no launch form as configured");
    if ((forms & DESCPIPE_FORM_MANAGED) && !runtime->start)
        return error_set(error, ERROR_PLUGIN, "it offers MANAGED but has no operation 'start'");
    return true;
}

struct plugin_instance *instance_open(struct plugin_host *host, struct module *module, const struct settings *settings,
                                      struct error *error)
{
    struct plugin_instance *instance = memory_allocate(sizeof(*instance));
    instance->host = host;
    instance->module = module;
    instance->identity = memory_format("%s/%s", module->kind, module->name);
    instance->cache_folder = make_cache_folder(host, module);
    if (!settings)
        instance->own_settings = settings_new(module->descriptor->options, instance->identity);
    instance->settings = settings ? settings : instance->own_settings;
    instance->position = host->instances.count;
    list_add(&host->instances, instance);
    fill_table(instance);
    if (host->install)
        host->install(instance);

    char message[OPEN_MESSAGE_BYTES] = "";
    int32_t status = open_of(module)(&instance->table, &instance->self, message, sizeof(message));
    message[sizeof(message) - 1] = '\0';
    if (status != 0) {
        cleanup(text_clear) struct text line = TEXT_INIT;
        text_append_printable(&line, message[0] ? message : "it does not say why", sizeof(message));
        error_set(error, ERROR_PLUGIN, "'%s' is not used: it cannot be opened: %s", module->path, text_bytes(&line));
        error_hint(error, "'descpipe plugins show %s' lists its options", instance->identity);
        if (instance->items || instance->calls)
            instance->closing = true; /* it left something open; taken away when that ends */
        else
            instance_remove(instance);
        return NULL;
    }
    instance->is_open = true;
    if (!check_forms(instance, error)) {
        error_wrap(error, "'%s' is not used", module->path);
        plugin_close(instance);
        return NULL;
    }
    return instance;
}

struct plugin_instance *plugin_open(struct plugin_host *host, const char *kind, const char *name,
                                    const struct settings *settings, struct error *error)
{
    struct module *module = module_get(host, kind, name, error);
    return module ? instance_open(host, module, settings, error) : NULL;
}

const struct descpipe_plugin *plugin_descriptor(struct plugin_host *host, const char *kind, const char *name,
                                                struct error *error)
{
    struct module *module = module_get(host, kind, name, error);
    return module ? module->descriptor : NULL;
}

void instance_settle(struct plugin_instance *instance)
{
    if (!instance->closing || instance->items || instance->calls)
        return;
    if (instance->is_open) {
        instance->is_open = false;
        close_of(instance->module)(instance->self);
    }
    instance_remove(instance);
}

static void abandon_calls(struct plugin_instance *instance)
{
    struct plugin_host *host = instance->host;
    for (struct plugin_call *call = instance->calls; call; call = call->next)
        call_abandon(call, "the plugin was closed before it answered");
    /* Every call of it has ended and is in the queue; only these are handed over now. */
    struct plugin_call *kept_first = NULL, *kept_last = NULL, *call = NULL;
    while ((call = take_due(host))) {
        if (call->instance == instance) {
            call_hand_over(call);
            continue;
        }
        if (kept_last)
            kept_last->next_in_queue = call;
        else
            kept_first = call;
        kept_last = call;
        call->queued = true;
    }
    while (kept_first) {
        call = kept_first;
        kept_first = call->next_in_queue;
        call->queued = false;
        host_queue_call(host, call);
    }
}

void plugin_close(struct plugin_instance *instance)
{
    if (!instance || instance->closing)
        return;
    abandon_calls(instance);
    instance->closing = true;
    for (struct service_item *item = instance->items, *next = NULL; item; item = next) {
        next = item->next;
        if (item->stop)
            item->stop(item);
    }
    instance_settle(instance);
}

void service_item_open(struct plugin_instance *instance, struct service_item *item)
{
    item->instance = instance;
    item->previous = NULL;
    item->next = instance->items;
    if (item->next)
        item->next->previous = item;
    instance->items = item;
}

void service_item_close(struct service_item *item)
{
    struct plugin_instance *instance = item->instance;
    if (item->previous)
        item->previous->next = item->next;
    else
        instance->items = item->next;
    if (item->next)
        item->next->previous = item->previous;
    if (instance->closing && !instance->items)
        host_schedule(instance->host); /* never close it on its own stack */
}

static bool still_busy(void *context)
{
    const struct plugin_host *host = context;
    return !host->gave_up && (host->posted || host->instances.count > 0);
}

static void give_up(void *context)
{
    ((struct plugin_host *)context)->gave_up = true;
}

void plugin_host_keep(struct plugin_host *host, struct settings *settings)
{
    if (settings)
        list_add(&host->kept, settings);
}

void plugin_host_free(struct plugin_host *host)
{
    if (!host)
        return;
    while (host->instances.count > 0) {
        size_t open = 0;
        while (open < host->instances.count && host->instances.items[open]->closing)
            open++;
        if (open == host->instances.count)
            break;
        plugin_close(host->instances.items[open]);
    }
    if (still_busy(host)) {
        struct loop_timer *limit = loop_timer(host->loop, CLOSE_LIMIT_MS, give_up, host);
        loop_run(host->loop, still_busy, host);
        if (!host->gave_up)
            loop_timer_stop(limit);
    }
    for (size_t i = 0; i < host->instances.count; i++)
        host_fault(host->instances.items[i], "what it had open did not end within %d s after it was closed",
                   CLOSE_LIMIT_MS / 1000);
    http_free(host->http);
    pool_free(host->pool);
    for (size_t i = 0; i < 2; i++) {
        list_clear(&host->changes[i].items);
        arena_free(host->changes[i].arena);
    }
    only_host = NULL;
    if (host->instances.count > 0)
        return; /* what is left behind may still look at us */
    for (size_t i = 0; i < host->modules.count; i++)
        module_free(host->modules.items[i]);
    list_clear(&host->modules);
    list_clear(&host->instances);
    list_clear(&host->stages);
    for (size_t i = 0; i < host->kept.count; i++)
        settings_free(host->kept.items[i]);
    list_clear(&host->kept);
    memory_free(host->cache_root);
    memory_free(host);
    calls_free();
}

/* What the rest of the core asks of an instance. */

const struct descpipe_plugin *plugin_instance_descriptor(const struct plugin_instance *instance)
{
    return instance->module->descriptor;
}

const char *plugin_instance_path(const struct plugin_instance *instance)
{
    return instance->module->path;
}

const char *plugin_instance_sha256(const struct plugin_instance *instance)
{
    return instance->module->sha256;
}

static const void *table_of(const struct plugin_instance *instance, const char *kind)
{
    return instance && strcmp(instance->module->kind, kind) == 0 ? instance->module->descriptor->operations : NULL;
}

const struct descpipe_runtime *plugin_runtime(const struct plugin_instance *instance)
{
    return table_of(instance, "runtime");
}

const struct descpipe_registry *plugin_registry(const struct plugin_instance *instance)
{
    return table_of(instance, "registry");
}

const struct descpipe_scheduler *plugin_scheduler(const struct plugin_instance *instance)
{
    return table_of(instance, "scheduler");
}

uint32_t plugin_runtime_forms(const struct plugin_instance *instance)
{
    const struct descpipe_runtime *runtime = plugin_runtime(instance);
    return runtime ? runtime->forms(instance->self) : 0;
}

bool plugin_scheduler_is_apart(const struct plugin_instance *instance)
{
    const struct descpipe_scheduler *scheduler = plugin_scheduler(instance);
    return scheduler && scheduler->apart && scheduler->apart(instance->self) == 1;
}

bool plugin_scheduler_jobs_bring(const struct plugin_instance *instance)
{
    const struct descpipe_scheduler *scheduler = plugin_scheduler(instance);
    return scheduler && scheduler->apart && scheduler->apart(instance->self) != 0;
}

bool plugin_scheduler_accepts(const struct plugin_instance *instance, uint32_t form, struct error *error)
{
    const struct descpipe_scheduler *scheduler = plugin_scheduler(instance);
    char message[512] = "";
    if (!scheduler->accepts || scheduler->accepts(instance->self, form, message, sizeof(message)))
        return true;
    return error_set(error, ERROR_PLUGIN, "%s", message);
}

const struct descpipe_pilot *plugin_scheduler_pilot(const struct plugin_instance *instance)
{
    const struct descpipe_scheduler *scheduler = plugin_scheduler(instance);
    return scheduler && scheduler->pilot ? scheduler->pilot(instance->self) : NULL;
}

uint64_t plugin_scheduler_room(const struct plugin_instance *instance)
{
    const struct descpipe_scheduler *scheduler = plugin_scheduler(instance);
    return scheduler && scheduler->room ? scheduler->room(instance->self) : UINT64_MAX;
}
