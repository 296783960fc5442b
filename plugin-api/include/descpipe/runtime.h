/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A runtime turns an image and a command into something that runs.
 *
 *     probe      is the tool here, does it work?                         any time after open
 *     identify   what is this image, as far as this machine knows?       before a plan is complete
 *     prepare    get it here, convert it, or say how a node gets it      before the first launch
 *     launch     COMMAND, POD: the argv or the pod of one attempt
 *     start      MANAGED: create and start a named container, then
 *                observe → inspect → logs → release, and stop at any time
 *     find       MANAGED: what of this run exists already?               after a lost answer or a restart
 *     shell      a developer's container, then exec, changes, copy_out, commit → stop → release
 */
#ifndef DESCPIPE_RUNTIME_H
#define DESCPIPE_RUNTIME_H

#include <descpipe/host.h>
#include <descpipe/types.h>

enum {
    DESCPIPE_RUNTIME_GPUS = 1u << 0,          /* honours gpus_per_node */
    DESCPIPE_RUNTIME_LIMITS = 1u << 1,        /* enforces cpus and memory by itself */
    DESCPIPE_RUNTIME_NO_NETWORK = 1u << 2,    /* can take the network away */
    DESCPIPE_RUNTIME_SINGLE_FILES = 1u << 3,  /* can mount one file */
    DESCPIPE_RUNTIME_READ_ONLY = 1u << 4,     /* can mount read-only */
    DESCPIPE_RUNTIME_CALLER_UID = 1u << 5,    /* the stage runs as the caller */
    DESCPIPE_RUNTIME_PINS_DIGEST = 1u << 6,   /* can be told a digest instead of a tag */
    DESCPIPE_RUNTIME_RANKS_OUTSIDE = 1u << 7, /* a launcher may start it once per rank; else they are inside one */
    DESCPIPE_RUNTIME_ISOLATES_PATHS = 1u << 8, /* mount targets exist; without it paths are the machine's own (host) */
    DESCPIPE_RUNTIME_SIGNALS = 1u << 9        /* MANAGED: `stop` honours `signal` */
};

enum {
    DESCPIPE_PREPARE_HERE = 0,    /* stages run on this machine */
    DESCPIPE_PREPARE_PER_NODE = 1 /* on others: where they do not see what is kept here, each gets it by the `setup` */
};

struct descpipe_prepare {
    uint32_t size;
    uint32_t where; /* DESCPIPE_PREPARE_ */
    const struct descpipe_image *image;
};

struct descpipe_container {
    uint32_t size;
    uint32_t reserved;
    const char *token;
    const char *native_id; /* NULL: find by token */
};

struct descpipe_logs {
    uint32_t size;
    uint32_t follow;           /* 1: until the container ends */
    const struct descpipe_container *container;
    int64_t since_ms;          /* 0: from the beginning */
    int32_t output_descriptor; /* standard output is appended here */
    int32_t error_descriptor;
};

struct descpipe_stop {
    uint32_t size;
    uint32_t signal;   /* with SIGNALS: 0, or the number of a signal that its command gets now, and nothing else is done */
    const struct descpipe_container *container;
    uint64_t grace_ms; /* from SIGTERM to SIGKILL */
};

struct descpipe_exec {
    uint32_t size;
    uint32_t terminal;               /* 1: our standard streams are a terminal and are handed over */
    const struct descpipe_container *container;
    const char *const *command;
    const char *const *environment;  /* "NAME=value", over the image's own; secrets too: in no argv, in no image */
    const char *directory;           /* or NULL: the container's own */
    int32_t input_descriptor;        /* below 0: nothing comes in */
    int32_t output_descriptor;       /* below 0: goes nowhere */
    int32_t error_descriptor;
    int32_t reserved;
};

struct descpipe_commit {
    uint32_t size;
    uint32_t reserved;
    const struct descpipe_container *container;
    const char *reference;      /* what the image is to be called, as `identify` takes it */
    const char *const *command; /* the new image's default command; NULL: a shell. It has no entry point */
};

struct descpipe_copy {
    uint32_t size;
    uint32_t reserved;
    const struct descpipe_container *container;
    const char *path;              /* inside */
    int32_t archive_descriptor;    /* a tar stream is written here */
    int32_t reserved2;
};

enum {
    DESCPIPE_BUILD_NO_CACHE = 1u << 0,
    DESCPIPE_BUILD_PULL = 1u << 1 /* asks for newer base images */
};

