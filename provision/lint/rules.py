"""Every rule: the source of the docs' pages and of the findings."""

from __future__ import annotations

from provision.errors import Where
from provision.lint.finding import Finding, Level, Rule

_MOBY = "moby, daemon/config/config.go"
_LINUX = "moby, daemon/config/config_linux.go"
_REFERENCE = "docs.docker.com/reference/cli/dockerd, daemon configuration file"
_RUN = "dockerd 20.10.24, 26.1.5, 28.5.2 and 29.7.2, run with such a file (tests/data/dockerd_says/)"

_ALL = (
    Rule(
        "DJ001",
        "json-syntax",
        "error",
        "dockerd reads strict JSON (RFC 8259) and does not start with anything else. It names a byte, not a cause.",
        "Every fault is reported with its line, not only the first one. `provision` writes daemon.json from the "
        "spec, so a file that it writes has no such fault.",
        '{\n  "debug": true\n  "icc": true\n}',
        '{\n  "debug": true,\n  "icc": true\n}',
        "RFC 8259",
    ),
    Rule(
        "DJ002",
        "duplicate-key",
        "warning",
        "JSON allows a key to appear twice; dockerd uses the last one without a message.",
        "Keep one of them.",
        '{"debug": true, "debug": false}',
        '{"debug": false}',
        _RUN,
    ),
    Rule(
        "DJ003",
        "not-an-object",
        "error",
        "daemon.json is one JSON object; dockerd does not start with a list, a text or a number.",
        "Put the keys in braces.",
        "[]",
        "{}",
        _RUN,
    ),
    Rule(
        "DJ101",
        "unknown-key",
        "error",
        "dockerd does not start with a key that it does not know.",
        "Correct the key, or remove it.",
        '{"gragh": "/data"}',
        '{"data-root": "/data"}',
        f"{_MOBY}, findConfigurationConflicts",
    ),
    Rule(
        "DJ102",
        "removed-key",
        "error",
        "The key was removed: an engine of this version does not start with it.",
        "Use its successor.",
        '{"graph": "/data"}',
        '{"data-root": "/data"}',
        "docs.docker.com/engine/deprecated",
    ),
    Rule(
        "DJ103",
        "deprecated-key",
        "warning",
        "The key still works, but a later engine will remove it: after that upgrade the daemon does not start.",
        "Use its successor now.",
        '{"oom-score-adjust": -500}',
        "a drop-in of docker.service with OOMScoreAdjust=-500",
        "docs.docker.com/engine/deprecated",
    ),
    Rule(
        "DJ104",
        "key-of-a-later-engine",
        "error",
        "The key came with a later engine; one of this version does not know it and does not start.",
        "Remove it, or pin a later engine.",
        '{"ip-forward-no-drop": true}   # with engine.version 27.5',
        "engine.version 28.0",
        _MOBY,
    ),
    Rule(
        "DJ105",
        "ignored-key",
        "warning",
        "dockerd accepts the key and does nothing with it. There are three kinds: keys of former engines; names "
        "of flags, such as registry-mirror, which dockerd finds among its flags and never reads; and an "
        "object around keys, which hides them.",
        "Remove it, or write the intended key.",
        '{"registry-mirror": ["https://mirror.example"]}',
        '{"registry-mirrors": ["https://mirror.example"]}',
        f"{_MOBY}, findConfigurationConflicts; {_RUN}",
    ),
    Rule(
        "DJ110",
        "wrong-type",
        "error",
        "dockerd decodes each key into one type, and the values inside of objects too (log-opts, builder, "
        "runtimes, default-ulimits, proxies, default-network-opts, nri-opts). With a string for a number or a "
        "switch, or the reverse, dockerd does not start. nri-opts accepts only its own fields.",
        "Write a value of the key's type. --fix does it where there is only one correction.",
        '{"debug": "true", "mtu": "1400", "log-opts": {"max-file": 3}}',
        '{"debug": true, "mtu": 1400, "log-opts": {"max-file": "3"}}',
        f"{_MOBY}; moby, daemon/config/builder.go; moby, daemon/pkg/opts/nri_opts.go",
    ),
    Rule(
        "DJ111",
        "unknown-field",
        "warning",
        "dockerd ignores a field that it does not know inside of builder, runtimes, default-ulimits and "
        "default-address-pools, and the name of a driver that it does not know inside of default-network-opts: it "
        "starts, and the setting has no effect.",
        "Correct the name of the field.",
        '{"builder": {"enabled": true}}',
        '{"builder": {"gc": {"enabled": true}}}',
        "moby, daemon/config/builder.go; moby, api/types/system/runtime.go; encoding/json (Unmarshal)",
    ),
    Rule(
        "DJ201",
        "malformed-mirror",
        "error",
        "A mirror is http:// or https:// and a host. Older engines accept any text here and then pull without the "
        "mirror; later ones do not start.",
        "Write the whole URL.",
        '{"registry-mirrors": ["https:/mirror.example"]}',
        '{"registry-mirrors": ["https://mirror.example"]}',
        "moby, registry/config.go, ValidateMirror",
    ),
    Rule(
        "DJ202",
        "mirror-with-more-than-a-host",
        "error",
        "A mirror has no credentials, no query and no fragment; older engines accept no path either.",
        "Remove it. A mirror that requires a login cannot be used.",
        '{"registry-mirrors": ["https://me:secret@mirror.example"]}',
        '{"registry-mirrors": ["https://mirror.example"]}',
        "moby, registry/config.go, ValidateMirror",
    ),
    Rule(
        "DJ203",
        "not-a-network",
        "error",
        "bip is an address with its network's length (no mask with dots), fixed-cidr a network, an address "
        "pool a base and a size; docker0 needs an IPv4 network, so a list of IPv6 pools alone is not enough. "
        "A bip of /31 leaves one address, for one container, from 23.0 on, and none before. "
        "`dockerd --validate` accepts most of these mistakes, and the daemon fails when it creates its bridge.",
        "Write address and length.",
        '{"bip": "10.200.0.1"}',
        '{"bip": "10.200.0.1/24"}',
        f"moby, daemon/daemon_unix.go, getDefaultBridgeIPAMConf; {_RUN}",
    ),
    Rule(
        "DJ204",
        "public-address-space",
        "warning",
        "The network is not a private one (RFC 1918, RFC 6598, RFC 4193). Public address space: containers "
        "and the host can no longer reach the internet hosts that own these addresses. Loopback, multicast, "
        "reserved and documentation address space is not routed. An IPv6 prefix may be the operator's own, so "
        "it is not reported.",
        "Take a network out of 10.0.0.0/8, 172.16.0.0/12 (which ends at 172.31.255.255) or 192.168.0.0/16.",
        '{"bip": "172.168.80.50/24"}',
        '{"bip": "172.30.80.1/24"}',
        "RFC 1918; RFC 6890; RFC 4193",
    ),
    Rule(
        "DJ205",
        "networks-overlap",
        "warning",
        "Two pools share addresses, so dockerd drops the longer one; or bip covers every pool, and then each "
        "new network fails with 'all predefined address pools have been fully subnetted'. A pool that "
        "contains bip is fine: dockerd leaves out what is in use.",
        "Keep the pools apart, and leave space outside of bip.",
        '{"bip": "10.10.0.1/16", "default-address-pools": [{"base": "10.10.1.0/24", "size": 24}]}',
        '{"bip": "10.10.0.1/24", "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}]}',
        "moby, daemon/libnetwork/ipams/defaultipam/address_space.go, newAddrSpace and ErrNoMoreSubnets",
    ),
    Rule(
        "DJ206",
        "bridge-with-bip",
        "error",
        "bip is the address of docker's own bridge; with `bridge` docker has no bridge, and dockerd does not start.",
        "Give one of them.",
        '{"bip": "10.200.0.1/24", "bridge": "br0"}',
        '{"bridge": "br0"}',
        "moby, daemon/daemon.go, verifyDaemonSettings",
    ),
    Rule(
        "DJ207",
        "outside-of-the-bridge",
        "error",
        "fixed-cidr and default-gateway must be in the network of bip; otherwise the daemon fails when it creates "
        "its bridge. Until 28.0 dockerd accepted a fixed-cidr of another network.",
        "Take both from one network.",
        '{"bip": "10.200.0.1/24", "fixed-cidr": "10.201.0.0/24"}',
        '{"bip": "10.200.0.1/24", "fixed-cidr": "10.200.0.128/25"}',
        f"moby, daemon/daemon_unix.go, getDefaultBridgeIPAMConf; {_RUN}",
    ),
    Rule(
        "DJ208",
        "log-options",
        "error",
        "Each log driver knows its own options, and some need one: gelf its gelf-address, awslogs its "
        "awslogs-group, splunk its splunk-url and splunk-token. dockerd checks the names and a part of the "
        "values when it starts; the rest is checked when a container starts, and then no container starts. "
        "fluentd-async-connect was removed in 28.0.",
        "Correct the option's name or value.",
        '{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "0"}}',
        '{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}',
        "docs.docker.com/engine/logging/configure; moby, daemon/logger/*/, ValidateLogOpt; moby, "
        "daemon/logger/factory.go",
    ),
    Rule(
        "DJ209",
        "unknown-log-driver",
        "error",
        "The driver is not one of the built-in drivers; logentries was removed in 25.0. A name that "
        "is not similar to one of them may be that of a plugin (docker plugin install --alias), so it is a warning: "
        "dockerd starts only where that plugin is installed and enabled.",
        "Use a built-in driver, or install the plugin first.",
        '{"log-driver": "jsonfile"}',
        '{"log-driver": "json-file"}',
        "docs.docker.com/engine/logging/configure; docs.docker.com/engine/deprecated",
    ),
    Rule(
        "DJ210",
        "unbounded-logs",
        "warning",
        "json-file, the default, keeps every line that a container ever printed, until the disk is full.",
        'Add the two lines: "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}. The driver '
        "`local` has its own limits.",
        "{}",
        '{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}',
        "docs.docker.com/engine/logging/drivers/json-file",
    ),
    Rule(
        "DJ211",
        "unknown-storage-driver",
        "error",
        "The driver does not exist, or this engine no longer has it: aufs and overlay were removed in 24.0, "
        "devicemapper in 25.0. With the containerd image store (the default from 29.0) the driver is a snapshotter of"
        " containerd: overlayfs, native, erofs and others are correct there, and wrong for engines that use a graph "
        "driver.",
        "Leave the key out: dockerd chooses the right one. The new driver does not see images of the old one.",
        '{"storage-driver": "devicemapper"}',
        '{"storage-driver": "overlay2"}   # before 29.0',
        "moby, daemon/image_store_choice.go; docs.docker.com/engine/storage/drivers/select-storage-driver",
    ),
    Rule(
        "DJ212",
        "storage-options",
        "error",
        "dockerd does not start with an option of another driver, or with one that the driver does not know. "
        "overlay2.override_kernel_check was removed in 24.0.",
        "Remove it.",
        '{"storage-driver": "overlay2", "storage-opts": ["overlay2.override_kernel_check=true"]}',
        '{"storage-driver": "overlay2"}',
        "moby, daemon/graphdriver/overlay2/overlay.go, parseOptions",
    ),
    Rule(
        "DJ213",
        "cgroup-driver",
        "error",
        "native.cgroupdriver is systemd or cgroupfs, and is given once; it is the only option.",
        "Give one. With cgroup version 2 use systemd.",
        '{"exec-opts": ["native.cgroupdriver=cgroups"]}',
        '{"exec-opts": ["native.cgroupdriver=systemd"]}',
        "moby, daemon/daemon_unix.go, getCgroupDriver",
    ),
    Rule(
        "DJ214",
        "conflict-with-the-unit",
        "warning",
        "The packaged docker.service gives `-H fd://` and `--containerd=…` on the command line. The same in "
        "daemon.json is a conflict, and dockerd does not start. It is correct where a drop-in removes the flag "
        "from ExecStart, and where dockerd is started in another way. In a specification this is an error: "
        "provision installs the packaged unit.",
        "Remove it, or remove the flag from the unit by a drop-in (ExecStart= twice, the first one empty).",
        '{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2376"]}',
        "a drop-in of docker.service with the same in ExecStart",
        f"{_MOBY}, findConfigurationConflicts",
    ),
    Rule(
        "DJ215",
        "isolation-without-iptables",
        "error",
        "icc: false needs iptables rules. With iptables: false dockerd does not start; with ip6tables: "
        "false it does not start where IPv6 is on.",
        "Leave both enabled.",
        '{"icc": false, "iptables": false}',
        '{"icc": false}',
        "moby, daemon/daemon_unix.go, verifyDaemonSettings",
    ),
    Rule(
        "DJ216",
        "userns-with-the-containerd-store",
        "error",
        "userns-remap and the containerd image store exclude each other: from 29.0 on dockerd does not start. Earlier "
        "ones start, and Docker does not support it.",
        "Give one of them.",
        '{"userns-remap": "default", "features": {"containerd-snapshotter": true}}',
        '{"userns-remap": "default"}',
        "docs.docker.com/engine/storage/containerd",
    ),
    Rule(
        "DJ217",
        "live-restore-with-swarm",
        "warning",
        "Swarm does not support live-restore: a daemon that is in a swarm does not start with it.",
        "Keep only one of them.",
        '{"live-restore": true, "swarm-default-advertise-addr": "eth0"}',
        '{"live-restore": true}',
        "docs.docker.com/engine/daemon/live-restore",
    ),
    Rule(
        "DJ218",
        "insecure-public-registry",
        "warning",
        "The registry is a public one and has a certificate. As an insecure registry it lets an attacker on the "
        "network path change images. A name that is one or two edits from a public registry's, under the same "
        "top-level domain, is reported too; names under example, local, internal and the like, and names that the "
        "fleet declares, are not.",
        "Remove it.",
        '{"insecure-registries": ["quay.io"]}',
        '{"insecure-registries": ["registry.internal.example:5000"]}',
        "docs.docker.com/reference/cli/dockerd, insecure registries",
    ),
    Rule(
        "DJ219",
        "insecure-registry",
        "error",
        "An insecure registry is a host, host:port or a network in CIDR form: no path, no blank, no wildcard, and a "
        "port up to 65535. dockerd drops a scheme http:// or https:// with a warning; with another scheme it does not"
        " start.",
        "Keep only host and port.",
        '{"insecure-registries": ["registry.internal.example:5000/team"]}',
        '{"insecure-registries": ["registry.internal.example:5000"]}',
        "moby, daemon/pkg/registry/config.go, loadInsecureRegistries and validateHostPort",
    ),
    Rule(
        "DJ220",
        "path",
        "warning",
        "The path has a blank in it, or at its end. dockerd creates the directory, and scripts that do not quote the "
        "path fail.",
        "Write it without blanks.",
        '{"data-root": "/data/ docker"}',
        '{"data-root": "/data/docker"}',
        _RUN,
    ),
    Rule(
        "DJ221",
        "relative-path",
        "error",
        "The path is relative, and its base depends on how dockerd was started. From 23.0 on no container starts from"
        " a relative data-root.",
        "Begin it with a slash.",
        '{"data-root": "data/docker"}',
        '{"data-root": "/data/docker"}',
        _RUN,
    ),
    Rule(
        "DJ222",
        "value",
        "error",
        "The key accepts only certain values (a range, an address, one of a few words), and dockerd does not "
        "start, or cannot run a container, with others. min-api-version is from 1.24 to 1.55 (29.7); dns-"
        "search accepts domains without underscores; each of default-ulimits needs its Name.",
        "Write a value that it accepts.",
        '{"log-level": "verbose", "dns": ["dns.example"]}',
        '{"log-level": "info", "dns": ["192.0.2.53"]}',
        f"{_REFERENCE}; {_MOBY}, Validate; {_LINUX}, validatePlatformConfig",
    ),
    Rule(
        "DJ223",
        "runtime",
        "error",
        "`runc` is docker's own name; a runtime has a path, with runtimeArgs if necessary, or a runtimeType, "
        "with options (both since 23.0); default-runtime is a defined runtime, or a name such as "
        "io.containerd.runc.v2 that containerd resolves (since 23.0).",
        "Define the runtime, under another name.",
        '{"default-runtime": "crun"}',
        '{"default-runtime": "crun", "runtimes": {"crun": {"path": "/usr/bin/crun"}}}',
        "moby, daemon/runtime_unix.go, setupRuntimes",
    ),
    Rule(
        "DJ224",
        "labels",
        "error",
        "A label is KEY=VALUE, a key has one value, and com.docker.*, io.docker.* and org.dockerproject.* are "
        "reserved for Docker.",
        "Give each label a value, and use another namespace.",
        '{"labels": ["rack", "com.docker.rack=7"]}',
        '{"labels": ["rack=7"]}',
        "moby, daemon/pkg/opts/opts.go, ValidateLabel",
    ),
    Rule(
        "DJ225",
        "tls-without-certificates",
        "error",
        "tls and tlsverify need a certificate and its key, and tlsverify an authority too. dockerd looks for "
        "them in ~/.docker of root when they are not named, and does not start without them.",
        "Name the files.",
        '{"tlsverify": true}',
        '{"tlsverify": true, "tlscacert": "/etc/docker/ca.pem", "tlscert": "/etc/docker/cert.pem", "tlskey": '
        '"/etc/docker/key.pem"}',
        "moby, daemon/command/options.go, SetDefaultOptions; docs.docker.com/engine/security/protect-access",
    ),
    Rule(
        "DJ226",
        "graph-driver-with-the-containerd-store",
        "error",
        "With features.containerd-snapshotter the storage driver is a snapshotter of containerd, and "
        "overlay2, vfs and fuse-overlayfs are not snapshotters. `dockerd --validate` accepts it, and the daemon fails.",
        "Remove the driver or the feature.",
        '{"storage-driver": "overlay2", "features": {"containerd-snapshotter": true}}',
        '{"features": {"containerd-snapshotter": true}}',
        "moby, daemon/image_store_choice.go and daemon/daemon.go (configured driver not available)",
    ),
    Rule(
        "DJ227",
        "cgroup-parent",
        "error",
        "With the cgroup driver systemd the parent of containers' groups is a slice.",
        "Name a slice.",
        '{"exec-opts": ["native.cgroupdriver=systemd"], "cgroup-parent": "/docker"}',
        '{"exec-opts": ["native.cgroupdriver=systemd"], "cgroup-parent": "docker.slice"}',
        "moby, daemon/daemon_unix.go, verifyDaemonSettings",
    ),
    Rule(
        "DJ228",
        "listen-address",
        "error",
        "dockerd listens on unix://, tcp:// or fd:// (npipe:// on Windows). A tcp address has a host and a "
        "port, and no path.",
        "Write such an address. Access over SSH needs no entry here: docker -H ssh://host.",
        '{"hosts": ["http://127.0.0.1:2375"]}',
        '{"hosts": ["unix:///var/run/docker.sock"]}',
        "moby, daemon/pkg/opts/hosts.go, ParseDaemonHost",
    ),
    Rule(
        "DJ229",
        "keys-that-do-not-fit",
        "error",
        "Keys that dockerd refuses together, or one without the other: features.embedded-containerd and cri-containerd "
        "(29.0), host-gateway-ip and host-gateway-ips (28.0), containerd-namespace and the namespace of plugins.",
        "Keep only one of them.",
        '{"host-gateway-ip": "192.0.2.1", "host-gateway-ips": ["192.0.2.1"]}',
        '{"host-gateway-ips": ["192.0.2.1"]}',
        "moby, daemon/config/config.go, Validate and migratedNamedConfig; moby, daemon/daemon_unix.go, "
        "verifyDaemonSettings",
    ),
    Rule(
        "DJ301",
        "closed-mirror",
        "warning",
        "The mirror no longer serves the public: docker-cn.com, hub-mirror.c.163.com and reg-mirror.qiniu.com "
        "do not answer, dockerhub.azk8s.cn serves Azure China alone since April 2020, and the mirrors of "
        "USTC, SJTU and NJU were closed in June 2024. Each pull tries it first and waits for its timeout.",
        "Remove it, or run a mirror (provision's registry with upstream).",
        '{"registry-mirrors": ["https://docker.mirrors.ustc.edu.cn"]}',
        '{"registry-mirrors": ["https://mirror.example"]}',
        "notices of the operators; dockerd of every version tries mirrors in order (moby, "
        "daemon/pkg/registry/service_v2.go)",
    ),
    Rule(
        "DJ302",
        "mirror-in-the-clear",
        "warning",
        "A mirror over plain HTTP lets an attacker on the network path read and change what is pulled by tag. Engines"
        " of every version accept it.",
        "Give the mirror a certificate.",
        '{"registry-mirrors": ["http://mirror.example"]}',
        '{"registry-mirrors": ["https://mirror.example"]}',
        "moby, daemon/pkg/registry/config.go, ValidateMirror",
    ),
    Rule(
        "DJ303",
        "open-api",
        "warning",
        "The API on TCP has no tlsverify: a client that reaches the port can start a container with the host's file "
        "system, and is root with it. It is deprecated since 26.0, and dockerd delays its start.",
        "Use docker -H ssh://host, or tlsverify with certificates.",
        '{"hosts": ["unix:///var/run/docker.sock", "tcp://0.0.0.0:2375"]}',
        '{"hosts": ["unix:///var/run/docker.sock"]}',
        "docs.docker.com/engine/security/protect-access; moby, daemon/command/daemon.go, checkTLSAuthOK",
    ),
    Rule(
        "DJ304",
        "everything-insecure",
        "warning",
        "A network of length 0 covers every registry: dockerd no longer asks a registry for a certificate, except "
        "Docker Hub. Engines of every version accept it.",
        "Name the registries, or the network that they are in.",
        '{"insecure-registries": ["0.0.0.0/0"]}',
        '{"insecure-registries": ["10.20.0.0/16"]}',
        "moby, daemon/pkg/registry/config.go, isSecureIndex",
    ),
    Rule(
        "DJ305",
        "metrics-on-all-addresses",
        "warning",
        "The metrics endpoint has no login and no encryption. It needs experimental before 20.10 only.",
        "Bind it to loopback, or to the address of the monitoring network.",
        '{"metrics-addr": "0.0.0.0:9323"}',
        '{"metrics-addr": "127.0.0.1:9323"}',
        "docs.docker.com/engine/daemon/prometheus",
    ),
    Rule(
        "DJ306",
        "iptables-off",
        "warning",
        "Without dockerd's rules, published ports are not forwarded, containers are not masqueraded, "
        "and networks are not isolated from each other. Engines of every version start with it.",
        "Leave it on, and put custom rules into the chain DOCKER-USER.",
        '{"iptables": false}',
        "{}",
        "docs.docker.com/engine/network/packet-filtering-firewalls",
    ),
    Rule(
        "DJ307",
        "debug",
        "warning",
        "Debug logs have every request and many lines per container; they fill the journal and hide the lines that "
        "matter. SIGHUP can enable it when it is needed.",
        "Remove it.",
        '{"debug": true}',
        "{}",
        "docs.docker.com/engine/daemon/logs",
    ),
    Rule(
        "DJ308",
        "experimental",
        "warning",
        "Experimental features change without notice, and no common feature still needs the switch: "
        "ip6tables, metrics-addr and docker build --squash's successors are no longer experimental in 27.0.",
        "Remove it.",
        '{"experimental": true}',
        "{}",
        "docs.docker.com/reference/cli/dockerd, experimental; moby, release notes of 20.10 and 27.0",
    ),
    Rule(
        "DJ309",
        "useless-feature",
        "warning",
        "The feature is the default, so the line does nothing: buildkit has been the docker command's default "
        "builder since 23.0, and containerd-snapshotter dockerd's image store since 29.0 on new hosts.",
        "Remove it. Keep containerd-snapshotter on an upgraded host that already has it.",
        '{"features": {"buildkit": true}}',
        "{}",
        "moby, release notes of 23.0 and 29.0; moby, daemon/image_store_choice.go",
    ),
    Rule(
        "DJ310",
        "unknown-feature",
        "warning",
        "dockerd of every version accepts any name under features and uses only a few.",
        "Correct the name, or remove it.",
        '{"features": {"containerd-snapshoter": true}}',
        '{"features": {"containerd-snapshotter": true}}',
        "moby, daemon/ and cmd/, every use of Features",
    ),
    Rule(
        "DJ311",
        "placeholder",
        "warning",
        "The text still has a placeholder of an example. dockerd of every version accepts it unchanged.",
        "Replace the placeholder.",
        '{"registry-mirrors": ["https://<id>.mirror.example"]}',
        '{"registry-mirrors": ["https://a1b2.mirror.example"]}',
        "public files",
    ),
    Rule(
        "DJ312",
        "data-root-without-containerd",
        "warning",
        "With the containerd image store (the default from 29.0) images and snapshots are in containerd's "
        "root, /var/lib/containerd, which data-root does not move: the file system that data-root should relieve "
        "fills up. In a specification it is SP402.",
        "Move both.",
        '{"data-root": "/srv/docker"}   # with engine 29',
        'root = "/srv/containerd" in /etc/containerd/config.toml too',
        "docs.docker.com/engine/storage/containerd; moby, daemon/daemon.go",
    ),
    Rule(
        "DJ313",
        "opts-out-of-the-image-store",
        "warning",
        "From 29.0 on storage-driver with a graph driver's name keeps a new host on the old image store. On a "
        "host that has images in the containerd image store, dockerd no longer sees them.",
        "Remove it for a new host; keep it on a host that has images in overlay2.",
        '{"storage-driver": "overlay2"}',
        "{}",
        "moby v29, daemon/image_store_choice.go, determineImageStoreChoice",
    ),
    Rule(
        "DJ314",
        "old-name-in-builder",
        "warning",
        "defaultKeepStorage is the old name of defaultReservedSpace, which came with 28.0.",
        "Use the new name from 28.0 on.",
        '{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}}',
        '{"builder": {"gc": {"enabled": true, "defaultReservedSpace": "20GB"}}}',
        "moby, daemon/config/builder.go, BuilderGCConfig",
    ),
    Rule(
        "DJ315",
        "nftables-with-swarm",
        "warning",
        "Swarm does not support the nftables backend (29.0): docker swarm init and join fail with it.",
        "Keep only one of them.",
        '{"firewall-backend": "nftables", "swarm-default-advertise-addr": "eth0"}',
        '{"firewall-backend": "nftables"}',
        "moby, daemon/config/config_linux.go, IsSwarmCompatible",
    ),
    Rule(
        "DJ316",
        "nftables-without-forwarding",
        "warning",
        "With the nftables backend (29.0) dockerd does not enable forwarding: it does not start while "
        "net.ipv4.ip_forward is 0. In a specification it is SP407.",
        "Set the sysctl.",
        '{"firewall-backend": "nftables"}',
        "sysctl net.ipv4.ip_forward=1, and the same key",
        "moby v29, daemon/libnetwork/drivers/bridge/setup_ip_forwarding.go; run on a lab host with 29.7.2",
    ),
    Rule(
        "DJ317",
        "password-in-the-clear",
        "warning",
        "A password or token in daemon.json is readable for every user who can read the file or its repository, and "
        "docker info shows the address of a proxy. In a specification a proxy's password is an error, because "
        "engine.proxy takes it as a secret.",
        "Declare a proxy with its password as engine.proxy (place: unit); use a proxy, or a log server, without a "
        "password; or give the option to single containers.",
        '{"proxies": {"http-proxy": "http://user:password@192.0.2.1:3128"}}',
        'engine: {proxy: {http: "http://user:{{ proxy_password }}@192.0.2.1:3128"}}',
        "moby, daemon/info.go, fillProxies; docs.docker.com/engine/logging/drivers/splunk",
    ),
    Rule(
        "FL301",
        "network-covers-a-host",
        "error",
        "A docker network takes over the route to every address in it. If it contains the host's own address, the "
        "host is cut off when docker restarts; if it contains another host's address, this host can no longer reach "
        "that host.",
        "Use a network that no host or service uses.",
        "ansible_host: 10.200.0.7, and bip: 10.200.0.1/24",
        "ansible_host: 10.200.0.7, and bip: 10.201.0.1/24",
        "run on a lab host: it was unreachable",
    ),
    Rule(
        "FL302",
        "routed-networks-overlap",
        "warning",
        "Without masquerading, containers keep their addresses in packets to other hosts; where two hosts assign the "
        "same addresses, answers go to the wrong host.",
        "Give each host its own network, by a variable.",
        "bip: 10.200.0.1/24 and ip-masq: false, on two hosts",
        'bip: "10.200.{{ number }}.1/24"',
        "docs.docker.com/engine/network/packet-filtering-firewalls",
    ),
    Rule(
        "FL303",
        "one-name-for-two-hosts",
        "error",
        "Two hosts with one hostname are one host to logs, metrics and certificates.",
        "Take the name from the inventory.",
        "hostname: web",
        'hostname: "{{ inventory_hostname }}"',
        "RFC 1178",
    ),
    Rule(
        "FL304",
        "two-names-for-one-host",
        "warning",
        "Two hosts of the inventory have one address and port: provision would apply two specs to one machine at the "
        "same time.",
        "Remove one of them.",
        "web1: {ansible_host: 192.0.2.1}, web2: {ansible_host: 192.0.2.1}",
        "web1: {ansible_host: 192.0.2.1}, web2: {ansible_host: 192.0.2.2}",
        "the inventory",
    ),
    Rule(
        "SP401",
        "forwarding-without-a-policy",
        "warning",
        "dockerd sets the policy of iptables' FORWARD chain to DROP only when dockerd itself enables forwarding. Where "
        "a sysctl did that before, the chain stays open: the host forwards everything between its networks.",
        "Declare the policy; docker's own rules let containers reach the network with either policy.",
        "sysctl: {net.ipv4.ip_forward: 1}\nengine: {}",
        "sysctl: {net.ipv4.ip_forward: 1}\nengine: {firewall: {forward: drop}}",
        "moby, libnetwork/drivers/bridge/setup_ip_forwarding.go; run on a lab host",
    ),
    Rule(
        "SP402",
        "data-root-without-containerd",
        "warning",
        "With the containerd image store (the default from 29.0 on) images and snapshots are in containerd's root, "
        "/var/lib/containerd, which data-root does not move: the file system that data-root should relieve fills up.",
        "Move both.",
        "engine: {daemon: {data-root: /srv/docker}}",
        "engine: {daemon: {data-root: /srv/docker}, containerd_root: /srv/containerd}",
        "docs.docker.com/engine/storage/containerd",
    ),
    Rule(
        "SP403",
        "login-in-the-clear",
        "warning",
        "The daemon falls back to plain HTTP for an insecure registry: an attacker on the network path can read "
        "the password of its login, and change every image.",
        "Give the registry a certificate, and give the hosts the authority that signs it.",
        "engine: {daemon: {insecure-registries: [r.example:5000]}, registries: {r.example:5000: {login: ...}}}",
        "engine: {registries: {r.example:5000: {authority: lab, login: ...}}}",
        "docs.docker.com/reference/cli/dockerd, insecure registries",
    ),
    Rule(
        "SP404",
        "registry-in-the-clear",
        "warning",
        "A registry without a certificate speaks plain HTTP: every host must declare it insecure, and an attacker on "
        "the network path can change what hosts run, and read the passwords of its users.",
        "Give it a certificate: of an authority that provision keeps (`ca`), or one of yours (`cert`, `key`).",
        "registry: {name: r.example}",
        "registry: {name: r.example, tls: {ca: lab}}",
        "distribution, docs/insecure.md",
    ),
    Rule(
        "SP405",
        "repository-with-any-key",
        "warning",
        "Without a fingerprint the host trusts any key that `key_url` has at the first fetch. A mirror, or an "
        "attacker on the network where the URL is http://, can then sign packages that the host installs as root.",
        "Declare the fingerprint, from a source of the publisher other than the mirror.",
        "repositories: {tools: {url: https://m.example/apt, key_url: https://m.example/apt/gpg}}",
        "repositories: {tools: {url: ..., key_url: ..., fingerprint: 7BABB45414814066A7895E42A5FB5A3F6C8889EA}}",
        "apt-secure(8); rpmkeys(8)",
    ),
    Rule(
        "SP406",
        "secret-that-others-can-read",
        "warning",
        "The file holds a secret, and its mode lets every account of the host read it: other services too, and an "
        "attacker who controls one of them. The mode of a file is 0644 where none is declared.",
        "Declare a mode without rights for others, and the group of the program that reads it.",
        'files: {/etc/app.env: {content: "PASSWORD={{ app_password }}\\n"}}',
        'files: {/etc/app.env: {content: "PASSWORD={{ app_password }}\\n", group: app, mode: "0640"}}',
        "chmod(1); inode(7)",
    ),
    Rule(
        "SP407",
        "nftables-without-forwarding",
        "warning",
        "With the nftables backend (29.0) dockerd does not enable forwarding: it does not start while "
        "net.ipv4.ip_forward is 0, and the change is rolled back.",
        "Declare the sysctl.",
        "engine: {daemon: {firewall-backend: nftables}}",
        "sysctl: {net.ipv4.ip_forward: 1}\nengine: {daemon: {firewall-backend: nftables}}",
        "moby v29, daemon/libnetwork/drivers/bridge/setup_ip_forwarding.go; run on a lab host with 29.7.2",
    ),
    Rule(
        "SP408",
        "port-used-twice",
        "error",
        "Two parts of a host's spec listen on one port, at the same address or at every address: the second one does "
        "not start, and the change is rolled back.",
        "Give one of them another port, or both an address of their own.",
        'containers: {one: {ports: ["8080:80"]}, two: {ports: ["8080:80"]}}',
        'containers: {one: {ports: ["8080:80"]}, two: {ports: ["8081:80"]}}',
        "bind(2), EADDRINUSE",
    ),
    Rule(
        "SP409",
        "docker-networks-overlap",
        "error",
        "docker does not create a network whose addresses another network of the host has, such as its bridge (bip).",
        "Give each network its own addresses.",
        "networks: {one: {subnet: 10.5.0.0/16}, two: {subnet: 10.5.1.0/24}}",
        "networks: {one: {subnet: 10.5.0.0/16}, two: {subnet: 10.6.1.0/24}}",
        "moby, daemon/libnetwork/ipamutils; its message is: Pool overlaps with other one on this address space",
    ),
    Rule(
        "SP410",
        "compose-file",
        "error",
        "The host gets the text of a compose file and its variables, and no other file. docker makes an empty "
        "directory for a bind mount that is missing, so a service starts without its configuration; a build or an "
        "env_file fails on the host. A text that is not a compose file fails there too, and so does a name that the "
        "file uses and does not declare. A variable without a value is a warning: compose takes an empty text for it.",
        "Declare the file in `files`, and name its absolute path on the host; build images by `images`.",
        'services: {web: {image: nginx, volumes: ["./conf:/etc/nginx"]}}',
        'services: {web: {image: nginx, volumes: ["/srv/web/conf:/etc/nginx"]}}',
        "compose-spec, 05-services.md, 08-configs.md, 09-secrets.md",
    ),
    Rule(
        "SP411",
        "undeclared-network",
        "warning",
        "docker creates a container only on networks that exist. A network that the spec does not declare must have "
        "been made by another program; where its name is similar to a declared one, it is an error.",
        "Declare it in `networks`.",
        "networks: {front: {}}\ncontainers: {web: {image: nginx, networks: [frnot]}}",
        "networks: {front: {}}\ncontainers: {web: {image: nginx, networks: [front]}}",
        "docs.docker.com/reference/cli/docker/container/create, --network",
    ),
    Rule(
        "SP412",
        "password-in-the-clear",
        "warning",
        "The value has the name of a password, and it is in the file as it is: each reader of the repository, and each "
        "plan and diff, shows it.",
        "Declare it as a secret: `!secret {env: NAME}`, a file, or an age text.",
        "environment: {DB_PASSWORD: hunter2}",
        "environment: {DB_PASSWORD: !secret {env: DB_PASSWORD}}",
        "docs/spec.md, Secrets",
    ),
    Rule(
        "SP413",
        "misspelt-connection-variable",
        "error",
        "The name is almost that of a variable that says how a host is reached. A variable of another name has no "
        "effect: provision connects to another address, or as another user. The plural of such a name (ansible_users) "
        "is a warning.",
        "Correct the name. A variable of your own gets a name that does not begin with ansible_ or provision_.",
        "web1: {ansible_hosst: 192.0.2.1}",
        "web1: {ansible_host: 192.0.2.1}",
        "docs/inventory.md",
    ),
    Rule(
        "SP414",
        "missing-secret-file",
        "warning",
        "The file of a `!secret` does not exist, so plan and apply stop before they contact a host. It is a warning, "
        "because the machine that lints need not have the secrets; where the directory has a file with a similar "
        "name, it is an error.",
        "Create the file, or correct its path: it is relative to the file that names it.",
        "vars: {token: !secret {file: secrets/tokn.txt}}",
        "vars: {token: !secret {file: secrets/token.txt}}",
        "docs/spec.md, Secrets",
    ),
    Rule(
        "SP415",
        "mount-of-an-undeclared-file",
        "warning",
        "A container or a service of compose mounts a file of the host, or a directory that it can't write, and no "
        "part of the spec puts anything there. docker makes an empty directory in its place where it is missing: the "
        "program starts with a directory as its configuration, or not at all. A volume with a name that is almost that "
        "of a declared one is reported too: docker makes it, empty.",
        "Declare it in `files`. If another program makes it, ignore the rule in that line.",
        'containers: {web: {image: nginx, volumes: ["/srv/web/nginx.conf:/etc/nginx/nginx.conf:ro"]}}',
        "files: {/srv/web/nginx.conf: {src: nginx.conf}}   # and the same volume",
        "docs.docker.com/engine/storage/bind-mounts, --volume",
    ),
    Rule(
        "SP416",
        "sudoers-file",
        "error",
        "sudo reads no file of /etc/sudoers.d whose name has a dot or ends in ~, and none that others may write to. "
        "With a fault in a line, sudo before 1.9.3 refuses all commands of every user; later versions ignore the line.",
        "Correct the file; `visudo -cf FILE` checks it as a whole.",
        'files: {/etc/sudoers.d/ci: {content: "ci ALL=(ALL NOPASSWD: ALL\\n", mode: "0440"}}',
        'files: {/etc/sudoers.d/ci: {content: "ci ALL=(ALL) NOPASSWD: ALL\\n", mode: "0440"}}',
        "sudoers(5); sudo(8)",
    ),
    Rule(
        "LT001",
        "unreadable-file",
        "error",
        "The file does not exist, may not be read, is not UTF-8 or is too large, so nothing in it was checked. dockerd "
        "refuses a daemon.json that is not UTF-8.",
        "Correct the file's name, or save it as UTF-8. The findings in all other files are reported too.",
        "a daemon.json in Latin-1 or UTF-16",
        "the same file in UTF-8",
        "moby, daemon/config/config.go, getConflictFreeConfiguration",
    ),
    Rule(
        "LT002",
        "internal-error",
        "error",
        "provision failed while it checked the file: a defect of provision. The file was not checked to its end.",
        "Report it, with the traceback on standard error and the file. The findings in all other files are reported.",
        "a file that provision can't check",
        "the same file, after the defect is corrected",
        "provision",
    ),
    Rule(
        "LT003",
        "unknown-rule-in-comment",
        "warning",
        "A comment that ignores a rule names a rule that does not exist, so it has no effect.",
        "Correct the name of the rule, or remove the comment.",
        "bip: 192.0.2.1/24  # provision: ignore=DJ2O4",
        "bip: 192.0.2.1/24  # provision: ignore=DJ204",
        "docs/lint",
    ),
    Rule(
        "PB001",
        "project",
        "error",
        "The inventory, the playbook or a template can't be read: YAML, an unknown key, a wrong type, an undefined "
        "variable, a pattern that matches no host.",
        "The message names the place, and a similar name where there is one.",
        "spec: {egnine: {}}",
        "spec: {engine: {}}",
        "the spec (provision schema)",
    ),
)
RULES = {rule.id: rule for rule in _ALL}


def finding(id: str, where: Where, message: str, hint: str = "", level: Level | None = None) -> Finding:
    """A finding of the rule ``id``, at the rule's level unless ``level`` is given."""
    return Finding(RULES[id], where, message, hint, level or RULES[id].level)
