"""Who calls: tokens, peers, users, certificates."""

import asyncio
import base64
import dataclasses
import datetime
import json
import logging
import os
import pwd
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import BridgeError, NotPermitted, Refused, Unavailable
from bridge.core.job import JobState
from bridge.core.users import Caller, User
from bridge.identity import tls, tokens
from bridge.identity.gate import Gate, Headers
from bridge.identity.middleware import Identity
from bridge.identity.peer import Peer
from bridge.identity.people import People
from bridge.identity.tokens import Claims, NotAuthenticated
from bridge.listener import Listener, bind_tcp, bind_unix
from bridge.store import schema
from bridge.store.store import Store
from tests.store import support

NOON = 1_700_000_000.0
KEY = b"k" * 32
ALICE = User("alice", 1001, 1001, (1001,), ("alice",), "/home/alice")
BOB = User("bob", 1002, 1002)
OLGA = User("olga", 1003, 1003)
ROOT = User("root", 0, 0)


def claims(**fields: Any) -> Claims:
    return Claims(**{"id": "t1", "audience": "here", "user": "alice", "uid": 1001, "issued_at": NOON,
                     "expires_at": NOON + 60, **fields})  # fmt: skip


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def why_not(token: str, audience: str = "here", now: float = NOON) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        tokens.verify(KEY, token, audience, now)
    return caught.value.sentence


class TestTokens:
    @pytest.mark.parametrize("told", [claims(), claims(expires_at=None, job_id=12, attempt=2)])
    def test_what_is_signed_is_read_back(self, told: Claims) -> None:
        assert tokens.verify(KEY, tokens.sign(KEY, told), "here", NOON) == told

    def test_it_is_a_jwt_of_three_parts(self) -> None:
        header, payload, _ = tokens.sign(KEY, claims()).split(".")
        assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
        assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {
            "jti": "t1", "aud": "here", "sub": "alice", "uid": 1001, "iat": NOON, "exp": NOON + 60,
        }  # fmt: skip

    def test_a_forged_one(self) -> None:
        assert why_not(tokens.sign(b"x" * 32, claims())) == "the token's signature is wrong"

    def test_a_changed_one(self) -> None:
        header, _, signature = tokens.sign(KEY, claims()).split(".")
        _, payload, _ = tokens.sign(KEY, claims(user="root", uid=0)).split(".")
        assert why_not(f"{header}.{payload}.{signature}") == "the token's signature is wrong"

    def test_an_expired_one(self) -> None:
        assert why_not(tokens.sign(KEY, claims()), now=NOON + 60) == "the token has expired"

    def test_one_for_another_bridge(self) -> None:
        assert why_not(tokens.sign(KEY, claims()), audience="there") == "the token is for another bridge"

    @pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "RS256"])
    def test_one_that_names_another_algorithm(self, algorithm: str) -> None:
        _, payload, signature = tokens.sign(KEY, claims()).split(".")
        header = encoded({"alg": algorithm, "typ": "JWT"})
        for token in (f"{header}.{payload}.", f"{header}.{payload}", f"{header}.{payload}.{signature}"):
            assert why_not(token) == "the token is not one of this bridge's"

    def test_one_without_an_end_is_for_jobs_only(self) -> None:
        assert why_not(tokens.sign(KEY, claims(expires_at=None))) == "the token has no end"

    @pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 5000])
    def test_nonsense(self, token: str) -> None:
        assert why_not(token) == "the token is not one of this bridge's"

    @given(st.data())
    def test_any_changed_character_breaks_it(self, data: st.DataObject) -> None:
        token = tokens.sign(KEY, claims())
        place = data.draw(st.integers(0, len(token) - 1))
        other = data.draw(st.characters(exclude_characters=token[place]))
        why_not(token[:place] + other + token[place + 1 :])

    def test_a_refusal_does_not_repeat_the_token(self) -> None:
        token = tokens.sign(b"x" * 32, claims())
        assert not any(part in why_not(token) for part in token.split("."))


class TestKey:
    def test_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        key = tokens.load_key(tmp_path / "keys")
        assert tokens.load_key(tmp_path / "keys") == key
        assert len(key) == 32
        assert (tmp_path / "keys" / "token.key").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
        assert os.listdir(tmp_path / "keys") == ["token.key"]

    def test_that_others_can_read_is_not_used(self, tmp_path: Path) -> None:
        tokens.load_key(tmp_path)
        (tmp_path / "token.key").chmod(0o640)
        with pytest.raises(Unavailable, match="readable by nobody else"):
            tokens.load_key(tmp_path)

    def test_that_is_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_bytes(b"x" * 32)
        (tmp_path / "token.key").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Unavailable, match="cannot be read"):
            tokens.load_key(tmp_path)

    def test_that_is_cut_short_is_not_used(self, tmp_path: Path) -> None:
        tokens.write_secret(tmp_path / "token.key", b"x")
        with pytest.raises(Unavailable, match="has 1 bytes"):
            tokens.load_key(tmp_path)


