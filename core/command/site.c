/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking folders, schedulers, runtimes and registries; site.h. */
#include "command/site.h"

#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/path.h"

#define DEADLINE_MS 60000
#define LITTLE_ROOM (UINT64_C(1) << 30) /* of a working folder: worth a word */
#define NAMES_TOLD 3

void site_check_clear(struct site_check *check)
{
    for (size_t i = 0; i < check->findings.count; i++) {
        memory_free(check->findings.items[i].about);
        memory_free(check->findings.items[i].message);
        memory_free(check->findings.items[i].hint);
    }
    list_clear(&check->findings);
}

void site_find(struct site_check *check, enum site_state state, const char *about, const char *hint, const char *format,
               ...)
{
    va_list arguments;
    cleanup(text_clear) struct text text = TEXT_INIT;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    const struct site_finding finding = {.state = state,
                                         .about = memory_copy_text(about),
                                         .message = memory_copy_text(text_bytes(&text)),
                                         .hint = memory_copy_text(hint)};
    list_add(&check->findings, finding);
    check->differing += state == SITE_DIFFERS;
}

static void answered(void *context, const struct call_result *result)
{
    struct site_answer *answer = context;
    answer->over = true;
    answer->ok = result->ok;
    answer->failure = result->failure;
    answer->moment_ms = result->moment_ms;
    if (result->credential != NULL)
        answer->moment_ms = result->credential->expires_at_ms;
    answer->message = memory_copy_text(result->message);
    answer->hint = memory_copy_text(result->hint);
    for (size_t i = 0; i < result->facts_count; i++) {
        words_add(&answer->facts, result->facts[i].name);
        words_add(&answer->facts, result->facts[i].value);
    }
}

struct call_options site_ask(struct site_answer *answer, int64_t deadline_ms)
{
    return (struct call_options){.deadline_ms = deadline_ms, .done = answered, .context = answer};
}

static bool goes_on(void *context)
{
    const struct site_answer *answer = context;
    return !answer->over;
}

void site_wait(struct site_check *check, struct site_answer *answer)
{
    if (!answer->over)
        loop_run(check->planning->installation.loop, goes_on, answer);
}

const char *site_fact(const struct site_answer *answer, const char *name)
{
    for (size_t i = 0; i + 1 < answer->facts.count; i += 2)
        if (text_equal(answer->facts.items[i], name))
            return answer->facts.items[i + 1];
    return NULL;
}

void site_answer_clear(struct site_answer *answer)
{
    memory_free(answer->message);
    memory_free(answer->hint);
    words_clear(&answer->facts);
}

/* The nearest folder that is there: what is missing would be made in it. */
static void check_room(struct site_check *check, const char *what, const char *path)
{
    struct statvfs room;
    if (path == NULL)
        return;
    cleanup(memory_free) char *nearest = memory_copy_text(path);
    cleanup(memory_free) char *about = memory_format("%s folder '%s'", what, path);
    while (statvfs(nearest, &room) != 0 && strcmp(nearest, "/") != 0) {
        char *up = path_folder(nearest);
        memory_free(nearest);
        nearest = up;
    }
    if (statvfs(nearest, &room) != 0) {
        site_find(check, SITE_NOT_KNOWN, about, NULL, "its free room cannot be asked");
        return;
    }
    cleanup(text_clear) struct text amount = TEXT_INIT;
    uint64_t bytes = (uint64_t)room.f_bavail * room.f_frsize;
    bytes_append(&amount, bytes);
    if (room.f_files > 0 && room.f_favail == 0)
        site_find(check, SITE_DIFFERS, about, "remove files there, or name another folder",
                  "its file system takes no more files");
    else if (bytes < LITTLE_ROOM)
        site_find(check, SITE_DIFFERS, about, "make room there, or name another folder", "only %s are free",
                  text_bytes(&amount));
    else
        site_find(check, SITE_FINE, about, NULL, "%s free", text_bytes(&amount));
}

