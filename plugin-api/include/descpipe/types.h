/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ground rules of the descpipe plugin interface.
 *
 * - Every struct begins with `size`, set by whoever fills it to sizeof the struct as its own header
 *   declares it. Members are only ever appended. A reader tests DESCPIPE_HAS before it uses a member
 *   that a later version added.
 * - Texts are UTF-8, end with NUL and are borrowed for the length of the call unless said otherwise.
 *   Lists of texts end with NULL; a NULL list is an empty list.
 * - Times are milliseconds since the Unix epoch (`_at_ms`) or lengths in milliseconds (`_ms`); 0 means
 *   "not known". Sizes are bytes.
 * - Everything runs on the host's main thread, except the function given to the work service.
 * - No call blocks. An operation that takes a `struct descpipe_call` may finish it before it returns
 *   or later, exactly once.
 */
#ifndef DESCPIPE_TYPES_H
#define DESCPIPE_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* The interface version, which is not the program's version. While the major is 0 a host loads only
 * plugins built with exactly its own minor. From 1.0 on the rules in doc/authors-guide.md hold. */
#ifndef DESCPIPE_ABI_MAJOR
#define DESCPIPE_ABI_MAJOR 0
#endif
#ifndef DESCPIPE_ABI_MINOR
#define DESCPIPE_ABI_MINOR 3
#endif

/* True when the struct that `object` points to is large enough to hold `member` of `type`. */
#define DESCPIPE_HAS(object, type, member) \
    ((object)->size >= offsetof(type, member) + sizeof(((type *)0)->member))

#if defined(__GNUC__)
#define DESCPIPE_EXPORT __attribute__((visibility("default")))
#else
#define DESCPIPE_EXPORT
#endif

/* Opaque objects of the host. */
struct descpipe_host;
struct descpipe_call;
struct descpipe_settings;
struct descpipe_secret;
struct descpipe_process;
struct descpipe_exchange;
struct descpipe_timer;
struct descpipe_watch;
struct descpipe_sink;

/* Why a call failed. The host turns it into a retry, a verdict or a message; the text says the rest. */
enum {
    DESCPIPE_FAILED_REFUSED = 1,      /* asked and answered: no. Repeating it will not help */
    DESCPIPE_FAILED_UNKNOWN = 2,      /* it may have been done: find out before doing it again */
    DESCPIPE_FAILED_CANNOT_ASK = 3,   /* nobody answered; nothing was done */
    DESCPIPE_FAILED_NEEDS_LOGIN = 4,  /* credentials are missing, wrong or expired */
    DESCPIPE_FAILED_NOT_FOUND = 5,    /* the thing named does not exist */
    DESCPIPE_FAILED_LATER = 6,        /* busy or limited: try again later */
    DESCPIPE_FAILED_CANCELLED = 7,    /* the host asked for it */
    DESCPIPE_FAILED_UNSUPPORTED = 8   /* this plugin, as configured, cannot do it */
};

/* How a stage can be started. A runtime offers forms, a scheduler accepts forms. */
enum {
    DESCPIPE_FORM_POD = 1u << 0,     /* image + command + environment + mounts, run by the scheduler */
    DESCPIPE_FORM_MANAGED = 1u << 1, /* the runtime starts, follows and stops a named container */
    DESCPIPE_FORM_COMMAND = 1u << 2  /* an argv that any machine with the tool can execute */
};

/* Where an image comes from. */
enum {
    DESCPIPE_SOURCE_REGISTRY = 1u << 0,       /* owner/name:tag, host/name@sha256:... */
    DESCPIPE_SOURCE_DOCKER_ARCHIVE = 1u << 1, /* docker-archive:FILE (what `docker save` writes) */
    DESCPIPE_SOURCE_OCI_ARCHIVE = 1u << 2,    /* oci-archive:FILE */
    DESCPIPE_SOURCE_OCI_LAYOUT = 1u << 3,     /* oci:FOLDER[:TAG] */
    DESCPIPE_SOURCE_ROOTFS = 1u << 4,         /* rootfs:FOLDER */
    DESCPIPE_SOURCE_SIF = 1u << 5,            /* sif:FILE */
    DESCPIPE_SOURCE_NONE = 1u << 6            /* no image at all (runtime `host`) */
};