class TestPeople:
    def test_the_host_is_asked_for_groups_too(self) -> None:
        entry = pwd.getpwuid(os.getuid())
        found = People().find(entry.pw_uid)
        assert found is not None
        assert (found.name, found.home) == (entry.pw_name, entry.pw_dir)
        assert set(found.groups) == set(os.getgrouplist(entry.pw_name, entry.pw_gid))
        assert People().find(entry.pw_name) == found

    def test_the_site_file_wins(self) -> None:
        other = User("root", 4242, 4242)
        people = People([other])
        assert people.find("root") == people.find(4242) == other
        assert people.find(0) is None

    def test_an_unknown_one(self) -> None:
        people = People([ALICE])
        assert [people.find(who) for who in (4_000_000_123, 2**70, -5, "no such user", "a\0b", "")] == [None] * 6
        assert people.name_of(1001) == "alice"
        assert people.name_of(4_000_000_123) == "4000000123"

    def test_answers_are_kept_for_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [0.0]
        asked = []
        real = pwd.getpwuid

        def count(uid: int) -> Any:
            asked.append(uid)
            return real(uid)

        monkeypatch.setattr(pwd, "getpwuid", count)
        people = People(now=lambda: clock[0])
        for moment in (0.0, 59.0, 61.0):
            clock[0] = moment
            assert asyncio.run(people.find_soon(0)) == people.find(0)
        assert asked == [0, 0]


class TestCertificate:
    def test_is_made_once_and_serves_its_names(self, tmp_path: Path) -> None:
        now = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
        made = tls.ensure(tmp_path, ["localhost", "127.0.0.1", "localhost"], now)
        assert tls.ensure(tmp_path, ["other"], now) == made
        assert made.key.stat().st_mode & 0o777 == 0o600
        assert len(made.fingerprint) == 32 * 3 - 1
        assert made.is_ours
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)
        assert dataclasses.replace(tls.given(made.certificate, made.key), is_ours=True) == made

    def test_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("nonsense")
        with pytest.raises(Unavailable, match="no certificate in PEM form"):
            tls.given(tmp_path / "x", tmp_path / "x")
        with pytest.raises(Unavailable, match="No such file"):
            tls.given(tmp_path / "y", tmp_path / "y")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identity") / "bridge.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(tmp_path: Path, template: Path) -> str:
    return f"sqlite:///{shutil.copyfile(template, tmp_path / 'bridge.db')}"


class Clock:
    now = NOON


@asynccontextmanager
async def a_gate(url: str, **options: Any) -> AsyncIterator[tuple[Gate, Store, Clock]]:
    clock = Clock()
    async with support.opened(url) as store:
        gate = Gate(
            store,
            People([ALICE, BOB, OLGA, ROOT]),
            KEY,
            **{"operators": ["olga"], "own_uid": 0, "now": lambda: clock.now, **options},
        )
        yield gate, store, clock


def bearer(token: str, name: str | None = None) -> Headers:
    extra = [(b"x-slurm-user-name", name.encode())] if name else []
    return [(b"x-slurm-user-token", token.encode()), *extra]


async def refusal(gate: Gate, caller: Peer | None, headers: Headers = ()) -> tuple[type[BridgeError], str]:
    with pytest.raises(Refused) as caught:
        await gate.admit(caller, headers)
    return type(caught.value), caught.value.sentence


