/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML's grammar alone: libyaml's events are counted and thrown away. */
#include "config/document_syntax.h"

#include <yaml.h>

/* Deeper flow collections cost the scanner time that grows with the square of the depth. */
static int depth_change(yaml_event_type_t type)
{
    switch (type) {
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return 1;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return -1;
    default:
        return 0;
    }
}

static bool explain(const yaml_parser_t *parser, struct text *why)
{
    if (parser->error == YAML_MEMORY_ERROR)
        memory_exhausted();
    if (parser->error != YAML_READER_ERROR)
        text_format(why, "line %zu, column %zu: ", parser->problem_mark.line + 1, parser->problem_mark.column + 1);
    text_append(why, parser->problem != NULL ? parser->problem : "not understood");
    return false;
}

/* The last line of a beginning may lack what follows it. */
static bool is_at_cut(const yaml_parser_t *parser, const char *bytes, size_t length)
{
    size_t lines = 0;
    for (const char *at = bytes; (at = memchr(at, '\n', length - (size_t)(at - bytes))) != NULL; at++)
        lines++;
    return parser->error != YAML_READER_ERROR && parser->problem_mark.line + 2 >= lines;
}

bool document_syntax_check(const char *bytes, size_t length, bool cut, struct text *why)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        memory_exhausted();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
    bool good = true;
    int depth = 0;
    for (yaml_event_type_t type = YAML_NO_EVENT;
         good && type != YAML_STREAM_END_EVENT && depth <= DOCUMENT_SYNTAX_DEPTH;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            good = (cut && is_at_cut(&parser, bytes, length)) || explain(&parser, why);
            break;
        }
        type = event.type;
        depth += depth_change(type);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return good;
}
