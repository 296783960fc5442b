/* SPDX-License-Identifier: BSD-3-Clause */
/* One configured Docker Engine, and what the files of this plugin do for each other. */
#ifndef DESCPIPE_DOCKER_DOCKER_H
#define DESCPIPE_DOCKER_DOCKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <descpipe/plugin.h>

#include "engine/address.h"
#include "engine/answer.h"
#include "engine/bytes.h"

/* The part of the Engine API that is used here is the same from 1.30 (June 2017: waits with a condition) to 1.44; newer
 * Engines are spoken to as 1.44. Device requests (gpus) came with 1.40. */
enum { API_OLDEST = 1030, API_NEWEST = 1044, API_DEVICE_REQUESTS = 1040, API_PULL_PLATFORM = 1032 };
enum { MESSAGE_LIMIT = 1024 };

struct exchange; /* request.c */
struct fetch;    /* prepare.c */
struct watch;    /* watch.c */
struct follow;   /* logs.c */
struct usage;    /* usage.c */

struct docker {
    const struct descpipe_host *host;
    struct address address;
    uint32_t forms;
    bool by_client; /* nothing goes through the socket, only through the client's command */
    bool caller_user;
    bool init;
    bool keep_failed;
    bool closing;               /* nothing is asked any more */
    const char *network;        /* of the settings */
    const char *const *command; /* the client, as configured */
    bool tls_verified;
    char *certificate_folder; /* NULL: no TLS */
    uint32_t api;             /* 0: not asked yet */
    struct exchange *exchanges;
    struct exchange *asking_version;
    struct fetch *fetches;
    struct watch *watches;
    struct follow *follows;
};

/* ---- request.c: one request to the Engine ---- */

struct docker_reply {
    uint32_t outcome; /* DESCPIPE_HTTP_ */
    int32_t status;   /* HTTP; 0 with DONE: not sent, because this Engine is too old for it */
    const char *body; /* what was collected, with a NUL */
    size_t length;
    const char *words; /* why it did not work: Docker's words or the connection's; "" when it did */
    const char *hint;  /* or NULL */
};

struct docker_request {
    const char *method;
    const char *path; /* "/containers/json?all=1": without the version */
    const char *body; /* copied, and wiped afterwards; or NULL */
    size_t body_length;
    const char *type;         /* of the body; NULL: application/json */
    const char *header;       /* one more line, may be secret; or NULL */
    int32_t body_descriptor;  /* used when above 0, with body_length; must stay open until done */
    uint64_t idle_timeout_ms; /* 0: REQUEST_TIMEOUT_MS; UINT64_MAX: never */
    uint32_t oldest_api;      /* that can do it, with */
    const char *feature;      /* what the user calls it; 0: all that are spoken to can */
    bool stream;              /* the answer has no limit and goes to `data` when the status is 2xx */
    void (*started)(void *context, int32_t status);
    void (*data)(void *context, const void *bytes, size_t length);
    void (*done)(void *context, const struct docker_reply *reply); /* exactly once, last */
    void *context;
};

enum { REQUEST_TIMEOUT_MS = 120000, ANSWER_LIMIT = 64 << 20, ERROR_BODY_LIMIT = 64 << 10 };

/* NULL only when there is no memory; `done` does not come then. Else it comes later, never before this returns. */
struct exchange *docker_ask(struct docker *docker, const struct docker_request *request);
/* True, with what to say, when the Engine is known to be too old for something. */
bool docker_too_old(const struct docker *docker, uint32_t oldest_api, const char *feature, char words[ANSWER_WORDS]);
extern const char docker_update_hint[];
/* `done` comes with STOPPED, perhaps before this returns. */
void docker_stop_asking(struct exchange *exchange);
/* At close: each `done` comes with STOPPED, and the host's late words find nobody. */
void docker_drop_exchanges(struct docker *docker);

static inline bool docker_answered(const struct docker_reply *reply, int32_t status)
{
    return reply->outcome == DESCPIPE_HTTP_DONE && reply->status == status;
}