class TestGate:
    @support.in_loop
    async def test_the_kernel_says_who_calls_a_unix_socket(self, url: str) -> None:
        async with a_gate(url) as (gate, _, _):
            assert await gate.admit(Peer(1, 1001, 5), ()) == Caller(ALICE)
            assert await gate.admit(Peer(1, 1003, 5), ()) == Caller(OLGA, is_operator=True)
            assert await gate.admit(Peer(1, 0, 0), ()) == Caller(ROOT, is_operator=True)
            assert await refusal(gate, Peer(1, 4242, 5)) == (NotPermitted, "no user has the uid 4242 here")

    @support.in_loop
    async def test_tcp_needs_a_token(self, url: str) -> None:
        async with a_gate(url) as (gate, _, clock):
            assert (await refusal(gate, None))[0] is NotAuthenticated
            token = gate.issue(ALICE, 60)
            assert await gate.admit(None, bearer(token)) == Caller(ALICE)
            assert await gate.admit(None, [(b"authorization", f"bearer {token}".encode())]) == Caller(ALICE)
            clock.now += 60
            assert await refusal(gate, None, bearer(token)) == (NotAuthenticated, "the token has expired")

    @support.in_loop
    async def test_another_kind_of_authorization_is_refused(self, url: str) -> None:
        async with a_gate(url) as (gate, _, _):
            headers = [(b"authorization", b"Basic YWxpY2U6")]
            assert await refusal(gate, Peer(1, 1001, 5), headers) == (
                NotAuthenticated, "Authorization must be of the kind Bearer",
            )  # fmt: skip

    @support.in_loop
    async def test_two_different_tokens_are_refused(self, url: str) -> None:
        async with a_gate(url) as (gate, _, _):
            one, two = gate.issue(ALICE, 60), gate.issue(BOB, 60)
            same = [*bearer(one), (b"authorization", f"Bearer {one}".encode())]
            assert await gate.admit(None, same) == Caller(ALICE)
            assert (await refusal(gate, None, [*bearer(one), *bearer(two)]))[0] is NotAuthenticated

    @support.in_loop
    async def test_a_token_of_another_instance(self, url: str) -> None:
        async with a_gate(url) as (gate, _, _):
            token = tokens.sign(KEY, claims(audience="elsewhere"))
            assert await refusal(gate, None, bearer(token)) == (NotAuthenticated, "the token is for another bridge")

    @support.in_loop
    async def test_a_user_whose_number_is_another_now(self, url: str) -> None:
        async with a_gate(url) as (gate, store, _):
            token = tokens.sign(KEY, claims(audience=store.instance_id, uid=1002))
            assert (await refusal(gate, None, bearer(token)))[1] == "the token's user is not known here any more"

    @support.in_loop
    async def test_only_root_acts_for_others_and_with_the_others_rights(self, url: str) -> None:
        """An operator who could be anybody could run what he likes as root."""
        async with a_gate(url) as (gate, _, _):
            alice, olga, root = gate.issue(ALICE, 60), gate.issue(OLGA, 60), gate.issue(ROOT, 60)
            assert await gate.admit(None, bearer(root, "alice")) == Caller(ALICE)
            assert (await refusal(gate, None, bearer(olga, "alice")))[0] is NotPermitted
            assert (await refusal(gate, None, bearer(olga, "root")))[0] is NotPermitted
            assert await gate.admit(None, bearer(alice, "alice")) == Caller(ALICE)
            assert (await refusal(gate, None, bearer(alice, "bob")))[0] is NotPermitted
            assert (await refusal(gate, Peer(1, 1001, 1), [(b"x-slurm-user-name", b"root")]))[0] is NotPermitted
            assert (await refusal(gate, None, bearer(root, "nobody here")))[0] is NotPermitted

    @support.in_loop
    async def test_a_revoked_token(self, url: str) -> None:
        async with a_gate(url) as (gate, store, clock):
            alice, other = gate.issue(ALICE, 60), gate.issue(ALICE, 60)
            with pytest.raises(NotPermitted):
                await gate.revoke(Caller(BOB), alice)
            await gate.revoke(Caller(ALICE), alice)
            assert await refusal(gate, None, bearer(alice)) == (NotAuthenticated, "the token was revoked")
            assert await gate.admit(None, bearer(other)) == Caller(ALICE)
            clock.now += 1  # another process's revocation is seen soon after
            await store.revoke_token(tokens.verify(KEY, other, store.instance_id, NOON).id, NOON + 60)
            clock.now += 2
            assert await refusal(gate, None, bearer(other)) == (NotAuthenticated, "the token was revoked")

    @pytest.mark.parametrize("seconds", [0, -1, 1e9, float("nan")])
    @support.in_loop
    async def test_a_token_has_a_reasonable_life(self, url: str, seconds: float) -> None:
        async with a_gate(url) as (gate, _, _):
            with pytest.raises(Refused, match="a token lives from 1"):
                gate.issue(ALICE, seconds)

    @support.in_loop
    async def test_a_plain_users_bridge_serves_that_user_alone(self, url: str) -> None:
        async with a_gate(url, own_uid=1001) as (gate, _, _):
            assert await gate.admit(Peer(1, 1001, 5), ()) == Caller(ALICE, is_operator=True)
            alone = (NotPermitted, "this bridge serves uid 1001 alone")
            assert await refusal(gate, Peer(1, 1002, 5)) == alone
            assert await refusal(gate, Peer(1, 0, 0)) == alone
            assert await refusal(gate, None, bearer(gate.issue(BOB, 60))) == alone
            assert await refusal(gate, Peer(1, 1002, 5), bearer(gate.issue(ALICE, 60))) == alone
            assert (await refusal(gate, Peer(1, 1001, 5), bearer(gate.issue(ALICE, 60), "bob")))[0] is NotPermitted


