/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world of one attempt: command, environment, mounts and limits as a runtime gets them.
 *
 * How it works: everything a stage may see is named here and nothing else reaches it. Where the runtime isolates
 * paths the stage's three folders are mounted at the places the original project used; where it does not (`host`)
 * DESC_INPUT and its kin name the real folders. Values that only the starting machine knows, and secrets, are named in
 * `late_names`, never written here.
 */
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "plan/plan.h"
#include "plan/python_module.h"

#define DEFAULT_COMMAND "/opt/desc/run.py"
#define STAGE_UMASK 022

struct arena_words { /* a list of texts in the arena, ending with NULL */
    struct arena *arena;
    LIST(const char *) list;
};

static void arena_words_add(struct arena_words *words, const char *text)
{
    list_add(&words->list, arena_copy_text(words->arena, text));
}

static void arena_words_pair(struct arena_words *words, const char *name, const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    char *pair = arena_allocate(words->arena, name_length + value_length + 2);
    memcpy(pair, name, name_length);
    pair[name_length] = '=';
    memcpy(pair + name_length + 1, value, value_length);
    list_add(&words->list, pair);
}

/* Replaces what stands there of that name: of two, some programs take the first and some the last. */
static void arena_words_set(struct arena_words *words, const char *name, const char *value)
{
    arena_words_pair(words, name, value);
    size_t length = strlen(name), last = words->list.count - 1;
    for (size_t i = 0; i < last; i++) {
        if (strncmp(words->list.items[i], name, length) != 0 || words->list.items[i][length] != '=')
            continue;
        words->list.items[i] = words->list.items[last];
        words->list.count--;
        return;
    }
}

static void arena_words_number(struct arena_words *words, const char *name, uint64_t number)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append_unsigned(&text, number);
    arena_words_pair(words, name, text_bytes(&text));
}

static const char *const *arena_words_end(struct arena_words *words)
{
    size_t bytes = (words->list.count + 1) * sizeof(char *);
    const char **ended = arena_allocate(words->arena, bytes);
    if (words->list.count > 0)
        memcpy(ended, words->list.items, words->list.count * sizeof(char *));
    list_clear(&words->list);
    return ended;
}

struct launch { /* what the helpers below share */
    const struct plan *plan;
    const struct plan_launch *request;
    const struct pipeline *pipeline;
    const struct stage *stage;
    const struct plan_backend *backend;
    uint32_t member;
    bool isolated;                       /* the runtime mounts; else the machine's own paths hold */
    const char *input, *output, *config; /* as the stage sees them */
};

static const char *expanded(const struct launch *launch, symbol text_symbol)
{
    const char *text = pipeline_text(launch->pipeline, text_symbol);
    if (!strchr(text, '$'))
        return text;
    cleanup(text_clear) struct text out = TEXT_INIT;
    stage_expand(launch->pipeline, launch->stage, launch->member, text, &out);
    return arena_copy(launch->request->arena, text_bytes(&out), out.length);
}

static void command_add_slice(const struct launch *launch, struct arena_words *command, struct slice slice)
{
    for (uint32_t i = 0; i < slice.count; i++)
        arena_words_add(command, expanded(launch, launch->pipeline->symbols_array.items[slice.at + i]));
}

static uint32_t launch_ranks(const struct launch *launch)
{
    const struct resources *resources = &launch->pipeline->resources.items[launch->stage->resources];
    uint32_t nodes = resources->nodes ? resources->nodes : 1, ppn = resources->ppn ? resources->ppn : 1;
    return launch->stage->parallel == PARALLEL_MPI ? nodes * ppn : 1;
}

static bool is_pod(const struct launch *launch)
{
    return launch->backend->form == DESCPIPE_FORM_POD;
}

