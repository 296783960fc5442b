/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `descpipe build` builds, in which order.
 *
 * How it works: each selected stage with a folder is one build, named by its image. The FROM lines of its Dockerfile
 * name what it is made from: when that is {owner}/{basename}-FOLDER of a folder beside the stages' (the original's base
 * images), the folder is a build too, and so on; when it is another stage's image, that comes first. What is found
 * nowhere is left to the tool, which gets it from its registry.
 */
#ifndef DESCPIPE_COMMAND_IMAGE_BUILD_LIST_H
#define DESCPIPE_COMMAND_IMAGE_BUILD_LIST_H

#include "pipeline/dockerfile.h"
#include "plan/plan.h"

#define BUILDS_LIMIT 10000

struct build_item {
    char *name;              /* of the stage, or of the base image's folder */
    char *folder;            /* absolute */
    char *file;              /* its Dockerfile */
    char *source, *commit;   /* of a repository: "github.com/OWNER/REPOSITORY"; else NULL */
    uint32_t stage;          /* UINT32_MAX: a base image */
    struct words references; /* what it will be called */
    struct words arguments;  /* "NAME=value", of those that it declares */
    struct words bases;
    struct dockerfile dockerfile;
    LIST(uint32_t) after; /* builds that come first */
    uint32_t waiting;     /* while they are sorted */
    bool failed;          /* it, or one before it */
};

struct build_list {
    LIST(struct build_item) items; /* in the order to build */
};
void build_list_clear(struct build_list *list);
static inline void build_list_clear_at(struct build_list *place)
{
    build_list_clear(place);
}
/* `arguments`: --build-arg, "NAME=value". False with the error: a Dockerfile that cannot be read, a circle, an argument
 * that nobody declares. */
bool build_list_make(const struct plan *plan, const struct words *arguments, struct build_list *list,
                     struct error *error);

#endif
