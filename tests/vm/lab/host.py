# SPDX-License-Identifier: BSD-2-Clause
"""This host's side of the virtual machines: network, QEMU's processes and their priorities."""

import ctypes
import json
import os
import signal
import socket
import subprocess

PAGE_BYTES = 1 << 20
PR_SET_PDEATHSIG = 1


def command(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def make_network(count):
    """A bridge with a cable for each machine, in the network namespace this runs in."""
    command("ip", "link", "set", "lo", "up")
    command("ip", "link", "add", "bridge0", "type", "bridge", "forward_delay", "0")
    command("ip", "link", "set", "bridge0", "up")
    for number in range(1, count + 1):
        command("ip", "tuntap", "add", "cable%d" % number, "mode", "tap")
        command("ip", "link", "set", "cable%d" % number, "master", "bridge0", "up")


def remove_network(count):
    for name in ["cable%d" % number for number in range(1, count + 1)] + ["bridge0"]:
        subprocess.run(["ip", "link", "delete", name], stderr=subprocess.DEVNULL, check=False)


def plug_cable(number, plugged):
    command("ip", "link", "set", "cable%d" % number, "up" if plugged else "down")


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_qemu(directory, images, disk, number, khz, rtc):
    """A machine without KVM.  Its kernel takes khz for the frequency of the TSC and has no other
    clock to find out by, which is how its clock comes to run wrong without adjtimex showing it."""
    with open(directory + "/page", "wb") as page:
        page.truncate(PAGE_BYTES)
    kernel = [
        "root=/dev/nvme0n1 rw console=ttyS0 quiet mitigations=off net.ifnames=0 audit=0",
        "apparmor=0 nokaslr no_timer_check tsc_early_khz=%d tsc=reliable nohpet pmtmr=0" % khz,
        "clocksource=tsc",
        "systemd.hostname=vm%d systemd.machine_id=%032x" % (number, 0xB0000 + number),
        "vm.address=10.77.0.%d/24 systemd.show_status=0" % number,
    ]
    arguments = [
        "qemu-system-x86_64", "-name", "vm%d,debug-threads=on" % number,
        "-accel", "tcg,tb-size=128", "-M", "pc,hpet=off", "-cpu", "qemu64,+rdrand",
        "-m", "256", "-smp", "1", "-nodefaults", "-display", "none",
        "-rtc", "base=%s,clock=host" % rtc,
        "-kernel", images + "/vmlinuz", "-append", " ".join(kernel),
        "-drive", "if=none,id=disk,format=raw,snapshot=on,cache=unsafe,file=%s/%s" %
        (images, disk),
        "-device", "nvme,drive=disk,serial=disk",
        "-serial", "file:%s/console" % directory,
        "-netdev", "tap,id=cable,ifname=cable%d,script=no,downscript=no" % number,
        "-device", "virtio-net-pci,netdev=cable,mac=52:54:00:77:00:%02x,romfile=" % number,
        "-object", "memory-backend-file,id=page,size=%d,mem-path=%s/page,share=on"
        % (PAGE_BYTES, directory),
        "-device", "ivshmem-plain,memdev=page", "-device", "virtio-serial-pci",
        "-qmp", "unix:%s/qmp,server=on,wait=off" % directory,
    ]
    for port in range(2):
        path = "%s/port%d" % (directory, port)
        arguments += ["-chardev", "socket,id=port%d,path=%s,server=on,wait=off" % (port, path),
                      "-device", "virtserialport,chardev=port%d,name=vm.%d" % (port, port)]
    with open(directory + "/qemu", "w") as said:
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=said,
                                preexec_fn=die_with_parent)


def may_take_precedence():
    """Over other processes, as not all containers may."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def set_real_time(process, on):
    """Nothing else on this host then delays the machine's packets.  Its device threads are above
    its processor's: a busy machine must not starve its own timers.  Only once it has booted."""
    for thread in os.listdir("/proc/%d/task" % process.pid):
        with open("/proc/%d/task/%s/comm" % (process.pid, thread)) as name:
            priority = 1 if name.read().startswith("CPU") else 2
        policy = os.SCHED_RR if on else os.SCHED_OTHER
        os.sched_setscheduler(int(thread), policy, os.sched_param(priority if on else 0))


def qmp(directory, word):
    """A command to QEMU itself: stop, cont, system_reset."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(directory + "/qmp")
        stream = connection.makefile("rw")
        stream.readline()
        for execute in ("qmp_capabilities", word):
            stream.write(json.dumps({"execute": execute}) + "\n")
            stream.flush()
            while "return" not in (answer := json.loads(stream.readline())):
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (word, answer))
