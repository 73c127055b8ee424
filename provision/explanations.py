"""What the exit codes and error kinds mean to an operator: why they occur, what to do, and an example. ``provision
explain`` prints these texts, and the reference page is made from them."""

from __future__ import annotations

from msgspec import Struct

from provision.errors import EXIT_CODES
from provision.model import FAILURES


class Explanation(Struct, frozen=True):
    """``why`` and ``todo`` are sentences; ``example`` has commands of a shell, one on each line."""

    meaning: str
    why: str
    todo: str
    example: str


def _kind(name: str, why: str, todo: str, example: str) -> tuple[str, Explanation]:
    return name, Explanation(FAILURES[name], why, todo, example)


def _code(number: int, why: str, todo: str, example: str) -> tuple[int, Explanation]:
    return number, Explanation(EXIT_CODES[number], why, todo, example)


#: By ``error.kind``, in the order of :data:`FAILURES`.
KINDS = dict(
    (
        _kind(
            "unreachable",
            "No TCP connection to the host's address and port was made, or no ssh server finished a login there within "
            "--connect-timeout. The host is "
            "off, a firewall drops the packets, the address or port in the inventory is wrong, or its name does not "
            "resolve.",
            "Check the address that provision uses, then connect with ssh itself. Raise --connect-timeout for a slow "
            "network.",
            "provision inventory --host web1\nssh -v web1 true",
        ),
        _kind(
            "host_key",
            "known_hosts has no key for this host, or another key than the host presented. A changed key means that "
            "the host was reinstalled, that the address belongs to another host now, or that an attacker intercepts "
            "the connection. Nothing was sent to the host.",
            "Unknown key: compare its fingerprint with the one on the host's console, then store it with --accept-new. "
            "Changed key: find out why it changed first. Only then remove the old key from known_hosts.",
            "ssh-keygen -F web1\nssh-keygen -R web1\nprovision plan --limit web1 --accept-new",
        ),
        _kind(
            "auth",
            "The host accepted no key, no agent's key and no password of this login. The user name is wrong, the "
            "public key is not in the host's authorized_keys, the key file has a passphrase and is in no agent, or "
            "sshd forbids this user.",
            "Read in the message which methods were tried. Check user and key, and that the agent has the key. "
            "--ask-pass asks for a password.",
            "ssh-add -l\nprovision doctor --controller\nprovision plan --limit web1 --user root --ask-pass",
        ),
        _kind(
            "become",
            "provision needs root, and the login is another user. sudo (su, doas) is not installed, asked for a "
            "password that provision does not have, refused the password, or does not permit this user to run a shell.",
            "Declare ansible_become_password as a secret, use --ask-become-pass, or permit the user to run commands as "
            "root without a password (sudoers: NOPASSWD).",
            "ssh web1 sudo -n true\nprovision plan --limit web1 --become --ask-become-pass",
        ),
        _kind(
            "timeout",
            "The host did not finish within its time: --deadline for the whole host, --look-within for reading its "
            "state, two times --connect-timeout for the start of the shell after a login by provision_transport: "
            "openssh. The host is overloaded, frozen or downloads slowly.",
            "Check the load of the host and its disks. Raise the limit that the message names. Where a change was "
            "under way, the host finishes it or rolls it back itself.",
            "provision runs --on-hosts --limit web1\nprovision apply --limit web1 --deadline 3600",
        ),
        _kind(
            "disconnected",
            "The connection ended while the host was answering: the network failed, sshd was stopped, the host "
            "restarted, or a program of the host closed the connection.",
            "Run the command again. If it happens again at the same step, look at the host's journal and at the "
            "network between (idle timeouts, MTU).",
            "provision runs --on-hosts --limit web1\nprovision apply --limit web1",
        ),
        _kind(
            "protocol",
            "The output of the login does not come from provision's script, or it is longer than the limit. The login "
            "shell is no POSIX shell, its start files print text or exit, or a forced command replaces provision's.",
            "Log in without a terminal and see what is printed. Start files of the shell (.bashrc, .profile) must be "
            "silent for logins without a terminal. Give the account a POSIX shell.",
            "ssh -T web1 true",
        ),
        _kind(
            "unsupported",
            "No row of provision's table of distributions fits the host's /etc/os-release.",
            "If the distribution is derived from a supported one, add a row in a distributions.yml next to the "
            "playbook. Otherwise exclude the host.",
            "ssh web1 cat /etc/os-release\nprovision plan --limit 'all:!web1'",
        ),
        _kind(
            "look",
            "A command that reads the state of the host failed. A failed look is an error, because its result could be "
            "mistaken for an absent resource. Nothing was changed.",
            "The message names the stage, and the lines below it are what the program printed. Repair that on the host "
            "(a broken package database, a full disk, a docker daemon that does not answer).",
            "provision plan --limit web1 --verbose",
        ),
        _kind(
            "step",
            "A command of the change failed on the host. The following steps were not begun. Where something was "
            "changed already, the host rolled it back (status rolled_back), or the message says what was left.",
            "Read what the program printed: the cause is often outside of provision (no network to the mirror, a full "
            "disk, a wrong version). Repair it and apply again.",
            "provision runs show last\nprovision apply --limit-failed last",
        ),
        _kind(
            "locked",
            "Another run, of this controller or another one, holds the host's lock. Two runs must not change one host "
            "at the same time.",
            "Wait until the other run has ended: the message names its owner. A lock whose process has ended is taken "
            "over without an operator.",
            "provision runs --on-hosts --limit web1\nprovision apply --limit web1",
        ),
        _kind(
            "drifted",
            "A plan is approved for one state. Between plan and apply, the host, its spec, a secret or a file to send "
            "has changed, so the change would not be the approved one. Nothing was changed on this host.",
            "Make a new plan, review it and approve it.",
            "provision plan --out plan.json\nprovision apply --plan plan.json",
        ),
        _kind(
            "record",
            "Before a change the host stores what a rollback needs, below /var/lib/provision. It could not: the disk "
            "is full or read-only. Nothing was changed.",
            "Free space on the host's file system, or mount it writable, and apply again.",
            "ssh web1 df -h /var/lib\nprovision apply --limit web1",
        ),
        _kind(
            "unconfirmed",
            "After the change the controller must log in again to confirm it, because a change can cut off the host. "
            "It could not within --confirm-within seconds, so the host rolled the change back.",
            "Check what in the plan can stop a login: bip or an address pool that covers the controller's address, the "
            "forward policy, sshd's users. If the host is only slow, raise --confirm-within.",
            "provision runs show last\nprovision apply --limit web1 --confirm-within 180",
        ),
        _kind(
            "left",
            "Ctrl-C was pressed a second time, so the controller no longer waits. The change continues on the host, "
            "which finishes it or rolls it back when no login confirms it.",
            "Ask the host how the run ended, or finish the run.",
            "provision runs --on-hosts --limit web1\nprovision apply --resume",
        ),
        _kind(
            "interrupted",
            "The change on the host ended before its last step: the process was killed, or the host lost power or "
            "restarted. The host rolled the change back.",
            "Find the cause in the host's journal (out of memory, a restart), then apply again.",
            "ssh web1 journalctl -b -1 -n 50\nprovision apply --limit web1",
        ),
        _kind(
            "unhealthy",
            "All steps succeeded, and then the health check failed: docker did not keep running, a container that ran "
            "before did not start again, or the name of a registry mirror did not resolve. The host rolled the change "
            "back.",
            "The message names what failed. Read the log of docker or of the container for the time of the run. Check "
            "daemon.json with provision lint.",
            "ssh web1 journalctl -u docker -n 50\nprovision lint",
        ),
        _kind(
            "drift",
            "After the last step the host was read once more, and it differs from the desired state. Another program "
            "changes the same resource (a second configuration management, a package's script), or two declarations "
            "contradict each other.",
            "Find the program that changes the resource, and let only one of them declare it.",
            "provision plan --limit web1\nprovision verify --limit web1",
        ),
        _kind(
            "spec",
            "The spec is valid, but not for this host: a template fails with its variables, its distribution has no "
            "such package version, or two declarations are the same resource on it.",
            "Change the variable or the declaration that the message names, or set it only for the hosts that support "
            "it (group_vars, host_vars).",
            "provision inventory --host web1\nprovision render web1",
        ),
        _kind(
            "unsuited",
            "The engine would not run on this host: its kernel is too old or lacks features, its file system cannot "
            "hold layers, or Docker publishes no packages for its architecture. Nothing was changed.",
            "See all verdicts, and repair those that are bad: a newer kernel, another file system for data-root.",
            "provision doctor --limit web1",
        ),
        _kind(
            "impact",
            "--max-impact limits what a run may do (none, reload, restart, stop), and the changes of this host do "
            "more. Nothing was changed on it.",
            "Read in the plan what is affected and why. Apply in a maintenance window with a higher limit, or declare "
            "live-restore so that containers keep running while docker restarts.",
            "provision plan --limit web1\nprovision apply --limit web1 --max-impact restart",
        ),
        _kind(
            "hook",
            "The play's command for the time after a host (rollout: after) exited with an error. The host is "
            "in the desired state, but it was drained before and may not be in service again.",
            "Run the command by hand in the playbook's directory. Its output is in the message.",
            "provision runs show last",
        ),
        _kind(
            "verify",
            "A check of provision verify read another value on the host than the spec declares. Checks share no code "
            "with apply, so they also find a mistake of provision.",
            "The plan shows whether apply would repair it. If the plan is empty and the check fails, another party "
            "changed what apply does not manage, or provision has a fault.",
            "provision plan --limit web1\nprovision apply --limit web1 --verify",
        ),
        _kind(
            "worker",
            "Hosts are processed by worker processes of this machine (--processes), or by workers of a Dask cluster "
            "(--cluster). The worker of this host stopped, or could not be reached. The state of the host is not "
            "known.",
            "The message says how a process ended: signal 9 is often a lack of memory (dmesg). Read the log of a "
            "cluster's worker. Ask the host, and apply again, with --processes 1 or without --cluster if necessary.",
            "provision runs --on-hosts --limit web1\nprovision apply --limit web1",
        ),
        _kind(
            "internal",
            "A fault of provision: an error that its code does not expect. If a change was under way, the host "
            "finishes it or rolls it back.",
            "Report it with a support bundle: it has the versions and the journal, without secrets.",
            "provision runs --on-hosts --limit web1\nprovision support-bundle",
        ),
    )
)

