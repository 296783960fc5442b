/* SPDX-License-Identifier: BSD-3-Clause */
/* What the model holds after a file was read. */
#include <signal.h>

#include "pipeline/image_name.h"
#include "pipeline_fixture.h"

static void expect_clean(const struct problems *problems)
{
    cleanup(text_clear) struct text printed = TEXT_INIT;
    problems_print(problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), "");
}

static const char *file_text(const struct pipeline *pipeline, struct slice files, uint32_t at, bool suffix)
{
    ck_assert_uint_lt(at, files.count);
    const struct file_tag *file = &pipeline->files.items[files.at + at];
    return pipeline_text(pipeline, suffix ? file->suffix : file->tag);
}

static const char original[] = "pipeline:\n"
                               "    owner: joezuntz\n"
                               "    basename: desc-pipe\n"
                               "    version: 1.0\n"
                               "    images: [./images]\n"
                               "    stages: [treecorr, tomography, pz_stack]\n"
                               "runtime:\n"
                               "    launcher: local\n"
                               "    working: ./work\n"
                               "    output: ./test/output\n"
                               "    inputs:\n"
                               "        shear-catalog: ./test/inputs/shear.fits\n"
                               "        photoz-catalog: ./test/inputs/photoz.fits\n"
                               "    config:\n"
                               "        tomography: {config: ./test/config/tomo.yaml}\n"
                               "        treecorr: {config: ./test/config/tree.yaml}\n"
                               "tomography:\n"
                               "    depends-on: []\n"
                               "    openmp: 4\n"
                               "pz_stack:\n"
                               "    depends-on: [tomography]\n"
                               "    config: {}\n"
                               "treecorr:\n"
                               "    depends-on: [tomography]\n"
                               "    nodes: 2\n"
                               "    ppn: 4\n"
                               "    minutes: 30\n"
                               "ngmix_2pt:\n"
                               "    depends-on: [tomography]\n"
                               "    github: joezuntz/ngmix_2pt\n";

static void write_original(const struct fixture *fixture)
{
    fixture_write(fixture, "test/inputs/shear.fits", "SIMPLE  =", 0644);
    fixture_write(fixture, "test/inputs/photoz.fits", "SIMPLE  =", 0644);
    fixture_write(fixture, "test/config/tomo.yaml", "", 0644);
    fixture_write(fixture, "test/config/tree.yaml", "", 0644);
    fixture_write(fixture, "images/tomography/Dockerfile", "ARG user\nFROM ${user}/desc-pipe-base:1.0\n", 0644);
    fixture_write(
        fixture, "images/tomography/run.py",
        "#!/usr/bin/env python3\n\"\"\"Tomography,\nwith 'quotes'\"\"\"\nimport descpipe\n\n"
        "class Stage(descpipe.Stage):\n    name = \"photoz\"\n    config = {\n        \"config\":\"config.yaml\",\n"
        "        #\"some-metadata\": float,\n    }\n    inputs = {\n        \"photoz-catalog\" : \"fits\",\n    }\n"
        "    outputs = {\n        \"tomographic-catalog\": \"fits\",\n    }\n\n    def run(self):\n        x = "
        "f\"{1}\"\n",
        0755);
    fixture_write(fixture, "images/pz_stack/run.py",
                  "#!/usr/bin/env python3\nclass Stage(descpipe.Stage):\n    config = {}\n"
                  "    inputs = {\"photoz-catalog\": \"fits\", \"tomographic-catalog\": \"fits\"}\n    outputs = "
                  "{\"n_of_z\": \"fits\"}\n",
                  0755);
    fixture_write(fixture, "images/treecorr/run.py",
                  "#!/usr/bin/env python3\nclass Stage(descpipe.Stage):\n    config = {\"config\":\"config.yaml\"}\n"
                  "    inputs = {\"shear-catalog\": \"fits\", \"tomographic-catalog\": \"fits\"}\n"
                  "    outputs = {\"correlation-functions\": \"fits\"}\n",
                  0755);
}

