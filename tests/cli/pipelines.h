/* SPDX-License-Identifier: BSD-3-Clause */
/* Small pipelines on the host runtime, which every machine has. */
#ifndef TESTS_CLI_PIPELINES_H
#define TESTS_CLI_PIPELINES_H

/* clang-format off: one line of YAML a line */
#define HERE                                                                                                           \
    "runtime: {backend: here, working: ./work, output: ./out}\n"                                                       \
    "backends:\n"                                                                                                      \
    "  here: {scheduler: sequential, runtime: host}\n"

#define GOOD                                                                                                           \
    "pipeline: {name: small, stages: [first, second]}\n" HERE "first:\n"                                               \
    "  outputs: {numbers: txt}\n"                                                                                      \
    "  command: [/bin/sh, -c, 'echo counting; seq 3 > \"$$DESC_OUTPUT/numbers.txt\"']\n"                               \
    "second:\n"                                                                                                        \
    "  inputs: {numbers: txt}\n"                                                                                       \
    "  outputs: {lines: txt}\n"                                                                                        \
    "  command: [/bin/sh, -c, 'wc -l < \"$$DESC_INPUT/numbers.txt\" > \"$$DESC_OUTPUT/lines.txt\"']\n"

#define BAD                                                                                                            \
    "pipeline: {name: broken, stages: [first, second]}\n" HERE "first:\n"                                              \
    "  outputs: {numbers: txt}\n"                                                                                      \
    "  command: [/bin/sh, -c, 'echo trying; echo no luck >&2; exit 3']\n"                                              \
    "second:\n"                                                                                                        \
    "  inputs: {numbers: txt}\n"                                                                                       \
    "  command: [/bin/true]\n"

/* `waiting` says where it is and then waits until somebody writes to `gate`, a FIFO in the folder %s. */
#define WAITING                                                                                                        \
    "pipeline: {name: slow, stages: [quick, waiting]}\n" HERE "quick:\n"                                               \
    "  outputs: {flag: txt}\n"                                                                                         \
    "  command: [/bin/sh, -c, ': > \"$$DESC_OUTPUT/flag.txt\"']\n"                                                     \
    "waiting:\n"                                                                                                       \
    "  inputs: {flag: txt}\n"                                                                                          \
    "  command: [/bin/sh, -c, 'echo step 7 of 9; cat %s/gate']\n"
/* clang-format on */

#endif