static void find_probed(struct site_check *check, const char *about, const struct site_answer *answer)
{
    const char *version = site_fact(answer, "version"), *cluster = site_fact(answer, "cluster");
    if (!answer->ok)
        site_find(check, SITE_DIFFERS, about, answer->hint, "%s", answer->message);
    else
        site_find(check, SITE_FINE, about, NULL, "answers%s%s%s%s%s", version != NULL ? ", version " : "",
                  version != NULL ? version : "", cluster != NULL ? ", cluster '" : "", cluster != NULL ? cluster : "",
                  cluster != NULL ? "'" : "");
}

/* Stages whose jobs are alike. */
struct shape {
    uint32_t stage; /* the first */
    size_t count;
    struct text names;
    struct descpipe_resources resources;
    const struct settings *settings;
    int64_t start_ms; /* estimated; 0: not known */
};

struct shapes {
    LIST(struct shape) list;
};

static void shapes_clear_at(struct shapes *shapes)
{
    for (size_t i = 0; i < shapes->list.count; i++)
        text_clear(&shapes->list.items[i].names);
    list_clear(&shapes->list);
}

static void add_stage(struct shapes *shapes, const struct plan *plan, uint32_t number)
{
    const char *name = pipeline_text(plan->pipeline, plan->pipeline->stages.items[number].name);
    struct shape made = {.stage = number, .count = 1, .settings = plan->stages[number].scheduler_settings};
    plan_resources(plan, number, &made.resources);
    for (size_t i = 0; i < shapes->list.count; i++) {
        struct shape *shape = &shapes->list.items[i];
        if (memcmp(&shape->resources, &made.resources, sizeof made.resources) != 0 || shape->settings != made.settings)
            continue;
        if (shape->count++ < NAMES_TOLD)
            text_format(&shape->names, ", '%s'", name);
        return;
    }
    text_format(&made.names, "'%s'", name);
    list_add(&shapes->list, made);
}

/* "2 nodes of 4 ranks, 8 cpus, 16 GiB, 1 gpu, 60 minutes" */
static void append_resources(struct text *text, const struct descpipe_resources *resources)
{
    if (resources->nodes > 1)
        text_format(text, "%u nodes, ", resources->nodes);
    if (resources->ranks_per_node > 1)
        text_format(text, "%u ranks a node, ", resources->ranks_per_node);
    text_format(text, "%u cpu%s", resources->cpus_per_rank, resources->cpus_per_rank == 1 ? "" : "s");
    if (resources->memory_per_node > 0) {
        text_append(text, ", ");
        bytes_append(text, resources->memory_per_node);
    }
    if (resources->gpus_per_node > 0)
        text_format(text, ", %u gpu%s", resources->gpus_per_node, resources->gpus_per_node == 1 ? "" : "s");
    if (resources->time_limit_ms > 0) {
        text_append(text, ", ");
        clock_append_length(text, (int64_t)resources->time_limit_ms);
    }
}

static struct descpipe_job job_of(const struct plan *plan, const struct shape *shape)
{
    const char *name = pipeline_text(plan->pipeline, plan->pipeline->stages.items[shape->stage].name);
    return (struct descpipe_job){.size = sizeof(struct descpipe_job),
                                 .job = 1,
                                 .attempt = 1,
                                 .stage = name,
                                 .group = name,
                                 .resources = &shape->resources,
                                 .settings = (const struct descpipe_settings *)shape->settings};
}