START_TEST(original_form_is_valid_unchanged)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    write_original(&fixture);
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(&fixture, original, NULL, &problems);
    fixture_print(&fixture, &problems, &printed);
    ck_assert_str_eq(text_bytes(&printed),
                     "p.yaml:28:1: note: section 'ngmix_2pt' is not used: pipeline.stages does not list it\n");
    ck_assert_ptr_nonnull(pipeline);
    static const char *const order[] = {"tomography", "treecorr",
                                        "pz_stack"}; /* first in, first out, from the listed order */
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(pipeline_text(pipeline, pipeline->stages.items[pipeline->order[i]].name), order[i]);
    uint32_t number;
    const struct stage *treecorr = pipeline_stage(pipeline, "treecorr", &number);
    ck_assert_uint_eq(number, 0);
    ck_assert_uint_eq(treecorr->parallel, PARALLEL_MPI);
    ck_assert_uint_eq(pipeline->resources.items[treecorr->resources].nodes, 2);
    ck_assert_uint_eq(pipeline->resources.items[treecorr->resources].minutes, 30);
    ck_assert_uint_eq(treecorr->after.count, 1);
    ck_assert_uint_eq(pipeline->edges.items[treecorr->after.at], 1);
    ck_assert_str_eq(file_text(pipeline, treecorr->configs, 0, true), "config.yaml");
    ck_assert_uint_eq(treecorr->inputs_from, FROM_RUN_PY);
    symbol config = pipeline->files.items[treecorr->configs.at].tag;
    const struct run_config *given = pipeline_config(pipeline, treecorr, config);
    ck_assert(text_ends_with(pipeline_text(pipeline, given->path), "/test/config/tree.yaml"));
    ck_assert(pipeline_text(pipeline, given->path)[0] == '/');
    cleanup(text_clear) struct text image = TEXT_INIT;
    ck_assert(pipeline_image_reference(pipeline, pipeline_stage(pipeline, "pz_stack", NULL), NULL, &image));
    ck_assert_str_eq(text_bytes(&image), "joezuntz/desc-pipe-pz_stack:1.0");
    ck_assert_str_eq(pipeline_text(pipeline, pipeline->launcher), "local");
    ck_assert_str_eq(pipeline_text(pipeline, pipeline->name), "desc-pipe");
}
END_TEST

START_TEST(smallest_file_gets_defaults)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture, "pipeline: {stages: [a]}\na: {outputs: {t: fits}}\n", NULL, &problems);
    expect_clean(&problems);
    cleanup(memory_free) char *work = path_join(fixture.folder, "work");
    cleanup(memory_free) char *out = path_join(fixture.folder, "out");
    ck_assert_str_eq(pipeline->working, work);
    ck_assert_str_eq(pipeline->output, out);
    ck_assert_str_eq(pipeline_text(pipeline, pipeline->name), "p");
    cleanup(text_clear) struct text image = TEXT_INIT;
    ck_assert(!pipeline_image_reference(pipeline, &pipeline->stages.items[0], NULL, &image));
}
END_TEST

START_TEST(data_makes_edges_that_nobody_declared)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(
        &fixture, "pipeline: {stages: [last, first]}\nlast: {inputs: {t: fits}}\nfirst: {outputs: {t: fits}}\n", NULL,
        &problems);
    expect_clean(&problems);
    ck_assert_uint_eq(pipeline->order[0], 1);
    ck_assert_uint_eq(pipeline->order[1], 0);
}
END_TEST

