/* SPDX-License-Identifier: BSD-3-Clause */
/* Workflows; workflow.h says how it works. */
#include "workflow.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct making {
    const struct workflow_wishes *wishes;
    const struct descpipe_submission *submission;
    char (*names)[WORKFLOW_TASK_LIMIT + 1]; /* of tasks and templates, by position */
    json_t *by_name;                        /* name → position */
    json_t *by_job;                         /* job's number as text → position */
    char entry[WORKFLOW_TASK_LIMIT + 1];
    char *words;
};

static bool say(struct making *making, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(struct making *making, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(making->words, POD_WORDS, format, arguments);
    va_end(arguments);
    return false;
}

bool workflow_task_name(const char *stage, const char *member, char name[WORKFLOW_TASK_LIMIT + 1])
{
    size_t length = 0;
    for (const char *part = stage; part != NULL; part = part == stage ? member : NULL) {
        if (part == member && length < WORKFLOW_TASK_LIMIT) {
            name[length++] = '-';
        }
        for (const char *c = part; *c != '\0'; c++) {
            if (length == WORKFLOW_TASK_LIMIT) {
                return false;
            }
            name[length++] = isalnum((unsigned char)*c) ? *c : '-';
        }
    }
    name[length] = '\0';
    return length > 0 && isalnum((unsigned char)name[0]);
}

static bool name_tasks(struct making *making)
{
    for (uint32_t i = 0; i < making->submission->count; i++) {
        const struct descpipe_job *job = making->submission->jobs[i];
        char number[24];
        if (!workflow_task_name(job->stage, job->member, making->names[i])) {
            return say(making, "stage '%.150s' has a name that Argo does not take: letters, digits and '-', at most %d",
                       job->stage, WORKFLOW_TASK_LIMIT);
        }
        const json_t *other = json_object_get(making->by_name, making->names[i]);
        if (other != NULL) {
            const struct descpipe_job *first = making->submission->jobs[json_integer_value(other)];
            return say(making, "the stages '%.120s%s%.60s' and '%.120s%s%.60s' would both be called '%.120s' in Argo",
                       first->stage, first->member != NULL ? " " : "", first->member != NULL ? first->member : "",
                       job->stage, job->member != NULL ? " " : "", job->member != NULL ? job->member : "",
                       making->names[i]);
        }
        json_object_set_new(making->by_name, making->names[i], json_integer(i));
        snprintf(number, sizeof(number), "%llu", (unsigned long long)job->job);
        json_object_set_new(making->by_job, number, json_integer(i));
    }
    /* The entry point is called like the Workflow, unless a stage is. */
    snprintf(making->entry, sizeof(making->entry), "%s", making->submission->token);
    while (json_object_get(making->by_name, making->entry) != NULL && strlen(making->entry) < WORKFLOW_TASK_LIMIT - 4) {
        memcpy(making->entry + strlen(making->entry), "-dag", 5);
    }
    return true;
}

static bool has_template(const char *text)
{
    return text != NULL && strstr(text, "{{") != NULL;
}

/* Everything of a job that becomes a text of the Workflow. */
static bool check_templates(struct making *making, const struct descpipe_job *job)
{
    const struct descpipe_form *form = job->form;
    const char *what = has_template(job->source) ? "script" : has_template(form->directory) ? "workdir" : NULL;
    for (size_t i = 0; what == NULL && form->argv != NULL && form->argv[i] != NULL; i++) {
        what = has_template(form->argv[i]) ? "command" : NULL;
    }
    for (size_t i = 0; what == NULL && form->environment != NULL && form->environment[i] != NULL; i++) {
        what = has_template(form->environment[i]) ? "env" : NULL;
    }
    return what == NULL || say(making,
                               "stage '%.150s': its %s holds '{{', which Argo replaces and which cannot be written in "
                               "another way; put it into a file of the image",
                               job->stage, what);
}

static json_t *template_of(struct making *making, uint32_t index)
{
    const struct descpipe_job *job = making->submission->jobs[index];
    struct pod_wishes wishes = making->wishes->pods;
    making->wishes->for_job(making->wishes->context, job, &wishes);
    json_t *volumes = json_array();
    json_t *container = pod_container(&wishes, job, making->wishes->secret, volumes, making->words);
    json_t *tolerations = container != NULL ? pod_tolerations(wishes.tolerations, making->words) : NULL;
    if (tolerations == NULL) {
        json_decref(container);
        json_decref(volumes);
        return NULL;
    }
    json_t *annotations = json_pack("{s:s}", "descpipe.org/stage", job->stage);
    if (job->member != NULL) {
        json_object_set_new(annotations, "descpipe.org/member", json_string(job->member));
    }
    json_t *template =
        json_pack("{s:s, s:{s:o}}", "name", making->names[index], "metadata", "annotations", annotations);
    if (job->source != NULL) { /* Argo puts it into a file and names that last */
        json_t *command = json_object_get(container, "command");
        json_array_remove(command, json_array_size(command) - 1);
        json_object_set_new(container, "source", json_string(job->source));
        json_object_set_new(template, "script", container);
    } else {
        json_object_set_new(template, "container", container);
    }
    json_object_set_new(template, "volumes", volumes);
    json_object_set_new(template, "tolerations", tolerations);
    json_object_set_new(template, "nodeSelector", pod_map(wishes.node_selector));
    if (job->resources != NULL &&
        job->resources->time_limit_ms > 0) { /* a text by Argo's schema, which takes numbers too */
        char seconds[24];
        snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)(job->resources->time_limit_ms + 999) / 1000);
        json_object_set_new(template, "activeDeadlineSeconds", json_string(seconds));
    }
    static const char *const may_be_empty[] = {"volumes", "tolerations", "nodeSelector"};
    for (size_t i = 0; i < sizeof(may_be_empty) / sizeof(*may_be_empty); i++) {
        const json_t *value = json_object_get(template, may_be_empty[i]);
        if (json_array_size(value) == 0 && json_object_size(value) == 0) {
            json_object_del(template, may_be_empty[i]);
        }
    }
    return template;
}

