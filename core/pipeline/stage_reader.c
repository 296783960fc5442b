/* SPDX-License-Identifier: BSD-3-Clause */
/* One stage: its keys from every source, and what must hold within it. */
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "pipeline/github.h"
#include "pipeline/stage_draft.h"

enum { RANKS_HIGHEST = 65536, NODES_HIGHEST = 1000000, MINUTES_HIGHEST = 5256000, MEMORY_LOWEST = 1024 * 1024 };

static const char *const key_names[KEY_COUNT] = {
    "",        "depends-on",  "inputs",     "outputs",       "config",  "image",      "command",
    "script",  "interpreter", "env",        "cpus",          "memory",  "gpus",       "openmp",
    "nodes",   "ppn",         "minutes",    "parallel",      "size",    "foreach",    "limit",
    "retries", "on",          "mounts",     "scratch",       "network", "workdir",    "pull",
    "backend", "github",      "checkout",   "python-module", "cache",   "checkpoint", "processes",
    "cores",   "time",        "depends_on",
};

/* As they stand in messages; ready, for numbers are read by the hundred thousand. */
static const char *const key_quoted[KEY_COUNT] = {
    "''",        "'depends-on'",  "'inputs'",     "'outputs'",       "'config'",  "'image'",      "'command'",
    "'script'",  "'interpreter'", "'env'",        "'cpus'",          "'memory'",  "'gpus'",       "'openmp'",
    "'nodes'",   "'ppn'",         "'minutes'",    "'parallel'",      "'size'",    "'foreach'",    "'limit'",
    "'retries'", "'on'",          "'mounts'",     "'scratch'",       "'network'", "'workdir'",    "'pull'",
    "'backend'", "'github'",      "'checkout'",   "'python-module'", "'cache'",   "'checkpoint'", "'processes'",
    "'cores'",   "'time'",        "'depends_on'",
};

static unsigned key_hash(const char *key, size_t length)
{
    return ((unsigned)length * 29 + (unsigned char)key[0] * 7 + (unsigned char)key[length - 1] * 3) & 255;
}

void stage_keys_prepare(struct pipeline_reader *reader)
{
    for (unsigned key = 1; key < KEY_COUNT; key++) {
        unsigned at = key_hash(key_names[key], strlen(key_names[key]));
        while (reader->stage_keys[at] != 0)
            at = (at + 1) & 255;
        reader->stage_keys[at] = (uint8_t)key;
    }
}

enum stage_key stage_key_find(const struct pipeline_reader *reader, const char *key)
{
    size_t length = strlen(key);
    for (unsigned at = length > 0 ? key_hash(key, length) : 0; reader->stage_keys[at] != 0; at = (at + 1) & 255)
        if (key_names[reader->stage_keys[at]][0] == key[0] && strcmp(key_names[reader->stage_keys[at]], key) == 0)
            return (enum stage_key)reader->stage_keys[at];
    return KEY_NONE;
}

bool stage_key_is_known(const struct pipeline_reader *reader, const char *key)
{
    return stage_key_find(reader, key) != KEY_NONE;
}

const char *stage_key_nearest(const char *key)
{
    const char *known[KEY_COUNT];
    size_t count = 0;
    for (int i = KEY_DEPENDS_ON; i < KEY_OLD_PROCESSES; i++)
        known[count++] = key_names[i];
    known[count] = NULL;
    return text_nearest(key, known);
}

struct stage_extras *stage_draft_extras(struct stage_draft *draft)
{
    if (draft->extras == NULL) {
        draft->extras = memory_allocate(sizeof *draft->extras);
        draft->extras->network = -1;
    }
    return draft->extras;
}

static void read_number(struct stage_draft *draft, const struct node *node, enum stage_key key, uint64_t minimum,
                        uint64_t maximum, uint32_t *result)
{
    uint64_t value;
    if (node_to_unsigned(draft->document, node, key_quoted[key], minimum, maximum, &value, draft->reader->problems))
        *result = (uint32_t)value;
}

static void read_amount(struct stage_draft *draft, const struct node *node, enum stage_key key, uint64_t *result)
{
    uint64_t value;
    if (!node_to_bytes(draft->document, node, key_quoted[key], &value, draft->reader->problems))
        return;
    if (value < MEMORY_LOWEST)
        draft_refuse_kind(draft, node, key_quoted[key], "at least 1 MiB", "write the unit: 8GiB, 500MB");
    else
        *result = value;
}

