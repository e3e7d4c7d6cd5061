//! The pages of the documentation: links, headings, code, and the commands in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page of Markdown.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    text: String,
}

/// The repository's root.
pub fn root() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    path.canonicalize().unwrap()
}

impl Page {
    /// The README and all pages below `docs`.
    pub fn all() -> Vec<Self> {
        let mut folders = vec![root().join("docs")];
        let mut paths = vec![root().join("README.md")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.extension().is_some_and(|end| end == "md") => paths.push(path),
                    false => {}
                }
            }
        }
        paths.sort();
        assert!(paths.len() >= 20, "{paths:?}");
        paths.into_iter().map(Self::read).collect()
    }

    /// The page of a file.
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    /// Where its links and images lead, as it is written there.
    pub fn links(&self) -> Vec<String> {
        let targets = self.events().filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.into_string())
            }
            _ => None,
        });
        targets.collect()
    }

    /// What a link names its headings by: in lower case, hyphens for blanks, other marks left out.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut heading: Option<String> = None;
        for event in self.events() {
            match (event, &mut heading) {
                (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
                (Event::Text(text) | Event::Code(text), Some(heading)) => *heading += &text,
                (Event::End(TagEnd::Heading(_)), Some(text)) => {
                    let anchor = text.to_lowercase().replace(' ', "-");
                    let named = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
                    anchors.insert(anchor.chars().filter(named).collect());
                    heading = None;
                }
                _ => {}
            }
        }
        anchors
    }

    /// Code within lines of text.
    pub fn code_in_lines(&self) -> Vec<String> {
        let code = self.events().filter_map(|event| match event {
            Event::Code(text) => Some(text.into_string()),
            _ => None,
        });
        code.collect()
    }

    /// The blocks of code in a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut block: Option<String> = None;
        for event in self.events() {
            match (event, &mut block) {
                (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))), _) => {
                    block = (&*info == language).then(String::new);
                }
                (Event::Text(text), Some(block)) => *block += &text,
                (Event::End(TagEnd::CodeBlock), _) => blocks.extend(block.take()),
                _ => {}
            }
        }
        blocks
    }

    /// What its shell blocks run of the program: the words behind `neuroinspect`, variables of the page replaced.
    pub fn commands(&self) -> Vec<Vec<String>> {
        let mut variables = BTreeMap::new();
        let mut commands = Vec::new();
        for block in self.blocks("sh") {
            let mut line = String::new();
            for part in block.lines() {
                if let Some(part) = part.strip_suffix('\\') {
                    line += part;
                    continue;
                }
                line += part;
                // Where a quote is open, the next line belongs to it.
                let Some(words) = shlex::split(&replaced(&line, &variables)) else {
                    line.push('\n');
                    continue;
                };
                line.clear();
                let mut words = &words[..];
                while let [first, rest @ ..] = words
                    && let Some((name, value)) = assignment(first)
                {
                    variables.insert(name.to_owned(), value.to_owned());
                    words = rest;
                }
                commands.extend(program(words));
            }
            assert!(line.is_empty(), "{}: {line}", self.path.display());
        }
        commands
    }
}

/// The name and value that a word assigns to a variable of the shell.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    is_name.then_some((name, value))
}

/// A line with the values of variables in their place; the longer of two names that begin alike comes first.
fn replaced(line: &str, variables: &BTreeMap<String, String>) -> String {
    let replace =
        |line: String, (name, value): (&String, &String)| line.replace(&format!("${name}"), value);
    variables.iter().rev().fold(line.to_owned(), replace)
}

/// The words behind the program in those of a command, where it is run there, also by cargo, by another program or in
/// its place.
fn program(words: &[String]) -> Option<Vec<String>> {
    let inner = words
        .iter()
        .position(|word| word.ends_with("$(neuroinspect"));
    if let Some(inner) = inner {
        let mut words = words[inner + 1..].to_vec();
        let end = words.iter().position(|word| word.ends_with(')'))?;
        words.truncate(end + 1);
        words[end].pop();
        return Some(words);
    }
    let is_program = |word: &str| word == "neuroinspect" || word.ends_with("/neuroinspect");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let given = match &words[..] {
        ["exec", first, rest @ ..] | [first, rest @ ..] if is_program(first) => rest,
        // Of a workspace with one program, that program; examples have names of their own.
        ["cargo", "run", rest @ ..] if !rest.contains(&"--example") => {
            let end = rest.iter().position(|word| *word == "--")?;
            &rest[end + 1..]
        }
        _ => {
            let quoted = words
                .iter()
                .find_map(|word| word.strip_prefix("neuroinspect "))?;
            return shlex::split(quoted);
        }
    };
    let end = given
        .iter()
        .position(|word| matches!(*word, "|" | ">" | "&&" | ";"));
    let given = &given[..end.unwrap_or(given.len())];
    Some(given.iter().map(|word| (*word).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        let path = PathBuf::from("page.md");
        Page {
            path,
            text: text.to_owned(),
        }
    }

    #[test]
    fn commands_are_found_wherever_a_shell_runs_them() {
        let page = page(
            "```sh\nM=\"--model a\n  --data b\"\nneuroinspect debug $M \\\n  --class \"rock crab\"  # it's a comment\n\
             cargo run -- demo\ncargo run --release -p neuroinspect-cli -- studio\n\
             cargo run --release --example large_table -- folder 1 2 3\ncargo add --path ../crates/neuroinspect\n\
             sbatch --wrap \"neuroinspect atlas merge\"\nsbatch --array=$(neuroinspect atlas status --array) job\n\
             exec neuroinspect man > page\n```\n\n```text\nneuroinspect no command\n```\n",
        );
        let expected = [
            "debug --model a --data b --class rock crab",
            "demo",
            "studio",
            "atlas merge",
            "atlas status --array",
            "man",
        ];
        let found = page.commands();
        let found: Vec<_> = found.iter().map(|words| words.join(" ")).collect();
        assert_eq!(found, expected);
        assert_eq!(page.commands()[0].last().unwrap(), "rock crab");
    }

    #[test]
    fn links_headings_and_code_are_found() {
        let page = page(
            "# What `mend` says, and why\n\nSee [a](b.md#c) and `--code`.\n\n![i](j.png)\n\n```json\n{}\n```\n\n\
             | a |\n| --- |\n| [t](u.md) |\n",
        );
        assert_eq!(page.links(), ["b.md#c", "j.png", "u.md"]);
        let anchors: Vec<_> = page.anchors().into_iter().collect();
        assert_eq!(anchors, ["what-mend-says-and-why"]);
        assert_eq!(page.code_in_lines(), ["mend", "--code"]);
        assert_eq!(page.blocks("json"), ["{}\n"]);
    }
}
