/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of what SLURM's commands say when they fail. Texts are those of slurm_errno.c and of the commands, 20.11
 * to 25.05. */
#include "parts/answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *part;
    enum answer_kind kind;
    const char *hint;
} phrases[] = {
    /* It may have been done: the request was sent and no answer came. */
    {"Socket timed out", ANSWER_UNKNOWN, NULL},
    {"timed out on send/recv", ANSWER_UNKNOWN, NULL},
    {"Zero Bytes were transmitted or received", ANSWER_UNKNOWN, NULL},
    {"Connection reset", ANSWER_UNKNOWN, NULL},
    {"Transport endpoint is not connected", ANSWER_UNKNOWN, NULL},
    {"Unexpected message received", ANSWER_UNKNOWN, NULL},
    {"Message receive failure", ANSWER_UNKNOWN, NULL},
    {"Broken pipe", ANSWER_UNKNOWN, NULL},
    /* Nobody was reached. */
    {"Unable to contact slurm controller", ANSWER_CANNOT_ASK, NULL},
    {"Connection refused", ANSWER_CANNOT_ASK, NULL},
    {"No route to host", ANSWER_CANNOT_ASK, NULL},
    {"Host is unreachable", ANSWER_CANNOT_ASK, NULL},
    {"Network is unreachable", ANSWER_CANNOT_ASK, NULL},
    {"slurm backup controller in standby mode", ANSWER_CANNOT_ASK, NULL},
    {"in standby mode", ANSWER_CANNOT_ASK, NULL},
    {"Problem talking to the database", ANSWER_CANNOT_ASK, NULL},
    {"Unable to connect to database", ANSWER_CANNOT_ASK, NULL},
    {"slurm_persist_conn_open", ANSWER_CANNOT_ASK, NULL},
    {"Munge encode failed", ANSWER_CANNOT_ASK, "munge does not answer on this machine; ask its administrator"},
    {"authentication error", ANSWER_CANNOT_ASK, "munge does not agree with the controller; ask an administrator"},
    /* Later. */
    {"temporarily unable to accept job", ANSWER_LATER, NULL},
    {"Resource temporarily unavailable", ANSWER_LATER, NULL},
    {"rate limit", ANSWER_LATER, NULL},
    {"ackoff", ANSWER_LATER, NULL},
    {"acking off", ANSWER_LATER, NULL},
    {"Slurm is shutting down", ANSWER_LATER, NULL},
    {"Too many open requests", ANSWER_LATER, NULL},
    {"MaxSubmitJob", ANSWER_TOO_MANY, NULL},
    {"MaxSubmitPU", ANSWER_TOO_MANY, NULL},
    {"GrpSubmitJob", ANSWER_TOO_MANY, NULL},
    {"Job violates accounting/QOS policy (job submit limit", ANSWER_TOO_MANY, NULL},
    {"submit limit", ANSWER_TOO_MANY, NULL},
    /* The job is not there. */
    {"Invalid job id", ANSWER_NO_JOB, NULL},
    {"already completing or completed", ANSWER_NO_JOB, NULL},
    {"Invalid field requested", ANSWER_NO_FIELD, NULL},
    {"accounting storage is disabled", ANSWER_DISABLED, NULL},
    {"accounting_storage/none", ANSWER_DISABLED, NULL},
    /* Refused, and what to do about it. */
    {"account or account/partition", ANSWER_REFUSED,
     "set the option `account` of slurm (sacctmgr show associations user=$USER)"},
    {"Invalid account", ANSWER_REFUSED, "set the option `account` of slurm (sacctmgr show associations user=$USER)"},
    {"invalid partition", ANSWER_REFUSED, "set the option `partition` of slurm to one of `sinfo -s`"},
    {"Invalid qos", ANSWER_REFUSED, "set the option `qos` of slurm (sacctmgr show qos format=name)"},
    {"Requested time limit is invalid", ANSWER_REFUSED,
     "lower the stage's `minutes`, or take another partition or qos"},
    {"exceeds partition limit", ANSWER_REFUSED, "ask for less, or set the option `partition` of slurm"},
    {"Requested node configuration is not available", ANSWER_REFUSED,
     "no node has so many cpus, gpus or so much memory: lower them, or set `partition` or `constraint`"},
    {"Memory specification", ANSWER_REFUSED, "lower the stage's `memory`"},
    {"Invalid feature specification", ANSWER_REFUSED,
     "set the option `constraint` of slurm to features of `sinfo -o %f`"},
    {"Invalid generic resource", ANSWER_REFUSED,
     "this site's gpus are called otherwise: see the option `gpu-request` of slurm"},
    {"Requested reservation is invalid", ANSWER_REFUSED,
     "set the option `reservation` of slurm to one of `scontrol show reservations`"},
    {"Invalid license specification", ANSWER_REFUSED,
     "set the option `licenses` of slurm to some of `scontrol show licenses`"},
    {"unrecognized option", ANSWER_REFUSED, "this SLURM has no such option: see `extra`"},
    {"invalid option", ANSWER_REFUSED, "this SLURM has no such option: see `extra`"},
    {"Job dependency problem", ANSWER_REFUSED, NULL},
    {"Access/permission denied", ANSWER_REFUSED, NULL},
    {"User's group not permitted", ANSWER_REFUSED, "set the option `partition` of slurm to one that you may use"},
    {"Batch job submission failed", ANSWER_REFUSED, NULL}, /* the controller's no, for whatever reason */
};

