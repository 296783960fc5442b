/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe images`: what the images of a pipeline are, here and in their registries; the lock; clearing up.
 *
 * How it works: of each image the registry is asked what its tag means now and the runtime what this machine has under
 * its name. One of the two is enough to know it; with --lock the registry's word counts, else the machine's.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "command/image/image_work.h"
#include "command/image/prune.h"
#include "pipeline/github.h"
#include "report/grid.h"

struct images_values {
    struct pipeline_options pipeline;
    bool json, lock, prune, dry_run;
    const char *older_than, *keep;
};

static const struct argument_option options[] = {
    {.name = "lock",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct images_values, lock),
     .help = "write descpipe.lock beside the pipeline: later runs use these digests and tell when a tag has moved"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct images_values, json),
     .help = "{\"images\": [{stages, image, reference, registry, config_digest, manifest_digest, platform, bytes, "
             "created_at_ms, here, ...}]}"},
    {.name = "prune",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct images_values, prune),
     .help = "remove images from this machine instead; which, the next three say; what was used within the last hour "
             "stays"},
    {.name = "older-than",
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct images_values, older_than),
     .value = "TIME",
     .help = "with --prune: what was not used for so long, as 30d"},
    {.name = "keep",
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct images_values, keep),
     .value = "SIZE",
     .help = "with --prune: the least recently used, until so much is left, as 20GiB"},
    {.name = "dry-run",
     .letter = 'n',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct images_values, dry_run),
     .help = "with --prune: say what would go, remove nothing"},
    {.name = NULL},
};

static const struct argument_positional positionals[] = {
    {.name = "PIPELINE", .optional = true, .completion = COMPLETE_FILE, .help = "the pipeline file (YAML)"},
    {.name = NULL},
};

/* What was learned of one image. */
struct finding {
    struct image_work *work;
    struct plan_image *image;
    struct descpipe_lookup question;
    char *local_digest; /* config digest of what this machine has under the name */
    struct error registry_error, runtime_error;
    bool here;
};

static void finish(struct image_job *job)
{
    const struct finding *finding = job->own;
    bool known = finding->image->in_registry || finding->here;
    image_job_end(job, known ? "known" : "not known");
}

static void locally_known(void *context, const struct call_result *result)
{
    struct image_job *job = context;
    struct finding *finding = job->own;
    struct plan_image *image = job->image;
    job->call = NULL;
    if (result->ok) {
        const struct descpipe_image_identity *identity = result->identity;
        finding->here = identity->present != 0;
        finding->local_digest = memory_copy_text(identity->config_digest);
        if (!image->in_registry) {
            image->config_digest = memory_copy_text(identity->config_digest);
            image->manifest_digest = memory_copy_text(identity->manifest_digest);
            image->platform = memory_copy_text(identity->platform);
            image->created_at_ms = identity->created_at_ms;
        }
    } else if (result->failure != DESCPIPE_FAILED_NOT_FOUND) {
        call_error(job->work->planning->plan->backends[image->backend].runtime, "identify", result,
                   &finding->runtime_error);
    } else if (image->image.reference == image->name && !text_equal(image->name, image->place)) {
        image->image.reference = image->place;
        runtime_identify(job->work->planning->plan->backends[image->backend].runtime, &image->image,
                         (struct call_options){.done = locally_known, .context = job});
        return;
    }
    finish(job);
}

static void ask_runtime(struct image_job *job)
{
    struct plan_image *image = job->image;
    image->image.reference = image->name != NULL ? image->name : image->reference;
    runtime_identify(job->work->planning->plan->backends[image->backend].runtime, &image->image,
                     (struct call_options){.done = locally_known, .context = job});
}

static void registry_knows(void *context, const struct call_result *result)
{
    struct image_job *job = context;
    struct finding *finding = job->own;
    struct plan_image *image = job->image;
    job->call = NULL;
    if (!result->ok) {
        call_error(image->registry, "resolve", result, &finding->registry_error);
        memory_free(finding->registry_error.message);
        finding->registry_error.message = memory_copy_text(result->message);
    } else {
        const struct descpipe_image_identity *identity = result->identity;
        image->in_registry = true;
        image->config_digest = memory_copy_text(identity->config_digest);
        image->manifest_digest = memory_copy_text(identity->manifest_digest);
        image->platform = memory_copy_text(identity->platform);
        image->bytes = identity->stored_bytes;
        image->created_at_ms = identity->created_at_ms;
    }
    ask_runtime(job);
}

static void start(struct image_job *job)
{
    struct plan_image *image = job->image;
    struct finding *finding = memory_allocate(sizeof *finding);
    *finding = (struct finding){.work = job->work, .image = image};
    job->own = finding;
    if (image->registry == NULL) {
        ask_runtime(job);
        return;
    }
    finding->question = (struct descpipe_lookup){.size = sizeof finding->question,
                                                 .purpose = DESCPIPE_PURPOSE_PULL,
                                                 .reference = image->place,
                                                 .platform = lookup_platform()};
    struct plugin_call *call = registry_resolve(
        image->registry, &finding->question,
        (struct call_options){.deadline_ms = REGISTRY_DEADLINE_MS, .done = registry_knows, .context = job});
    if (call != NULL)
        job->call = call;
}

/* What this machine has: "yes", "no", or "older" when the tag means another image now. */
static const char *here_word(const struct finding *finding)
{
    const struct plan_image *image = finding->image;
    if (!finding->here)
        return finding->runtime_error.kind != ERROR_NONE ? "?" : "no";
    bool differs = image->config_digest != NULL && finding->local_digest != NULL &&
                   !text_equal(image->config_digest, finding->local_digest);
    return differs ? "other" : "yes";
}

static const struct lock_entry *lock_of(const struct image_work *work, const struct plan_image *image)
{
    return image_lock_find(work->planning->plan->lock, image->name != NULL ? image->name : image->reference,
                           lookup_platform());
}

static bool is_locked_as(const struct lock_entry *entry, const struct plan_image *image)
{
    if (entry->manifest_digest != NULL && image->manifest_digest != NULL)
        return text_equal(entry->manifest_digest, image->manifest_digest);
    if (entry->config_digest != NULL && image->config_digest != NULL)
        return text_equal(entry->config_digest, image->config_digest);
    return image->config_digest == NULL && image->manifest_digest == NULL;
}

static const char *lock_word(const struct image_work *work, const struct plan_image *image)
{
    const struct lock_entry *entry = lock_of(work, image);
    return entry == NULL ? "" : is_locked_as(entry, image) ? "yes" : "moved";
}

static void append_age(int64_t created_ms, struct text *out)
{
    int64_t age_ms = clock_wall_ms() - created_ms;
    static const int64_t day_ms = 86400000;
    if (created_ms <= 0 || age_ms < 0)
        return;
    if (age_ms >= 2 * day_ms)
        text_format(out, "%lld days", (long long)(age_ms / day_ms));
    else if (age_ms >= 7200000)
        text_format(out, "%lld h", (long long)(age_ms / 3600000));
    else
        text_format(out, "%lld min", (long long)(age_ms / 60000));
}

static void append_short(const char *digest, struct text *out) /* as docker shows them */
{
    if (digest != NULL)
        text_format(out, "%.19s", digest);
}

static void print_table(struct image_work *work, struct text *out)
{
    static const struct grid_column columns[] = {{.title = "stage", .flexible = true},
                                                 {.title = "image", .flexible = true},
                                                 {.title = "registry"},
                                                 {.title = "digest"},
                                                 {.title = "platform"},
                                                 {.title = "size", .right = true},
                                                 {.title = "age", .right = true},
                                                 {.title = "here"},
                                                 {.title = "locked"}};
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0]);
    cleanup(text_clear) struct text cell = TEXT_INIT;
    for (size_t i = 0; i < work->jobs.count; i++) {
        const struct image_job *job = &work->jobs.items[i];
        const struct plan_image *image = job->image;
        grid_add(grid, job->name, "");
        grid_add(grid, image->place != NULL ? image->place : image->reference, "");
        grid_add(grid, image->registry != NULL ? registry_name(image->registry) : "", "");
        text_reset(&cell);
        append_short(image->manifest_digest != NULL ? image->manifest_digest : image->config_digest, &cell);
        grid_add(grid, text_bytes(&cell), "");
        grid_add(grid, image->platform != NULL ? image->platform : "", "");
        text_reset(&cell);
        if (image->bytes > 0)
            bytes_append(&cell, image->bytes);
        grid_add(grid, text_bytes(&cell), "");
        text_reset(&cell);
        append_age(image->created_at_ms, &cell);
        grid_add(grid, text_bytes(&cell), "");
        const char *here = here_word(job->own);
        grid_add(grid, here, text_equal(here, "yes") ? "\x1b[32m" : text_equal(here, "other") ? "\x1b[33m" : "");
        grid_add(grid, lock_word(work, image), "");
    }
    const struct terminal *terminal = &work->invocation->terminal;
    grid_print(grid, terminal->width, terminal->color, out);
}

static void json_member(struct text *out, const char *start, const char *value)
{
    text_append(out, start);
    if (value != NULL && value[0] != '\0')
        text_append_json(out, value);
    else
        text_append(out, "null");
}

static void print_json_image(struct image_work *work, const struct image_job *job, struct text *out)
{
    const struct plan *plan = work->planning->plan;
    const struct plan_image *image = job->image;
    const struct finding *finding = job->own;
    text_append(out, "{\"stages\":[");
    bool first = true;
    for (size_t i = 0; i < plan->pipeline->stages.count; i++) {
        if (plan->stages[i].image != (uint32_t)(image - plan->images))
            continue;
        text_append(out, first ? "" : ",");
        text_append_json(out, pipeline_text(plan->pipeline, plan->pipeline->stages.items[i].name));
        first = false;
    }
    json_member(out, "],\"image\":", image->reference);
    json_member(out, ",\"name\":", image->name);
    json_member(out, ",\"reference\":", image->place);
    json_member(out, ",\"registry\":", image->registry != NULL ? registry_name(image->registry) : NULL);
    json_member(out, ",\"config_digest\":", image->config_digest);
    json_member(out, ",\"manifest_digest\":", image->manifest_digest);
    json_member(out, ",\"platform\":", image->platform);
    text_append(out, ",\"bytes\":");
    text_append_unsigned(out, image->bytes);
    text_append(out, ",\"created_at_ms\":");
    text_append_signed(out, image->created_at_ms);
    json_member(out, ",\"here\":", here_word(finding));
    json_member(out, ",\"here_digest\":", finding->local_digest);
    json_member(out, ",\"locked\":", lock_word(work, image));
    json_member(out, ",\"problem\":",
                finding->registry_error.message != NULL ? finding->registry_error.message
                                                        : finding->runtime_error.message);
    text_append(out, "}");
}

static void print_json(struct image_work *work, struct text *out)
{
    text_append(out, "{\"images\":[");
    for (size_t i = 0; i < work->jobs.count; i++) {
        text_append(out, i > 0 ? ",\n" : "\n");
        print_json_image(work, &work->jobs.items[i], out);
    }
    text_append(out, "\n]}\n");
}

/* The image is known all the same. */
static void note_problem(const struct error *why)
{
    log_notice("%s", why->message);
    if (why->hint != NULL)
        log_notice("hint: %s", why->hint);
}

/* Every image that something is wrong with, once. The exit status: of what nobody knows, else of a moved tag. */
static int tell_problems(struct image_work *work, bool locks)
{
    int status = 0;
    for (size_t i = 0; i < work->jobs.count; i++) {
        struct finding *finding = work->jobs.items[i].own;
        const struct plan_image *image = finding->image;
        const struct lock_entry *entry = lock_of(work, image);
        struct error *why =
            finding->registry_error.kind != ERROR_NONE ? &finding->registry_error : &finding->runtime_error;
        bool known = image->in_registry || finding->here;
        if (!known && why->kind == ERROR_NONE)
            error_set(why, ERROR_NETWORK, "it is not on this machine, and no registry here has it");
        if (!known && status != error_exit_status(ERROR_NETWORK))
            status = error_exit_status(why->kind == ERROR_INPUT ? ERROR_NETWORK : why->kind);
        if (why->kind != ERROR_NONE && strstr(why->message, image->reference) == NULL)
            error_wrap(why, "%s", image->reference);
        if (!known)
            log_error(why);
        else if (why->kind != ERROR_NONE)
            note_problem(why);
        if (locks || entry == NULL || is_locked_as(entry, image) || !known)
            continue;
        log_warning("the tag of '%s' has moved since %s was written; '--lock' accepts what it means now",
                    image->reference, work->planning->plan->lock->path);
        status = status != 0 ? status : error_exit_status(ERROR_DIFFERS);
    }
    return status;
}

/* Stages in repositories: the commit that `descpipe build` fetched last. */
static void lock_sources(struct image_lock *lock, const struct plan *plan)
{
    const struct pipeline *pipeline = plan->pipeline;
    for (size_t i = 0; i < pipeline->stages.count; i++) {
        const struct stage_extras *extras = pipeline->stages.items[i].extras;
        if (extras == NULL || extras->github == 0)
            continue;
        const char *repository = pipeline_text(pipeline, extras->github);
        const char *checkout =
            extras->checkout != 0 ? pipeline_text(pipeline, extras->checkout) : GITHUB_DEFAULT_CHECKOUT;
        cleanup(memory_free) char *commit = github_known_commit(repository, checkout);
        cleanup(memory_free) char *name = memory_format(GITHUB_HOST "/%s@%s", repository, checkout);
        if (commit != NULL)
            image_lock_put_source(lock, name, commit);
    }
}

static int write_lock(struct image_work *work)
{
    struct image_lock *lock = work->planning->plan->lock;
    cleanup(error_clear) struct error error = ERROR_INIT;
    for (size_t i = 0; i < work->jobs.count; i++) {
        const struct plan_image *image = work->jobs.items[i].image;
        const struct lock_entry *before = lock_of(work, image);
        const char *name = image->name != NULL ? image->name : image->reference;
        if (image->image.source != DESCPIPE_SOURCE_REGISTRY || strchr(name, '@') != NULL)
            continue; /* a file is what it is, and a digest needs no lock */
        if (before != NULL && !is_locked_as(before, image))
            log_notice("'%s' is now %s", image->reference,
                       image->manifest_digest != NULL ? image->manifest_digest : image->config_digest);
        const struct lock_entry entry = {.reference = memory_copy_text(name),
                                         .platform = memory_copy_text(lookup_platform()),
                                         .config_digest = image->config_digest,
                                         .manifest_digest = image->in_registry ? image->manifest_digest : NULL,
                                         .bytes = image->bytes};
        if (entry.config_digest != NULL || entry.manifest_digest != NULL)
            image_lock_put(lock, &entry);
        memory_free(entry.reference);
        memory_free(entry.platform);
    }
    lock_sources(lock, work->planning->plan);
    if (!image_lock_write(lock, &error))
        return command_fail(&error);
    log_notice("wrote '%s'", lock->path);
    return 0;
}

static void findings_clear(struct image_work *work)
{
    for (size_t i = 0; i < work->jobs.count; i++) {
        struct finding *finding = work->jobs.items[i].own;
        if (finding == NULL)
            continue;
        memory_free(finding->local_digest);
        error_clear(&finding->registry_error);
        error_clear(&finding->runtime_error);
        memory_free(finding);
    }
}

static int show(struct invocation *invocation, struct planning *planning)
{
    const struct images_values *values = invocation->values;
    cleanup(image_work_clear) struct image_work work;
    image_work_open(&work, invocation, planning, false);
    image_work_be_silent(&work);
    work.limit = LOOKUPS_LIMIT;
    work.start = start;
    image_work_add_images(&work);
    int status = image_work_run(&work);
    if (status == 0) {
        if (values->json)
            print_json(&work, &invocation->output.text);
        else if (work.jobs.count > 0)
            print_table(&work, &invocation->output.text);
        output_flush(&invocation->output);
        status = tell_problems(&work, values->lock);
    }
    if (values->lock && status != 0)
        log_notice("nothing is locked");
    else if (values->lock)
        status = write_lock(&work);
    findings_clear(&work);
    return status;
}

static int run_images(struct invocation *invocation)
{
    struct images_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (values->prune) {
        const struct prune_request request = {.options = &values->pipeline,
                                              .older_than = values->older_than,
                                              .keep = values->keep,
                                              .dry_run = values->dry_run};
        return command_prune(invocation, &request);
    }
    if (values->older_than != NULL || values->keep != NULL || values->dry_run) {
        error_set(&error, ERROR_INPUT, "--older-than, --keep and --dry-run go with --prune");
        return command_fail(&error);
    }
    if (command_word(invocation, 0) == NULL) {
        error_set(&error, ERROR_INPUT, "PIPELINE is missing");
        error_hint(&error, "only --prune goes without one");
        return command_fail(&error);
    }
    cleanup(planning_clear) struct planning planning = {0};
    int status = image_work_plan(invocation, &values->pipeline, PLAN_IMAGES, &planning);
    return planning.plan == NULL ? status : show(invocation, &planning);
}

const struct command command_images = {
    .name = "images",
    .summary = "show, lock and clear up the images of a pipeline",
    .description =
        "For each image: its full reference, registry, digest, platform, compressed size and age, and whether "
        "this machine has it ('other': it has one that the tag does not mean any more).\nExit status 1 when a "
        "locked tag has moved, 4 when an image is known neither here nor to its registry.",
    .examples = "  descpipe images pipeline.yaml\n  descpipe images pipeline.yaml --lock\n"
                "  descpipe images pipeline.yaml --registry ecr --json\n"
                "  descpipe images --prune --older-than 30d --keep 20GiB --dry-run",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = positionals,
    .values_size = sizeof(struct images_values),
    .run = run_images,
    .clear = pipeline_options_clear,
};
