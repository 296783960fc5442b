#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The scheduler argo with `artifacts`: argo_artifacts_test.py PROGRAM [TEST...]

The store is moto's S3, behind a door that checks each request's signature. A scripted Argo Server carries artifacts between it and
its pods as Argo documents it: what a stage makes is what it takes, in capitals.
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import argo_api  # noqa: E402
import argo_schema  # noqa: E402
import argo_server  # noqa: E402
import person  # noqa: E402

ACCESS, SECRET, TOKEN = "AKIATEST", "canary/secret+key", "canary-7"


class Door(http.server.BaseHTTPRequestHandler):
    """Between the program and the store."""
    protocol_version = "HTTP/1.1"

    def signature(self):
        """By AWS's Signature Version 4, from the request as it came."""
        given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)",
                             self.headers["Authorization"] or "")
        if not given or given.group(1) != ACCESS:
            return False
        _, day, region, names, signature = given.groups()
        if {"host", "x-amz-date", "x-amz-content-sha256"} - set(names.split(";")):
            return False
        headers = "".join("%s:%s\n" % (name, " ".join(self.headers[name].split())) for name in names.split(";"))
        request = "\n".join((self.command, self.path, "", headers, names, self.headers["x-amz-content-sha256"]))
        scope = "%s/%s/s3/aws4_request" % (day, region)
        text = "\n".join(("AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()))
        key = ("AWS4" + SECRET).encode()
        for part in (day, region, "s3", "aws4_request", text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex() == signature

    def handle_any(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with server.lock:
            server.requests.append("%s %s" % (self.command, self.path))
            fault = server.faults.pop(0) if server.faults else None
        if self.command == "PUT" and hashlib.sha256(body).hexdigest() != self.headers["x-amz-content-sha256"]:
            status, data = 400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>"
        elif not self.signature():
            status, data = 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        elif fault:
            status, data = fault, b"<Error><Code>SlowDown</Code></Error>"
        else:
            status, data = server.store(self.command, self.path, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = handle_any

    def log_message(self, *_):
        pass


class Store(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, moto):
        super().__init__(("127.0.0.1", 0), Door)
        self.moto, self.lock, self.requests, self.faults = moto, threading.Lock(), [], []
        self.store("PUT", "/pail")
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def store(self, method, path, body=b""):
        connection = http.client.HTTPConnection(self.moto, timeout=60)
        connection.request(method, path, body, {"Authorization": "AWS4-HMAC-SHA256 Credential=X/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    @property
    def place(self):
        return "127.0.0.1:%d" % self.server_address[1]


class Carrying:
    """As Argo's executor does around a stage."""
    store = None

    def attempt(self, workflow, name, template, number):
        texts = []
        for artifact in template.get("inputs", {}).get("artifacts", []):
            status, data = self.store.store("GET", "/%s/%s" % (artifact["s3"]["bucket"], artifact["s3"]["key"]))
            if status != 200:
                self.show_node(workflow, name, "Error", templateName=template["name"], message="artifact %s failed to load: NoSuchKey" % artifact["name"])
                return False
            texts.append("%s=%s" % (os.path.basename(artifact["path"]), data.decode()))
        for artifact in template.get("outputs", {}).get("artifacts", []):
            if template["container"]["command"][0] != "forget":
                self.store.store("PUT", "/%s/%s" % (artifact["s3"]["bucket"], artifact["s3"]["key"]), " ".join(sorted(texts)).upper().encode())
        return super().attempt(workflow, name, template, number)


class ServerCluster(Carrying, argo_server.Cluster):
    pass


class Server(argo_server.Server):
    cluster_class = ServerCluster


class ApiCluster(Carrying, argo_api.Cluster):
    pass


class ApiServer(argo_api.Server):
    cluster_class = ApiCluster


class Stored(person.Person):
    """With a store, and whoever takes Workflows."""
    server_class, mode = Server, "server"

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="descpipe-artifacts-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run(["sh", os.path.join(tests, "registries", "moto.sh"), "install", cls.shared], check=False)
        if done.returncode == 77:
            print("moto cannot be had here", file=sys.stderr)
            sys.exit(77)
        assert done.returncode == 0
        process = subprocess.Popen([cls.shared + "/moto_server", "-H", "127.0.0.1", "-p", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, env={"PATH": os.environ["PATH"]})
        cls.moto = next(found.group(1) for found in (re.search(r"Running on http://(127\.0\.0\.1:\d+)", line) for line in process.stderr) if found)
        reader = threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True)
        reader.start()

        def stop():
            process.terminate()
            process.wait()
            reader.join()
            process.stderr.close()

        cls.addClassCleanup(stop)

    def setUp(self):
        urllib.request.urlopen(urllib.request.Request("http://%s/moto-api/reset" % self.moto, method="POST", data=b"")).close()
        self.store = Store(self.moto)
        self.addCleanup(self.store.server_close)
        self.addCleanup(self.store.shutdown)
        self.serve(self.server_class())
        self.cluster.store, self.cluster.token = self.store, TOKEN
        self.names = {"PIPELINE_HOST": "http://" + self.server.place, "PIPELINE_NS": "work", "PIPELINE_TOKEN": "Bearer " + TOKEN,
                      "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}

    def environment(self):
        return {**{key: value for key, value in super().environment().items() if not key.startswith("AWS_")}, **self.names}

    def pipeline(self, stages, options="", **inputs):
        for name, text in inputs.items():
            self.write(name + ".txt", text)
        self.pipeline_of('use: argo, mode: %s, artifacts: {bucket: pail, endpoint: "http://%s", secret: mine, folder: sky}%s' %
                         (self.mode, self.store.place, options), stages)
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("pipeline.yaml", text.replace("output: out}", "output: out, inputs: {%s}}" % ", ".join("%s: %s.txt" % (name, name) for name in inputs)))

    def read(self, name):
        with open(self.path("out", name), encoding="utf-8") as file:
            return file.read()

    def workflow(self):
        workflow, = [item for key, item in self.cluster.objects.items() if key[0] == "workflows"]
        return workflow


class Run(Stored):
    THREE = {"one": "inputs: {first: txt}, outputs: {x: txt}, command: [say, a]",
             "each": "inputs: {first: txt, x: txt}, outputs: {y: txt}, foreach: {n: [1, 2]}, command: [say, b]",
             "all": "inputs: {y: txt}, outputs: {z: txt}, command: [say, c]"}

    def test_files_go_through_the_store_and_come_back(self):
        self.pipeline(self.THREE, first="alpha")
        output = self.run_to_end()
        self.assertEqual(self.read("x.txt"), "FIRST.TXT=ALPHA")
        self.assertIn("FIRST.TXT=ALPHA", self.read("z.txt"))
        self.assertEqual(self.read("z.txt").count("X.TXT=FIRST.TXT=ALPHA"), 2)
        self.assertNotIn(SECRET, output)
        workflow = self.workflow()
        self.assertNotIn(ACCESS, json.dumps(workflow))
        template = next(one for one in workflow["spec"]["templates"] if one["name"] == "one")
        key = "sky/inputs/sha256/" + hashlib.sha256(b"alpha").hexdigest()
        store = {"endpoint": self.store.place, "bucket": "pail", "region": "us-east-1", "insecure": True,
                 "accessKeySecret": {"name": "mine", "key": "accesskey"}, "secretKeySecret": {"name": "mine", "key": "secretkey"}}
        self.assertEqual(template["inputs"], {"artifacts": [{"name": "input-0", "path": "/opt/input/first.txt", "s3": {**store, "key": key}}]})
        self.assertEqual(template["outputs"], {"artifacts": [{
            "name": "output-0", "path": "/opt/output/x.txt", "archive": {"none": {}},
            "s3": {**store, "key": "sky/runs/%s/one/x.txt" % workflow["metadata"]["name"]}}]})
        self.assertEqual([mount["mountPath"] for mount in template["container"]["volumeMounts"] if mount["mountPath"] in ("/opt/input", "/opt/output")],
                         ["/opt/output"])
        argo_schema.validator()(workflow)

    def test_an_input_is_sent_once_whoever_runs(self):
        self.pipeline(self.THREE, first="alpha")
        self.run_to_end()
        self.pipeline({"other": "inputs: {second: txt}, outputs: {w: txt}, command: [say, d]"}, second="alpha")
        self.run_to_end()
        self.assertEqual(len([line for line in self.store.requests if line.startswith("PUT ")]), 1)
        self.assertEqual(len([line for line in self.store.requests if line.startswith("HEAD ")]), 2)

    def test_a_store_that_is_slow_for_a_while_is_asked_again(self):
        self.store.faults = [503, 429, 500]
        self.pipeline({"one": self.THREE["one"]}, first="alpha")
        self.run_to_end()
        self.assertEqual(self.read("x.txt"), "FIRST.TXT=ALPHA")

    def test_what_the_store_lacks_or_refuses_is_said(self):
        self.pipeline({"one": self.THREE["one"].replace("say", "forget")}, first="alpha")
        output = self.run_to_end(5)
        self.assertEqual(self.verdict("one"), "OUTPUT_MISSING")
        self.assertIn("the store answered 404 NoSuchKey (bucket 'pail'", output)
        self.names["AWS_SECRET_ACCESS_KEY"] = "another"
        output = self.command("run", "pipeline.yaml", "--no-cache")[1]
        self.assertIn("403", output)
        self.assertIn("the access key is wrong or may not do this", output)
        del self.names["AWS_SECRET_ACCESS_KEY"]
        self.assertIn("AWS_ACCESS_KEY_ID", self.command("run", "pipeline.yaml", "--no-cache")[1])

    def test_a_run_that_is_gone_on_with_fetches_what_was_made_meanwhile(self):
        self.cluster.hold_pods = True
        self.pipeline({"one": self.THREE["one"]}, first="alpha")
        process = self.start("run", "pipeline.yaml")
        self.until(lambda: any(key[0] == "workflows" for key in list(self.cluster.objects)))
        self.assertTrue(self.kill(process))
        self.cluster.hold_pods = False
        code, output = self.command("resume", "pipeline.yaml")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.read("x.txt"), "FIRST.TXT=ALPHA")

    def test_what_is_no_store_is_refused(self):
        stages = {"one": self.THREE["one"]}
        for options, words in ((', volume: {host-path: "/tmp"}', "say both where files are"),):
            self.pipeline(stages, options, first="a")
            self.assertIn(words, self.command("run", "pipeline.yaml")[1])
        for part, words in (("{bucket: b, endpoint: 'https://h'}", "names no secret"), ("{bucket: b, endpoint: h, secret: s}", "is not https://HOST"),
                            ("{bucket: b, endpoint: 'https://h', secret: s, keys: k}", "has no 'keys'")):
            self.pipeline(stages, first="a")
            with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
                text = file.read()
            self.write("pipeline.yaml", re.sub(r"artifacts: \{[^}]*\}", "artifacts: " + part, text))
            self.assertIn(words, self.command("run", "pipeline.yaml")[1])


class KeysOfTheCluster(Stored):
    server_class, mode = ApiServer, "kubernetes"
    ONE = {"one": "inputs: {first: txt}, outputs: {x: txt}, config: {settings: s.yml}, command: [say, a]"}

    def setUp(self):
        super().setUp()
        self.names = {}
        self.write("kubeconfig", """apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://%s"}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: work}}]
current-context: x
""" % (self.server.place, TOKEN))

    def secret(self, **data):
        with self.cluster.lock:
            self.cluster.put("secrets", "mine", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "data": {
                key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}, "ADDED")

    def test_the_keys_are_those_of_the_secret_and_configuration_is_a_configmap_of_the_workflow(self):
        self.secret(accesskey=ACCESS, secretkey=SECRET)
        self.write("s.yml", "a: 1")
        self.pipeline(self.ONE, first="alpha")
        with open(self.path("pipeline.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("pipeline.yaml", text.replace("output: out,", "output: out, config: {one: {settings: s.yml}},"))
        output = self.run_to_end()
        self.assertEqual(self.read("x.txt"), "FIRST.TXT=ALPHA")
        workflow = self.workflow()
        argo_schema.validator()(workflow)
        (_, name), item = next((key, item) for key, item in self.cluster.objects.items() if key[0] == "configmaps")
        self.assertEqual([base64.b64decode(value) for value in item["binaryData"].values()], [b"a: 1"])
        self.assertEqual(item["metadata"]["ownerReferences"][0]["name"], workflow["metadata"]["name"])
        template = next(one for one in workflow["spec"]["templates"] if one["name"] == "one")
        self.assertEqual([volume["configMap"]["name"] for volume in template["volumes"] if "configMap" in volume], [name])
        for folder, _, names in os.walk(self.folder):  # the secret key is nowhere
            for each in names:
                with open(os.path.join(folder, each), "rb") as file:
                    self.assertNotIn(SECRET.encode(), file.read(), each)
        self.assertNotIn(SECRET, output)

    def test_a_secret_that_lacks_them_or_is_not_there_is_said(self):
        self.pipeline({"one": Run.THREE["one"]}, first="alpha")
        self.assertIn("in the Secret 'mine'", self.run_to_end(5))
        self.secret(user=ACCESS)
        self.assertIn("it has no accesskey and secretkey", self.run_to_end(5))
        self.assertEqual([key for key in self.cluster.objects if key[0] == "workflows"], [])


if __name__ == "__main__":
    unittest.main()
