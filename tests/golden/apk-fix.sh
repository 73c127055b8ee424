provision_main() {
# environment.sh ec498deaf5e4
# prelude.sh 62edb59a73f6
# resources/access.sh (look) 578e4980f543
# look/containers.sh ac015fc0dfa8
# look/docker.sh 74ff46da7996
# look/engine.sh 4f2e4ccffd8e
# look/files.sh 8e95c36a0792
# resources/hostname.sh (look) d36472d69004
# look/manifests.sh a4676e41651f
# look/pkg_apk.sh 4ea0a25a85c4
# look/services.sh df3f82dffcbf
# resources/store.sh (look) c195af7b9117
# look/svc_openrc.sh 9283e683462c
# resources/sysctl.sh (look) 41e1bdc18c75
# resources/user.sh (look) 0445e511ee33
# fix/engine.sh 1c763af4db93
# fix/files.sh e6ab1c692f55
# fix/health.sh fc1f63479680
# resources/hostname.sh (fix) 2ee185028beb
# fix/pkg_apk.sh 5525d3e8730c
# fix/place.sh 314bbe523c4e
# fix/progress.sh 9d0a03b56350
# fix/restore.sh cc442e222c68
# fix/services.sh d2d07df2cb2a
# fix/svc_openrc.sh 0f3dc5ae9fe8
# resources/sysctl.sh (fix) ca4c4d5a9f89
# fix/transaction.sh 448df5330113
# fix/undo_openrc.sh fd3915cfcbc9
# resources/user.sh (fix) b006bc7cf77b
# fix.sh 5fd171d1b6f4
run_private=
case $1 in
    guard) begin_apart 20260101T000000-00000000; guard "${2-}"; exit 0 ;;
    watch) begin_apart 20260101T000000-00000000; watch "${2-}"; exit 0 ;;
    confirm) begin_apart 20260101T000000-00000000; confirm "${2-}"; exit 0 ;;
    revoke) begin_apart 20260101T000000-00000000; revoke "${2-}"; exit 0 ;;
esac
run_watched=${2-}
begin 20260101T000000-00000000
lock_take
base_check file /etc/hostname absent file /etc/hosts 'regular file:644:root:root:1:2:3:20' file /etc/sysctl.d/99-zz-provision-site.conf absent file /etc/motd absent file /etc/docker/daemon.json absent
keep file /var/lib/provision/manifests/site '' file /etc/hostname '' file /etc/hosts '' file /etc/sysctl.d/99-zz-provision-site.conf '' file /etc/motd '' file /etc/docker/daemon.json '' bridge docker0 '' hostname localhost - live net/ipv4/ip_forward 0 package curl absent package shadow absent package docker-engine absent package docker-cli absent package containerd absent package docker-cli-buildx absent package docker-cli-compose absent account bob '' service docker 'restart,current,,-

/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
keep_containers
step 0 180 manifest put_file /var/lib/provision/manifests/site root root 0644 text 'provision-manifest 1
play Site
file /etc/docker/daemon.json
file /etc/motd
file /etc/sysctl.d/99-zz-provision-site.conf
hold docker-cli
hold docker-engine
member docker bob
sysctl net.ipv4.ip_forward 0
'
arm 60 1
step 1 180 hostname:web1.example.com put_file /etc/hostname root root 0644 text 'web1.example.com
'
step 2 180 hostname:web1.example.com put_file /etc/hosts root root 0644 text '127.0.0.1 localhost
127.0.1.1 web1.example.com web1
'
step 3 180 hostname:web1.example.com hostname_set web1.example.com
step 4 180 file:/etc/sysctl.d/99-zz-provision-site.conf put_file /etc/sysctl.d/99-zz-provision-site.conf root root 0644 text '# Play "Site", by provision. Changes made here are undone by its next run.
net.ipv4.ip_forward = 1
'
step 5 180 sysctl:net.ipv4.ip_forward sysctl_set net/ipv4/ip_forward 1
step 6 180 file:/etc/motd put_file /etc/motd root root 0644 text 'It'\''s $HOME
'
step 7 180 file:/etc/docker/daemon.json put_file /etc/docker/daemon.json root root 0644 text '{
  "live-restore": true
}
'
live_step 8 2100 packages:all pkg_whole 300 -
live_step 9 2100 packages:all pkg_refresh 300
live_step 10 2100 packages:all pkg_transaction 300 install curl - install shadow - install docker-engine 28.5 install docker-cli 28.5 install containerd - install docker-cli-buildx - install docker-cli-compose -
step 11 2100 hold:packages pkg_hold 300 hold docker-cli docker-engine
step 12 180 user:bob user_add --create-home -- bob
step 13 180 member:docker/bob member_add bob docker
step 14 180 service:docker svc_enable docker
step 15 180 service:docker daemon_check /etc/docker/daemon.json
step 16 180 service:docker svc_start docker
step 17 180 service:docker svc_settle docker restart '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
health 0
steps_end
platform
at look_manifests /var/lib/provision/manifests
at look_stores /var/lib/docker measure /var/lib/containerd measure
at look_hostname
at look_sysctls net/ipv4/ip_forward
at look_users bob
at look_groups docker
at look_set_id /usr/bin/docker /usr/bin/dockerd /usr/bin/docker-init /usr/bin/docker-proxy /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /usr/bin/runc
at look_undeclared /var/lib/docker /etc/containerd/config.toml /var/lib/containerd /etc/containerd/config.toml
at look_files /etc/docker/daemon.json /etc/containerd/config.toml /etc/hostname /etc/hosts /etc/sysctl.d/99-zz-provision-site.conf /etc/motd /etc/docker /run/docker.sock /run/containerd/containerd.sock /run/provision /var/lib/provision
at look_packages docker-ce docker-engine curl shadow docker-cli containerd docker-cli-buildx docker-cli-compose docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin podman-docker
at look_services docker 'docker_compare /var/lib/docker' '/etc/docker/daemon.json
/etc/conf.d/docker
/etc/firewalld/zones/docker.xml'
at look_docker
emit end
finish login
exit 0
}
provision_main "${1-run}" "${2-}"
