/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe clean`: what earlier runs left in a working folder, shown and, with --yes, removed. Only the holder of the
 * working folder's lease removes anything.
 */
#include "base/clock.h"
#include "base/path.h"
#include "cache/store.h"
#include "command/command.h"
#include "command/runs/old_runs.h"
#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

enum { KEEP_DEFAULT = 1 };

struct clean_values {
    bool json, yes, unfinished;
    uint64_t keep;
};

static const struct argument_option options[] = {
    {.name = "keep",
     .kind = ARGUMENT_NUMBER,
     .offset = offsetof(struct clean_values, keep),
     .value = "N",
     .help = "leave the newest N runs alone (default: 1)"},
    {.name = "unfinished",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct clean_values, unfinished),
     .help = "runs that were stopped as well: they cannot be resumed after that"},
    {.name = "yes",
     .letter = 'y',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct clean_values, yes),
     .help = "remove it; without this it is only shown"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct clean_values, json),
     .help = "{working, removed, freed, cache, runs: [{run, state, bytes}]}"},
    {.name = NULL},
};

static const struct argument_positional positionals[] = {
    {.name = "RUN",
     .optional = true,
     .completion = COMPLETE_FILE,
     .help =
         "a run, a working folder or a pipeline file, whose working folder is meant; default: that of the latest run "
         "started from the current folder"},
    {.name = NULL},
};

/* Results of all runs count: clean leaves what they are put back from, and a result that is gone costs a look. */
static bool keep_all(void *context, const char *run)
{
    (void)context;
    (void)run;
    return true;
}

/* What the cache says of files and results that were said anew since. */
static bool clean_cache(const char *descpipe, bool writes, uint64_t *surplus, struct error *error)
{
    cleanup(cache_store_free) struct cache_store *store = cache_store_open(descpipe, false, error);
    if (store == NULL)
        return false;
    *surplus = cache_store_surplus(store, keep_all, NULL);
    return !writes || *surplus == 0 || cache_store_compact(store, keep_all, NULL, error);
}

static bool remove_all(const struct old_runs *runs, const char *descpipe, uint64_t *surplus, struct error *error)
{
    cleanup(memory_free) char *subject = memory_format("the working folder of '%s'", descpipe);
    const struct lease_request request = {.folder = descpipe, .subject = subject, .run = "clean"};
    struct lease *lease = lease_take(&request, 0, error);
    bool removed = lease != NULL && old_runs_remove(runs, error) && clean_cache(descpipe, true, surplus, error);
    lease_release(lease);
    return removed;
}

static void print(const struct old_runs *runs, uint64_t surplus, const char *working, const struct clean_values *values,
                  struct text *out)
{
    uint64_t all = surplus;
    if (values->json) {
        text_append(out, "{\"working\":");
        text_append_json(out, working);
        text_append(out, values->yes ? ",\"removed\":true,\"runs\":[" : ",\"removed\":false,\"runs\":[");
    }
    for (size_t i = 0; i < runs->items.count; i++) {
        const struct old_run *run = &runs->items.items[i];
        all += run->bytes;
        if (values->json) {
            text_format(out, "%s{\"run\":\"%s\",\"state\":\"%s\",\"bytes\":%llu}", i > 0 ? "," : "", run->id,
                        run->state, (unsigned long long)run->bytes);
            continue;
        }
        text_format(out, "%s  %-10s ", run->id, run->state);
        bytes_append(out, run->bytes);
        text_append_character(out, '\n');
    }
    if (values->json) {
        text_format(out, "],\"cache\":%llu,\"freed\":%llu}\n", (unsigned long long)surplus, (unsigned long long)all);
        return;
    }
    if (surplus > 0) {
        text_append(out, "what the cache says twice         ");
        bytes_append(out, surplus);
        text_append_character(out, '\n');
    }
    text_append_count(out, runs->items.count, "run");
    text_append(out, values->yes ? ": freed " : " would be cleaned: ");
    bytes_append(out, all);
    text_append(out, " in ");
    text_append_printable(out, working, 1000);
    text_append(out, !values->yes && (runs->items.count > 0 || surplus > 0) ? "; --yes does it\n" : "\n");
}

static int run_clean(struct invocation *invocation)
{
    const struct clean_values *values = invocation->values;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *folder = NULL;
    if (!run_find(command_word(invocation, 0), &folder, &error))
        return command_refuse(invocation, NULL, &error);
    cleanup(memory_free) char *real = path_real(folder, &error);
    if (real == NULL)
        return command_refuse(invocation, NULL, &error);
    cleanup(memory_free) char *all = path_folder(real);
    cleanup(memory_free) char *descpipe = path_folder(all);
    cleanup(memory_free) char *working = path_folder(descpipe);
    cleanup(old_runs_clear) struct old_runs runs = {.items = {.items = NULL}};
    const struct old_runs_request request = {
        .descpipe = descpipe, .keep = values->keep > 0 ? values->keep : KEEP_DEFAULT, .unfinished = values->unfinished};
    if (!old_runs_find(&request, &runs, &error))
        return command_refuse(invocation, NULL, &error);
    uint64_t surplus = 0;
    if (!clean_cache(descpipe, false, &surplus, &error) ||
        (values->yes && (runs.items.count > 0 || surplus > 0) && !remove_all(&runs, descpipe, &surplus, &error)))
        return command_refuse(invocation, NULL, &error);
    print(&runs, surplus, working, values, &invocation->output.text);
    return 0;
}

const struct command command_clean = {
    .name = "clean",
    .summary = "free what earlier runs left",
    .description = "Shows what the attempts and logs of earlier runs take, and what the cache says of files and "
                   "results that were\n"
                   "said anew since, and removes it with --yes. Journals stay, so do WORKING/data and all results; "
                   "runs that go on\n"
                   "or may be resumed are left alone.",
    .examples = "  descpipe clean\n  descpipe clean pipeline.yaml --keep 3 --yes",
    .options = options,
    .positionals = positionals,
    .values_size = sizeof(struct clean_values),
    .run = run_clean,
};