static void check_shape(struct site_check *check, const struct plan_backend *backend, struct shape *shape)
{
    cleanup(site_answer_clear) struct site_answer answer = {0};
    cleanup(text_clear) struct text about = TEXT_INIT, stamp = TEXT_INIT, wanted = TEXT_INIT;
    const struct descpipe_job job = job_of(check->planning->plan, shape);
    text_format(&about, "%s %s", shape->count == 1 ? "stage" : "stages", text_bytes(&shape->names));
    if (shape->count > NAMES_TOLD)
        text_format(&about, " and %zu more", shape->count - NAMES_TOLD);
    append_resources(&wanted, &shape->resources);
    scheduler_queue_estimate(backend->scheduler, &job, site_ask(&answer, DEADLINE_MS));
    site_wait(check, &answer);
    shape->start_ms = answer.ok ? answer.moment_ms : 0;
    if (answer.ok && answer.moment_ms == 0) {
        site_find(check, SITE_FINE, text_bytes(&about), NULL, "%s: would be taken", text_bytes(&wanted));
    } else if (answer.ok) {
        clock_append_stamp(&stamp, answer.moment_ms);
        site_find(check, SITE_FINE, text_bytes(&about), NULL, "%s: may start at %s", text_bytes(&wanted),
                  text_bytes(&stamp));
    } else if (answer.failure == DESCPIPE_FAILED_UNSUPPORTED) {
        site_find(check, SITE_NOT_KNOWN, text_bytes(&about), NULL, "%s: this scheduler has no test mode",
                  text_bytes(&wanted));
    } else if (answer.failure == DESCPIPE_FAILED_REFUSED) {
        site_find(check, SITE_DIFFERS, text_bytes(&about), answer.hint, "%s: %s", text_bytes(&wanted), answer.message);
    } else {
        site_find(check, SITE_NOT_KNOWN, text_bytes(&about), answer.hint, "%s: %s", text_bytes(&wanted),
                  answer.message);
    }
}

/* The latest moment at which a stage with this image may start. */
static int64_t last_start(const struct plan *plan, const struct shapes *shapes, uint32_t image)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < plan->pipeline->stages.count; i++) {
        if (!plan->stages[i].selected || plan->stages[i].image != image)
            continue;
        struct descpipe_resources resources;
        plan_resources(plan, i, &resources);
        for (size_t s = 0; s < shapes->list.count; s++) {
            const struct shape *shape = &shapes->list.items[s];
            if (memcmp(&shape->resources, &resources, sizeof resources) == 0 &&
                shape->settings == plan->stages[i].scheduler_settings && shape->start_ms > last)
                last = shape->start_ms;
        }
    }
    return last;
}

/* A login that ends is of no use to a node that pulls after its end. */
static void check_login(struct site_check *check, const struct shapes *shapes, uint32_t number)
{
    const struct plan *plan = check->planning->plan;
    const struct plan_image *image = &plan->images[number];
    if (image->registry == NULL || image->here || image->place == NULL ||
        !(plugin_registry(image->registry)->capabilities & DESCPIPE_REGISTRY_EXPIRES))
        return;
    cleanup(site_answer_clear) struct site_answer answer = {0};
    cleanup(text_clear) struct text end = TEXT_INIT, start = TEXT_INIT;
    cleanup(memory_free) char *about = memory_format("login for '%s'", image->reference);
    const struct descpipe_lookup lookup = {.size = sizeof lookup,
                                           .purpose = DESCPIPE_PURPOSE_PULL,
                                           .reference = image->place,
                                           .platform = image->platform};
    registry_credentials(image->registry, &lookup, site_ask(&answer, REGISTRY_DEADLINE_MS));
    site_wait(check, &answer);
    int64_t last = last_start(plan, shapes, number);
    if (!answer.ok) {
        site_find(check, SITE_DIFFERS, about, answer.hint, "%s", answer.message);
        return;
    }
    if (answer.moment_ms <= 0) {
        site_find(check, SITE_FINE, about, NULL, "registry '%s' says no end of it", registry_name(image->registry));
        return;
    }
    clock_append_stamp(&end, answer.moment_ms);
    clock_append_stamp(&start, last);
    if (last > answer.moment_ms)
        site_find(check, SITE_DIFFERS, about, "pull it before it is needed: descpipe pull",
                  "it ends at %s, and a stage may start as late as %s", text_bytes(&end), text_bytes(&start));
    else
        site_find(check, SITE_FINE, about, NULL, "lasts until %s", text_bytes(&end));
}

