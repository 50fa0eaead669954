//! Adds hooks to a JSON configuration and takes them out, with everything else in it as it was.

use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::command::program_of_hook;
use crate::config::{json, json_with_comments};

/// How a configuration lists the hooks of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"hooks": {EVENT: [{"matcher": …, "hooks": [HOOK]}]}}`
    Grouped(Option<&'static str>),
    /// `{"hooks": {EVENT: [HOOK]}}`
    Flat,
}

/// The hooks of this program in a configuration.
#[derive(Debug)]
pub(super) struct Hooks {
    pub(super) form: Form,
    /// Members that the configuration has to have at its top.
    pub(super) top: Vec<(String, CstInputValue)>,
    pub(super) events: Vec<&'static str>,
    /// One of them.
    pub(super) hook: Vec<(String, CstInputValue)>,
}

/// What is in the place of a configuration, or why it cannot be changed.
pub(super) type Outcome = Result<Option<String>, String>;

const WRONG_TYPE: &str = "`hooks` has another form than expected";

impl Hooks {
    /// The configuration with these hooks.
    pub(super) fn install(&self, text: Option<&str>) -> Outcome {
        let root = json(text)?;
        let top = root.object_value().ok_or(WRONG_TYPE)?;
        for (name, value) in &self.top {
            if top.get(name).is_none() {
                top.append(name, value.clone());
            }
        }
        let hooks = top.object_value_or_create("hooks").ok_or(WRONG_TYPE)?;
        for event in &self.events {
            let list = hooks.array_value_or_create(event).ok_or(WRONG_TYPE)?;
            self.install_in(&list)?;
        }
        // Of an earlier version, or with other options.
        for property in hooks.properties() {
            let is_wanted = property.decoded_name().is_some_and(|name| self.events.contains(&name.as_str()));
            if !is_wanted && let Some(list) = property.array_value() {
                let is_changed = self.remove_from(&list);
                if is_changed && list.elements().is_empty() {
                    property.remove();
                }
            }
        }
        Ok(Some(closed(&root)))
    }

    fn install_in(&self, list: &CstArray) -> Result<(), String> {
        let mut ours = self.ours(list).into_iter();
        let Some(first) = ours.next() else {
            let hook = CstInputValue::Object(self.hook.clone());
            list.ensure_multiline();
            list.append(match self.form {
                Form::Flat => hook,
                Form::Grouped(matcher) => {
                    let matcher = matcher.map(|text| ("matcher".to_owned(), CstInputValue::from(text)));
                    let hooks = ("hooks".to_owned(), CstInputValue::Array(vec![hook]));
                    CstInputValue::Object(matcher.into_iter().chain([hooks]).collect())
                }
            });
            return Ok(());
        };
        // What its user has changed of it, such as its timeout, stays.
        if let Some(property) = first.get("command")
            && property.value().and_then(|value| text(&value)).as_deref() != self.command()
        {
            property.set_value(self.command().unwrap_or_default().into());
        }
        if let Some(args) = first.get("args") {
            args.remove();
        }
        if let (Form::Grouped(Some(matcher)), Some(group)) = (self.form, group_of(&first))
            && group.array_value("hooks").is_some_and(|hooks| hooks.elements().len() == 1)
            && let Some(property) = group.get("matcher")
            && !is_every_tool(&property.value().and_then(|value| text(&value)).unwrap_or_default())
        {
            property.set_value(matcher.into());
        }
        ours.for_each(|hook| self.remove(hook));
        Ok(())
    }

    /// The configuration without hooks of this program.
    pub(super) fn uninstall(&self, text: Option<&str>, backup: Option<&str>) -> Outcome {
        let Some(text) = text else { return Ok(None) };
        let root = json(Some(text))?;
        let Some(hooks) = root.object_value().and_then(|top| top.object_value("hooks")) else {
            return Ok(Some(text.to_owned()));
        };
        let mut is_changed = false;
        for property in hooks.properties() {
            let Some(list) = property.array_value() else { continue };
            if self.remove_from(&list) {
                is_changed = true;
                if list.elements().is_empty() {
                    property.remove();
                }
            }
        }
        if !is_changed {
            return Ok(Some(text.to_owned()));
        }
        if hooks.properties().is_empty()
            && let Some(property) = root.object_value().and_then(|top| top.get("hooks"))
        {
            property.remove();
        }
        let left = root.to_string();
        // What was there before, to the byte, if nothing else was changed since.
        if let Some(backup) = backup.filter(|backup| same(backup, &left)) {
            return Ok(Some(backup.to_owned()));
        }
        let is_own = |(name, _): &(String, Value)| self.top.iter().any(|(own, _)| own == name);
        let has_others = !members(&left).iter().all(is_own);
        Ok((has_others || backup.is_some()).then_some(left))
    }

