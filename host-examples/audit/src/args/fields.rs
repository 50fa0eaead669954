//! The options for the texts of an event. They are made from the list of its fields.

use audit_format::attributes::Attribute;
use audit_format::event::Field;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

/// The name of a field's option.
pub(crate) fn option(field: Field) -> String {
    let short = match field {
        Field::WorkspaceId => "workspace",
        Field::UserId => "user",
        Field::AgentId => "agent",
        Field::GraphRunId => "run",
        Field::GraphNode => "node",
        Field::JobId => "job",
        field => return field.name().replace('_', "-"),
    };
    short.into()
}

/// The option of a field.
fn arg(field: Field) -> Arg {
    let about = field.about().trim_end_matches('.');
    let (about, other) = match field {
        // What agents call a session or a conversation is the run of a graph to others.
        Field::GraphRunId => ("The session of an agent, or the run of a graph or workflow", Some("session")),
        _ => (about, None),
    };
    Arg::new(field.name())
        .visible_aliases(other)
        .long(option(field))
        .value_name("TEXT")
        .value_parser(text())
        .help(format!("{about} (`{}`)", field.name()))
}

/// The fields whose options are given, with their values.
fn given(fields: impl Iterator<Item = Field>, matches: &ArgMatches) -> Vec<(Field, String)> {
    fields.filter_map(|field| Some((field, matches.get_one::<String>(field.name())?.clone()))).collect()
}

/// The filters of a read: fields with the texts that they must have.
#[derive(Debug)]
pub(crate) struct Filters(pub(crate) Vec<(Field, String)>);

impl Args for Filters {
    fn augment_args(command: Command) -> Command {
        command.args(Field::filtered().map(|field| arg(field).help_heading("Filters")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(given(Field::filtered(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The texts of the event for a command.
#[derive(Debug)]
pub(crate) struct EventTexts(pub(crate) Vec<(Field, String)>);

impl EventTexts {
    /// All but those that `audit exec` finds out itself.
    fn fields() -> impl Iterator<Item = Field> {
        Field::filtered().filter(|field| !matches!(field, Field::Status | Field::InputHash))
    }
}

impl Args for EventTexts {
    fn augment_args(command: Command) -> Command {
        let arg = |field| {
            let arg = arg(field).help_heading("Fields of the event");
            match field {
                Field::Tool => arg.help(
                    "The tool that was called (`tool`) [default: the command's name, without its folder]",
                ),
                Field::Action => arg.default_value("exec"),
                _ => arg,
            }
        };
        command.args(Self::fields().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for EventTexts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(given(Self::fields(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A text of any bytes: those that are not UTF-8 are replaced by U+FFFD.
pub(crate) fn text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| text.to_string_lossy().into_owned())
}

/// A field that reads can be filtered by, given by its name or by that of its option.
pub(crate) fn field() -> impl TypedValueParser<Value = Field> {
    text().try_map(|name| {
        let named = |field: &Field| name == field.name() || name == option(*field);
        Field::filtered().find(named).ok_or_else(|| {
            let names: Vec<&str> = Field::filtered().map(Field::name).collect();
            format!("reads do not filter by it; accepted are {}", names.join(", "))
        })
    })
}

/// An attribute, given as `KEY=VALUE`.
pub(crate) fn attribute() -> impl TypedValueParser<Value = Attribute<'static>> {
    text().try_map(|text| match text.split_once('=') {
        Some((key, value)) => Ok(Attribute::new(key, value).into_owned()),
        None => Err("it has no `=`; accepted is KEY=VALUE, such as model=large"),
    })
}
