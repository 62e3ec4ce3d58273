#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# vm.sh -- COMMAND [ARGUMENT...]
#
# Runs COMMAND as root in a machine that QEMU makes and throws away, whose kernel has Soft-RoCE
# (rdma_rxe): real verbs, real delay and loss, on any host. Streams its output and exits with its
# status; 124: out of time; 77: there is no QEMU or no kernel to be had; 125: the machine failed.
#
# COMMAND sees the host's root file system, so what was built on the host runs as it is (without
# AVX-512, which is not emulated), its working directory and its environment. What it writes is lost
# with the machine. There is no network outside, but two RDMA devices with a cable in between:
#
#     rxe_a = ra = 10.77.0.1, fd77::1  <---- veth ---->  rxe_b = rb = 10.77.0.2, fd77::2
#
# Every packet crosses it, so "tc qdisc add dev ra root netem delay 7ms loss 1%" acts on RDMA as on
# TCP. An address chooses the side. (Two processes of one machine take a short cut through its
# local table; the rules in guest() below send what leaves for the other side over the cable.)
#
#   SE_VM_TIMEOUT   seconds for all of it (300)       SE_VM_ACCEL  kvm, tcg; otherwise what works
#   SE_VM_CPUS, SE_VM_MEM  processors, MiB (2048)     SE_VM_CACHE  where the kernel lies unpacked
#   SE_VM_VERBOSE   1: the guest's console at the end
#   SE_VM_INIT      systemd: the host's systemd is the first process, with a journal and without
#                   whatever else the host has enabled; COMMAND is a service under it
set -euo pipefail
umask 022
note() { printf 'vm.sh: %s\n' "$*" >&2; }
skip() { printf 'skipped: %s\n' "$*"; exit 77; }

[ "${1:-}" = -- ] && [ $# -gt 1 ] || { sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
shift
case ${SE_VM_INIT:-} in
'') ;;
systemd) [ -x /lib/systemd/systemd ] || skip 'no /lib/systemd/systemd; on Debian: apt-get install systemd' ;;
*) note "SE_VM_INIT=$SE_VM_INIT: only systemd is known"; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${SE_VM_CACHE:-$root/build-vm}
case $cache in *[,\ ]*) skip "QEMU takes no comma or space in a path: $cache" ;; esac

# ---------------------------------------------------------------- once: the kernel

# Debian's own, unpacked and not installed: the bare image, which QEMU starts seconds sooner than
# the guest unpacks it, those modules that are of use here, and a first file system in memory that
# only mounts the host's.
prepare() {
    local package deb version offset new=$cache/new module tool
    for tool in qemu-system-x86_64 busybox cpio depmod xz ip rdma dpkg-deb; do
        command -v "$tool" >/dev/null ||
            skip "no $tool; on Debian: apt-get install qemu-system-x86 busybox-static cpio kmod xz-utils iproute2"
    done
    [ "$(uname -m)" = x86_64 ] || skip 'the machine is one of x86-64'
    package=$(apt-cache depends linux-image-amd64 2>/dev/null |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }') || true
    [ -n "$package" ] || skip 'apt knows no kernel package (apt-get update first?)'
    note "unpacking $package, once"
    rm -rf "$new"
    mkdir -p "$new/root" "$new/tree"/{bin,dev,proc,sys,lower,rw,new,m}
    (cd "$new" && apt-get -qq -o APT::Sandbox::User=root download "$package" >&2) ||
        skip "$package cannot be downloaded (apt-get update first?)"
    deb=$(echo "$new"/*.deb)
    # Not every pattern has to match.
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new/root" --wildcards --no-wildcards-match-slash \
        --transform 's,^\./usr/lib/,./lib/,' './boot/vmlinuz-*' './*lib/modules/*/modules.*' \
        './*lib/modules/*/kernel/'{arch,crypto,lib,net} \
        './*lib/modules/*/kernel/fs/'{9p,fscache,netfs,overlayfs,configfs} \
        './*lib/modules/*/kernel/drivers/'{virtio,char,dca,infiniband/{core,sw,ulp}} \
        './*lib/modules/*/kernel/drivers/net/*.ko*' 2>/dev/null || true
    version=$(ls "$new/root/lib/modules") && [ -n "$version" ] || skip "no modules in $package"
    depmod -b "$new/root" "$version" 2>/dev/null
    offset=$(grep -abo -m1 -P '\xfd7zXZ\x00' "$new/root/boot/vmlinuz-$version" | head -n1 | cut -d: -f1) || true
    [ -n "$offset" ] && tail -c +$((offset + 1)) "$new/root/boot/vmlinuz-$version" |
        xz -dcq --single-stream >"$new/kernel" 2>/dev/null ||
        cp "$new/root/boot/vmlinuz-$version" "$new/kernel"

    cp "$(command -v busybox)" "$new/tree/bin/busybox"
    for module in virtio_pci 9pnet_virtio 9p overlay virtio_console; do
        modprobe -d "$new/root" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' | while read -r module; do
        cp "$module" "$new/tree/m/"
        echo "${module##*/}" >>"$new/tree/m/order"
    done
    cat >"$new/tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
while read -r m; do insmod "/m/$m"; done </m/order
nine=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o ro,cache=loose,$nine root /lower
mount -t tmpfs tmpfs /rw; mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new
for d in dev proc sys; do mount --move /$d /new/$d; done
mount -t tmpfs tmpfs /new/run; mkdir -p /new/run/vm
mount -t 9p -o $nine control /new/run/vm
exec switch_root /new /bin/bash /run/vm/guest
INIT
    chmod +x "$new/tree/init"
    (cd "$new/tree" && find . | cpio -o -H newc --quiet) >"$new/initramfs"
    rm -rf "$new/tree" "$new/root/boot" "$deb" "$cache/vm"
    mv "$new" "$cache/vm"
}

