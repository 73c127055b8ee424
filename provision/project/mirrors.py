"""The known mirrors of Docker's packages, and how to choose one."""

from __future__ import annotations

from msgspec import Struct

#: A small file that every mirror has: Docker's public key for Debian, 4 kB.
PROBE = "linux/debian/gpg"


class Mirror(Struct, frozen=True):
    """``url`` has ``linux/debian`` and the other directories."""

    name: str
    about: str
    url: str


#: Docker's own server, the two mirrors of get.docker.com's ``--mirror``, and public mirrors of universities and
#: clouds that copy all of ``linux/``. The signatures are Docker's: a mirror cannot change a package.
MIRRORS = (
    Mirror("docker", "Docker, worldwide", "https://download.docker.com"),
    Mirror("aliyun", "Alibaba Cloud, China", "https://mirrors.aliyun.com/docker-ce"),
    Mirror("azure-china", "Azure China", "https://mirror.azure.cn/docker-ce"),
    Mirror("huawei", "Huawei Cloud, China", "https://mirrors.huaweicloud.com/docker-ce"),
    Mirror("tencent", "Tencent Cloud, China", "https://mirrors.cloud.tencent.com/docker-ce"),
    Mirror("tuna", "Tsinghua University, China", "https://mirrors.tuna.tsinghua.edu.cn/docker-ce"),
    Mirror("ustc", "USTC, China", "https://mirrors.ustc.edu.cn/docker-ce"),
)