#: By exit code.
CODES = dict(
    (
        _code(
            0,
            "The command did what it was asked for, and no host failed. With `plan` changes may be pending.",
            "For a check in CI that must notice pending changes, add --detailed-exitcode.",
            "provision plan --detailed-exitcode",
        ),
        _code(
            1,
            "An error was found before any host was changed. The message on standard error names the file and line, or "
            "the option. `lint` also exits with 1 for a finding of the level error, `doctor --controller` for a "
            "problem.",
            "Correct what the message names. It often suggests the right word.",
            "provision lint",
        ),
        _code(
            2,
            "At least one host is not in the desired state. It is no error, and only `plan --detailed-exitcode` uses "
            "it for hosts. `lint` with - or --fix exits with 2 for wrong usage.",
            "Review the plan and apply it.",
            "provision plan --detailed-exitcode\nprovision apply",
        ),
        _code(
            3,
            "At least one host has the status failed, unreachable or rolled_back, or was skipped. Other hosts may have "
            "been changed. The kind of each error is in the message, in `error.kind` of --json and in the journal.",
            "See which hosts failed and why, explain the kind, and repeat the run for these hosts alone.",
            "provision runs show last\nprovision explain unconfirmed\nprovision apply --limit-failed last",
        ),
        _code(
            130,
            "The operator pressed Ctrl-C. After the first one, hosts under way are finished and no further host is "
            "begun. After the second one, provision leaves: the hosts finish or roll back themselves.",
            "Finish the run, or see what the hosts have done.",
            "provision apply --resume\nprovision runs --on-hosts",
        ),
    )
)