static void check_elsewhere(struct site_check *check, uint32_t number, const char *tool)
{
    const struct plan *plan = check->planning->plan;
    const struct plan_backend *backend = &plan->backends[number];
    cleanup(shapes_clear) struct shapes shapes = {0};
    size_t differing = check->differing;
    for (uint32_t i = 0; i < plan->pipeline->stages.count; i++)
        if (plan->stages[i].selected && plan->stages[i].backend == number)
            add_stage(&shapes, plan, i);
    for (size_t i = 0; i < shapes.list.count; i++)
        check_shape(check, backend, &shapes.list.items[i]);
    for (uint32_t i = 0; i < plan->images_count; i++)
        if (plan->images[i].backend == number)
            check_login(check, &shapes, i);
    /* A job that will not be taken tells nothing of nodes; and a pod finds what its image holds. */
    if (shapes.list.count == 0 || check->differing > differing || backend->form == DESCPIPE_FORM_POD)
        return;
    const struct descpipe_job job = job_of(plan, &shapes.list.items[0]);
    site_check_node(check, backend, &job, tool);
}

static void check_backend(struct site_check *check, uint32_t number)
{
    const struct plan_backend *backend = &check->planning->plan->backends[number];
    bool here = (plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS) != 0;
    cleanup(site_answer_clear) struct site_answer runtime = {0}, scheduler = {0};
    cleanup(memory_free) char *about_runtime = memory_format("runtime '%s'", backend->runtime_name);
    cleanup(memory_free) char *about = memory_format("scheduler '%s'", backend->scheduler_name);
    if (backend->form == DESCPIPE_FORM_POD) {
        site_find(check, SITE_FINE, about_runtime, NULL, "its images are run by scheduler '%s'",
                  backend->scheduler_name);
    } else {
        runtime_probe(backend->runtime, site_ask(&runtime, DEADLINE_MS));
        site_wait(check, &runtime);
        find_probed(check, about_runtime, &runtime);
    }
    scheduler_probe(backend->scheduler, site_ask(&scheduler, DEADLINE_MS));
    site_wait(check, &scheduler);
    find_probed(check, about, &scheduler);
    if (!here && scheduler.ok) {
        const char *tool = site_fact(&runtime, "tool");
        check_elsewhere(check, number, tool != NULL ? tool : site_fact(&runtime, "client"));
    }
}

void site_check_ask(struct site_check *check)
{
    const struct plan *plan = check->planning->plan;
    check_room(check, "working", plan->pipeline->working);
    check_room(check, "output", plan->pipeline->output);
    for (uint32_t i = 0; i < plan->backends_count; i++)
        check_backend(check, i);
}

static const char *state_name(enum site_state state)
{
    static const char *const names[] = {[SITE_FINE] = "ok", [SITE_DIFFERS] = "differs", [SITE_NOT_KNOWN] = "not known"};
    return names[state];
}

void site_check_print(const struct site_check *check, struct text *out)
{
    for (size_t i = 0; i < check->findings.count; i++) {
        const struct site_finding *finding = &check->findings.items[i];
        text_format(out, "%-9s ", state_name(finding->state));
        text_append_printable(out, finding->about, 4096);
        text_append(out, ": ");
        text_append_printable(out, finding->message, 4096);
        text_append(out, "\n");
        if (finding->hint != NULL) {
            text_append(out, "          hint: ");
            text_append_printable(out, finding->hint, 4096);
            text_append(out, "\n");
        }
    }
}

void site_check_print_json(const struct site_check *check, struct text *out)
{
    text_append(out, "[");
    for (size_t i = 0; i < check->findings.count; i++) {
        const struct site_finding *finding = &check->findings.items[i];
        const char *const texts[][2] = {
            {"about", finding->about}, {"message", finding->message}, {"hint", finding->hint}};
        text_format(out, "%s\n{\"state\":\"%s\"", i > 0 ? "," : "", state_name(finding->state));
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
            text_format(out, ",\"%s\":", texts[t][0]);
            if (texts[t][1] != NULL)
                text_append_json(out, texts[t][1]);
            else
                text_append(out, "null");
        }
        text_append(out, "}");
    }
    text_append(out, "]");
}
