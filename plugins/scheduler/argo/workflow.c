/* SPDX-License-Identifier: BSD-3-Clause */
/* Workflows; workflow.h says how it works. */
#include "workflow.h"
#include "dag.h"

#include "artifacts.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_BYTES = 4000 };

struct making {
    const struct workflow_wishes *wishes;
    const struct descpipe_submission *submission;
    char (*names)[WORKFLOW_TASK_LIMIT + 1]; /* of tasks and templates, by position */
    json_t *by_name;                        /* name → position */
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

/* A name that an expression of `depends` cannot hold: Argo refuses a digit at its beginning, and these are words of its
 * language. */
static bool wants_prefix(const char *stage)
{
    static const char *const words[] = {"and",   "or",  "not", "in", "matches", "contains",   "true",
                                        "false", "nil", "let", "if", "else",    "startsWith", "endsWith"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(stage, words[i]) == 0) {
            return true;
        }
    }
    return isdigit((unsigned char)stage[0]);
}

bool workflow_task_name(const char *stage, const char *member, char name[WORKFLOW_TASK_LIMIT + 1])
{
    size_t length = 0;
    if (wants_prefix(stage)) {
        memcpy(name, "s-", 2);
        length = 2;
    }
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
    const char *what = job->publish == NULL && has_template(job->source) ? "script"
                       : has_template(form->directory)                   ? "workdir"
                                                                         : NULL;
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

/* What is tried again, as Argo's expression over the attempt before. */
static json_t *expression_of(const struct descpipe_retries *retries)
{
    static const struct {
        uint32_t reason;
        const char *words;
    } terms[] = {
        {DESCPIPE_RETRY_FAILED, "(asInt(lastRetry.exitCode) > 0 && !(lastRetry.message contains 'OOMKilled'))"},
        {DESCPIPE_RETRY_OUT_OF_MEMORY, "lastRetry.message contains 'OOMKilled'"},
        {DESCPIPE_RETRY_TIMED_OUT, "lastRetry.message contains 'deadline'"},
        {DESCPIPE_RETRY_IMAGE, "lastRetry.message contains 'ImagePull'"},
        {DESCPIPE_RETRY_PREEMPTED, "lastRetry.message contains 'Preempt' || lastRetry.message contains 'Evicted' || "
                                   "lastRetry.message contains 'low on resource'"},
        {DESCPIPE_RETRY_NODE_FAILED, "lastRetry.message contains 'NodeLost' || lastRetry.message contains 'shutdown'"},
        {DESCPIPE_RETRY_LOST, "lastRetry.message contains 'pod deleted'"},
    };
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    const char *separator = "";
    for (size_t i = 0; stream != NULL && i < sizeof(terms) / sizeof(*terms); i++) {
        if ((retries->reasons & terms[i].reason) != 0) {
            fprintf(stream, "%s%s", separator, terms[i].words);
            separator = " || ";
        }
    }
    if (stream != NULL && (retries->reasons & DESCPIPE_RETRY_EXIT_CODES) != 0) {
        fprintf(stream, "%sasInt(lastRetry.exitCode) in [", separator);
        for (uint32_t i = 0; i < retries->exit_codes_count; i++) {
            fprintf(stream, "%s%u", i > 0 ? ", " : "", (unsigned)retries->exit_codes[i]);
        }
        fputc(']', stream);
    }
    json_t *expression = stream != NULL && fclose(stream) == 0 ? json_string(text) : NULL;
    free(text);
    return expression;
}

static json_t *retry_strategy(const struct descpipe_retries *retries)
{
    char limit[16], backoff[32];
    snprintf(limit, sizeof(limit), "%u", retries->limit);
    json_t *strategy =
        json_pack("{s:s, s:s, s:o}", "limit", limit, "retryPolicy", "Always", "expression", expression_of(retries));
    if (retries->backoff_ms > 0) {
        snprintf(backoff, sizeof(backoff), "%llds", (long long)(retries->backoff_ms + 999) / 1000);
        json_object_set_new(strategy, "backoff",
                            json_pack("{s:s, s:s, s:s}", "duration", backoff, "factor", "2", "cap", "1h"));
    }
    return strategy;
}

/* "KEY=VALUE[,VALUE...]", each of them must hold. */
static bool affinity_of(struct making *making, const char *const *affinity, json_t **answer)
{
    json_t *all = json_array();
    for (size_t i = 0; affinity != NULL && affinity[i] != NULL; i++) {
        const char *equals = strchr(affinity[i], '=');
        if (equals == NULL || equals == affinity[i] || equals[1] == '\0') {
            json_decref(all);
            return say(making, "the affinity '%.100s' is not KEY=VALUE[,VALUE...]", affinity[i]);
        }
        json_t *values = json_array();
        for (const char *value = equals; value != NULL; value = strchr(value + 1, ',')) {
            json_array_append_new(values, json_stringn(value + 1, strcspn(value + 1, ",")));
        }
        json_array_append_new(all, json_pack("{s:s%, s:s, s:o}", "key", affinity[i], (size_t)(equals - affinity[i]),
                                             "operator", "In", "values", values));
    }
    *answer = NULL;
    if (json_array_size(all) == 0) {
        json_decref(all);
        return true;
    }
    *answer = json_pack("{s:{s:{s:[{s:o}]}}}", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
                        "nodeSelectorTerms", "matchExpressions", all);
    return true;
}

/* By which its pods are known again; what they have in common is said once for the Workflow. */
static json_t *metadata_of(const struct descpipe_job *job, uint32_t index)
{
    char number[16], attempt[24], stage[64];
    snprintf(number, sizeof(number), "%u", index);
    snprintf(attempt, sizeof(attempt), "%llu", (unsigned long long)job->attempt);
    pod_label_value(job->stage, stage);
    json_t *metadata = json_pack("{s:{s:s}, s:{s:s, s:s}}", "labels", POD_LABEL_INDEX, number, "annotations",
                                 "descpipe.org/stage", job->stage, WORKFLOW_ATTEMPT, attempt);
    if (stage[0] != '\0') {
        json_object_set_new(json_object_get(metadata, "labels"), POD_LABEL_STAGE, json_string(stage));
    }
    if (job->member != NULL) {
        json_object_set_new(json_object_get(metadata, "annotations"), "descpipe.org/member", json_string(job->member));
    }
    return metadata;
}

/* Its late values have their position before their names in the Workflow's one Secret. */
static void name_secrets(json_t *container, uint32_t index)
{
    const json_t *environment = json_object_get(container, "env");
    for (size_t i = 0; i < json_array_size(environment); i++) {
        json_t *reference =
            json_object_get(json_object_get(json_array_get(environment, i), "valueFrom"), "secretKeyRef");
        const char *name = json_string_value(json_object_get(reference, "key"));
        char key[256];
        if (name != NULL) {
            snprintf(key, sizeof(key), WORKFLOW_SECRET_KEY, index, name);
            json_object_set_new(reference, "key", json_string(key));
        }
    }
}

static void set_unless_empty(json_t *object, const char *key, json_t *value)
{
    if (json_array_size(value) == 0 && json_object_size(value) == 0) {
        json_decref(value);
    } else {
        json_object_set_new(object, key, value);
    }
}

static bool differs(const char *own, const char *common)
{
    return own != NULL && (common == NULL || strcmp(own, common) != 0);
}

static json_t *person_of(const struct pod_wishes *pods)
{
    return json_pack("{s:I, s:I}", "runAsUser", (json_int_t)pods->uid, "runAsGroup", (json_int_t)pods->gid);
}

/* As whom it runs, and for whom, where that is not what the Workflow says for all. */
static void add_person(const struct making *making, const struct pod_wishes *wishes, json_t *template)
{
    const struct pod_wishes *common = &making->wishes->pods;
    json_t *labels = json_object_get(json_object_get(template, "metadata"), "labels");
    for (size_t i = 0; wishes->labels != common->labels && wishes->labels != NULL && wishes->labels[i] != NULL;
         i += 2) {
        if (json_object_get(labels, wishes->labels[i]) == NULL) {
            json_object_set_new(labels, wishes->labels[i], json_string(wishes->labels[i + 1]));
        }
    }
    if (differs(wishes->service_account, common->service_account)) {
        json_object_set_new(template, "serviceAccountName", json_string(wishes->service_account));
    }
    if (differs(wishes->priority_class, common->priority_class)) {
        json_object_set_new(template, "priorityClassName", json_string(wishes->priority_class));
    }
    if (wishes->image_user != common->image_user) {
        json_object_set_new(template, "securityContext", wishes->image_user ? json_object() : person_of(wishes));
    }
}

/* Where it runs, and how long. */
static bool add_place(struct making *making, const struct pod_wishes *wishes, const struct descpipe_job *job,
                      json_t *template)
{
    json_t *tolerations = pod_tolerations(wishes->tolerations, making->words), *affinity = NULL;
    if (tolerations == NULL || !affinity_of(making, wishes->affinity, &affinity)) {
        json_decref(tolerations);
        return false;
    }
    set_unless_empty(template, "tolerations", tolerations);
    set_unless_empty(template, "nodeSelector", pod_map(wishes->node_selector));
    if (affinity != NULL) {
        json_object_set_new(template, "affinity", affinity);
    }
    add_person(making, wishes, template);
    if (job->resources != NULL &&
        job->resources->time_limit_ms > 0) { /* a text by Argo's schema, which takes numbers too */
        char seconds[24];
        snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)(job->resources->time_limit_ms + 999) / 1000);
        json_object_set_new(template, "activeDeadlineSeconds", json_string(seconds));
    }
    if (job->retries != NULL && job->retries->limit > 0) {
        json_object_set_new(template, "retryStrategy", retry_strategy(job->retries));
    }
    return true;
}

