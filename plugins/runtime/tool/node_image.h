/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image that each node gets for itself, because what this machine's tool keeps no other machine sees (`prepare` with
 * DESCPIPE_PREPARE_PER_NODE): the handle that says which, and the form's `setup` that gets it there.
 *
 * How it works: `setup` asks the node's own storage first, so that one pull serves every stage of a node, and nothing
 * is asked of a registry for what is there. What came must be what the plan means: a tag that moved on fails the setup,
 * and the stage ends with the verdict IMAGE. The login is the account's own, as the tool finds it on the node.
 */
#ifndef RUNTIME_TOOL_NODE_IMAGE_H
#define RUNTIME_TOOL_NODE_IMAGE_H

#include <stdbool.h>

#include <descpipe/types.h>

enum node_image_how {
    NODE_IMAGE_PULL,
    NODE_IMAGE_PULL_PLAIN, /* Podman's word for a registry without TLS, or with one that nobody can check */
    NODE_IMAGE_LOAD        /* of an archive that the nodes see */
};

struct node_image {
    enum node_image_how how;
    const char *image;  /* what stages run: an id, or a reference. No blanks */
    const char *source; /* the reference to pull, or the archive's path */
};

/* Owned; NULL when memory is short, or for an image with blanks. */
char *node_image_handle(const struct node_image *image);
bool node_image_is_handle(const char *handle);
/* `copy` is a copy of a handle, which is changed, and which `image` points into. */
bool node_image_read(char *copy, struct node_image *image);

#define NODE_IMAGE_SETUP_WORDS 7
/* What stands before the tool's own words in `setup`; they live as long as `image` does. */
void node_image_setup(const struct node_image *image, const char *words[NODE_IMAGE_SETUP_WORDS + 1]);

#endif
