"""The database: what is stored, what is refused, and what happens while it does not answer."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import TESTS, Proxy, assert_balanced, sql, wait_until

from audit_store import AuditStore, ConfigError, Event, Unanswered, Unavailable
from audit_store.instance import SinkError
from audit_store.postgres import Database
from audit_store.postgres.database import server_name
from audit_store.postgres.failure import refusal, sink_error

TIMEOUT_MS = 300
"""The time that a database has in tests where it does not answer."""

ORIGINAL = TESTS.parents[2] / "tests" / "compatibility" / "table.sql"


def ids(url: str) -> list[str]:
    return [str(row[0]) for row in sql(url, "SELECT req_id FROM tool_audit_events ORDER BY id")]


def test_the_table_is_created_once_by_stores_that_start_together(database: str, tmp_path: Path) -> None:
    def write(number: int) -> None:
        with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
            store.write_batch([Event(req_id=f"{number}/{n}") for n in range(60)])
            store.flush()
            assert assert_balanced(store).stored == 60

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(database)) == sorted(f"{number}/{n}" for number in range(3) for n in range(60))


def test_a_table_of_the_original_program_is_read_as_it_is_and_upgraded_by_the_first_write(
    database: str, tmp_path: Path
) -> None:
    sql(database, ORIGINAL.read_text(encoding="utf-8"))
    before = len(ids(database))
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'tool_audit_events'"
    ((narrow,),) = sql(database, columns)
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        assert len(list(store.read())) == before
        assert sql(database, columns) == [(narrow,)]
        store.write(req_id="new")
        store.flush()
        assert "new" in [entry.req_id for entry in store.read()]
        assert sql(database, columns) > [(narrow,)]
        assert len(ids(database)) == before + 1


def test_a_partitioned_table_has_each_event_once(database: str, tmp_path: Path) -> None:
    schema = (TESTS.parents[2] / "sql" / "schema.sql").read_text(encoding="utf-8")
    partition = (TESTS.parents[2] / "sql" / "partition.sql").read_text(encoding="utf-8")
    sql(database, schema + partition)
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        store.write_batch([Event(req_id=str(n), ts=f"2026-11-{n + 1:02}T12:00:00Z") for n in range(20)])
        store.flush()
        lines = store.read_jsonl().lines
        assert assert_balanced(store).stored == 20
    again = Database(database, 2, 2)
    assert again.insert_batch(lines) == []
    again.close()
    assert ids(database) == [str(n) for n in range(20)]


def test_rows_that_the_database_refuses_hold_up_no_other_and_are_kept(database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="auto", database_url=database) as store:
        store.write(req_id="before")
        store.flush()
        sql(
            database,
            """
            ALTER TABLE tool_audit_events ADD CONSTRAINT no_secret CHECK (tool <> 'refused');
            CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN IF NEW.tool = ''vanishes'' THEN RETURN NULL; END IF; RETURN NEW; END';
            CREATE TRIGGER vanish BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION vanish();
            """,
        )
        tools = {3: "refused", 11: "vanishes", 12: "refused"}
        store.write_batch([Event(req_id=str(n), tool=tools.get(n, "t")) for n in range(20)])
        store.flush()
        counts = assert_balanced(store)
        assert (counts.received, counts.stored, counts.dropped.unwritable) == (21, 18, 3)
    assert ids(database) == ["before", *(str(n) for n in range(20) if n not in tools)]
    reasons = [str(row[0]) for row in sql(database, "SELECT reason FROM tool_audit_refused ORDER BY seq")]
    assert len(reasons) == 3
    assert "no_secret" in reasons[0]
    assert "without storing it" in reasons[1]
    (kept,) = tmp_path.glob("refused_*.jsonl")
    assert len(kept.read_text().splitlines()) == 3


def test_where_the_server_does_not_tell_which_rows_it_dropped_the_others_may_be_stored(
    database: str, tmp_path: Path
) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database, batch_size=3000) as store:
        store.write(req_id="before")
        store.flush()
        sql(
            database,
            """
            CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN IF NEW.tool = ''vanishes'' THEN RETURN NULL; END IF; RETURN NEW; END';
            CREATE TRIGGER vanish BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION vanish();
            CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN PERFORM set_config(''statement_timeout'', ''1'', false); RETURN NULL; END';
            CREATE TRIGGER hurry AFTER INSERT ON tool_audit_events EXECUTE FUNCTION hurry();
            """,
        )
        store.write_batch([Event(tool="vanishes" if n == 7 else "t") for n in range(2999)])
        with pytest.raises(Unanswered, match="statement timeout"):
            store.flush()
        assert len(ids(database)) == 2999


def test_a_lost_answer_stores_nothing_twice(proxy: Proxy, database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="auto", database_url=proxy.url, database_timeout_ms=2000) as store:
        store.write(req_id="first")
        store.flush()
        for marker in ("lost-1", "lost-2"):
            proxy.cut_on = marker.encode()
            store.write_batch([Event(req_id=f"{marker}/{n}") for n in range(10)])
            store.flush()
        assert proxy.lost == 2
        wait_until(lambda: assert_balanced(store).stored == 21)
    assert ids(database) == ["first", *(f"{marker}/{n}" for marker in ("lost-1", "lost-2") for n in range(10))]


def test_a_batch_whose_answer_is_lost_stays_in_doubt_where_another_try_fails(
    proxy: Proxy, database: str, tmp_path: Path
) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=proxy.url) as store:
        store.write(req_id="first")
        store.flush()
        sql(
            database,
            """
            CREATE SEQUENCE tries;
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') > 1 THEN RAISE EXCEPTION 'it is full' USING ERRCODE = 'disk_full'; END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER fail BEFORE INSERT ON tool_audit_events EXECUTE FUNCTION fail();
            """,
        )
        proxy.cut_on = b"lost"
        store.write_batch([Event(req_id="lost")])
        with pytest.raises(Unanswered, match="it is full"):
            store.flush()
        assert (assert_balanced(store).pending, ids(database)) == (1, ["first", "lost"])
        sql(database, "DROP FUNCTION fail CASCADE")
        store.flush()
        assert assert_balanced(store).stored == 2
    assert ids(database) == ["first", "lost"]


def test_a_row_without_a_value_that_others_have_is_refused_alone(database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        store.write(req_id="first", graph_run_id="g")
        store.flush()
        sql(database, "ALTER TABLE tool_audit_events ALTER COLUMN graph_run_id SET NOT NULL")
        store.write_batch([Event(req_id="without"), Event(req_id="with", graph_run_id="g")])
        store.flush()
        counts = assert_balanced(store)
        assert (counts.stored, counts.dropped.unwritable) == (2, 1)
    assert ids(database) == ["first", "with"]


def test_a_batch_without_an_answer_is_unanswered_and_one_that_was_not_sent_unavailable(
    proxy: Proxy, silent_server: str, tmp_path: Path
) -> None:
    store = AuditStore(dir=tmp_path, backend="postgres", database_url=proxy.url, database_timeout_ms=TIMEOUT_MS)
    store.write(req_id="first")
    store.flush()
    proxy.swallows.set()
    store.write(req_id="second")
    with pytest.raises(Unanswered, match="does not answer within"):
        store.flush()
    assert assert_balanced(store).pending == 1
    proxy.swallows.clear()
    store.flush()
    assert [entry.req_id for entry in store.read()] == ["first", "second"]
    store.close()
    # Where there is no connection, nothing was sent.
    never = Database(silent_server, TIMEOUT_MS / 1000, 1)
    began = time.monotonic()
    with pytest.raises(SinkError) as refused:
        never.insert_batch("{}\n")
    assert refused.value.kind == "unavailable"
    assert time.monotonic() - began < 2


def test_under_auto_a_database_that_is_away_costs_no_event(proxy: Proxy, database: str, tmp_path: Path) -> None:
    with AuditStore(
        dir=tmp_path,
        backend="auto",
        database_url=proxy.url,
        database_timeout_ms=TIMEOUT_MS,
        recovery_interval_s=1,
    ) as store:
        store.write(req_id="0")
        store.flush()
        proxy.swallows.set()
        for n in range(1, 200):
            store.write(req_id=str(n))
        wait_until(lambda: store.status().backend == "spool" and assert_balanced(store).pending == 0)
        assert list(tmp_path.glob("spool_*.jsonl"))
        proxy.swallows.clear()
        store.flush()
        assert assert_balanced(store).stored == 200
        assert store.status().backend == "postgres"
    assert sorted(map(int, ids(database))) == list(range(200))


def test_a_statement_that_waits_is_cancelled_and_stays_on_no_session(database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database, database_timeout_ms=TIMEOUT_MS) as store:
        store.write(req_id="first")
        store.flush()
        with psycopg.connect(database) as other:
            other.execute("LOCK TABLE tool_audit_events")
            store.write(req_id="second")
            began = time.monotonic()
            with pytest.raises(Unavailable):
                store.flush()
            assert time.monotonic() - began < 3
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            wait_until(lambda: sql(database, waiting) == [(0,)])
        store.flush()
        assert assert_balanced(store).stored == 2


def test_an_exception_in_the_import_never_breaks_the_store(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_batch, select = Database.insert_batch, Database.select
    raising: list[BaseException] = []

    def broken(real: Any) -> Any:
        def call(self: Database, *given: Any) -> Any:
            if raising:
                raise raising.pop()
            return real(self, *given)

        return call

    monkeypatch.setattr(Database, "insert_batch", broken(insert_batch))
    monkeypatch.setattr(Database, "select", broken(select))
    with AuditStore(dir=tmp_path, backend="auto", database_url=database) as store:
        for error in (RuntimeError("s3cret"), KeyError(), SystemExit(), MemoryError()):
            raising.append(error)
            store.write(req_id="kept")
            store.flush()
            raising.append(error)
            with pytest.raises(Exception, match=type(error).__name__) as caught:
                store.read_page()
            assert "s3cret" not in str(caught.value)
        assert store.status().restarts == 0
        store.flush()
        assert [entry.req_id for entry in store.read()] == ["kept"] * 4


def test_a_restart_of_the_session_is_not_noticed(database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        for n in range(3):
            store.write(req_id=str(n))
            store.flush()
            assert len(list(store.read())) == n + 1
            sql(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'audit-store'",
            )
        assert assert_balanced(store).stored == 3


def test_a_session_has_the_settings_that_the_statements_need(database: str, tmp_path: Path) -> None:
    name = database.rpartition("/")[2]
    sql(
        database,
        f"""
        ALTER DATABASE {name} SET search_path = public, pg_catalog;
        ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo';
        ALTER DATABASE {name} SET DateStyle = 'German';
        ALTER DATABASE {name} SET default_transaction_isolation = 'serializable';
        CREATE OR REPLACE FUNCTION public.to_char(timestamp, text) RETURNS text LANGUAGE sql AS 'SELECT ''wrong''';
        """,
    )
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        store.write(ts="2026-11-23T12:00:00.000001Z")
        store.flush()
        assert [entry.ts for entry in store.read()] == ["2026-11-23T12:00:00.000001Z"]


def test_errors_that_would_come_again_are_told_from_those_that_pass(database: str, tmp_path: Path) -> None:
    def kind(url: str, statement: str) -> tuple[str, bool]:
        try:
            sql(url, statement)
        except psycopg.Error as error:
            return sink_error(error, "server", sent=False).kind, refusal(error) is not None
        raise AssertionError(statement)

    sql(database, "CREATE TABLE t (n int CHECK (n > 0))")
    assert kind(database, "INSERT INTO t VALUES (-1)") == ("other", True)
    assert kind(database, "SELECT 1 / 0")[1]
    assert kind(database, "SELECT * FROM nowhere") == ("other", False)
    assert kind(database, "SET statement_timeout = 10; SELECT pg_sleep(10)") == ("unavailable", False)
    assert kind(database.replace("127.0.0.1:", "127.0.0.1:1"), "SELECT 1")[0] == "unavailable"
    assert kind(database + "_nowhere", "SELECT 1") == ("other", False)


def test_a_server_is_named_by_its_hosts_and_ports() -> None:
    named = {
        "postgres://u:p@h:1,h2:2/db?options=a/b@c": "h,h2:1,2",
        "postgresql:///db?host=/run/postgresql": "/run/postgresql:5432",
        "host=h password='a://b/c@d' port=7": "h:7",
        "postgres://u:a%2Fb%40c@h/db": "h:5432",
        "postgres://h?options=a/b@c": "h:5432",
    }
    assert {url: server_name(url) for url in named} == named


def test_no_message_has_the_password(
    silent_server: str, database: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    messages = []
    for url in (silent_server, "postgres://audit:s3cret-word@127.0.0.1:1/audit", database + "_no?password=s3cret-word"):
        with AuditStore(dir=tmp_path, backend="postgres", database_url=url, database_timeout_ms=100) as store:
            store.write(tool="t")
            with pytest.raises(Exception, match="database") as caught:
                store.flush()
            messages += [str(caught.value), repr(store.status()), repr(store._settings)]
    wrong = (
        "postgres://audit:s3cret-word@b@127.0.0.1/audit",
        "postgres://audit:s3cret/word@127.0.0.1/audit",
        "postgres://audit:w@s3cret/word@127.0.0.1/audit",
        "host=127.0.0.1 port=s3cret",
        "postgres//audit:s3cret-word@h",
        "host=h password='s3cret-word",
    )
    for url in wrong:
        with pytest.raises(ConfigError, match="^database_url: ") as refused:
            AuditStore(dir=tmp_path, backend="postgres", database_url=url)
        messages.append(str(refused.value))
    messages += [record.getMessage() + str(record.exc_text) for record in caplog.records]
    assert messages
    assert not [message for message in messages if "s3cret" in message]


def test_a_database_is_needed_for_the_backends_that_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "POSTGRES_DSN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="the host has no database"):
        AuditStore(dir=tmp_path, backend="auto")
    monkeypatch.setenv("POSTGRES_DSN", "postgres://127.0.0.1:1/x")
    with AuditStore(dir=tmp_path, backend="auto", database_timeout_ms=100) as store:
        assert store.status().requested == "auto"


def test_pages_of_a_database_follow_each_other(database: str, tmp_path: Path) -> None:
    with AuditStore(dir=tmp_path, backend="postgres", database_url=database) as store:
        store.write_batch([Event(req_id=str(n), attributes={"parity": str(n % 2)}) for n in range(100)])
        for order, expected in (("oldest-first", range(1, 100, 2)), ("newest-first", range(99, 0, -2))):
            found = store.read(order=order, page_size=7, attributes={"parity": "1"})  # type: ignore[arg-type]
            assert [int(entry.req_id) for entry in found] == list(expected)
