provision_main() {
# environment.sh ec498deaf5e4
# prelude.sh 3e05009feaac
# look/docker.sh c0ba7706380d
# look/engine.sh 4f2e4ccffd8e
# look/files.sh 4c1de9a10d58
# look/hostname.sh d36472d69004
# look/manifests.sh 6c8a932623e8
# look/services.sh 2ca3dbf283b0
# look/stores.sh a3fc9068eb62
# look/sysctl.sh 41e1bdc18c75
# look/users.sh 17c97af0d2b9
# look.sh beacc95c6197
begin
platform
case $os_id:$os_version in
    debian:11 | debian:11.* | debian:12 | debian:12.*) flavour=apt ;;
    raspbian:11 | raspbian:11.* | raspbian:12 | raspbian:12.*) flavour=apt ;;
    rhel:8 | rhel:8.* | rhel:9 | rhel:9.*) flavour=dnf ;;
    rocky:8 | rocky:8.* | rocky:9 | rocky:9.*) flavour=dnf ;;
    almalinux:8 | almalinux:8.* | almalinux:9 | almalinux:9.*) flavour=dnf ;;
    centos:8 | centos:8.* | centos:9 | centos:9.*) flavour=dnf ;;
    centos:7 | centos:7.*) flavour=yum ;;
    rhel:7 | rhel:7.*) flavour=yum ;;
    debian:*) flavour=apt ;;
    ubuntu:*) flavour=apt ;;
    raspbian:*) flavour=apt ;;
    rhel:*) flavour=dnf ;;
    rocky:*) flavour=dnf ;;
    almalinux:*) flavour=dnf ;;
    centos:*) flavour=dnf ;;
    fedora:*) flavour=dnf ;;
    opensuse-leap:*) flavour=zypper ;;
    sles:*) flavour=zypper ;;
    alpine:*) flavour=apk ;;
    devuan:*) flavour=apt-openrc ;;
    *) flavour= ;;
esac
supported
case $flavour in
apk)
# look/pkg_apk.sh 4ea0a25a85c4
;;
esac
case $flavour in
apt | apt-openrc)
# look/pkg_apt.sh 7aec1cf72a05
;;
esac
case $flavour in
dnf)
# look/pkg_dnf.sh 8490f99011e4
;;
esac
case $flavour in
dnf | yum)
# look/pkg_rpm.sh f71d7759df4a
;;
esac
case $flavour in
yum)
# look/pkg_yum.sh c1f7c749a568
;;
esac
case $flavour in
zypper)
# look/pkg_zypper.sh 03502453bec6
;;
esac
case $flavour in
dnf | zypper | yum)
# look/rpm.sh d0cfd47fdd4b
;;
esac
case $flavour in
apk | apt-openrc)
# look/svc_openrc.sh 673d13b55555
;;
esac
case $flavour in
apt | dnf | zypper | yum)
# look/svc_systemd.sh 747a0f963a0f
;;
esac
at look_manifests /var/lib/provision/manifests
at look_stores /var/lib/docker measure /var/lib/containerd measure
at look_hostname
at look_sysctls net/ipv4/ip_forward
at look_users bob
at look_groups docker
at look_undeclared /var/lib/docker /var/lib/containerd
at look_docker
case $flavour in
    apt)
        at look_apt_sources /etc/apt/sources.list.d/docker.sources
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/apt/sources.list.d/docker.sources /etc/apt/keyrings/docker.asc /etc/motd /etc/docker
        at look_packages docker-ce docker.io curl docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-cli docker-buildx docker-doc docker-compose docker-compose-v2 podman-docker containerd runc
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    dnf)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker
        at look_packages docker-ce moby-engine docker docker-engine python3-dnf-plugin-versionlock curl kernel-modules-extra docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc docker-cli containerd docker-buildx docker-compose
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    zypper)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker
        at look_packages docker-ce docker curl containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml'
        ;;
    yum)
        at look_paths /etc/ssl/certs/ca-certificates.crt /usr/bin/gpg /usr/bin/curl
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/pki/rpm-gpg/RPM-GPG-KEY-docker /etc/yum.repos.d/docker-ce.repo /etc/motd /etc/docker
        at look_packages docker-ce docker docker-engine yum-plugin-versionlock curl yum-utils device-mapper-persistent-data lvm2 docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin docker-client docker-client-latest docker-common docker-latest docker-latest-logrotate docker-logrotate podman-docker buildah runc
        at look_services network - /etc/sysctl.d/99-zz-provision-site.conf docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/systemd/system/docker.service.d/provision.conf
/etc/docker/proxy.env
/etc/containerd/config.toml
/etc/firewalld/zones/docker.xml
/etc/sysctl.d/99-zz-provision-site.conf'
        ;;
    apk)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker
        at look_packages docker-ce docker-engine curl shadow docker-cli containerd docker-cli-buildx docker-cli-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
        ;;
    apt-openrc)
        at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker
        at look_packages docker-ce docker.io curl docker-cli containerd docker-buildx docker-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
        at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
        ;;
esac
emit end
exit 0
}
provision_main
