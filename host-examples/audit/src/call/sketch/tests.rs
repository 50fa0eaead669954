//! What a sketch knows of JSON texts of all kinds and sizes.

use super::*;
use proptest::prelude::*;

const WANTED: &[Wanted] = &[
    (&["input"], Want::Input),
    (&["output"], Want::Size),
    (&["result"], Want::Size),
    (&["*", "input"], Want::Input),
];

fn sketch_in(json: &[u8], piece: usize) -> Result<Sketch, NotJson> {
    let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
    json.chunks(piece).for_each(|piece| sketcher.push(piece));
    sketcher.finish()
}

fn sketch(json: &str) -> Sketch {
    sketch_in(json.as_bytes(), 7).unwrap()
}

#[test]
fn values_that_are_wanted_are_measured() {
    let found = sketch(
        r#"{"input": {"b": 1, "a": "x"}, "output": "ä\n\ud83d\ude00\"", "result": {"tools": [1, 2]}}"#,
    );
    let input = found.measured("/input").unwrap().input.clone().unwrap();
    assert_eq!(input, Hasher::default().input(br#"{"a":"x","b":1}"#));
    assert_eq!(found.measured("/output").unwrap().size, "ä\n😀\"".len() as u64);
    assert_eq!(found.measured("/result").unwrap().size, r#"{"tools":[1,2]}"#.len() as u64);
    assert!(found.measured("/nothing").is_none());
    assert!(sketch(r#"[{}, {"input": 1}]"#).measured("/1/input").is_some());
}

#[test]
fn a_large_value_leaves_a_small_tree() {
    let json = format!(
        r#"{{"long":"{}","many":[{}],"deep":{}{},"after":"here"}}"#,
        "é".repeat(1 << 20),
        "1,".repeat(1 << 20) + "1",
        "[".repeat(1000),
        "]".repeat(1000),
    );
    let found = sketch_in(json.as_bytes(), 8192).unwrap();
    assert_eq!((found.text("/after"), found.text("/long")), ("here", "é".repeat(2048).as_str()));
    assert_eq!(found.value["many"].as_array().unwrap().len(), MAX_ITEMS);
    assert!(serde_json::to_string(&found.value).unwrap().len() < 10_000);
}

#[test]
fn a_value_to_keep_is_kept_however_large_others_are() {
    const KEPT: &[Path] = &[&["*", "id"], &["*", "result", "isError"], &["*", "tools", "*", "name"]];
    let many = "\"x\",".repeat(100_000) + "1";
    let members: String = (0..5000).map(|n| format!("\"{n}\":0,")).collect();
    let pad = format!("{{\"name\":\"{}\"}},", "n".repeat(5000)).repeat(1000) + "0";
    let below = format!(r#"{{"isError":[{many}],"id":1}}"#);
    let json = format!(
        r#"[{{{members}"result":{{"content":[{many}],"isError":true}},"tools":[{pad}],"id":7}},{{"result":{below},"id":8}},2]"#
    );
    let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
    sketcher.push(json.as_bytes());
    let found = sketcher.finish().unwrap();
    let (first, second) = (&found.value[0], &found.value[1]);
    assert_eq!((&first["id"], &first["result"].to_string()), (&7.into(), &r#"{"isError":true}"#.into()));
    assert!(first["tools"].to_string().len() < 2 * MAX_TREE);
    assert_eq!((&second["id"], found.len), (&8.into(), 3));
    assert!(second["result"].to_string().len() < 100);
}

#[test]
fn many_items_hide_nothing_that_is_measured_around_them() {
    const WANTED: &[Wanted] = &[
        (&["result"], Want::Size),
        (&["result", "tools", "*"], Want::Digest),
        (&["*", "input"], Want::Input),
    ];
    let sketch = |json: &str| {
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
        sketcher.push(json.as_bytes());
        sketcher.finish().unwrap()
    };
    let found = sketch(&format!(r#"{{"result":{{"tools":[{}1]}}}}"#, "1,".repeat(5000)));
    assert_eq!(found.measured("/result").unwrap().size, r#"{"tools":[]}"#.len() as u64 + 10_001);
    assert!(found.measured("/result/tools/1023").is_some());
    assert!(found.measured("/result/tools/1024").is_none());
    let found = sketch(&format!("[{}1]", r#"{"input":1},"#.repeat(5000)));
    assert!(found.measured("/1023/input").is_some() && found.measured("/1024/input").is_none());
}

#[test]
fn what_is_listed_is_kept_however_large_others_are_that_are_listed_too() {
    const KEPT: &[Path] = &[&["error"], &["result", "error"], &["id"], &["list", "*"]];
    let many = format!("[{}1]", "[1],".repeat(20_000));
    let json =
        format!(r#"{{"error":{many},"list":{many},"result":{{"x":{many},"error":1}},"id":"here","y":2}}"#);
    let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
    sketcher.push(json.as_bytes());
    let found = sketcher.finish().unwrap();
    assert_eq!((found.text("/id"), &found.value["result"]), ("here", &serde_json::json!({"error": 1})));
    assert!(found.value["error"].is_array() && found.value.get("y").is_none());
}

#[test]
fn what_is_cut_or_followed_by_something_is_known_as_far_as_it_goes() {
    let anyway = |json: &str| {
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
        sketcher.push(json.as_bytes());
        sketcher.finish_anyway().map(|found| (found.value, found.is_whole))
    };
    assert_eq!(anyway(r#"{"a":{"b":1,"c":"tex"#), Ok((serde_json::json!({"a": {"b": 1}}), false)));
    assert_eq!(anyway("{\"a\":1}\0{\"a\":2}"), Ok((serde_json::json!({"a": 1}), true)));
    for none in ["", "[1", "[1]", "1", "null", "x{"] {
        assert!(anyway(none).is_err(), "{none}");
    }
}

#[test]
fn nesting_takes_no_memory() {
    let depth = 5_000_000;
    let json = format!(
        r#"{{"input":1,"output":{}1{},"after":" ] "}}"#,
        "[{\"]\\\"\": ".repeat(depth),
        "}]".repeat(depth)
    );
    let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
    for piece in json.as_bytes().chunks(65_536) {
        sketcher.push(piece);
        assert!(sketcher.open.len() <= MAX_DEPTH);
    }
    let found = sketcher.finish().unwrap();
    assert_eq!(found.text("/after"), " ] ");
    assert_eq!(
        found.measured("/output").unwrap().size,
        (r#"[{"]\"":"#.len() + "}]".len()) as u64 * depth as u64 + 1
    );
}

#[test]
fn what_is_no_json_is_refused() {
    for json in
        ["", "{", "[1", "{]", "[}", "1 2", "{\"a\" 1}", "tru", "]", "{1:2}", "\"a", "[1,]", "{\"a\":1,}"]
    {
        assert_eq!(sketch_in(json.as_bytes(), 1).err(), Some(NotJson), "{json}");
    }
}

#[test]
fn half_a_surrogate_pair_is_a_replacement_character() {
    assert_eq!(sketch(r#""a\ud800b""#).value, "a\u{FFFD}b");
    assert_eq!(sketch(r#""\ud800""#).value, "\u{FFFD}");
    assert_eq!(sketch(r#""\ud800\ud83d\ude00\udc00\n""#).value, "\u{FFFD}😀\u{FFFD}\n");
}

#[test]
fn what_is_listed_in_each_item_is_kept_however_much_came_before() {
    const KEPT: &[Path] = &[&["*", "id"], &["*", "method"], &["*", "result", "isError"]];
    let long = "m".repeat(MAX_TEXT);
    let many = format!(r#"{{"id":"{long}","method":"{long}"}},"#).repeat(MAX_ITEMS - 1);
    let json = format!(r#"[{many}{{"id":"last","result":{{"isError":true}},"method":"tools/call"}}]"#);
    let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
    sketcher.push(json.as_bytes());
    let found = sketcher.finish().unwrap();
    let last = serde_json::json!({"id": "last", "result": {"isError": true}, "method": "tools/call"});
    assert_eq!((&found.value[MAX_ITEMS - 1], found.is_cut), (&last, false));
    assert!(found.value.to_string().len() < 2 * MAX_TREE);
}

#[test]
fn what_is_left_out_is_told() {
    const KEPT: &[Path] = &[&["tools", "*", "name"]];
    const WANTED: &[Wanted] = &[(&["tools", "*"], Want::Digest)];
    for (tools, is_cut) in [(MAX_ITEMS, false), (MAX_ITEMS + 1, true)] {
        let tool = format!(r#"{{"name":"{}","x":[1]}}"#, "n".repeat(MAX_TEXT));
        let json = format!(r#"{{"other":{{"x":[1]}},"tools":[{}]}}"#, vec![tool; tools].join(","));
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
        sketcher.push(json.as_bytes());
        let found = sketcher.finish().unwrap();
        assert_eq!((found.is_cut, found.value["tools"].as_array().unwrap().len()), (is_cut, MAX_ITEMS));
    }
}

#[test]
fn the_last_of_two_equal_keys_is_the_one_that_is_measured() {
    let found = sketch(r#"{"result":{"input":1},"result":null,"input":[1],"input":[1,2]}"#);
    assert!(found.measured("/result").is_none());
    assert_eq!(found.measured("/input").unwrap().input, Some(Hasher::default().input(b"[1,2]")));
}

#[test]
fn what_nobody_keeps_is_not_parsed() {
    const KEPT: &[Path] = &[&["id"], &["result", "tools", "*", "name"]];
    let is_skipping = |json: &str| {
        let mut sketcher = Sketcher::new(&[(&["x", "y"], Want::Size)], &Hasher::default()).keeping(KEPT);
        sketcher.push(json.as_bytes());
        matches!(sketcher.state, State::Skipped(_))
    };
    for json in [r#"{"a":[1"#, r#"{"result":{"list":[[1,"#, r#"{"x":{"z":{"#, r#"{"x":{"y":["#, "[{"] {
        assert!(is_skipping(json), "{json}");
    }
    for json in ["{", r#"{"x":{"#, r#"{"result":{"tools":[{"#] {
        assert!(!is_skipping(json), "{json}");
    }
    // Of the tree, nothing is left out.
    let found = skipped(r#"{"output":[1, {"a":"]\""}, []] ,"id":7}"#.as_bytes(), 3).unwrap();
    assert_eq!((&found.value, found.is_cut), (&serde_json::json!({"id": 7}), false));
    assert_eq!(found.measured("/output").unwrap().size, r#"[1,{"a":"]\""},[]]"#.len() as u64);
}

/// Nothing is kept, so that all within is passed over.
fn skipped(json: &[u8], piece: usize) -> Result<Sketch, NotJson> {
    const KEPT: &[Path] = &[&["id"]];
    let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
    json.chunks(piece).for_each(|piece| sketcher.push(piece));
    sketcher.finish()
}

#[test]
fn what_is_passed_over_is_still_json_or_not() {
    for inner in
        ["[1,]", "[,]", "[1 2]", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[}", "{]", "[\"a\":1]", "[!]"]
    {
        let json = format!(r#"{{"x":{inner}}}"#);
        assert_eq!(skipped(json.as_bytes(), 1).err(), Some(NotJson), "{json}");
    }
}

#[test]
fn what_is_left_out_of_what_is_listed_is_told() {
    const KEPT: &[Path] = &[&["id"], &["parts", "*", "id"], &["parts", "*", "content"]];
    let is_cut = |json: &str| {
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
        sketcher.push(json.as_bytes());
        sketcher.finish().unwrap().is_cut
    };
    let parts = |count: usize, part: &str| format!(r#"{{"parts":[{}0],"id":1}}"#, part.repeat(count));
    assert!(!is_cut(&parts(1000, r#"{"id":1,"x":["not","listed"]},"#)));
    assert!(is_cut(&parts(1025, r#"{"id":1},"#)));
    let long = "x".repeat(5000);
    assert!(!is_cut(&parts(1000, &format!(r#"{{"id":1,"input":"{long}"}},"#))));
    // Texts become short before items are left out.
    assert!(!is_cut(&parts(1000, &format!(r#"{{"content":"{long}","id":1}},"#))));
    // What is below them takes no room of theirs, and is not listed itself.
    assert!(!is_cut(&parts(1, &format!(r#"{{"content":[{}0]}},"#, format!("\"{long}\",").repeat(1000)))));
}

#[test]
fn of_a_key_that_comes_again_the_last_counts() {
    const WANTED: &[Wanted] =
        &[(&["params", "arguments"], Want::Input), (&["*", "params", "arguments"], Want::Input)];
    let sketch = |json: &str| {
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
        sketcher.push(json.as_bytes());
        sketcher.finish().unwrap()
    };
    let twice = r#"{"params":{"name":"a","arguments":{"a":1}},"params":{"name":"b"}}"#;
    let found = sketch(twice);
    assert_eq!((found.text("/params/name"), found.measured("/params/arguments")), ("b", None));
    let found = sketch(&format!(r#"[{{"params":{{"arguments":1}}}},{twice}]"#));
    assert!(
        found.measured("/0/params/arguments").is_some() && found.measured("/1/params/arguments").is_none()
    );
    let found = sketch(r#"{"params":{"arguments":1,"arguments":null}}"#);
    assert_eq!(found.measured("/params/arguments"), None);
    let many: String = (0..MAX_ITEMS).map(|n| format!(r#""{n}":0,"#)).collect();
    assert_eq!(sketch(&format!(r#"{{"a":1,{many}"a":2}}"#)).value.get("a"), None);
}

#[test]
fn what_python_writes_for_numbers_that_are_none_is_a_value() {
    let found = sketch(r#"{"input":{"a":NaN,"b":[-Infinity,Infinity]},"output":NaN}"#);
    assert!(found.measured("/input").unwrap().input.as_ref().unwrap().is_raw);
    assert_eq!(found.measured("/output").unwrap().size, 3);
    for json in ["nan", "Nan", "Inf", "[Infinit]", "N", "+Infinity"] {
        assert_eq!(sketch_in(json.as_bytes(), 1).err(), Some(NotJson), "{json}");
    }
}

/// Any JSON, in which some values are measured.
fn json() -> impl Strategy<Value = Value> {
    crate::call::input::tests::json("input|output|.{0,4}")
}

proptest! {
    #[test]
    fn small_json_is_kept_as_it_is(value in json(), piece in 1..20_usize, pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let found = sketch_in(text.unwrap().as_bytes(), piece).unwrap();
        prop_assert_eq!(&found.value, &value);
        if let Some(input) = value.get("input").filter(|input| !input.is_null()) {
            let expected = Hasher::default().input(input.to_string().as_bytes());
            prop_assert_eq!(found.measured("/input").unwrap().input.as_ref(), Some(&expected));
        }
        if let Some(output) = value.get("output").filter(|output| !output.is_null()) {
            let size = output.as_str().map_or(output.to_string().len(), str::len) as u64;
            prop_assert_eq!(found.measured("/output").unwrap().size, size);
        }
    }

    #[test]
    fn any_bytes_are_json_or_not(bytes in "[\\[\\]{}:,\"\\\\u0d8ctrue 1-]{0,40}", piece in 1..9_usize) {
        let is_json = serde_json::from_str::<Value>(&bytes).is_ok();
        let found = sketch_in(bytes.as_bytes(), piece);
        // It is lenient within texts and numbers, but never refuses what is JSON.
        prop_assert!(!is_json || found.is_ok());
    }

    #[test]
    fn what_is_passed_over_is_measured_as_what_is_kept(value in json(), piece in 1..20_usize, pretty: bool) {
        let value = serde_json::json!({"x": [value.clone()], "output": [value.clone()], "input": {"y": value}});
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let (kept, skipped) = (sketch_in(text.as_bytes(), piece).unwrap(), skipped(text.as_bytes(), piece).unwrap());
        for pointer in ["/output", "/input"] {
            prop_assert_eq!(kept.measured(pointer), skipped.measured(pointer));
        }
        prop_assert_eq!(skipped.value, serde_json::json!({}));
    }
}
