"""The `bridge` command.

    bridge serve [--site FILE]                 run the service
    bridge check [--site FILE]                 what the site file means, or all that is wrong with it
    bridge translate [--json] SCRIPT [WORDS]   how a script would be read; needs no service
    bridge shims DIR                           commands named as Slurm's, for the front of PATH
    bridge logs ID [--follow] [--stderr]       a job's output
    bridge history ID                          what happened to a job, in sentences
    bridge db upgrade|downgrade|purge          the state database, while no bridge runs
    bridge NAME WORDS                          Slurm's command of that name, see `shims.COMMANDS`

Imports are made where they are used: a command like `bridge squeue` must not wait for the service's.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from bridge.cli import shims

if TYPE_CHECKING:
    import argparse

    from bridge import settings

EXIT_REFUSED = 1
EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in shims.COMMANDS:
        _become_command(words[0], words[1:])
    if words and words[0] == "translate":
        return _reporting(lambda: _translate(words[1:]))
    arguments = _parser().parse_args(words)
    return _reporting(lambda: int(arguments.run(arguments)))


def _become_command(name: str, words: Sequence[str]) -> NoReturn:
    """This process becomes the standalone client: its exit code and signals are the command's."""
    sys.stdout.flush()
    start = [sys.executable, "-I", "-S"]
    if name == "srun":  # has no client of its own outside a job
        os.execv(sys.executable, [*start, "-c", shims.text_of(name, sys.executable), *words])  # noqa: S606 — words, no shell
    path = os.path.join(os.path.dirname(os.path.abspath(shims.__file__)), "client.py")
    os.execv(sys.executable, [*start, path, name, *words])  # noqa: S606


def _reporting(run: Callable[[], int]) -> int:
    """What we refuse is a sentence on standard error; a bug is a traceback."""
    from bridge.core.errors import BridgeError

    try:
        return run()
    except BridgeError as error:
        for line in error.sentence.splitlines():
            print(f"bridge: {line}", file=sys.stderr)
        return EXIT_REFUSED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return 141
    except KeyboardInterrupt:
        return 130


def _parser() -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(prog="bridge", description="Batch jobs: one id, one graph, one history.")
    parser.add_argument("--version", action="version", version=f"bridge {_version()}")
    parts = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, told: str, run: "Callable[[argparse.Namespace], int]") -> argparse.ArgumentParser:
        made = parts.add_parser(name, help=told, description=told)
        made.set_defaults(run=run)
        return made

    for name, told, run in (
        ("serve", "run the service", _serve),
        ("check", "say what the site file means, or all that is wrong with it", _check),
    ):
        add(name, told, run).add_argument("--site", metavar="FILE", help="the site file")
    parts.add_parser("translate", help="how a script would be read; needs no service")  # handled before, for its words
    add("shims", "write commands named as Slurm's, and `bridge`", _shims).add_argument("directory", metavar="DIR")
    logs = add("logs", "print a job's output", _logs)
    logs.add_argument("job", metavar="ID", help="12 or 12_3")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    logs.add_argument("--stderr", action="store_true", help="standard error, where it has its own file")
    add("history", "what happened to a job, in sentences", _history).add_argument("job", metavar="ID")
    _add_database(add("db", "the state database, while no bridge runs (purge --dry-run: at any time)", _database))
    for name in shims.COMMANDS:
        parts.add_parser(name, help=f"as Slurm's {name}", add_help=False)
    return parser