class TestServingAll:
    @support.in_loop
    async def test_a_plain_users_bridge_without_processes_of_its_own(self, url: str) -> None:
        async with a_gate(url, own_uid=65532, serves_all=True) as (gate, _, _):
            assert await gate.admit(None, bearer(gate.issue(BOB, 60))) == Caller(BOB)
            assert await gate.admit(Peer(1, 1002, 5), ()) == Caller(BOB)


class TestReviewedTokens:
    """Kubernetes says who it is, the site file who that is here."""

    @support.in_loop
    async def test_lets_in_whom_the_site_file_names(self, url: str) -> None:
        known = {"good": "system:serviceaccount:a:ci", "other": "somebody", "gone": "system:serviceaccount:a:gone"}

        async def review(token: str) -> str | None:
            return known.get(token)

        async with a_gate(url) as (gate, _, _):
            unknown = (NotAuthenticated, "the token is not one of this bridge's")
            assert await refusal(gate, None, bearer("good")) == unknown
            gate.review = review
            gate.reviewed_users = {
                "system:serviceaccount:a:ci": "alice",
                "system:serviceaccount:a:gone": "no such user",
            }
            assert await gate.admit(None, bearer("good")) == Caller(ALICE)
            assert await gate.admit(None, bearer(gate.issue(BOB, 60))) == Caller(BOB)
            nobody = "neither this bridge nor Kubernetes knows the token"
            assert await refusal(gate, None, bearer("bad")) == (NotAuthenticated, nobody)
            assert await refusal(gate, None, bearer("other")) == (
                NotPermitted,
                "somebody of Kubernetes is no user here",
            )
            assert (await refusal(gate, None, bearer("gone")))[0] is NotPermitted

    @support.in_loop
    async def test_one_of_our_own_that_is_forged_is_not_asked_about(self, url: str) -> None:
        async def review(token: str) -> str | None:
            raise AssertionError("a token of ours was shown to another")

        async with a_gate(url) as (gate, store, _):
            gate.review = review
            forged = tokens.sign(b"x" * 32, claims(audience=store.instance_id))
            assert await refusal(gate, None, bearer(forged)) == (NotAuthenticated, "the token's signature is wrong")


class TestJobTokens:
    @support.in_loop
    async def test_hold_while_the_attempt_is_on_nodes(self, url: str) -> None:
        async with a_gate(url) as (gate, store, _):
            job = await support.submit(store)
            running = await support.run_to(store, job.key, JobState.RUNNING)
            token = bearer(gate.issue_for_job(running, ALICE))
            assert await gate.admit(None, token) == Caller(ALICE, job_id=job.id)
            assert await gate.admit(Peer(1, 1001, 5), token) == Caller(ALICE, job_id=job.id)
            [done] = await store.change([job.key], lambda job: support.events.Ended(NOON, 1, support.End()))
            assert done.after is not None and done.after.is_final
            assert await refusal(gate, None, token) == (NotAuthenticated, "the token's job has ended")

    @support.in_loop
    async def test_end_with_the_attempt_even_if_the_job_runs_again(self, url: str) -> None:
        async with a_gate(url) as (gate, store, _):
            job = await support.submit(store)
            running = await support.run_to(store, job.key, JobState.RUNNING)
            token = bearer(gate.issue_for_job(running, ALICE))
            at = NOON + 20
            await support.tell(
                store,
                job.key,
                support.events.Requeued(at, 1001),
                support.events.Ended(at, 1, support.End()),
                support.events.Placed(at + 200, support.N1),
            )
            assert await refusal(gate, None, token) == (NotAuthenticated, "the token's job has ended")

    @support.in_loop
    async def test_of_an_arrays_task(self, url: str) -> None:
        async with a_gate(url) as (gate, store, _):
            array = await support.submit(store, array="0-2")
            for index in (0, 2):
                task = await support.run_to(store, dataclasses.replace(array.key, task_index=index), JobState.RUNNING)
                token = bearer(gate.issue_for_job(task, ALICE))
                assert await gate.admit(None, token) == Caller(ALICE, job_id=task.id)

    @support.in_loop
    async def test_are_never_an_operators(self, url: str) -> None:
        async with a_gate(url) as (gate, store, _):
            job = await support.submit(store, user="olga", uid=1003)
            running = await support.run_to(store, job.key, JobState.RUNNING)
            token = gate.issue_for_job(running, OLGA)
            assert await gate.admit(None, bearer(token)) == Caller(OLGA, job_id=job.id)
            assert (await refusal(gate, None, bearer(token, "alice")))[0] is NotPermitted

    @support.in_loop
    async def test_stolen_by_another_user_of_the_host(self, url: str) -> None:
        async with a_gate(url) as (gate, store, _):
            job = await support.submit(store)
            token = bearer(gate.issue_for_job(await support.run_to(store, job.key, JobState.RUNNING), ALICE))
            assert (await refusal(gate, Peer(1, 1002, 5), token))[1] == "the token is of another user's job"

    @support.in_loop
    async def test_for_a_job_of_somebody_else(self, url: str) -> None:
        """Signed with the right key, yet the job is not this user's."""
        async with a_gate(url) as (gate, store, _):
            job = await support.submit(store)
            running = await support.run_to(store, job.key, JobState.RUNNING)
            token = bearer(gate.issue_for_job(running, BOB))
            assert await refusal(gate, None, token) == (NotAuthenticated, "the token's job has ended")


