/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The JSON Schema of a pipeline file, for editors.
 *
 * How it works: the schema is written as it is printed, because it is data for other programs to read. It says less
 * than the reader checks (a graph has no schema) and never more: what it refuses, the reader refuses too.
 */
#include "pipeline/schema.h"

#define SCALAR "{\"type\":[\"string\",\"number\",\"boolean\"]}"
#define COUNT "{\"type\":\"integer\",\"minimum\":1}"
#define TAGS "{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"type\":\"string\"}}"
#define TEXTS "{\"type\":\"array\",\"items\":" SCALAR "}"
#define REF(name) "{\"$ref\":\"#/$defs/" name "\"}"

static const char head[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"descpipe pipeline\","
    "\"type\":\"object\",\"required\":[\"pipeline\"],\"properties\":{"
    "\"pipeline\":" REF("pipeline") ",\"runtime\":" REF(
        "runtime") ","
                   "\"backends\":{\"type\":\"object\",\"additionalProperties\":" REF(
                       "backend") "},"
                                  "\"limits\":{\"type\":\"object\",\"additionalProperties\":" COUNT "},"
                                  "\"types\":{\"type\":\"object\"}},"
                                  "\"additionalProperties\":" REF("stage") ",\"$defs\":{";

static const char pipeline[] =
    "\"pipeline\":{\"type\":\"object\",\"required\":[\"stages\"],\"additionalProperties\":false,\"properties\":{"
    "\"name\":" SCALAR ",\"owner\":" SCALAR ",\"basename\":" SCALAR ",\"version\":" SCALAR ","
    "\"images\":" TEXTS ",\"stages\":{\"type\":\"array\",\"items\":" SCALAR ",\"uniqueItems\":true}}},";

static const char runtime[] =
    "\"runtime\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"backend\":" SCALAR ",\"launcher\":{\"enum\":[\"local\",\"nersc\"]},"
    "\"working\":{\"type\":\"string\"},\"output\":{\"type\":\"string\"},"
    "\"group-readable\":{\"type\":\"boolean\"},\"cache\":{\"enum\":[\"fast\",\"full\",\"off\"]},"
    "\"keep\":{\"type\":\"string\",\"pattern\":\"^(all|final|[1-9][0-9]* runs?)$\"},\"jobs\":" COUNT ","
    "\"late-outputs\":" SCALAR ",\"shared-cache\":{\"type\":\"string\"},\"on-exit\":{\"type\":\"object\",\"additionalProperties\":false,\"minProperties\":1,\"properties\":{"
    "\"command\":{\"type\":\"array\",\"minItems\":1,\"items\":" SCALAR "},\"timeout\":" SCALAR ","
    "\"webhook\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"secret\"],"
    "\"additionalProperties\":false,\"properties\":{\"secret\":{\"type\":\"string\"}}}]}}},"
    "\"inputs\":{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":"
    "\"object\","
    "\"required\":[\"url\"],\"additionalProperties\":false,\"properties\":{\"url\":{\"type\":\"string\"},"
    "\"sha256\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}}}]}},"
    "\"config\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"},{\"type\":\"object\","
    "\"additionalProperties\":" TAGS "}]}}},";

static const char backend[] =
    "\"plugin\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"use\"],\"properties\":{\"use\":{"
    "\"type\":\"string\"}}}]},"
    "\"backend\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"scheduler\":{\"allOf\":[" REF("plugin") "," REF(
        "scheduler-options") "]},"
                             "\"runtime\":{\"allOf\":[" REF("plugin") "," REF(
                                 "runtime-options") "]},"
                                                    "\"registry\":{\"allOf\":[" REF("plugin") "," REF(
                                                        "registry-options") "]},"
                                                                            "\"images\":{\"oneOf\":[{\"type\":"
                                                                            "\"string\"},{\"type\":\"object\","
                                                                            "\"additionalProperties\":{\"type\":"
                                                                            "\"string\"}}]}}},"
                                                                            "\"scheduler-options\":{},\"runtime-"
                                                                            "options\":{},\"registry-options\":{},";

static const char values[] =
    "\"secret\":{\"type\":\"object\",\"required\":[\"secret\"],\"additionalProperties\":false,\"properties\":{"
    "\"secret\":{\"type\":\"string\"}}},"
    "\"bytes\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":1},{\"type\":\"string\",\"pattern\":\"^[0-9.]+ "
    "?([KMGTkmgt](i?[Bb])?|[Bb])?$\"}]},"
    "\"factor\":{\"oneOf\":[{\"type\":\"number\",\"minimum\":1},{\"type\":\"string\",\"pattern\":\"^x[0-9.]+$\"}]},"
    "\"retries\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":\"object\",\"additionalProperties\":false,"
    "\"properties\":{"
    "\"limit\":{\"type\":\"integer\",\"minimum\":0},\"on\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
    "\"pattern\":"
    "\"^(node-fail|preempted|timeout|oom|lost|image|fail|exit:[0-9]+)$\"}},"
    "\"backoff\":" SCALAR ",\"memory\":" REF("factor") ",\"max-memory\":" REF("bytes") ",\"minutes\":" REF(
        "factor") "}}]},"
                  "\"checkpoint\":{\"type\":\"object\",\"required\":[\"files\"],\"additionalProperties\":false,"
                  "\"properties\":{\"files\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"minItems\":1,\"items\":"
                  "{\"type\":\"string\"}}]},\"signal\":{\"enum\":[\"USR1\",\"USR2\"]},\"before\":" SCALAR
                  ",\"links\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":200}}},"
                  "\"foreach\":{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":{\"oneOf\":[" TEXTS
                  ",{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"glob\"],"
                  "\"additionalProperties\":false,\"properties\":{\"glob\":{\"type\":\"string\"}}}]}},";

static const char stage[] =
    "\"stage\":{\"type\":[\"object\",\"null\"],\"properties\":{"
    "\"depends-on\":" TEXTS ",\"inputs\":" TAGS ",\"outputs\":" TAGS ",\"config\":" TAGS
    ",\"image\":{\"type\":\"string\"},"
    "\"command\":" TEXTS ",\"script\":{\"type\":\"string\"},\"interpreter\":" TEXTS ","
    "\"env\":{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"oneOf\":[" SCALAR
    "," REF("secret") "]}},"
                      "\"cpus\":" COUNT ",\"memory\":" REF(
                          "bytes") ",\"gpus\":{\"type\":\"integer\",\"minimum\":0},\"openmp\":" COUNT
                                   ",\"nodes\":" COUNT ",\"ppn\":" COUNT ",\"minutes\":" COUNT
                                   ",\"parallel\":{\"enum\":[\"serial\",\"mpi\",\"embarrassing\",\"embarassing\"]},"
                                   "\"size\":" COUNT
                                   ",\"foreach\":" REF("foreach") ",\"limit\":{\"type\":\"string\"},\"retries\":" REF(
                                       "retries") ","
                                                  "\"on\":{\"type\":\"object\",\"additionalProperties\":{\"type\":"
                                                  "\"object\"}},"
                                                  "\"mounts\":" TEXTS ",\"scratch\":" REF(
                                                      "bytes") ",\"network\":{\"type\":\"boolean\"},\"cache\":{\"type\":\"boolean\"},\"checkpoint\":" REF("checkpoint") ",\"python-module\":{"
                                                               "\"type\":\"boolean\"},\"workdir\":{"
                                                               "\"type\":\"string\"},"
                                                               "\"pull\":{\"enum\":[\"missing\",\"always\",\"never\"]},"
                                                               "\"backend\":{\"type\":\"string\"},\"github\":{\"type\":"
                                                               "\"string\"},"
                                                               "\"checkout\":" SCALAR "}}}}\n";

void pipeline_print_schema(struct text *out)
{
    text_append(out, head);
    text_append(out, pipeline);
    text_append(out, runtime);
    text_append(out, backend);
    text_append(out, values);
    text_append(out, stage);
}
