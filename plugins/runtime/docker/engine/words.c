/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes Docker's long chains of "failed to: could not: unable to" readable, and knows what usually helps. */
#include "engine/words.h"

#include <stdio.h>
#include <string.h>

static const char *const layers[] = {
    "failed to create task for container: ",
    "failed to create shim task: ",
    "failed to create shim: ",
    "OCI runtime create failed: ",
    "OCI runtime start failed: ",
    "runc create failed: ",
    "container_linux.go:380: starting container process caused: ",
    "unable to start container process: ",
    "error during container init: ",
    "invalid mount config for type \"bind\": ",
    "Error response from daemon: ",
};

static const struct {
    const char *part, *hint;
} hints[] = {
    {"\"docker-init\"",
     "Docker's own init is not installed; install it (Debian: tini) or set the option `init: false`"},
    {"executable file not found", "check the stage's command: the image holds no such program"},
    {"exec format error", "give the script a #! line, or use an image that was built for this kind of machine"},
    {"permission denied", "make the command executable in the image (chmod +x)"},
    {"bind source path does not exist", "the path must exist on the machine where Docker runs"},
    {"no such file or directory", "check the stage's command and its #! line: the image holds no such file"},
    {"Range of CPUs", "the stage asks for more cpus than Docker has; lower `cpus:`"},
    {"Minimum memory limit", "Docker gives no container less than this; raise `memory:`"},
    {"could not select device driver", "gpus need the NVIDIA container toolkit on the machine where Docker runs"},
    {"No such image", "the image was removed since it was prepared; run again"},
    {"no space left on device", "the disk with Docker's data is full"},
    {"not found: network", "name a network that exists (docker network ls) in the option `network`"},
    {"network ", "name a network that exists (docker network ls) in the option `network`"},
};

void words_read_start(const char *given, char words[ANSWER_WORDS], const char **hint)
{
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < sizeof(layers) / sizeof(*layers); i++) {
            if (strncmp(given, layers[i], strlen(layers[i])) == 0) {
                given += strlen(layers[i]);
                again = true;
            }
        }
    }
    size_t length = strlen(given);
    static const char tail[] = ": unknown";
    if (length > sizeof(tail) - 1 && strcmp(given + length - (sizeof(tail) - 1), tail) == 0) {
        length -= sizeof(tail) - 1;
    }
    snprintf(words, ANSWER_WORDS, "%.*s", (int)(length < ANSWER_WORDS ? length : ANSWER_WORDS - 1), given);
    *hint = NULL;
    for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
        if (strstr(words, hints[i].part) != NULL) {
            *hint = hints[i].hint;
            return;
        }
    }
}