/* "a && (b.Succeeded || b.Failed || ...)"; NULL when it waits for nothing, or with words. */
static bool depends_of(struct making *making, uint32_t index, json_t *task)
{
    const struct descpipe_job *job = making->submission->jobs[index];
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    bool done = stream != NULL;
    for (size_t i = 0; done && job->after != NULL && job->after[i] != NULL; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%llu", (unsigned long long)job->after[i]->job);
        const json_t *position = json_object_get(making->by_job, number);
        if (position == NULL) {
            done = say(making, "stage '%.150s' waits for a job that is not in this Workflow", job->stage);
            break;
        }
        const char *name = making->names[json_integer_value(position)];
        fputs(i > 0 ? " && " : "", stream);
        if (job->after[i]->condition == DESCPIPE_AFTER_OK) {
            fputs(name, stream);
        } else {
            fprintf(stream, "(%s.Succeeded || %s.Failed || %s.Errored || %s.Skipped || %s.Omitted)", name, name, name,
                    name, name);
        }
    }
    if (stream != NULL && fclose(stream) == 0 && done && length > 0) {
        json_object_set_new(task, "depends", json_string(text));
    }
    free(text);
    return done;
}

static bool add_tasks(struct making *making, json_t *templates, json_t *tasks)
{
    for (uint32_t i = 0; i < making->submission->count; i++) {
        const struct descpipe_job *job = making->submission->jobs[i];
        if (job->form == NULL || job->form->form != DESCPIPE_FORM_POD) {
            return say(making, "stage '%.150s' is no pod", job->stage);
        }
        json_t *template = check_templates(making, job) ? template_of(making, i) : NULL;
        if (template == NULL) {
            return false;
        }
        json_array_append_new(templates, template);
        json_t *task = json_pack("{s:s, s:s}", "name", making->names[i], "template", making->names[i]);
        json_array_append_new(tasks, task);
        if (!depends_of(making, i, task)) {
            return false;
        }
    }
    return true;
}

static void set_if(json_t *object, const char *key, json_t *value, bool wanted)
{
    if (wanted && value != NULL) {
        json_object_set_new(object, key, value);
    } else {
        json_decref(value);
    }
}

