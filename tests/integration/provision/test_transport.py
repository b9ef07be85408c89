"""SSH to real hosts: who they are is proved first, bytes arrive, and nothing waits for ever."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provision.errors import HostKeyError, InputError, UnreachableError
from provision.transport import (
    CommandTimeoutError,
    ConnectionLostError,
    Session,
    SudoError,
    Target,
    Timeouts,
    parse_host_key,
    run_on,
)
from tests.support.rig.client import GUEST, OPERATOR, PASSWORD, Host, Rig
from tests.support.rig.reach import Reachable, reach

OTHER_KEY = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDd7XhJ3yUeBmzSxTSuyQ0FZ2Y0b7kI4cUaG8gqJ9h3n",)
SECONDS_UNTIL_DEAD = 10


def wait_until_gone(host: Host, pattern: str) -> None:
    """Wait until no process of the host has `pattern` in its command line."""
    deadline = time.monotonic() + SECONDS_UNTIL_DEAD
    while (found := host.sh(f"pgrep -af '{pattern}' | grep -v pgrep || true")) != "":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


# --- commands ---


def test_a_command_gets_its_arguments_and_input_as_they_are(sshd: Reachable) -> None:
    """Nothing is expanded, split or decoded on the way."""
    argv = ["printf", "%s|", "a b", "$HOME", "it's", "`id`", "*", "\n", "é"]
    with Session(reach(sshd)) as session:
        assert session.run(argv).stdout == "a b|$HOME|it's|`id`|*|\n|é|".encode()
        assert session.run(["cat"], stdin=b"\x00\xff\r\n\x03\x04").stdout == b"\x00\xff\r\n\x03\x04"


def test_a_commands_end_is_returned_whatever_it_is(sshd: Reachable) -> None:
    """Exit status, output and errors stay apart; a signal counts as a shell counts it."""
    with Session(reach(sshd)) as session:
        done = session.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
        assert (done.exit_status, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
        assert session.run(["sh", "-c", "kill -9 $$"]).exit_status == 128 + signal.SIGKILL
        assert session.run(["/nonexistent"]).exit_status == 127


def test_the_environment_is_fixed(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Settings of the engineer's own account have no say, nor have fabric's or ssh's files."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host *\n  User nobody\n  Port 1\n  ProxyCommand false\n")
    (tmp_path / ".fabric.yaml").write_text("user: nobody\nport: 1\nconnect_kwargs: {password: x}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("FABRIC_PORT", "1")
    with Session(reach(host)) as session:
        lines = session.run(["env"]).stdout.decode().splitlines()
        assert session.run(["id", "-un"]).stdout == b"admin\n"
    assert "LC_ALL=C" in lines
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in lines


def test_large_input_and_output_arrive_whole_from_many_threads(sshd: Reachable) -> None:
    """20 MB go in and come out of ten sessions at once, and each gets its own."""
    block = bytes(range(256)) * 4096

    def echo(session: Session) -> bool:
        data = os.urandom(16) + block * 20
        return session.run(["cat"], stdin=data, timeout=120).stdout == data

    outcomes = run_on([reach(sshd)] * 10, echo)
    assert [outcome.value for outcome in outcomes] == [True] * 10


def test_both_outputs_at_once_do_not_block_each_other(sshd: Reachable) -> None:
    """A command that fills standard error while its output is read comes to its end."""
    script = "head -c 8000000 /dev/zero >&2; head -c 8000000 /dev/zero; cat >/dev/null"
    with Session(reach(sshd)) as session:
        done = session.run(["sh", "-c", script], stdin=bytes(5_000_000), timeout=60)
    assert (len(done.stdout), len(done.stderr)) == (8_000_000, 8_000_000)


def test_a_command_may_end_without_reading_its_input(sshd: Reachable) -> None:
    """Input that nobody wants is no error."""
    with Session(reach(sshd)) as session:
        assert session.run(["true"], stdin=bytes(20_000_000)).exit_status == 0


def test_a_question_and_its_answer_take_less_than_100_ms(host: Host) -> None:
    """One round trip as root, as looking at a host makes it, is not slowed by small packets."""
    with Session(reach(host)) as session:
        times = []
        for _ in range(10):
            started = time.monotonic()
            done = session.run_as_root(b"stat /etc/passwd\nsha256sum /etc/passwd\n")
            times.append(time.monotonic() - started)
            assert done.exit_status == 0
    assert sorted(times)[len(times) // 2] < 0.1


# --- who the host is ---


def test_an_unknown_host_is_refused_with_its_fingerprint(sshd: Reachable) -> None:
    """The error says which key was shown, and the hint how to pin it."""
    with pytest.raises(HostKeyError, match="no key of it is known") as refused:
        Session(reach(sshd, host_keys=())).__enter__()
    assert parse_host_key(sshd.host_keys[0]).fingerprint in refused.value.message
    assert sshd.host_keys[0] in (refused.value.hint or "")


def test_a_host_with_another_key_than_pinned_is_refused(sshd: Reachable) -> None:
    """Both fingerprints stand in the error, and nothing reached the host's log as a login."""
    with pytest.raises(HostKeyError, match=r"shows ssh-ed25519 SHA256:\S+, but its known key is"):
        Session(reach(sshd, host_keys=OTHER_KEY)).__enter__()