START_TEST(section_wins_over_stage_yaml_over_run_py)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    fixture_write(&fixture, "images/a/stage.yaml",
                  "outputs: {y: fits}\ncpus: 2\nmemory: 1GiB\nscript: |\n  echo ${HOME}\n", 0644);
    fixture_write(&fixture, "images/a/run.py",
                  "#!/usr/bin/env python3\nclass Stage(descpipe.Stage):\n    outputs = {\"r\": \"fits\"}\n", 0755);
    static const char *const sets[] = {"a.memory=2GiB", "a.minutes=5", NULL};
    struct pipeline_changes changes = {.sets = sets};
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(
        &fixture, "pipeline: {images: [images], stages: [a]}\na: {cpus: 3, minutes: 7}\n", &changes, &problems);
    expect_clean(&problems);
    const struct stage *stage = &pipeline->stages.items[0];
    const struct resources *resources = &pipeline->resources.items[stage->resources];
    ck_assert_uint_eq(resources->cpus, 3);
    ck_assert_uint_eq(resources->memory, UINT64_C(2) << 30);
    ck_assert_uint_eq(resources->minutes, 5);
    ck_assert_uint_eq(stage->outputs.count, 1);
    ck_assert_str_eq(file_text(pipeline, stage->outputs, 0, false), "y");
    ck_assert_uint_eq(stage->outputs_from, FROM_STAGE_YAML);
    ck_assert_str_eq(pipeline_text(pipeline, stage->extras->script), "echo ${HOME}\n");
}
END_TEST

static const struct {
    const char *argument, *expected;
} bad_sets[] = {
    {"a.cpus", "--set a.cpus: error: a change is STAGE.KEY=VALUE\n  hint: write --set tomography.cpus=8\n"},
    {"b.cpus=1", "--set b.cpus: error: there is no stage 'b'\n"},
    {"a.cpus=x", "--set a.cpus:1:1: error: 'cpus' must be a whole number from 1 to 65536, not 'x'\n"},
    {"a.cpu=1", "--set a.cpu: error: a stage has no key 'cpu'\n  hint: did you mean 'cpus'?\n"},
    {"a.command=[x",
     "--set a.command:2:1: error: not YAML: did not find expected ',' or ']' while parsing a flow sequence\n"
     "  hint: it begins at 1:1: is a bracket or a quote left open?\n"},
};

START_TEST(set_goes_through_the_same_checks)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    const char *const sets[] = {bad_sets[_i].argument, NULL};
    struct pipeline_changes changes = {.sets = sets};
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture, "pipeline: {stages: [a]}\na: {outputs: {t: fits}}\n", &changes, &problems);
    fixture_print(&fixture, &problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), bad_sets[_i].expected);
    ck_assert_ptr_null(pipeline);
}
END_TEST

static const struct {
    const char *site, *user, *argument, *pipeline, *expected; /* expected: without "/" inside the test's folder */
} folder_cases[] = {
    {NULL, NULL, NULL, NULL, "work"},
    {NULL, NULL, NULL, "own", "own"},
    {"/site", NULL, NULL, NULL, "/site"},
    {"/site", "/user", NULL, NULL, "/user"},
    {"/site", "/user", NULL, "own", "own"},
    {"/site", "/user", "/argument", "own", "/argument"},
    {"/site, lock: [working]", NULL, NULL, "own", "/site"},
};

START_TEST(folders_come_from_the_highest_layer_that_says_one)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(memory_free) char *site = path_join(fixture.folder, "site"), *user = path_join(fixture.folder, "user.yaml");
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (folder_cases[_i].site != NULL) {
        text_format(&text, "{working: %s}\n", folder_cases[_i].site);
        fixture_write(&fixture, "site/site.yaml", text_bytes(&text), 0644);
    }
    text_reset(&text);
    if (folder_cases[_i].user != NULL) {
        text_format(&text, "{working: %s}\n", folder_cases[_i].user);
        fixture_write(&fixture, "user.yaml", text_bytes(&text), 0644);
    }
    const struct config_search search = {.site_folder = site, .user_file = user, .working = folder_cases[_i].argument};
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    expect_clean(&problems);
    struct pipeline_changes changes = {.base = NULL};
    pipeline_take_folders(layers, &changes);
    text_reset(&text);
    text_append(&text, "pipeline: {stages: [a]}\na: {command: [x]}\n");
    if (folder_cases[_i].pipeline != NULL)
        text_format(&text, "runtime: {working: %s}\n", folder_cases[_i].pipeline);
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(&fixture, text_bytes(&text), &changes, &problems);
    expect_clean(&problems);
    cleanup(memory_free) char *expected = path_absolute(pipeline->base, folder_cases[_i].expected);
    ck_assert_str_eq(pipeline->working, expected);
    ck_assert(text_ends_with(pipeline->output, "/out"));
}
END_TEST

