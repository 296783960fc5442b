/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage as a pod: the parts of a manifest that plain Jobs and Workflows have in common, from a job and a site's
 * words. Pure.
 *
 * How it works: our folders lie on a volume that the cluster mounts as well; a folder of ours becomes the volume with a
 * `subPath`. Whatever a stage mounts besides is a path of the node. Kubernetes replaces $(NAME) in commands and values:
 * every dollar is written twice, so that a stage gets what the pipeline says.
 *
 * Apart, this machine does not see that volume, which stands for its working folder. Then a container of the helper
 * image runs before the stage's own and lays its files, and one after it publishes (pod_files.c):
 *
 *     initContainers: bring-in, main     containers: publish          (a stage that declares outputs)
 *     initContainers: bring-in           containers: main
 *
 * so that a pod is still one attempt, with one verdict, whatever its stage's image holds.
 */
#ifndef DESCPIPE_CLUSTER_POD_H
#define DESCPIPE_CLUSTER_POD_H

#include <descpipe/scheduler.h>
#include <jansson.h>
#include <stdbool.h>

enum { POD_WORDS = 512, POD_FILES_LIMIT = 1 << 20 };
#define POD_CONTAINER "main"
#define POD_INPUT "/opt/input" /* where a stage sees its own folders */
#define POD_OUTPUT "/opt/output"
#define POD_BRING_IN "bring-in"
#define POD_PUBLISH "publish"
#define POD_LABEL_RUN "descpipe.org/run"
#define POD_LABEL_TOKEN "descpipe.org/token"
#define POD_LABEL_INDEX "descpipe.org/index"
#define POD_LABEL_STAGE "descpipe.org/stage"

/* What a site or a stage says of its pods. Borrowed; NULL: not said. */
struct pod_wishes {
    const char *claim;     /* a PersistentVolumeClaim, or */
    const char *host_path; /* a folder of the nodes */
    const char *mount; /* where that volume is on this machine: absolute, without links; apart, its working folder */
    const char *path;  /* of `mount` in the volume; NULL: its top */
    bool apart;        /* this machine does not see it */
    bool carried;      /* no volume: somebody else lays inputs and takes outputs; configuration as when apart */
    const char *helper_image;   /* apart: holds a POSIX shell and its usual tools */
    const char *files;          /* apart: the name of the ConfigMap with pod_files_data */
    const char *scripts;        /* or they lie on the volume, which this machine sees: how their paths begin */
    const char *launcher_image; /* holds the runtime of stages whose form is a COMMAND */
    bool launcher_privileged;
    const char *service_account, *priority_class, *gpu_resource;
    const char *const *pull_secrets;  /* names */
    const char *pull_login;           /* the Secret with this run's own logins (pull_secret.h), or NULL */
    const char *const *node_selector; /* name, value ... */
    const char *const *tolerations;   /* "KEY[=VALUE][:EFFECT]" */
    const char *const *affinity;      /* "KEY=VALUE[,VALUE...]" */
    const char *const *labels;        /* name, value ... */
    bool image_user;                  /* the image's own user; else the caller's */
    uint32_t uid, gid;
    uint64_t grace_ms; /* from SIGTERM to SIGKILL */
};

/* Whether a volume is said not to be seen from this machine: a claim without `mount`, or `mount: none`. Pure. */
bool pod_volume_is_apart(const char *const *map);
/* "volume: {claim: NAME, mount: /here}" as read. False with words. `mount` is made real into `buffer`; apart, it is
 * left to whoever knows the working folder. */
bool pod_read_volume(const char *const *map, struct pod_wishes *wishes, char *buffer, size_t size,
                     char words[POD_WORDS]);

/* The container of a job whose form is a POD. `secret`: the Secret that holds the late names, or NULL. Mounts refer to
 * volumes that are added to `volumes`. NULL with words when it cannot be a pod here. */
json_t *pod_container(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *secret,
                      json_t *volumes, char words[POD_WORDS]);
/* The container of a job whose form is a COMMAND. */
json_t *pod_launcher_container(const struct pod_wishes *wishes, const struct descpipe_job *job, uint32_t index,
                               json_t *volumes, char words[POD_WORDS]);
/* The whole specification of a pod with its container, and with those around it. */
json_t *pod_specification(const struct pod_wishes *wishes, const struct descpipe_job *job, uint32_t index,
                          const char *secret, char words[POD_WORDS]);
/* What `imagePullSecrets` holds. */
json_t *pod_pull_secrets(const struct pod_wishes *wishes);
/* Labels and annotations by which it is found again. */
json_t *pod_metadata(const struct pod_wishes *wishes, const struct descpipe_submission *submission, uint32_t index,
                     const char *name);
/* {"NAME": "base64"} of the late values; an empty object when there are none. */
json_t *pod_secret_data(const struct descpipe_job *job);
/* Apart: what goes into the ConfigMap's `binaryData`, by their contents' hashes. NULL with words: it is too much for
 * one. */
json_t *pod_files_data(const struct descpipe_job *job, char words[POD_WORDS]);
/* Writes the scripts of a job to where `scripts` says. */
bool pod_files_write(const char *prefix, const struct descpipe_job *job, char words[POD_WORDS]);
/* Apart: the containers around the stage's own, by which its pod or its template becomes whole. NULL: it needs none. */
json_t *pod_bring_in_container(const struct pod_wishes *wishes, const struct descpipe_job *job, json_t *volumes);
json_t *pod_publish_container(const struct pod_wishes *wishes, const struct descpipe_job *job, json_t *volumes);
/* Apart: the stage's configuration as a volume of that name. NULL with words. */
json_t *pod_config_volume(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *name,
                          char words[POD_WORDS]);
json_t *pod_work_volume(const struct pod_wishes *wishes);
void pod_add_volume(json_t *volumes, json_t *volume); /* unless one of that name is there */
json_t *pod_resources(const struct pod_wishes *wishes, const struct descpipe_resources *resources, bool with_gpus);
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
    bool unsaid; /* it is over, and its node may still say how */
    int64_t started_at_ms, finished_at_ms;
};
void pod_look(const json_t *pod, struct pod_view *view);

#endif
