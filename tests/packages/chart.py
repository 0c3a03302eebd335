"""The chart, without a cluster: linted and rendered by Helm's own library, held to the schemas of Kubernetes, and its two roles run as the
manifests say, with a payment from one to the other.

    tests/packages/chart.py [PROGRAM]      by default target/debug/paystream

Needs redis-server and the packages of requirements.txt beside this file.
"""

import copy
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import helm_python
import kubernetes_validate
import yaml
from helm_python.chart import Chart, lint, values_from_yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "deploy/helm/paystream"
VERSIONS = ["1.30", "1.34", "1.37"]
SECRET_VALUES = {"stripe": "whsec_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x", "token-key": os.urandom(32).hex(), "admin": os.urandom(16).hex()}
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/paystream").resolve())


def of_page():
    """The values that the guide shows."""
    page = (ROOT / "docs/src/guides/kubernetes.md").read_text()
    return re.search(r"<!-- values of the chart -->\s*```yaml\n(.*?)```", page, re.S).group(1)


VALUES = {name: (CHART / f"ci/{name}-values.yaml").read_text() for name in ["least", "full"]} | {"page": of_page()}


def render(values):
    with Chart.load(CHART) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="shop", namespace="payments")
    texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def of_kind(documents, kind):
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def changed(values, path, value):
    values = copy.deepcopy(values)
    *above, last = path.split(".")
    place = values
    for name in above:
        place = place.setdefault(name, {})
    if value is None:
        place.pop(last)
    else:
        place[last] = value
    return values


def linted():
    for name, text in VALUES.items():
        report = lint(CHART, values_from_yaml(text), strict=True, kube_version="v1.30.0")
        bad = [message for message in report["messages"] if message["severity"] >= 2]
        assert not bad and not report["errors"], (name, bad, report["errors"])
    print("ok: Helm's linter has no warning")


def refused():
    least = values_from_yaml(VALUES["least"])
    render(least)
    for path, value in [
        ("redis.url", None),
        ("redis.url", ""),
        ("redis.url", "http://redis:6379"),
        ("redis.url", "redis://user:password@redis:6379"),
        ("redis.url", "redis://:password@redis:6379"),
        ("redis.durability", "sometimes"),
        ("stream.existingSecret", ""),
        ("stream.existingSecret", None),
        ("ingest.config", None),
        ("ingest.replicas", 0),
        ("stream.replica", 3),
        ("sourcess", {}),
        ("image.digest", "latest"),
        ("drainSeconds", "20s"),
        ("stream.autoscaling.streamsPerPod", 0),
        ("networkPolicy.clients", [{}]),
    ]:
        try:
            render(changed(least, path, value))
        except helm_python.HelmError:
            continue
        raise SystemExit(f"the schema accepts {path} = {value!r}")
    for path, value in [("stream.autoscaling", {"enabled": True, "minReplicas": 5, "maxReplicas": 2}), ("ingress", {"enabled": True})]:
        try:
            render(changed(least, path, value))
        except helm_python.HelmError:
            continue
        raise SystemExit(f"{path} = {value!r} is rendered")
    print("ok: values that make no sense are refused")


def valid(documents):
    for version in VERSIONS:
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)
    broken = copy.deepcopy(next(iter(of_kind(documents, "Deployment").values())))
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    try:
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)
    except kubernetes_validate.ValidationError:
        return
    raise SystemExit("the schemas notice nothing")


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