/* One of a few words; its index, or -1 with the problem. */
static int read_word(struct stage_draft *draft, const struct node *node, const char *what, const char *const *words,
                     const char *wanted)
{
    const char *text;
    if (!node_to_text(draft->document, node, what, &text, draft->reader->problems))
        return -1;
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    draft_refuse_kind(draft, node, what, wanted, NULL);
    return -1;
}

static void read_parallel(struct stage_draft *draft, const struct node *node)
{
    static const char *const words[] = {"serial", "mpi", "embarrassing", "embarassing", NULL};
    int word = read_word(draft, node, "'parallel'", words, "serial, mpi or embarrassing");
    if (word >= 0)
        draft->stage.parallel = (uint8_t)(word < 3 ? word : PARALLEL_EMBARRASSING);
    draft->parallel_place = node_place(draft->document, node);
}

static void read_pull(struct stage_draft *draft, const struct node *node)
{
    static const char *const words[] = {"missing", "always", "never", NULL};
    int word = read_word(draft, node, "'pull'", words, "missing, always or never");
    if (word >= 0)
        stage_draft_extras(draft)->pull = reader_intern(draft->reader, words[word]);
}

static void read_script(struct stage_draft *draft, const struct node *node)
{
    if (node_kind(node) != NODE_SCALAR || node_is_null(node)) {
        draft_refuse_kind(draft, node, "'script'", "a text", "write script: | and the lines below it");
        return;
    }
    const char *text = node_raw_text(node);
    stage_draft_extras(draft)->script = reader_intern(draft->reader, text);
    if (text[0] == '\0')
        draft_refuse_kind(draft, node, "'script'", "a text", NULL);
}

static void read_interpreter(struct stage_draft *draft, const struct node *node)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    struct slice *interpreter = &stage_draft_extras(draft)->interpreter;
    draft->interpreter_place = node_place(draft->document, node);
    if (node_kind(node) == NODE_SCALAR) {
        symbol word;
        if (!draft_text(draft, node, "'interpreter'", &word))
            return;
        *interpreter = (struct slice){.at = (uint32_t)pipeline->symbols_array.count, .count = 1};
        list_add(&pipeline->symbols_array, word);
        return;
    }
    draft_words(draft, node, "'interpreter'", interpreter);
}

static void read_workdir(struct stage_draft *draft, const struct node *node)
{
    symbol folder;
    if (!draft_text(draft, node, "'workdir'", &folder))
        return;
    if (pipeline_text(draft->reader->pipeline, folder)[0] == '/')
        stage_draft_extras(draft)->workdir = folder;
    else
        draft_refuse_kind(draft, node, "'workdir'", "an absolute path inside the container", NULL);
}

static void read_github(struct stage_draft *draft, const struct node *node)
{
    symbol repository;
    if (!draft_text(draft, node, "'github'", &repository))
        return;
    const char *text = pipeline_text(draft->reader->pipeline, repository);
    if (github_repository_is_valid(text))
        stage_draft_extras(draft)->github = repository;
    else
        draft_refuse_kind(draft, node, "'github'", "OWNER/REPOSITORY", NULL);
}

static void read_checkout(struct stage_draft *draft, const struct node *node)
{
    symbol checkout;
    if (!draft_text(draft, node, "'checkout'", &checkout))
        return;
    if (github_checkout_is_valid(pipeline_text(draft->reader->pipeline, checkout)))
        stage_draft_extras(draft)->checkout = checkout;
    else
        draft_refuse_kind(draft, node, "'checkout'", "a branch, a tag or a commit", NULL);
}

static void read_command(struct stage_draft *draft, const struct node *node)
{
    if (node_kind(node) == NODE_SCALAR) {
        draft_refuse_kind(draft, node, "'command'", "a list of words",
                          "write [/opt/desc/run.py, --fast]; for a shell line use script: |");
        return;
    }
    draft_words(draft, node, "'command'", &draft->stage.command);
    const struct pipeline *pipeline = draft->reader->pipeline;
    const struct slice *command = &draft->stage.command;
    if (node_kind(node) == NODE_SEQUENCE &&
        (command->count == 0 || pipeline_text(pipeline, pipeline->symbols_array.items[command->at])[0] == '\0'))
        draft_refuse(draft, node_place(draft->document, node), "write [/opt/desc/run.py, --fast]",
                     "'command' names no program");
}