async def _show_caller(scope: Any, receive: Any, send: Any) -> None:
    caller = scope["state"].get("caller")
    body = (caller.user.name if caller else "nobody").encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class TestServer:
    """Over real sockets, in each loop and with each HTTP parser of uvicorn."""

    @pytest.mark.parametrize("loop", [uvloop.run, asyncio.run])
    @pytest.mark.parametrize("http", ["httptools", "h11"])
    def test_a_unix_sockets_caller_is_whom_the_kernel_names(
        self, url: str, tmp_path: Path, loop: Any, http: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        own = User("me", os.getuid(), os.getgid())

        async def go() -> list[str]:
            async with support.opened(url) as store:
                gate = Gate(store, People([own, BOB] if own.uid != 1002 else [own]), KEY, own_uid=os.getuid())
                app = Identity(_show_caller, gate, open_paths=["/open"])
                unix = Listener(app, bind_unix(tmp_path / "run" / "s", 0o600), http=http)
                listening = bind_tcp("127.0.0.1", 0)
                tcp = Listener(app, listening, http=http)
                address = listening.getsockname()
                serving = [asyncio.create_task(listener.run_until_stopped()) for listener in (unix, tcp)]
                try:
                    await unix.ready.wait()
                    await tcp.ready.wait()
                    forged = "x-state: 0\r\npeer: 0\r\n"
                    secret = "X-SLURM-USER-TOKEN: aaa.bbb.hush\r\n"
                    return [
                        await _get(await asyncio.open_unix_connection(str(tmp_path / "run" / "s")), "/x"),
                        await _get(await asyncio.open_connection(*address), "/x", forged),
                        await _get(await asyncio.open_connection(*address), "/x", secret),
                        await _get(await asyncio.open_connection(*address), "/open"),
                        await _get(await asyncio.open_connection(*address), "/open/../x"),
                    ]
                finally:
                    unix.stop()
                    tcp.stop()
                    await asyncio.gather(*serving)

        known, forged, wrong, opened, tricked = loop(go())
        assert known.startswith("HTTP/1.1 200") and known.endswith("\r\n\r\nme")
        assert forged.startswith("HTTP/1.1 401") and "www-authenticate: Bearer" in forged
        assert '"code": "not_authenticated"' in wrong and "hush" not in wrong
        assert opened.endswith("nobody")
        assert tricked.startswith("HTTP/1.1 401")
        assert "hush" not in caplog.text


async def _get(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, headers: str = "") -> str:
    reader, writer = streams
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text


class TestUnixSocket:
    def test_one_that_nobody_listens_at_is_replaced(self, tmp_path: Path) -> None:
        bind_unix(tmp_path / "s", 0o666).close()
        with bind_unix(tmp_path / "s", 0o600):
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600

    def test_one_that_is_in_use_is_left_alone(self, tmp_path: Path) -> None:
        with bind_unix(tmp_path / "s", 0o666) as first:
            first.listen()
            with pytest.raises(Unavailable, match="another bridge listens at"):
                bind_unix(tmp_path / "s", 0o666)

    def test_a_file_in_its_place_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "s").write_text("precious")
        with pytest.raises(Unavailable, match="is in the way"):
            bind_unix(tmp_path / "s", 0o666)
        assert (tmp_path / "s").read_text() == "precious"
