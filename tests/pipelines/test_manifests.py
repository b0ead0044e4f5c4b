"""Manifests are made from one description, and hold what their publishers' schemas ask for; a mistake is found."""

from __future__ import annotations

import importlib.metadata
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pathspec import GitIgnoreSpec
from ray.autoscaler._private.aws.config import _create_default_inbound_rules
from ray.autoscaler._private.util import fillout_defaults, validate_config
from typer.testing import CliRunner

from cluster.jobs import STOP_WAIT_S
from cluster.manifests.deployment import LONGEST_NAME, holds_secret, pieces
from cluster.manifests.image import dockerignore
from pipelines.cli import app
from pipelines.errors import UserError
from pipelines.jobs.packing import SECRET_NAME
from pipelines.manifests import HOUSE, deployment_of, write_manifests

SCHEMAS = HOUSE / "tests/cluster/manifests/schemas"
KUBERNETES = "1.34"
EVERYTHING = {
    "name": "lab",
    "image": "registry.example/lab/guerdon:0.1.0",
    "overrides": ["frames=1000000", "judge.kind=openai", "judge.url=http://judge:8000/v1", "judge.model=m"],
    "redis": "redis:6379",
    "cloud": "aws",
    "token_secret": "lab-token",
    "secret_env": ["OPENAI_API_KEY=judge/key"],
    "tolerate": ["lab.example/spot=yes"],
    "storage_class": "nfs",
    "deadline_s": 86400,
}
DESCRIPTIONS: list[dict[str, Any]] = [{}, EVERYTHING, {"cloud": "gcp", "pools": [{"name": "all", "max_replicas": 2}]}]


def schemas() -> dict[str, dict[str, Any]]:
    """Of custom resources, by kind."""
    found = {}
    for path in SCHEMAS.glob("*.json"):
        tree = json.loads(path.read_text())
        found |= {kind: {**schema, "$defs": tree["$defs"]} for kind, schema in tree["kinds"].items()}
    return found


def problems(tree: dict[str, Any]) -> list[str]:
    """What a resource's published schema has against it; pods inside of custom resources are looked at as pods."""
    schema = schemas().get(tree["kind"])
    if schema is None:
        try:
            kubernetes_validate.validate(tree, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{'/'.join(map(str, error.path))}: {error.message}"]
        return []
    found = [
        f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(tree)
    ]
    for template in templates(tree):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": template["spec"]}
        found += problems(pod)
    return found


def templates(tree: Any) -> list[dict[str, Any]]:
    """The pod templates anywhere inside a resource."""
    if isinstance(tree, list):
        return [template for item in tree for template in templates(item)]
    if not isinstance(tree, dict):
        return []
    own = [tree["template"]] if "containers" in tree.get("template", {}).get("spec", {}) else []
    return own + [template for value in tree.values() for template in templates(value)]


@pytest.fixture(params=DESCRIPTIONS, ids=["default", "everything", "small"])
def written(request, tmp_path) -> Path:
    write_manifests(request.param, tmp_path / "m")
    return tmp_path / "m"


def resources(written: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((written / "kubernetes").rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            tree = yaml.safe_load(path.read_text())
            found[tree["kind"]] = tree
    return found


@pytest.mark.slow
def test_every_resource_fits_its_published_schema(written):
    found = resources(written)
    assert set(found) == {
        *("Namespace", "PersistentVolumeClaim", "NetworkPolicy", "PodMonitor", "PrometheusRule"),
        *("RayCluster", "RayJob", "RayService"),
    }
    assert [p for tree in found.values() for p in problems(tree)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("RayJob", ("spec", "entrypont"), "typo"),
        ("RayJob", ("spec", "backoffLimit"), "three"),
        ("RayCluster", ("spec", "autoscalerOptions", "version"), "v3"),
        ("RayCluster", ("spec", "authOptions", "mode"), "open"),
        ("RayCluster", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "resources", "limits"), "4"),
        ("RayCluster", ("spec", "workerGroupSpecs", 0, "template", "spec", "tolerations", 0, "effekt"), "NoSchedule"),
        ("NetworkPolicy", ("spec", "ingress", 0, "form"), []),
        ("PersistentVolumeClaim", ("spec", "accessModes"), "ReadWriteMany"),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "porrt"), "metrics"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for"), "5 minutes"),
    ],
)
def test_a_planted_mistake_is_found(kind, path, value, tmp_path):
    write_manifests({}, tmp_path / "m")
    tree = node = resources(tmp_path / "m")[kind]
    assert problems(tree) == []
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    assert problems(tree)