START_TEST(input_argument_replaces_and_adds)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    fixture_write(&fixture, "x.fits", "", 0644);
    static const char *const inputs[] = {"t=x.fits", "u=x.fits", NULL};
    struct pipeline_changes changes = {.inputs = inputs, .working = "elsewhere", .output = "/abs"};
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(
        &fixture, "pipeline: {stages: [a]}\nruntime: {inputs: {t: none.fits}}\na: {inputs: {t: fits, u: fits}}\n",
        &changes, &problems);
    expect_clean(&problems);
    cleanup(memory_free) char *path = path_join(fixture.folder, "x.fits");
    symbol tag = symbol_find(pipeline->symbols, "u", 1);
    ck_assert_str_eq(pipeline_text(pipeline, pipeline_input(pipeline, tag)->path), path);
    tag = symbol_find(pipeline->symbols, "t", 1);
    ck_assert_str_eq(pipeline_text(pipeline, pipeline_input(pipeline, tag)->path), path);
    ck_assert(text_ends_with(pipeline->working, "/elsewhere"));
    ck_assert_str_eq(pipeline->output, "/abs");
}
END_TEST

static const struct {
    const char *argument, *expected;
} bad_inputs[] = {
    {"t", "--input t: error: an input is TAG=PATH\n  hint: write --input shear-catalog=./shear.fits\n"},
    {"u=x.fits", "--input u: error: no stage takes an input 'u'\n"},
    {"t=none", "--input t: error: the input 't': cannot read '@/none': No such file or directory\n"
               "  hint: relative paths count from the working directory (or --base)\n"},
};

START_TEST(input_argument_is_checked)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    fixture_write(&fixture, "x.fits", "", 0644);
    const char *const inputs[] = {bad_inputs[_i].argument, NULL};
    struct pipeline_changes changes = {.inputs = inputs};
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture, "pipeline: {stages: [a]}\nruntime: {inputs: {t: x.fits}}\na: {inputs: {t: fits}}\n",
                     &changes, &problems);
    fixture_print(&fixture, &problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), bad_inputs[_i].expected);
    ck_assert_ptr_null(pipeline);
}
END_TEST

START_TEST(config_folder_gives_the_files_that_sections_name)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    fixture_write(&fixture, "conf/sub/mine.yaml", "", 0644);
    fixture_write(&fixture, "images/a/run.py",
                  "#!/usr/bin/env python3\nclass Stage(descpipe.Stage):\n    config = {\"config\": \"config.yaml\"}\n",
                  0755);
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture,
                     "pipeline: {images: [images], stages: [a, b]}\na: {config: {config: sub/mine.yaml}}\n"
                     "b: {command: [x], config: {c: sub/mine.yaml}}\nruntime: {config: ./conf}\n",
                     NULL, &problems);
    expect_clean(&problems);
    const struct stage *a = &pipeline->stages.items[0], *b = &pipeline->stages.items[1];
    ck_assert_str_eq(file_text(pipeline, a->configs, 0, true), "config.yaml");
    ck_assert_str_eq(file_text(pipeline, b->configs, 0, true), "mine.yaml");
    symbol tag = pipeline->files.items[a->configs.at].tag;
    ck_assert(text_ends_with(pipeline_text(pipeline, pipeline_config(pipeline, a, tag)->path), "/conf/sub/mine.yaml"));
}
END_TEST