def test_a_changed_host_key_is_refused(fresh_rig: Rig) -> None:
    """A host that was reached before and shows a new key is not reached again."""
    host = fresh_rig.start("db1")
    with Session(reach(host)) as session:
        session.run(["true"])
    host.sh("cd /etc/ssh && rm ssh_host_*; ssh-keygen -qt ed25519 -N '' -f ssh_host_ed25519_key")
    host.restart_sshd()
    with pytest.raises(HostKeyError, match="but its known key"):
        Session(reach(host)).__enter__()


@pytest.mark.parametrize("number", [0, 1])
def test_any_of_a_hosts_keys_may_be_pinned(sshd: Reachable, number: int) -> None:
    """The server shows the kind of key that is known, though it would prefer another."""
    with Session(reach(sshd, host_keys=(sshd.host_keys[number],))) as session:
        assert session.run(["true"]).exit_status == 0


def test_keys_come_from_known_hosts_files(host: Host, tmp_path: Path) -> None:
    """Without pinned keys the files decide; a revoked key is refused although it is listed."""
    known = tmp_path / "known_hosts"
    target = replace(reach(host, host_keys=()), known_hosts=(known,))
    known.write_text(f"{host.address} {host.host_keys[0]}\n")
    with Session(target) as session:
        assert session.run(["true"]).exit_status == 0
    known.write_text(f"{host.name} {OTHER_KEY[0]}\n")
    with pytest.raises(HostKeyError, match="but its known key"):
        Session(target).__enter__()
    known.write_text(f"{host.name} {host.host_keys[0]}\n@revoked * {host.host_keys[0]}\n")
    with pytest.raises(HostKeyError, match="revoked"):
        Session(target).__enter__()


def test_a_gateways_key_is_checked_too(host: Host, bastion: Host) -> None:
    """A gateway that shows another key gets no connection, so it sees none to the host."""
    for keys in ((), OTHER_KEY):
        gateway = reach(bastion, host_keys=keys)
        with pytest.raises(HostKeyError, match="bastion: "):
            Session(reach(host, gateway=gateway)).__enter__()


def test_a_host_behind_a_gateway_proves_itself(host: Host, bastion: Host) -> None:
    """A good gateway cannot vouch for the host behind it."""
    gateway = reach(bastion)
    with Session(reach(host, gateway=gateway)) as session:
        assert session.run(["hostname"]).stdout == b"db1\n"
    for keys in ((), OTHER_KEY):
        with pytest.raises(HostKeyError, match="db1: "):
            Session(reach(host, host_keys=keys, gateway=gateway)).__enter__()


def test_hosts_behind_one_gateway_share_its_connection(host: Host, bastion: Host) -> None:
    """Twenty hosts behind a gateway that lets two logins wait cost it one login."""
    target = reach(host, gateway=reach(bastion))
    logins = "pgrep -fc '^sshd: admin$'"
    outcomes = run_on([target] * 8, lambda _: bastion.sh(logins))
    assert {outcome.value for outcome in outcomes} == {"1"}


# --- who we are ---


