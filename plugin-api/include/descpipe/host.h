/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host does for a plugin. The table handed to `open` stays valid until `close` returns.
 * Services of version 1.0 are never NULL. A plugin resolves no symbol of the host.
 */
#ifndef DESCPIPE_HOST_H
#define DESCPIPE_HOST_H

#include <descpipe/option.h>
#include <descpipe/types.h>

enum { DESCPIPE_LOG_ERROR = 1, DESCPIPE_LOG_WARNING = 2, DESCPIPE_LOG_NOTICE = 3, DESCPIPE_LOG_DEBUG = 4 };

struct descpipe_log_service {
    uint32_t size;
    uint32_t reserved;
    /* One line, without a newline at its end and without secrets. */
    void (*write)(const struct descpipe_host *host, uint32_t level, const char *message);
};

/* Reading options. `settings` is host->settings or a stage's own. A key must be in the option table and
 * be asked for by its type, else the answer is NULL or 0. Defaults are already filled in. */
struct descpipe_config_service {
    uint32_t size;
    uint32_t reserved;
    int32_t (*given)(const struct descpipe_settings *settings, const char *key); /* by a person, not by default */
    const char *(*text)(const struct descpipe_settings *settings, const char *key); /* TEXT, PATH, CHOICE */
    int64_t (*integer)(const struct descpipe_settings *settings, const char *key);  /* INTEGER, DURATION, BYTES */
    int32_t (*boolean)(const struct descpipe_settings *settings, const char *key);
    const char *const *(*list)(const struct descpipe_settings *settings, const char *key);
    /* MAP: name 0, value 0, name 1, value 1 ..., NULL */
    const char *const *(*map)(const struct descpipe_settings *settings, const char *key);
    const struct descpipe_secret *(*secret)(const struct descpipe_settings *settings, const char *key);
};

/* A call is one operation in progress. Its inputs live until it is finished. Cancel is a wish: the
 * plugin may finish with success if it was too late. Finishing is a duty. */
struct descpipe_call_service {
    uint32_t size;
    uint32_t reserved;
    void (*succeed)(struct descpipe_call *call);
    /* `message` says what and where, `hint` (may be NULL) what to do. Copied. */
    void (*fail)(struct descpipe_call *call, uint32_t failure, const char *message, const char *hint);
    int32_t (*cancelled)(const struct descpipe_call *call);
    /* `wish` is called at most once, when the host cancels; never after the call is finished. */
    void (*on_cancel)(struct descpipe_call *call, void (*wish)(void *context), void *context);
    /* total 0: not known. `text` may be NULL. */
    void (*progress)(struct descpipe_call *call, uint64_t done, uint64_t total, const char *text);
};

/* What calls answer. The host copies everything before it returns. A kind of answer that the operation
 * does not expect is a fault of the plugin and fails the call. */
struct descpipe_image_identity;
struct descpipe_form;
struct descpipe_ending;
struct descpipe_credential;
struct descpipe_found;
struct descpipe_answer_service {
    uint32_t size;
    uint32_t reserved;
    void (*fact)(struct descpipe_call *call, const char *name, const char *value);          /* probe */
    void (*identity)(struct descpipe_call *call, const struct descpipe_image_identity *identity);
    void (*form)(struct descpipe_call *call, const struct descpipe_form *form);             /* launch */
    void (*native_id)(struct descpipe_call *call, uint64_t job, const char *id);            /* start, submit */
    void (*ending)(struct descpipe_call *call, const struct descpipe_ending *ending);       /* observe, inspect */
    void (*found)(struct descpipe_call *call, const struct descpipe_found *found);          /* find */
    void (*reference)(struct descpipe_call *call, const char *reference);                   /* normalize */
    void (*credential)(struct descpipe_call *call, const struct descpipe_credential *credential);
    void (*text)(struct descpipe_call *call, const char *text);                             /* list_tags, changes, paths */
    void (*moment)(struct descpipe_call *call, int64_t at_ms);                              /* queue_estimate */
};

/* Something of a run that exists already. Answer of `find`. */
struct descpipe_found {
    uint32_t size;
    uint32_t running;        /* 1: not ended yet */
    const char *token;       /* the submission's or container's token */
    const char *native_id;
    int64_t index;           /* position in a submission of several jobs, else 0 */
};

enum {
    DESCPIPE_ACCESS_PLAIN_HTTP = 1u << 0,    /* http instead of https: loopback, or a person said so */
    DESCPIPE_ACCESS_UNVERIFIED_TLS = 1u << 1 /* only when a person said so */
};

/* A login, and how its host is reached. Answer of `credentials`. Neither username nor password: anonymous. The username
 * "<token>" says that the password is an identity token for the registry's token service, as Docker's credential helpers
 * write it. */
