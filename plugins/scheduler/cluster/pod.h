/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage as a pod: the parts of a manifest that plain Jobs and Workflows have in common, from a job and a site's
 * words. Pure.
 *
 * How it works: our folders lie on a volume that the cluster mounts as well; a folder of ours becomes the volume with a
 * `subPath`. Whatever a stage mounts besides is a path of the node. Kubernetes replaces $(NAME) in commands and values:
 * every dollar is written twice, so that a stage gets what the pipeline says.
 */
#ifndef DESCPIPE_CLUSTER_POD_H
#define DESCPIPE_CLUSTER_POD_H

#include <descpipe/scheduler.h>
#include <jansson.h>
#include <stdbool.h>

enum { POD_WORDS = 512 };
#define POD_CONTAINER "main"
#define POD_LABEL_RUN "descpipe.org/run"
#define POD_LABEL_TOKEN "descpipe.org/token"
#define POD_LABEL_INDEX "descpipe.org/index"
#define POD_LABEL_STAGE "descpipe.org/stage"

/* What a site or a stage says of its pods. Borrowed; NULL: not said. */
struct pod_wishes {
    const char *claim;     /* a PersistentVolumeClaim, or */
    const char *host_path; /* a folder of the nodes */
    const char *mount;     /* where that volume is on this machine: absolute, without links */
    const char *path;      /* of `mount` in the volume; NULL: its top */
    const char *service_account, *priority_class, *gpu_resource;
    const char *const *pull_secrets;  /* names */
    const char *const *node_selector; /* name, value ... */
    const char *const *tolerations;   /* "KEY[=VALUE][:EFFECT]" */
    const char *const *labels;        /* name, value ... */
    bool image_user;                  /* the image's own user; else the caller's */
    uint32_t uid, gid;
    uint64_t grace_ms; /* from SIGTERM to SIGKILL */
};

/* "volume: {claim: NAME, mount: /here}" as read. False with words. `mount` is made real into `buffer`. */
bool pod_read_volume(const char *const *map, struct pod_wishes *wishes, char *buffer, size_t size,
                     char words[POD_WORDS]);

/* The container of a job whose form is a POD. `secret`: the Secret that holds the late names, or NULL. Mounts refer to
 * volumes that are added to `volumes`. NULL with words when it cannot be a pod here. */
json_t *pod_container(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *secret,
                      json_t *volumes, char words[POD_WORDS]);
/* The whole specification of a pod with that one container. */
json_t *pod_specification(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *secret,
                          char words[POD_WORDS]);
/* Labels and annotations by which it is found again. */
json_t *pod_metadata(const struct pod_wishes *wishes, const struct descpipe_submission *submission, uint32_t index,
                     const char *name);
/* {"NAME": "base64"} of the late values; an empty object when there are none. */
json_t *pod_secret_data(const struct descpipe_job *job);
json_t *pod_tolerations(const char *const *tolerations, char words[POD_WORDS]);
json_t *pod_map(const char *const *map); /* name, value ... → object */
/* A legal label value: other bytes become '-', at most 63. */
void pod_label_value(const char *text, char value[64]);

/* What a pod says of itself. */
enum pod_phase { POD_WAITING = 1, POD_RUNNING, POD_ENDED };
enum pod_trouble { POD_FINE = 0, POD_TROUBLE_IMAGE, POD_TROUBLE_PLACE, POD_TROUBLE_SETUP };
struct pod_view {
    enum pod_phase phase;
    enum pod_trouble trouble; /* while it waits */
    char reason[POD_WORDS];   /* what it waits for; "" */
    char node[256];
    uint32_t flags; /* DESCPIPE_ENDED_ */
    int32_t exit_code;
    int64_t started_at_ms, finished_at_ms;
};
void pod_look(const json_t *pod, struct pod_view *view);

#endif