def test_a_login_that_is_refused_names_the_keys(host: Host, tmp_path: Path) -> None:
    """The engineer sees which user and which keys were tried."""
    target = reach(host, user="nobody")
    with pytest.raises(UnreachableError, match="nobody may not log in") as refused:
        Session(target).__enter__()
    assert str(target.identities[0]) in (refused.value.hint or "")
    with pytest.raises(UnreachableError, match="may not log in"):
        Session(replace(target, identities=())).__enter__()
    with pytest.raises(InputError, match="cannot be read"):
        Session(replace(target, identities=(tmp_path / "absent",))).__enter__()


# --- sudo ---


def test_root_without_a_password(host: Host) -> None:
    """A script runs as root, or as another user, and may read what only it may."""
    with Session(reach(host)) as session:
        done = session.run_as_root(b"id -un; wc -l </etc/shadow; echo oops >&2; exit 3")
        assert done.stdout.startswith(b"root\n")
        assert (done.exit_status, done.stderr) == (3, b"oops\n")
        assert session.run_as("postgres", b"id -un").stdout == b"postgres\n"


def test_root_by_a_password(host: Host) -> None:
    """The password is asked for once a script, and is neither in the script's input nor output."""
    asked: list[str] = []

    def ask(target: Target) -> str:
        asked.append(target.name)
        return PASSWORD

    with Session(reach(host, user=OPERATOR), password=ask) as session:
        done = session.run_as_root(b"id -un; cat")
        assert (done.stdout, done.stderr, asked) == (b"root\n", b"", ["db1"])


def test_a_password_that_nobody_asks_for_stays_here(host: Host) -> None:
    """Where sudo needs none, none is sent: it would be the script's first line."""

    def never(target: Target) -> str:
        raise AssertionError

    with Session(reach(host), password=never) as session:
        assert session.run_as_root(b"id -un").stdout == b"root\n"


def test_a_wrong_password_is_tried_once(host: Host) -> None:
    """sudo's second and third question get no answer, so one mistake does not lock anyone out."""
    with Session(reach(host, user=OPERATOR), password=lambda _: "wrong") as session:
        with pytest.raises(SudoError, match="refuses the password of operator") as refused:
            session.run_as_root(b"touch /root/was-here")
        assert "wrong" not in f"{refused.value} {refused.value.hint}"
    assert host.run("test -e /root/was-here").returncode == 1


def test_a_password_that_is_needed_is_said(host: Host) -> None:
    """Without one at hand sudo fails at once instead of waiting for a terminal."""
    said = pytest.raises(SudoError, match="asks for the password of operator")
    with Session(reach(host, user=OPERATOR)) as session, said:
        session.run_as_root(b"true")


def test_a_user_who_may_not_use_sudo(host: Host) -> None:
    """It is said whether or not the password is right."""
    said = pytest.raises(SudoError, match="guest may not use sudo")
    with Session(reach(host, user=GUEST), password=lambda _: PASSWORD) as session, said:
        session.run_as_root(b"true")


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_sudo_that_wants_a_terminal(host: Host, password: str | None) -> None:
    """The error names the setting to change."""
    host.write("/etc/sudoers.d/tty", "Defaults:operator requiretty\n", mode="440")
    ask = None if password is None else lambda _: password
    said = pytest.raises(SudoError, match="wants a terminal")
    try:
        with Session(reach(host, user=OPERATOR), password=ask) as session, said as refused:
            session.run_as_root(b"true")
    finally:
        host.sh("rm /etc/sudoers.d/tty")
    assert "!requiretty" in (refused.value.hint or "")


def test_a_host_without_sudo(host: Host) -> None:
    """Its absence is named; root himself needs none."""
    host.sh("mv /usr/bin/sudo /usr/bin/sudo.away")
    try:
        with Session(reach(host)) as session, pytest.raises(SudoError, match="there is no sudo"):
            session.run_as_root(b"true")
        with Session(reach(host, user="root")) as session:
            assert session.run_as_root(b"id -un").stdout == b"root\n"
    finally:
        host.sh("mv /usr/bin/sudo.away /usr/bin/sudo")


def test_a_secret_in_a_script_is_in_no_process_list(host: Host) -> None:
    """While the script runs, no command line or environment on the host holds its text."""
    script = b"secret=canary-4711\nsleep 3 & wait\n"
    with Session(reach(host)) as session:
        runner = threading.Thread(target=session.run_as_root, args=(script,))
        runner.start()
        time.sleep(1)
        found = host.sh(
            "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | grep -ac '[c]anary-4711' || true"
        )
        runner.join()
    assert found == "0"


