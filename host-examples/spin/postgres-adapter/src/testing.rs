//! A server of the tests' own: it answers each statement as a test says, and notes what it was asked.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use audit_sql::statements;

use crate::address::Address;
use crate::database::Database;
use crate::link::{Connection, Driver, Fault, Parameter, Report, Value};

/// A statement as the server gets it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub statement: String,
    /// The parameters, as texts.
    pub parameters: Vec<Option<String>>,
}

impl Asked {
    pub fn is_missing(&self) -> bool {
        self.statement == statements::MISSING
    }

    pub fn text(&self) -> &str {
        self.parameters[0].as_deref().unwrap_or_default()
    }
}

/// Rows, or how many were changed.
pub enum Answer {
    Rows(Vec<Vec<Value>>),
    Changed(u64),
}

type Respond = Box<dyn FnMut(&Asked) -> Result<Answer, Fault>>;

#[derive(Clone)]
pub struct Server(Rc<RefCell<(Vec<Asked>, Respond)>>);

impl Server {
    /// A server that answers like this. What begins a session is answered by itself.
    pub fn new(respond: impl FnMut(&Asked) -> Result<Answer, Fault> + 'static) -> Self {
        Self(Rc::new(RefCell::new((Vec::new(), Box::new(respond)))))
    }

    pub fn database(&self) -> Database<Self> {
        let time = Duration::from_secs(2);
        Database::new(self.clone(), Address::parse("postgres://me:pw@db/audit", time).unwrap(), time)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.0.borrow().0.clone()
    }

    fn ask(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Answer, Fault> {
        if statement.contains("set_config('statement_timeout'") {
            return Ok(Answer::Rows(Vec::new()));
        }
        let text = |parameter: &Parameter<'_>| match parameter {
            Parameter::Text(text) => Some((*text).to_owned()),
            Parameter::Number(number) => Some(alloc::format!("{number}")),
            Parameter::Null => None,
        };
        let asked =
            Asked { statement: statement.to_owned(), parameters: parameters.iter().map(text).collect() };
        let (all, respond) = &mut *self.0.borrow_mut();
        all.push(asked.clone());
        respond(&asked)
    }
}

impl Driver for Server {
    type Connection = Self;

    fn open(&self, address: &str) -> Result<Self, Fault> {
        assert!(address.starts_with("postgres://me:pw@db/audit?connect_timeout=2"));
        Ok(self.clone())
    }
}

impl Connection for Server {
    fn query(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<Value>>, Fault> {
        match self.ask(statement, parameters)? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Changed(_) => panic!("{statement} was to return rows"),
        }
    }

    fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, Fault> {
        match self.ask(statement, parameters)? {
            Answer::Changed(changed) => Ok(changed),
            Answer::Rows(_) => panic!("{statement} was to change rows"),
        }
    }
}

/// An error of the server.
pub fn server_error(severity: &str, code: &str, message: &str) -> Fault {
    Fault::Server(Report {
        severity: severity.to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        ..Report::default()
    })
}