@pytest.mark.slow
@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_launcher_files_fit_the_schema_that_ray_brings(cloud, written):
    tree = yaml.safe_load((written / f"launcher/{cloud}.yaml").read_text())
    schema = json.loads((Path(sys.modules["ray"].__file__).parent / "autoscaler/ray-schema.json").read_text())
    jsonschema.validate(tree, schema)
    validate_config(fillout_defaults(tree))
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        jsonschema.validate({**tree, "max_worker": 1}, schema)
    with pytest.raises(ValueError, match="head_node_type"):
        validate_config(fillout_defaults({**tree, "head_node_type": "nowhere"}))


def test_no_group_is_left_for_ray_to_open_to_the_world(tmp_path):
    """Ray gives a group that it makes a rule for SSH from everywhere, and makes one for nodes that name none."""
    write_manifests({"aws_security_group": "sg-0123456789abcdef0"}, tmp_path / "m")
    tree = yaml.safe_load((tmp_path / "m/launcher/aws.yaml").read_text())
    groups = [kind["node_config"]["SecurityGroupIds"] for kind in tree["available_node_types"].values()]
    assert groups == [["sg-0123456789abcdef0"]] * 3 and "security_group" not in tree["provider"]
    assert _create_default_inbound_rules(set(), [])[-1]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}], "leave it to Ray then"


@pytest.mark.slow
def test_image_python_and_ray_are_those_of_the_constraints(written):
    constraints = (HOUSE / "constraints.txt").read_text()
    ray = re.search(r"^ray==(.+)$", constraints, re.M)[1]
    assert ray == importlib.metadata.version("ray")
    found = resources(written)
    assert found["RayCluster"]["spec"]["rayVersion"] == ray
    assert found["RayJob"]["spec"]["rayClusterSpec"] == found["RayCluster"]["spec"]
    images = {c["image"] for tree in found.values() for t in templates(tree) for c in t["spec"]["containers"]}
    assert len(images) == 1
    dockerfile = (written / "Dockerfile").read_text()
    tested = re.search(r"Python (3\.\d+)", constraints)[1]
    assert re.findall(r"^FROM python:(\S+?)-slim", dockerfile, re.M) == [tested, tested]
    with pytest.raises(UserError, match=r"constraints\.txt, which has"):
        deployment_of({"ray_version": "2.50.0"})


@pytest.mark.slow
def test_nobody_is_root_and_no_secret_is_inside(written):
    for tree in resources(written).values():
        for template in templates(tree):
            for container in template["spec"]["containers"]:
                security = container["securityContext"]
                assert security["runAsNonRoot"] and security["runAsUser"] >= 1000
                assert not security["allowPrivilegeEscalation"]
                for variable in container["env"]:
                    secret = re.search("KEY|TOKEN|SECRET|PASS", variable["name"])
                    assert not (secret and "value" in variable), variable["name"]
    dockerfile = (written / "Dockerfile").read_text()
    assert re.findall(r"^USER (\d+):", dockerfile, re.M) == ["10001"]
    assert not re.search(r"^(ADD|ARG|ENV) .*(TOKEN|KEY|SECRET|PASS|INDEX)", dockerfile, re.M)
    assert dockerfile.index("constraints.txt") < dockerfile.index("COPY . .")


@pytest.mark.parametrize(
    "name",
    [".env.local", ".envrc", "prod.env", "server.key", "id_rsa", "id_ed25519", ".netrc", ".pypirc", ".npmrc", "a.p12",
     "credentials", "my_secrets.yaml", "secret.json", "auth_token", "kubeconfig", "gcp-service-account-1.json"],
)  # fmt: skip
def test_a_key_in_the_checkout_does_not_go_into_the_image(name):
    left_out = GitIgnoreSpec.from_lines(dockerignore().splitlines())
    assert SECRET_NAME.fullmatch(name), "what a job refuses"
    assert left_out.match_file(name) and left_out.match_file(f"lab/deep/{name}")
    assert left_out.match_file(".ssh/config") and left_out.match_file("mlflow.db")


