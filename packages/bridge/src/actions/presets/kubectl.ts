import {
  integer,
  match,
  oneOf,
  operands,
  read,
  refuse,
  switches,
  usualPlaces,
  valued,
  WORD,
  write,
} from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** Kinds whose lists hold no secret values. Secrets and config maps are not among them. */
const LISTED =
  "pods pod po deployments deployment deploy statefulsets statefulset sts daemonsets daemonset ds replicasets replicaset rs jobs job cronjobs cronjob cj " +
  "services service svc ingresses ingress ing endpoints ep nodes node no namespaces namespace ns persistentvolumes persistentvolume pv persistentvolumeclaims " +
  "persistentvolumeclaim pvc storageclasses storageclass sc events event ev horizontalpodautoscalers hpa networkpolicies netpol poddisruptionbudgets pdb " +
  "serviceaccounts serviceaccount sa roles rolebindings clusterroles clusterrolebindings resourcequotas quota limitranges limits priorityclasses";

/** Kinds whose description shows no environment of containers. */
const DESCRIBED =
  "nodes node no services service svc namespaces namespace ns persistentvolumeclaims persistentvolumeclaim pvc persistentvolumes persistentvolume pv storageclasses sc ingresses ingress ing";

const WORKLOADS = "deployment deployments deploy statefulset statefulsets sts daemonset daemonsets ds";
const SELECTOR = match("[A-Za-z0-9][A-Za-z0-9._/=!, ()-]{0,300}", "a selector");
const PICKED = [valued("-l --selector", SELECTOR), valued("--field-selector", SELECTOR)];
const RESOURCE = match("[a-z]+(?:\\.[a-z0-9.-]+)?(?:\\.[A-Za-z]+)*", "a kind or a field of one");
/** The Kubernetes command line. */
export const KUBECTL: PresetSpec = {
  summary: "lists of what runs in a cluster, without values of the environment; rollout restart and scale",
  places: usualPlaces("kubectl"),
  scope: {
    interspersed: true,
    globalFlags: [
      valued("-n --namespace", WORD),
      valued("--request-timeout", match("[0-9]{1,4}s", "seconds, as 10s")),
    ],
    commands: [
      read("version", { flags: [...switches("--client"), valued("-o --output", oneOf("json yaml"))] }),
      read("cluster-info"),
      read("api-resources", {
        flags: [...switches("--no-headers"), valued("-o --output", oneOf("wide name"))],
      }),
      read("api-versions"),
      read("get", {
        flags: [
          ...switches("-A --all-namespaces", "--show-labels", "--no-headers", "--ignore-not-found"),
          ...PICKED,
          valued("-o --output", oneOf("wide name")),
        ],
        ...operands(1, 20, WORD, [oneOf(LISTED)]),
      }),
      read("describe", { flags: PICKED, ...operands(1, 5, WORD, [oneOf(DESCRIBED)]) }),
      read("explain", { flags: switches("--recursive"), ...operands(1, 1, RESOURCE) }),
      read("top nodes", { flags: PICKED, ...operands(0, 1) }),
      read("top pods", {
        flags: [...switches("-A --all-namespaces", "--containers"), ...PICKED],
        ...operands(0, 1),
      }),
      read("rollout status", {
        flags: [valued("--timeout", match("[0-9]{1,4}[sm]", "a time, as 60s"), { form: "joined" })],
        ...operands(2, 2, WORD, [oneOf(WORKLOADS)]),
      }),
      read("rollout history", operands(2, 2, WORD, [oneOf(WORKLOADS)])),
      read("auth can-i", operands(2, 2, WORD)),
      read("config current-context"),
      read("config get-contexts", { flags: [valued("-o --output", oneOf("name"))] }),
      write("rollout restart", operands(2, 2, WORD, [oneOf(WORKLOADS)])),
      write("scale", {
        flags: [valued("--replicas", integer(0, 1000), { form: "joined" })],
        ...operands(2, 2, WORD, [oneOf("deployment deploy statefulset sts")]),
      }),
    ],
    timeoutSeconds: 30,
  },
  configuration: [".kube"],
  examples: [
    "version --client",
    "get pods",
    "get pods -A -o wide",
    "-n web get pods -l app=shop",
    "get deploy shop --namespace web",
    "get nodes -o name",
    "describe node n1",
    "top pods -A",
    "rollout status deployment shop",
    "rollout restart deployment shop -n web",
    "scale --replicas=3 deployment shop",
    "config current-context",
  ],
  refused: [
    ...refuse(
      "secrets are printed in every spelling",
      "get secret",
      "get secrets",
      "get secret x -o yaml",
      "get secret/x",
      "get secrets/x",
      "get pods,secrets",
      "get secrets.v1.",
      "get all",
      "get pods secret/x",
      "describe secret x",
      "get Secret",
    ),
    ...refuse("config maps often hold credentials", "get configmap x", "get cm"),
    ...refuse(
      "whole objects show the environment of containers",
      "get pods -o yaml",
      "get pods -ojson",
      "get pods -o=json",
      "get pods -o jsonpath={.items}",
      "get pods -o go-template={{.}}",
      "get pods --output=custom-columns=A:.spec",
      "get pods --template={{.}}",
      "describe pod x",
      "describe deployment x",
      "rollout history deployment x --revision=2",
    ),
    ...refuse(
      "it reads what it is not given by name, or without the API's own checks",
      "get --raw /api/v1/secrets",
      "get -f /tmp/x.yaml",
      "get -k /tmp/x",
      "proxy",
      "port-forward pod/x 80",
    ),
    ...refuse(
      "it prints or makes credentials",
      "config view --raw",
      "config view",
      "create token x",
      "config get-users",
    ),
    ...refuse(
      "it runs code",
      "exec x -- sh",
      "run x --image=alpine",
      "debug node/n1",
      "attach x",
      "cp x:/etc/passwd /tmp/x",
      "diff -f x",
      "edit deployment x",
      "apply -f x",
      "plugin list",
      "krew install x",
      "kustomize /tmp/x",
    ),
    ...refuse("programs log what they like", "logs x", "cluster-info dump"),
    ...refuse(
      "it chooses another cluster, identity or configuration",
      "--kubeconfig /tmp/x get pods",
      "--kubeconfig=/tmp/x get pods",
      "--server https://198.51.100.7 get pods",
      "-s https://198.51.100.7 get pods",
      "--token x get pods",
      "--as admin get pods",
      "--context x get pods",
      "get pods --context=x",
      "get pods -v=9",
      "get pods --insecure-skip-tls-verify",
      "config use-context x",
    ),
    ...refuse("it removes", "delete pod x", "drain n1", "scale deployment --all --replicas=0"),
  ],
};