/* How a request that only reads has failed, as a DESCPIPE_FAILED_ kind. */
uint32_t docker_failure(const struct docker_reply *reply);
/* The same for one that changes something: without an answer nobody knows whether it was done. */
uint32_t docker_change_failure(const struct docker_reply *reply);
/* Finishes the call with "WHAT: words". */
void docker_fail(struct docker *docker, struct descpipe_call *call, uint32_t failure, const char *hint,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void docker_fail_memory(struct docker *docker, struct descpipe_call *call);

/* ---- pod.c: the form POD ---- */

void docker_launch_pod(struct docker *docker, struct descpipe_call *call, const struct descpipe_stage *stage);

/* ---- image_api.c, image_client.c: the steps with images, by the socket or by the client ---- */

enum image_outcome { IMAGE_DONE, IMAGE_ABSENT, IMAGE_FAILED };
struct image_answer {
    enum image_outcome outcome;
    uint32_t failure; /* DESCPIPE_FAILED_ when FAILED */
    const char *words, *hint;
    const struct image_facts *facts; /* of an inspection that is DONE */
};
struct image_request {
    const char *name;                   /* what to inspect or pull, or the path to load */
    const char *reference;              /* inspect: chooses the manifest digest */
    const struct descpipe_image *image; /* pull: whose login; must live until done */
    void (*progress)(void *context, uint64_t done, uint64_t total, const char *text); /* pull and load; may be NULL */
    void (*done)(void *context, const struct image_answer *answer);
    void *context;
};
struct image_step {
    struct docker *docker;
    struct image_request request;
    void (*stop)(struct image_step *step);
};
/* NULL when there is no memory. `done` comes later, exactly once. */
struct image_step *image_inspect(struct docker *docker, const struct image_request *request);
struct image_step *image_pull(struct docker *docker, const struct image_request *request);
struct image_step *image_load(struct docker *docker, const struct image_request *request);
struct image_step *image_inspect_by_client(struct docker *docker, const struct image_request *request);
struct image_step *image_pull_by_client(struct docker *docker, const struct image_request *request);
struct image_step *image_load_by_client(struct docker *docker, const struct image_request *request);
/* work_client.c */
void docker_build_by_client(struct docker *docker, struct descpipe_call *call, const struct descpipe_build *request);
void docker_push_by_client(struct docker *docker, struct descpipe_call *call, const struct descpipe_push *request);
/* Says what kind of failure a registry's words mean, and what to do about it. */
uint32_t image_pull_failure(const char *words, const char **hint);

/* ---- login.c: what the Engine is told about logins; all of it is secret ---- */

/* False: nobody in particular, though there may be facts about the host. */
bool login_is_given(const struct descpipe_credential *credential);
/* "X-Registry-Auth: ..." for the registry of a reference; of nobody in particular when none is given. */
bool login_write_header(struct docker *docker, const struct descpipe_credential *credential, const char *reference,
                        struct bytes *header);
/* Adds a registry to the JSON object of X-Registry-Config, which begins with "{". */
bool login_add_config(struct docker *docker, const struct descpipe_credential *credential, const char *reference,
                      struct bytes *json);

/* ---- operations ---- */

void docker_probe(void *self, struct descpipe_call *call);                                           /* probe.c */
void docker_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image);    /* identify.c */
void docker_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare); /* prepare.c */
void docker_build(void *self, struct descpipe_call *call, const struct descpipe_build *build);       /* build.c */
void docker_push(void *self, struct descpipe_call *call, const struct descpipe_push *push);          /* push.c */
void docker_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);      /* command.c */
void docker_start(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);       /* start.c */
void docker_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);       /* start.c */
void docker_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec);          /* exec.c */
void docker_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit);    /* developer.c */
void docker_changes(void *self, struct descpipe_call *call,
                    const struct descpipe_container *container);                                /* developer.c */
void docker_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy); /* developer.c */
void docker_observe(void *self, struct descpipe_call *call, const struct descpipe_container *container); /* watch.c */
void docker_logs(void *self, struct descpipe_call *call, const struct descpipe_logs *logs);              /* logs.c */
void docker_drop_follows(struct docker *docker);
/* All of it to a file, or a pipe whose reader is slow for some seconds. False with errno. */
bool docker_write_all(int descriptor, const void *bytes, size_t length);
void docker_inspect(void *self, struct descpipe_call *call,
                    const struct descpipe_container *container); /* container.c */
void docker_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop);
void docker_find(void *self, struct descpipe_call *call, const char *run);
void docker_release(void *self, struct descpipe_call *call, const struct descpipe_container *container);

/* ---- shared by the operations on containers ---- */

/* False: the call has failed, because everything goes through the client. */
bool docker_has_api(struct docker *docker, struct descpipe_call *call);

/* The name by which the Engine finds it: the native id, else the token. */
const char *container_name(const struct descpipe_container *container);
/* "/containers/NAME" and what follows, escaped; the caller frees it. NULL: no memory. */
char *container_path(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Evidence of a container that is not alive any more; `used` is what was seen of its use, zero where nothing was. */
void container_answer_ending(struct docker *docker, struct descpipe_call *call, const struct container_facts *facts,
                             struct usage_facts used);
void container_answer_lost(struct docker *docker, struct descpipe_call *call, const char *name);
void answer_image(struct docker *docker, struct descpipe_call *call, const struct image_facts *facts); /* identify.c */

/* A wait for the end of a container. A watch that `start` registers before the container runs is found again by
 * `observe`; it is the watch's own business whether the Engine goes away in between. watch.c */
struct watch *watch_register(struct docker *docker, const char *id, const char *token,
                             void (*registered)(void *context, const struct docker_reply *failure), void *context);
void watch_drop(struct docker *docker, struct watch *watch);
void watch_drop_named(struct docker *docker, const char *name);
void docker_drop_watches(struct docker *docker);

/* usage.c: what a container has used so far, as far as the Engine told it. NULL when there is no memory, which is fine for
 * the others. */
struct usage *usage_watch(struct docker *docker, const char *name);
struct usage_facts usage_most(const struct usage *usage);
void usage_drop(struct usage *usage);

/* command.c: what the client itself needs from our environment, "NAME=value". */
bool client_environment(struct docker *docker, struct texts *environment);

#endif