/* An image made from a folder. */
struct descpipe_build {
    uint32_t size;
    uint32_t flags;                /* DESCPIPE_BUILD_ */
    const char *folder;            /* the context, absolute; its .dockerignore is obeyed */
    const char *file;              /* the Dockerfile, absolute */
    const char *const *references; /* what the image is called, at least one */
    const char *const *arguments;  /* "NAME=value" */
    const char *const *labels;     /* "name=value" */
    const char *platform;          /* or NULL: this machine's */
    int32_t log_descriptor;        /* the tool's output is appended here */
    int32_t reserved;
};

/* An image of this machine, sent to a registry. */
struct descpipe_push {
    uint32_t size;
    uint32_t reserved;
    const struct descpipe_image *image;  /* as it is called here */
    const char *image_handle;            /* from `identify` or `prepare` */
    const struct descpipe_image *target; /* the full reference; the login is asked for it */
};

enum { DESCPIPE_PRUNE_ONLY_SAY = 1u << 0 };
struct descpipe_prune {
    uint32_t size;
    uint32_t flags;      /* DESCPIPE_PRUNE_ */
    uint64_t unused_ms;  /* what was not used for so long; 0: whatever age */
    uint64_t keep_bytes; /* the least recently used go until this much is left; 0: does not matter */
};

struct descpipe_runtime {
    uint32_t size;
    uint32_t capabilities; /* DESCPIPE_RUNTIME_ */
    uint32_t sources;      /* DESCPIPE_SOURCE_ */
    uint32_t reserved;

    /* Returns 0 and fills *self, or writes one line to `message` and returns non-zero. No I/O that can block. */
    int32_t (*open)(const struct descpipe_host *host, void **self, char *message, uint64_t message_size);
    void (*close)(void *self); /* no call is open any more */

    uint32_t (*forms)(void *self); /* DESCPIPE_FORM_ bits as configured; pure */

    /* Facts: "version", "tool" (a path), "rootless", whatever helps a person. */
    void (*probe)(void *self, struct descpipe_call *call);

    /* Answers identity, or fails with NOT_FOUND when this machine does not have it. Never fetches. */
    void (*identify)(void *self, struct descpipe_call *call, const struct descpipe_image *image);

    /* Answers identity. One fetch per digest however many ask. Obeys image->pull. */
    void (*prepare)(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare);

    /* COMMAND and POD: answers form. Must not wait for anything outside: it is called once per attempt. */
    void (*launch)(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);

    /* MANAGED, all NULL otherwise. `start` answers native_id (job 0) and finishes when the command runs; when it
     * fails nothing is left behind, or the failure is UNKNOWN. */
    void (*start)(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);
    /* Until the end: answers ending. While nobody can be asked it goes on, and says so by a progress with a text; one
     * without a text: it can ask again. The journal has both as `blind`. */
    void (*observe)(void *self, struct descpipe_call *call, const struct descpipe_container *container);
    void (*logs)(void *self, struct descpipe_call *call, const struct descpipe_logs *logs);
    void (*inspect)(void *self, struct descpipe_call *call, const struct descpipe_container *container); /* answers ending, when ended */
    void (*stop)(void *self, struct descpipe_call *call, const struct descpipe_stop *stop);
    void (*find)(void *self, struct descpipe_call *call, const char *run); /* answers found, once for each */
    void (*release)(void *self, struct descpipe_call *call, const struct descpipe_container *container);

    /* A developer's container. Optional: each may be NULL, but with `shell` also `stop` and `release` are there, of
     * whichever form the stages are. `shell` starts one that is kept without a command, its image writable, until
     * `release`; the stage's command and environment are passed over, for each exec brings its own, and a commit must
     * not hold them. uid 0 is root inside, whoever the caller is. After `stop` nothing runs in it, and what it changed
     * can still be had. */
    void (*shell)(void *self, struct descpipe_call *call, const struct descpipe_stage *stage); /* answers native_id */
    void (*exec)(void *self, struct descpipe_call *call, const struct descpipe_exec *exec);    /* answers ending */
    void (*commit)(void *self, struct descpipe_call *call, const struct descpipe_commit *commit);
    void (*changes)(void *self, struct descpipe_call *call, const struct descpipe_container *container); /* answers text, "A /path" ... */
    void (*copy_out)(void *self, struct descpipe_call *call, const struct descpipe_copy *copy);

    /* Images. Optional, each may be NULL. The progress's text is the last line of output. */
    void (*build)(void *self, struct descpipe_call *call, const struct descpipe_build *build); /* answers identity */
    void (*push)(void *self, struct descpipe_call *call, const struct descpipe_push *push);    /* answers identity, with the manifest's digest */
    /* Answers text: a line for each image that goes; fact "freed": bytes. Nothing that a running stage uses. */
    void (*prune)(void *self, struct descpipe_call *call, const struct descpipe_prune *prune);
};

#endif
