/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One piece of work for each image of a pipeline, some at a time, with one progress view: what pull, push and build
 * share.
 *
 * How it works: planning gives the images with their full names; each becomes a job that a command starts when there is
 * room. Ctrl-C asks open calls to stop and starts nothing new; a second one ends at once.
 */
#ifndef DESCPIPE_COMMAND_IMAGE_IMAGE_WORK_H
#define DESCPIPE_COMMAND_IMAGE_IMAGE_WORK_H

#include "command/planning.h"
#include "plan/lookup.h"
#include "report/progress.h"

struct image_work;

struct image_job {
    struct image_work *work;
    size_t number;            /* of its piece in the progress view */
    struct plan_image *image; /* or NULL */
    char *name;               /* the stages that use it */
    struct plugin_call *call; /* open; asked to stop by Ctrl-C */
    bool begun, ended;
    union { /* what a command keeps while its calls are open */
        struct descpipe_prepare prepare;
        struct {
            struct descpipe_push push;
            struct descpipe_image source, target;
            struct descpipe_lookup lookup;
            char *handle;
        } pushing;
        void *own;
    };
};

struct image_work {
    struct invocation *invocation;
    struct planning *planning;
    struct progress *progress;
    LIST(struct image_job) jobs;          /* complete before image_work_run */
    size_t limit;                         /* at a time */
    void (*start)(struct image_job *job); /* it ends with image_job_end, perhaps before this returns */
    void (*stop)(struct image_job *job);  /* asks it to; NULL: call_cancel */
    /* NULL: every job may begin at any time. Else jobs wait for others, which all stand before them. */
    bool (*ready)(const struct image_job *job);
    size_t next; /* all before it have begun */
    size_t open, failed;
    unsigned interrupts;
    bool json, silent;
    int status; /* of the first failure */
    struct loop_timer *tick;
    void (*on_tick)(struct image_work *work); /* or NULL */
};

/* Makes the progress view; jobs are added after it. */
void image_work_open(struct image_work *work, struct invocation *invocation, struct planning *planning, bool json);
void image_work_clear(struct image_work *work);
static inline void image_work_clear_at(struct image_work *place)
{
    image_work_clear(place);
}
void image_work_be_silent(struct image_work *work); /* no view: the command prints its own */
/* One job for each image of the selected stages. */
void image_work_add_images(struct image_work *work);
struct image_job *image_work_add(struct image_work *work, const char *name, struct plan_image *image);
/* Runs all; the exit status. */
int image_work_run(struct image_work *work);

void image_job_end(struct image_job *job, const char *message);
void image_job_fail(struct image_job *job, const struct error *error);
/* The same from a call of a plugin: "image 'x': MESSAGE". */
void image_job_fail_call(struct image_job *job, const struct plugin_instance *instance, const char *operation,
                         const struct call_result *result);
/* For struct call_options; the job is the context. */
void image_job_progress(void *job, uint64_t done, uint64_t total, const char *text);

/* Plans for PIPELINE [STAGE...]; what is wrong with it has been said when there is no plan, and the exit status
 * answered. */
int image_work_plan(struct invocation *invocation, struct pipeline_options *options, enum plan_extent extent,
                    struct planning *planning);
extern const struct argument_positional image_positionals[]; /* PIPELINE [STAGE...] */
/* All of it for a command that does one thing with each image of the selected stages; the exit status. */
int image_work_with_each(struct invocation *invocation, struct pipeline_options *options, bool json,
                         void (*start)(struct image_job *job));

#endif
