/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe build`: the images of a pipeline, made from its stage folders.
 *
 * How it works: stages in repositories are fetched first, then the list is made (build_list.h) and worked off in its
 * order, some side by side, each when those that it is made from are there. What a build says goes into a log of its
 * own, from where it is shown line by line. When one fails those that are made from it are left out; the others are
 * still built.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "command/image/build_sources.h"
#include "command/image/build_tool.h"
#include "command/image/image_work.h"
#include "io/process.h"

enum { LAST_LINES = 15, LINE_LIMIT = 64 * 1024, IMAGE_ID_DIGITS = 64 };
#define TOOL_TIMEOUT_MS INT64_C(86400000)
#define TOOL_OUTPUT_LIMIT (UINT64_C(1) << 32)

struct build_values {
    struct pipeline_options pipeline;
    struct words arguments;
    const char *tool;
    bool no_cache, pull, json;
};

static const char *const tools[] = {"docker", "podman", "buildah", "make", NULL};

static const struct argument_option options[] = {
    {.name = "build-arg",
     .kind = ARGUMENT_WORDS,
     .offset = offsetof(struct build_values, arguments),
     .value = "NAME=VALUE",
     .help = "for the Dockerfiles that have ARG NAME; 'user' is the pipeline's owner when it is not given; may be "
             "repeated"},
    {.name = "tool",
     .kind = ARGUMENT_CHOICE,
     .offset = offsetof(struct build_values, tool),
     .choices = tools,
     .help = "what builds (default: the runtime if it can, else docker); make: the folder's own Makefile"},
    {.name = "no-cache",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct build_values, no_cache),
     .help = "do every step again"},
    {.name = "pull",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct build_values, pull),
     .help = "ask for newer images to build from"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct build_values, json),
     .help = "one JSON object per event and line: started, output, ended"},
    {.name = NULL},
};

/* One image being built. */
struct building {
    struct image_job *job;
    struct build_item *item;
    struct builder *builder;
    char *log_path;
    int log;    /* -1 */
    off_t seen; /* of the log, when it is not us who write it */
    struct text line;
    struct text last; /* the last lines, for a failure that nobody saw coming */
    size_t last_lines;
    struct tool *tool;
    char *digest; /* as the tool said it, or NULL */
    struct words labels, argv;
    struct descpipe_build build;
};

struct builder {
    struct invocation *invocation;
    struct planning *planning;
    struct build_options options;
    struct build_list list;
    struct plugin_instance *runtime; /* builds, unless a tool does */
    char *logs;                      /* their folder */
    struct building *buildings;      /* by the list's numbers */
};

/* The log. */

static void keep_line(struct building *building, const char *line)
{
    if (building->last_lines == LAST_LINES) {
        const char *newline = strchr(text_bytes(&building->last), '\n');
        cleanup(memory_free) char *rest = memory_copy_text(newline != NULL ? newline + 1 : "");
        text_reset(&building->last);
        text_append(&building->last, rest);
        building->last_lines--;
    }
    text_append_printable(&building->last, line, 1000);
    text_append(&building->last, "\n");
    building->last_lines++;
}

static void show_line(struct building *building, const char *line)
{
    keep_line(building, line);
    progress_output(building->job->work->progress, building->job->number, line);
}

/* Whole lines of what the log has gained; the rest too when it is over. A carriage return begins a line anew. */
static void show_log(struct building *building, bool over)
{
    char buffer[16384];
    ssize_t got;
    while (building->log >= 0 && (got = pread(building->log, buffer, sizeof buffer, building->seen)) > 0) {
        building->seen += got;
        for (ssize_t i = 0; i < got; i++) {
            if (buffer[i] != '\n' && buffer[i] != '\r' && building->line.length < LINE_LIMIT) {
                text_append_character(&building->line, buffer[i]);
            } else if (building->line.length > 0) {
                show_line(building, text_bytes(&building->line));
                text_reset(&building->line);
            }
        }
    }
    if (over && building->line.length > 0) {
        show_line(building, text_bytes(&building->line));
        text_reset(&building->line);
    }
}

static bool open_log(struct building *building, struct error *error)
{
    struct builder *builder = building->builder;
    const struct build_item *item = building->item; /* a base image may be called as a stage is */
    cleanup(memory_free) char *name = memory_format("%s%s.log", item->name, item->stage == UINT32_MAX ? ".base" : "");
    building->log_path = path_join(builder->logs, name);
    building->log = open(building->log_path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    return building->log >= 0 || error_system(error, "cannot make '%s'", building->log_path);
}

static bool make_logs_folder(struct builder *builder, struct error *error)
{
    cleanup(text_clear) struct text stamp = TEXT_INIT;
    clock_append_stamp(&stamp, clock_wall_ms());
    cleanup(text_clear) struct text name = TEXT_INIT;
    for (const char *at = text_bytes(&stamp); *at != '\0' && *at != '.'; at++)
        if (strchr("-:TZ", *at) == NULL)
            text_append_character(&name, *at);
    builder->logs = memory_format("%s/.descpipe/builds/%s-%d", builder->planning->pipeline->working, text_bytes(&name),
                                  (int)getpid());
    return folder_make(builder->logs, 0777, error);
}

/* Ends. */

static void close_building(struct building *building)
{
    if (building->log >= 0)
        close(building->log);
    building->log = -1;
}

static void failed(struct building *building, struct error *error)
{
    struct progress *progress = building->job->work->progress;
    building->item->failed = true;
    if (building->job->work->invocation->terminal.is_terminal && building->last.length > 0) {
        for (char *at = building->last.bytes, *end; at != NULL && *at != '\0'; at = end) {
            end = strchr(at, '\n');
            *end++ = '\0';
            cleanup(memory_free) char *line = memory_format("  | %s", at);
            progress_say(progress, line);
        }
    }
    image_job_fail(building->job, error);
    if (building->log_path != NULL && !building->job->work->json) {
        cleanup(memory_free) char *line = memory_format("  log: %s", building->log_path);
        progress_say(progress, line);
    }
    close_building(building);
}

static void succeeded(struct building *building, const char *digest)
{
    cleanup(memory_free) char *message = memory_format("built %s%s%s", building->item->references.items[0],
                                                       digest != NULL ? " " : "", digest != NULL ? digest : "");
    image_job_end(building->job, message);
    close_building(building);
}

static void built(void *context, const struct call_result *result)
{
    struct building *building = context;
    building->job->call = NULL;
    show_log(building, true);
    if (result->ok) {
        succeeded(building, result->identity->config_digest);
        return;
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    call_error(building->builder->runtime, "build", result, &error);
    cleanup(error_clear) struct error shown = ERROR_INIT;
    bool refused = result->failure == DESCPIPE_FAILED_REFUSED && !result->plugin_fault;
    error_set(&shown, refused ? ERROR_STAGE : error.kind, "%s",
              result->failure == DESCPIPE_FAILED_UNSUPPORTED ? error.message : result->message);
    if (result->hint != NULL)
        error_hint(&shown, "%s", result->hint);
    failed(building, &shown);
}

/* Both say the image's id on a line of standard output, the last one. */
static void take_id(struct building *building, const char *line, size_t length)
{
    if (length != IMAGE_ID_DIGITS || strspn(line, "0123456789abcdef") != length)
        return;
    memory_free(building->digest);
    building->digest = memory_format("sha256:%s", line);
}

static void tool_line(void *context, int stream, const char *line, size_t length)
{
    struct building *building = context;
    if (stream == 1 && !text_equal(building->argv.items[0], "make"))
        take_id(building, line, length);
    descriptor_write(building->log, line, length, NULL);
    descriptor_write(building->log, "\n", 1, NULL);
    show_line(building, line);
}

/* "": it said nothing. */
static const char *last_line(const struct building *building)
{
    const char *bytes = text_bytes(&building->last);
    size_t at = building->last.length > 0 ? building->last.length - 1 : 0; /* its newline */
    while (at > 0 && bytes[at - 1] != '\n')
        at--;
    return bytes + at;
}

static void tool_error(const struct building *building, const struct tool_end *end, struct error *error)
{
    const char *tool = building->argv.items[0], *said = last_line(building);
    int length = (int)strcspn(said, "\n");
    if (building->job->work->interrupts > 0) {
        error_set(error, ERROR_INTERRUPTED, "stopped");
    } else if (!end->started) {
        error_set(error, ERROR_PLUGIN, "%s", end->message != NULL ? end->message : "its tool cannot be started");
        error_hint(error, "install %s, or choose another --tool", tool);
    } else if (end->timed_out) {
        error_set(error, ERROR_STAGE, "%s was stopped after %d hours", tool, (int)(TOOL_TIMEOUT_MS / 3600000));
    } else if (end->signal != 0) {
        error_set(error, ERROR_STAGE, "%s was ended by signal %d", tool, end->signal);
    } else if (end->exit_code != 0) {
        error_set(error, ERROR_STAGE, "%s ended with exit status %d%s%.*s", tool, end->exit_code,
                  length > 0 ? ": " : "", length, said);
    }
}

static void tool_ended(void *context, const struct tool_end *end)
{
    struct building *building = context;
    cleanup(error_clear) struct error error = ERROR_INIT;
    building->tool = NULL;
    tool_error(building, end, &error);
    if (error.kind == ERROR_NONE)
        succeeded(building, building->digest);
    else
        failed(building, &error);
}

/* Starts. */

static void fill_labels(struct building *building)
{
    const struct build_item *item = building->item;
    const struct pipeline *pipeline = building->builder->planning->pipeline;
    words_format(&building->labels, "org.descpipe.pipeline=%s", pipeline_text(pipeline, pipeline->name));
    words_format(&building->labels, "org.descpipe.stage=%s", item->name);
    if (item->source != NULL)
        words_format(&building->labels, "org.opencontainers.image.source=https://%s", item->source);
    if (item->commit != NULL)
        words_format(&building->labels, "org.opencontainers.image.revision=%s", item->commit);
}

static bool start_tool(struct building *building, struct error *error)
{
    const struct build_options *given = &building->builder->options;
    if (text_equal(given->tool, "make")) {
        if (!build_make_arguments(building->item, given, &building->argv, error))
            return false;
    } else {
        build_tool_arguments(given->tool, building->item, &building->labels, given, &building->argv);
    }
    /* The user's own tool, as if typed: it finds its storage, its proxies and its logins by the whole environment. */
    const struct tool_request request = {.argv = words_list(&building->argv),
                                         .environment = (const char *const *)environ,
                                         .directory = building->item->folder,
                                         .timeout_ms = TOOL_TIMEOUT_MS,
                                         .output_limit = TOOL_OUTPUT_LIMIT,
                                         .line = tool_line,
                                         .ended = tool_ended,
                                         .context = building};
    building->tool = tool_start(building->builder->planning->installation.loop, &request);
    return true;
}

static void start_runtime(struct building *building)
{
    const struct build_options *given = &building->builder->options;
    const struct build_item *item = building->item;
    building->build = (struct descpipe_build){.size = sizeof building->build,
                                              .flags = (given->no_cache ? DESCPIPE_BUILD_NO_CACHE : 0u) |
                                                       (build_asks_for_newer(item, given) ? DESCPIPE_BUILD_PULL : 0u),
                                              .folder = item->folder,
                                              .file = item->file,
                                              .references = words_list(&item->references),
                                              .arguments = words_list(&item->arguments),
                                              .labels = words_list(&building->labels),
                                              .log_descriptor = building->log};
    struct plugin_call *call =
        runtime_build(building->builder->runtime, &building->build,
                      (struct call_options){.deadline_ms = INT64_MAX, .done = built, .context = building});
    if (call != NULL)
        building->job->call = call;
}

/* The first of those it is made from that could not be built. */
static const struct build_item *failed_base(const struct build_list *list, const struct build_item *item)
{
    for (size_t i = 0; i < item->after.count; i++)
        if (list->items.items[item->after.items[i]].failed)
            return &list->items.items[item->after.items[i]];
    return NULL;
}

static void start(struct image_job *job)
{
    struct building *building = job->own;
    struct builder *builder = building->builder;
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct build_item *base = failed_base(&builder->list, building->item);
    if (base != NULL) {
        error_set(&error, ERROR_STAGE, "not built, because '%s' was not", base->name);
        failed(building, &error);
        return;
    }
    cleanup(memory_free) char *action = memory_format("building %s", building->item->references.items[0]);
    progress_start(job->work->progress, job->number, action, clock_monotonic_ms());
    fill_labels(building);
    if (!open_log(building, &error) || (builder->runtime == NULL && !start_tool(building, &error)))
        failed(building, &error);
    else if (builder->runtime != NULL)
        start_runtime(building);
}

static void stop(struct image_job *job)
{
    struct building *building = job->own;
    if (building->tool != NULL)
        tool_stop(building->tool);
    else if (job->call != NULL)
        call_cancel(job->call);
}

static bool bases_are_over(const struct image_job *job)
{
    const struct building *building = job->own;
    for (size_t i = 0; i < building->item->after.count; i++)
        if (!building->builder->buildings[building->item->after.items[i]].job->ended)
            return false;
    return true;
}

static void show_logs(struct image_work *work)
{
    for (size_t i = 0; i < work->jobs.count; i++) {
        struct building *building = work->jobs.items[i].own;
        if (work->jobs.items[i].begun && building->tool == NULL)
            show_log(building, false);
    }
}

static int build_all(struct builder *builder, bool json)
{
    size_t count = builder->list.items.count;
    cleanup(image_work_clear) struct image_work work;
    image_work_open(&work, builder->invocation, builder->planning, json);
    if (text_equal(builder->options.tool, "make"))
        work.limit = 1; /* two of one folder would make what both need at the same time */
    work.start = start;
    work.stop = stop;
    work.ready = bases_are_over;
    work.on_tick = show_logs;
    builder->buildings = memory_allocate((count + 1) * sizeof *builder->buildings);
    for (size_t i = 0; i < count; i++)
        image_work_add(&work, builder->list.items.items[i].name, NULL);
    for (size_t i = 0; i < count; i++) { /* now that they do not move any more */
        builder->buildings[i] = (struct building){
            .job = &work.jobs.items[i], .item = &builder->list.items.items[i], .builder = builder, .log = -1};
        work.jobs.items[i].own = &builder->buildings[i];
    }
    int status = image_work_run(&work);
    for (size_t i = 0; i < count; i++) {
        struct building *building = &builder->buildings[i];
        close_building(building);
        memory_free(building->log_path);
        memory_free(building->digest);
        text_clear(&building->line);
        text_clear(&building->last);
        words_clear(&building->labels);
        words_clear(&building->argv);
    }
    memory_free(builder->buildings);
    if (work.next > 0)
        log_notice("the logs are in '%s'", builder->logs);
    return status;
}

/* All of it. */

static bool is_program(const char *tool)
{
    return text_equal(tool, "podman") || text_equal(tool, "buildah") || text_equal(tool, "make");
}

/* A plan whose runtime can build. The exit status when there is none. */
static int plan_for_build(struct invocation *invocation, struct planning *planning)
{
    struct build_values *values = invocation->values;
    if (is_program(values->tool))
        return image_work_plan(invocation, &values->pipeline, PLAN_NAMES, planning);
    if (values->tool != NULL)
        values->pipeline.runtime = values->tool;
    int status = image_work_plan(invocation, &values->pipeline, PLAN_IMAGES, planning);
    bool named = values->pipeline.runtime != NULL;
    if (planning->plan == NULL || named || plugin_runtime(planning->plan->backends[0].runtime)->build != NULL)
        return status;
    planning_clear(planning);
    *planning = (struct planning){0};
    values->pipeline.runtime = "docker";
    return image_work_plan(invocation, &values->pipeline, PLAN_IMAGES, planning);
}

static int say_nothing_to_build(struct invocation *invocation, const struct planning *planning)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *stage = command_word(invocation, 1);
    if (planning->pipeline->image_folders.count == 0)
        error_set(&error, ERROR_INPUT, "there is nothing to build: the pipeline names no folders of images");
    else
        error_set(&error, ERROR_INPUT, "there is nothing to build: %s%s%s has a folder",
                  stage != NULL ? "'" : "no stage", stage != NULL ? stage : "",
                  stage != NULL ? "': none of these stages" : "");
    error_hint(&error, "pipeline.images names the folders that hold stage folders");
    return command_refuse(invocation, NULL, &error);
}

static int build_planned(struct invocation *invocation, struct planning *planning)
{
    const struct build_values *values = invocation->values;
    struct builder builder = {
        .invocation = invocation,
        .planning = planning,
        .options = {
            .no_cache = values->no_cache, .pull = values->pull, .tool = values->tool, .pipeline = planning->pipeline}};
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!is_program(values->tool))
        builder.runtime = planning->plan->backends[0].runtime;
    int status;
    if (!build_list_make(planning->plan, &values->arguments, &builder.list, &error))
        status = command_refuse(invocation, NULL, &error);
    else if (builder.list.items.count == 0)
        status = say_nothing_to_build(invocation, planning);
    else if (!make_logs_folder(&builder, &error))
        status = command_refuse(invocation, NULL, &error);
    else
        status = build_all(&builder, values->json);
    build_list_clear(&builder.list);
    memory_free(builder.logs);
    return status;
}

static int run_build(struct invocation *invocation)
{
    struct build_values *values = invocation->values;
    cleanup(planning_clear) struct planning planning = {0};
    int status = plan_for_build(invocation, &planning);
    if (planning.plan == NULL)
        return status;
    bool fetched_any = false;
    status = build_sources_fetch(invocation, &planning, values->json, &fetched_any);
    if (status != 0)
        return status;
    if (fetched_any) { /* their folders are known now */
        planning_clear(&planning);
        planning = (struct planning){0};
        status = plan_for_build(invocation, &planning);
        if (planning.plan == NULL)
            return status;
    }
    return build_planned(invocation, &planning);
}

static void clear(void *values)
{
    words_clear(&((struct build_values *)values)->arguments);
    pipeline_options_clear(values);
}

const struct command command_build = {
    .name = "build",
    .summary = "build the images of a pipeline from its stage folders",
    .description =
        "The FROM and ARG lines of the Dockerfiles decide the order; images of folders beside the stages' that are "
        "built "
        "upon come first. Stages with 'github:' are fetched by commit into a cache. Each image has a log of its own.",
    .examples = "  descpipe build pipeline.yaml\n  descpipe build pipeline.yaml tomography --no-cache\n"
                "  descpipe build pipeline.yaml --build-arg base=1.1 --tool podman",
    .options = options,
    .pipeline_options = pipeline_options_table,
    .positionals = image_positionals,
    .values_size = sizeof(struct build_values),
    .run = run_build,
    .clear = clear,
};
