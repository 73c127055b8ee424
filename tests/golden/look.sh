provision_main() {
# environment.sh ec498deaf5e4
# prelude.sh 62edb59a73f6
# resources/access.sh (look) 578e4980f543
# look/docker.sh 74ff46da7996
# look/engine.sh 4f2e4ccffd8e
# look/files.sh 8e95c36a0792
# resources/hostname.sh (look) d36472d69004
# look/manifests.sh a4676e41651f
# look/services.sh df3f82dffcbf
# resources/store.sh (look) c195af7b9117
# resources/sysctl.sh (look) 41e1bdc18c75
# resources/user.sh (look) 0445e511ee33
# look.sh 48d2cab15684
begin
platform
# the family of os-release's ID and version (distros.yml)
own_family
supported
case $family in
apk)
# look/pkg_apk.sh 4ea0a25a85c4
;;
esac
case $family in
apt | apt-openrc)
# look/pkg_apt.sh 03419497ccb3
;;
esac
case $family in
dnf)
# look/pkg_dnf.sh 52453ca86325
;;
esac
case $family in
dnf5)
# look/pkg_dnf5.sh cfc252fa134e
;;
esac
case $family in
image)
# look/pkg_none.sh c216f2d2ea97
;;
esac
case $family in
pacman)
# look/pkg_pacman.sh 0b1f71121c4d
;;
esac
case $family in
dnf | yum)
# look/pkg_rpm.sh 2335497471d6
;;
esac
case $family in
yum)
# look/pkg_yum.sh 134cc60a9704
;;
esac
case $family in
zypper)
# look/pkg_zypper.sh 21f6965e323b
;;
esac
case $family in
dnf | dnf5 | yum | zypper)
# look/rpm.sh 2c28dc98ba2e
;;
esac
case $family in
dnf | yum | zypper)
# look/rpm_locks.sh ad5e31c20085
;;
esac
case $family in
apt-openrc | apk)
# look/svc_openrc.sh 9283e683462c
;;
esac
case $family in
apt | dnf | dnf5 | yum | zypper | pacman | image)
# look/svc_systemd.sh cd07651e3362
;;
esac
at look_manifests /var/lib/provision/manifests
at look_stores /var/lib/docker measure /var/lib/containerd measure
at look_hostname
at look_sysctls net/ipv4/ip_forward
at look_users bob
at look_groups docker
at look_set_id /usr/bin/docker /usr/bin/dockerd /usr/bin/docker-init /usr/bin/docker-proxy /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /usr/bin/runc
at look_undeclared /var/lib/docker /etc/containerd/config.toml /var/lib/containerd /etc/containerd/config.toml
at look_docker
case $family in
    apt)
        at look_apt_sources /etc/apt/sources.list.d/docker.sources
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/apt/sources.list.d/docker.sources /etc/apt/keyrings/docker.asc /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker.io curl docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-cli docker-buildx docker-doc docker-compose docker-compose-v2 podman-docker containerd runc
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    dnf)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_locks
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker moby-engine docker-engine python3-dnf-plugin-versionlock curl kernel-modules-extra docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc containerd docker-cli docker-buildx docker-compose
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    dnf5)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker moby-engine docker-engine curl kernel-modules-extra docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc containerd docker-cli docker-buildx docker-compose
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    yum)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_locks
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker docker-engine yum-plugin-versionlock curl yum-utils device-mapper-persistent-data lvm2 docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc
        at look_services network - /etc/sysctl.d/99-zz-provision-site.conf docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml
/etc/sysctl.d/99-zz-provision-site.conf'
        ;;
    zypper)
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker curl containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    apt-openrc)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker.io curl docker-cli containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
        ;;
    apk)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker-engine curl shadow docker-cli containerd docker-cli-buildx docker-cli-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
        ;;
    pacman)
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce docker curl containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services containerd - /usr/bin/containerd docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml
/usr/bin/dockerd'
        ;;
    image)
        at look_socket_unit docker.socket
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
        at look_packages docker-ce
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
esac
emit end
exit 0
}
provision_main