static void expect_member(const struct pipeline *pipeline, const struct stage *stage, uint32_t member,
                          const char *expected)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    stage_member_name(pipeline, stage, member, &name);
    ck_assert_str_eq(text_bytes(&name), expected);
}

START_TEST(members_are_the_product_last_key_fastest)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture,
                     "pipeline: {stages: [a, b, c]}\n"
                     "a: {command: [x, '${each.band}/$${each.band}/${each.z}'], outputs: {t: fits}, foreach: {band: "
                     "[g, r], z: [0.5, 1]}}\n"
                     "b: {inputs: {t: fits}, foreach: {z: [1, 0.5], band: [r]}}\nc: {inputs: {t: fits}}\n",
                     NULL, &problems);
    expect_clean(&problems);
    const struct stage *a = &pipeline->stages.items[0], *b = &pipeline->stages.items[1],
                       *c = &pipeline->stages.items[2];
    ck_assert_uint_eq(a->members, 4);
    expect_member(pipeline, a, 0, "g-0.5");
    expect_member(pipeline, a, 1, "g-1");
    expect_member(pipeline, a, 2, "r-0.5");
    ck_assert_uint_eq(stage_member_match(pipeline, b, 0, a), 3);
    ck_assert_uint_eq(stage_member_match(pipeline, b, 1, a), 2);
    ck_assert_uint_eq(stage_member_match(pipeline, c, 0, a), UINT32_MAX);
    cleanup(text_clear) struct text text = TEXT_INIT;
    stage_expand(pipeline, a, 2, pipeline_text(pipeline, pipeline->symbols_array.items[a->command.at + 1]), &text);
    ck_assert_str_eq(text_bytes(&text), "r/${each.band}/0.5");
}
END_TEST

START_TEST(member_names_are_harmless_and_unique)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    fixture_write(&fixture, "in/b.fits", "", 0644);
    fixture_write(&fixture, "in/a.fits", "", 0644);
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(
        &fixture,
        "pipeline: {stages: [a, b, c, d]}\na: {command: [x], foreach: {v: ['../x y', '-n', ok]}}\n"
        "b: {command: [x], foreach: {v: [a-b, a], w: [c, b-c]}}\nc: {command: [x], foreach: {glob: 'in/*.fits'}}\n"
        "d: {command: [x], size: 3}\n",
        NULL, &problems);
    expect_clean(&problems);
    const struct stage *stages = pipeline->stages.items;
    expect_member(pipeline, &stages[0], 0, "x_y");
    expect_member(pipeline, &stages[0], 1, "_n");
    expect_member(pipeline, &stages[1], 0, "a-b-c-0"); /* would be the name of member 3 too */
    expect_member(pipeline, &stages[1], 3, "a-b-c-3");
    expect_member(pipeline, &stages[2], 0, "a");
    expect_member(pipeline, &stages[2], 1, "b");
    expect_member(pipeline, &stages[3], 2, "2");
    ck_assert_uint_eq(stages[3].parallel, PARALLEL_EMBARRASSING);
    ck_assert_str_eq(pipeline_text(pipeline, stages[3].extras->foreach.items[0].key), "rank");
}
END_TEST