enum { DESCPIPE_PULL_MISSING = 0, DESCPIPE_PULL_ALWAYS = 1, DESCPIPE_PULL_NEVER = 2 };

/* Who starts the ranks of a parallel stage. */
enum {
    DESCPIPE_RANKS_NONE = 0,   /* one process */
    DESCPIPE_RANKS_OUTSIDE = 1,/* a launcher starts the container once per rank */
    DESCPIPE_RANKS_INSIDE = 2  /* the stage's command starts the ranks in one container */
};

struct descpipe_resources {
    uint32_t size;
    uint32_t nodes;           /* at least 1 */
    uint32_t ranks_per_node;  /* at least 1 */
    uint32_t cpus_per_rank;   /* at least 1 */
    uint32_t gpus_per_node;
    uint32_t threads;         /* OMP_NUM_THREADS, 0: not said */
    uint64_t memory_per_node; /* bytes, 0: not said */
    uint64_t scratch;         /* bytes of node-local TMPDIR, 0: not said */
    uint64_t time_limit_ms;   /* 0: not said */
};

/* An image as the pipeline names it. */
struct descpipe_image {
    uint32_t size;
    uint32_t source;           /* one DESCPIPE_SOURCE_ bit */
    uint32_t pull;             /* DESCPIPE_PULL_ */
    uint32_t reserved;
    const char *reference;     /* the whole text, e.g. "joezuntz/desc-pipe-tomography:1.0", "oci:/srv/x" */
    const char *path;          /* absolute path for sources that are files or folders, else NULL */
    const char *tag;           /* inside a layout or an archive with several images, else NULL */
    const char *platform;      /* "linux/amd64" */
    const char *config_digest; /* the pin, "sha256:...", or NULL while it is not known */
    const char *manifest_digest;
};

/* What is known of an image. Answer of `identify`, `prepare` and `resolve`. */
struct descpipe_image_identity {
    uint32_t size;
    uint32_t present;            /* 1: this machine has it, nothing needs to be fetched */
    const char *config_digest;   /* "sha256:...": the identity used for pins and cache keys */
    const char *manifest_digest; /* NULL when no registry gave one */
    const char *media_type;      /* of the manifest, or NULL */
    const char *platform;        /* "linux/amd64", NULL when not known */
    const char *handle;          /* what `launch` needs to find it again (an id, a folder); runtimes only */
    uint64_t stored_bytes;       /* compressed size where known, else 0 */
    int64_t created_at_ms;
};

enum {
    DESCPIPE_MOUNT_READ_ONLY = 1u << 0,
    DESCPIPE_MOUNT_FILE = 1u << 1,     /* the source is one file */
    DESCPIPE_MOUNT_SCRATCH = 1u << 2   /* no source: an empty folder that ends with the stage */
};

struct descpipe_mount {
    uint32_t size;
    uint32_t flags;
    const char *source; /* absolute, as the executing machine sees it */
    const char *target; /* absolute, inside the container */
};

enum {
    DESCPIPE_STAGE_NO_NETWORK = 1u << 0,
    DESCPIPE_STAGE_TERMINAL = 1u << 1, /* a person sits in front of it */
    DESCPIPE_STAGE_POD = 1u << 2       /* `launch`: the form agreed on is POD. The image was not prepared on this machine */
};

