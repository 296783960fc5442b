#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `descpipe export --format argo` writes: argo_test.py PROGRAM [TEST...]

Two Workflows that other tools make from their own examples (Hera, Couler) are reproduced field by field. With
ARGO_JSON_SCHEMA=FILE, Argo's JSON Schema, every Workflow is validated against it; without it that part is skipped by name.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import argo_schema

PROGRAM = os.path.abspath(sys.argv.pop(1))

HERA = """
pipeline: {name: unique-name-of-workflow, stages: [source-task, container-task]}
backends:
  default:
    scheduler:
      use: argo
      parallelism: 10
      service-account: workflow-account
      pull-secrets: [registry-login]
      node-selector: {pool: small}
      tolerations: ["dedicated=work:NoSchedule", "kubernetes.azure.com/scalesetpriority:NoSchedule"]
    runtime: docker
    registry: oci
source-task:
  image: registry.eo4ph.geoanalytics.ca/project-name/image-name:image-tag
  interpreter: [python]
  env: {SOME_ENV: SOME_VAL, TASKSAY: Workflows Are Powerful!}
  script: |
    import os
    #do something
    print(os.getenv('TASKSAY'))
container-task:
  image: registry.eo4ph.geoanalytics.ca/project-name/image-name:image-tag
  depends-on: [source-task]
  command: [/bin/bash, -c, python run.py]
  env: {SOME_ENV: SOME_VAL, TASKSAY: Workflows Are Powerful!}
"""

COULER = """
pipeline: {name: script-file, stages: [job1, job2]}
backends:
  default:
    scheduler: {use: argo, pull-secrets: [image-secret], tolerations: ["pipeline:NoSchedule"]}
    runtime: docker
    registry: oci
job1:
  image: registry.example/image:tag
  interpreter: [python]
  env: {SOME_ENV: env-value}
  on: {argo: {node-selector: {pool: large}}}
  script: |
    print("job")
job2: {image: registry.example/image:tag, depends-on: [job1], command: [python, other.py]}
"""


def named(items, name):
    return next(item for item in items if item["name"] == name)