struct descpipe_credential {
    uint32_t size;
    uint32_t access;                       /* DESCPIPE_ACCESS_ */
    const char *username;                  /* NULL with a bearer token */
    const struct descpipe_secret *password;/* or the token, or NULL */
    int64_t expires_at_ms;
    const char *origin;                    /* where it was found, for messages: "~/.docker/config.json" */
    const char *endpoint;                  /* "https://registry-1.docker.io" when it is not the reference's host, or NULL */
    const char *ca_file;                   /* PEM, or NULL: the system's */
    const char *client_certificate;        /* PEM, or NULL */
    const char *client_key;
    const char *proxy;                     /* NULL: as the environment says */
};

/* Tools that end with us. No shell. The child gets exactly this environment. */
struct descpipe_process_end {
    uint32_t size;
    int32_t started;      /* 0: could not be executed, `message` says why */
    int32_t exit_code;    /* -1 when ended by a signal */
    int32_t signal;
    int32_t timed_out;
    int32_t truncated;    /* output went over output_limit and was cut */
    const char *message;
};
enum {
    /* A person sits in front of it: it has our standard streams and our terminal, and no time limit but its own. */
    DESCPIPE_PROCESS_TERMINAL = 1u << 0
};
struct descpipe_process_request {
    uint32_t size;
    uint32_t flags;                 /* DESCPIPE_PROCESS_ */
    const char *const *argv;
    const char *const *environment; /* NULL: the host's PATH, HOME, USER, LANG, TMPDIR and nothing else */
    const char *directory;          /* NULL: / */
    const void *input;              /* written to its standard input, then closed; copied */
    uint64_t input_length;
    uint64_t timeout_ms;            /* 0: 60 s; UINT64_MAX: none */
    uint64_t output_limit;          /* bytes of both streams together, 0: 16 MiB */
    /* A line without its newline; stream 1 or 2. May be NULL. A line over 64 KiB comes in pieces. */
    void (*line)(void *context, uint32_t stream, const char *line, uint64_t length);
    void (*ended)(void *context, const struct descpipe_process_end *end); /* exactly once, last */
    void *context;
    /* Its standard streams, instead of `input` and `line`; 0 and below: those. Stay open until `ended`. */
    int32_t input_descriptor;
    int32_t output_descriptor;
    int32_t error_descriptor;
    int32_t reserved;
};
struct descpipe_process_service {
    uint32_t size;
    uint32_t reserved;
    /* Never NULL; a failure to start comes through `ended`, after this call has returned. */
    struct descpipe_process *(*start)(const struct descpipe_host *host, const struct descpipe_process_request *request);
    void (*stop)(struct descpipe_process *process); /* SIGTERM, then SIGKILL after 5 s; `ended` still comes */
    /* Looks on PATH without starting anything. Writes an absolute path; 0 when there is none. */
    int32_t (*find)(const struct descpipe_host *host, const char *name, char *path, uint64_t path_size);
};

/* Starting stages that must outlive us: for schedulers that run on this machine. The host launches the
 * stage through its runtime, journals it and judges its end. */
struct descpipe_placement {
    uint32_t size;
    uint32_t reserved;
    const char *const *gpus; /* device ids this job may use; NULL: none */
};
struct descpipe_stage_service {
    uint32_t size;
    uint32_t reserved;
    /* `ended` comes exactly once per successful start, never before start has returned and never after `close`: closing
     * does not wait for stages. Returns 0 when the host does not want it started any more (the run is stopping); then
     * `ended` does not come. */
    int32_t (*start)(const struct descpipe_host *host, uint64_t job, const struct descpipe_placement *placement,
                     void (*ended)(void *context, uint64_t job), void *context);
    void (*stop)(const struct descpipe_host *host, uint64_t job, uint64_t grace_ms);
};

