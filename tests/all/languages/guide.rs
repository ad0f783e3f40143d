use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Command, Stdio};

use super::fit::must_fit;
use super::project::{can_build, put_tools, search_path};
use crate::support::audio::speech;
use crate::support::program::{Kept, repository, unset};

/// Where the guide has the server listen, for everybody and for whoever runs it. Here it is other ports.
const ADDRESSES: [&str; 2] = ["127.0.0.1:8000", "127.0.0.1:8001"];

/// What stands in an answer of the guide for the rest of it.
const REST: &str = ",…}";

/// A fenced block: its language and its lines.
struct Block {
    lang: String,
    text: String,
}

fn blocks(guide: &str) -> VecDeque<Block> {
    let mut blocks = VecDeque::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(lang) = line.strip_prefix("```") else {
            continue;
        };
        let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push_back(Block {
            lang: lang.to_owned(),
            text: inside.join("\n"),
        });
    }
    blocks
}

/// The directory in which the guide is followed.
struct Reader {
    dir: tempfile::TempDir,
    server: Option<(Kept, Lines<BufReader<ChildStdout>>)>,
    /// In place of [`ADDRESSES`].
    addresses: [String; 2],
}

impl Reader {
    /// A shell in the directory, with the program first on the path.
    fn shell(&self, text: &str) -> Command {
        let mut shell = unset(Command::new("bash"));
        shell
            .args(["-euc", text])
            .current_dir(self.dir.path())
            .env("PATH", search_path())
            .env("NO_PROXY", "127.0.0.1")
            .env("AURICLE_LISTEN", "127.0.0.1:0")
            .env("AURICLE_DATA_DIR", self.dir.path().join("data"));
        shell
    }

    /// Runs a block to its end, and gives what it printed.
    fn run(&self, text: &str) -> String {
        let theirs = ADDRESSES.iter().zip(&self.addresses);
        let here = theirs.fold(text.to_owned(), |text, (guide, here)| {
            text.replace(guide, here)
        });
        let output = self.shell(&here).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{printed}\n{complained}");
        // What a script would fetch and compile first.
        if let Some(name) = text.strip_prefix("auricle component new").map(last_word) {
            put_tools(&self.dir.path().join(name));
        }
        printed
    }

    /// Runs the server as in a second terminal.
    fn serve(&mut self, text: &str) {
        let text = ADDRESSES.iter().fold(text.to_owned(), |text, address| {
            text.replace(address, "127.0.0.1:0")
        });
        let mut shell = self.shell(&format!("exec {text}"));
        let mut kept = Kept::spawn(shell.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut lines = BufReader::new(kept.child.stdout.take().unwrap()).lines();
        self.addresses = ["listening on http://", "admin on http://"].map(|announced| {
            let address =
                lines.find_map(|line| Some(line.unwrap().strip_prefix(announced)?.to_owned()));
            address.expect("the server listens")
        });
        self.server = Some((kept, lines));
    }
}

fn last_word(line: &str) -> &str {
    line.lines().next().unwrap().rsplit(' ').next().unwrap()
}

fn follow(reader: &mut Reader, mut blocks: VecDeque<Block>) {
    while let Some(block) = blocks.pop_front() {
        assert_eq!(
            block.lang, "sh",
            "what the guide shows is printed by something"
        );
        if block.text.starts_with("auricle serve") {
            reader.serve(&block.text);
            continue;
        }
        let printed = reader.run(&block.text);
        if blocks.front().is_some_and(|next| next.lang == "json") {
            let shown = blocks.pop_front().unwrap().text;
            let begins = shown.strip_suffix(REST).expect("an answer that goes on");
            // The guide's words are those of one recording.
            if speech().text.contains("country") {
                assert!(printed.starts_with(begins), "{printed}\nis not\n{shown}");
            } else {
                assert!(printed.starts_with("{\"text\":\""), "{printed}");
            }
        }
    }
}

#[test]
fn the_guide_for_a_first_component_does_what_it_says() {
    let guide = std::fs::read_to_string(repository().join("docs/first-component.md")).unwrap();
    let mut reader = Reader {
        dir: tempfile::tempdir().unwrap(),
        server: None,
        addresses: Default::default(),
    };
    std::fs::write(reader.dir.path().join("speech.wav"), speech().wav()).unwrap();
    let (rust, others) = guide
        .split_once("## In JavaScript")
        .expect("a part on JavaScript");
    let (js, python) = others.split_once("## In Python").expect("a part on Python");
    if can_build("rust") {
        follow(&mut reader, blocks(rust));
    }
    if can_build("js") {
        follow(&mut reader, blocks(js));
    }
    follow(&mut reader, blocks(python));
    for (lang, wasm) in [
        ("rust", "first/first.wasm"),
        ("js", "first-js/first-js.wasm"),
        ("python", "first-python/first-python.wasm"),
    ] {
        if can_build(lang) {
            let component = std::fs::read(reader.dir.path().join(wasm)).unwrap();
            must_fit("speaker-assigner", &component);
        }
    }
}
