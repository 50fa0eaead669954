//! The commands of `host-examples/spin/README.md` do what it says.

use http::{Method, Request};

use crate::site::app_on_shared;

/// The words of a command in a shell, with single quotes.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for char in command.chars() {
        match char {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            space if space.is_whitespace() && !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The request that a curl sends.
fn request(words: &[String]) -> Request<String> {
    let mut request = Request::builder();
    let (mut body, mut words) = (None, words.iter().skip(1));
    while let Some(word) = words.next() {
        match word.as_str() {
            "-d" => body = words.next().cloned(),
            "-H" => {
                let (name, value) = words.next().unwrap().split_once(": ").expect("a header");
                request = request.header(name, value);
            }
            url => {
                let rest = url.strip_prefix("http://127.0.0.1:3000").expect("where `spin up` listens");
                request = request.uri(format!("http://127.0.0.1:3000{rest}"));
            }
        }
    }
    let method = if body.is_some() { Method::POST } else { Method::GET };
    request.method(method).body(body.unwrap_or_default()).expect("it is a request")
}

#[test]
fn its_commands_are_answered_as_it_says() {
    let path = xtask::root().join("host-examples/spin/README.md");
    let text = std::fs::read_to_string(path).unwrap().replace("\\\n", " ");
    let commands: Vec<Vec<String>> =
        text.lines().filter(|line| line.starts_with("curl ")).map(words).collect();
    let (app, _) = app_on_shared();
    let answers: Vec<String> = commands
        .iter()
        .map(|command| {
            let answer = app.request(request(command)).unwrap();
            assert_eq!(answer.status(), 200, "{command:?}: {}", answer.body());
            answer.into_body()
        })
        .collect();
    let [one, several, acme, failed, other] = &answers[..] else { panic!("{commands:?}") };
    assert!(text.lines().any(|line| line == one.trim_end()), "{one}");
    assert!(several.contains("\"recorded\":3"), "{several}");
    assert_eq!(acme.matches("<td>planner").count(), 4, "{acme}");
    assert_eq!(failed.matches("<td>planner").count(), 1, "{failed}");
    assert!(other.contains("Nothing is recorded"), "{other}");
}