START_TEST(stage_keys_reach_the_model)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(
        &fixture,
        "pipeline: {stages: [a], version: 1.10}\nlimits: {l: 4}\nbackends:\n"
        "  cloud: {scheduler: {use: argo, namespace: p}, runtime: docker, images: {a: 'oci:./{stage}', '*': x/y}}\n"
        "a:\n  script: echo $X ${NOT_REPLACED}\n  interpreter: [bash, -e]\n  env: {A: 1, T: {secret: s}}\n  gpus: 1\n  "
        "openmp: 8\n"
        "  limit: l\n  mounts: ['/cvmfs:/cvmfs:ro', 'data:/data']\n  scratch: 20GiB\n  network: false\n  workdir: "
        "/home\n  pull: never\n"
        "  backend: cloud\n  parallel: embarassing\n  foreach: {k: [v]}\n  on: {slurm: {qos: debug}, argo: {x: [1]}}\n"
        "  retries: {limit: 2, on: [oom, 'exit:75', timeout], backoff: 30s, memory: x2, max-memory: 64GiB, minutes: "
        "x1.5}\n  minutes: 60\n  outputs: {o: txt}\n  checkpoint: {files: [s.h5, 'c/*'], signal: USR2, before: 90s, "
        "links: 3}\n",
        NULL, &problems);
    cleanup(text_clear) struct text printed = TEXT_INIT;
    problems_print(&problems, &printed);
    ck_assert_msg(pipeline != NULL, "%s", text_bytes(&printed));
    const struct stage_extras *extras = pipeline->stages.items[0].extras;
    const struct resources *resources = &pipeline->resources.items[pipeline->stages.items[0].resources];
    ck_assert_str_eq(pipeline_text(pipeline, extras->script), "echo $X ${NOT_REPLACED}");
    ck_assert_uint_eq(extras->interpreter.count, 2);
    ck_assert_uint_eq(extras->environment.count, 2);
    ck_assert(extras->environment.items[1].secret);
    ck_assert_str_eq(pipeline_text(pipeline, extras->environment.items[1].value), "s");
    ck_assert_uint_eq(resources->gpus, 1);
    ck_assert_uint_eq(resources->openmp, 8);
    ck_assert_uint_eq(resources->scratch, UINT64_C(20) << 30);
    ck_assert(extras->mounts.items[0].read_only && !extras->mounts.items[1].read_only);
    ck_assert(text_ends_with(pipeline_text(pipeline, extras->mounts.items[1].source), "/data"));
    ck_assert_int_eq(extras->network, 0);
    ck_assert_str_eq(pipeline_text(pipeline, extras->pull), "never");
    ck_assert_str_eq(pipeline_text(pipeline, extras->backend), "cloud");
    ck_assert_uint_eq(extras->on.count, 2);
    ck_assert_str_eq(node_text(node_get(document_root(extras->on.items[0].document), "qos")), "debug");
    ck_assert_uint_eq(extras->retries.reasons, RETRY_OOM | RETRY_TIMEOUT | RETRY_EXIT_CODES);
    ck_assert_uint_eq(extras->retries.exit_codes[0], 75);
    ck_assert_int_eq(extras->retries.backoff_ms, 30000);
    ck_assert_int_eq(extras->checkpoint.signal, SIGUSR2);
    ck_assert_int_eq(extras->checkpoint.before_ms, 90000);
    ck_assert_uint_eq(extras->checkpoint.links, 3);
    ck_assert_uint_eq(extras->checkpoint.files.count, 2);
    ck_assert_str_eq(pipeline_text(pipeline, pipeline->symbols_array.items[extras->checkpoint.files.at + 1]), "c/*");
    ck_assert(extras->retries.memory_factor == 2 && extras->retries.minutes_factor == 1.5);
    const struct backend *backend = pipeline_backend(pipeline, "cloud");
    ck_assert_str_eq(backend->scheduler.use, "argo");
    const struct node *options = document_root(backend->scheduler.options);
    ck_assert_uint_eq(node_count(options), 1);
    ck_assert_str_eq(node_key(node_first(options)), "namespace");
    ck_assert_ptr_null(backend->runtime.options);
    ck_assert_ptr_null(backend->registry.use);
    cleanup(text_clear) struct text image = TEXT_INIT;
    ck_assert(pipeline_image_reference(pipeline, &pipeline->stages.items[0], backend, &image));
    ck_assert_str_eq(text_bytes(&image), "oci:./a");
    ck_assert_str_eq(pipeline_text(pipeline, pipeline->version), "1.10");
}
END_TEST