/* One attempt of one task, as a runtime gets it. */
struct descpipe_stage {
    uint32_t size;
    uint32_t flags;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask_bits;
    uint32_t ranks;                        /* DESCPIPE_RANKS_ */
    const char *run;                       /* the run's id */
    const char *name;                      /* the stage's name */
    const char *member;                    /* NULL for a stage without members */
    uint64_t attempt;                      /* from 1 */
    const char *token;                     /* lower case, digits and '-', at most 40: a legal container name */
    const struct descpipe_image *image;
    const char *image_handle;              /* from `identify` or `prepare` */
    const char *const *command;            /* replaces the image's entry point and command */
    const char *const *environment;        /* "NAME=value", complete: nothing else may reach the stage */
    const char *const *late_names;         /* names whose values only the starting machine knows (or secrets) */
    const struct descpipe_mount *const *mounts; /* ends with NULL */
    const char *directory;                 /* working directory inside the container */
    const char *host_directory;            /* a private folder of the attempt on the executing machine, or NULL */
    const struct descpipe_resources *resources;
    const struct descpipe_settings *settings; /* the stage's own options for this runtime, or NULL */
    /* Only for `start` (MANAGED): */
    const char *const *late_environment;   /* "NAME=value" for late_names */
    const char *const *gpus;               /* device ids given by the scheduler */
};

/* A stage made ready to start. Answer of `launch`. */
struct descpipe_form {
    uint32_t size;
    uint32_t form;                      /* DESCPIPE_FORM_COMMAND or _POD (MANAGED stages go to `start`) */
    const char *const *argv;            /* COMMAND: what to execute, argv[0] absolute or found on PATH. POD: inside the container */
    const char *const *environment;     /* the complete environment of argv, "NAME=value"; POD: without the late names */
    const char *directory;              /* the folder to start argv in */
    const char *late_prefix;            /* the launcher passes NAME of late_names as <late_prefix>NAME */
    const char *const *setup;           /* COMMAND: an argv to run once per node before, in `environment`; or NULL */
    const char *const *directives;      /* "scheduler:text" lines for a named scheduler, e.g. "slurm:--image=..." */
    const char *image;                  /* POD: digest-pinned reference */
    const struct descpipe_mount *const *mounts; /* POD */
    /* COMMAND: an argv that removes what argv leaves behind when it is killed (a container that a service keeps), or NULL:
     * nothing. It runs, where and as `setup` does, after an argv that was killed or did not end within its grace, and
     * once more by whoever finds a run whose engine died. Status 0: nothing is left, also when nothing was there. With it,
     * processor time and memory of argv are not taken for the stage's. */
    const char *const *removal;
};

/* How something ended, as one witness saw it. Evidence for the host's verdict; fields it cannot know
 * stay 0 or NULL. */
enum {
    DESCPIPE_ENDED_EXITED = 1u << 0,       /* exit_code is set */
    DESCPIPE_ENDED_SIGNALLED = 1u << 1,    /* signal is set */
    DESCPIPE_ENDED_OUT_OF_MEMORY = 1u << 2,
    DESCPIPE_ENDED_TIMED_OUT = 1u << 3,
    DESCPIPE_ENDED_NODE_FAILED = 1u << 4,
    DESCPIPE_ENDED_PREEMPTED = 1u << 5,
    DESCPIPE_ENDED_CANCELLED = 1u << 6,
    DESCPIPE_ENDED_IMAGE = 1u << 7,        /* the image could not be had */
    DESCPIPE_ENDED_NOT_STARTED = 1u << 8,  /* the stage's command never ran */
    DESCPIPE_ENDED_STAGE_IN = 1u << 9,
    DESCPIPE_ENDED_OUTPUT_MISSING = 1u << 10,
    DESCPIPE_ENDED_DISK = 1u << 11,
    DESCPIPE_ENDED_LOST = 1u << 12
};

struct descpipe_ending {
    uint32_t size;
    uint32_t flags;              /* DESCPIPE_ENDED_ bits */
    int32_t exit_code;
    int32_t signal;
    int64_t started_at_ms;
    int64_t finished_at_ms;
    uint64_t peak_memory;        /* bytes */
    uint64_t cpu_ms;             /* user and system together */
    const char *witness;         /* "wait", "docker inspect", "sacct", "outcome file" ... */
    const char *host;            /* where it ran */
    const char *reason;          /* one line in the witness's words, no secrets */
};

#endif
