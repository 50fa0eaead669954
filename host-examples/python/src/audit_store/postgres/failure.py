"""What an error of the server means for the statement, and the message about it.

The table of meanings is that of the crate `audit-sql` (sql/src/failure.rs). Messages have no values of a row, and
nothing of the database URL but host and port.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from audit_store.instance import SinkError

TABLE = "tool_audit_events"

_WRITTEN = frozenset(
    [
        "ts",
        "req_id",
        "workspace_id",
        "user_id",
        "agent_id",
        "tool",
        "action",
        "status",
        "duration_ms",
        "in_size",
        "out_size",
        "input_hash",
        "graph_run_id",
        "graph_node",
        "job_id",
        "attributes",
        "event_id",
        "chain",
        "seq",
        "hash",
    ]
)
"""The columns that an insert writes."""

_QUOTES = '"«»„“”'

_LASTING_REFUSALS = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "pg_hba.conf rejects",
    "does not exist",
    "is not permitted to log in",
    "unsupported startup parameter",
    "certificate verify failed",
    "certificate authentication failed",
    "does not support SSL",
)
"""What libpq's message has where another try would fail too. It gives no SQLSTATE for a failed connection."""

_CAUSES = (
    ("Connection refused", "connection refused"),
    ("could not translate host name", "the host name of the database URL leads nowhere"),
    ("failed to resolve host", "the host name of the database URL leads nowhere"),
    ("No such file or directory", "there is no such socket"),
    ("No route to host", "no route to the host"),
    ("Network is unreachable", "the network is unreachable"),
    ("server closed the connection", "the server closed the connection"),
    ("timeout", "no answer in time"),
)
"""Why there is no connection: a part of libpq's message, and what is said of it. The rest of the message may have a
password in it, where the URL is written wrongly."""


@dataclass(frozen=True)
class TimedOut(Exception):
    """A call took longer than its time, in seconds. `sent`: a statement that writes may have been executed."""

    seconds: float
    sent: bool


def diagnosis(error: BaseException) -> psycopg.errors.Diagnostic | None:
    """What the server reported; none: it reported nothing."""
    if isinstance(error, psycopg.Error) and error.diag.sqlstate:
        return error.diag
    return None


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE that the server reported, or an empty text."""
    found = diagnosis(error)
    return (found.sqlstate if found else None) or ""


def refusal(error: BaseException) -> str | None:
    """Why the database refuses a row of the statement, without its values; none: it is about something else."""
    found = diagnosis(error)
    return _reason(found) if found and _meaning(found) == "refused" else None


def lacks_table(error: BaseException) -> bool:
    """Whether the table is missing, or lacks something that the statement needs."""
    return sqlstate(error) in ("42P01", "42703", "42P10")


def is_contended(error: BaseException) -> bool:
    """Whether the server has ended the transaction in favour of another one, so that it can be repeated at once."""
    return sqlstate(error) in ("40001", "40P01")


def is_not_translatable(error: BaseException) -> bool:
    """Whether a text has a character that the database's encoding lacks."""
    return sqlstate(error) == "22P05"


def ends_session(error: BaseException) -> bool:
    """Whether the connection cannot be used any more: it broke, the server ended it, or has become read-only."""
    found = diagnosis(error)
    if found is None:
        return not isinstance(error, SinkError)
    return found.severity_nonlocalized in ("FATAL", "PANIC") or found.sqlstate == "25006"


def may_be_stored(error: BaseException) -> bool:
    """Whether a statement that was sent may have been executed: the server has not said that it has failed."""
    found = diagnosis(error)
    return found is None or found.severity_nonlocalized in ("FATAL", "PANIC")