# --- time ---


def test_a_command_that_takes_too_long_is_killed_on_the_host(host: Host) -> None:
    """Also what it started, and also what root runs."""
    with Session(reach(host)) as session:
        started = time.monotonic()
        with pytest.raises(CommandTimeoutError, match="killed there"):
            session.run(["sh", "-c", "sleep 61.5 & sleep 61.5"], timeout=0.5)
        with pytest.raises(CommandTimeoutError, match="killed there"):
            session.run_as_root(b"sleep 61.5 & sleep 61.5", timeout=0.5)
        assert time.monotonic() - started < 5
        assert session.run(["true"]).exit_status == 0
    wait_until_gone(host, "sleep 61.5")


def test_a_command_that_does_not_listen_is_killed(host: Host) -> None:
    """Who ignores SIGTERM gets SIGKILL five seconds later."""
    script = b"trap '' TERM; sleep 62.5; sleep 62.5"
    with Session(reach(host)) as session, pytest.raises(CommandTimeoutError):
        session.run_as_root(script, timeout=0.5)
    wait_until_gone(host, "sleep 62.5")


def test_an_exit_status_of_timeouts_own_is_just_a_status(sshd: Reachable) -> None:
    """A command that ends early with 124 was not killed."""
    with Session(reach(sshd)) as session:
        assert session.run(["sh", "-c", "exit 124"]).exit_status == 124


def test_the_time_for_a_host_bounds_all_its_commands(host: Host) -> None:
    """A command gets what is left of it, and after it none is started."""
    with Session(reach(host, timeouts=Timeouts(whole=1.5))) as session:
        with pytest.raises(CommandTimeoutError):
            session.run(["sleep", "63.5"], timeout=60)
        with pytest.raises(CommandTimeoutError, match="time for this host"):
            session.run(["true"])
    wait_until_gone(host, "sleep 63.5")


def test_a_host_that_is_not_there(host: Host) -> None:
    """A closed port and an address without a host are told apart from a refused login."""
    with pytest.raises(UnreachableError, match=r"does not answer: .*refused"):
        Session(replace(reach(host), port=1)).__enter__()
    absent = replace(reach(host, timeouts=Timeouts(connect=0.5)), address="10.77.99.99")
    with pytest.raises(UnreachableError, match="does not answer"):
        Session(absent).__enter__()


def test_a_host_that_only_the_gateway_cannot_reach(host: Host, bastion: Host) -> None:
    """The error names the gateway."""
    target = replace(reach(host, gateway=reach(bastion)), port=1)
    with pytest.raises(UnreachableError, match="does not answer through bastion"):
        Session(target).__enter__()


def test_a_server_that_does_not_say_who_it_is(host: Host) -> None:
    """An open port behind which nobody speaks costs the banner's time and no more."""
    with listening(host, "sleep 20"):
        started = time.monotonic()
        target = replace(reach(host, timeouts=Timeouts(banner=0.7)), port=2222)
        with pytest.raises(UnreachableError, match="no session with"):
            Session(target).__enter__()
        assert time.monotonic() - started < 3


def test_a_server_that_is_slow_to_say_who_it_is(host: Host) -> None:
    """A delay within the limits is waited for."""
    target = replace(reach(host), port=2222)
    slow = listening(host, "sleep 1; exec /usr/sbin/sshd -i")
    with slow, Session(target) as session:
        assert session.run(["true"]).exit_status == 0


@contextmanager
def listening(host: Host, script: str) -> Iterator[None]:
    """Answer connections to port 2222 of the host with a script."""
    program = (
        "import socketserver, subprocess\n"
        "class Handler(socketserver.BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        wire = self.request\n"
        f"        subprocess.run(['sh', '-c', {script!r}], stdin=wire, stdout=wire)\n"
        "socketserver.ThreadingTCPServer.allow_reuse_address = True\n"
        "socketserver.ThreadingTCPServer(('', 2222), Handler).serve_forever()\n"
    )
    host.write("/tmp/listen.py", program)
    host.sh("setsid python3 /tmp/listen.py >/dev/null 2>&1 & echo $! >/tmp/listen.pid")
    host.sh("until ss -Hltn 'sport = :2222' | grep -q .; do sleep 0.01; done")
    try:
        yield
    finally:
        host.sh("kill $(cat /tmp/listen.pid)")


