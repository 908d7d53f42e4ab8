"""A far side: carries packets from the firewall to the servers, each a fixed time after it came.

Usage: far.py NAMESPACE_OF_SERVERS MILLISECONDS PORT. Begins in the firewall's namespace. When all
is up it listens at the port, in the servers' namespace. Replies go the usual way, so a round trip
takes that time once. Routes to the services' addresses lead here as long as this runs.
"""

import collections
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADER = 0x1001
CLONE_NEWNET = 0x40000000
# More telling than the usual routes, so these win and go with the interface.
SERVICES = ["172.16.0.0/16", "203.0.113.0/25", "203.0.113.128/25", "2001:db8::/65"]


def tun(name):
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN_WITHOUT_HEADER))
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return file


def enter(namespace):
    file = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(file, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"entering {namespace}")
    os.close(file)


def carry(source, sink, delay):
    waiting = collections.deque()
    while True:
        wait = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([source], [], [], wait)[0]:
            try:
                while True:
                    waiting.append((time.monotonic() + delay, os.read(source, 65536)))
            except BlockingIOError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(sink, waiting.popleft()[1])


namespace, milliseconds, port = sys.argv[1:]
source = tun("far")
for services in SERVICES:
    subprocess.run(["ip", "route", "add", services, "dev", "far"], check=True)
enter(namespace)
sink = tun("near")
ready = socket.create_server(("127.0.0.1", int(port)))
carry(source, sink, int(milliseconds) / 1000)