def test_all_code_goes_into_the_image():
    left_out = GitIgnoreSpec.from_lines(dockerignore().splitlines())
    rooms = ("actors", "cluster", "envs", "learners", "pipelines", "rewards")
    files = [path.relative_to(HOUSE) for room in rooms for path in (HOUSE / room).rglob("*.*") if path.suffix != ".pyc"]
    assert len(files) > 100 and [str(file) for file in files if left_out.match_file(file)] == []


@pytest.mark.slow
def test_what_the_dockerfile_installs_is_what_pyproject_asks_for(tmp_path):
    write_manifests({}, tmp_path / "m")
    command = re.search(r'python -c "(.+?)" >', (tmp_path / "m/Dockerfile").read_text())[1]
    command = command.replace("tomllib", "tomllib" if sys.version_info >= (3, 11) else "tomli")
    done = subprocess.run([sys.executable, "-c", command], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert any(line.startswith("ray[") for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) > 20


@pytest.mark.slow
def test_a_job_that_is_submitted_again_goes_on_from_its_newest_checkpoint(written, tmp_path):
    job = resources(written)["RayJob"]["spec"]
    assert job["backoffLimit"] == 3
    assert all(
        {"name": "runs", "mountPath": "/runs"} in t["spec"]["containers"][0]["volumeMounts"] for t in templates(job)
    )
    name = yaml.safe_load((written / "deployment.yaml").read_text())["name"]
    words = shlex.split(job["entrypoint"])
    assert words[:3] == ["guerdon", "train", "minihack"] and words[-3:-1] == [f"run={name}", "runs=/runs"]
    submitted = shlex.split((written / "launcher/submit.sh").read_text().splitlines()[1])
    assert submitted[:3] == ["exec", "env", "RAY_AUTH_MODE=token"]
    assert submitted[submitted.index("--") + 1 :] == words
    # `ray job submit` quotes as Windows does; what the cluster's shell makes of that must be the same.
    assert shlex.split(subprocess.list2cmdline(words)) == words
    own = [word for word in words[2:] if not word.startswith(("runs=", "ray.address="))]
    place = [f"runs={tmp_path / 'runs'}", "--dry-run"]
    assert CliRunner().invoke(app, ["train", *own, *place]).exit_code == 0


@pytest.mark.slow
def test_the_longest_name_is_one_that_the_operator_takes(tmp_path):
    """KubeRay 1.7 appends six characters to the names of jobs and services, and ends clusters' names at 53."""
    write_manifests({"name": "a" * LONGEST_NAME}, tmp_path / "m")
    found = resources(tmp_path / "m")
    assert {kind: len(found[kind]["metadata"]["name"]) <= 47 for kind in ("RayJob", "RayService")} == {
        "RayJob": True,
        "RayService": True,
    }
    assert len(found["RayCluster"]["metadata"]["name"]) <= 53


@pytest.mark.slow
def test_no_port_outside_is_no_rule_rather_than_one_for_all_ports(tmp_path):
    write_manifests({"egress_ports": []}, tmp_path / "m")
    egress = resources(tmp_path / "m")["NetworkPolicy"]["spec"]["egress"]
    assert len(egress) == 2 and all(rule.get("to") or rule.get("ports") for rule in egress)


def reaches(policy, port, namespace, pod):
    """Whether a pod with these labels, in a namespace, may come in at a port: by the words of NetworkPolicy."""

    def fits(peer):
        spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector", {})
        own = policy["metadata"]["namespace"]
        here = namespace == own if spaces is None else named({"kubernetes.io/metadata.name": namespace}, spaces)
        return here and named(pod, pods)

    def named(labels, selector):
        return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())

    rules = [r for r in policy["spec"]["ingress"] if "ports" not in r or port in [one["port"] for one in r["ports"]]]
    return any(fits(peer) for rule in rules for peer in rule["from"])