    /// Takes the hooks of this program out of the list of an event. True: there were some.
    fn remove_from(&self, list: &CstArray) -> bool {
        let ours = self.ours(list);
        let is_changed = !ours.is_empty();
        ours.into_iter().for_each(|hook| self.remove(hook));
        is_changed
    }

    /// Takes out a hook, and its group if it was alone in it.
    fn remove(&self, hook: CstObject) {
        let group = group_of(&hook).filter(|_| self.form != Form::Flat);
        hook.remove();
        if let Some(group) = group
            && group.array_value("hooks").is_some_and(|hooks| hooks.elements().is_empty())
        {
            group.remove();
        }
    }

    /// The hooks of this program in the list of an event.
    fn ours(&self, list: &CstArray) -> Vec<CstObject> {
        let elements = list.elements().into_iter();
        let hooks: Vec<CstNode> = match self.form {
            Form::Flat => elements.collect(),
            Form::Grouped(_) => elements
                .filter_map(|group| group.as_object()?.array_value("hooks"))
                .flat_map(|hooks| hooks.elements())
                .collect(),
        };
        let objects = hooks.into_iter().filter_map(|hook| hook.as_object());
        objects.filter(|hook| command_of(hook).is_some()).collect()
    }

    fn command(&self) -> Option<&str> {
        self.hook.iter().find_map(|(name, value)| match value {
            CstInputValue::String(command) if name == "command" => Some(command.as_str()),
            _ => None,
        })
    }

    /// Whether a configuration has hooks of this program.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let root = json_with_comments(text);
        let hooks = root.as_ref().and_then(|root| root.object_value()?.object_value("hooks"));
        let lists = hooks.iter().flat_map(CstObject::properties).filter_map(|event| event.array_value());
        lists.into_iter().any(|list| !self.ours(&list).is_empty())
    }

    /// The command of each hook of this program that is run for every tool, for each event that is wanted; none where there is
    /// no such hook.
    pub(super) fn commands(&self, configuration: &str) -> Vec<Option<String>> {
        let root = json_with_comments(configuration);
        let hooks = root.as_ref().and_then(|root| root.object_value()?.object_value("hooks"));
        let command = |event: &&str| {
            let list = hooks.as_ref()?.array_value(event)?;
            let is_run = |hook: &CstObject| {
                let group = group_of(hook).filter(|_| self.form != Form::Flat);
                let matcher = group.and_then(|group| text(&group.get("matcher")?.value()?));
                is_every_tool(&matcher.unwrap_or_default())
            };
            command_of(self.ours(&list).iter().find(|hook| is_run(hook))?)
        };
        self.events.iter().map(command).collect()
    }
}

/// The group that a hook is in.
fn group_of(hook: &CstObject) -> Option<CstObject> {
    hook.ancestors().find_map(|node| node.as_object())
}

/// Whether a matcher lets every tool through.
fn is_every_tool(matcher: &str) -> bool {
    ["", "*", ".*"].contains(&matcher)
}

/// The command of a hook, with its arguments, if it is one of this program.
fn command_of(hook: &CstObject) -> Option<String> {
    let args = hook.array_value("args").into_iter().flat_map(|args| args.elements());
    let args = args.filter_map(|word| Some(format!(" {}", text(&word)?)));
    let command = text(&hook.get("command")?.value()?)? + &args.collect::<String>();
    program_of_hook(&command).map(|_| command)
}

fn text(node: &CstNode) -> Option<String> {
    node.as_string_lit()?.decoded_value().ok()
}

/// Whether two configurations say the same. Without hooks and with none is the same.
fn same(one: &str, other: &str) -> bool {
    members(one) == members(other)
}

fn members(text: &str) -> Vec<(String, Value)> {
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    let members: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    members.into_iter().filter(|(name, value)| name != "hooks" || !is_empty(value)).collect()
}