static void read_network(struct stage_draft *draft, const struct node *node)
{
    bool network;
    if (node_to_boolean(draft->document, node, "'network'", &network, draft->reader->problems))
        stage_draft_extras(draft)->network = network;
}

static void read_python_module(struct stage_draft *draft, const struct node *node)
{
    bool wanted;
    if (node_to_boolean(draft->document, node, "'python-module'", &wanted, draft->reader->problems))
        stage_draft_extras(draft)->python_module = wanted;
}

static void read_cache(struct stage_draft *draft, const struct node *node)
{
    bool wanted;
    if (!node_to_boolean(draft->document, node, "'cache'", &wanted, draft->reader->problems))
        return;
    stage_draft_extras(draft)->never_cached = !wanted;
    stage_draft_extras(draft)->remembered = wanted;
}

static void note_old_key(struct stage_draft *draft, enum stage_key key, struct place place)
{
    static const char *const todays[] = {"ppn", "cpus", "minutes", "depends-on"};
    cleanup(text_clear) struct text hint = TEXT_INIT;
    text_format(&hint, "write '%s'", todays[key - KEY_OLD_PROCESSES]);
    problem_add(draft->reader->problems, PROBLEM_NOTE, place, text_bytes(&hint),
                "the key '%s' is not read and never was", key_names[key]);
}

static void refuse_unknown(struct stage_draft *draft, const char *key, struct place place)
{
    cleanup(text_clear) struct text hint = TEXT_INIT;
    const char *nearest = stage_key_nearest(key);
    if (nearest != NULL)
        text_format(&hint, "did you mean '%s'?", nearest);
    draft_refuse(draft, place, nearest != NULL ? text_bytes(&hint) : NULL, "a stage has no key '%.100s'", key);
}

static void read_resource(struct stage_draft *draft, enum stage_key key, const struct node *node)
{
    struct resources *resources = &draft->resources;
    switch (key) {
    case KEY_CPUS:
        read_number(draft, node, key, 1, RANKS_HIGHEST, &resources->cpus);
        break;
    case KEY_MEMORY:
        read_amount(draft, node, key, &resources->memory);
        break;
    case KEY_GPUS:
        read_number(draft, node, key, 0, 1024, &resources->gpus);
        break;
    case KEY_OPENMP:
        read_number(draft, node, key, 1, RANKS_HIGHEST, &resources->openmp);
        break;
    case KEY_NODES:
        read_number(draft, node, key, 1, NODES_HIGHEST, &resources->nodes);
        draft->nodes_place = node_place(draft->document, node);
        break;
    case KEY_PPN:
        read_number(draft, node, key, 1, RANKS_HIGHEST, &resources->ppn);
        draft->nodes_place = node_place(draft->document, node);
        break;
    case KEY_MINUTES:
        read_number(draft, node, key, 1, MINUTES_HIGHEST, &resources->minutes);
        break;
    default:
        read_amount(draft, node, KEY_SCRATCH, &resources->scratch);
    }
}

/* A text whose place is told when it turns out to be wrong later. */
static void read_placed(struct stage_draft *draft, const struct node *node, const char *what, symbol *result,
                        struct spot *spot)
{
    struct place place = node_place(draft->document, node);
    draft_text(draft, node, what, result);
    if (strcmp(place.file, draft->reader->pipeline->file) == 0)
        *spot = (struct spot){.line = place.line, .column = place.column};
}

static void read_extra(struct stage_draft *draft, enum stage_key key, const struct node *node)
{
    struct stage_extras *extras = stage_draft_extras(draft);
    switch (key) {
    case KEY_IMAGE:
        read_placed(draft, node, "'image'", &extras->image, &extras->image_at);
        draft_check_image(draft, node, extras->image);
        break;
    case KEY_LIMIT:
        read_placed(draft, node, "'limit'", &extras->limit, &extras->limit_at);
        break;
    case KEY_BACKEND:
        read_placed(draft, node, "'backend'", &extras->backend, &extras->backend_at);
        break;
    case KEY_CHECKOUT:
        read_checkout(draft, node);
        break;
    case KEY_SCRIPT:
        read_script(draft, node);
        break;
    case KEY_INTERPRETER:
        read_interpreter(draft, node);
        break;
    case KEY_ENV:
        draft_environment(draft, node);
        break;
    case KEY_RETRIES:
        draft_retries(draft, node);
        break;
    case KEY_CHECKPOINT:
        draft_checkpoint(draft, node);
        break;
    case KEY_ON:
        draft_plugin_options(draft, node);
        break;
    case KEY_MOUNTS:
        draft_mounts(draft, node);
        break;
    case KEY_NETWORK:
        read_network(draft, node);
        break;
    case KEY_PYTHON_MODULE:
        read_python_module(draft, node);
        break;
    case KEY_CACHE:
        read_cache(draft, node);
        break;
    case KEY_WORKDIR:
        read_workdir(draft, node);
        break;
    case KEY_PULL:
        read_pull(draft, node);
        break;
    default:
        read_github(draft, node);
    }
}

