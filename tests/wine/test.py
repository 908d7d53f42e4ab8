#!/usr/bin/env python3
"""vnetprobe.exe under Wine against servers on loopback and on one address of this machine.

Run by scripts/windows in network, mount and process namespaces of its own: nothing here reaches
another machine, and nothing is left when it ends. Arguments: the folder of Debian's packages, the
folder of the program, a folder for Wine's drive C.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

ROOT, PROGRAM, PREFIX = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
HERE, DNS = "10.9.0.4", "10.9.0.53"
WORK = PREFIX.parent / "work"
shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir()
DRIVE = PREFIX / "drive_c"
WINE = {
    **os.environ,
    "WINEPREFIX": str(PREFIX),
    # Wine tells on standard error what it lacks (a display, for one); tests want the program's own.
    "WINEDEBUG": "-all",
    "WINEDLLOVERRIDES": "mscoree,mshtml,winedbg.exe=",
    "LD_LIBRARY_PATH": str(ROOT / "usr/lib/x86_64-linux-gnu"),
    "NO_COLOR": "1",
}
for name in list(WINE):
    if name.lower() in ("display", "https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        del WINE[name]
#: Longest wait for anything; only a broken program takes so long.
PATIENCE = 120
INTERNET = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings"
CONNECTIONS = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Internet Settings\Connections"
CONFIG = f"""[workspace]
cloud = "none"

[schedule]
interval = "1s"

[[probe]]
name = "open"
target = "tcp://{HERE}:8080"
scenarios = ["work"]

[[probe]]
name = "closed"
target = "tcp://{HERE}:9"
scenarios = ["work"]
"""


def wine(*arguments, cwd=WORK):
    """Runs a program of Windows to its end."""
    command = [ROOT / "usr/lib/wine/wine64", *arguments]
    # Not pipes: what Wine starts in the background would hold them open.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(command, env=WINE, cwd=cwd, stdout=out, stderr=err, timeout=PATIENCE)
        out.seek(0)
        err.seek(0)
        done.out, done.err = out.read().decode(), err.read().decode()
    return done


def vnetprobe(*arguments, cwd=WORK):
    return wine(PROGRAM / "vnetprobe.exe", *arguments, cwd=cwd)


def start(*arguments):
    command = [ROOT / "usr/lib/wine/wine64", PROGRAM / "vnetprobe.exe", *arguments]
    # Unread pipes would fill.
    said = open(WORK / "said", "wb")
    return subprocess.Popen(command, env=WINE, cwd=WORK, stdout=said, stderr=said)


def probe(*arguments):
    done = vnetprobe("probe", *arguments, "--format", "json")
    assert done.out.startswith("{"), f"{done.returncode}: {done.out}{done.err}"
    return done.returncode, json.loads(done.out)


def reg(*arguments):
    done = wine("reg", *arguments)
    assert done.returncode == 0, f"reg {arguments}: {done.out}{done.err}"


def until(what, wanted):
    """Asks until the answer is wanted, for as long as that may take at most."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = what()
        if wanted(answer):
            return answer
        assert time.monotonic() < end, f"never came: {getattr(answer, 'out', answer)}"
        time.sleep(0.1)


def get(path, at="127.0.0.1:19115"):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://{at}{path}", timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


# ------------------------------------------------------------------------------------------ world


def sh(command, **more):
    subprocess.run(command, shell=True, check=True, cwd=WORK, **more)


def network():
    sh(f"""set -e
ip link set lo up
ip link add v0 type veth peer name v1
ip addr add {HERE}/24 dev v0
ip addr add {DNS}/24 dev v0
ip link set v0 up
ip link set v1 up
echo nameserver {DNS} > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
""")


def certificates():
    """A CA that this machine trusts, where Wine takes Windows' root store from, and one it does not."""
    for ca, name in [("trusted", "tls.contoso.mil"), ("stranger", "inspected.contoso.mil")]:
        sh(f"""set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj '/CN=Contoso {ca} CA' \
  -addext basicConstraints=critical,CA:TRUE -keyout {ca}-ca.key -out {ca}-ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN={name}' -keyout {ca}.key -out {ca}.csr
printf 'subjectAltName=DNS:{name}\\n' > {ca}.ext
openssl x509 -req -in {ca}.csr -CA {ca}-ca.pem -CAkey {ca}-ca.key -CAcreateserial -days 90 -extfile {ca}.ext -out {ca}.pem
""", stderr=subprocess.DEVNULL)
    sh("mount --bind trusted-ca.pem /etc/ssl/certs/ca-certificates.crt")


