"""Kills: of the program in the middle, and of the server under it; and two programs at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

from evals.scripted_model import Answer, ScriptedModel, call
from tests.interfaces.cli.conftest import Home, model_settings


def server_pid(home: Home) -> int | None:
    try:
        return int((home.path / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    except (OSError, IndexError):
        return None


def wait_until(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_kills_are_recovered_from(new_home: Callable[[], Home], model: ScriptedModel) -> None:
    home = replace(new_home(), environment=model_settings(model))

    # The program, in the middle of a turn that has written: what was done is there, the rest is named.
    model.script(call("create_contact", email="ada@example.org"), Answer(text="late", delay=60))
    with home.started("ask", "--yes", "--thread", "t", "add ada@example.org") as program:
        assert program.stdin is not None
        program.stdin.close()
        wait_until(lambda: len(model.requests) == 2)
        program.kill()
    model.script("Yes.")
    ended = home.run("ask", "--thread", "t", "did you?", timeout=60)
    while "Another window" in ended.err:  # until the lease of the dead one runs out
        ended = home.run("ask", "--thread", "t", "did you?", timeout=60)
    assert (ended.code, ended.out) == (0, "Yes.\n"), ended.err
    assert "was stopped before its end. Done so far: create contact" in ended.err
    assert home.run("contacts", "show", "ada@example.org").code == 0

    # The server, and everything of it, while a program is in a turn: that program goes on or says so.
    model.script(Answer(text="", calls=call("create_contact", email="bob@example.org").calls, delay=2), "Done.")
    with home.started("ask", "--yes", "add bob@example.org") as program:
        assert program.stdin is not None
        program.stdin.close()
        wait_until(lambda: len(model.requests) == 4)
        pid = server_pid(home)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert program.stderr is not None
        err = program.stderr.read()
        program.wait(timeout=90)
    assert "Traceback" not in err
    assert program.returncode in (0, 1)

    # The next start finds everything that was answered for.
    ended = home.run("contacts", "list", "--json", timeout=60)
    assert ended.code == 0, ended.err
    assert "ada@example.org" in ended.out
    if program.returncode == 0:
        assert "bob@example.org" in ended.out
    assert home.run("doctor").code == 0

    # The last program that used it stopped it.
    wait_until(lambda: server_pid(home) is None, 20)


def test_two_programs_at_once(new_home: Callable[[], Home]) -> None:
    home = new_home()
    with contextlib.ExitStack() as stack:
        adds = [("contacts", "add", f"p{number}@example.org") for number in range(4)]
        for program in [stack.enter_context(home.started(*add)) for add in adds]:
            _, err = program.communicate(timeout=120)
            assert program.returncode == 0, err
    listed = home.run("contacts", "list")
    assert listed.out.startswith("4 contacts")
    wait_until(lambda: server_pid(home) is None, 20)


def test_a_killed_first_start_leaves_nothing_in_the_way(new_home: Callable[[], Home]) -> None:
    home = new_home()
    unfinished = home.path / "postgres" / "data.unfinished"
    with home.started("migrate") as program:
        wait_until(unfinished.exists)
        program.kill()
    assert home.run("migrate").code == 0
    assert not unfinished.exists()