static json_t *specification_of(struct making *making, json_t *templates)
{
    const struct workflow_wishes *wishes = making->wishes;
    const struct pod_wishes *pods = &wishes->pods;
    json_t *tolerations = pod_tolerations(pods->tolerations, making->words);
    if (tolerations == NULL) {
        return NULL;
    }
    json_t *secrets = pod_pull_secrets(pods), *selector = pod_map(pods->node_selector);
    json_t *spec = json_pack("{s:s, s:O}", "entrypoint", making->entry, "templates", templates);
    set_if(spec, "parallelism", json_integer(wishes->parallelism), wishes->parallelism > 0);
    set_if(spec, "serviceAccountName", json_string(pods->service_account), pods->service_account != NULL);
    set_if(spec, "podPriorityClassName", json_string(pods->priority_class), pods->priority_class != NULL);
    set_if(spec, "imagePullSecrets", secrets, json_array_size(secrets) > 0);
    set_if(spec, "nodeSelector", selector, json_object_size(selector) > 0);
    set_if(spec, "tolerations", tolerations, json_array_size(tolerations) > 0);
    set_if(spec, "activeDeadlineSeconds", json_integer(wishes->deadline_ms / 1000), wishes->deadline_ms > 0);
    set_if(spec, "ttlStrategy", json_pack("{s:I}", "secondsAfterCompletion", (json_int_t)(wishes->ttl_ms / 1000)),
           wishes->ttl_ms > 0);
    set_if(spec, "podGC", json_pack("{s:s}", "strategy", wishes->pod_gc != NULL ? wishes->pod_gc : ""),
           wishes->pod_gc != NULL);
    set_if(spec, "securityContext",
           json_pack("{s:I, s:I}", "runAsUser", (json_int_t)pods->uid, "runAsGroup", (json_int_t)pods->gid),
           !pods->image_user);
    return spec;
}

static json_t *make(struct making *making)
{
    const struct descpipe_submission *submission = making->submission;
    if (strlen(submission->token) > WORKFLOW_NAME_LIMIT) {
        say(making, "the Workflow's name '%.100s' is longer than %d", submission->token, WORKFLOW_NAME_LIMIT);
        return NULL;
    }
    json_t *templates = json_array(), *tasks = json_array(), *workflow = NULL;
    if (name_tasks(making) && add_tasks(making, templates, tasks)) {
        json_array_append_new(templates, json_pack("{s:s, s:{s:O}}", "name", making->entry, "dag", "tasks", tasks));
        json_t *spec = specification_of(making, templates);
        json_t *labels = pod_map(making->wishes->pods.labels);
        json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("descpipe"));
        json_object_set_new(labels, POD_LABEL_RUN, json_string(submission->run));
        workflow = spec != NULL
                       ? json_pack("{s:s, s:s, s:{s:s, s:o}, s:o}", "apiVersion", "argoproj.io/v1alpha1", "kind",
                                   "Workflow", "metadata", "name", submission->token, "labels", labels, "spec", spec)
                       : NULL;
    }
    json_decref(templates);
    json_decref(tasks);
    return workflow;
}

json_t *workflow_make(const struct workflow_wishes *wishes, const struct descpipe_submission *submission,
                      char words[POD_WORDS])
{
    struct making making = {.wishes = wishes, .submission = submission, .words = words};
    snprintf(words, POD_WORDS, "out of memory");
    making.names = calloc((size_t)submission->count + 1, sizeof(*making.names));
    making.by_name = json_object();
    making.by_job = json_object();
    json_t *workflow = making.names != NULL && making.by_name != NULL && making.by_job != NULL ? make(&making) : NULL;
    size_t size = workflow != NULL ? json_dumpb(workflow, NULL, 0, JSON_COMPACT) : 0;
    if (size > WORKFLOW_BYTES) {
        say(&making, "the Workflow has %zu bytes; Kubernetes takes %d", size, WORKFLOW_BYTES);
        json_decref(workflow);
        workflow = NULL;
    }
    free(making.names);
    json_decref(making.by_name);
    json_decref(making.by_job);
    return workflow;
}
