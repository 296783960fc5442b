/* SPDX-License-Identifier: BSD-3-Clause */
/* An image that each node gets for itself; node_image.h tells how. */
#include "tool/node_image.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "node:"

static const char *const hows[] = {
    [NODE_IMAGE_PULL] = "pull", [NODE_IMAGE_PULL_PLAIN] = "pull-plain", [NODE_IMAGE_LOAD] = "load"};

/* IMAGE HOW SOURCE TOOL...: what the tool says goes to the job's messages, its ids to nobody. */
static const char setup_script[] =
    "image=$1 how=$2 source=$3; shift 3; "
    "has() { \"$@\" image inspect \"$image\" >/dev/null 2>&1; }; "
    "has \"$@\" && exit 0; "
    "case $how in "
    "load) \"$@\" load --quiet <\"$source\" ;; "
    "pull-plain) \"$@\" pull --quiet --tls-verify=false \"$source\" ;; "
    "*) \"$@\" pull --quiet \"$source\" ;; "
    "esac >/dev/null || exit; "
    "has \"$@\" && exit 0; "
    "echo \"descpipe: '$source' is not $image any more: plan again to pin what is there now\" >&2; "
    "exit 1";

char *node_image_handle(const struct node_image *image)
{
    char *handle = NULL;
    if (strchr(image->image, ' ') != NULL ||
        asprintf(&handle, PREFIX "%s %s %s", hows[image->how], image->image, image->source) < 0)
        return NULL;
    return handle;
}

bool node_image_is_handle(const char *handle)
{
    return handle != NULL && strncmp(handle, PREFIX, strlen(PREFIX)) == 0;
}

bool node_image_read(char *copy, struct node_image *image)
{
    if (!node_image_is_handle(copy))
        return false;
    char *rest = copy + strlen(PREFIX);
    const char *how = strsep(&rest, " ");
    image->image = strsep(&rest, " ");
    image->source = rest;
    if (image->image == NULL || image->source == NULL)
        return false;
    for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++)
        if (strcmp(how, hows[i]) == 0) {
            image->how = (enum node_image_how)i;
            return true;
        }
    return false;
}

void node_image_setup(const struct node_image *image, const char *words[NODE_IMAGE_SETUP_WORDS + 1])
{
    const char *const all[NODE_IMAGE_SETUP_WORDS + 1] = {
        "sh", "-c", setup_script, "descpipe", image->image, hows[image->how], image->source, NULL};
    memcpy(words, all, sizeof all);
}
