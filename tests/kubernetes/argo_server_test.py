#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The scheduler argo in mode 'server', against a scripted Argo Server: argo_server_test.py PROGRAM [TEST...]"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import argo_schema  # noqa: E402
import argo_server  # noqa: E402
import person  # noqa: E402
from person import PATIENCE  # noqa: E402

TOKEN = "canary-7"


class Run(person.Person):
    def setUp(self):
        self.serve(argo_server.Server())
        self.cluster.token = TOKEN
        self.names = {"PIPELINE_HOST": "http://" + self.server.place, "PIPELINE_NS": "work", "PIPELINE_TOKEN": "Bearer " + TOKEN}

    def environment(self):
        return {**super().environment(), **self.names}

    def pipeline(self, stages, options=""):
        self.pipeline_of('use: argo, mode: server, volume: {host-path: "%s"}%s' % (self.folder, options), stages)

    def workflows(self):
        with self.cluster.lock:
            return [item for key, item in self.cluster.objects.items() if key[0] == "workflows"]

    def test_a_run_is_one_workflow_with_its_logs_and_the_token_is_nowhere(self):
        self.pipeline({"s": "command: [say, one, two]", "t": "command: [say, three], depends-on: [s]"})
        output = self.run_to_end()
        workflow, = self.workflows()
        self.assertIn("/workflows/work/" + workflow["metadata"]["name"], output)  # where people look at it
        self.assertEqual({name: stage["verdict"] for name, stage in self.status().items()}, {"s": "OK", "t": "OK"})
        self.assertEqual((self.log("s"), self.log("t")), ("one\ntwo\n", "three\n"))
        self.assertEqual(len(self.asked("POST", "/api/v1/workflows/work")), 1)
        self.assertLessEqual(len(self.asked("GET", "/api/v1/workflow")) - len(self.asked("GET", "/log")), 4)
        self.assertEqual(self.asked("GET", "/pods"), [])
        for folder, _, files in os.walk(self.folder):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(TOKEN.encode(), file.read(), name)

    def test_pods_of_older_controllers_are_called_like_their_nodes(self):
        self.cluster.pod_names = None
        self.pipeline({"s": "command: [say, one, two]"})
        self.run_to_end()
        self.assertEqual(self.log(), "one\ntwo\n")

    def test_endings_and_argos_own_attempts_are_told(self):
        self.pipeline({"three": "command: [exit, '3']", "after": "command: [say, x], depends-on: [three]",
                       "flaky": "command: [flaky, '4'], retries: {limit: 2, backoff: 1s}"})
        code, output = self.command("run", "pipeline.yaml", "--keep-going")
        self.assertEqual(code, 5, output)
        stages = self.status()
        self.assertEqual(stages["three"]["verdict"].split()[0], "EXIT", output)
        self.assertEqual(stages["flaky"]["verdict"], "OK", output)
        self.assertIn("flaky: EXIT 4", output)
        self.assertIn("after: skipped", output)

    def test_members_are_one_task_and_each_has_its_log_attempts_and_verdict(self):
        self.pipeline({"m": "command: [say, '${each.n}', it, is], foreach: {n: ['x)(1', y]}",
                       "flaky": "command: [flaky, '4'], foreach: {n: [p, q]}, retries: {limit: 2, backoff: 1s}, depends-on: [m]",
                       "bad": "command: [exit, '3'], foreach: {n: [p, q]}", "never": "command: [say], foreach: {n: [p, q]}, depends-on: [bad]"})
        code, output = self.command("run", "pipeline.yaml", "--keep-going")
        self.assertEqual(code, 5, output)
        workflow, = self.workflows()
        self.assertEqual([len(template["dag"]["tasks"]) for template in workflow["spec"]["templates"] if "dag" in template], [4])
        stages = self.status()
        self.assertEqual({name: stages[name]["state"] for name in stages}, {"m": "succeeded", "flaky": "succeeded", "bad": "failed", "never": "skipped"})
        for member in "pq":
            self.assertIn("flaky/%s: EXIT 4" % member, output)
        self.assertEqual(sorted(member["verdict"].split()[0] for member in stages["bad"]["members"]), ["EXIT", "EXIT"])
        names = [member["name"] for member in stages["m"]["members"]]
        self.assertEqual([self.log("m/" + name) for name in names], ["x)(1\nit\nis\n", "y\nit\nis\n"])

    def test_an_image_that_does_not_come_ends_after_its_patience(self):
        self.pipeline({"s": "command: [noimage]"}, ", image-patience: 1s")
        self.assertIn("ImagePullBackOff", self.run_to_end(5))
        self.assertEqual(self.verdict(), "IMAGE")

    def test_cancel_stops_or_terminates_the_workflow(self):
        for how in ("stop", "terminate"):
            self.pipeline({"s": "command: [stay, %s]" % how}, ", stop: " + how)
            process = self.start("run", "pipeline.yaml")
            self.until(lambda: [how] in list(self.cluster.logs.values()))
            self.assertEqual(self.command("cancel", "pipeline.yaml")[0], 0)
            output, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, 7, output)
            self.assertEqual(len(self.asked("PUT", "/" + how)), 1)
            self.assertEqual(self.verdict(), "CANCELLED")

    def test_a_creation_whose_answer_was_lost_makes_one_workflow(self):
        self.cluster.order("POST", "/workflows", "lost answer")
        self.cluster.hold_pods = True  # the watch tells nothing that would do as an answer
        self.pipeline({"s": "command: [say, x]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: len(self.asked("POST", "/api/v1/workflows/work")) == 2)
        self.cluster.hold_pods = False
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        self.assertEqual(len(self.workflows()), 1)

    def test_a_stream_that_is_cut_or_says_an_error_goes_on(self):
        self.cluster.order("GET", "/workflow-events/", "expired event")
        self.cluster.order("GET", "/workflow-events/", "cut after", events=1)
        self.cluster.hold_pods = True
        self.pipeline({"s": "command: [say, x]", "t": "command: [say, y], depends-on: [s]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: len(self.asked("GET", "/workflow-events/")) == 2)
        self.cluster.hold_pods = False
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)

    def test_a_run_that_was_handed_over_is_found_again(self):
        self.pipeline({"s": "command: [say, x]"})
        code, output = self.command("run", "--detach", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.verdict(), "OK")
        self.assertEqual(len(self.workflows()), 1)

    def test_cancel_stops_the_workflow_of_a_run_whose_engine_is_gone(self):
        self.pipeline({"s": "command: [stay, x]", "t": "command: [say, y], depends-on: [s]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: ["x"] in list(self.cluster.logs.values()))
        self.assertTrue(self.kill(process))
        code, output = self.command("cancel", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual(len(self.asked("PUT", "/stop")), 1)
        self.assertEqual(self.verdict(), "CANCELLED", output)

    def test_an_adopted_workflow_has_its_logs(self):
        self.cluster.hold_pods = True
        self.pipeline({"s": "command: [say, hello]"})
        process = self.start("run", "pipeline.yaml")
        self.until(self.workflows)
        self.assertTrue(self.kill(process))
        self.cluster.hold_pods = False
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.log(), "hello\n")

    def test_what_a_run_makes_of_stages_with_files_is_valid_by_argos_schema(self):
        validate = argo_schema.validator()
        self.cluster.hold_pods = True
        self.write("in.txt", "x")
        self.pipeline({"a": "outputs: {x: txt}, command: [say, x], inputs: {first: txt}, retries: {limit: 2, backoff: 1s}, minutes: 2",
                       "b": "outputs: {y: txt}, inputs: {x: txt}, foreach: {n: [1, 2]}, script: 'say $DESC_EACH_N', memory: 1GiB"}, ", helper-image: h:1")
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("pipeline.yaml", text.replace("output: out}", "output: out, inputs: {first: in.txt}}"))
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: self.workflows() or process.poll() is not None)
        self.assertIsNone(process.poll())
        self.kill(process)
        workflow, = self.workflows()
        validate(workflow)
        self.assertEqual(len([template for template in workflow["spec"]["templates"] if template.get("initContainers")]), 2)  # the members are one

    def secret(self):
        """One of a person's own, of the name 'mine'."""
        os.makedirs(self.path("config", "descpipe"))
        self.write("config/descpipe/config.yaml", "secrets: {mine: {env: MINE}}")
        self.names["MINE"] = TOKEN

    def test_the_token_may_be_a_secret(self):
        self.secret()
        del self.names["PIPELINE_TOKEN"]
        self.pipeline({"s": "command: [say, x]"}, ", token: {secret: mine}")
        self.run_to_end()

    # What a person gets wrong.

    def test_a_stage_with_a_secret_is_refused_as_nobody_here_could_keep_it(self):
        self.secret()
        self.pipeline({"s": "command: [say, x], env: {A: {secret: mine}}"})
        output = self.run_to_end(5)
        self.assertIn("mode: kubernetes", output)
        self.assertEqual(self.workflows(), [])

    def test_what_is_missing_is_named_with_its_remedy(self):
        self.pipeline({"s": "command: [say, x]"})
        for name, words in (("PIPELINE_HOST", "where Argo Server is"), ("PIPELINE_NS", "a namespace"), ("PIPELINE_TOKEN", "a token")):
            kept = self.names.pop(name)
            output = self.run_to_end(5)
            self.names[name] = kept
            self.assertIn("needs " + words, output)
            self.assertIn(name, output)

    def test_a_token_that_is_not_taken_is_said_by_where_it_came_from(self):
        self.names["PIPELINE_TOKEN"] = "canary-8"
        self.pipeline({"s": "command: [say, x]"})
        output = self.run_to_end(5)
        self.assertIn("PIPELINE_TOKEN", output)
        self.assertIn("argo auth token", output)
        self.assertNotIn("canary-8", output)


if __name__ == "__main__":
    unittest.main()
