"""The inspection that a person would write with plain fabric: five queries to each host, one after the other."""

import sys
from concurrent.futures import ThreadPoolExecutor

import yaml
from fabric import Connection

QUESTIONS = (
    "hostname",
    "cat /etc/sysctl.d/90-bench.conf",
    "cat /etc/docker/daemon.json",
    "dpkg-query -W docker-ce",
    "systemctl is-active docker",
)


def main(inventory: str) -> None:
    with open(inventory) as file:
        data = yaml.safe_load(file)["all"]
    key = data["vars"]["ansible_ssh_private_key_file"]

    def look(address: str) -> None:
        with Connection(address, user="root", connect_kwargs={"key_filename": key, "allow_agent": False}) as connection:
            for question in QUESTIONS:
                connection.run(question, hide=True, in_stream=False)

    hosts = data["children"]["docker"]["hosts"]
    with ThreadPoolExecutor(max_workers=20) as pool:
        list(pool.map(look, [host["ansible_host"] for host in hosts.values()]))


if __name__ == "__main__":
    main(sys.argv[1])
