//! Adds hooks to a JSON configuration and takes them out, with everything else in it as it was.

use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};

use super::command::program_of_hook;
use crate::config::json;

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
                self.remove_from(&list);
                if list.elements().is_empty() {
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
        for (name, value) in &self.hook {
            match first.get(name) {
                Some(property)
                    if property.value().and_then(|value| value.to_serde_value()) != plain(value) =>
                {
                    property.set_value(value.clone());
                }
                Some(_) => {}
                None => {
                    first.append(name, value.clone());
                }
            }
        }
        if self.hook.iter().all(|(name, _)| name != "args")
            && let Some(args) = first.get("args")
        {
            args.remove();
        }
        Ok(())
    }

    /// The configuration without hooks of this program.
    pub(super) fn uninstall(&self, text: Option<&str>, backup: Option<&str>) -> Outcome {
        let Some(text) = text else { return Ok(None) };
        // What was there before, to the byte, if nothing else was changed since.
        let backup = backup.filter(|backup| self.programs(backup).iter().all(Option::is_none));
        for before in [backup, None] {
            if self.install(before).is_ok_and(|installed| installed.as_deref() == Some(text)) {
                return Ok(before.map(str::to_owned));
            }
        }
        let root = json(Some(text))?;
        let Some(hooks) = root.object_value().and_then(|top| top.object_value("hooks")) else {
            return Ok(Some(text.to_owned()));
        };
        let mut is_changed = false;
        for property in hooks.properties() {
            let Some(list) = property.array_value() else { continue };
            is_changed |= self.remove_from(&list);
            if list.elements().is_empty() {
                property.remove();
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
        Ok(Some(root.to_string()))
    }

    /// Takes the hooks of this program out of the list of an event. True: there were some.
    fn remove_from(&self, list: &CstArray) -> bool {
        let ours = self.ours(list);
        let is_changed = !ours.is_empty();
        for hook in ours {
            let group = hook.ancestors().find_map(|node| match self.form {
                Form::Grouped(_) => node.as_object(),
                Form::Flat => None,
            });
            hook.remove();
            if let Some(group) = group
                && group.array_value("hooks").is_some_and(|hooks| hooks.elements().is_empty())
            {
                group.remove();
            }
        }
        is_changed
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
        objects.filter(|hook| program_of(hook).is_some()).collect()
    }

    /// The programs of the hooks of this program, for each event that is wanted; none where there is no such hook.
    pub(super) fn programs(&self, text: &str) -> Vec<Option<String>> {
        let root = json(Some(text)).ok();
        let hooks = root.and_then(|root| root.object_value()?.object_value("hooks"));
        let program = |event: &&str| {
            let list = hooks.as_ref()?.array_value(event)?;
            program_of(self.ours(&list).first()?)
        };
        self.events.iter().map(program).collect()
    }
}

/// The program of a hook, if it is this one.
fn program_of(hook: &CstObject) -> Option<String> {
    let text = |name: &str| hook.get(name)?.value()?.to_serde_value()?.as_str().map(str::to_owned);
    let args = hook.array_value("args").into_iter().flat_map(|args| args.elements());
    let args = args.filter_map(|word| word.to_serde_value()?.as_str().map(|word| format!(" {word}")));
    program_of_hook(&(text("command")? + &args.collect::<String>()))
}

fn plain(value: &CstInputValue) -> Option<serde_json::Value> {
    let root = CstRootNode::parse("null", &jsonc_parser::ParseOptions::default()).ok()?;
    root.set_value(value.clone());
    root.value()?.to_serde_value()
}

/// The text, with a newline at its end as editors leave it.
fn closed(root: &CstRootNode) -> String {
    let text = root.to_string();
    if text.ends_with('\n') { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
                ours.programs(&installed),
                [Some("/bin/audit".into()), Some("/bin/audit".into())],
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