/* Without "sbatch: error: " and the like. */
static const char *skip_command(const char *line)
{
    static const char *const prefixes[] = {
        "sbatch: ", "squeue: ", "sacct: ", "scontrol: ", "scancel: ", "error: ", "fatal: "};
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
            if (strncmp(line, prefixes[i], strlen(prefixes[i])) == 0) {
                line += strlen(prefixes[i]);
                again = true;
            }
        }
    }
    return line;
}

static void keep_line(const char *words, const char *part, struct answer *answer)
{
    const char *start = part;
    while (start > words && start[-1] != '\n') {
        start--;
    }
    start = skip_command(start);
    snprintf(answer->message, sizeof(answer->message), "%.*s", (int)strcspn(start, "\r\n"), start);
}

/* The last line that is not empty: commands say what matters last. */
static void keep_last_line(const char *words, struct answer *answer)
{
    size_t length = strlen(words);
    while (length > 0 && (words[length - 1] == '\n' || words[length - 1] == '\r' || words[length - 1] == ' ')) {
        length--;
    }
    if (length == 0) {
        snprintf(answer->message, sizeof(answer->message), "it said nothing");
        return;
    }
    keep_line(words, words + length, answer);
}

void answer_read(const char *words, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_UNKNOWN};
    for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++) {
        const char *found = strcasestr(words, phrases[i].part);
        if (found != NULL) {
            answer->kind = phrases[i].kind;
            answer->hint = phrases[i].hint;
            keep_line(words, found, answer);
            return;
        }
    }
    keep_last_line(words, answer);
}

bool answer_asks_for_patience(const char *words)
{
    static const char *const parts[] = {"temporarily unable", "rate limit",   "backing off",
                                        "back off",           "too many rpc", "Resource temporarily unavailable"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (strcasestr(words, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* "123", "123;cluster", "Submitted batch job 123": the line's job, or nothing. */
static bool read_line(const char *line, size_t length, uint64_t *job, char *cluster, size_t cluster_size)
{
    static const char long_form[] = "Submitted batch job ";
    if (length >= sizeof(long_form) && memcmp(line, long_form, sizeof(long_form) - 1) == 0) {
        line += sizeof(long_form) - 1;
        length -= sizeof(long_form) - 1;
    }
    uint64_t number = 0;
    size_t i = 0;
    for (; i < length && line[i] >= '0' && line[i] <= '9' && number < UINT64_MAX / 100; i++) {
        number = number * 10 + (uint64_t)(line[i] - '0');
    }
    if (i == 0 || number == 0) {
        return false;
    }
    size_t named = 0;
    if (i < length && line[i] == ';') {
        named = length - i - 1;
        if (named == 0 || named >= cluster_size || memchr(line + i, ' ', length - i) != NULL) {
            return false;
        }
    } else if (i < length) {
        return false;
    }
    *job = number;
    snprintf(cluster, cluster_size, "%.*s", (int)named, line + length - named);
    return true;
}

bool answer_read_job(const char *printed, uint64_t *job, char *cluster, size_t cluster_size)
{
    bool found = false;
    cluster[0] = '\0';
    while (*printed != '\0') {
        size_t length = strcspn(printed, "\n"), kept = length;
        while (kept > 0 && (printed[kept - 1] == '\r' || printed[kept - 1] == ' ')) {
            kept--;
        }
        found = read_line(printed, kept, job, cluster, cluster_size) || found; /* the last one is sbatch's own */
        printed += length + (printed[length] == '\n');
    }
    return found;
}

bool answer_names_field(const char *message, const char *field)
{
    const char *found = strstr(message, field);
    return found != NULL && strcspn(found, "\"' ") == strlen(field);
}
