#!/usr/bin/env python3
"""Judges deploy/kubernetes: Kubernetes' own schemas, the ServiceMonitor's fields, the restricted
Pod Security Standard, labels that find each other, and every port of the catalogs.

    manifests.py FOLDER PORTS_JSON    prints the ConfigMap's probes.toml
"""

import json
import pathlib
import subprocess
import sys
import tomllib

import jsonschema
import yaml

HERE = pathlib.Path(__file__).resolve().parent
folder, ports = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
files = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))}
complaints = []


def claim(true, sentence):
    if not true:
        complaints.append(sentence)


listed = [pathlib.Path(name).stem for name in files.pop("kustomization")["resources"]]
claim(sorted(listed) == sorted(files), f"kustomization.yaml lists {listed}")
monitor = files.pop("servicemonitor")
schema = json.loads((HERE / "servicemonitor.schema.json").read_text())
complaints += [f"servicemonitor: {e.json_path}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(monitor)]
builtin = [str(folder / f"{name}.yaml") for name in files]
validate = pathlib.Path(sys.executable).parent / "kubernetes-validate"
done = subprocess.run([validate, "-k", "1.34", "--strict", *builtin], capture_output=True, text=True)
claim(done.returncode == 0, f"kubernetes-validate: {done.stdout}{done.stderr}")
if not complaints:
    pod = files["deployment"]["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    container, context = spec["containers"][0], spec["containers"][0]["securityContext"]
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    claim(spec["securityContext"]["runAsNonRoot"] is True, "runAsNonRoot")
    claim(spec["securityContext"]["runAsUser"] != 0, "runAsUser")
    claim(spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile")
    claim(context["allowPrivilegeEscalation"] is False, "allowPrivilegeEscalation")
    claim(context["capabilities"] == {"drop": ["ALL"]}, "capabilities")
    claim(context["readOnlyRootFilesystem"] is True, "readOnlyRootFilesystem")
    claim(spec["automountServiceAccountToken"] is False, "automountServiceAccountToken")
    claim(not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), "host namespaces")
    claim({next(iter(set(v) - {"name"})) for v in spec["volumes"]} <= {"configMap", "emptyDir"}, "volumes")
    claim(container["livenessProbe"]["httpGet"]["path"] == "/-/healthy", "liveness asks /-/healthy")
    claim(container["readinessProbe"]["httpGet"]["path"] == "/-/ready", "readiness asks /-/ready")
    # They find each other.
    service, policy = files["service"], files["networkpolicy"]
    for name, selector in [
        ("deployment", files["deployment"]["spec"]["selector"]["matchLabels"]),
        ("service", service["spec"]["selector"]),
        ("networkpolicy", policy["spec"]["podSelector"]["matchLabels"]),
    ]:
        claim(selector.items() <= labels.items(), f"{name} does not select the pod")
    claim(monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items(), "the monitor does not select the service")
    claim(monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"], "the monitor's port")
    claim(service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"], "the service's port")
    claim(policy["spec"]["ingress"][0]["ports"][0]["port"] == container["ports"][0]["containerPort"], "the policy's port")
    claim(any(v.get("configMap", {}).get("name") == files["configmap"]["metadata"]["name"] for v in spec["volumes"]), "the configuration is not mounted")
    # What is kept is kept on the volume that can be written, and fits.
    history = tomllib.loads(files["configmap"]["data"]["probes.toml"]).get("history", {})
    places = {v["name"]: v for v in spec["volumes"] if "emptyDir" in v}
    mounts = [m["mountPath"] for m in container["volumeMounts"] if m["name"] in places and not m.get("readOnly")]
    claim(str(pathlib.PurePath(history.get("path", "")).parent) in mounts, f"history is not on a volume: {history}, {mounts}")
    allowed = {(p["port"], p["protocol"].lower()) for rule in policy["spec"]["egress"] for p in rule["ports"]}
    claim({(53, "udp"), (53, "tcp")} <= allowed, "the policy blocks DNS")
    missing = {(port, transport) for port, transport in ports} - allowed
    claim(not missing, f"the policy blocks ports of the catalog: {sorted(missing)}")
if complaints:
    sys.exit("\n".join(complaints))
print(files["configmap"]["data"]["probes.toml"])