START_TEST(nodes_without_parallel_means_mpi)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture, "pipeline: {stages: [a, b]}\na: {command: [x], nodes: 2}\nb: {command: [x], ppn: 4}\n",
                     NULL, &problems);
    expect_clean(&problems);
    ck_assert_uint_eq(pipeline->stages.items[0].parallel, PARALLEL_MPI);
    ck_assert_uint_eq(pipeline->stages.items[1].parallel, PARALLEL_MPI);
    ck_assert_uint_eq(pipeline->resources.items[pipeline->stages.items[1].resources].nodes, 1);
}
END_TEST

START_TEST(a_long_chain_needs_no_stack)
{
    enum { CHAIN = 20000 };
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text yaml = TEXT_INIT;
    text_append(&yaml, "pipeline:\n  stages:\n");
    for (unsigned i = CHAIN; i-- > 0;)
        text_format(&yaml, "  - s%u\n", i);
    text_append(&yaml, "s0: {outputs: {t0: x}}\n");
    for (unsigned i = 1; i < CHAIN; i++)
        text_format(&yaml, "s%u: {inputs: {t%u: x}, outputs: {t%u: x}}\n", i, i - 1, i);
    cleanup(pipeline_free) struct pipeline *pipeline = fixture_read(&fixture, text_bytes(&yaml), NULL, &problems);
    expect_clean(&problems);
    for (uint32_t i = 0; i < CHAIN; i++)
        ck_assert_uint_eq(pipeline->order[i], CHAIN - 1 - i);
}
END_TEST

static const struct {
    const char *reference, *path, *tag, *message;
    uint32_t source;
} images[] = {
    {"joezuntz/desc-pipe-pz_stack:1.0", NULL, NULL, NULL, DESCPIPE_SOURCE_REGISTRY},
    {"localhost:5000/a/b", NULL, NULL, NULL, DESCPIPE_SOURCE_REGISTRY},
    {"a@sha256:0123456789012345678901234567890123456789012345678901234567890123", NULL, NULL, NULL,
     DESCPIPE_SOURCE_REGISTRY},
    {"docker-archive:./x/a.tar", "/base/x/a.tar", NULL, NULL, DESCPIPE_SOURCE_DOCKER_ARCHIVE},
    {"docker-archive:/x.tar:name:1", "/x.tar", "name:1", NULL, DESCPIPE_SOURCE_DOCKER_ARCHIVE},
    {"oci-archive:a.tar:1", "/base/a.tar", "1", NULL, DESCPIPE_SOURCE_OCI_ARCHIVE},
    {"oci:../d:t", "/d", "t", NULL, DESCPIPE_SOURCE_OCI_LAYOUT},
    {"rootfs:/", "/", NULL, NULL, DESCPIPE_SOURCE_ROOTFS},
    {"sif:a.sif", "/base/a.sif", NULL, NULL, DESCPIPE_SOURCE_SIF},
    {"Upper/x", NULL, NULL, "'Upper/x' is not an image: a name has lower-case letters only", 0},
    {"", NULL, NULL, "'' is not an image: it has no name", 0},
    {"a:", NULL, NULL, "'a:' is not an image: a tag has letters, digits and '.', '_', '-'", 0},
    {"a//b", NULL, NULL, "'a//b' is not an image: a name has lower-case letters, digits and '.', '_', '-', '/'", 0},
    {"a@sha256:12", NULL, NULL, "'a@sha256:12' is not an image: a digest is @sha256: and 64 hexadecimal digits", 0},
    {"ho st.x/a", NULL, NULL, "'ho st.x/a' is not an image: its host has a letter that no host has", 0},
    {"rootfs:", NULL, NULL, "'rootfs:' is not an image: it has no path", 0},
    {"oci:x:", NULL, NULL, "'oci:x:' is not an image: its tag is empty", 0},
};