enum {
    DESCPIPE_HTTP_FOLLOW_REDIRECTS = 1u << 0, /* same host only keeps its credentials */
    DESCPIPE_HTTP_PLAIN_ALLOWED = 1u << 1,    /* http:// to a host that is not loopback */
    DESCPIPE_HTTP_UNVERIFIED_TLS = 1u << 2    /* only when a person said so */
};
enum {
    DESCPIPE_HTTP_DONE = 0,
    DESCPIPE_HTTP_CANNOT_CONNECT = 1, /* nothing was sent */
    DESCPIPE_HTTP_CUT = 2,            /* sent, but no complete answer */
    DESCPIPE_HTTP_TIMED_OUT = 3,
    DESCPIPE_HTTP_TOO_LARGE = 4,
    DESCPIPE_HTTP_TLS = 5,
    DESCPIPE_HTTP_STOPPED = 6
};
struct descpipe_http_end {
    uint32_t size;
    uint32_t outcome;       /* DESCPIPE_HTTP_ */
    int32_t status;         /* HTTP status, 0 when there was none */
    int32_t system_error;   /* errno of the connection, 0 when not known */
    const char *message;    /* what went wrong, in words */
    const char *url;        /* the last one, after redirects */
};
struct descpipe_http_request {
    uint32_t size;
    uint32_t flags;
    const char *method;               /* "GET" ... */
    const char *url;
    const char *unix_socket;          /* absolute path, or NULL */
    const char *const *headers;       /* "Name: value" */
    const struct descpipe_secret *bearer;       /* sent as Authorization: Bearer */
    const char *username;                       /* with `password`: Basic */
    const struct descpipe_secret *password;
    const char *sigv4;                          /* "aws:amz:REGION:SERVICE", signs with username and password */
    const void *body;                 /* copied; or */
    uint64_t body_length;
    int32_t body_descriptor;          /* body_length bytes are read from it; 0 and below: none */
    int32_t answer_descriptor;        /* a 2xx answer's body is written here instead of `data`; 0 and below: none. What an
                                       * answer of another status says comes through `data` all the same */
    const char *ca_file;
    const char *client_certificate;
    const char *client_key;
    const char *proxy;                /* NULL: from the environment, as curl does; "": none */
    uint64_t connect_timeout_ms;      /* 0: 10 s */
    uint64_t idle_timeout_ms;         /* no byte for this long; 0: 60 s; UINT64_MAX: never (event streams, waits) */
    uint64_t total_timeout_ms;        /* 0: none */
    uint64_t answer_limit;            /* bytes, 0: 16 MiB; UINT64_MAX: none (streams) */
    void (*header)(void *context, const char *name, const char *value); /* may be NULL */
    void (*started)(void *context, int32_t status);                     /* headers are complete; may be NULL */
    void (*data)(void *context, const void *bytes, uint64_t length);    /* may be NULL */
    void (*ended)(void *context, const struct descpipe_http_end *end);  /* exactly once, last */
    void *context;
};
struct descpipe_http_service {
    uint32_t size;
    uint32_t reserved;
    struct descpipe_exchange *(*start)(const struct descpipe_host *host, const struct descpipe_http_request *request);
    void (*stop)(struct descpipe_exchange *exchange); /* `ended` still comes, with STOPPED */
};

enum { DESCPIPE_PURPOSE_PULL = 1, DESCPIPE_PURPOSE_PUSH = 2 };
struct descpipe_credential_service {
    uint32_t size;
    uint32_t reserved;
    /* The login for an image's registry at the moment of use. `got` comes exactly once; credential is NULL when
     * there is none (anonymous), and `message` non-NULL when asking failed. */
    void (*for_image)(const struct descpipe_host *host, const struct descpipe_image *image, uint32_t purpose,
                      void (*got)(void *context, const struct descpipe_credential *credential, const char *message),
                      void *context);
};

/* Pure functions on a helper thread: hash, inflate, unpack. `work` must touch nothing but `context` and
 * files; it may use no service. `done` runs on the main thread. */
struct descpipe_work_service {
    uint32_t size;
    uint32_t reserved;
    void (*run)(const struct descpipe_host *host, void (*work)(void *context), void (*done)(void *context), void *context);
};

struct descpipe_timer_service {
    uint32_t size;
    uint32_t reserved;
    struct descpipe_timer *(*start)(const struct descpipe_host *host, uint64_t delay_ms, void (*fired)(void *context),
                                    void *context);
    void (*stop)(struct descpipe_timer *timer); /* also frees; not after it has fired */
};

struct descpipe_secret_service {
    uint32_t size;
    uint32_t reserved;
    struct descpipe_secret *(*make)(const void *bytes, uint64_t length);
    const char *(*reveal)(const struct descpipe_secret *secret, uint64_t *length); /* ends with NUL as well */
    void (*release)(struct descpipe_secret *secret);                              /* wipes */
};

enum { DESCPIPE_READABLE = 1u << 0, DESCPIPE_WRITABLE = 1u << 1 };
struct descpipe_descriptor_service {
    uint32_t size;
    uint32_t reserved;
    struct descpipe_watch *(*watch)(const struct descpipe_host *host, int32_t descriptor, uint32_t events,
                                    void (*ready)(void *context, uint32_t events), void *context);
    void (*unwatch)(struct descpipe_watch *watch); /* does not close the descriptor */
};

struct descpipe_change; /* scheduler.h */
struct descpipe_observe_service {
    uint32_t size;
    uint32_t reserved;
    void (*changed)(struct descpipe_sink *sink, const struct descpipe_change *change);
    /* Nothing could be asked since `since_ms`; shown to the user, never a failure. NULL: it works again. */
    void (*blind)(struct descpipe_sink *sink, const char *message);
};

struct descpipe_host {
    uint32_t size;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t reserved;
    const char *program_version;
    /* Absolute, exists, 0700: this plugin's own folder for what can be made again. NULL when there is no place for one. */
    const char *cache_folder;
    const struct descpipe_settings *settings;
    const struct descpipe_log_service *log;
    const struct descpipe_config_service *config;
    const struct descpipe_call_service *call;
    const struct descpipe_answer_service *answer;
    const struct descpipe_process_service *process;
    const struct descpipe_stage_service *stage;
    const struct descpipe_http_service *http;
    const struct descpipe_credential_service *credential;
    const struct descpipe_work_service *work;
    const struct descpipe_timer_service *timer;
    const struct descpipe_secret_service *secret;
    const struct descpipe_descriptor_service *descriptor;
    const struct descpipe_observe_service *observe;
};

#endif