def _add_database(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--site", metavar="FILE", help="the site file")
    parser.add_argument("what", choices=("upgrade", "downgrade", "purge", "current"))
    parser.add_argument("revision", nargs="?", help="of downgrade: down to this one; base: remove everything")
    parser.add_argument("--dry-run", action="store_true", help="of purge: only count")


def _version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("bridge")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _settings(site: str | None) -> "settings.Settings":
    from bridge import settings, settings_cluster

    return settings.load(site, os.environ, settings_cluster.this_machine())


# ── the service ───────────────────────────────────────────────────────────────────────────────────


def _serve(arguments: "argparse.Namespace") -> int:
    import uvloop

    from bridge import logs, serve

    found = _settings(arguments.site)
    logs.set_up(found.server.log_level, as_json=found.server.log_json)
    uvloop.run(serve.serve(found))
    return 0


def _check(arguments: "argparse.Namespace") -> int:
    from bridge import settings_explain
    from bridge.core.errors import BridgeError
    from bridge.identity import tls
    from bridge.store import schema

    found = _settings(arguments.site)
    for sentence in settings_explain.sentences(found, os.geteuid()):
        print(sentence)
    if os.geteuid() == 0 and any(backend.kind == "local" for backend in found.backends):
        from bridge.backends.local import host

        for needed in (sys.executable, os.path.abspath(__file__)):
            closed = host.closed_to_users(needed)
            if closed is not None:
                print(f"Users cannot pass through {closed}: sbatch, srun and so on do not start in jobs ({needed}).")
    keys = found.server.data_directory / "keys"
    if found.server.tls_certificate is not None and found.server.tls_key is not None:
        certificate = tls.given(found.server.tls_certificate, found.server.tls_key)
        print(f"The certificate's SHA-256 fingerprint is {certificate.fingerprint}.")
    elif found.server.tcp_host is not None and (keys / "tls.pem").exists():
        certificate = tls.given(keys / "tls.pem", keys / "tls.key")
        print(f"The certificate's SHA-256 fingerprint is {certificate.fingerprint}.")
    reached = [_check_cluster(backend) for backend in found.backends if backend.kind == "kubernetes"]
    try:
        current, head = schema.current(found.store.url), schema.head()
    except BridgeError as error:
        print(f"The database cannot be looked at: {error.sentence}.")
        return EXIT_REFUSED
    if current is None:
        print("The database is made at the first start.")
    elif current != head:
        print(f"The database has the schema {current}, this release needs {head}: run `bridge db upgrade`.")
        return EXIT_REFUSED
    return 0 if all(reached) else EXIT_REFUSED


def _check_cluster(backend: "settings.Backend") -> bool:
    import asyncio

    from bridge.core.errors import BridgeError

    try:
        from bridge.backends.kubernetes import check
        from bridge.backends.kubernetes.transport import Access

        reach = backend.reach
        access = Access(reach.kubeconfig, reach.context) if reach is not None else Access()
        for line in asyncio.run(check.sentences(access, backend.profiles)):
            print(line)
        return True
    except ImportError as error:
        print(f"The backend {backend.name} needs the extra `bridge[kubernetes]`: {error}.")
    except BridgeError as error:
        print(f"The cluster of the backend {backend.name} cannot be asked: {error.sentence}.")
    return False


def _database(arguments: "argparse.Namespace") -> int:
    from bridge.core.errors import Refused
    from bridge.store import schema

    found = _settings(arguments.site)
    url = found.store.url
    if arguments.what == "upgrade":
        from bridge import serve

        serve.make_data_directory(found.server.data_directory)
        schema.upgrade(url)
    elif arguments.what == "downgrade":
        if arguments.revision is None:
            raise Refused(
                f"downgrade to which revision? The database has {schema.current(url)}; base removes everything"
            )
        schema.downgrade(url, arguments.revision)
    elif arguments.what == "purge":
        return _purge(found, dry_run=arguments.dry_run)
    print(f"The schema is {schema.current(url) or 'not there'}.")
    return 0


def _purge(found: "settings.Settings", *, dry_run: bool) -> int:
    import asyncio
    import time

    from bridge.store.records import Ages
    from bridge.store.store import Store

    ages = found.retention

    async def purge() -> dict[str, int]:
        store = await Store.open(found.store.url, read_only=dry_run)
        try:
            wanted = Ages(ages.jobs_seconds, ages.history_seconds, ages.scripts_seconds)
            return await store.purge(wanted, time.time(), dry_run=dry_run)
        finally:
            await store.close()

    for kind, count in asyncio.run(purge()).items():
        print(f"{kind}: {count} {'would go' if dry_run else 'gone'}")
    return 0


# ── without a service ─────────────────────────────────────────────────────────────────────────────


def _shims(arguments: "argparse.Namespace") -> int:
    from bridge.core.errors import Refused

    try:
        for path in shims.write(arguments.directory):
            print(path)
    except shims.NotOurs as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{error.filename or arguments.directory}: {error.strerror}") from error
    return 0


_TRANSLATE_USAGE = """\
usage: bridge translate [--json] [--site FILE] [OPTIONS OF SBATCH] SCRIPT [ARGUMENTS]

Says what would become of each option and directive. Nothing is submitted, no service is needed.
"""


def _translate(words: list[str]) -> int:
    """Its own options come first; everything else is sbatch's."""
    as_json, site = False, None
    while words and words[0] in ("--json", "--site", "-h", "--help"):
        word = words.pop(0)
        if word in ("-h", "--help") or (word == "--site" and not words):
            print(_TRANSLATE_USAGE, end="")
            return 0 if word != "--site" else EXIT_USAGE
        if word == "--json":
            as_json = True
        else:
            site = words.pop(0)
    if not words:
        print(_TRANSLATE_USAGE, end="", file=sys.stderr)
        return EXIT_USAGE
    from bridge import translation

    found = translation.of_words(words, _settings(site))
    sys.stderr.write(found.stderr)
    sys.stdout.write(found.as_json if as_json else found.text)
    return found.exit_code


# ── asking a service ──────────────────────────────────────────────────────────────────────────────


def _logs(arguments: "argparse.Namespace") -> int:
    from bridge import remote

    stream = "stderr" if arguments.stderr else "stdout"
    follow = "&follow=true" if arguments.follow else ""
    for piece in remote.pieces(f"/v1/jobs/{remote.quoted(arguments.job)}/log?stream={stream}{follow}"):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    if arguments.follow and not _has_ended(arguments.job):
        print("bridge: the bridge stopped before the job ended", file=sys.stderr)
        return EXIT_REFUSED
    return 0


def _has_ended(job: str) -> bool:
    from bridge import remote
    from bridge.core.errors import BridgeError

    try:
        return all(found["is_final"] for found in remote.get(f"/v1/jobs/{remote.quoted(job)}")["jobs"])
    except BridgeError:
        return False


def _history(arguments: "argparse.Namespace") -> int:
    import time

    from bridge import remote

    for event in remote.get(f"/v1/jobs/{remote.quoted(arguments.job)}/history")["events"]:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(event["at"]))
        print(f"{at}  {event['id']:<8} {event['sentence']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