class Export(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="descpipe-argo-")

    def tearDown(self):
        shutil.rmtree(self.folder)

    def environment(self):
        return {**os.environ, "HOME": self.folder, "XDG_STATE_HOME": self.folder, "XDG_CACHE_HOME": self.folder, "XDG_CONFIG_HOME": self.folder}

    def export(self, text, *words):
        with open(os.path.join(self.folder, "pipeline.yaml"), "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([PROGRAM, "export", "pipeline.yaml", "--format", "argo", "--unpinned", *words], cwd=self.folder, text=True,
                              env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout, done.stderr

    def workflow(self, text, *words):
        code, output, errors = self.export(text, *words)
        self.assertEqual(code, 0, errors)
        workflow = json.loads(output)
        try:
            validate = argo_schema.validator(workflow["kind"])
        except unittest.SkipTest:
            return workflow  # the test of the schema itself is skipped by name
        validate(workflow)
        return workflow

    def refused(self, text, message):
        code, output, errors = self.export(text)
        self.assertEqual((code, output), (2, ""), errors)
        self.assertIn(message, errors)

    def assert_holds(self, got, wanted, where="workflow"):
        """Every field of `wanted` is in `got`; lists of named things go by their names."""
        if isinstance(wanted, dict):
            for key, value in wanted.items():
                self.assertIn(key, got, where)
                self.assert_holds(got[key], value, where + "." + key)
        elif isinstance(wanted, list) and wanted and isinstance(wanted[0], dict) and "name" in wanted[0]:
            for item in wanted:
                self.assertIn(item["name"], [other["name"] for other in got], where)
                self.assert_holds(named(got, item["name"]), item, "%s[%s]" % (where, item["name"]))
        else:
            self.assertEqual(got, wanted, where)

    def test_the_workflow_that_hera_makes(self):
        tolerations = [{"key": "dedicated", "operator": "Equal", "effect": "NoSchedule", "value": "work"},
                       {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Exists", "effect": "NoSchedule", "value": ""}]
        common = {"nodeSelector": {"pool": "small"}, "tolerations": tolerations}
        image = "registry.eo4ph.geoanalytics.ca/project-name/image-name:image-tag"
        env = [{"name": "SOME_ENV", "value": "SOME_VAL"}, {"name": "TASKSAY", "value": "Workflows Are Powerful!"}]
        name = "unique-name-of-workflow"
        self.assert_holds(self.workflow(HERA), {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name},
            "spec": {"entrypoint": name, "parallelism": 10, "serviceAccountName": "workflow-account",
                     "imagePullSecrets": [{"name": "registry-login"}], **common,
                     "templates": [
                         {"name": "source-task", **common,
                          "script": {"image": image, "command": ["python"], "env": env,
                                     "source": "import os\n#do something\nprint(os.getenv('TASKSAY'))\n"}},
                         {"name": "container-task", **common,
                          "container": {"image": image, "command": ["/bin/bash", "-c", "python run.py"], "env": env}},
                         {"name": name, "dag": {"tasks": [{"name": "source-task", "template": "source-task"},
                                                          {"name": "container-task", "template": "container-task",
                                                           "depends": "source-task"}]}}]}})

    def test_the_workflow_that_couler_makes(self):
        workflow = self.workflow(COULER)
        self.assert_holds(workflow, {
            "spec": {"entrypoint": "script-file", "imagePullSecrets": [{"name": "image-secret"}],
                     "tolerations": [{"key": "pipeline", "effect": "NoSchedule", "operator": "Exists", "value": ""}],
                     "templates": [
                         {"name": "job1", "nodeSelector": {"pool": "large"},
                          "script": {"image": "registry.example/image:tag", "command": ["python"], "source": 'print("job")\n',
                                     "env": [{"name": "SOME_ENV", "value": "env-value"}]}},
                         {"name": "script-file", "dag": {"tasks": [{"name": "job1", "template": "job1"},
                                                                   {"name": "job2", "template": "job2", "depends": "job1"}]}}]}})
        self.assertNotIn("nodeSelector", named(workflow["spec"]["templates"], "job2"))

    BACKEND = "backends: {default: {scheduler: {use: argo%s}, runtime: docker, registry: oci}}\n"

    def pipeline(self, stages, options=""):
        lines = ["pipeline: {name: My Run_1, stages: [%s]}" % ", ".join(stages), self.BACKEND % options]
        return "\n".join(lines + ["%s: {image: r.example/i:1, %s}" % pair for pair in stages.items()])

    def test_members_become_tasks_that_wait_for_their_own(self):
        workflow = self.workflow(self.pipeline({"pz_stack": "command: [a], foreach: {band: [g, r]}",
                                                "next": "command: [b], foreach: {band: [g, r]}, depends-on: [pz_stack]",
                                                "all": "command: [c], depends-on: [next]"}))
        tasks = named(workflow["spec"]["templates"], "my-run-1")["dag"]["tasks"]
        self.assertEqual({task["name"]: task.get("depends") for task in tasks},
                         {"pz-stack-g": None, "pz-stack-r": None, "next-g": "pz-stack-g", "next-r": "pz-stack-r", "all": "next-g && next-r"})
        template = named(workflow["spec"]["templates"], "pz-stack-g")
        self.assertEqual(template["metadata"]["annotations"], {"descpipe.org/stage": "pz_stack", "descpipe.org/member": "g",
                                                             "descpipe.org/attempt": "1"})

    def test_members_that_wait_alike_are_one_task_in_a_loop(self):
        workflow = self.workflow(self.pipeline({"pz": "command: [a, '${each.band}', x], foreach: {band: [g, r]}, env: {PLACE: 'at/${each.band}.txt'}",
                                                "pairs": "command: [b, '${each.x}', '${each.y}'], foreach: {x: [m, n], y: ['1', '2']}, depends-on: [pz]",
                                                "many": "command: [c], parallel: embarrassing, size: 1000",
                                                "all": "command: [d], depends-on: [pairs, many]"}))
        templates = {template["name"]: template for template in workflow["spec"]["templates"]}
        self.assertEqual(sorted(templates), ["all", "many", "my-run-1", "pairs", "pz"])
        tasks = {task["name"]: task for task in templates["my-run-1"]["dag"]["tasks"]}
        self.assertEqual(tasks["pz"], {"name": "pz", "template": "pz", "withItems": ["g", "r"],
                                       "arguments": {"parameters": [{"name": "member", "value": "{{item}}"}]}})
        self.assertEqual(tasks["pairs"], {"name": "pairs", "template": "pairs", "depends": "pz", "withItems": [
            {"member": "m-1", "p2": "m", "p3": "1"}, {"member": "m-2", "p2": "m", "p3": "2"},
            {"member": "n-1", "p2": "n", "p3": "1"}, {"member": "n-2", "p2": "n", "p3": "2"}], "arguments": {"parameters": [
                {"name": "member", "value": "{{item.member}}"}, {"name": "p2", "value": "{{item.p2}}"}, {"name": "p3", "value": "{{item.p3}}"}]}})
        self.assertEqual(tasks["many"]["withSequence"], {"count": "1000"})
        self.assertEqual(tasks["all"]["depends"], "pairs && many")
        container = templates["pz"]["container"]
        self.assertEqual(templates["pz"]["inputs"], {"parameters": [{"name": "member"}]})
        self.assertEqual(container["command"], ["a", "{{inputs.parameters.member}}", "x"])
        self.assertEqual(named(container["env"], "PLACE")["value"], "at/{{inputs.parameters.member}}.txt")
        self.assertEqual(named(templates["many"]["container"]["env"], "DESC_RANK")["value"], "{{inputs.parameters.member}}")
        self.assertEqual(named(templates["many"]["container"]["env"], "DESC_SIZE")["value"], "1000")

    def test_members_that_argo_would_not_write_as_they_are_stay_tasks_of_their_own(self):
        workflow = self.workflow(self.pipeline({"s": 'command: [a, "${each.v}"], foreach: {v: ["a\\x01", "b\\x02"]}'}))
        self.assertEqual([len(template.get("dag", {}).get("tasks", [])) for template in workflow["spec"]["templates"]], [0, 0, 2])

    def test_five_thousand_stages_are_one_workflow_whose_templates_are_shared(self):
        stages = {"s%d" % i: "command: [process, '%d']%s" % (i, ", depends-on: [s%d]" % (i // 2) if i else "") for i in range(5000)}
        workflow = self.workflow(self.pipeline({**stages, "shape-1": "command: [another, shape, here]"}))
        self.assertLess(len(json.dumps(workflow, separators=(",", ":"))), 800000)
        self.assertEqual([template["name"] for template in workflow["spec"]["templates"]], ["shape-1x", "shape-1", "my-run-1"])
        tasks = {task["name"]: task for task in named(workflow["spec"]["templates"], "my-run-1")["dag"]["tasks"]}
        self.assertEqual(len(tasks), 5001)
        self.assertEqual(tasks["s77"], {"name": "s77", "template": "shape-1x", "depends": "s38", "arguments": {"parameters": [
            {"name": "stage", "value": "s77"}, {"name": "p2", "value": "77"}]}})
        self.assertEqual(named(workflow["spec"]["templates"], "shape-1x")["container"]["command"], ["process", "{{inputs.parameters.p2}}"])

    def test_resources_gpus_deadlines_and_the_rest_of_a_site(self):
        workflow = self.workflow(self.pipeline({"s": "command: [a], cpus: 4, memory: 8GiB, gpus: 2, minutes: 30, scratch: 1GiB"},
                                               ", deadline: 2h, ttl: 1d, pod-gc: OnPodCompletion, labels: {cost: sky}, priority-class: high"))
        template = named(workflow["spec"]["templates"], "s")
        self.assertEqual(template["activeDeadlineSeconds"], "1800")
        self.assert_holds(template["container"]["resources"], {
            "requests": {"cpu": "4", "memory": "8589934592"}, "limits": {"memory": "8589934592", "nvidia.com/gpu": "2"}})
        self.assert_holds(workflow, {"metadata": {"labels": {"cost": "sky"}},
                                     "spec": {"activeDeadlineSeconds": 7200, "ttlStrategy": {"secondsAfterCompletion": 86400},
                                              "podGC": {"strategy": "OnPodCompletion"}, "podPriorityClassName": "high"}})

    def test_a_dollar_reaches_the_stage_as_it_is_written(self):
        workflow = self.workflow(self.pipeline({"s": "command: [sh, -c, 'echo $(date) $HOME'], env: {A: 'x$(B)'}"}))
        container = named(workflow["spec"]["templates"], "s")["container"]
        self.assertEqual(container["command"][2], "echo $$(date) $$HOME")
        self.assertEqual(named(container["env"], "A")["value"], "x$$(B)")

    def test_two_stages_that_would_have_one_name_are_refused(self):
        self.refused(self.pipeline({"a_b": "command: [x]", "a-b": "command: [x]"}), "would both be called 'a-b' in Argo")

    def test_names_that_argos_expressions_cannot_hold_have_a_letter_before_them(self):
        workflow = self.workflow(self.pipeline({"3x2pt": "command: [x]", "in": "command: [y], depends-on: [3x2pt]", "inner": "command: [z], depends-on: [in]"}))
        tasks = named(workflow["spec"]["templates"], "my-run-1")["dag"]["tasks"]
        self.assertEqual([(task["name"], task.get("depends")) for task in tasks], [("s-3x2pt", None), ("s-in", "s-3x2pt"), ("inner", "s-in")])

    def test_what_argo_refuses_is_told_by_check_and_plan_before_anything_runs(self):
        files = ", inputs: {a: txt}, outputs: {b: txt}"
        for stages, message in (({"s": "command: ['{{x}}']" + files}, "pipeline.yaml:4:1: error: stage 's': its command holds '{{'"),
                                ({"a_b": "command: [x]" + files, "a-b": "command: [x]"}, "would both be called 'a-b' in Argo"),
                                ({"s": "command: [x, '%s', '${each.n}'], foreach: {n: [%s]}" % ("y" * 300, ", ".join("n%s%d" % (300 * "n", i) for i in range(4000)))},
                                 "bytes for its 4000 stages; Kubernetes takes 1048576")):
            self.export(self.pipeline(stages).replace("backends:", "runtime: {inputs: {a: a.txt}}\nbackends:"))
            open(os.path.join(self.folder, "a.txt"), "w", encoding="utf-8").close()
            done = subprocess.run([PROGRAM, "check", "pipeline.yaml"], cwd=self.folder, text=True, env=self.environment(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn(message.replace("4:1", "5:1"), done.stdout)

    def test_argos_own_templates_are_refused_wherever_they_stand(self):
        for lines, what in (("command: ['{{workflow.name}}']", "command"), ("command: [x], env: {A: '{{a}}'}", "env"),
                            ("script: 'echo {{a}}'", "script")):
            self.refused(self.pipeline({"s": lines}), "pipeline.yaml:4:1: stage 's': its %s holds '{{'" % what)

    def test_what_it_cannot_say_yet_is_refused_with_its_line(self):
        self.refused(self.pipeline({"s": "command: [x], outputs: {a: txt}"}), "pipeline.yaml:4:")
        self.refused(self.pipeline({"s": "command: [x], nodes: 2, ppn: 1"}), "nodes")

    def test_attempts_are_argos_own_by_their_reasons(self):
        workflow = self.workflow(self.pipeline({
            "s": "command: [x], retries: {limit: 2, on: [fail], backoff: 90s}",
            "t": "command: [x], retries: {limit: 1, on: [oom, timeout]}", "u": "command: [x]"}))
        template = named(workflow["spec"]["templates"], "s")
        self.assertEqual(template["retryStrategy"], {
            "limit": "2", "retryPolicy": "Always", "backoff": {"duration": "90s", "factor": "2", "cap": "1h"},
            "expression": "(asInt(lastRetry.exitCode) > 0 && !(lastRetry.message contains 'OOMKilled'))"})
        self.assertEqual(named(workflow["spec"]["templates"], "t")["retryStrategy"]["expression"],
                         "lastRetry.message contains 'OOMKilled' || lastRetry.message contains 'deadline'")
        self.assertNotIn("retryStrategy", named(workflow["spec"]["templates"], "u"))

    def test_more_of_a_site_hook_priority_affinity(self):
        workflow = self.workflow(self.pipeline({"s": "command: [x], on: {argo: {affinity: ['disk=ssd,nvme']}}"},
                                               ", on-exit: tidy/up, priority: 7, affinity: ['zone=a'], grace: 20s"))
        self.assertEqual(workflow["spec"]["hooks"], {"exit": {"templateRef": {"name": "tidy", "template": "up"}}})
        self.assertEqual(workflow["spec"]["priority"], 7)
        self.assertEqual(json.loads(workflow["spec"]["podSpecPatch"]), {"enableServiceLinks": False, "terminationGracePeriodSeconds": 20})
        terms = lambda affinity: affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        self.assertEqual(terms(workflow["spec"]["affinity"]), [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}])
        self.assertEqual(terms(named(workflow["spec"]["templates"], "s")["affinity"]),
                         [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}]}])
        self.refused(self.pipeline({"s": "command: [x]"}, ", on-exit: tidy"), "is not NAME/TEMPLATE")
        self.refused(self.pipeline({"s": "command: [x]"}, ", affinity: ['zone']"), "is not KEY=VALUE")

    def test_the_names_of_one_facility_are_defaults(self):
        names = {"WORKFLOW_SA": "account", "REGISTRY_PULL_SECRET": "login", "WORKFLOW_NODE_SELECTOR_KEY": "pool",
                 "WORKFLOW_NODE_SELECTOR_VALUE": "small", "WORKFLOW_NODE_TOLERATION_KEY": "dedicated",
                 "WORKFLOW_NODE_TOLERATION_VALUE": "work"}
        with unittest.mock.patch.dict(os.environ, names):
            spec = self.workflow(self.pipeline({"s": "command: [x]"}))["spec"]
            own = self.workflow(self.pipeline({"s": "command: [x]"}, ", service-account: mine, pull-secrets: [other]"))["spec"]
        self.assert_holds(spec, {"serviceAccountName": "account", "imagePullSecrets": [{"name": "login"}], "nodeSelector": {"pool": "small"},
                                 "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "work", "effect": "NoSchedule"}]})
        self.assert_holds(own, {"serviceAccountName": "mine", "imagePullSecrets": [{"name": "other"}]})

    def test_a_schedule_makes_a_cron_workflow(self):
        cron = self.workflow(self.pipeline({"s": "command: [x]"}, ", schedule: '0 3 * * *', timezone: Europe/Paris"))
        self.assert_holds(cron, {"kind": "CronWorkflow", "metadata": {"name": "my-run-1"}, "spec": {
            "schedules": ["0 3 * * *"], "timezone": "Europe/Paris", "concurrencyPolicy": "Forbid", "workflowSpec": {"entrypoint": "my-run-1"}}})

    def test_a_workflow_that_is_too_large_is_refused_with_its_size(self):
        self.refused(self.pipeline({"s": "command: [x, '${each.n}'], foreach: {n: [%s]}" % ", ".join("n%s%d" % (200 * "n", i) for i in range(5000))}),
                     "bytes for its 5000 stages; Kubernetes takes 1048576")

    def test_each_example_is_refused_with_a_line_and_what_to_do(self):
        """All of them have files, which a Workflow that somebody else submits has not."""
        told = {"sky/pipeline.yaml": "takes 'tomographic-catalog'", "original/pipeline.yaml": "takes 'tomographic-catalog'",
                "original/pipeline-config-folder.yaml": "takes 'tomographic-catalog'", "quickstart/pipeline.yaml": "runs images of registries only"}
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        examples = [os.path.relpath(path, os.path.join(root, "pipelines")) for path in glob.glob(os.path.join(root, "pipelines", "*", "pipeline*.yaml"))]
        self.assertEqual(sorted(examples), sorted(told))
        for example, message in told.items():
            path = os.path.join("pipelines", example)
            done = subprocess.run([PROGRAM, "export", path, "--format", "argo", "--unpinned", "--backend", "argo", "--runtime", "docker"], cwd=root,
                                  env=self.environment(), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), example)
            self.assertRegex(done.stderr, r"%s:\d+:\d+: error: .*%s.*\n  hint: " % (re.escape(path), re.escape(message)))

    def test_each_of_them_is_valid_by_argos_schema(self):
        """As is every other Workflow of these tests: a field that Argo does not have is seen here."""
        validate = argo_schema.validator()
        workflow = self.workflow(HERA)
        validate(workflow)
        workflow["spec"]["parallelism"] = "ten"
        import jsonschema
        with self.assertRaises(jsonschema.ValidationError):
            validate(workflow)


if __name__ == "__main__":
    unittest.main()
