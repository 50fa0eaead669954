"""The PostgreSQL database behind the import `audit:store/postgres`, through psycopg 3 (the extra `postgres`).

What it promises is in wit/postgres.wit and docs/hosts.md. The statements are the text files of `sql/`, which the
package carries.
"""

from audit_store.postgres.database import Database

__all__ = ["Database"]
