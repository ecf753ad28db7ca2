"""Real kubectl, unchanged."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml

from archgov.sandbox import Sandbox
from tests.sandbox.api import ZONE, Api, budget, config_map, deployment, eventually, ready, widget

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")

Kubectl = Callable[..., str]


@pytest.fixture
def home(sandbox: Sandbox) -> Path:
    return sandbox.kubeconfig.parent


@pytest.fixture
def kubectl(sandbox: Sandbox, home: Path) -> Kubectl:
    """Runs kubectl in namespace shop of cluster eu; its output, or both outputs where it must fail with `code`."""

    def run(*arguments: str, code: int = 0, stdin: str = "") -> str:
        # HOME holds kubectl's caches, which outlive a port.
        environment = {"KUBECONFIG": str(sandbox.kubeconfig), "HOME": str(home), "PATH": os.environ["PATH"]}
        command = ["kubectl", "--context=eu", "--namespace=shop", *arguments]
        done = subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    return run


@pytest.fixture
def cart(api: Api) -> Iterator[None]:
    eventually(lambda: ready(api, "cart") == 3)
    yield
    api.patch("/apis/apps/v1/namespaces/shop/deployments/cart/scale", {"spec": {"replicas": 3}})


def test_get_prints_the_columns_people_know(kubectl: Kubectl, cart: None) -> None:
    rows = kubectl("get", "deployments,pods", "-l", "app=cart", "-o", "wide").splitlines()
    assert rows[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert rows[1].split()[:2] == ["deployment.apps/cart", "3/3"]
    assert rows[3].split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert [row.split()[1:3] for row in rows[4:]] == [["1/1", "Running"]] * 3
    nodes = kubectl("get", "nodes", "-L", ZONE).splitlines()
    assert nodes[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", "ZONE"]
    assert nodes[1].split()[1] == "Ready"


def test_scale_rollout_and_wait_see_the_pods_come(kubectl: Kubectl, cart: None) -> None:
    kubectl("scale", "deployment/cart", "--replicas=5")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/cart", "--timeout=20s")
    kubectl("wait", "deployment/cart", "--for=condition=Available", "--timeout=5s")
    kubectl("wait", "pods", "-l", "app=cart", "--for=condition=Ready", "--timeout=20s")
    kubectl("wait", "deployment/cart", "--for=jsonpath={.status.readyReplicas}=5", "--timeout=5s")
    events = kubectl("get", "events", "--field-selector", "involvedObject.name=cart")
    assert "ScalingReplicaSet" in events
    assert "Scaled up replica set" in kubectl("events", "--for", "deployment/cart")


def test_apply_diff_and_delete(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(yaml.safe_dump_all([deployment("web", 0), config_map("web", a="1")]))
    assert "deployment.apps/web created" in kubectl("apply", "-f", str(file))
    assert kubectl("apply", "-f", str(file)).count("unchanged") == 2
    file.write_text(yaml.safe_dump_all([deployment("web", 0), config_map("web", a="2")]))
    change = kubectl("diff", "-f", str(file), code=1)
    assert '-  a: "1"' in change
    assert '+  a: "2"' in change
    assert "configmap/web configured" in kubectl("apply", "-f", str(file))
    assert kubectl("diff", "-f", str(file)) == ""
    kubectl("delete", "-f", str(file), "--timeout=10s")
    assert "not found" in kubectl("get", "deployment", "web", code=1)


def test_a_three_way_apply_keeps_what_others_set(kubectl: Kubectl, api: Api) -> None:
    body = deployment("three", 0)
    text = yaml.safe_dump(body)
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("set", "env", "deployment/three", "A=1")
    kubectl("scale", "deployment/three", "--replicas=1")
    body["metadata"]["labels"]["tier"] = "gold"
    del body["spec"]["replicas"]
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body))
    after = api.get("/apis/apps/v1/namespaces/shop/deployments/three").body
    assert after["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    assert after["metadata"]["labels"]["tier"] == "gold"


def test_server_side_apply_names_who_owns_a_field(kubectl: Kubectl) -> None:
    text = yaml.safe_dump(deployment("ssa", 1))
    kubectl("apply", "--server-side", "-f", "-", stdin=text)
    kubectl("scale", "deployment/ssa", "--replicas=2")
    refused = kubectl("apply", "--server-side", "-f", "-", code=1, stdin=text)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in refused
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
    shown = kubectl("get", "deployment", "ssa", "--show-managed-fields", "-o", "yaml")
    assert "operation: Apply" in shown


def test_client_side_apply_can_move_to_server_side(kubectl: Kubectl) -> None:
    text = yaml.safe_dump(config_map("moved", a="1"))
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("apply", "--server-side", "-f", "-", stdin=text)
    assert "data" not in kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(config_map("moved")))


def test_strict_validation_names_the_unknown_field(kubectl: Kubectl) -> None:
    body = widget("typo", sise=2)
    text = kubectl("apply", "-f", "-", code=1, stdin=yaml.safe_dump(body))
    assert 'strict decoding error: unknown field "spec.sise"' in text
    invalid = kubectl("apply", "-f", "-", code=1, stdin=yaml.safe_dump(widget("bad", size=0, mode="Maybe")))
    assert 'The Widget "bad" is invalid:' in invalid
    assert "* spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in invalid
    assert '* spec.mode: Unsupported value: "Maybe": supported values: "On", "Off"' in invalid


def test_custom_resources_are_found_by_short_name_and_category(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(widget("one", size=5)))
    kubectl("wait", "crd/widgets.example.io", "--for=condition=Established", "--timeout=5s")
    rows = kubectl("get", "wd", "one", "-o", "wide").splitlines()
    assert rows[0].split() == ["NAME", "READY", "SIZE", "MODE", "AGE"]
    assert rows[1].split()[1:3] == ["5", "Off"]
    assert "one" in kubectl("get", "gadgets", "-A")
    assert "Size:" in kubectl("describe", "widget", "one")
    assert "How large the widget is." in kubectl("explain", "widget.spec.size")
    kubectl("patch", "wd", "one", "--type=merge", "-p", '{"spec":{"size":6}}')
    assert kubectl("get", "wd", "one", "-o", "jsonpath={.spec.size}") == "6"
    kubectl("patch", "wd", "one", "--subresource=status", "--type=merge", "-p", '{"status":{"ready":"True"}}')
    assert kubectl("get", "wd", "--field-selector", "status.ready=True", "-o", "name") == "widget.example.io/one\n"
    kubectl("delete", "wd", "one", "--timeout=10s")


def test_explain_teaches_the_built_in_kinds(kubectl: Kubectl) -> None:
    assert "Number of desired pods." in kubectl("explain", "deployment.spec.replicas")
    assert "FIELDS:" in kubectl("explain", "pod.spec.containers")


def test_describe_tells_the_story_of_a_pod_that_fits_nowhere(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment("huge", 1, cpu="64")))
    kubectl("wait", "pods", "-l", "app=huge", "--for=condition=PodScheduled=false", "--timeout=10s")
    text = kubectl("describe", "pods", "-l", "app=huge")
    assert "FailedScheduling" in text
    assert "6 Insufficient cpu" in text
    assert "Allocated resources:" in kubectl("describe", "node", "n0")
    kubectl("delete", "deployment", "huge", "--timeout=10s")


def test_a_drain_asks_the_budgets(kubectl: Kubectl, api: Api) -> None:
    kubectl(
        "apply",
        "-f",
        "-",
        stdin=yaml.safe_dump_all([deployment("drained", 6), budget("drained", "drained", minAvailable=5)]),
    )
    kubectl("rollout", "status", "deployment/drained", "--timeout=20s")
    kubectl("drain", "n1", "--ignore-daemonsets", "--pod-selector=app=drained", "--timeout=25s")
    assert "SchedulingDisabled" in kubectl("get", "node", "n1")
    kubectl("uncordon", "n1")
    assert "drained" in kubectl("get", "pdb")


def test_commands_that_speak_protobuf_are_understood(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "made")
    kubectl("create", "configmap", "settings", "--from-literal=a=1", "-n", "made")
    assert kubectl("get", "configmap", "settings", "-n", "made", "-o", "jsonpath={.data.a}") == "1"
    kubectl("create", "secret", "generic", "hidden", "--from-literal=p=x", "-n", "made")
    assert kubectl("get", "secret", "hidden", "-n", "made", "-o", "jsonpath={.data.p}") == "eA=="
    kubectl("create", "deployment", "quick", "--image=x:1", "--replicas=2", "--port=80", "-n", "made")
    kubectl("rollout", "status", "deployment/quick", "-n", "made", "--timeout=20s")
    kubectl("create", "pdb", "quick", "--selector=app=quick", "--max-unavailable=50%", "-n", "made")
    kubectl("create", "quota", "small", "--hard=pods=3,requests.cpu=1500m", "-n", "made")
    assert (
        kubectl("get", "quota", "small", "-n", "made", "-o", "jsonpath={.spec.hard}")
        == '{"pods":"3","requests.cpu":"1500m"}'
    )
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    kubectl("delete", "namespace", "made", "--timeout=20s")


def test_labels_annotations_and_json_patches(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(config_map("marked", a="1")))
    kubectl("label", "configmap", "marked", "tier=gold")
    kubectl("annotate", "configmap", "marked", "note=yes")
    kubectl("patch", "configmap", "marked", "--type=json", "-p", '[{"op":"replace","path":"/data/a","value":"2"}]')
    assert kubectl("get", "cm", "-l", "tier=gold", "-o", "jsonpath={.items[*].data.a}") == "2"
    kubectl("label", "configmap", "marked", "tier-")
    assert kubectl("get", "cm", "-l", "tier=gold", "-o", "name") == ""


def test_a_watch_prints_each_change(sandbox: Sandbox, home: Path, api: Api) -> None:
    environment = {"KUBECONFIG": str(sandbox.kubeconfig), "HOME": str(home), "PATH": os.environ["PATH"]}
    command = ["kubectl", "--context=eu", "-n", "shop", "get", "configmaps", "--watch-only", "--no-headers"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None

        opened = threading.Event()

        def nudge() -> None:
            # Nobody tells when the watch is open, so the change is made until it is seen.
            for i in count():
                api.apply("/api/v1/namespaces/shop/configmaps/nudge", config_map("nudge", at=str(i)))
                if opened.wait(0.2):
                    return

        thread = threading.Thread(target=nudge)
        thread.start()
        line = process.stdout.readline()
        opened.set()
        thread.join()
        process.terminate()
    assert line.split()[:2] == ["nudge", "1"]


def test_a_list_is_applied_item_by_item(kubectl: Kubectl) -> None:
    items = [config_map("one"), config_map("two")]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    assert kubectl("apply", "-f", "-", stdin=yaml.safe_dump(listed)).count("created") == 2


def test_a_kind_that_is_not_there_is_told_by_name(kubectl: Kubectl) -> None:
    misspelt = {**widget("x"), "kind": "Widgit"}
    assert 'no matches for kind "Widgit"' in kubectl("apply", "-f", "-", code=1, stdin=yaml.safe_dump(misspelt))
