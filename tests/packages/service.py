"""The service of the installed package, on a machine that systemd has booted: tests/packages/deb runs this there.

Each step is what an operator does by the guide, or what the unit promises. The first thing that is not as it should be ends it.
"""

import json
import os
import pathlib
import pwd
import resource
import subprocess
import time
import urllib.request

CONFIG = pathlib.Path("/etc/paystream/paystream.toml")
CREDENTIALS = pathlib.Path("/etc/paystream/credentials")
# The same configuration for root, who can read the files themselves.
ROOTS = pathlib.Path("/root/paystream.toml")
SETTINGS = """
[[source]]
name = "stripe"
provider = "stripe"
secrets = ["credential:secret_stripe"]
[[access.key]]
kid = "k1"
algorithm = "HS256"
secret = "credential:secret_token-key"
realms = ["default"]
[admin]
token = "credential:secret_admin"
"""


def run(*command, ok=True):
    """What a command prints. Fails if it does, or, with ok=False, if it does not."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if (done.returncode == 0) != ok:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal()}")
    return done.stdout.strip()


def journal():
    return subprocess.run(["journalctl", "--no-pager", "-n", "60"], capture_output=True, text=True, check=False).stdout


def shown(name):
    """A property of the service."""
    return run("systemctl", "show", "paystream", "--property", name, "--value")


def expect(what, holds, seconds=30):
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not in time: {what}\n{run('systemctl', 'status', 'paystream', '--no-pager', ok=shown('ActiveState') == 'active')}\n{journal()}")
        time.sleep(0.05)
    print(f"ok: {what}", flush=True)


def answer(url, token=None):
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read().decode()


def snapshot(base="http://127.0.0.1:8080"):
    token = run("paystream", "token", "--config", str(ROOTS), "--payment", "pi_1")
    return json.loads(answer(f"{base}/v1/payments/pi_1", token))


def status_of_process(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def configure(text):
    CONFIG.write_text(text)
    ROOTS.write_text(text.replace("credential:secret_", f"file:{CREDENTIALS}/"))


def installed():
    assert CREDENTIALS.stat().st_mode & 0o777 == 0o700 and CREDENTIALS.stat().st_uid == 0
    assert pwd.getpwnam("paystream").pw_shell.endswith("nologin")
    assert shown("ActiveState") == "inactive", "an installation starts nothing"
    assert "paystream-serve" in run("man", "--path", "paystream-serve", ok=True) if pathlib.Path("/usr/bin/man").exists() else True
    for path in ["bash-completion/completions/paystream", "zsh/vendor-completions/_paystream", "fish/vendor_completions.d/paystream.fish"]:
        assert pathlib.Path("/usr/share", path).stat().st_size > 1000, path
    print("ok: the package is installed, and has started nothing")


def a_payment_by_the_service():
    for name, secret in [("stripe", "whsec_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x"), ("token-key", os.urandom(32).hex()), ("admin", os.urandom(16).hex())]:
        (CREDENTIALS / name).write_text(secret)
        (CREDENTIALS / name).chmod(0o600)
    configure(CONFIG.read_text() + SETTINGS)
    run("systemctl", "start", "paystream")
    assert answer("http://127.0.0.1:9090/readyz") == "ready\n", "systemctl returned before it was ready"
    assert shown("StatusText") == "serving"
    run("paystream", "trigger", "--config", str(ROOTS), "--source", "stripe", "--payment", "pi_1", "--fast")
    expect("a payment is captured through the service", lambda: snapshot()["status"] == "captured")


def open_files():
    """What the unit asks for, or less where systemd itself may not have as many."""
    may_raise = int(status_of_process(1)["CapEff"], 16) >> 24 & 1
    most = resource.prlimit(1, resource.RLIMIT_NOFILE)[1]
    return 131072 if may_raise else min(131072, most)


def confined():
    pid = shown("MainPID")
    status = status_of_process(pid)
    user = pwd.getpwnam("paystream").pw_uid
    assert status["Uid"].split()[0] == str(user), status["Uid"]
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, status
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
    for path in ["/etc", "/usr/bin", "/home", "/"]:
        made = subprocess.run(["nsenter", "--mount", "--target", pid, "touch", f"{path}/x"], capture_output=True, check=False)
        assert made.returncode != 0, f"{path} can be written"
    secret = subprocess.run(["setpriv", "--reuid", str(user), "--clear-groups", "cat", str(CREDENTIALS / "stripe")], capture_output=True, check=False)
    assert secret.returncode != 0, "the gateway's user reads the credentials by itself"
    metrics = answer("http://127.0.0.1:9090/metrics")
    for expected in [f"process_max_fds {open_files()}", "process_start_time_seconds "]:
        assert expected in metrics, expected
    assert pathlib.Path("/var/lib/paystream/data").stat().st_mode & 0o777 == 0o700
    print("ok: it runs without a capability, behind a filter of system calls, on a file system that it cannot write to")


def reloaded():
    good = CONFIG.read_text()
    configure(good.replace("\n[admin]", '\n[stream]\nmax_age = "10m"\n[admin]'))
    run("systemctl", "reload", "paystream")
    expect("a reload is told", lambda: shown("StatusText") == "serving" and shown("ActiveState") == "active")
    CONFIG.write_text("[listen")
    run("systemctl", "reload", "paystream")
    expect("a refused reload is told", lambda: "refused" in shown("StatusText") and shown("ActiveState") == "active")
    configure(good)
    run("systemctl", "reload", "paystream")
    expect("and is mended", lambda: shown("StatusText") == "serving")


def watched():
    drop_in = pathlib.Path("/etc/systemd/system/paystream.service.d/watchdog.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "paystream")
    before = shown("MainPID")
    time.sleep(5)
    assert shown("MainPID") == before, "a gateway that works was restarted"
    os.kill(int(before), 19)
    expect("the watchdog restarts a gateway that hangs", lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active")
    assert snapshot()["status"] == "captured", "nothing is lost by it"
    drop_in.unlink()
    run("systemctl", "daemon-reload")


def activated():
    run("systemctl", "stop", "paystream")
    assert shown("Result") == "success", "it ends by itself within its drain"
    run("systemctl", "start", "paystream-public.socket")
    assert shown("ActiveState") == "inactive"
    # The first request starts the service.
    assert snapshot("http://127.0.0.1:443")["status"] == "captured"
    assert shown("ActiveState") == "active"
    print("ok: the first request to port 443 starts the service, whose user could not open it")
    restarting = subprocess.Popen(["systemctl", "restart", "paystream"])
    asked = 0
    while restarting.poll() is None:
        assert snapshot("http://127.0.0.1:443")["status"] == "captured"
        asked += 1
    assert restarting.returncode == 0 and asked > 0
    print(f"ok: none of {asked} requests was refused during a restart")


def mistaken():
    run("systemctl", "stop", "paystream-public.socket", "paystream")
    good = CONFIG.read_text()
    CONFIG.write_text('[store]\npaht = "x"\n')
    run("systemctl", "start", "paystream", ok=False)
    time.sleep(2.5)
    assert shown("ActiveState") == "failed" and shown("NRestarts") == "0", shown("NRestarts")
    assert "did you mean path?" in journal()
    configure(good)
    run("systemctl", "reset-failed", "paystream")
    print("ok: a mistake in the configuration is logged, and not tried again")


def removed():
    run("systemctl", "start", "paystream")
    # The same package again, as an upgrade.
    run("dpkg", "--install", "/paystream.deb")
    expect("an upgrade starts the service anew", lambda: shown("ActiveState") == "active" and snapshot()["status"] == "captured")
    assert SETTINGS in CONFIG.read_text(), "an upgrade keeps the configuration"
    run("dpkg", "--purge", "paystream")
    assert not CONFIG.exists() and not pathlib.Path("/usr/bin/paystream").exists()
    assert pathlib.Path("/var/lib/paystream/data").is_dir() and (CREDENTIALS / "stripe").exists()
    print("ok: a purge removes the program and leaves the payments")


for step in [installed, a_payment_by_the_service, confined, reloaded, watched, activated, mistaken, removed]:
    step()