# ---------------------------------------------------------------- in the guest, its first process

guest() {
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    . /run/vm/vars
    lay_out
    if [ "$init" = systemd ]; then become_systemd; fi
    run_command
}

lay_out() {
    local i
    mkdir -p /dev/pts /dev/shm /lib/modules
    ln -s /proc/self/fd /dev/fd
    for i in stdin=0 stdout=1 stderr=2; do ln -s "/proc/self/fd/${i#*=}" "/dev/${i%=*}"; done
    mount -t devpts devpts /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    mount --bind "$modules" /lib/modules
    hostname vm
    ulimit -l unlimited
    modprobe -a ib_uverbs rdma_ucm rdma_rxe veth sch_netem
    ip link set lo up
    ip link add ra type veth peer name rb
    ip addr add 10.77.0.1/24 dev ra
    ip addr add 10.77.0.2/24 dev rb
    ip link set ra up
    ip link set rb up
    sysctl -qw net.ipv4.conf.{ra,rb}.{accept_local=1,rp_filter=0,arp_ignore=1}
    ip rule add pref 1 iif ra lookup local
    ip rule add pref 2 iif rb lookup local
    ip rule add pref 3 to 10.77.0.2 lookup 101
    ip route add 10.77.0.2 dev ra src 10.77.0.1 table 101
    ip rule add pref 4 to 10.77.0.1 lookup 102
    ip route add 10.77.0.1 dev rb src 10.77.0.2 table 102
    ip rule add pref 5 lookup local
    ip rule del pref 0
    # The same for fd77::1 and fd77::2, whose neighbours nobody needs to look for.
    ip -6 addr add fd77::1/64 dev ra nodad
    ip -6 addr add fd77::2/64 dev rb nodad
    ip -6 neigh add fd77::2 dev ra lladdr "$(cat /sys/class/net/rb/address)" nud permanent
    ip -6 neigh add fd77::1 dev rb lladdr "$(cat /sys/class/net/ra/address)" nud permanent
    ip -6 rule add pref 1 iif ra lookup local
    ip -6 rule add pref 2 iif rb lookup local
    ip -6 rule add pref 3 to fd77::2 lookup 101
    ip -6 route add fd77::2 dev ra src fd77::1 table 101
    ip -6 rule add pref 4 to fd77::1 lookup 102
    ip -6 route add fd77::1 dev rb src fd77::2 table 102
    ip -6 rule add pref 5 lookup local
    ip -6 rule del pref 0
    rdma link add rxe_a type rxe netdev ra
    rdma link add rxe_b type rxe netdev rb
}

# The host's, with the host's units: what they would start is masked, but for the journal, and what
# makes more of them is not asked, which takes seconds at every daemon-reload. Without an identity of
# the machine, systemd would take this for its first boot and enable what it likes.
become_systemd() {
    local unit system=/run/systemd/system
    mkdir -p $system /etc/systemd/system
    rm -rf /etc/systemd/system/*.{wants,requires}
    rm -rf /usr/lib/systemd/system-generators /lib/systemd/system-generators
    rm -f /.dockerenv # it would take this for a container
    : >/etc/fstab
    [ -s /etc/machine-id ] || echo 5bec0ed9e00000000000000000000001 >/etc/machine-id
    for unit in /{usr/,}lib/systemd/system/*.target.wants/*; do
        case ${unit##*/} in
        systemd-journald* | '*' | *.target) ;;
        *) ln -sf /dev/null "$system/${unit##*/}" ;;
        esac
    done
    printf '%s\n' '[Unit]' 'Requires=basic.target' 'After=basic.target' 'Wants=vm-command.service' \
        >$system/vm-command.target
    printf '%s\n' '[Unit]' 'After=basic.target' '[Service]' 'Type=oneshot' 'TimeoutStartSec=infinity' \
        'ExecStart=/bin/bash /run/vm/command' >$system/vm-command.service
    exec /lib/systemd/systemd --unit=vm-command.target --show-status=no
}

