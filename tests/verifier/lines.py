"""Lines of a record, as docs/format.md describes them: what the leaf of each is made of.

Of the lines of other writers, it reads those that are JSON with values of the right types.
"""
import json, re
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, getcontext

getcontext().prec = 400

FIELDS = ("ts req_id workspace_id user_id agent_id tool action status duration_ms in_size out_size input_hash graph_run_id "
          "graph_node job_id").split()
NUMBERS, OPTIONAL = ("duration_ms", "in_size", "out_size"), ("graph_run_id", "graph_node", "job_id")
OLDER = {"input_chars": "in_size", "output_size_bytes": "out_size"}
STAMP = re.compile(rb',"hash":"[0-9a-f]{64}"}')
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc(value):
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        at = EPOCH + timedelta(microseconds=int((Decimal(value) * (1000 if value >= 10**11 else 10**6)).to_integral_value("ROUND_FLOOR")))
    else:
        if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value):
            raise ValueError("an object without a time")
        value = re.sub(r"(\.\d{6})\d+", r"\1", value)
        at = datetime.fromisoformat(re.sub(r"\.(\d{1,5})(?!\d)", lambda found: "." + found[1].ljust(6, "0"), value.upper()))
        at = (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def written(value, field):
    """The value of a field as a store writes it."""
    if field in NUMBERS:
        number = Decimal(value or 0).to_integral_value(ROUND_HALF_EVEN)
        return str(min(max(int(number), 0), 2**64 - 1))
    if value is None:
        return "null" if field in OPTIONAL else '""'
    return json.dumps(str(value), ensure_ascii=False)


def body_of(line):
    """The bytes whose hash is the leaf of a line, with what it says of itself; none: it is no event."""
    line = line.strip(b" \t\r\n\x0c").removeprefix("\ufeff".encode()).lstrip(b" \t\r\n\x0c")
    try:
        constants = []
        said = json.loads(line.decode(errors="replace"), parse_float=Decimal, parse_constant=lambda name: constants.append(name) or name)
        at = utc(said.get("ts"))
    except (ValueError, ArithmeticError, AttributeError):
        return None
    uuids = all(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(said.get(name))) for name in ("id", "chain"))
    if uuids and not constants and at == said["ts"] and isinstance(said.get("seq"), int) and STAMP.fullmatch(line[-75:]):
        return line[:-75] + b"}", said
    said = {OLDER.get(name, name): value for name, value in said.items()} | {"ts": at}
    body = ",".join(f'"{field}":{written(said.get(field), field)}' for field in FIELDS)
    if said.get("attributes"):
        pairs = sorted(said["attributes"].items())
        body += ',"attributes":{' + ",".join(f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False)}" for key, value in pairs) + "}"
    return ("{" + body + "}").encode(), said
