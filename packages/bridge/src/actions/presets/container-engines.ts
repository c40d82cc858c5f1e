import { integer, match, operands, read, refuse, switches, valued, write } from "./preset.ts";

/** What lists are narrowed by. */
export const FILTER = valued(
  "-f --filter",
  match("[a-z-]+=[A-Za-z0-9._:/@=-]{1,200}", "a filter of the form name=value"),
  {
    repeat: true,
  },
);

const LIMIT = valued("-n --last", integer(1, 1000));
/** The name of an image, with its tag or digest. */
export const IMAGE = match(
  "[a-z0-9][a-z0-9._-]{0,100}(?:[/:@][A-Za-z0-9._-]{1,100}){0,6}",
  "the name of an image",
);
const LIST = [...switches("-a --all", "-q --quiet"), FILTER];
/** Commands that Docker and Podman share. */
export const common = () => [
  read("version"),
  read("ps", { flags: [...LIST, ...switches("-l --latest", "-s --size"), LIMIT] }),
  read("container ls", {
    flags: [...LIST, ...switches("-l --latest", "-s --size"), LIMIT],
  }),
  read("images", { flags: [...LIST, ...switches("--digests")], ...operands(0, 1, IMAGE) }),
  read("image ls", { flags: [...LIST, ...switches("--digests")], ...operands(0, 1, IMAGE) }),
  read("network ls", { flags: [...switches("-q --quiet"), FILTER] }),
  read("volume ls", { flags: [...switches("-q --quiet"), FILTER] }),
  read("system df"),
  read("port", operands(1, 1)),
  read("container port", operands(1, 1)),
  read("diff", operands(1, 1)),
  read("container diff", operands(1, 1)),
  read("stats --no-stream", operands(0, 20)),
  ...["start", "stop", "restart"].flatMap((verb) => [
    write(verb, { flags: times(verb), ...operands(1, 10) }),
    write(`container ${verb}`, { flags: times(verb), ...operands(1, 10) }),
  ]),
];

function times(verb: string) {
  if (verb === "start") return [];
  return [valued("-t --time", integer(0, 300))];
}

/** Command lines that neither passes. */
export const refused = [
  ...refuse(
    "it runs a program in a container",
    "run alpine id",
    "exec web sh",
    "container run -v /:/h alpine",
    "container exec web sh",
  ),
  ...refuse(
    "it runs programs in containers",
    "compose exec web sh",
    "compose run web sh",
    "compose up -d",
    "create alpine",
    "container create alpine",
  ),
  ...refuse(
    "a container's settings hold its environment, with what is secret in it",
    "inspect web",
    "container inspect web",
    "image inspect alpine",
    "ps --format {{json}}",
    "ps --format {{.Command}}",
    "ps --no-trunc",
  ),
  ...refuse("programs log what they like, secrets too", "logs web", "container logs web"),
  ...refuse("arguments of processes hold secrets", "top web", "container top web"),
  ...refuse("build arguments stand in an image's history", "history alpine", "image history alpine"),
  ...refuse(
    "it copies files to and from the host",
    "cp web:/etc/passwd /tmp/x",
    "export web",
    "save alpine",
    "load",
    "commit web x",
  ),
  ...refuse("it builds, which runs what a Dockerfile says", "build .", "image build .", "buildx build ."),
  ...refuse("it prints or stores credentials", "login", "secret inspect x"),
  ...refuse(
    "it talks to another engine or reads another configuration",
    "-H tcp://198.51.100.7:2375 ps",
    "-Htcp://198.51.100.7:2375 ps",
    "--host=tcp://198.51.100.7 ps",
    "--config /tmp/x ps",
    "--context other ps",
  ),
  ...refuse(
    "only the declared forms of flags pass",
    "ps -aq",
    "ps --al",
    "ps --filter",
    "start -i web",
    "start --attach web",
    "stop -- web",
  ),
];

/** Command lines that pass with both. */
export const examples = [
  "version",
  "ps",
  "ps -a -q",
  "ps --filter status=running",
  "container ls --all",
  "images",
  "network ls",
  "volume ls -q",
  "stats --no-stream web",
  "stop -t 5 web",
  "container restart web db",
];