/* A script is verbatim: what looks like ${each.KEY} there is the shell's. */
#define KEYS_WITH_EACH                                                                                                 \
    (KEY_BIT(KEY_COMMAND) | KEY_BIT(KEY_INTERPRETER) | KEY_BIT(KEY_ENV) | KEY_BIT(KEY_MOUNTS) | KEY_BIT(KEY_WORKDIR) | \
     KEY_BIT(KEY_SCRIPT))

static bool uses_each(const char *text)
{
    const char *at = strstr(text, "${each.");
    return at != NULL && (at == text || at[-1] != '$');
}

void stage_draft_key(struct stage_draft *draft, const char *name, struct place key_place, const struct node *node)
{
    enum stage_key key = stage_key_find(draft->reader, name);
    if (key == KEY_NONE) {
        refuse_unknown(draft, name, key_place);
        return;
    }
    if (draft->given & KEY_BIT(key) && key != KEY_CONFIG) /* an earlier source said it; config tags add up */
        return;
    draft->given |= KEY_BIT(key);
    if (node_kind(node) == NODE_SCALAR && !(KEY_BIT(key) & KEYS_WITH_EACH) && uses_each(node_text(node))) {
        draft_refuse(draft, node_place(draft->document, node),
                     "command, interpreter, env, mounts and workdir take it; the rest is the same for all members",
                     "%s does not take ${each.KEY}", key_quoted[key]);
        return;
    }
    switch (key) {
    case KEY_DEPENDS_ON:
        if (!node_is_null(node))
            draft_depends_on(draft, node);
        break;
    case KEY_INPUTS:
        draft->stage.inputs_from = (uint8_t)draft->source;
        draft_files(draft, node, "'inputs'", &draft->stage.inputs);
        break;
    case KEY_OUTPUTS:
        draft->stage.outputs_from = (uint8_t)draft->source;
        draft_files(draft, node, "'outputs'", &draft->stage.outputs);
        break;
    case KEY_CONFIG:
        draft_config(draft, node);
        break;
    case KEY_COMMAND:
        read_command(draft, node);
        break;
    case KEY_PARALLEL:
        read_parallel(draft, node);
        break;
    case KEY_SIZE:
        read_number(draft, node, key, 1, MEMBERS_LIMIT, &draft->size);
        break;
    case KEY_FOREACH:
        foreach_read(draft->reader, draft->document, node, &draft->stage, stage_draft_extras(draft));
        break;
    case KEY_CPUS:
    case KEY_MEMORY:
    case KEY_GPUS:
    case KEY_OPENMP:
    case KEY_NODES:
    case KEY_PPN:
    case KEY_MINUTES:
    case KEY_SCRATCH:
        read_resource(draft, key, node);
        break;
    case KEY_OLD_PROCESSES:
    case KEY_OLD_CORES:
    case KEY_OLD_TIME:
    case KEY_OLD_DEPENDS_ON:
        note_old_key(draft, key, key_place);
        break;
    default:
        read_extra(draft, key, node);
    }
}

void stage_draft_keys(struct stage_draft *draft, const struct document *document, const struct node *mapping,
                      enum metadata_source source)
{
    draft->document = document;
    draft->source = source;
    for (const struct node *child = node_first(mapping); child != NULL; child = node_next(child))
        stage_draft_key(draft, node_key(child), node_key_place(document, child), child);
}

static void read_sets(struct stage_draft *draft)
{
    for (size_t i = draft->reader->sets.count; i-- > 0;) { /* the last of equal ones wins */
        const struct stage_set *set = &draft->reader->sets.items[i];
        if (set->stage != draft->number)
            continue;
        draft->document = set->document;
        draft->source = FROM_SECTION;
        stage_draft_key(draft, set->key, (struct place){.file = set->shown}, document_root(set->document));
    }
}

/* Joins the config tags of the folder with those of the section; which file a section's tag means is settled at the
 * end. */