/* Where its pod finds what it needs besides: on the volume that this machine sees too, or in a ConfigMap. */
static void place_files(const struct making *making, uint32_t index, char place[PLACE_BYTES], struct pod_wishes *wishes)
{
    const char *folder = making->submission->folder;
    if (wishes->apart || wishes->carried) {
        files_name(making->submission->token, files_place(making->wishes->files, index), place);
        wishes->files = place;
        wishes->mount = making->submission->working;
    } else {
        snprintf(place, PLACE_BYTES, WORKFLOW_SCRIPTS, folder != NULL ? folder : "", index);
        wishes->scripts = place;
    }
}

/* How often Argo has begun it before, where it does so at all. */
static void count_attempts(const struct descpipe_job *job, json_t *container)
{
    json_t *environment = json_object_get(container, "env"), *one;
    size_t i;
    json_array_foreach(environment, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (job->retries != NULL && job->retries->limit > 0 && strcmp(name, "DESCPIPE_RESTART") == 0) {
            json_object_set_new(one, "value", json_string("{{retries}}"));
        }
    }
}

static json_t *container_of(struct making *making, const struct pod_wishes *wishes, uint32_t index, json_t *volumes)
{
    const struct descpipe_job *job = making->submission->jobs[index];
    json_t *container;
    if (job->form->form == DESCPIPE_FORM_POD) {
        container = pod_container(wishes, job, making->wishes->secret, volumes, making->words);
        name_secrets(container, index);
    } else {
        container = pod_launcher_container(wishes, job, index, volumes, making->words);
        count_attempts(job, container);
    }
    return container;
}

