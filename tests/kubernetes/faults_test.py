#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The scheduler kubernetes against an API server that misbehaves as ordered: faults_test.py PROGRAM [TEST...]

Each test runs the program as a person does and looks at its verdicts, its journal and what the server was asked.
"""
import base64
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import api  # noqa: E402
import person  # noqa: E402
from person import PATIENCE  # noqa: E402


class Run(person.Person):
    def setUp(self):
        self.serve(api.Server())
        self.kubeconfig("token: secret")

    def kubeconfig(self, user):
        self.write("kubeconfig", """apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://%s"}}]
users: [{name: u, user: {%s}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: work}}]
current-context: x
""" % (self.server.place, user))

    def pipeline(self, stages, options=""):
        self.pipeline_of('use: kubernetes, volume: {host-path: "%s"}%s' % (self.folder, options), stages)

    def one(self, command, options="", expected=0, more=""):
        self.pipeline({"s": "command: %s%s" % (command, more)}, options)
        return self.run_to_end(expected)

    # What pods end with.

    def test_a_stage_that_ends_well_is_ok_and_its_log_is_whole(self):
        self.one("[say, hello, $HOME]")
        self.assertEqual(self.verdict(), "OK")
        self.assertIn("hello $$HOME", self.log())  # Kubernetes makes one dollar of two; this server does not
        self.assertEqual(self.cluster.objects, {})  # nothing of it stays

    def test_a_run_costs_a_constant_number_of_questions_beside_one_creation_a_job(self):
        self.pipeline({"s": "command: [say, x], foreach: {n: [%s]}" % ", ".join(map(str, range(60)))})
        self.run_to_end()
        self.assertEqual(len(self.asked("POST", "/jobs")), 60)
        for plural in ("jobs", "pods"):
            questions = [line for line in self.asked("GET", "/%s?" % plural)]
            self.assertLessEqual(len(questions), 4, questions)
        self.assertLessEqual(len(self.asked("DELETE", "/")), 2)

    def test_each_ending_has_its_verdict(self):
        table = {"exit": ("[exit, 3]", "EXIT"), "memory": ("[memory]", "OOM"), "evict": ("[evict]", "DISK"), "late": ("[late]", "TIMEOUT"),
                 "lostnode": ("[lostnode]", "NODE_FAIL"), "noprogram": ("[noprogram]", "EXIT"), "vanish": ("[vanish]", "LOST")}
        self.pipeline({name: "command: %s" % command for name, (command, _) in table.items()})
        code, output = self.command("run", "pipeline.yaml", "--keep-going")
        self.assertEqual(code, 5, output)
        stages = self.status()
        self.assertEqual({name: stages[name]["verdict"].split()[0] for name in table}, {name: verdict for name, (_, verdict) in table.items()})

    def test_an_image_that_does_not_come_ends_after_its_patience(self):
        output = self.one("[noimage]", ", image-patience: 1s", 5)
        self.assertEqual(self.verdict(), "IMAGE")
        self.assertIn("ImagePullBackOff", output)

    def test_a_stage_that_finds_no_node_ends_after_its_patience_and_says_why(self):
        output = self.one("[nowhere]", ", place-patience: 1s", 5)
        self.assertIn("Insufficient cpu", output)

    # Registry logins.

    def log_in(self, host=None, user="joe", password="canary-9", options=""):
        auth = base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
        os.makedirs(self.path(".docker"), exist_ok=True)
        self.write(".docker/config.json", json.dumps({"auths": {host or self.server.place: {"auth": auth}}}))
        self.pipeline({"s": "command: [say, x]"}, options)

    def the_workflow(self):
        self.until(lambda: [key for key in self.cluster.objects if key[0] == "workflows"])
        with self.cluster.lock:
            workflow, = [item for key, item in self.cluster.objects.items() if key[0] == "workflows"]
        return workflow

    def end_workflow(self):
        workflow = self.the_workflow()
        with self.cluster.lock:
            self.cluster.put("workflows", workflow["metadata"]["name"], dict(workflow, status={"phase": "Error", "nodes": {}, "message": "gone"}), "MODIFIED")

    def secrets_made(self):
        with self.cluster.lock:
            return [item for _, plural, kind, item in self.cluster.history if plural == "secrets" and kind == "ADDED"]

    def test_a_registry_login_is_there_before_the_pod_and_goes_with_it(self):
        self.log_in()
        output = self.run_to_end()
        self.assertEqual(self.verdict(), "OK", output)
        secret, = self.secrets_made()
        config = json.loads(api.secret_text(secret, ".dockerconfigjson"))
        self.assertEqual(config, {"auths": {self.server.place: {"auth": base64.b64encode(b"joe:canary-9").decode()}}})
        self.assertEqual(secret["type"], "kubernetes.io/dockerconfigjson")
        history = [(plural, kind) for _, plural, kind, _ in self.cluster.history]
        self.assertLess(history.index(("secrets", "ADDED")), history.index(("jobs", "ADDED")))
        owned = [item for _, plural, kind, item in self.cluster.history if (plural, kind) == ("secrets", "MODIFIED")]
        self.assertEqual([owner["kind"] for owner in owned[0]["metadata"]["ownerReferences"]], ["Job"])
        jobs = [item for _, plural, kind, item in self.cluster.history if (plural, kind) == ("jobs", "ADDED")]
        self.assertEqual(jobs[0]["spec"]["template"]["spec"]["imagePullSecrets"], [{"name": secret["metadata"]["name"]}])
        self.assertEqual(self.cluster.objects, {})  # nothing of it stays
        for word in ("canary-9", base64.b64encode(b"joe:canary-9").decode()):
            self.assertNotIn(word, output + json.dumps(jobs))
            for folder, _, files in os.walk(self.folder):
                for name in files:
                    if not folder.endswith(".docker"):
                        with open(os.path.join(folder, name), "rb") as file:
                            self.assertNotIn(word.encode(), file.read(), name)

    def test_one_submission_of_many_pods_has_one_secret_that_belongs_to_all(self):
        self.log_in()
        self.pipeline({"s": "command: [say, x], foreach: {n: [1, 2, 3, 4, 5]}"})
        self.run_to_end()
        self.assertEqual(len(self.secrets_made()), 1)
        owned = [item for _, plural, kind, item in self.cluster.history if (plural, kind) == ("secrets", "MODIFIED")]
        self.assertEqual(len({owner["uid"] for owner in owned[0]["metadata"]["ownerReferences"]}), 5)

    def test_no_login_of_ours_goes_where_secrets_are_named_or_none_is_wanted(self):
        for options in (", pull-secrets: [theirs]", ", pull-secrets: []"):
            self.log_in(options=options)
            self.assertEqual(self.command("run", "--no-cache", "pipeline.yaml")[0], 0)
        self.assertEqual(self.secrets_made(), [])
        named = [item["spec"]["template"]["spec"].get("imagePullSecrets") for _, plural, kind, item in self.cluster.history
                 if (plural, kind) == ("jobs", "ADDED")]
        self.assertEqual(named, [[{"name": "theirs"}], None])

    def test_a_workflow_pulls_with_our_login_until_its_run_is_over(self):
        self.log_in()
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("pipeline.yaml", text.replace("use: kubernetes", "use: argo"))
        process = self.start("run", "pipeline.yaml")
        workflow = self.the_workflow()
        secret, = self.secrets_made()
        self.assertEqual(workflow["spec"]["imagePullSecrets"], [{"name": secret["metadata"]["name"]}])
        self.assertNotIn("canary-9", json.dumps(workflow))
        self.until(lambda: [kind for _, plural, kind, item in self.cluster.history if (plural, kind) == ("secrets", "MODIFIED")
                            and item["metadata"]["ownerReferences"][0]["kind"] == "Workflow"])
        self.end_workflow()
        process.communicate(timeout=PATIENCE)
        self.assertEqual([key for key in self.cluster.objects if key[0] == "secrets"], [])

    def test_without_a_login_there_is_no_secret(self):
        self.log_in(host="registry.example.org")
        self.run_to_end()
        self.assertEqual(self.asked("POST", "/secrets"), [])

    def test_a_secret_that_nobody_may_make_refuses_the_stage_and_says_what_to_do(self):
        self.log_in()
        self.cluster.order("POST", "/secrets", "forbidden")
        output = self.run_to_end(5)
        self.assertIn("as 'joe'", output)
        self.assertIn("cannot be handed to the cluster", output)
        self.assertIn("pull-secrets: []", output)  # the remedy
        self.assertNotIn("canary-9", output)
        self.assertEqual(self.asked("POST", "/jobs"), [])

    def test_a_login_whose_answer_was_lost_is_written_anew(self):
        self.log_in()
        self.cluster.order("POST", "/secrets", "lost answer")
        self.run_to_end()
        self.assertEqual(len(self.asked("PUT", "/secrets/")), 1)
        self.assertEqual(self.cluster.objects, {})

    def test_a_job_that_is_refused_leaves_no_login_behind(self):
        self.log_in()
        self.cluster.order("POST", "/jobs", "forbidden")
        self.run_to_end(5)
        self.assertEqual(len(self.secrets_made()), 1)
        self.assertEqual(self.cluster.objects, {})

    def log_in_to_ecr(self, scheduler="kubernetes"):
        self.cluster.registry_token, self.cluster.registry_token_ends = "canary-8", 4102444800.0
        self.pipeline({"first": "command: [say, x]", "second": "command: [say, y], depends-on: [first]"})
        ecr = "use: ecr, account: '123456789012', region: eu-west-1, access-key-id: AKIDEXAMPLE, secret-access-key: {secret: aws}, "
        ecr += "endpoint: 'http://%s', data-host: '%s'" % (self.server.place, self.server.place)
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("pipeline.yaml", text.replace("use: oci", ecr).replace("use: kubernetes", "use: " + scheduler))
        os.makedirs(self.path("config", "descpipe"), exist_ok=True)
        self.write("config/descpipe/config.yaml", "secrets: {aws: {file: %s}}\n" % self.path("key"))
        self.write("key", "a-secret-key")

    def test_a_login_that_ends_is_told_once_when_it_is_handed_over(self):
        self.log_in_to_ecr()
        output = self.run_to_end()
        self.assertEqual(output.count("ends at 2100-01-01T00:00:00Z, and nobody renews it there"), 1, output)
        config = json.loads(api.secret_text(self.secrets_made()[0], ".dockerconfigjson"))
        self.assertEqual(config, {"auths": {self.server.place: {"auth": base64.b64encode(b"AWS:canary-8").decode()}}})
        self.assertEqual(self.cluster.objects, {})

    def test_a_login_of_a_workflow_that_ends_is_told_when_it_is_handed_over(self):
        self.log_in_to_ecr("argo")
        process = self.start("run", "pipeline.yaml")
        self.end_workflow()
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(output.count("ends at 2100-01-01T00:00:00Z, and nobody renews it there"), 1, output)

    def test_an_identity_token_is_no_login_for_nodes(self):
        self.log_in(user="<token>")
        output = self.run_to_end(5)
        self.assertIn("is a token, with which the nodes of a cluster cannot pull", output)
        self.assertNotIn("canary-9", output)

    def test_secrets_travel_as_a_secret_and_stand_in_no_manifest(self):
        os.environ["DESCPIPE_SECRET_WORD"] = "canary-7"
        self.write("word", "canary-7")
        self.pipeline({"s": "command: [stay], env: {WORD: {secret: word}}"})
        os.makedirs(self.path("config", "descpipe"), exist_ok=True)
        self.write("config/descpipe/config.yaml", "secrets: {word: {file: %s}}\n" % self.path("word"))
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: [key for key in self.cluster.objects if key[0] == "secrets"])
        with self.cluster.lock:
            items = {key: json.dumps(item) for key, item in self.cluster.objects.items()}
        secrets = [json.loads(item) for key, item in items.items() if key[0] == "secrets"]
        self.assertEqual(api.secret_text(secrets[0], "WORD"), "canary-7")
        self.assertEqual(secrets[0]["metadata"]["ownerReferences"][0]["kind"], "Job")
        for key, item in items.items():
            if key[0] != "secrets":
                self.assertNotIn("canary-7", item)
        process.terminate()
        self.command("cancel", "pipeline.yaml")
        process.communicate(timeout=PATIENCE)

    # What the API server may do.

    def test_a_creation_whose_answer_is_lost_is_not_done_twice(self):
        self.cluster.order("POST", "/jobs", "lost answer")
        self.one("[say, once]")
        self.assertEqual(self.verdict(), "OK")
        self.assertEqual(list(self.cluster.starts.values()), [1])

    def test_errors_that_pass_are_waited_for(self):
        for what in ("leader", "busy", "cut"):
            for method, path in (("POST", "/jobs"), ("GET", "/pods[?]"), ("GET", "/jobs[?]"), ("DELETE", "/jobs")):
                self.cluster.order(method, path, what)
        self.one("[say, x]")
        self.assertEqual(self.verdict(), "OK")

    def test_a_full_quota_is_waited_for(self):
        self.cluster.order("POST", "/jobs", "quota", times=2)
        self.one("[say, x]")
        self.assertEqual(self.verdict(), "OK")

    def test_a_right_that_is_missing_is_said_at_once(self):
        self.cluster.order("POST", "/jobs", "forbidden", times=9)
        output = self.one("[say, x]", "", 5)
        self.assertIn("cannot create resource", output)

    def test_a_server_that_is_slow_is_waited_for(self):
        for method, path in (("POST", "/jobs"), ("GET", "/pods[?]"), ("GET", "/jobs[?]"), ("GET", "/log"), ("DELETE", "/jobs")):
            self.cluster.order(method, path, "slow", seconds=2)
        self.one("[say, slowly]")
        self.assertIn("slowly", self.log())
        self.assertEqual(list(self.cluster.starts.values()), [1])

    # Engines that die.

    def test_an_engine_killed_at_many_points_starts_each_stage_once(self):
        for point in (4, 7, 9, 11, 14, 18, 23):
            with self.subTest(point=point):
                self.cluster.starts.clear()
                with self.cluster.lock:
                    del self.cluster.requests[:]
                self.pipeline({"a": "command: [say, a]", "b": "command: [say, b], depends-on: [a]", "c": "command: [say, c], depends-on: [b]"})
                process = self.start("run", "pipeline.yaml", "--no-cache")
                self.until(lambda: len(self.cluster.requests) >= point or process.poll() is not None)
                if not self.kill(process):
                    continue  # it had not begun
                code, output = self.command("resume", "pipeline.yaml")
                self.assertIn(code, (0, 2), output)  # 2: it was over already
                self.assertEqual({name: stage["verdict"] for name, stage in self.status().items()}, dict.fromkeys("abc", "OK"), output)
                self.assertEqual(sorted(self.cluster.starts.values()), [1, 1, 1], self.cluster.requests)

    def die_with_a_login_and_no_job(self, scheduler="kubernetes", plural="/jobs"):
        self.log_in()
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("pipeline.yaml", text.replace("use: kubernetes", "use: " + scheduler))
        self.cluster.order("POST", plural, "cut", times=10**6)
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: self.asked("POST", plural))
        self.assertTrue(self.kill(process))
        with self.cluster.lock:
            del self.cluster.faults[:]
        secret, = self.secrets_made()
        self.assertIn(("secrets", secret["metadata"]["name"]), self.cluster.objects)

    def test_a_login_whose_job_never_came_goes_when_the_run_is_resumed(self):
        self.die_with_a_login_and_no_job()
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.verdict(), "OK")
        self.assertEqual(self.cluster.objects, {})

    def test_a_login_whose_job_never_came_goes_when_the_run_is_cancelled(self):
        self.die_with_a_login_and_no_job()
        code, output = self.command("cancel", "pipeline.yaml")
        self.assertEqual(self.cluster.objects, {}, output)

    def test_a_login_whose_workflow_never_came_goes_when_the_run_is_cancelled(self):
        self.die_with_a_login_and_no_job("argo", "/workflows")
        code, output = self.command("cancel", "pipeline.yaml")
        self.assertEqual(self.cluster.objects, {}, output)

    def test_who_may_not_look_for_logins_may_resume(self):
        self.die_with_a_login_and_no_job()
        self.cluster.order("GET", "/secrets", "forbidden")
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertNotIn("registry logins", output)

    def test_an_adopted_stage_has_its_log(self):
        self.cluster.hold_pods = True
        self.pipeline({"s": "command: [say, hello]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: [key for key in self.cluster.objects if key[0] == "jobs"])
        self.kill(process)
        self.cluster.hold_pods = False
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.log().count("hello"), 1, self.log())

    def test_cancel_ends_the_jobs_of_a_run_whose_engine_is_gone(self):
        self.pipeline({"s": "command: [stay, x], foreach: {n: [1, 2, 3]}", "t": "command: [say, x], depends-on: [s]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: len([log for log in self.cluster.logs.values() if log]) == 3)
        self.assertTrue(self.kill(process))
        code, output = self.command("cancel", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertIn("was ended: s", output)
        self.assertEqual([key for key in self.cluster.objects if key[0] in ("jobs", "pods")], [])
        self.assertEqual(self.status()["s"]["state"], "cancelled")
        code, output = self.command("cancel", "pipeline.yaml")
        self.assertEqual(code, 2, output)
        self.assertIn("nothing of it is running", output)
        process = self.start("resume", "pipeline.yaml")
        self.until(lambda: len([log for log in self.cluster.logs.values() if log]) == 6)
        for key, job in list(self.cluster.objects.items()):
            if key[0] == "jobs":
                self.cluster.end(job, 0, "Completed")
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)

    def test_a_list_of_many_pages_is_read_to_its_end(self):
        count = 600
        self.pipeline({"s": "command: [stay, x], foreach: {n: [%s]}" % ", ".join(map(str, range(count)))})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: len(self.cluster.starts) == count)
        self.kill(process)
        with self.cluster.lock:
            jobs = [item for key, item in self.cluster.objects.items() if key[0] == "jobs"]
        for job in jobs:
            self.cluster.end(job, 0, "Completed")
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output[-2000:])
        self.assertTrue(self.asked("GET", "continue="))
        self.assertEqual(set(self.cluster.starts.values()), {1})
        self.assertEqual(len(self.cluster.starts), count)

    def test_watches_that_break_expire_or_lie_lose_nothing(self):
        for what in ("expired event", "garbage", "cut after", "pieces"):
            self.cluster.order("GET", "/pods[?].*watch=1", what)
            self.cluster.order("GET", "/jobs[?].*watch=1", what)
        self.cluster.order("GET", "/pods[?].*watch=1", "expired")
        self.pipeline({"a": "command: [say, x], outputs: {}", "b": "command: [say, y], depends-on: [a]", "c": "command: [exit, 4], depends-on: [b]"})
        self.run_to_end(5)
        self.assertEqual(self.verdict("c"), "EXIT")

    def test_a_deletion_that_nobody_told_is_found_by_the_next_list(self):
        self.pipeline({"s": "command: [vanish, silently]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: any(key[0] == "jobs" for key in self.cluster.objects) and self.cluster.starts)
        self.until(lambda: not any(key[0] == "pods" for key in self.cluster.objects) and any(self.cluster.logs.values()))
        self.cluster.forget()
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 5, output)
        self.assertEqual(self.verdict(), "LOST")

    def test_a_token_that_is_rotated_is_read_again(self):
        self.write("token", "old")
        self.kubeconfig("tokenFile: token")
        self.cluster.token = "old"
        self.pipeline({"s": "command: [stay, x]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: self.cluster.starts)
        self.write("token", "new")
        self.cluster.token = "new"
        self.cluster.forget()  # the watches must ask again
        for key, job in list(self.cluster.objects.items()):
            if key[0] == "jobs":
                self.cluster.end(job, 0, "Completed")
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)

    def test_a_token_of_a_command_is_asked_for_again_when_it_is_refused(self):
        self.write("login", '#!/bin/sh\necho asked >> "%s"\necho \'{"kind": "ExecCredential", "status": {"token": "\'$WORD\'"}}\'\n' % self.path("count"))
        os.chmod(self.path("login"), 0o755)
        self.kubeconfig("exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, env: [{name: WORD, value: good}]}")
        self.cluster.token = "good"
        self.cluster.order("POST", "/jobs", "unauthorized")
        self.one("[say, x]")
        with open(self.path("count"), encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 2)

    def test_a_log_that_is_cut_is_read_to_its_end(self):
        self.cluster.order("GET", "/log", "half", times=2)
        self.one("[say, one, two, three, four]")
        self.assertIn("one two three four", self.log())
        self.assertEqual(self.log().count("one"), 1)

    def test_words_of_a_node_in_place_of_a_log_cost_nothing_of_the_log(self):
        self.cluster.order("GET", "/log", "words")
        self.pipeline({"s": "command: [stay, one, two, three, four]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: len(self.asked("GET", "/log")) >= 2)
        for key, job in list(self.cluster.objects.items()):
            if key[0] == "jobs":
                self.cluster.end(job, 0, "Completed")
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        self.assertEqual(self.log().count("one two three four"), 1, self.log())

    def test_cancel_ends_the_pod_and_is_told_as_cancelled(self):
        self.pipeline({"s": "command: [stay, x]"})
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: any(self.cluster.logs.values()))
        code, output = self.command("cancel", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 7)
        self.assertEqual(self.status()["s"]["state"], "cancelled")
        self.assertEqual([key for key in self.cluster.objects if key[0] in ("jobs", "pods")], [])

    # What a person gets wrong.

    def test_a_working_folder_outside_the_volume_is_refused_with_what_to_do(self):
        self.pipeline({"s": "command: [say, x], outputs: {a: txt}"})
        os.makedirs(self.path("volume"))
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read().replace('host-path: "%s"' % self.folder, 'host-path: "%s"' % self.path("volume"))
        self.write("pipeline.yaml", text)
        output = self.run_to_end(5)
        self.assertIn("the cluster cannot see", output)

    def test_a_kubeconfig_that_is_missing_is_named(self):
        os.remove(self.path("kubeconfig"))
        output = self.one("[say, x]", "", 5)
        self.assertIn("there is no kubeconfig", output)


if __name__ == "__main__":
    unittest.main()