@pytest.mark.slow
def test_whoever_has_to_comes_in_and_nobody_else(tmp_path):
    write_manifests({"name": "lab", "namespace": "ours", "callers": ["trainers"]}, tmp_path / "m")
    found = resources(tmp_path / "m")
    policy = found["NetworkPolicy"]
    own = found["RayJob"]["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"]["labels"]
    assert named_own(policy, own)
    operator = {"app.kubernetes.io/component": "kuberay-operator"}
    submitter = {"batch.kubernetes.io/job-name": found["RayJob"]["metadata"]["name"]}
    for port in (6379, 8265, 8000, 8080, 10001):
        assert reaches(policy, port, "ours", own)
        assert reaches(policy, port, "kuberay", operator) == (port in (8265, 8000))
        assert reaches(policy, port, "ours", submitter) == (port in (8265, 8000))
        assert reaches(policy, port, "ours", {"app": "trainer"}) == (port == 8000)
        assert reaches(policy, port, "trainers", {"app": "trainer"}) == (port == 8000)
        assert reaches(policy, port, "monitoring", {"app": "prometheus"}) == (port == 8080)
        assert not reaches(policy, port, "elsewhere", {"app": "trainer"})


def named_own(policy, labels):
    return policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.slow
def test_the_served_reward_has_its_token_from_a_secret_and_training_has_not(tmp_path):
    write_manifests({"name": "lab"}, tmp_path / "m")
    found = resources(tmp_path / "m")

    def tokens(kind):
        variables = [v for t in templates(found[kind]) for v in t["spec"]["containers"][0]["env"]]
        return [v["valueFrom"]["secretKeyRef"] for v in variables if v["name"] == "GUERDON_REWARD_TOKEN"]

    served = tokens("RayService")
    assert served and all(one == {"name": "lab-reward-token", "key": "token"} for one in served)
    assert tokens("RayJob") == []
    assert "NAME-reward-token" in (HOUSE / "docs/operations.md").read_text()


def test_a_number_of_tokens_is_no_secret(tmp_path):
    assert not holds_secret("rates.tokens_per_minute=1000") and not holds_secret("judge.api_key_env=MINE")
    assert not holds_secret("sampling.max_tokens=64") and holds_secret("judge.api_key=x")
    assert deployment_of({"overrides": ["rates.tokens_per_minute=1000"]}).overrides


