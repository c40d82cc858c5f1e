"""One SSH connection of a machine: a real sshd on stdin and stdout, and the end of everything that it started.

Runs in the machine as its user. `request` has the keys that the client's side made. Nothing here protects the host: who may
connect is decided by the bridge, before this program starts.
"""

import ctypes
import json
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ASK_SECONDS = 0.4
"""Time to end by themselves, for what is left of a connection."""
KILL_SECONDS = 1.2
SSHD = "/usr/sbin/sshd"
SFTP = "/usr/lib/openssh/sftp-server"

CONFIG = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
UseDNS no
LogLevel ERROR
LoginGraceTime 30
MaxSessions 256
PrintMotd no
PrintLastLog no
X11Forwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
AllowTcpForwarding local
PermitOpen localhost:* 127.0.0.1:* [::1]:*
PermitTunnel no
PermitUserEnvironment no
PermitUserRC no
AcceptEnv *
SetEnv SHLVL=8
Subsystem sftp {sftp}
ForceCommand exec {python} -IS {folder}/session.py
"""


def main():
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise SystemExit("sshd: cannot watch over the connection's processes")
    for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(name, stop)
    folder = private_folder()
    code = 1
    try:
        prepare(folder)
        code = serve(folder, libc)
    except Stopped:
        pass
    finally:
        for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(name, signal.SIG_IGN)
        end_all()
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    sys.stdout = None
    os._exit(code)


class Stopped(Exception):
    pass


def stop(_number, _frame):
    raise Stopped


def private_folder():
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    folder = os.path.join(parent, "doorward-ssh-" + os.urandom(12).hex())
    os.mkdir(folder, 0o700)
    return folder


def prepare(folder):
    environment = dict(os.environ)
    files = {
        "host_key": request["hostKey"],
        "authorized_keys": "restrict,port-forwarding,pty " + request["authorizedKey"] + "\n",
        "session.json": json.dumps({"environment": environment, "workdir": os.getcwd(), "sftp": SFTP}),
        "session.py": request["session"],
        "config": CONFIG.format(folder=folder, sftp=SFTP, python=sys.executable or "/usr/bin/python3"),
    }
    for name, text in files.items():
        file = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as opened:
            opened.write(text)


def serve(folder, libc):
    """Runs sshd to its end, and takes in what its sessions leave behind."""
    sshd = os.fork()
    if sshd == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(name, signal.SIG_DFL)
        try:
            os.execv(SSHD, [SSHD, "-i", "-e", "-f", os.path.join(folder, "config")])
        except OSError as error:
            os.write(2, f"sshd: cannot run {SSHD}: {error.strerror}\n".encode())
            os._exit(127)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    while True:
        pid, status = os.wait()
        if pid == sshd:
            return os.waitstatus_to_exitcode(status) & 255


def end_all():
    """Orphans become children of this process, so going on until it has none leaves nothing behind."""
    began = time.monotonic()
    for pid in descendants():
        send(pid, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT)
    while has_children() and time.monotonic() - began < ASK_SECONDS:
        time.sleep(0.01)
    while has_children() and time.monotonic() - began < ASK_SECONDS + KILL_SECONDS:
        for pid in descendants():
            send(pid, signal.SIGKILL)
        time.sleep(0.002)


def has_children():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
        return True
    except ChildProcessError:
        return False


def descendants():
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    found = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found - {os.getpid()}


def send(pid, *names):
    for name in names:
        try:
            os.kill(pid, name)
        except OSError:
            return


main()