/* The stage's container in the place that Argo has for it; takes all three. */
static void set_containers(const struct descpipe_job *job, json_t *template, json_t *bring_in, json_t *container,
                           json_t *publish)
{
    if (bring_in != NULL) {
        json_object_set_new(template, "initContainers", json_pack("[o]", bring_in));
    }
    if (publish != NULL) { /* Argo's way of one container after the other in one pod */
        json_object_set_new(publish, "dependencies", json_pack("[s]", POD_CONTAINER));
        json_object_set_new(template, "containerSet", json_pack("{s:[o, o]}", "containers", container, publish));
    } else if (job->source != NULL && job->publish == NULL) { /* Argo puts it into a file and names that last */
        json_t *command = json_object_get(container, "command");
        json_array_remove(command, json_array_size(command) - 1);
        json_object_set_new(container, "source", json_string(job->source));
        json_object_set_new(template, "script", container);
    } else {
        json_object_set_new(template, "container", container);
    }
}

static json_t *template_of(struct making *making, uint32_t index)
{
    const struct descpipe_job *job = making->submission->jobs[index];
    struct pod_wishes wishes = making->wishes->pods;
    char place[PLACE_BYTES];
    making->wishes->for_job(making->wishes->context, job, &wishes);
    place_files(making, index, place, &wishes);
    json_t *volumes = json_array();
    json_t *container = container_of(making, &wishes, index, volumes);
    if (container == NULL) {
        json_decref(volumes);
        return NULL;
    }
    json_t *template = json_pack("{s:s, s:o}", "name", making->names[index], "metadata", metadata_of(job, index));
    json_t *bring_in = wishes.carried ? NULL : pod_bring_in_container(&wishes, job, volumes);
    json_t *publish = wishes.carried ? NULL : pod_publish_container(&wishes, job, volumes);
    set_containers(job, template, bring_in, container, publish);
    if (making->wishes->store != NULL) {
        artifacts_add(making->wishes->store, making->wishes->keys, job, template);
    }
    set_unless_empty(template, "volumes", volumes);
    if (!add_place(making, &wishes, job, template)) {
        json_decref(template);
        return NULL;
    }
    return template;
}

