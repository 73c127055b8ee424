"""The floor: a bare paramiko login and ``true`` on every host, 20 threads, with the same socket options as ours.

Run as a whole process: ``python -m bench.floor INVENTORY``. Host keys are verified here too.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko
import yaml

from provision.transport.sockets import connect


def main(inventory: str) -> None:
    with open(inventory) as file:
        data = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["all"]  # noqa: S506 - a safe one
    key = paramiko.PKey.from_path(data["vars"]["ansible_ssh_private_key_file"])
    known = paramiko.HostKeys(data["vars"]["provision_known_hosts"])

    def login(address: str) -> None:
        client = paramiko.SSHClient()
        for kind, host_key in (known.lookup(address) or {}).items():
            client.get_host_keys().add(address, kind, host_key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            address,
            username="root",
            pkey=key,
            allow_agent=False,
            look_for_keys=False,
            sock=connect(address, 22, 10.0),
        )
        transport = client.get_transport()
        assert transport is not None
        channel = transport.open_session()
        channel.exec_command("true")
        channel.recv(1)
        assert channel.recv_exit_status() == 0
        client.close()

    hosts = data["children"]["docker"]["hosts"]
    with ThreadPoolExecutor(max_workers=20) as pool:
        list(pool.map(login, [host["ansible_host"] for host in hosts.values()]))


if __name__ == "__main__":
    main(sys.argv[1])
