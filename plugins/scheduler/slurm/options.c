/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of slurm: a site's words, and how politely it is asked. */
#include <stdio.h>

#include "slurm.h"

#define TEXT(name, text)                                                                                               \
    {                                                                                                                  \
        .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_TEXT, .flags = DESCPIPE_OPTION_PER_STAGE,      \
        .key = name, .help = text                                                                                      \
    }
#define LENGTH(name, value, least, most, text)                                                                         \
    {                                                                                                                  \
        .size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_DURATION, .flags = DESCPIPE_OPTION_RANGED,     \
        .key = name, .default_value = value, .help = text, .minimum = least, .maximum = most                           \
    }

static const char *const gpu_requests[] = {"gres", "gpus-per-node", NULL};
static const char *const modes[] = {"auto", "jobs", "steps", "pilot", NULL};
static const char *const launchers[] = {"srun", "mpirun", NULL};

static const struct descpipe_option options[] = {
    TEXT("account", "Whom the jobs are charged to (sbatch --account)."),
    TEXT("partition", "Where the jobs run (sbatch --partition)."),
    TEXT("qos", "Quality of service (sbatch --qos)."),
    TEXT("constraint", "Features that nodes must have (sbatch --constraint)."),
    TEXT("reservation", "A reservation to run in (sbatch --reservation)."),
    TEXT("licenses", "Licenses to hold while running (sbatch --licenses)."),
    TEXT("gpu-type", "The kind of gpu, as in --gres=gpu:KIND:2."),
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_CHOICE,
     .flags = DESCPIPE_OPTION_PER_STAGE,
     .key = "gpu-request",
     .default_value = "gres",
     .help = "How a stage's gpus are asked for: --gres=gpu:N or --gpus-per-node=N.",
     .choices = gpu_requests},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_LIST,
     .flags = DESCPIPE_OPTION_PER_STAGE,
     .key = "extra",
     .help = "More long options for sbatch, such as --mail-type=END."},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_TEXT,
     .key = "clusters",
     .help =
         "Clusters to submit to, separated by commas; the first that can start a job takes it (sbatch --clusters)."},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_CHOICE,
     .key = "mode",
     .default_value = "auto",
     .help =
         "Stages as jobs, or as steps of the allocation that descpipe was started in; auto: as steps inside of one. "
         "pilot: one allocation of `nodes` for `minutes`, into which the run moves.",
     .choices = modes},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_CHOICE,
     .key = "launcher",
     .default_value = "srun",
     .help = "What starts the ranks of a parallel stage.",
     .choices = launchers},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_TEXT,
     .key = "mpi",
     .help = "The kind of MPI that srun sets up for ranks, such as pmix (srun --mpi)."},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_LIST,
     .key = "launcher-options",
     .help = "More words for the launcher of ranks."},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_INTEGER,
     .flags = DESCPIPE_OPTION_RANGED,
     .key = "jobs",
     .default_value = "0",
     .help = "Jobs in the queue at a time; 0 is as many as the site takes.",
     .minimum = 0,
     .maximum = 1000000},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_INTEGER,
     .flags = DESCPIPE_OPTION_RANGED,
     .key = "nodes",
     .default_value = "1",
     .help = "Of mode pilot: nodes of the allocation, whole ones.",
     .minimum = 1,
     .maximum = 100000},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_INTEGER,
     .flags = DESCPIPE_OPTION_RANGED,
     .key = "minutes",
     .default_value = "60",
     .help = "Of mode pilot: how long it has the allocation.",
     .minimum = 2,
     .maximum = 525600},
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_BOOLEAN,
     .key = "login-environment",
     .default_value = "false",
     .help =
         "Jobs begin in what a login shell on their node sets, not with the PATH of where they were submitted; each "
         "then takes about a second longer to start (sbatch --export=NONE)."},
    LENGTH("poll", "2s", 100, 3600000, "How often the queue is asked while things happen."),
    LENGTH("poll-limit", "30s", 100, 3600000, "How often the queue is asked while nothing happens."),
    LENGTH("limits-age", "5m", 0, 86400000,
           "How old what another run has heard of the controller's limits may be; 0s: each run asks itself."),
    LENGTH("settle", "15s", 0, 600000, "How long a job is looked for whose submission got no clear answer."),
    LENGTH("accounting-patience", "60s", 0, 3600000, "How long accounting may lag behind the end of a job."),
    {.size = sizeof(struct descpipe_option),
     .type = DESCPIPE_OPTION_PATH,
     .key = "commands",
     .help = "The folder of sbatch, squeue and the others; without it they are looked for on PATH."},
};

const struct descpipe_option *const slurm_options[] = {
    &options[0],  &options[1],  &options[2],  &options[3],  &options[4],  &options[5],  &options[6],
    &options[7],  &options[8],  &options[9],  &options[10], &options[11], &options[12], &options[13],
    &options[14], &options[15], &options[16], &options[17], &options[18], &options[19], &options[20],
    &options[21], &options[22], &options[23], NULL};

_Static_assert(sizeof(options) / sizeof(*options) + 1 == sizeof(slurm_options) / sizeof(*slurm_options), "all of them");

const char *slurm_text(const struct slurm *self, const char *key)
{
    const char *text = self->host->config->text(self->settings, key);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* A stage's own word, else the backend's. */
static const struct descpipe_settings *settings_for(const struct slurm *self, const struct descpipe_job *job,
                                                    const char *key)
{
    bool own = job->settings != NULL && self->host->config->given(job->settings, key);
    return own ? job->settings : self->settings;
}

void slurm_wishes(void *context, const struct descpipe_job *job, struct wishes *wishes)
{
    const struct slurm *self = context;
    const struct descpipe_config_service *config = self->host->config;
    const struct {
        const char *key, **place;
    } texts[] = {
        {"account", &wishes->account},       {"partition", &wishes->partition},     {"qos", &wishes->qos},
        {"constraint", &wishes->constraint}, {"reservation", &wishes->reservation}, {"licenses", &wishes->licenses},
        {"gpu-type", &wishes->gpu_type},     {"gpu-request", &wishes->gpu_request}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        *texts[i].place = config->text(settings_for(self, job, texts[i].key), texts[i].key);
    }
    wishes->extra = config->list(settings_for(self, job, "extra"), "extra");
}

void slurm_add_clusters(const struct slurm *self, struct arguments *arguments)
{
    const char *clusters = slurm_text(self, "clusters");
    if (clusters != NULL) {
        arguments_format(arguments, "--clusters=%s", clusters);
    }
}