/* Of all jobs, by position. */
static bool make_templates(struct making *making, json_t **templates)
{
    for (uint32_t i = 0; i < making->submission->count; i++) {
        const struct descpipe_job *job = making->submission->jobs[i];
        if (job->form == NULL) {
            return say(making, "stage '%.150s' has no form", job->stage);
        }
        templates[i] = check_templates(making, job) ? template_of(making, i) : NULL;
        if (templates[i] == NULL) {
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

/* What all pods have, and Argo has no word for. */
static json_t *patch_of(const struct pod_wishes *pods)
{
    char patch[128];
    snprintf(patch, sizeof(patch), "{\"enableServiceLinks\":false,\"terminationGracePeriodSeconds\":%llu}",
             (unsigned long long)(pods->grace_ms + 999) / 1000);
    return json_string(patch);
}

static json_t *labels_of(const struct making *making)
{
    json_t *labels = pod_map(making->wishes->pods.labels);
    json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("descpipe"));
    json_object_set_new(labels, POD_LABEL_RUN, json_string(making->submission->run));
    json_object_set_new(labels, POD_LABEL_TOKEN, json_string(making->submission->token));
    return labels;
}

static bool hooks_of(struct making *making, json_t **hooks)
{
    const char *on_exit = making->wishes->on_exit, *slash = on_exit != NULL ? strchr(on_exit, '/') : NULL;
    *hooks = NULL;
    if (on_exit == NULL) {
        return true;
    }
    if (slash == NULL || slash == on_exit || slash[1] == '\0') {
        return say(making, "on-exit: '%.200s' is not NAME/TEMPLATE, of a WorkflowTemplate", on_exit);
    }
    *hooks = json_pack("{s:{s:{s:s%, s:s}}}", "exit", "templateRef", "name", on_exit, (size_t)(slash - on_exit),
                       "template", slash + 1);
    return true;
}

static json_t *specification_of(struct making *making, json_t *templates)
{
    const struct workflow_wishes *wishes = making->wishes;
    const struct pod_wishes *pods = &wishes->pods;
    json_t *tolerations = pod_tolerations(pods->tolerations, making->words), *affinity = NULL, *hooks = NULL;
    if (tolerations == NULL || !affinity_of(making, pods->affinity, &affinity) || !hooks_of(making, &hooks)) {
        json_decref(tolerations);
        json_decref(affinity);
        return NULL;
    }
    json_t *spec = json_pack("{s:s, s:O, s:{s:o}, s:o}", "entrypoint", making->entry, "templates", templates,
                             "podMetadata", "labels", labels_of(making), "podSpecPatch", patch_of(pods));
    set_if(spec, "parallelism", json_integer(wishes->parallelism), wishes->parallelism > 0);
    set_if(spec, "priority", json_integer(wishes->priority), wishes->priority > 0);
    set_if(spec, "serviceAccountName", json_string(pods->service_account), pods->service_account != NULL);
    set_if(spec, "podPriorityClassName", json_string(pods->priority_class), pods->priority_class != NULL);
    set_unless_empty(spec, "imagePullSecrets", pod_pull_secrets(pods));
    set_unless_empty(spec, "nodeSelector", pod_map(pods->node_selector));
    set_unless_empty(spec, "tolerations", tolerations);
    set_if(spec, "affinity", affinity, true);
    set_if(spec, "hooks", hooks, true);
    set_if(spec, "activeDeadlineSeconds", json_integer(wishes->deadline_ms / 1000), wishes->deadline_ms > 0);
    set_if(spec, "ttlStrategy", json_pack("{s:I}", "secondsAfterCompletion", (json_int_t)(wishes->ttl_ms / 1000)),
           wishes->ttl_ms > 0);
    set_if(spec, "podGC", json_pack("{s:s}", "strategy", wishes->pod_gc != NULL ? wishes->pod_gc : ""),
           wishes->pod_gc != NULL);
    set_if(spec, "securityContext", person_of(pods), !pods->image_user);
    return spec;
}

static json_t *assemble(struct making *making, json_t *const *own, bool shares)
{
    const struct descpipe_submission *submission = making->submission;
    const struct dag_request request = {
        .submission = submission, .templates = own, .shares = shares, .words = making->words};
    json_t *templates = json_array(), *tasks = json_array(), *workflow = NULL;
    if (dag_make(&request, templates, tasks)) {
        json_t *dag = json_pack("{s:O}", "tasks", tasks);
        if ((submission->flags & DESCPIPE_SUBMISSION_KEEP_GOING) != 0) { /* what does not need it goes on */
            json_object_set_new(dag, "failFast", json_false());
        }
        json_array_append_new(templates, json_pack("{s:s, s:o}", "name", making->entry, "dag", dag));
        json_t *spec = specification_of(making, templates);
        workflow = spec != NULL
                       ? json_pack("{s:s, s:s, s:{s:s, s:o}, s:o}", "apiVersion", WORKFLOW_API, "kind", "Workflow",
                                   "metadata", "name", submission->token, "labels", labels_of(making), "spec", spec)
                       : NULL;
    }
    json_decref(templates);
    json_decref(tasks);
    return workflow;
}

/* A large one becomes as small as it can: what Argo writes of its nodes has to fit beside it. */
static json_t *make(struct making *making, json_t **templates)
{
    if (strlen(making->submission->token) > WORKFLOW_NAME_LIMIT) {
        say(making, "the Workflow's name '%.100s' is longer than %d", making->submission->token, WORKFLOW_NAME_LIMIT);
        return NULL;
    }
    if (!name_tasks(making) || !make_templates(making, templates)) {
        return NULL;
    }
    json_t *workflow = assemble(making, templates, false);
    size_t size = workflow != NULL ? json_dumpb(workflow, NULL, 0, JSON_COMPACT) : 0;
    if (size <= WORKFLOW_SMALL) {
        return workflow;
    }
    json_decref(workflow);
    workflow = assemble(making, templates, true);
    size = workflow != NULL ? json_dumpb(workflow, NULL, 0, JSON_COMPACT) : 0;
    if (size > WORKFLOW_BYTES) {
        say(making,
            "the Workflow has %zu bytes for its %u stages; Kubernetes takes %d (run fewer stages at a time, or use the "
            "scheduler 'kubernetes', which sends each by itself)",
            size, (unsigned)making->submission->count, WORKFLOW_BYTES);
        json_decref(workflow);
        workflow = NULL;
    }
    return workflow;
}

json_t *workflow_schedule(const struct workflow_wishes *wishes, json_t *workflow)
{
    const json_t *metadata = json_object_get(workflow, "metadata");
    json_t *cron = json_pack("{s:s, s:s, s:O, s:{s:[s], s:s, s:{s:O}, s:O}}", "apiVersion", WORKFLOW_API, "kind",
                             "CronWorkflow", "metadata", metadata, "spec", "schedules", wishes->schedule,
                             "concurrencyPolicy", "Forbid", "workflowMetadata", "labels",
                             json_object_get(metadata, "labels"), "workflowSpec", json_object_get(workflow, "spec"));
    if (cron != NULL && wishes->timezone != NULL) {
        json_object_set_new(json_object_get(cron, "spec"), "timezone", json_string(wishes->timezone));
    }
    json_decref(workflow);
    return cron;
}

json_t *workflow_make(const struct workflow_wishes *wishes, const struct descpipe_submission *submission,
                      char words[POD_WORDS])
{
    struct making making = {.wishes = wishes, .submission = submission, .words = words};
    snprintf(words, POD_WORDS, "out of memory");
    making.names = calloc((size_t)submission->count + 1, sizeof(*making.names));
    making.by_name = json_object();
    json_t **templates = calloc((size_t)submission->count + 1, sizeof(json_t *));
    json_t *workflow =
        making.names != NULL && making.by_name != NULL && templates != NULL ? make(&making, templates) : NULL;
    for (uint32_t i = 0; templates != NULL && i < submission->count; i++) {
        json_decref(templates[i]);
    }
    free(templates);
    free(making.names);
    json_decref(making.by_name);
    return workflow;
}
