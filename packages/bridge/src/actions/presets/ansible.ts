import { oneOf, operands, read, refuse, usualPlaces, valued } from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** The programs of Ansible. */
export const ANSIBLE: PresetSpec = {
  summary:
    "versions, documentation of modules, installed roles and collections; never an inventory or a playbook",
  places: usualPlaces(
    "ansible",
    "ansible-doc",
    "ansible-galaxy",
    "ansible-config",
    "ansible-playbook",
    "ansible-inventory",
  ),
  scope: {
    commands: [
      read("--version"),
      read("-l", {
        programs: ["ansible-doc"],
        flags: [valued("-t --type", oneOf("module callback filter test lookup connection strategy vars"))],
      }),
      read("--list", {
        programs: ["ansible-doc"],
        flags: [valued("-t --type", oneOf("module callback filter test lookup connection strategy vars"))],
      }),
      read("-s", { programs: ["ansible-doc"], ...operands(1, 1) }),
      read("-t module", { programs: ["ansible-doc"], ...operands(1, 3) }),
      read("collection list", { programs: ["ansible-galaxy"], ...operands(0, 1) }),
      read("role list", { programs: ["ansible-galaxy"] }),
      read("list", { programs: ["ansible-config"] }),
    ],
    environment: {
      set: {
        ANSIBLE_NOCOLOR: "1",
        ANSIBLE_PAGER: "cat",
        PAGER: "cat",
        ANSIBLE_LIBRARY: "/nonexistent",
      },
    },
    timeoutSeconds: 120,
  },
  configuration: [".ansible", ".ansible.cfg"],
  examples: [
    "ansible --version",
    "ansible-playbook --version",
    "ansible-doc -l",
    "ansible-doc --list -t callback",
    "ansible-doc -s ping",
    "ansible-galaxy collection list",
    "ansible-galaxy role list",
    "ansible-config list",
  ],
  refused: [
    ...refuse(
      "a playbook is code",
      "ansible-playbook x.yml",
      "ansible-playbook --check x.yml",
      "ansible-playbook --syntax-check x.yml",
      "ansible-playbook --list-tasks x.yml",
      "ansible-playbook -i /tmp/x x.yml",
    ),
    ...refuse(
      "a module is code",
      "ansible all -m shell -a id",
      "ansible localhost -m ping",
      "ansible all --list-hosts",
      "ansible -m command localhost",
    ),
    ...refuse(
      "an inventory may be a program, and holds credentials",
      "ansible-inventory --list",
      "ansible-inventory --graph",
      "ansible-inventory -i /tmp/x --list",
      "ansible-inventory --host x",
    ),
    ...refuse(
      "it prints settings, passwords too",
      "ansible-config dump",
      "ansible-config view",
      "ansible-config dump --only-changed",
    ),
    ...refuse(
      "it installs code",
      "ansible-galaxy install x",
      "ansible-galaxy collection install x",
      "ansible-galaxy role install x",
    ),
    ...refuse(
      "it loads plugins of a folder",
      "ansible-doc -M /tmp/x -l",
      "ansible-doc -l -M /tmp/x",
      "ansible-doc -l --playbook-dir /tmp/x",
      "ansible --version -i /tmp/x",
      "ansible-doc -l -t connection -e x",
    ),
    ...refuse(
      "a command belongs to its own program",
      "ansible collection list",
      "ansible-playbook -l",
      "ansible-galaxy list",
      "ansible -l",
    ),
    ...refuse(
      "only the declared forms of flags pass",
      "ansible --versio",
      "ansible-doc --lis",
      "ansible-doc -ltcallback",
      "ansible-doc",
    ),
  ],
};