START_TEST(takes_image_references_apart)
{
    cleanup(image_name_clear) struct image_name name = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool good = image_parse(images[_i].reference, "/base", &name, &error);
    ck_assert_pstr_eq(error.message, images[_i].message);
    ck_assert_int_eq(good, images[_i].message == NULL);
    if (!good)
        return;
    ck_assert_uint_eq(name.source, images[_i].source);
    ck_assert_pstr_eq(name.path, images[_i].path);
    ck_assert_pstr_eq(name.tag, images[_i].tag);
}
END_TEST

static const struct {
    const char *before, *after, *message;
    int fits;
} exec_words[] = {
    {"pipeline: {name: p, stages: [a]}\na: {command: [x, ", "]}\n", "2:18: error: this entry is ", 131071},
    {"pipeline: {name: p, stages: [a]}\na: {command: [x], env: {BIG: ", "}}\n",
     "2:25: error: the variable 'BIG' of stage 'a' is ", 131071 - 4},
};

START_TEST(what_no_kernel_starts_is_refused)
{
    cleanup(text_clear) struct text word = TEXT_INIT;
    while (word.length < (size_t)exec_words[_i].fits)
        text_append(&word, "x");
    for (int longer = 0; longer <= 1; longer++) {
        cleanup(fixture_end) struct fixture fixture = fixture_start();
        cleanup(problems_clear) struct problems problems = {0};
        cleanup(text_clear) struct text printed = TEXT_INIT;
        cleanup(text_clear) struct text yaml = TEXT_INIT;
        text_format(&yaml, "%s%s%s", exec_words[_i].before, text_bytes(&word), exec_words[_i].after);
        pipeline_free(fixture_read(&fixture, text_bytes(&yaml), NULL, &problems));
        problems_print(&problems, &printed);
        ck_assert_int_eq((int)problems.errors, longer);
        ck_assert(longer == 0 || strstr(text_bytes(&printed), exec_words[_i].message) != NULL);
        text_append(&word, "x");
    }
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    ck_assert(path_is_inside(fixture.folder, fixture.folder));
    ck_assert_ptr_null(pipeline_read("none.yaml", NULL, &problems));
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), "error: cannot read 'none.yaml': No such file or directory\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *model = tcase_create("model");
    tcase_set_timeout(model, 60);
    tcase_add_test(model, original_form_is_valid_unchanged);
    tcase_add_test(model, smallest_file_gets_defaults);
    tcase_add_test(model, data_makes_edges_that_nobody_declared);
    tcase_add_test(model, section_wins_over_stage_yaml_over_run_py);
    tcase_add_loop_test(model, set_goes_through_the_same_checks, 0, sizeof bad_sets / sizeof bad_sets[0]);
    tcase_add_test(model, input_argument_replaces_and_adds);
    tcase_add_loop_test(model, folders_come_from_the_highest_layer_that_says_one, 0,
                        sizeof folder_cases / sizeof *folder_cases);
    tcase_add_loop_test(model, input_argument_is_checked, 0, sizeof bad_inputs / sizeof bad_inputs[0]);
    tcase_add_test(model, config_folder_gives_the_files_that_sections_name);
    tcase_add_test(model, members_are_the_product_last_key_fastest);
    tcase_add_test(model, member_names_are_harmless_and_unique);
    tcase_add_test(model, stage_keys_reach_the_model);
    tcase_add_test(model, nodes_without_parallel_means_mpi);
    tcase_add_test(model, a_long_chain_needs_no_stack);
    tcase_add_loop_test(model, takes_image_references_apart, 0, sizeof images / sizeof images[0]);
    tcase_add_loop_test(model, what_no_kernel_starts_is_refused, 0, sizeof exec_words / sizeof *exec_words);
    tcase_add_test(model, a_missing_file_is_named);
    suite_add_tcase(suite, model);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
