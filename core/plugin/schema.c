/* SPDX-License-Identifier: BSD-3-Clause */
/* Option tables as JSON Schema, for editors. Wherever a text may stand, ${VAR} may stand too, so nothing is stricter
 * than that. */
#include <inttypes.h>
#include <string.h>

#include "plugin/show.h"

static void schema_number(const struct descpipe_option *option, struct text *out)
{
    text_append(out, "\"anyOf\": [{\"type\": \"integer\"");
    if (option->flags & DESCPIPE_OPTION_RANGED)
        text_format(out, ", \"minimum\": %" PRId64 ", \"maximum\": %" PRId64, option->minimum, option->maximum);
    text_append(out, "}, {\"type\": \"string\", \"pattern\": \"\\\\$\\\\{\"}]");
}

static void schema_choices(const struct descpipe_option *option, struct text *out)
{
    text_append(out, "\"anyOf\": [{\"enum\": [");
    for (size_t i = 0; option->choices[i]; i++) {
        text_append(out, i ? ", " : "");
        text_append_json(out, option->choices[i]);
    }
    text_append(out, "]}, {\"type\": \"string\", \"pattern\": \"\\\\$\\\\{\"}]");
}

static void schema_type(const struct descpipe_option *option, struct text *out)
{
    switch (option->type) {
    case DESCPIPE_OPTION_INTEGER:
        schema_number(option, out);
        break;
    case DESCPIPE_OPTION_BOOLEAN:
        text_append(out, "\"anyOf\": [{\"type\": \"boolean\"}, {\"type\": \"string\", \"pattern\": \"\\\\$\\\\{\"}]");
        break;
    case DESCPIPE_OPTION_DURATION:
    case DESCPIPE_OPTION_BYTES: /* "5m", 90; "8GiB", 4096 */
        text_append(out, "\"type\": [\"string\", \"integer\"]");
        break;
    case DESCPIPE_OPTION_CHOICE:
        schema_choices(option, out);
        break;
    case DESCPIPE_OPTION_LIST:
        text_append(out, "\"type\": \"array\", \"items\": {\"type\": [\"string\", \"number\", \"boolean\"]}");
        break;
    case DESCPIPE_OPTION_MAP:
        text_append(
            out, "\"type\": \"object\", \"additionalProperties\": {\"type\": [\"string\", \"number\", \"boolean\"]}");
        break;
    case DESCPIPE_OPTION_SECRET:
        text_append(out, "\"type\": \"object\", \"properties\": {\"secret\": {\"type\": \"string\"}}, "
                         "\"required\": [\"secret\"], \"additionalProperties\": false");
        break;
    default: /* a text may look like a number */
        text_append(out, "\"type\": [\"string\", \"number\", \"boolean\"]");
        break;
    }
}

static void schema_option(const struct descpipe_option *option, struct text *out)
{
    text_append_json(out, option->key);
    text_append(out, ": {\"description\": ");
    text_append_json(out, option->help);
    text_append(out, ", ");
    schema_type(option, out);
    if (option->default_value) {
        text_append(out, ", \"default\": ");
        text_append_json(out, option->default_value);
    }
    if (option->flags & DESCPIPE_OPTION_DEPRECATED)
        text_append(out, ", \"deprecated\": true");
    text_append(out, "}");
}

void options_print_schema(const struct descpipe_option *const *options, struct text *out)
{
    text_append(out, "{\"type\": \"object\", \"properties\": {");
    for (size_t i = 0; options && options[i]; i++) {
        text_append(out, i ? ", " : "");
        schema_option(options[i], out);
    }
    /* Nothing is "required": a required option may also come from the site's or the user's file. */
    text_append(out, "}, \"additionalProperties\": false}");
}