def consistent(documents):
    """What no schema knows: whether the objects fit each other, and what the pods may do."""
    deployments = of_kind(documents, "Deployment")
    assert sorted(deployments) == ["shop-paystream-ingest", "shop-paystream-stream"], sorted(deployments)
    for name, deployment in deployments.items():
        template = deployment["spec"]["template"]
        labels, pod = template["metadata"]["labels"], template["spec"]
        (container,) = pod["containers"]
        environment = {entry["name"]: entry["value"] for entry in container["env"]}
        fits = lambda selector: selector.items() <= labels.items()
        assert fits(deployment["spec"]["selector"]["matchLabels"])
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= pause + seconds(environment["PAYSTREAM__STREAM__DRAIN"]) + 5
        ready = container["readinessProbe"]["httpGet"]["path"]
        assert ready == ("/readyz" if name.endswith("stream") else "/readyz/ingest")
        for probe in ["livenessProbe", "startupProbe"]:
            assert container[probe]["httpGet"] == {"path": "/livez", "port": "admin"}
        # The Pod Security Standard "restricted".
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] in of_kind(documents, "ServiceAccount")
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        service = of_kind(documents, "Service")[name]["spec"]
        assert fits(service["selector"]) and service["ports"][0]["targetPort"] in ports
        assert fits(of_kind(documents, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"])
        policy = of_kind(documents, "NetworkPolicy")[name]["spec"]
        assert fits(policy["podSelector"]["matchLabels"])
        for rule in policy["ingress"]:
            assert all(port["port"] in ports for port in rule["ports"]), rule
        reached = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
        assert (443 in reached) == name.endswith("ingest"), "only who asks providers reaches them"
        mounted = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(mounted)
        assert mounted["config"]["configMap"]["name"] in of_kind(documents, "ConfigMap")
        for scaler in of_kind(documents, "HorizontalPodAutoscaler").values():
            assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
        assert ("replicas" in deployment["spec"]) != (name in of_kind(documents, "HorizontalPodAutoscaler"))
    for metric in [metric for scaler in of_kind(documents, "HorizontalPodAutoscaler").values() for metric in scaler["spec"]["metrics"]]:
        if metric["type"] == "Pods":
            assert f"`{metric['pods']['metric']['name']}`" in (ROOT / "docs/src/reference/metrics.md").read_text()


def apart(documents):
    """A pod that browsers reach has no secret of a provider."""
    secrets = {}
    for name, deployment in of_kind(documents, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        volume = next(volume for volume in pod["volumes"] if volume["name"] == "secrets")
        secrets[name] = volume["secret"]["secretName"]
        config = of_kind(documents, "ConfigMap")[name]["data"]["paystream.toml"]
        assert ("[[source]]" in config) == name.endswith("ingest"), name
        assert ("[[access.key]]" in config) == name.endswith("stream"), name
    assert len(set(secrets.values())) == 2, secrets


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Pod:
    """The container of a deployment as a process, with the files that its volumes would have."""

    def __init__(self, documents, name, folder, ports):
        deployment = of_kind(documents, "Deployment")[name]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        self.folder = folder / name
        (self.folder / "secrets").mkdir(parents=True)
        for key, value in SECRET_VALUES.items():
            (self.folder / "secrets" / key).write_text(value)
        (self.folder / "redis").mkdir()
        (self.folder / "redis/password").write_text("8f3b1c2d9a7e4650")
        here = lambda text: text.replace("/run/secrets/paystream", f"{self.folder}/secrets").replace("/run/secrets/redis", f"{self.folder}/redis")
        config = self.folder / "paystream.toml"
        config.write_text(here(of_kind(documents, "ConfigMap")[name]["data"]["paystream.toml"]))
        environment = {entry["name"]: here(entry["value"]) for entry in container["env"]}
        self.ports = {}
        for listener, port in [("PUBLIC", 8080), ("INGEST", 8081), ("ADMIN", 9090)]:
            key = f"PAYSTREAM__LISTEN__{listener}"
            if key in environment:
                assert environment[key] == f"0.0.0.0:{port}", "the ports of the container"
                self.ports[listener] = ports[name, listener] = free_port()
                environment[key] = f"127.0.0.1:{self.ports[listener]}"
        self.environment = {"PATH": os.environ["PATH"], "PAYSTREAM_CONFIG": str(config), **environment}
        self.run("check")
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen([PROGRAM, *container["args"]], env=self.environment, stdout=self.log, stderr=self.log)
        self.probe = container["readinessProbe"]["httpGet"]["path"]

    def run(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def is_ready(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return get(self.ports["ADMIN"], self.probe) == "ready\n"
        except OSError:
            return False


def get(port, path, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def until(what, holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def a_payment_through_both_roles():
    port, processes = free_port(), []
    values = changed(changed(values_from_yaml(VALUES["page"]), "redis.url", f"redis://127.0.0.1:{port}"), "redis.durability", "none")
    documents = render(values)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "8f3b1c2d9a7e4650", "--dir", str(folder)]
        try:
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            ports = {}
            until("Redis listens", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
            stream = Pod(documents, "shop-paystream-stream", folder, ports)
            processes.append(stream.process)
            ingest = Pod(documents, "shop-paystream-ingest", folder, ports)
            processes.append(ingest.process)
            until("both are ready", lambda: stream.is_ready() and ingest.is_ready())
            ingest.run("trigger", "--source", "stripe", "--payment", "pi_1", "--fast")
            token = stream.run("token", "--payment", "pi_1")
            snapshot = lambda: json.loads(get(stream.ports["PUBLIC"], "/v1/payments/pi_1", token))
            until("the payment is captured", lambda: snapshot()["status"] == "captured")
            assert "INGEST" not in stream.ports and "PUBLIC" not in ingest.ports
            for pod in [stream, ingest]:
                pod.process.terminate()
                assert pod.process.wait(30) == 0, (pod.folder / "log").read_text()
        finally:
            for process in processes:
                process.kill()
                process.wait()
    print("ok: a payment goes from the pods that take webhooks to those that stream")


linted()
refused()
for name, text in VALUES.items():
    documents = render(values_from_yaml(text))
    valid(documents)
    consistent(documents)
    apart(documents)
    print(f"ok: {len(documents)} objects of the values {name!r}, by the schemas of Kubernetes {', '.join(VERSIONS)}")
a_payment_through_both_roles()