static void join_configs(struct stage_draft *draft)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    struct pipeline_reader *reader = draft->reader;
    draft->stage.configs.at = (uint32_t)pipeline->files.count;
    for (size_t i = 0; i < draft->configs.count; i++)
        list_add(&pipeline->files, draft->configs.items[i]);
    for (size_t i = draft->section_configs_before; i < reader->section_configs.count; i++) {
        struct section_config *config = &reader->section_configs.items[i];
        bool known = false;
        for (size_t j = draft->stage.configs.at; j < pipeline->files.count; j++)
            if (pipeline->files.items[j].tag == config->tag) {
                known = true;
                config->metadata = pipeline->files.items[j].suffix;
            }
        if (known)
            continue;
        struct file_tag file = {
            .tag = config->tag, .suffix = config->file, .line = config->line, .column = config->column};
        list_add(&pipeline->files, file);
    }
    draft->stage.configs.count = (uint32_t)pipeline->files.count - draft->stage.configs.at;
}

static void settle_parallel(struct stage_draft *draft)
{
    bool said = (draft->given & KEY_BIT(KEY_PARALLEL)) != 0;
    bool ranks = draft->resources.nodes > 0 || draft->resources.ppn > 0;
    bool members = (draft->given & (KEY_BIT(KEY_SIZE) | KEY_BIT(KEY_FOREACH))) != 0;
    if (!said && draft->size > 0)
        draft->stage.parallel = PARALLEL_EMBARRASSING;
    else if (!said && ranks)
        draft->stage.parallel = PARALLEL_MPI; /* as in the original */
    if (draft->stage.parallel == PARALLEL_MPI && draft->resources.nodes == 0)
        draft->resources.nodes = 1;
    if (said && draft->stage.parallel == PARALLEL_SERIAL && (draft->resources.nodes > 1 || draft->resources.ppn > 1))
        draft_refuse(draft, draft->parallel_place, "remove it, or write parallel: mpi",
                     "stage '%s' is serial but asks for several nodes or ranks", draft->name);
    if (said && draft->stage.parallel == PARALLEL_EMBARRASSING && !members)
        draft_refuse(draft, draft->parallel_place, "write size: 100 or foreach: {band: [g, r, i]}",
                     "stage '%s' is embarrassingly parallel but has no members", draft->name);
    if (said && draft->size > 0 && draft->stage.parallel != PARALLEL_EMBARRASSING)
        draft_refuse(draft, draft->parallel_place, "size counts the members of an embarrassingly parallel stage",
                     "stage '%s' has a size but is not embarrassingly parallel", draft->name);
    if (draft->size > 0 && (draft->given & KEY_BIT(KEY_FOREACH)))
        draft_refuse(draft, draft->place, "size: N is short for foreach: {rank: 0…N-1}",
                     "stage '%s' has both 'size' and 'foreach'", draft->name);
}

static void check_command(struct stage_draft *draft)
{
    if ((draft->given & KEY_BIT(KEY_COMMAND)) && (draft->given & KEY_BIT(KEY_SCRIPT)))
        draft_refuse(draft, draft->place, "remove one of them", "stage '%s' has both 'command' and 'script'",
                     draft->name);
    if ((draft->given & KEY_BIT(KEY_INTERPRETER)) && !(draft->given & KEY_BIT(KEY_SCRIPT)))
        draft_refuse(draft, draft->interpreter_place, "write script: | and the lines below it, or remove it",
                     "stage '%s' has an 'interpreter' but no 'script'", draft->name);
    if (draft->resources.openmp > 0 && draft->threads_place.file != NULL)
        draft_refuse(draft, draft->threads_place, "remove one of them",
                     "stage '%s' sets OMP_NUM_THREADS, and 'openmp' sets it too", draft->name);
    if ((draft->given & KEY_BIT(KEY_CHECKOUT)) && !(draft->given & KEY_BIT(KEY_GITHUB)))
        draft_refuse(draft, draft->place, "add github: OWNER/REPOSITORY, or remove it",
                     "stage '%s' has a 'checkout' but no 'github'", draft->name);
    const struct retries *retries = draft->extras != NULL ? &draft->extras->retries : NULL;
    if (retries != NULL && retries->max_memory > 0 && retries->max_memory < draft->resources.memory)
        draft_refuse(draft, draft->place, NULL, "'max-memory' of stage '%s' is less than its 'memory'", draft->name);
}

