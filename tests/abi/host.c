/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host PLUGIN EXPECTED: a host of the version of its headers. Judges the plugin as descpipe does, drives one launch,
 * prints one line and compares it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plugin/abi.h"

static struct text line;
static const struct descpipe_plugin *plugin;

static void take_form(struct descpipe_call *call, const struct descpipe_form *given)
{
    struct descpipe_form form;
    (void)call;
    if (!struct_take(&form, sizeof(form), given, ABI_SIZE_FORM)) {
        text_append(&line, "form too small");
        return;
    }
    text_format(&line, "works: %s, %s, %s", form.argv[0], form.argv[1], form.argv[2]);
#if DESCPIPE_ABI_MINOR >= 7
    /* The copy is as large as ours; what an older plugin did not fill is zero. */
    text_format(&line, ", %s", form.newer_text ? form.newer_text : "no newer text");
    const struct descpipe_runtime *table = plugin->operations;
    if (DESCPIPE_HAS(table, struct descpipe_runtime, newer_answer))
        text_format(&line, ", %u", table->newer_answer(NULL));
    else
        text_append(&line, ", no newer answer");
#endif
}

static void succeed(struct descpipe_call *call)
{
    (void)call;
}

static const struct descpipe_call_service call_service = {.size = sizeof(call_service), .succeed = succeed};
static const struct descpipe_answer_service answer_service = {.size = sizeof(answer_service), .form = take_form};
static const struct descpipe_host table = {
    .size = sizeof(table),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .call = &call_service,
    .answer = &answer_service,
#if DESCPIPE_ABI_MINOR >= 7
    .newer_name = "newer host",
#endif
};

static void drive(void)
{
    const struct descpipe_runtime *runtime = plugin->operations;
    struct descpipe_stage stage = {
        .size = sizeof(stage),
        .name = "stage",
#if DESCPIPE_ABI_MINOR >= 7
        .newer_hint = "newer stage",
#endif
    };
    void *self = NULL;
    if (runtime->open(&table, &self, NULL, 0) == 0)
        runtime->launch(self, NULL, &stage);
    runtime->close(self);
}

int main(int count, char **arguments)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (count != 3)
        return EXIT_FAILURE;
    void *handle = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, DESCPIPE_ENTRY_SYMBOL) : NULL;
    if (!symbol) {
        printf("%s\n", dlerror());
        return EXIT_FAILURE;
    }
    const struct descpipe_plugin *(*entry)(void) = NULL;
    memcpy(&entry, &symbol, sizeof(entry));
    plugin = entry();
    if (abi_judge(plugin, ABI_HERE, "runtime", "abi", &error))
        drive();
    else
        text_append(&line, error.message);
    bool good = strcmp(text_bytes(&line), arguments[2]) == 0;
    if (!good)
        printf("expected: %s\n     got: %s\n", arguments[2], text_bytes(&line));
    text_clear(&line);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
