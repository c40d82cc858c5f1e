"""One session of an SSH connection: sshd runs this instead of what the client asked for, and this runs that.

It gives the program the environment that `doorward exec` gives, and ends a program without a terminal when its channel is
closed before it: sshd alone would leave it running until the connection ends, and a shared connection lives long.
"""

import json
import os
import select
import signal
import sys

KILL_MS = 1000
# What sshd sets by the user's entry in /etc/passwd; the machine's own values count.
FIXED = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "MAIL", "SHLVL", "PWD", "OLDPWD", "_", "SSH_ORIGINAL_COMMAND"}

with open(os.path.join(os.path.dirname(sys.argv[0]), "session.json"), encoding="utf-8") as file:
    given = json.load(file)


def environment():
    own = {name: value for name, value in given["environment"].items() if name not in ("SHLVL", "_", "PWD", "OLDPWD")}
    asked = {name: value for name, value in os.environ.items() if name not in FIXED}
    if asked.get("LC_CTYPE") == "C.UTF-8":
        del asked["LC_CTYPE"]  # Python's own: it sets this where it finds no locale.
    return {**own, **asked, "SHELL": own.get("SHELL") or os.environ.get("SHELL") or "/bin/sh"}


def program(env):
    """What to run, in which folder: a shell starts where the repos are, everything else at home as with any server."""
    command = os.environ.get("SSH_ORIGINAL_COMMAND")
    home = env.get("HOME", "/")
    if command is None:
        return [env["SHELL"], "-" + os.path.basename(env["SHELL"])], given["workdir"]
    if command == given["sftp"]:
        return [given["sftp"], given["sftp"]], home
    return [env["SHELL"], env["SHELL"], "-c", command], home


def run(argv, env):
    try:
        os.execve(argv[0], argv[1:], env)
    except OSError as error:
        os.write(2, f"sshd: cannot run {argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def watch(child, ended):
    """Waits for the program's end, and for its channel's."""
    channel = select.poll()
    channel.register(1, 0)
    channel.register(ended, select.POLLIN)
    closing = None
    while True:
        ready = dict(channel.poll(KILL_MS if closing else None))
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return status
        if ended in ready:
            os.read(ended, 512)
        if closing:
            group(child, signal.SIGKILL)
        elif ready.get(1, 0) & (select.POLLHUP | select.POLLERR):
            closing = True
            channel.unregister(1)
            group(child, signal.SIGHUP)
            group(child, signal.SIGTERM)
            group(child, signal.SIGCONT)


def end_by(number):
    """Ends as the program did, so that the client is told of the signal."""
    try:
        signal.signal(number, signal.SIG_DFL)
    except OSError:
        pass  # SIGKILL always is the default
    os.kill(os.getpid(), number)


def group(child, name):
    try:
        os.killpg(child, name)
    except OSError:
        pass


def main():
    env = environment()
    argv, folder = program(env)
    try:
        os.chdir(folder)
    except OSError:
        os.chdir("/")
    if os.isatty(0) or argv[0] == given["sftp"]:
        run(argv, env)
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        run(argv, env)
    try:
        os.setpgid(child, child)
    except OSError:
        pass
    os.close(0)
    status = watch(child, ended)
    if os.WIFSIGNALED(status):
        end_by(os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 255)


main()