run_command() {
    local i outs
    # COMMAND writes to pipes, as anywhere; what it says leaves by virtio ports.
    mkfifo /run/out /run/err
    cat /run/out >/dev/vport*p1 & outs=$!
    cat /run/err >/dev/vport*p2 & outs+=" $!"
    (. /run/vm/env; cd "$cwd"; exec "${argv[@]}") </dev/null >/run/out 2>/run/err
    echo $? >/run/vm/status
    for i in {1..20}; do kill -0 $outs 2>/dev/null || break; sleep 0.1; done # a daemon may hold one
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
}

# ---------------------------------------------------------------- one machine

# boot ACCEL SECONDS COMMAND...: leaves its exit status in $status.
boot() {
    local accel=$1 limit=$2 argv cwd=$PWD modules=$cache/vm/root/lib/modules rc=0 args pids
    local init=${SE_VM_INIT:-}
    shift 2
    argv=("$@")
    rm -f "$control"/*
    declare -p argv cwd init modules | sed 's/^declare /declare -g /' >"$control/vars"
    export -p >"$control/env"
    { declare -f guest lay_out become_systemd run_command; echo guest; } >"$control/guest"
    { declare -f run_command; echo '. /run/vm/vars; run_command'; } >"$control/command"
    # shellcheck disable=SC2054 # QEMU's commas
    args=(-accel tcg,thread=multi -cpu max,la57=off)
    [ "$accel" != kvm ] || args=(-accel kvm -cpu host)
    exec {out}> >(exec cat); pids=$!
    exec {err}> >(exec cat >&2); pids+=" $!"
    timeout -k 5 "$limit" qemu-system-x86_64 -M q35 "${args[@]}" \
        -smp "${SE_VM_CPUS:-$(nproc)}" -m "${SE_VM_MEM:-2048}" \
        -nodefaults -no-user-config -display none -no-reboot -serial "file:$control/console" \
        -kernel "$cache/vm/kernel" -initrd "$cache/vm/initramfs" \
        -append 'console=ttyS0 panic=-1 quiet tsc=reliable clocksource=tsc' \
        -virtfs 'local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap' \
        -virtfs "local,path=$control,mount_tag=control,security_model=none" \
        -device virtio-serial-pci \
        -chardev "file,id=out,path=/dev/fd/$out" -device virtserialport,chardev=out,nr=1 \
        -chardev "file,id=err,path=/dev/fd/$err" -device virtserialport,chardev=err,nr=2 \
        </dev/null >"$control/qemu" 2>&1 &
    vm=$!
    exec {out}>&- {err}>&-
    wait "$vm" 2>/dev/null || rc=$?
    vm=''
    # shellcheck disable=SC2086 # two numbers
    wait $pids || true
    status=125
    if [ -s "$control/status" ]; then
        status=$(cat "$control/status")
    elif [ $rc = 124 ] || [ $rc = 137 ]; then
        status=124
    fi
}

vm=''
control=$(mktemp -d "${TMPDIR:-/tmp}/specedge-vm.XXXXXX")
trap '[ -z "$vm" ] || kill "$vm" 2>/dev/null || true; rm -rf "$control"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p "$cache"
exec {lock}>"$cache/lock"
flock "$lock"
[ -e "$cache/vm/initramfs" ] || prepare
command -v qemu-system-x86_64 >/dev/null || skip 'no qemu-system-x86_64; on Debian: apt-get install qemu-system-x86'
accel=${SE_VM_ACCEL:-}
if [ -z "$accel" ]; then
    # A /dev/kvm that opens may yet not run a stock kernel (one within another): try it, once.
    verdict=$cache/accel-$(uname -r)
    if [ ! -s "$verdict" ]; then
        status=125
        [ ! -w /dev/kvm ] || boot kvm 20 true 2>/dev/null
        if [ "$status" = 0 ]; then echo kvm; else echo tcg; fi >"$verdict"
    fi
    accel=$(cat "$verdict")
fi
exec {lock}>&-

boot "$accel" "${SE_VM_TIMEOUT:-300}" "$@"
if [ "$status" = 125 ] || [ "$status" = 124 ] || [ -n "${SE_VM_VERBOSE:-}" ]; then
    note "accelerator $accel, exit status $status; the last lines of QEMU and of the console:"
    tail -n 30 "$control/qemu" "$control/console" 2>/dev/null | tr -d '\r' >&2 || true
fi
exit "$status"