class Proxy(threading.Thread):
    """Does what CONNECT says and remembers it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.asked = []
        self.socket = socket.create_server((HERE, 3128))
        self.start()

    def run(self):
        while True:
            client, _ = self.socket.accept()
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        place = head.split()[1].decode()
        self.asked.append(place)
        server = socket.create_connection((HERE, int(place.rsplit(":", 1)[1])))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self.pass_on, args=(client, server), daemon=True).start()
        self.pass_on(server, client)

    @staticmethod
    def pass_on(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def servers():
    names = "".join(
        f" --address=/{name}.contoso.mil/{HERE}" for name in ("tls", "inspected", "web")
    )
    sh(f"dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file "
       f"--listen-address={DNS} --bind-interfaces --local=/contoso.mil/{names}")
    (WORK / "nginx.conf").write_text(f"""
pid {WORK}/nginx.pid; error_log {WORK}/nginx.log; user root;
events {{}}
http {{
  access_log off;
  server {{ listen {HERE}:8080; listen 127.0.0.1:8080; return 200 "hello\\n"; }}
  server {{ listen {HERE}:443 ssl; listen 127.0.0.1:443 ssl; server_name tls.contoso.mil;
    ssl_certificate {WORK}/trusted.pem; ssl_certificate_key {WORK}/trusted.key; return 200 "hello\\n"; }}
  server {{ listen {HERE}:8443 ssl; server_name inspected.contoso.mil;
    ssl_certificate {WORK}/stranger.pem; ssl_certificate_key {WORK}/stranger.key; return 200 "hello\\n"; }}
}}
""")
    sh(f"nginx -c {WORK}/nginx.conf")


def windows():
    """A fresh drive C with what Debian leaves out of it."""
    shutil.rmtree(PREFIX, ignore_errors=True)
    system = DRIVE / "windows/system32"
    system.mkdir(parents=True)
    shutil.copy(ROOT / "usr/x86_64-w64-mingw32/lib/zlib1.dll", system)
    shutil.copy(PREFIX.parent / "bcryptprimitives.dll", system)
    done = wine("wineboot", "-i")
    assert done.returncode == 0, done.err
    reg("add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
    # Wine starts everything anew after the last program of a person, so there is always one.
    command = [ROOT / "usr/lib/wine/wine64", "cmd"]
    quiet = subprocess.DEVNULL
    person = subprocess.Popen(
        command, env=WINE, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet
    )
    return person


# ------------------------------------------------------------------------------------------ tests


class Offline(unittest.TestCase):
    def test_plan(self):
        done = vnetprobe("plan", "--set", "region=usgovvirginia", "--format", "json")
        self.assertEqual(done.returncode, 0, done.err)
        plan = json.loads(done.out)
        self.assertEqual(plan["schema"], "vnetprobe.plan/v1")
        hosts = [check["host"] for row in plan["requirements"] for check in row["checks"]]
        self.assertIn("login.microsoftonline.us", hosts)
        table = vnetprobe("plan")
        self.assertEqual(table.returncode, 0, table.err)
        self.assertIn("login.microsoftonline.us", table.out)

    def test_explain(self):
        done = vnetprobe("explain", "private_zone_not_linked")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertIn("private_zone_not_linked", done.out)
        self.assertEqual(vnetprobe("explain", "no_such_cause").returncode, 2)

    def test_validate_here_and_in_program_data(self):
        (WORK / "good.toml").write_text(CONFIG)
        done = vnetprobe("validate", "--config", "good.toml")
        self.assertEqual((done.returncode, done.out), (0, "ok\n"), done.err)
        place = DRIVE / "ProgramData/vnetprobe"
        place.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, place)
        (place / "probes.toml").write_bytes(b"[workspace]\r\nclod = \"none\"\r\n")
        done = vnetprobe("validate")
        self.assertEqual(done.returncode, 2, done.out)
        self.assertIn("C:\\ProgramData\\vnetprobe\\probes.toml:2:1", done.err)
        self.assertIn("cloud", done.err)


class Probing(unittest.TestCase):
    def one(self, *arguments, code=0):
        ended, report = probe(*arguments)
        self.assertEqual(ended, code, json.dumps(report, indent=1)[:6000])
        self.assertEqual(len(report["checks"]), 1)
        return report, report["checks"][0]

    def test_dns_servers_and_addresses_are_those_of_the_adapters(self):
        report, check = self.one("dns://tls.contoso.mil")
        self.assertEqual(report["vantage"]["dns_servers"], [f"{DNS}:53"])
        self.assertIn(HERE, report["vantage"]["addresses"])
        self.assertIn(HERE, json.dumps(check["evidence"]))
        _, check = self.one("dns://missing.contoso.mil", code=1)
        self.assertEqual(check["cause"], "dns_nxdomain")

    def test_connections(self):
        self.one("tcp://127.0.0.1:8080")
        _, check = self.one("tcp://127.0.0.1:9", code=1)
        self.assertEqual(check["cause"], "tcp_refused")
        _, check = self.one("tcp://192.0.2.1:443", code=4)
        self.assertEqual(check["cause"], "local_no_network")
        self.one("http://web.contoso.mil:8080/")

    def test_datagrams(self):
        # Not to a closed port: Wine wakes a datagram socket for an ICMP error and hands none over,
        # so the program asks it again and again.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind((HERE, 0))
            _, check = self.one(f"udp://{HERE}:{mute.getsockname()[1]}")
            self.assertEqual(check["cause"], "udp_no_evidence")
            self.assertEqual(mute.recv(16), b"\0")

    def test_handshakes_against_windows_root_store(self):
        _, check = self.one("tls.contoso.mil")
        self.assertEqual(check["status"], "pass")
        _, check = self.one("inspected.contoso.mil:8443", code=1)
        self.assertEqual(check["cause"], "tls_untrusted_issuer")
        self.one("inspected.contoso.mil:8443", "--ca-file", "stranger-ca.pem")

    def test_the_hosts_file_of_windows_counts(self):
        hosts = DRIVE / "windows/system32/drivers/etc/hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        before = hosts.read_bytes() if hosts.exists() else b""
        self.addCleanup(hosts.write_bytes, before)
        hosts.write_bytes(b"127.0.0.1 tls.contoso.mil\r\n")
        _, check = self.one("tls.contoso.mil", code=1)
        self.assertIn("hosts_file_override", json.dumps(check))


class WindowsProxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.proxy = Proxy()

    def through(self, target, *arguments):
        """What the proxy was asked for, and the proxy that the report names."""
        self.proxy.asked.clear()
        code, report = probe(target, *arguments)
        self.assertEqual(code, 0, json.dumps(report, indent=1)[:6000])
        return sorted(set(self.proxy.asked)), report["vantage"]["proxy"]

    def set(self, key, name, kind, value):
        reg("add", key, "/v", name, "/t", kind, "/d", value, "/f")
        self.addCleanup(wine, "reg", "delete", key, "/v", name, "/f")

    def test_internet_settings(self):
        self.assertEqual(self.through("tls.contoso.mil"), ([], None))
        self.set(INTERNET, "ProxyServer", "REG_SZ", f"http=x:1;https={HERE}:3128")
        self.set(INTERNET, "ProxyEnable", "REG_DWORD", "0")
        self.assertEqual(self.through("tls.contoso.mil"), ([], None))
        reg("add", INTERNET, "/v", "ProxyEnable", "/t", "REG_DWORD", "/d", "1", "/f")
        asked, url = ["tls.contoso.mil:443"], f"http://{HERE}:3128"
        self.assertEqual(self.through("tls.contoso.mil"), (asked, url))
        self.set(INTERNET, "ProxyOverride", "REG_SZ", "<local>;*.contoso.mil")
        self.assertEqual(self.through("tls.contoso.mil"), ([], url))

    def test_winhttp_settings(self):
        numbers = lambda *values: b"".join(value.to_bytes(4, "little") for value in values)
        server = f"{HERE}:3128".encode()
        blob = numbers(0x28, 0, 3, len(server)) + server + numbers(0)
        self.set(CONNECTIONS, "WinHttpSettings", "REG_BINARY", blob.hex())
        self.assertEqual(self.through("tls.contoso.mil"), (["tls.contoso.mil:443"], f"http://{HERE}:3128"))


class Daemon(unittest.TestCase):
    def test_check(self):
        (WORK / "small.toml").write_text(CONFIG)
        done = vnetprobe("check", "--config", "small.toml", "--format", "json")
        self.assertEqual(done.returncode, 1, done.err)
        causes = {c["id"].split("@")[0]: c["cause"] for c in json.loads(done.out)["checks"]}
        self.assertEqual(causes, {"open": None, "closed": "tcp_refused"})
        table = vnetprobe("check", "--config", "small.toml")
        self.assertIn("tcp_refused", table.out)

    def answers(self):
        until(lambda: get("/-/ready"), lambda answer: answer == (200, "ready"))
        status, page = get("/")
        self.assertEqual(status, 200)
        self.assertIn("tcp_refused", page)
        status, metrics = get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("\nvnetprobe_probe_success{", metrics)
        status, report = get("/api/v1/report")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(report)["vantage"]["dns_servers"], [f"{DNS}:53"])

    def test_serve_until_ctrl_c(self):
        (WORK / "small.toml").write_text(CONFIG)
        daemon = start("serve", "--config", "small.toml")
        self.addCleanup(daemon.kill)
        self.answers()
        daemon.send_signal(signal.SIGINT)
        self.assertEqual(daemon.wait(PATIENCE), 0, (WORK / "said").read_text())
        self.assertIn("stopping", (WORK / "said").read_text())
        self.assertEqual(get("/")[0], 0)


if __name__ == "__main__":
    person = None
    try:
        network()
        certificates()
        servers()
        person = windows()
        unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2, warnings="ignore")
    finally:
        if person:
            person.kill()
        shutil.rmtree(WORK, ignore_errors=True)
