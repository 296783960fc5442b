/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judges a plugin's descriptor.
 *
 * How it works: the first four members never move, so the versions are read first and a plugin of another world is
 * told so instead of being misread. Then sizes, then names, then tables; nothing is read that a size has not vouched
 * for.
 */
#include "plugin/abi.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

bool struct_take(void *into, size_t size, const void *from, size_t least)
{
    uint32_t given = 0;
    if (!from)
        return false;
    memcpy(&given, from, sizeof(given));
    if (given < least)
        return false;
    memset(into, 0, size);
    memcpy(into, from, given < size ? given : size);
    uint32_t own = (uint32_t)size;
    memcpy(into, &own, sizeof(own));
    return true;
}

static bool judge_version(const struct descpipe_plugin *plugin, struct abi_version host, struct error *error)
{
    if (plugin->size < ABI_FIRST_SIZE(struct descpipe_plugin, needs_minor)) {
        error_set(error, ERROR_PLUGIN, "its descriptor has %u bytes, which is too few to say its version",
                  plugin->size);
        return error_hint(error, "set .size = sizeof(struct descpipe_plugin)");
    }
    if (plugin->abi_major != host.major) {
        error_set(error, ERROR_PLUGIN, "it was built for plugin interface %u.%u, this descpipe has %u.%u",
                  plugin->abi_major, plugin->abi_minor, host.major, host.minor);
        return plugin->abi_major > host.major
                   ? error_hint(error, "use a newer descpipe, or the plugin's release for interface %u", host.major)
                   : error_hint(error, "rebuild it with the headers of this descpipe");
    }
    if (host.major == 0 && plugin->abi_minor != host.minor) {
        error_set(error, ERROR_PLUGIN,
                  "it was built for plugin interface 0.%u, this descpipe has 0.%u (before 1.0 both must be the same)",
                  plugin->abi_minor, host.minor);
        return error_hint(error, "rebuild it with the headers of this descpipe");
    }
    if (plugin->needs_minor > host.minor) {
        error_set(error, ERROR_PLUGIN, "it needs plugin interface %u.%u, this descpipe has %u.%u", plugin->abi_major,
                  plugin->needs_minor, host.major, host.minor);
        return error_hint(error, "use a newer descpipe, or an older release of the plugin");
    }
    return true;
}

static bool judge_size(const char *what, uint32_t size, size_t least, struct abi_version host, struct error *error)
{
    if (size >= least)
        return true;
    error_set(error, ERROR_PLUGIN, "%s has %u bytes, plugin interface %u.%u has at least %zu", what, size, host.major,
              host.major == 0 ? host.minor : 0, least);
    return error_hint(error, "set .size to sizeof the struct, and build with the released headers");
}

static bool judge_text(const char *what, const char *text, struct error *error)
{
    if (text && text[0] && !strpbrk(text, "\r\n"))
        return true;
    error_set(error, ERROR_PLUGIN, "its descriptor's '%s' is %s", what, text && text[0] ? "not one line" : "missing");
    return error_hint(error, "fill it in");
}

static bool judge_identity(const struct descpipe_plugin *plugin, const char *kind, const char *name,
                           struct error *error)
{
    if (!judge_text("kind", plugin->kind, error) || !judge_text("name", plugin->name, error) ||
        !judge_text("version", plugin->version, error) || !judge_text("summary", plugin->summary, error))
        return false;
    if (strcmp(plugin->kind, kind) == 0 && strcmp(plugin->name, name) == 0)
        return true;
    error_set(error, ERROR_PLUGIN, "it says that it is %s/%s, but its file name says %s/%s", plugin->kind, plugin->name,
              kind, name);
    return error_hint(error, "name the file '%s-%s.so'", plugin->kind, plugin->name);
}

struct required {
    const char *name;
    bool present;
};

static bool judge_required(const char *kind, const struct required *required, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!required[i].present) {
            error_set(error, ERROR_PLUGIN, "its %s table lacks the required operation '%s'", kind, required[i].name);
            return error_hint(error, "implement it; what cannot be done fails its call with UNSUPPORTED");
        }
    }
    return true;
}