/// The text, with a newline at its end as editors leave it.
fn closed(root: &CstRootNode) -> String {
    let text = root.to_string();
    if text.ends_with('\n') { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(form: Form, command: &str) -> Hooks {
        Hooks {
            form,
            top: Vec::new(),
            events: vec!["PostToolUse", "PostToolUseFailure"],
            hook: vec![("type".into(), "command".into()), ("command".into(), command.into())],
        }
    }

    const GROUPED: Form = Form::Grouped(Some("*"));

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn hooks_are_added_once_and_taken_out_to_the_byte() {
        let others = [
            "{}",
            "{\n  \"model\": \"x\",\n  \"hooks\": {}\n}\n",
            "{\"hooks\":{\"PostToolUse\":[{\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"x\"}]}]},\"z\":1,\"a\":2}",
            "{\n\t\"hooks\": {\n\t\t\"Stop\": [],\n\t\t\"PostToolUse\": [\n\t\t\t{ \"hooks\": [] }\n\t\t]\n\t}\n}",
            "{\r\n  \"a\": 1\r\n}\r\n",
        ];
        for (form, text) in [GROUPED, Form::Flat].into_iter().flat_map(|form| others.map(|text| (form, text)))
        {
            let ours = hooks(form, "/bin/audit hook claude");
            let installed = ours.install(Some(text)).unwrap().unwrap();
            assert_eq!(ours.install(Some(&installed)).unwrap().as_ref(), Some(&installed), "{text}");
            assert_eq!(
                ours.commands(&installed),
                [Some("/bin/audit hook claude".into()), Some("/bin/audit hook claude".into())],
                "{installed}"
            );
            // Lines of others are all still there, in their order.
            let (before, after) = (value(text), value(&installed));
            let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert!(keys(&before).iter().all(|key| keys(&after).contains(key)));
            assert_eq!(ours.uninstall(Some(&installed), Some(text)).unwrap().as_deref(), Some(text));
        }
        let ours = hooks(GROUPED, "audit hook claude");
        let installed = ours.install(None).unwrap().unwrap();
        assert_eq!(ours.uninstall(Some(&installed), None), Ok(None));
    }

    #[test]
    fn what_was_changed_since_stays_when_hooks_are_taken_out() {
        let ours = hooks(GROUPED, "audit hook claude");
        let before = "{\n  \"hooks\": {\n    \"PostToolUse\": [\n      {\n        \"hooks\": [\n          {\"command\": \"x\"}\n        ]\n      }\n    ]\n  }\n}\n";
        let installed = ours.install(Some(before)).unwrap().unwrap();
        let changed = installed.replacen("{\n", "{\n  \"model\": \"new\",\n", 1);
        let removed = ours.uninstall(Some(&changed), Some(before)).unwrap().unwrap();
        let expected = before.replacen("{\n", "{\n  \"model\": \"new\",\n", 1);
        assert_eq!(removed, expected);
    }

    #[test]
    fn a_hook_with_other_options_is_replaced() {
        let installed = hooks(GROUPED, "/old/audit hook claude").install(Some("{}")).unwrap().unwrap();
        let again = hooks(GROUPED, "audit hook claude --starts").install(Some(&installed)).unwrap().unwrap();
        assert_eq!(again, installed.replace("/old/audit hook claude", "audit hook claude --starts"));
        let by_hand = r#"{"hooks":{"PostToolUse":[{"hooks":[{"type":"command","command":"audit","args":["hook","claude"]}]}]}}"#;
        let again = hooks(GROUPED, "audit hook claude").install(Some(by_hand)).unwrap().unwrap();
        assert!(!again.contains("args") && again.matches("audit hook claude").count() == 2, "{again}");
    }

    #[test]
    fn a_configuration_of_another_form_is_refused() {
        let ours = hooks(GROUPED, "audit hook claude");
        for text in [r#"{"hooks":[]}"#, r#"{"hooks":{"PostToolUse":{}}}"#, "{ // comment\n}"] {
            assert!(ours.install(Some(text)).is_err(), "{text}");
        }
        let unrelated = r#"{"hooks":[]}"#;
        assert_eq!(ours.uninstall(Some(unrelated), None).unwrap().as_deref(), Some(unrelated));
    }
}
