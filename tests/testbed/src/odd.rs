//! A server whose settings no program expects: with `AUDIT_TESTBED_SETTINGS=odd` all clusters are such servers. Programs
//! that are tested have to say what they need. The statements of the tests themselves run with the usual settings.

use std::env;

/// The settings, for the server's configuration file.
pub const SETTINGS: &str = "
default_transaction_isolation = 'serializable'
TimeZone = 'Asia/Kathmandu'
DateStyle = 'SQL, DMY'
IntervalStyle = 'sql_standard'
bytea_output = 'escape'
standard_conforming_strings = off
escape_string_warning = off
search_path = 'public, pg_catalog'
";

/// Run in the template of all databases: functions and an operator that a careless search path finds before those of
/// PostgreSQL.
pub const TEMPLATE: &str = "
CREATE FUNCTION public.right(text, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE FUNCTION public.to_json(text) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE FUNCTION public.split_part(text, text, int) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'not this one'; END $$;
CREATE FUNCTION public.to_char(timestamp, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE FUNCTION public.octet_length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE FUNCTION public.not_equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.not_equal);
";

/// What the sessions of the tests themselves use.
pub const USUAL: &str = "
SET default_transaction_isolation = 'read committed'; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET standard_conforming_strings = on;
SET search_path = \"$user\", public";

/// Whether the settings are asked for.
pub fn is_asked_for() -> bool {
    match env::var("AUDIT_TESTBED_SETTINGS").as_deref() {
        Ok("odd") => true,
        Ok("") | Err(_) => false,
        Ok(other) => panic!("AUDIT_TESTBED_SETTINGS: {other} is unknown; accepted is odd"),
    }
}