def sink_error(error: BaseException, server: str, *, sent: bool) -> SinkError:
    """The error that the component gets.

    `server` is how messages name the server; `sent`: a statement that writes was sent, in this try or one before, and
    may have been executed.
    """
    if isinstance(error, SinkError):
        return error
    if isinstance(error, TimedOut):
        text = f"the database does not answer within {error.seconds * 1000:.0f} ms ({server})"
        return SinkError("unanswered" if error.sent else "unavailable", text)
    found = diagnosis(error)
    if found is None:
        return _broken(error, server, sent)
    kind = "other" if _meaning(found) != "unavailable" else "unavailable"
    if kind == "unavailable" and sent:
        kind = "unanswered"
    return SinkError(kind, _explain(found, server))


def _broken(error: BaseException, server: str, sent: bool) -> SinkError:
    """The error for a connection that could not be made or broke."""
    message = str(error)
    if sent:
        return SinkError("unanswered", f"the connection to the database broke ({server})")
    if isinstance(error, psycopg.OperationalError):
        # The server's own words follow the severity, and have no password.
        fatal = re.search(r"FATAL:\s+(.*)", message)
        if any(text in message for text in _LASTING_REFUSALS):
            text = _one_line(fatal[1]) if fatal else "TLS or authentication failed"
            return SinkError("other", f"the database refuses the connection ({server}): {text}; check the database URL")
        if fatal:
            return SinkError("unavailable", f"the database is not available ({server}): {_one_line(fatal[1])}")
        cause = next((said for part, said in _CAUSES if part in message), "the connection failed")
        return SinkError("unavailable", f"cannot connect to the database ({server}): {cause}")
    return SinkError("other", f"the database cannot be used ({server}): {type(error).__name__}")


def _meaning(found: psycopg.errors.Diagnostic) -> str:
    """`refused`: a row is; `unavailable`: the same statement may succeed later; `other`: it would fail again."""
    code = found.sqlstate or ""
    # Row-level security that refuses a row has the SQLSTATE of a missing privilege.
    if code == "42501" and found.source_function == "ExecWithCheckOptions":
        return "refused"
    if code == "2200H" or _unwritten(found):
        return "other"
    if code[:2] in ("22", "23", "44", "54", "P0"):
        return "refused"
    if code == "57P04":
        return "other"
    if code[:2] in ("08", "40", "53", "57", "58", "XX") or code in ("25006", "55P03"):
        return "unavailable"
    return "other"


def _unwritten(found: psycopg.errors.Diagnostic) -> str | None:
    """The column that may not be NULL, if no row has a value for it."""
    column = found.column_name
    if found.sqlstate != "23502" or not column or found.context or column in _WRITTEN:
        return None
    return column


def _explain(found: psycopg.errors.Diagnostic, server: str) -> str:
    message = _one_line(found.message_primary or "")
    code = found.sqlstate or ""
    if _meaning(found) == "unavailable":
        return f"the database is not available ({server}): {message}"
    if column := _unwritten(found):
        return f"the column {column} of the table {TABLE} may not be NULL, and no event has a value for it"
    match code:
        case "3D000" | "57P04":
            return f"there is no such database ({server}): {message}"
        case "42501":
            return (
                f"the user of the database lacks a privilege: {message}; grant SELECT and INSERT on {TABLE}, and USAGE "
                "on the sequence of its column id"
            )
        case _ if code.startswith("28"):
            return f"the database refuses the connection ({server}): {message}; check the database URL"
        case _:
            return f"the database cannot run the statement ({server}): {message} (SQLSTATE {code})"


def _reason(found: psycopg.errors.Diagnostic) -> str:
    text = _one_line(found.message_primary or "")
    code = found.sqlstate or ""
    if code in ("22021", "22P05"):
        text = re.sub(r"0x[0-9a-fA-F]+( 0x[0-9a-fA-F]+)*", "…", text)
    elif code.startswith("22"):
        # Messages about invalid values quote them, and a quoted value may have quotes itself.
        text = re.sub(f"[{_QUOTES}].*[{_QUOTES}]", "…", text)
    for kind, name in (("constraint", found.constraint_name), ("column", found.column_name)):
        if name and name not in text:
            text += f" ({kind} {name})"
    return text


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
