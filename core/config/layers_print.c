/* SPDX-License-Identifier: BSD-3-Clause */
/* What `descpipe config` shows: every value and who said it. */
#include <string.h>
#include <strings.h>

#include "config/layers_read.h"

static const char hidden[] = "(not shown)";

/* KEY as a word of its own or at the end: API_KEY, AWS_ACCESS_KEY_ID, but not KEYBOARD or MONKEY. */
static bool is_key(const char *name, const char *place)
{
    bool starts = place == name || place[-1] == '_' || place[-1] == '-';
    return starts && strncasecmp(place, "key", 3) == 0 && (place[3] == '\0' || place[3] == '_' || place[3] == '-');
}

/* One look over the name: it is asked for each member of each key that a run records. */
bool name_sounds_secret(const char *name)
{
    static const char *const words[] = {"token", "password", "passwd", "passphrase", "secret", "credential"};
    for (const char *place = name; *place != '\0'; place++) {
        char first = (char)(*place | 0x20); /* a letter's lower case */
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (first == words[i][0] && strncasecmp(place, words[i], strlen(words[i])) == 0)
                return true;
        if (first == 'k' && is_key(name, place))
            return true;
    }
    return false;
}

struct line {
    const char *key, *value;
    enum layer layer;
    struct place place;
};

static void print_line(const struct line *line, bool json, bool first, struct text *out)
{
    if (json) {
        text_append(out, first ? "\n  {\"key\": " : ",\n  {\"key\": ");
        text_append_json(out, line->key);
        text_append(out, ", \"value\": ");
        text_append_json(out, line->value);
        text_append(out, ", \"layer\": ");
        text_append_json(out, layer_name(line->layer));
        text_append(out, ", \"file\": ");
        if (line->place.file != NULL)
            text_append_json(out, line->place.file);
        else
            text_append(out, "null");
        text_format(out, ", \"line\": %u, \"column\": %u}", line->place.line, line->place.column);
        return;
    }
    text_append_printable(out, line->key, 200);
    text_append(out, " = ");
    text_append_printable(out, line->value, 1000);
    text_format(out, "  (%s", layer_name(line->layer));
    if (line->place.file != NULL) {
        text_append(out, ", ");
        text_append_printable(out, line->place.file, 1000);
        if (line->place.line > 0)
            text_format(out, ":%u:%u", line->place.line, line->place.column);
    }
    text_append(out, ")\n");
}

/* A node in one line, as far as options go: texts, lists and mappings of texts. */
static void describe_node(const struct node *node, struct text *out)
{
    if (node_kind(node) == NODE_SCALAR) {
        text_append(out, node_text(node));
        return;
    }
    bool mapping = node_kind(node) == NODE_MAPPING;
    text_append_character(out, mapping ? '{' : '[');
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        text_append(out, child != node_first(node) ? ", " : "");
        if (mapping) {
            text_append(out, node_key(child));
            text_append(out, ": ");
        }
        if (mapping && name_sounds_secret(node_key(child)) && strcmp(node_key(child), "secret") != 0)
            text_append(out, hidden);
        else
            text_append(out, node_kind(child) == NODE_SCALAR ? node_text(child) : "...");
    }
    text_append_character(out, mapping ? '}' : ']');
}

static void describe_option(const struct layer_option *option, struct text *out)
{
    bool reference =
        option->node != NULL && node_kind(option->node) == NODE_MAPPING && node_get(option->node, "secret") != NULL;
    if (name_sounds_secret(option->key) && !reference)
        text_append(out, hidden);
    else if (option->node != NULL)
        describe_node(option->node, out);
    else
        text_append(out, option->text);
}

static void describe_secret(const struct layer_secret *secret, struct text *out)
{
    if (secret->from == SECRET_FROM_ENVIRONMENT)
        text_format(out, "the variable %s", secret->text);
    else if (secret->from == SECRET_FROM_FILE)
        text_format(out, "the file %s", secret->text);
    else
        text_format(out, "the command %s", words_list(&secret->argv)[0]);
}