@pytest.mark.slow
def test_spot_pools_tolerate_their_taints_and_leave_in_time(tmp_path):
    write_manifests(EVERYTHING, tmp_path / "m")
    groups = resources(tmp_path / "m")["RayCluster"]["spec"]["workerGroupSpecs"]
    spot, steady = (group["template"]["spec"] for group in groups)
    assert {"key": "lab.example/spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule"} in spot[
        "tolerations"
    ]
    assert spot["nodeSelector"] == {"karpenter.sh/capacity-type": "spot"}
    assert "nodeSelector" not in steady and [t["key"] for t in steady["tolerations"]] == ["nvidia.com/gpu"]
    command = spot["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][2]
    grace_s = int(re.search(r"--deadline-remaining-seconds (\d+)", command)[1])
    assert grace_s < spot["terminationGracePeriodSeconds"]


@pytest.mark.slow
def test_a_run_that_is_told_to_stop_has_time_to_save(tmp_path):
    write_manifests(EVERYTHING, tmp_path / "m")
    found = resources(tmp_path / "m")
    for template in templates(found["RayJob"]):
        (container,) = template["spec"]["containers"]
        assert {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": str(STOP_WAIT_S)} in container["env"]
        assert "ray drain-node" in container["lifecycle"]["preStop"]["exec"]["command"][2], "the head, too"
        assert template["spec"]["terminationGracePeriodSeconds"] == 30
    for cloud in ("aws", "gcp"):
        started = yaml.safe_load((tmp_path / f"m/launcher/{cloud}.yaml").read_text())["head_start_ray_commands"][1]
        assert f"RAY_JOB_STOP_WAIT_TIME_S={STOP_WAIT_S} ray start" in started


@pytest.mark.slow
def test_the_autoscaler_will_find_the_session_of_the_head(written):
    """KubeRay mounts a volume of this name at /tmp/ray of the autoscaler, and makes one where the pod has none."""
    spec = resources(written)["RayCluster"]["spec"]["headGroupSpec"]["template"]["spec"]
    mounted = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert mounted["/tmp/ray"] == "ray-logs" and {"name": "ray-logs", "emptyDir": {}} in spec["volumes"]


@pytest.mark.slow
def test_the_head_keeps_its_state_in_redis_where_there_is_one(tmp_path):
    write_manifests(EVERYTHING, tmp_path / "m")
    found = resources(tmp_path / "m")
    assert found["RayCluster"]["spec"]["gcsFaultToleranceOptions"]["redisAddress"] == "redis://redis:6379"
    assert {"ports": [{"port": 6379, "protocol": "TCP"}]} in found["NetworkPolicy"]["spec"]["egress"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("use", ["job", "cluster", "service"])
def test_kustomize_builds_each_use(use, written):
    done = subprocess.run(
        ["kubectl", "kustomize", str(written / "kubernetes" / use)], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    kinds = sorted(tree["kind"] for tree in yaml.safe_load_all(done.stdout))
    assert len(kinds) == 7 and "ConfigMap" in kinds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "Lab_1"}, "lower-case letters"),
        ({"name": "x" * 60}, "at most 39"),
        ({"image": "guerdon:latest"}, "expected a version"),
        ({"image": "guerdon"}, "expected a version"),
        ({"head_memory": "16 GB"}, "quantity of Kubernetes"),
        ({"head_cpu": "0"}, "quantity of Kubernetes"),
        ({"imgae": "x"}, "imgae"),
        ({"pools": [{"name": "a", "min_replicas": 9, "max_replicas": 2}]}, "above max_replicas"),
        ({"pools": [{"name": "a"}, {"name": "a"}]}, "a name of its own"),
        ({"pools": []}, "the head runs no work"),
        ({"recipe": "minihak"}, "did you mean minihack"),
        ({"overrides": ["framse=5"]}, "framse"),
        ({"overrides": ["frames=5; curl evil"]}, "part of a command"),
        ({"overrides": ["ray.address=10.0.0.1:6379"]}, "leave it out"),
        ({"overrides": ["judge.api_key=sk-1"]}, "looks like a secret"),
        ({"overrides": ["tracking.uri=http://me:pass@mlflow"]}, "looks like a secret"),
        ({"secret_env": ["OPENAI_API_KEY=sk-1"]}, "secret_env"),
        ({"redis": "redis"}, "redis"),
        ({"cloud": "gcp", "drain_grace_s": 60}, "at most 25"),
        ({"cloud": "aws", "drain_grace_s": 300}, "at most 110"),
        ({"pools": [{"name": "head"}]}, "another name"),
        ({"pools": [{"name": "headgroup"}]}, "another name"),
        ({"head_memory": "16000000K"}, "quantity of Kubernetes"),
    ],
)
def test_a_description_that_cannot_be_is_refused_before_anything_is_written(values, message, tmp_path):
    with pytest.raises(UserError, match=message):
        write_manifests(values, tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not written by this command"):
        write_manifests({}, tmp_path)
    write_manifests({}, tmp_path / "m")
    write_manifests({"name": "again"}, tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir() if path.name != "m"] == ["notes.txt"]


@pytest.mark.slow
def test_what_was_written_is_a_description_that_gives_the_same(tmp_path):
    write_manifests(EVERYTHING, tmp_path / "a")
    write_manifests(yaml.safe_load((tmp_path / "a/deployment.yaml").read_text()), tmp_path / "b")
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert all((tmp_path / "a" / f).read_text() == (tmp_path / "b" / f).read_text() for f in files)


def test_quantities_are_numbers():
    assert pieces("500m") == 0.5 and pieces("4") == 4 and pieces("1.5") == 1.5
    assert pieces("16Gi") == 16 * 2**30 and math.isclose(pieces("2G"), 2e9) and pieces("3k") == 3000


@pytest.mark.slow
def test_what_an_older_description_left_is_deleted_and_nothing_else(tmp_path):
    place = tmp_path / "m"
    write_manifests({}, place)
    (place / "kubernetes/base/notes.md").write_text("mine")
    (tmp_path / "outside.yaml").write_text("x")
    old = ["kubernetes/base/old.yaml", "../outside.yaml", "kubernetes/base/link.yaml"]
    (place / old[0]).write_text("kind: Old")
    (place / old[2]).symlink_to(tmp_path / "outside.yaml")
    listing = place / ".guerdon-files"
    listing.write_text(listing.read_text() + "\n".join(old) + "\n")
    write_manifests({"name": "other"}, place)
    assert not (place / old[0]).exists() and (place / "kubernetes/base/notes.md").exists()
    assert (tmp_path / "outside.yaml").exists() and (place / old[2]).is_symlink()
    assert "old.yaml" not in listing.read_text() and (place / "deployment.yaml").is_file()
