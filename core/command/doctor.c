/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe doctor`: what works here. Every plugin of this installation is opened and asked, all at the same time.
 */
#include <string.h>
#include <unistd.h>

#include "command/installation.h"
#include "command/world.h"
#include "report/grid.h"

enum { PROBE_DEADLINE_MS = 15000 };

struct doctor_values {
    bool json;
    const char *runtime, *image;
    struct words options;
};

static const struct argument_option options[] = {
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct doctor_values, json),
     .help = "{\"plugins\": [{kind, name, version, path, works, message, hint, facts}]}; of one runtime "
             "{\"runtime\", \"world\": [{what, here, usual, differs}]}"},
    {.name = "runtime",
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct doctor_values, runtime),
     .value = "NAME",
     .help =
         "run a few stages in this runtime instead, and show what a stage sees there and how it differs from others"},
    {.name = "image",
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct doctor_values, image),
     .value = "IMAGE",
     .help =
         "with --runtime: look from inside this image, as 'image:' of a stage names it, instead of the probe's own"},
    {.name = "option",
     .letter = 'o',
     .kind = ARGUMENT_WORDS,
     .offset = offsetof(struct doctor_values, options),
     .value = "KIND.KEY=VALUE",
     .help = "with --runtime: an option of it; may be repeated"},
    {.name = NULL},
};

struct patient {
    struct examination *examination;
    const struct plugin_entry *entry;
    struct settings *settings;
    struct plugin_instance *instance;
    char *version; /* of the plugin, once it is loaded */
    bool asked, works, over;
    char *message, *hint; /* why it does not work, what to do */
    struct words facts;   /* "name: value" alternating: name, value */
};

struct examination {
    struct installation installation;
    struct patient *patients;
    size_t count, open;
};

static void examination_clear(struct examination *examination)
{
    for (size_t i = 0; i < examination->count; i++) {
        struct patient *patient = &examination->patients[i];
        plugin_close(patient->instance);
    }
    /* Settings outlive the instances, which close on the loop at the latest with their host. */
    plugin_host_free(steal(&examination->installation.host));
    for (size_t i = 0; i < examination->count; i++) {
        struct patient *patient = &examination->patients[i];
        settings_free(patient->settings);
        memory_free(patient->version);
        memory_free(patient->message);
        memory_free(patient->hint);
        words_clear(&patient->facts);
    }
    memory_free(examination->patients);
    installation_clear(&examination->installation);
}

static void examination_clear_at(struct examination *place)
{
    examination_clear(place);
}

static void say_error(struct patient *patient, const struct error *error)
{
    patient->message = memory_copy_text(error->message != NULL ? error->message : "failed without saying why");
    patient->hint = memory_copy_text(error->hint);
}

/* The first problem of level error says it. */
static void say_problems(struct patient *patient, const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (problems->items[i].level != PROBLEM_ERROR)
            continue;
        patient->message = memory_copy_text(problems->items[i].message);
        patient->hint = memory_copy_text(problems->items[i].hint);
        return;
    }
}

static void probed(void *context, const struct call_result *result)
{
    struct patient *patient = context;
    patient->works = result->ok;
    if (!result->ok) {
        patient->message = memory_copy_text(result->message != NULL ? result->message : "failed without saying why");
        patient->hint = memory_copy_text(result->hint);
    }
    for (size_t i = 0; i < result->facts_count; i++) {
        words_add(&patient->facts, result->facts[i].name);
        words_add(&patient->facts, result->facts[i].value);
    }
    patient->over = true;
    patient->examination->open--;
}

static bool open_patient(struct patient *patient)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    struct installation *installation = &patient->examination->installation;
    const char *kind = patient->entry->kind, *name = patient->entry->name;
    const struct descpipe_plugin *descriptor = plugin_descriptor(installation->host, kind, name, &error);
    if (descriptor == NULL) {
        say_error(patient, &error);
        return false;
    }
    patient->version = memory_copy_text(descriptor->version);
    cleanup(memory_free) char *owner = memory_format("%s/%s", kind, name);
    cleanup(memory_free) char *here = getcwd(NULL, 0);
    patient->settings = settings_new(descriptor->options, owner);
    config_layers_apply_before(installation->layers, kind, name, patient->settings, &problems);
    config_layers_apply_after(installation->layers, kind, name, patient->settings, &problems);
    settings_finish(patient->settings, (struct place){0}, here != NULL ? here : "/", &problems);
    if (problems.errors > 0) {
        say_problems(patient, &problems);
        return false;
    }
    patient->instance = plugin_open(installation->host, kind, name, patient->settings, &error);
    if (patient->instance == NULL)
        say_error(patient, &error);
    return patient->instance != NULL;
}

static void ask_patient(struct patient *patient)
{
    const struct call_options call = {.deadline_ms = PROBE_DEADLINE_MS, .done = probed, .context = patient};
    if (!open_patient(patient)) {
        patient->over = true;
        return;
    }
    patient->asked = true;
    patient->examination->open++;
    if (strcmp(patient->entry->kind, "runtime") == 0)
        runtime_probe(patient->instance, call);
    else if (strcmp(patient->entry->kind, "registry") == 0)
        registry_probe(patient->instance, call);
    else
        scheduler_probe(patient->instance, call);
}

static bool goes_on(void *context)
{
    const struct examination *examination = context;
    return examination->open > 0;
}

/* Disabled by the site: its word is the answer. */
static bool is_forbidden(struct patient *patient)
{
    const struct plugin_entry *entry = patient->entry;
    if (entry->policy == NULL || !entry->policy->disabled)
        return false;
    patient->over = true;
    patient->message = memory_format("disabled by the site%s%s", entry->policy->reason != NULL ? ": " : "",
                                     entry->policy->reason != NULL ? entry->policy->reason : "");
    return true;
}

static void examine(struct examination *examination)
{
    size_t count;
    const struct plugin_entry *const *entries = plugin_catalogue_entries(examination->installation.catalogue, &count);
    examination->patients = memory_allocate((count + 1) * sizeof *examination->patients);
    for (size_t i = 0; i < count; i++)
        if (!entries[i]->shadowed && !entries[i]->refused)
            examination->patients[examination->count++] =
                (struct patient){.examination = examination, .entry = entries[i]};
    for (size_t i = 0; i < examination->count; i++)
        if (!is_forbidden(&examination->patients[i]))
            ask_patient(&examination->patients[i]);
    if (examination->open > 0)
        loop_run(examination->installation.loop, goes_on, examination);
}

/* Printing. */

static void print_json(const struct examination *examination, struct text *out)
{
    text_append(out, "{\"plugins\":[");
    for (size_t i = 0; i < examination->count; i++) {
        const struct patient *patient = &examination->patients[i];
        const char *const texts[][2] = {{"kind", patient->entry->kind}, {"name", patient->entry->name},
                                        {"version", patient->version},  {"path", patient->entry->path},
                                        {"message", patient->message},  {"hint", patient->hint}};
        text_append(out, i > 0 ? ",\n{" : "\n{");
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
            text_format(out, "\"%s\":", texts[t][0]);
            if (texts[t][1] != NULL)
                text_append_json(out, texts[t][1]);
            else
                text_append(out, "null");
            text_append(out, ",");
        }
        text_format(out, "\"works\":%s,\"facts\":{", patient->works ? "true" : "false");
        for (size_t f = 0; f + 1 < patient->facts.count; f += 2) {
            text_append(out, f > 0 ? "," : "");
            text_append_json(out, patient->facts.items[f]);
            text_append(out, ":");
            text_append_json(out, patient->facts.items[f + 1]);
        }
        text_append(out, "}}");
    }
    text_append(out, examination->count > 0 ? "\n]}\n" : "]}\n");
}

static void add_row(const struct patient *patient, const struct terminal *terminal, struct grid *grid)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    for (size_t f = 0; patient->works && f + 1 < patient->facts.count; f += 2)
        text_format(&said, "%s%s %s", f > 0 ? ", " : "", patient->facts.items[f], patient->facts.items[f + 1]);
    if (!patient->works)
        text_append(&said, patient->message != NULL ? patient->message : "");
    const char *good = terminal->unicode ? "✓" : "ok", *bad = terminal->unicode ? "✗" : "no";
    grid_add(grid, patient->works ? good : bad, patient->works ? "\x1b[32m" : "\x1b[31m");
    grid_add(grid, patient->entry->kind, "");
    grid_add(grid, patient->entry->name, "\x1b[1m");
    grid_add(grid, patient->version != NULL ? patient->version : "", "");
    grid_add(grid, text_bytes(&said), "");
}

static void print_hints(const struct examination *examination, struct text *out)
{
    bool first = true;
    for (size_t i = 0; i < examination->count; i++) {
        const struct patient *patient = &examination->patients[i];
        if (patient->works || patient->hint == NULL)
            continue;
        text_append(out, first ? "\nWhat to do:\n" : "");
        first = false;
        text_format(out, "  %s/%s: ", patient->entry->kind, patient->entry->name);
        text_append_printable(out, patient->hint, 2000);
        text_append(out, "\n");
    }
}

static bool kind_works(const struct examination *examination, const char *kind)
{
    for (size_t i = 0; i < examination->count; i++)
        if (examination->patients[i].works && strcmp(examination->patients[i].entry->kind, kind) == 0)
            return true;
    return false;
}

/* What `auto` would take. */
static void print_auto(const struct examination *examination, struct text *out)
{
    const char *const *order = config_layers_runtime_order(examination->installation.layers);
    for (size_t i = 0; order[i] != NULL; i++)
        for (size_t p = 0; p < examination->count; p++) {
            const struct patient *patient = &examination->patients[p];
            if (!patient->works || strcmp(patient->entry->kind, "runtime") != 0 ||
                strcmp(patient->entry->name, order[i]) != 0)
                continue;
            text_format(out, "\nruntime 'auto' means '%s' here\n", order[i]);
            return;
        }
    text_append(out, "\nruntime 'auto' finds nothing that works here\n");
}

static void print_table(const struct examination *examination, const struct terminal *terminal, struct text *out)
{
    static const struct grid_column columns[] = {{.title = ""},
                                                 {.title = "kind"},
                                                 {.title = "name"},
                                                 {.title = "version"},
                                                 {.title = "what it says", .flexible = true, .wraps = true}};
    if (examination->count == 0) {
        text_append(out, "no plugins found; --plugin-dir DIR names a folder that has some\n");
        return;
    }
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < examination->count; i++)
        add_row(&examination->patients[i], terminal, grid);
    grid_print(grid, terminal->width, terminal->color, out);
    print_hints(examination, out);
    print_auto(examination, out);
}

static int look_at_runtime(struct invocation *invocation)
{
    const struct doctor_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(installation_clear) struct installation installation = {0};
    cleanup(world_clear) struct world world = {0};
    if (!installation_open(&installation, invocation, &error) || !installation_open_host(&installation, &error))
        return command_refuse(invocation, NULL, &error);
    const struct world_request request = {.runtime = values->runtime,
                                          .image = values->image,
                                          .options = &values->options,
                                          .plugin_dirs = &installation.plugin_dirs};
    if (!world_look(installation.loop, &request, &world, &error))
        return command_refuse(invocation, NULL, &error);
    if (values->json)
        world_print_json(&world, values->runtime, &invocation->output.text);
    else
        world_print(&world, values->runtime, &invocation->terminal, &invocation->output.text);
    return 0;
}

static int run_doctor(struct invocation *invocation)
{
    const struct doctor_values *values = invocation->values;
    if (values->runtime != NULL)
        return look_at_runtime(invocation);
    if (values->image != NULL || values->options.count > 0) {
        cleanup(error_clear) struct error alone = ERROR_INIT;
        error_set(&alone, ERROR_INPUT, "--image and --option are for --runtime");
        error_hint(&alone, "name a runtime: 'descpipe doctor --runtime NAME'");
        return command_refuse(invocation, NULL, &alone);
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(examination_clear) struct examination examination = {0};
    struct config_search search = {0};
    installation_search(&examination.installation, &search);
    if (!installation_open(&examination.installation, invocation, &error) ||
        !installation_open_host(&examination.installation, &error))
        return command_refuse(invocation, NULL, &error);
    bool read = installation_read_layers(&examination.installation, &search, &problems);
    if (!read)
        return command_refuse(invocation, &problems, NULL);
    command_print_problems(&problems, invocation->globals.quiet);
    examine(&examination);
    if (values->json)
        print_json(&examination, &invocation->output.text);
    else
        print_table(&examination, &invocation->terminal, &invocation->output.text);
    bool usable = kind_works(&examination, "runtime") && kind_works(&examination, "scheduler");
    return usable ? 0 : error_exit_status(ERROR_PLUGIN);
}

static void clear_values(void *place)
{
    struct doctor_values *values = place;
    words_clear(&values->options);
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what works here, and what to do about the rest",
    .description =
        "Opens every plugin with the configuration of site and user and asks it to look around. Exit status "
        "0 when at least\n"
        "one scheduler and one runtime work, else 3. With --runtime some short stages are run by it, which\n"
        "takes seconds: what they see (user, folders, variables, limits, network, signals ...) is shown beside\n"
        "what stages see in every runtime.",
    .examples = "  descpipe doctor\n  descpipe doctor --json\n  descpipe doctor --runtime singularity",
    .options = options,
    .values_size = sizeof(struct doctor_values),
    .run = run_doctor,
    .clear = clear_values,
};