#define REQUIRE(table, member)                                                                                         \
    {                                                                                                                  \
#member, (table)->member != NULL                                                                               \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Of operations that belong together. `stop` and `release` end both kinds of containers, so they alone say nothing. */
static bool judge_together(const struct required *together, size_t count, const char *what, const char *hint,
                           struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (!together[i].present) {
            error_set(error, ERROR_PLUGIN, "its runtime table has some operations of %s but not '%s'", what,
                      together[i].name);
            return error_hint(error, "%s", hint);
        }
    return true;
}

static bool judge_containers(const struct descpipe_runtime *table, struct error *error)
{
    const struct required managed[] = {REQUIRE(table, start),   REQUIRE(table, observe), REQUIRE(table, logs),
                                       REQUIRE(table, inspect), REQUIRE(table, find),    REQUIRE(table, stop),
                                       REQUIRE(table, release)};
    const struct required developers[] = {REQUIRE(table, shell), REQUIRE(table, exec), REQUIRE(table, stop),
                                          REQUIRE(table, release)};
    bool some_managed = table->start || table->observe || table->logs || table->inspect || table->find;
    bool some_developers = table->shell || table->exec || table->commit || table->changes || table->copy_out;
    if ((table->stop || table->release) && !some_developers)
        some_managed = true;
    return (!some_managed ||
            judge_together(managed, COUNT(managed), "MANAGED",
                           "MANAGED means start, observe, logs, inspect, stop, find and release: all or none",
                           error)) &&
           (!some_developers || judge_together(developers, COUNT(developers), "developers' containers",
                                               "whoever starts one by shell has exec, stop and release too", error));
}

static bool judge_runtime(const struct descpipe_runtime *table, struct abi_version host, struct error *error)
{
    if (!judge_size("its runtime table", table->size, ABI_SIZE_RUNTIME, host, error))
        return false;
    const struct required required[] = {REQUIRE(table, open),  REQUIRE(table, close),    REQUIRE(table, forms),
                                        REQUIRE(table, probe), REQUIRE(table, identify), REQUIRE(table, prepare),
                                        REQUIRE(table, launch)};
    if (!judge_required("runtime", required, COUNT(required), error))
        return false;
    if (!judge_containers(table, error))
        return false;
    if (table->sources == 0) {
        error_set(error, ERROR_PLUGIN, "its runtime table names no image sources");
        return error_hint(error, "set .sources; DESCPIPE_SOURCE_NONE for a runtime without images");
    }
    return true;
}

static bool judge_registry(const struct descpipe_registry *table, struct abi_version host, struct error *error)
{
    if (!judge_size("its registry table", table->size, ABI_SIZE_REGISTRY, host, error))
        return false;
    const struct required required[] = {REQUIRE(table, open),      REQUIRE(table, close),   REQUIRE(table, accepts),
                                        REQUIRE(table, normalize), REQUIRE(table, resolve), REQUIRE(table, credentials),
                                        REQUIRE(table, probe)};
    return judge_required("registry", required, COUNT(required), error);
}

static bool judge_scheduler(const struct descpipe_scheduler *table, struct abi_version host, struct error *error)
{
    if (!judge_size("its scheduler table", table->size, ABI_SIZE_SCHEDULER, host, error))
        return false;
    const struct required required[] = {REQUIRE(table, open),   REQUIRE(table, close),   REQUIRE(table, probe),
                                        REQUIRE(table, submit), REQUIRE(table, observe), REQUIRE(table, find),
                                        REQUIRE(table, cancel), REQUIRE(table, release)};
    if (!judge_required("scheduler", required, COUNT(required), error))
        return false;
    if (!table->forms || table->forms[0] == 0) {
        error_set(error, ERROR_PLUGIN, "its scheduler table accepts no launch forms");
        return error_hint(error, "list DESCPIPE_FORM_ values in .forms, best first, ending with 0");
    }
    return true;
}

static bool bad_option(struct error *error, const char *key, const char *problem)
{
    error_set(error, ERROR_PLUGIN, "its option table is bad: option '%s' %s", key, problem);
    return error_hint(error, "see the option table's rules in the author's guide");
}

static bool is_key(const char *key)
{
    size_t length = strlen(key);
    return length > 0 && length <= 64 && key[0] >= 'a' && key[0] <= 'z' &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool has_range(uint32_t type)
{
    return type == DESCPIPE_OPTION_INTEGER || type == DESCPIPE_OPTION_DURATION || type == DESCPIPE_OPTION_BYTES;
}

static bool read_number(const struct descpipe_option *option, const char *text, int64_t *number)
{
    uint64_t bytes = 0;
    switch (option->type) {
    case DESCPIPE_OPTION_INTEGER:
        return text_to_signed(text, number);
    case DESCPIPE_OPTION_DURATION:
        return clock_parse_length(text, number);
    default:
        if (!bytes_parse(text, &bytes) || bytes > INT64_MAX)
            return false;
        *number = (int64_t)bytes;
        return true;
    }
}

static bool is_choice(const struct descpipe_option *option, const char *value)
{
    for (size_t i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], value) == 0)
            return true;
    }
    return false;
}

