"""The floor: a bare paramiko login and ``true`` on every host, with the same socket options as provision.

Run as a whole process: ``python -m bench.floor INVENTORY [THREADS [COMMAND]]``. Host keys are verified here too.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko
import yaml

from provision.transport.sockets import connect


def main(inventory: str, threads: int, command: str = "true") -> None:
    with open(inventory) as file:
        data = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["all"]  # noqa: S506 - a safe one
    key = paramiko.PKey.from_path(data["vars"]["ansible_ssh_private_key_file"])
    known = paramiko.HostKeys(data["vars"]["provision_known_hosts"])

    def login(place: tuple[str, int]) -> None:
        address, port = place
        entry = address if port == 22 else f"[{address}]:{port}"
        client = paramiko.SSHClient()
        for kind, host_key in (known.lookup(entry) or {}).items():
            client.get_host_keys().add(entry, kind, host_key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            address,
            port,
            username="root",
            pkey=key,
            allow_agent=False,
            look_for_keys=False,
            sock=connect(address, port, 30.0),
        )
        transport = client.get_transport()
        assert transport is not None
        channel = transport.open_session()
        channel.exec_command(command)
        channel.recv(1)
        assert channel.recv_exit_status() == 0
        client.close()

    hosts = data["children"]["docker"]["hosts"]
    places = [(host["ansible_host"], host.get("ansible_port", 22)) for host in hosts.values()]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        list(pool.map(login, places))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20, *sys.argv[3:4])
