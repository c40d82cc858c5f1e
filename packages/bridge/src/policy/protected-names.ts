/**
 * What is read-only at the root of every writable repository, because the host runs or trusts it without being asked:
 * on `cd`, on opening the folder, on `git status` and `git commit`. Left out on purpose is what a person starts
 * knowingly (Makefile, package scripts, tests) and what runs elsewhere (`.github/workflows`): agents work on those.
 */
export const PROTECTED_IN_REPO: readonly string[] = [
  // editors and their tasks, launch and settings files
  ".vscode",
  ".idea",
  ".fleet",
  ".zed",
  ".nvim.lua",
  ".nvimrc",
  ".exrc",
  ".vimrc",
  ".lvimrc",
  ".dir-locals.el",
  ".dir-locals-2.el",
  ".editorrc",
  // shells that load a folder's settings on cd
  ".envrc",
  ".direnv",
  ".mise.toml",
  "mise.toml",
  ".mise",
  ".autoenv",
  ".autoenv.zsh",
  // containers that editors start
  ".devcontainer",
  ".devcontainer.json",
  // hooks of git and their lists
  ".husky",
  ".githooks",
  ".pre-commit-config.yaml",
  "lefthook.yml",
  ".lefthook.yml",
  "lefthook-local.yml",
  // settings and tool servers of agents on the host
  ".mcp.json",
  ".claude/settings.json",
  ".claude/settings.local.json",
  ".cursor/mcp.json",
  ".codex/config.toml",
  ".gemini/settings.json",
];

/** What is read-only in every git folder: it decides which programs git runs, or where it looks for that. */
export const PROTECTED_IN_GIT: readonly string[] = [
  "hooks",
  "config",
  "config.worktree",
  "commondir",
  "gitdir",
];
