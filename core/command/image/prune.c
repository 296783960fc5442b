/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks a runtime to remove images: the one named, the pipeline's, or descpipe's own store. */
#include "command/image/prune.h"

#include "base/clock.h"
#include "base/path.h"
#include "command/planning.h"

#define OWN_STORE "native"

struct pruning {
    struct invocation *invocation;
    struct plugin_instance *runtime;
    bool over, dry_run;
    int status;
};

static uint64_t freed_bytes(const struct call_result *result)
{
    uint64_t freed = 0;
    for (size_t i = 0; i < result->facts_count; i++)
        if (text_equal(result->facts[i].name, "freed"))
            text_to_unsigned(result->facts[i].value, &freed);
    return freed;
}

static void print_result(const struct pruning *pruning, const struct call_result *result, struct text *out)
{
    uint64_t freed = freed_bytes(result);
    if (pruning->invocation->json) {
        text_append(out, "{\"removed\":[");
        for (size_t i = 0; i < result->texts_count; i++) {
            text_append(out, i > 0 ? "," : "");
            text_append_json(out, result->texts[i]);
        }
        text_format(out, "],\"freed\":%llu,\"dry_run\":%s}\n", (unsigned long long)freed,
                    pruning->dry_run ? "true" : "false");
        return;
    }
    for (size_t i = 0; i < result->texts_count; i++) {
        text_append_printable(out, result->texts[i], 1000);
        text_append(out, "\n");
    }
    text_format(out, "%zu image%s %s", result->texts_count, result->texts_count == 1 ? "" : "s",
                pruning->dry_run ? "would go" : "removed");
    if (freed > 0) {
        text_append(out, ", ");
        bytes_append(out, freed);
    }
    text_append(out, "\n");
}

static void pruned(void *context, const struct call_result *result)
{
    struct pruning *pruning = context;
    pruning->over = true;
    if (result->ok) {
        print_result(pruning, result, &pruning->invocation->output.text);
        return;
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (result->failure == DESCPIPE_FAILED_UNSUPPORTED) {
        error_set(&error, ERROR_PLUGIN, "runtime '%s' does not know when its images were used: none was removed",
                  plugin_instance_descriptor(pruning->runtime)->name);
        error_hint(&error, "its own tool clears them up (docker image prune, podman image prune); descpipe's own store "
                           "is cleared up with --runtime native");
    } else {
        call_error(pruning->runtime, "prune", result, &error);
    }
    pruning->status = command_refuse(pruning->invocation, NULL, &error);
}

static bool not_over(void *context)
{
    return !((struct pruning *)context)->over;
}

static int ask(struct pruning *pruning, struct loop *loop, const struct descpipe_prune *prune)
{
    runtime_prune(pruning->runtime, prune,
                  (struct call_options){.deadline_ms = INT64_MAX, .done = pruned, .context = pruning});
    if (!pruning->over)
        loop_run(loop, not_over, pruning);
    return pruning->status;
}

static bool read_request(const struct prune_request *request, struct descpipe_prune *prune, struct error *error)
{
    int64_t unused_ms = 0;
    *prune = (struct descpipe_prune){.size = sizeof *prune, .flags = request->dry_run ? DESCPIPE_PRUNE_ONLY_SAY : 0};
    if (request->older_than != NULL && !clock_parse_length(request->older_than, &unused_ms)) {
        error_set(error, ERROR_INPUT, "'%.60s' is no length of time", request->older_than);
        return error_hint(error, "write 30d, 12h or 90m");
    }
    if (request->keep != NULL && !bytes_parse(request->keep, &prune->keep_bytes)) {
        error_set(error, ERROR_INPUT, "'%.60s' is no size", request->keep);
        return error_hint(error, "write 20GiB or 500MB");
    }
    if (request->older_than == NULL && request->keep == NULL) {
        error_set(error, ERROR_INPUT, "--prune needs to know what may go");
        return error_hint(error, "--older-than 30d, or --keep 20GiB, or both");
    }
    prune->unused_ms = (uint64_t)unused_ms;
    return true;
}

static int prune_of_pipeline(struct invocation *invocation, const struct prune_request *request,
                             const struct descpipe_prune *prune)
{
    cleanup(planning_clear) struct planning planning = {0};
    if (!planning_build(&planning, invocation, request->options, command_word(invocation, 0), PLAN_IMAGES))
        return command_refuse(invocation, &planning.problems, &planning.error);
    struct pruning pruning = {
        .invocation = invocation, .runtime = planning.plan->backends[0].runtime, .dry_run = request->dry_run};
    return ask(&pruning, planning.installation.loop, prune);
}

static struct settings *runtime_settings(struct installation *installation, const char *name, struct problems *problems,
                                         struct error *error)
{
    const struct descpipe_plugin *descriptor = plugin_descriptor(installation->host, "runtime", name, error);
    if (descriptor == NULL)
        return NULL;
    cleanup(memory_free) char *owner = memory_format("runtime/%s", name);
    struct settings *settings = settings_new(descriptor->options, owner);
    config_layers_apply_before(installation->layers, "runtime", name, settings, problems);
    config_layers_apply_after(installation->layers, "runtime", name, settings, problems);
    cleanup(memory_free) char *here = path_real(".", NULL);
    settings_finish(settings, (struct place){0}, here != NULL ? here : "/", problems);
    plugin_host_keep(installation->host, settings);
    return problems->errors == 0 ? settings : NULL;
}

static int prune_of_machine(struct invocation *invocation, const struct prune_request *request,
                            const struct descpipe_prune *prune)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(installation_clear) struct installation installation = {0};
    struct config_search search = {0};
    if (!installation_open(&installation, invocation, &error))
        return command_refuse(invocation, &problems, &error);
    installation_search(&installation, &search);
    pipeline_options_search(request->options, &search);
    if (!installation_read_layers(&installation, &search, &problems) || !installation_open_host(&installation, &error))
        return command_refuse(invocation, &problems, &error);
    const char *name = config_layers_value(installation.layers, "runtime", NULL, NULL);
    name = name != NULL && !text_equal(name, "auto") ? name : OWN_STORE;
    struct settings *settings = runtime_settings(&installation, name, &problems, &error);
    struct plugin_instance *runtime =
        settings != NULL ? plugin_open(installation.host, "runtime", name, settings, &error) : NULL;
    if (runtime == NULL)
        return command_refuse(invocation, &problems, &error);
    struct pruning pruning = {.invocation = invocation, .runtime = runtime, .dry_run = request->dry_run};
    int status = ask(&pruning, installation.loop, prune);
    plugin_close(runtime);
    return status;
}

int command_prune(struct invocation *invocation, const struct prune_request *request)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct descpipe_prune prune;
    if (!read_request(request, &prune, &error))
        return command_fail(&error);
    return command_word(invocation, 0) != NULL ? prune_of_pipeline(invocation, request, &prune)
                                               : prune_of_machine(invocation, request, &prune);
}
