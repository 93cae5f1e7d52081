"""The site file's [mail]: how mail about jobs is sent. Without it none is, and users are told so."""

from dataclasses import dataclass

from bridge.settings_reader import Said, Table


@dataclass(frozen=True, slots=True)
class Mail:
    command: tuple[str, ...]
    """Argument list; the message comes on standard input, `{to}` and `{subject}` are filled in."""
    sender: str | None = None
    domain: str | None = None
    """Appended to plain user names."""


def read(table: Table) -> Mail | None:
    command = table.texts("command") or ()
    if "command" in table and not command:
        table.wrong("command", Said("an empty list"), 'an argument list, such as ["/usr/sbin/sendmail", "-t", "-i"]')
    sender = table.text("from", expected='an address, such as "slurm@example.org"', fits=_is_plain)
    domain = table.text("domain", expected='a domain, such as "example.org"', fits=_is_plain)
    if not command and (sender or domain):
        table.wrong("command", Said("nothing"), "the command that sends mail")
    table.close()
    return Mail(command, sender, domain) if command else None


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable() and "\n" not in text