# --- trouble ---


def test_a_busy_server_is_asked_again(fresh_rig: Rig) -> None:
    """Twenty sessions at once succeed at an sshd that drops all but two that are logging in."""
    host = fresh_rig.start("db1")
    host.restart_sshd("MaxStartups=2:100:2")
    outcomes = run_on([reach(host)] * 20, lambda session: session.run(["id", "-un"]), parallel=20)
    assert [outcome.value and outcome.value.stdout for outcome in outcomes] == [b"admin\n"] * 20


def test_a_server_that_drops_every_connection_is_given_up(host: Host) -> None:
    """After a while the error says what to look at."""
    with listening(host, "true"):
        target = replace(reach(host, timeouts=Timeouts(busy=1)), port=2222)
        with pytest.raises(UnreachableError, match="ends every connection") as refused:
            Session(target).__enter__()
    assert "MaxStartups" in (refused.value.hint or "")


def test_a_refused_login_is_not_repeated(fresh_rig: Rig) -> None:
    """A login is tried once: repetition locks accounts."""
    host = fresh_rig.start("db1")
    host.sh("kill $(cat /run/sshd.pid); /usr/sbin/sshd -E /tmp/sshd.log -o LogLevel=VERBOSE")
    with pytest.raises(UnreachableError):
        Session(reach(host, user="nobody")).__enter__()
    assert host.sh("grep -c '^Connection from' /tmp/sshd.log") == "1"


def test_a_server_killed_in_the_middle(host: Host) -> None:
    """The end of the connection is noticed at once, and is no exit status."""
    with Session(reach(host)) as session:
        killer = threading.Timer(0.5, host.sh, args=("pkill -KILL -f '^[s]shd: admin'",))
        killer.start()
        started = time.monotonic()
        with pytest.raises(ConnectionLostError, match="before the command did"):
            session.run(["sleep", "3.5"])
        assert time.monotonic() - started < 3
        killer.join()
        with pytest.raises(UnreachableError, match="connection is closed"):
            session.run(["true"])


def test_more_channels_than_the_server_allows(fresh_rig: Rig) -> None:
    """MaxSessions 1 is enough for one command after another."""
    host = fresh_rig.start("db1")
    host.restart_sshd("MaxSessions=1")
    with Session(reach(host)) as session:
        for _ in range(5):
            assert session.run(["true"]).exit_status == 0


# --- many hosts ---


def test_outcomes_come_in_the_order_of_the_hosts(sshd: Reachable) -> None:
    """A host that fails is an outcome among others, in its place."""
    whoami = f"{sshd.login}\n".encode()
    good = reach(sshd)
    bad = replace(good, name="absent", port=1)
    seen: list[str] = []
    outcomes = run_on(
        [good, bad, good],
        lambda session: session.run(["id", "-un"]).stdout,
        finished=lambda outcome: seen.append(outcome.target.name),
    )
    assert [outcome.value for outcome in outcomes] == [whoami, None, whoami]
    assert isinstance(outcomes[1].error, UnreachableError)
    assert sorted(seen) == sorted([good.name, "absent", good.name])


def test_no_more_hosts_at_once_than_allowed(sshd: Reachable) -> None:
    """The bound holds, however many hosts there are."""
    lock = threading.Lock()
    now, most = 0, 0

    def work(session: Session) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        session.run(["sleep", "0.1"])
        with lock:
            now -= 1

    run_on([reach(sshd)] * 9, work, parallel=3)
    assert most == 3


def test_a_mistake_in_the_work_is_raised(sshd: Reachable) -> None:
    """Only what happens to hosts becomes an outcome."""

    def mistaken(session: Session) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_on([reach(sshd)] * 3, mistaken)


def test_an_interrupt_ends_every_session(sshd: Reachable) -> None:
    """Ctrl-C comes back at once, no further host is begun, and no thread stays."""
    begun: list[int] = []

    def work(session: Session) -> None:
        begun.append(1)
        session.run(["sleep", "8.25"])

    threading.Timer(1.0, os.kill, args=(os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_on([reach(sshd)] * 6, work, parallel=2)
    assert time.monotonic() - started < 4
    assert len(begun) == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssh-")]
