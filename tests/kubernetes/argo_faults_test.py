#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The scheduler argo against an API server that misbehaves as ordered: argo_faults_test.py PROGRAM [TEST...]

Each test runs the program as a person does and looks at its verdicts, at what the server was asked, and at how many Workflows there are.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import api  # noqa: E402
import argo_api  # noqa: E402
import person  # noqa: E402
from person import PATIENCE  # noqa: E402

THREE = {"a": "command: [say, a]", "b": "command: [say, '${each.n}'], depends-on: [a], foreach: {n: [1, 2]}", "c": "command: [say, c], depends-on: [b]"}


class Run(person.Person):
    def setUp(self):
        self.serve(argo_api.Server())
        self.write("kubeconfig", """apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://%s"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: work}}]
current-context: x
""" % self.server.place)

    def pipeline(self, stages, options=""):
        self.pipeline_of('use: argo, volume: {host-path: "%s"}%s' % (self.folder, options), stages)

    def workflows(self):
        with self.cluster.lock:
            return [item for key, item in self.cluster.objects.items() if key[0] == "workflows"]

    def states(self):
        return {name: stage["state"] for name, stage in self.status().items()}

    def questions(self, logs=False):
        """Requests but those for images, and for logs if they are not wanted."""
        with self.cluster.lock:
            return [line for line in self.cluster.requests if (logs or "/log" not in line) and " /v2/" not in line]

    # What a run costs.

    def test_a_run_costs_the_same_number_of_requests_whatever_its_size(self):
        costs = []
        for count in (2, 40):
            with self.cluster.lock:
                del self.cluster.requests[:]
                self.cluster.hold_nodes = True  # until both watches are there
            chain = {"s%d" % i: "command: [say, x]%s" % (", depends-on: [s%d]" % (i - 1) if i else "") for i in range(count)}
            self.pipeline({**chain, "m": "command: [say, x], foreach: {n: [%s]}" % ", ".join(map(str, range(count)))})
            process = self.start("run", "--no-cache", "pipeline.yaml")
            self.until(lambda: len([line for line in self.questions() if "watch=1" in line]) == 2 or process.poll() is not None)
            self.cluster.hold_nodes = False
            output, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, 0, output)
            costs.append(self.questions())
            self.assertEqual(len([line for line in costs[-1] if line.startswith("POST")]), 1)
            self.assertEqual(len([line for line in costs[-1] if "/workflows?" in line and "watch=1" in line]), 1)
            self.assertEqual(len([line for line in costs[-1] if "/pods?" in line and "watch=1" in line]), 1)
            logs = [line for line in self.cluster.requests if "/log" in line]
            self.assertLessEqual(len(logs), 4 * count)  # of each stage its log, once while it runs and once for its end
        self.assertEqual(len(costs[0]), len(costs[1]), costs)
        self.assertLessEqual(len(costs[1]), 8, costs[1])

    # What the API server may do.

    def test_a_creation_whose_answer_is_lost_is_not_done_twice(self):
        self.cluster.order("POST", "/workflows", "lost answer")
        self.pipeline(THREE)
        self.run_to_end()
        self.assertEqual(len(self.workflows()), 1)
        self.assertEqual(self.states(), dict.fromkeys("abc", "succeeded"))

    def test_errors_that_pass_are_waited_for(self):
        for what in ("leader", "busy", "cut"):
            for method, path in (("POST", "/workflows"), ("GET", "/pods[?]"), ("GET", "/workflows[?]")):
                self.cluster.order(method, path, what)
        self.pipeline(THREE)
        self.run_to_end()
        self.assertEqual(len(self.workflows()), 1)
        self.assertEqual(self.states(), dict.fromkeys("abc", "succeeded"))

    def test_watches_that_break_expire_or_lie_lose_nothing(self):
        for what in ("expired event", "garbage", "cut after", "pieces"):
            self.cluster.order("GET", "/pods[?].*watch=1", what)
            self.cluster.order("GET", "/workflows[?].*watch=1", what)
        self.cluster.order("GET", "/workflows[?].*watch=1", "expired")
        self.pipeline({**THREE, "d": "command: [exit, '4'], depends-on: [c]"})
        self.run_to_end(5)
        self.assertEqual(self.states(), {**dict.fromkeys("abc", "succeeded"), "d": "failed"})
        self.assertEqual(self.verdict("d").split()[0], "EXIT")

    def test_a_full_quota_and_a_slow_server_are_waited_for(self):
        self.cluster.order("POST", "/workflows", "quota")
        for method, path in (("POST", "/workflows"), ("GET", "/pods[?]"), ("GET", "/workflows[?]"), ("GET", "/log")):
            self.cluster.order(method, path, "slow", seconds=1)
        self.pipeline({"s": "command: [say, slowly]"})
        self.run_to_end()
        self.assertEqual(self.log(), "slowly\n")

    def test_a_right_that_is_missing_is_said_at_once(self):
        self.cluster.order("POST", "/workflows", "forbidden", times=9)
        self.pipeline({"s": "command: [say, x]"})
        self.assertIn("cannot create resource", self.run_to_end(5))

    def test_a_workflow_that_somebody_deletes_ends_its_stages_as_lost(self):
        self.pipeline({"s": "command: [stay, x]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: self.cluster.logs)
        with self.cluster.lock:
            name = self.workflows()[0]["metadata"]["name"]
            self.cluster.put("workflows", name, self.cluster.objects["workflows", name], "DELETED")
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 5, output)
        self.assertIn("deleted by somebody else", output)

    # Engines that die, and other people who look.

    def test_an_engine_killed_at_many_points_makes_one_workflow(self):
        for point, held in ((1, True), (2, True), (3, True), (4, True), (5, True), (6, False), (8, False), (11, False)):
            with self.subTest(point=point):
                with self.cluster.lock:
                    del self.cluster.requests[:]
                    before = len(self.workflows())
                    self.cluster.hold_nodes = held
                self.pipeline(THREE)
                process = self.start("run", "pipeline.yaml", "--no-cache")
                self.until(lambda: len(self.questions(logs=True)) >= point or process.poll() is not None)
                begun = self.kill(process)
                self.cluster.hold_nodes = False
                if not begun:
                    continue
                code, output = self.command("resume", "pipeline.yaml")
                self.assertIn(code, (0, 2), output)  # 2: it was over already
                self.assertEqual(self.states(), dict.fromkeys("abc", "succeeded"), output)
                self.assertEqual(len(self.workflows()), before + 1, self.cluster.requests)

    def test_an_adopted_workflow_has_the_logs_of_its_members(self):
        self.cluster.hold_nodes = True
        self.pipeline(THREE)
        process = self.start("run", "pipeline.yaml")
        self.until(self.workflows)
        self.kill(process)
        self.cluster.hold_nodes = False
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual([self.log(name) for name in ("a", "b/1", "b/2", "c")], ["a\n", "1\n", "2\n", "c\n"])

    def test_of_an_adopted_loop_the_first_may_be_the_only_one_that_is_not_over(self):
        self.cluster.backwards, self.cluster.held = True, "(0:"
        self.pipeline({"b": "command: [say, '${each.n}'], foreach: {n: [1, 2, 3]}"})
        process = self.start("run", "pipeline.yaml")
        self.until(self.workflows)
        self.until(lambda: [member["state"] for member in self.status()["b"]["members"]][1:] == ["succeeded", "succeeded"])
        self.kill(process)
        self.cluster.held = "no such node"
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual([self.log("b/%d" % number) for number in (1, 2, 3)], ["1\n", "2\n", "3\n"])

    def test_cancel_stops_or_terminates_the_workflow(self):
        for how in ("stop", "terminate"):
            self.pipeline({"s": "command: [stay, %s]" % how}, ", stop: " + how)
            process = self.start("run", "pipeline.yaml")
            self.until(lambda: (how + "\n").encode() in list(self.cluster.logs.values()))
            self.assertEqual(self.command("cancel", "pipeline.yaml")[0], 0)
            output, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, 7, output)
            self.assertEqual(self.verdict(), "CANCELLED")
            self.assertEqual([item["spec"].get("shutdown") for item in self.workflows()][-1], how.capitalize())

    # What a site may lack.

    def site(self, expected, *words):
        code, output = self.command("check", "--site", "pipeline.yaml", *words)
        self.assertEqual(code, expected, output)
        return output

    def test_a_site_is_asked_and_nothing_is_made(self):
        self.pipeline({"s": "command: [say, x]"})
        self.assertIn("would be taken", self.site(0))
        self.assertEqual(self.cluster.objects, {})
        self.cluster.forbidden = {"create workflows", "delete pods"}
        output = self.site(1)
        self.assertIn("no right in namespace 'work' to create workflows, delete pods", output)
        self.assertIn("no node has the labels disk=fast", self.site(1, "-o", "scheduler.node-selector={disk: fast}"))

    def test_a_cluster_without_argo_is_told_as_that(self):
        self.cluster.kinds = set(api.PLURALS) - {"workflows"}
        self.pipeline({"s": "command: [say, x]"})
        self.assertIn("Argo is not installed there", self.site(1))
        self.assertIn("is Argo Workflows installed", self.run_to_end(5))


if __name__ == "__main__":
    unittest.main()