static bool has_each_key(const struct stage_draft *draft, const char *key)
{
    const struct stage_extras *extras = draft->extras;
    for (size_t i = 0; extras != NULL && i < extras->foreach.count; i++)
        if (strcmp(pipeline_text(draft->reader->pipeline, extras->foreach.items[i].key), key) == 0)
            return true;
    return false;
}

static void check_each(struct stage_draft *draft)
{
    for (size_t i = 0; i < draft->each_uses.count; i++) {
        struct each_use *use = &draft->each_uses.items[i];
        struct place place = reader_place(draft->reader, use->line, use->column);
        if (use->file != NULL)
            place.file = use->file;
        if (!has_each_key(draft, use->key))
            draft_refuse(draft, place, "foreach: {band: [g, r, i]} makes ${each.band}",
                         "stage '%s' has no foreach key '%.100s'", draft->name, use->key);
        memory_free(use->key);
        memory_free(use->file);
    }
    list_clear(&draft->each_uses);
}

static uint32_t intern_resources(struct pipeline_reader *reader, const struct resources *wanted)
{
    struct pipeline *pipeline = reader->pipeline;
    if (pipeline->resources.count * 2 >= reader->resource_slots_count) {
        size_t count = reader->resource_slots_count > 0 ? reader->resource_slots_count * 2 : 64;
        memory_free(reader->resource_slots);
        reader->resource_slots = memory_allocate(count * sizeof *reader->resource_slots);
        reader->resource_slots_count = count;
        struct resources *items = steal(&pipeline->resources.items);
        size_t old = pipeline->resources.count;
        pipeline->resources.count = pipeline->resources.capacity = 0;
        for (size_t i = 0; i < old; i++)
            intern_resources(reader, &items[i]);
        memory_free(items);
    }
    uint64_t hash = wanted->memory * 31 + wanted->scratch * 17 + wanted->minutes;
    hash = hash * 1000003 + wanted->cpus * 65537u + wanted->nodes * 257u + wanted->ppn * 31u + wanted->gpus * 7u +
           wanted->openmp;
    size_t mask = reader->resource_slots_count - 1, at = (hash * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;
    for (; reader->resource_slots[at] != 0; at = (at + 1) & mask) {
        const struct resources *each = &pipeline->resources.items[reader->resource_slots[at] - 1];
        if (each->nodes == wanted->nodes && each->ppn == wanted->ppn && each->cpus == wanted->cpus &&
            each->gpus == wanted->gpus && each->openmp == wanted->openmp && each->minutes == wanted->minutes &&
            each->memory == wanted->memory && each->scratch == wanted->scratch)
            return reader->resource_slots[at] - 1;
    }
    list_add(&pipeline->resources, *wanted);
    reader->resource_slots[at] = (uint32_t)pipeline->resources.count;
    return (uint32_t)pipeline->resources.count - 1;
}

void stage_read(struct pipeline_reader *reader, uint32_t number, const struct document *document, struct place place,
                const struct node *section)
{
    struct stage *stage = &reader->pipeline->stages.items[number];
    struct stage_draft draft = {.reader = reader,
                                .number = number,
                                .name = pipeline_text(reader->pipeline, stage->name),
                                .place = {.file = reader->pipeline->file, .line = place.line, .column = place.column},
                                .stage = {.name = stage->name, .line = place.line, .column = place.column},
                                .section_configs_before = reader->section_configs.count};
    if (section != NULL && node_is_broken(section))
        return;
    if (section != NULL && node_kind(section) != NODE_MAPPING && !node_is_null(section)) {
        draft.document = document;
        draft_refuse_kind(&draft, section, "the section of a stage", "a mapping", NULL);
        return;
    }
    read_sets(&draft);
    if (section != NULL)
        stage_draft_keys(&draft, document, section, FROM_SECTION);
    stage_draft_folder(&draft);
    join_configs(&draft);
    settle_parallel(&draft);
    if (draft.size > 0 && !(draft.given & KEY_BIT(KEY_FOREACH)))
        foreach_set_size(reader, draft.size, &draft.stage, stage_draft_extras(&draft));
    if (draft.extras != NULL && draft.stage.members > 0)
        foreach_check_names(reader->pipeline, &draft.stage, draft.extras);
    check_command(&draft);
    draft_check_checkpoint(&draft);
    check_each(&draft);
    draft.stage.resources = intern_resources(reader, &draft.resources);
    draft.stage.extras = draft.extras;
    reader->pipeline->stages.items[number] = draft.stage;
    list_clear(&draft.configs);
}