static bool judge_default(const struct descpipe_option *option, struct error *error)
{
    const char *value = option->default_value;
    int64_t number = 0;
    if (!value)
        return true;
    if (option->flags & DESCPIPE_OPTION_REQUIRED)
        return bad_option(error, option->key, "is required and has a default");
    switch (option->type) {
    case DESCPIPE_OPTION_SECRET:
    case DESCPIPE_OPTION_MAP:
        return bad_option(error, option->key, "is of a type that cannot have a default");
    case DESCPIPE_OPTION_BOOLEAN:
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0
                   ? true
                   : bad_option(error, option->key, "has a default that is neither 'true' nor 'false'");
    case DESCPIPE_OPTION_CHOICE:
        return is_choice(option, value) ? true : bad_option(error, option->key, "has a default that is not a choice");
    case DESCPIPE_OPTION_INTEGER:
    case DESCPIPE_OPTION_DURATION:
    case DESCPIPE_OPTION_BYTES:
        if (!read_number(option, value, &number))
            return bad_option(error, option->key, "has a default that is not a value of its type");
        if ((option->flags & DESCPIPE_OPTION_RANGED) && (number < option->minimum || number > option->maximum))
            return bad_option(error, option->key, "has a default out of its own range");
        return true;
    default:
        return true;
    }
}

static bool judge_option(const struct descpipe_option *option, struct error *error)
{
    const char *key = option->key;
    if (!key || !is_key(key))
        return bad_option(error, key ? key : "(none)",
                          "has a bad key: lower case letters, digits and '-', beginning with a letter");
    if (option->type < DESCPIPE_OPTION_TEXT || option->type > DESCPIPE_OPTION_SECRET)
        return bad_option(error, key, "has an unknown type");
    if (!option->help || option->help[0] == '\0' || strpbrk(option->help, "\r\n"))
        return bad_option(error, key, "has no help of one line");
    bool is_a_choice = option->type == DESCPIPE_OPTION_CHOICE;
    if (is_a_choice && (!option->choices || !option->choices[0]))
        return bad_option(error, key, "is a choice without choices");
    if (!is_a_choice && option->choices)
        return bad_option(error, key, "has choices but is not a choice");
    if (option->flags & DESCPIPE_OPTION_RANGED) {
        if (!has_range(option->type))
            return bad_option(error, key, "has a range, which its type cannot have");
        if (option->minimum > option->maximum)
            return bad_option(error, key, "has a minimum above its maximum");
    }
    if (option->replaced_by && !(option->flags & DESCPIPE_OPTION_DEPRECATED))
        return bad_option(error, key, "is replaced but not deprecated");
    return judge_default(option, error);
}

static const struct descpipe_option *option_find(const struct descpipe_option *const *options, size_t count,
                                                 const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i]->key, key) == 0)
            return options[i];
    }
    return NULL;
}

bool abi_judge_options(const struct descpipe_option *const *options, struct error *error)
{
    size_t count = 0;
    for (; options && options[count]; count++) {
        if (count == ABI_OPTIONS_LIMIT) {
            error_set(error, ERROR_PLUGIN, "its option table is bad: more than %d options", ABI_OPTIONS_LIMIT);
            return error_hint(error, "end the array with NULL");
        }
        const struct descpipe_option *option = options[count];
        if (option->size < ABI_SIZE_OPTION) {
            error_set(error, ERROR_PLUGIN, "its option table is bad: option %zu has %u bytes, at least %zu are needed",
                      count + 1, option->size, ABI_SIZE_OPTION);
            return error_hint(error, "set .size = sizeof(struct descpipe_option)");
        }
        if (!judge_option(option, error))
            return false;
        if (option_find(options, count, option->key))
            return bad_option(error, option->key, "is there twice");
    }
    for (size_t i = 0; i < count; i++) {
        const char *by = options[i]->replaced_by;
        if (by && (strcmp(by, options[i]->key) == 0 || !option_find(options, count, by)))
            return bad_option(error, options[i]->key, "is replaced by an option that is not in the table");
    }
    return true;
}

bool abi_judge(const struct descpipe_plugin *plugin, struct abi_version host, const char *kind, const char *name,
               struct error *error)
{
    if (!plugin) {
        error_set(error, ERROR_PLUGIN, "its entry function returned nothing");
        return error_hint(error, "return the address of a constant struct descpipe_plugin");
    }
    if (!judge_version(plugin, host, error) ||
        !judge_size("its descriptor", plugin->size, ABI_SIZE_PLUGIN, host, error) ||
        !judge_identity(plugin, kind, name, error) || !abi_judge_options(plugin->options, error))
        return false;
    if (!plugin->operations) {
        error_set(error, ERROR_PLUGIN, "it has no %s table", kind);
        return error_hint(error, "set .operations");
    }
    if (strcmp(kind, "runtime") == 0)
        return judge_runtime(plugin->operations, host, error);
    if (strcmp(kind, "registry") == 0)
        return judge_registry(plugin->operations, host, error);
    if (strcmp(kind, "scheduler") == 0)
        return judge_scheduler(plugin->operations, host, error);
    return error_set(error, ERROR_BUG, "abi_judge: '%s' is not a kind of plugin", kind);
}