/* A launcher elsewhere would start it once per rank, and the runtime cannot take that: one container holds them all. */
static bool launcher_is_left_out(const struct plan_backend *backend)
{
    return (plugin_scheduler(backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS) == 0 &&
           (plugin_runtime(backend->runtime)->capabilities & DESCPIPE_RUNTIME_RANKS_OUTSIDE) == 0;
}

/* On this machine, and in a pod, there is no launcher around the container: its own mpirun starts the ranks inside, in
 * one world. */
static bool ranks_are_inside(const struct launch *launch)
{
    bool here = (plugin_scheduler(launch->backend->scheduler)->capabilities & DESCPIPE_SCHEDULER_HOST_STARTS) != 0;
    return launch_ranks(launch) > 1 && (is_pod(launch) || here || launcher_is_left_out(launch->backend));
}

/* Elsewhere the scheduler's launcher starts the container once per rank. */
static bool ranks_are_outside(const struct launch *launch)
{
    return launch_ranks(launch) > 1 && !ranks_are_inside(launch);
}

static const char *const *launch_command(const struct launch *launch)
{
    struct arena_words command = {.arena = launch->request->arena};
    const struct stage_extras *extras = launch->stage->extras;
    if (ranks_are_inside(launch)) {
        cleanup(memory_free) char *ranks = memory_format("%u", launch_ranks(launch));
        arena_words_add(&command, "mpirun");
        arena_words_add(&command, "-n");
        arena_words_add(&command, ranks);
    }
    if (extras && extras->script) {
        if (extras->interpreter.count > 0)
            command_add_slice(launch, &command, extras->interpreter);
        else
            arena_words_add(&command, "sh");
        cleanup(memory_free) char *script = path_join(launch->config, PLAN_SCRIPT_NAME);
        arena_words_add(&command, script);
    } else if (launch->stage->command.count > 0) {
        command_add_slice(launch, &command, launch->stage->command);
    } else if (!launch->isolated && launch->stage->folder) {
        cleanup(memory_free) char *program =
            path_join(pipeline_text(launch->pipeline, launch->stage->folder), "run.py");
        arena_words_add(&command, program);
    } else {
        arena_words_add(&command, DEFAULT_COMMAND);
    }
    return arena_words_end(&command);
}

/* A stage on the bare machine finds its tools where its caller does; in a container the image says where they are. */
static void environment_add_caller(struct arena_words *environment)
{
    const char *path = secure_getenv("PATH");
    const char *home = secure_getenv("HOME");
    arena_words_pair(environment, "PATH", path ? path : "/usr/local/bin:/usr/bin:/bin");
    arena_words_pair(environment, "HOME", home ? home : "/");
}

static bool wants_python_module(const struct launch *launch)
{
    return launch->stage->extras && launch->stage->extras->python_module && launch->plan->python_module;
}

static void environment_add_python_module(const struct launch *launch, struct arena_words *environment)
{
    if (launch->isolated || !wants_python_module(launch))
        return; /* in a container it lies beside run.py */
    cleanup(memory_free) char *folder = path_folder(launch->plan->python_module);
    arena_words_pair(environment, "PYTHONPATH", folder);
}

static const char *parallel_word(uint8_t parallel)
{
    switch (parallel) {
    case PARALLEL_MPI:
        return "mpi";
    case PARALLEL_EMBARRASSING:
        return "embarassing"; /* the original's spelling, which its stages compare with */
    default:
        return "serial";
    }
}

static void environment_add_ranks(const struct launch *launch, struct arena_words *environment)
{
    const struct stage *stage = launch->stage;
    const struct resources *resources = &launch->pipeline->resources.items[stage->resources];
    arena_words_pair(environment, "DESC_PARALLEL", parallel_word(stage->parallel));
    if (stage->parallel == PARALLEL_EMBARRASSING) {
        arena_words_number(environment, "DESC_RANK", launch->member);
        arena_words_number(environment, "DESC_SIZE", stage->members);
    } else if (stage->parallel == PARALLEL_MPI) {
        arena_words_number(environment, "DESC_SIZE",
                           launch_ranks(launch)); /* each rank learns its own from the launcher */
    } else {
        arena_words_number(environment, "DESC_RANK", 0);
        arena_words_number(environment, "DESC_SIZE", 1);
    }
    if (resources->openmp)
        arena_words_number(environment, "OMP_NUM_THREADS", resources->openmp);
}

static void environment_add_member(const struct launch *launch, struct arena_words *environment)
{
    const struct stage_extras *extras = launch->stage->extras;
    if (!extras || launch->stage->members == 0)
        return;
    for (size_t i = 0; i < extras->foreach.count; i++) {
        cleanup(text_clear) struct text name = TEXT_INIT;
        text_append(&name, "DESC_EACH_");
        for (const char *c = pipeline_text(launch->pipeline, extras->foreach.items[i].key); *c; c++)
            text_append_character(&name, *c == '-' ? '_' : (*c >= 'a' && *c <= 'z') ? (char)(*c - 'a' + 'A') : *c);
        symbol value = stage_member_value(launch->pipeline, launch->stage, launch->member, i);
        arena_words_pair(environment, text_bytes(&name), pipeline_text(launch->pipeline, value));
    }
}

static const char *const *launch_environment(const struct launch *launch)
{
    struct arena_words environment = {.arena = launch->request->arena};
    if (launch->isolated)
        arena_words_pair(&environment, "HOME", "/tmp"); /* writable in every runtime, whoever the caller is */
    else
        environment_add_caller(&environment);
    arena_words_pair(&environment, "LANG", "C.UTF-8");
    arena_words_pair(&environment, "DESC_INPUT", launch->input);
    arena_words_pair(&environment, "DESC_OUTPUT", launch->output);
    arena_words_pair(&environment, "DESC_CONFIG", launch->config);
    environment_add_python_module(launch, &environment);
    if (launch->request->scratch)
        arena_words_pair(&environment, "TMPDIR", launch->isolated ? PLAN_CONTAINER_SCRATCH : launch->request->scratch);
    environment_add_ranks(launch, &environment);
    environment_add_member(launch, &environment);
    const struct stage_extras *extras = launch->stage->extras;
    for (size_t i = 0; extras && i < extras->environment.count; i++) {
        const struct variable *variable = &extras->environment.items[i];
        if (!variable->secret)
            arena_words_set(&environment, pipeline_text(launch->pipeline, variable->name),
                            expanded(launch, variable->value));
    }
    return arena_words_end(&environment);
}

static const char *const *launch_late_names(const struct launch *launch)
{
    struct arena_words names = {.arena = launch->request->arena};
    const struct stage_extras *extras = launch->stage->extras;
    for (size_t i = 0; extras && i < extras->environment.count; i++) {
        if (extras->environment.items[i].secret)
            arena_words_add(&names, pipeline_text(launch->pipeline, extras->environment.items[i].name));
    }
    if (launch->pipeline->resources.items[launch->stage->resources].gpus > 0 &&
        !is_pod(launch)) /* the node says which */
        arena_words_add(&names, "CUDA_VISIBLE_DEVICES");
    if (ranks_are_outside(launch))
        arena_words_add(&names, "DESC_RANK");
    return arena_words_end(&names);
}

static void mounts_add(const struct launch *launch, const struct descpipe_mount **mounts, size_t *count,
                       const char *source, const char *target, uint32_t flags)
{
    struct descpipe_mount *mount = arena_allocate(launch->request->arena, sizeof(*mount));
    *mount = (struct descpipe_mount){.size = sizeof(*mount), .flags = flags, .source = source, .target = target};
    mounts[(*count)++] = mount;
}

static const struct descpipe_mount *const *launch_mounts(const struct launch *launch)
{
    const struct stage_extras *extras = launch->stage->extras;
    size_t site = extras ? extras->mounts.count : 0, count = 0;
    const struct descpipe_mount **mounts = arena_allocate(launch->request->arena, (site + 6) * sizeof(*mounts));
    const struct plan_launch *request = launch->request;
    if (launch->isolated) {
        mounts_add(launch, mounts, &count, request->input, PLAN_CONTAINER_INPUT, DESCPIPE_MOUNT_READ_ONLY);
        mounts_add(launch, mounts, &count, request->output, PLAN_CONTAINER_OUTPUT, 0);
        mounts_add(launch, mounts, &count, request->config, PLAN_CONTAINER_CONFIG, DESCPIPE_MOUNT_READ_ONLY);
    }
    if (launch->isolated && request->scratch)
        mounts_add(launch, mounts, &count, request->scratch, PLAN_CONTAINER_SCRATCH,
                   is_pod(launch) ? DESCPIPE_MOUNT_SCRATCH : 0);
    if (launch->isolated && wants_python_module(launch))
        mounts_add(launch, mounts, &count, launch->plan->python_module, PYTHON_MODULE_TARGET,
                   DESCPIPE_MOUNT_READ_ONLY | DESCPIPE_MOUNT_FILE);
    for (size_t i = 0; i < site; i++) {
        const struct bind *bind = &extras->mounts.items[i];
        mounts_add(launch, mounts, &count, expanded(launch, bind->source), expanded(launch, bind->target),
                   bind->read_only ? DESCPIPE_MOUNT_READ_ONLY : 0);
    }
    mounts[count] = NULL;
    return mounts;
}

void plan_resources(const struct plan *plan, uint32_t stage_number, struct descpipe_resources *result)
{
    const struct stage *stage = &plan->pipeline->stages.items[stage_number];
    const struct resources *said = &plan->pipeline->resources.items[stage->resources];
    *result = (struct descpipe_resources){
        .size = sizeof(*result),
        .nodes = said->nodes ? said->nodes : 1,
        .ranks_per_node = stage->parallel == PARALLEL_MPI && said->ppn ? said->ppn : 1,
        .cpus_per_rank = said->cpus     ? said->cpus
                         : said->openmp ? said->openmp
                                        : 1,
        .gpus_per_node = said->gpus,
        .threads = said->openmp,
        .memory_per_node = said->memory,
        .scratch = said->scratch,
        .time_limit_ms = (uint64_t)said->minutes * 60000,
    };
    const struct plan_backend *backend = &plan->backends[plan->stages[stage_number].backend];
    if (backend->form == DESCPIPE_FORM_COMMAND && launcher_is_left_out(backend)) { /* to the scheduler it is one task */
        result->cpus_per_rank *= result->ranks_per_node;
        result->ranks_per_node = 1;
    }
}

const struct descpipe_stage *plan_launch_stage(const struct plan *plan, const struct plan_launch *request)
{
    uint32_t number = plan_task_stage(plan, request->task);
    const struct plan_stage *planned = &plan->stages[number];
    struct launch launch = {
        .plan = plan,
        .request = request,
        .pipeline = plan->pipeline,
        .stage = &plan->pipeline->stages.items[number],
        .backend = &plan->backends[planned->backend],
        .member = plan_task_member(plan, request->task),
    };
    launch.isolated = (plugin_runtime(launch.backend->runtime)->capabilities & DESCPIPE_RUNTIME_ISOLATES_PATHS) != 0;
    launch.input = launch.isolated ? PLAN_CONTAINER_INPUT : request->input;
    launch.output = launch.isolated ? PLAN_CONTAINER_OUTPUT : request->output;
    launch.config = launch.isolated ? PLAN_CONTAINER_CONFIG : request->config;

    struct descpipe_resources *resources = arena_allocate(request->arena, sizeof(*resources));
    plan_resources(plan, number, resources);
    if (request->memory)
        resources->memory_per_node = request->memory;
    const struct stage_extras *extras = launch.stage->extras;
    const char *member = NULL;
    if (launch.stage->members > 0) {
        cleanup(text_clear) struct text name = TEXT_INIT;
        stage_member_name(plan->pipeline, launch.stage, launch.member, &name);
        member = arena_copy(request->arena, text_bytes(&name), name.length);
    }
    struct descpipe_stage *stage = arena_allocate(request->arena, sizeof(*stage));
    *stage = (struct descpipe_stage){
        .size = sizeof(*stage),
        .flags = (extras && extras->network == 0 ? (uint32_t)DESCPIPE_STAGE_NO_NETWORK : 0) |
                 (is_pod(&launch) ? (uint32_t)DESCPIPE_STAGE_POD : 0),
        .uid = getuid(),
        .gid = getgid(),
        .umask_bits = STAGE_UMASK,
        .ranks = ranks_are_inside(&launch)    ? DESCPIPE_RANKS_INSIDE
                 : ranks_are_outside(&launch) ? DESCPIPE_RANKS_OUTSIDE
                                              : DESCPIPE_RANKS_NONE,
        .run = request->run,
        .name = pipeline_text(plan->pipeline, launch.stage->name),
        .member = member,
        .attempt = request->attempt,
        .token = request->token,
        .image = planned->image == UINT32_MAX ? NULL : &plan->images[planned->image].image,
        .image_handle = planned->image == UINT32_MAX ? NULL : plan->images[planned->image].handle,
        .command = launch_command(&launch),
        .environment = launch_environment(&launch),
        .late_names = launch_late_names(&launch),
        .mounts = launch_mounts(&launch),
        .directory = extras && extras->workdir ? expanded(&launch, extras->workdir) : launch.output,
        .host_directory = request->host_directory,
        .resources = resources,
        .settings = (const struct descpipe_settings *)planned->runtime_settings,
        .gpus = request->gpus,
    };
    return stage;
}

/* The words of the interface are those of the pipeline, bit by bit. */
_Static_assert((int)DESCPIPE_RETRY_NODE_FAILED == (int)RETRY_NODE_FAIL &&
                   (int)DESCPIPE_RETRY_PREEMPTED == (int)RETRY_PREEMPTED &&
                   (int)DESCPIPE_RETRY_TIMED_OUT == (int)RETRY_TIMEOUT &&
                   (int)DESCPIPE_RETRY_OUT_OF_MEMORY == (int)RETRY_OOM && (int)DESCPIPE_RETRY_LOST == (int)RETRY_LOST &&
                   (int)DESCPIPE_RETRY_IMAGE == (int)RETRY_IMAGE && (int)DESCPIPE_RETRY_FAILED == (int)RETRY_FAIL &&
                   (int)DESCPIPE_RETRY_EXIT_CODES == (int)RETRY_EXIT_CODES,
               "retry reasons");

const struct descpipe_retries *plan_retries(struct arena *arena, const struct stage *stage)
{
    const struct retries *own = stage->extras != NULL ? &stage->extras->retries : NULL;
    if (own == NULL || own->limit == 0)
        return NULL;
    struct descpipe_retries *retries = arena_allocate(arena, sizeof *retries);
    *retries = (struct descpipe_retries){.size = sizeof *retries,
                                         .limit = own->limit,
                                         .reasons = own->reasons,
                                         .exit_codes = own->exit_codes,
                                         .exit_codes_count = (uint32_t)own->exit_codes_count,
                                         .backoff_ms = own->backoff_ms};
    return retries;
}

void plan_warning(const struct stage *stage, struct descpipe_job *job)
{
    const struct checkpoint *checkpoint = stage->extras != NULL ? &stage->extras->checkpoint : NULL;
    if (checkpoint == NULL || checkpoint->files.count == 0)
        return;
    job->signal = (uint32_t)checkpoint->signal;
    job->signal_before_ms = (uint64_t)checkpoint->before_ms;
}