static void describe_choice(const char *kind, const struct plugin_choice *choice, struct text *out)
{
    if (choice->use == NULL)
        return;
    text_format(out, "%s%s %s", out->length > 0 ? ", " : "", kind, choice->use);
    if (choice->options != NULL) {
        text_append_character(out, ' ');
        describe_node(document_root(choice->options), out);
    }
}

static void print_files(const struct config_layers *layers, bool json, bool *first, struct text *out)
{
    cleanup(text_clear) struct text key = TEXT_INIT;
    cleanup(text_clear) struct text value = TEXT_INIT;
    for (size_t i = 0; i < layers->backends.count; i++) {
        const struct layer_backend *item = &layers->backends.items[i];
        text_reset(&key);
        text_reset(&value);
        text_format(&key, "backends.%s", item->backend.name);
        describe_choice("scheduler", &item->backend.scheduler, &value);
        describe_choice("runtime", &item->backend.runtime, &value);
        describe_choice("registry", &item->backend.registry, &value);
        struct line line = {text_bytes(&key), text_bytes(&value), item->layer, item->backend.place};
        print_line(&line, json, *first, out);
        *first = false;
    }
    for (size_t i = 0; i < layers->secrets.count; i++) {
        const struct layer_secret *item = &layers->secrets.items[i];
        text_reset(&key);
        text_reset(&value);
        text_format(&key, "secrets.%s", item->name);
        describe_secret(item, &value);
        struct line line = {text_bytes(&key), text_bytes(&value), item->layer, item->place};
        print_line(&line, json, *first, out);
        *first = false;
    }
    for (size_t i = 0; i < layers->locks.count; i++) {
        struct line line = {"lock", layers->locks.items[i].key, LAYER_SITE, layers->locks.items[i].place};
        print_line(&line, json, *first, out);
        *first = false;
    }
}

static void print_mirrors(const struct config_layers *layers, bool json, bool *first, struct text *out)
{
    cleanup(text_clear) struct text key = TEXT_INIT;
    for (size_t i = 0; i < layers->mirrors.count; i++) {
        const struct layer_mirror *item = &layers->mirrors.items[i];
        text_reset(&key);
        text_format(&key, "mirrors.%s", item->from);
        struct line line = {text_bytes(&key), item->to, item->layer, item->place};
        print_line(&line, json, *first, out);
        *first = false;
    }
}

static void print_runtime_order(const struct config_layers *layers, bool json, bool *first, struct text *out)
{
    cleanup(text_clear) struct text value = TEXT_INIT;
    const char *const *names = config_layers_runtime_order(layers);
    for (size_t i = 0; names[i] != NULL; i++)
        text_format(&value, "%s%s", i > 0 ? ", " : "", names[i]);
    struct line line = {"runtime-order", text_bytes(&value), layers->runtime_order.layer, layers->runtime_order.place};
    print_line(&line, json, *first, out);
    *first = false;
}

static void print_options(const struct config_layers *layers, bool json, bool *first, struct text *out)
{
    cleanup(text_clear) struct text key = TEXT_INIT;
    cleanup(text_clear) struct text value = TEXT_INIT;
    for (size_t i = 0; i < layers->options.count; i++) {
        const struct layer_option *option = &layers->options.items[i];
        text_reset(&key);
        text_reset(&value);
        text_format(&key, "options.%s.%s.%s", option->kind, option->plugin != NULL ? option->plugin : "*", option->key);
        describe_option(option, &value);
        struct line line = {text_bytes(&key), text_bytes(&value), option->layer, option->place};
        print_line(&line, json, *first, out);
        *first = false;
    }
}

void config_layers_print(const struct config_layers *layers, bool json, struct text *out)
{
    bool first = true;
    text_append(out, json ? "{\"values\": [" : "");
    const char *const *keys = layers_value_keys();
    for (size_t i = 0; keys[i] != NULL; i++) {
        struct line line = {.key = keys[i]};
        line.value = config_layers_value(layers, keys[i], &line.place, &line.layer);
        if (line.value == NULL)
            continue;
        print_line(&line, json, first, out);
        first = false;
    }
    print_runtime_order(layers, json, &first, out);
    print_options(layers, json, &first, out);
    print_files(layers, json, &first, out);
    print_mirrors(layers, json, &first, out);
    text_append(out, json ? "\n]}\n" : "");
}
