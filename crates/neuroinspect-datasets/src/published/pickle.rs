//! Python's pickle of a dictionary of sets of texts, read without running anything.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

/// Texts by name: MetaShift's subsets, and the numbers of their images.
pub(super) type Sets = BTreeMap<String, Vec<String>>;

/// What a pickle of texts, lists, sets and dictionaries is made of.
#[derive(Clone, Debug)]
enum Value {
    Text(Rc<str>),
    /// A list, a tuple or a set.
    List(Vec<Value>),
    Dictionary(BTreeMap<Rc<str>, Vec<Value>>),
    /// A type of Python's that may be called, by its name.
    Type(&'static str),
    Mark,
}

/// Reads a dictionary of sets of texts, such as `collections.defaultdict(set)` or a plain `dict` of sets or
/// lists; each set in byte order, without what is in it twice.
///
/// Of a pickle's operations only those are known that such a dictionary is written with, in protocols 2 to
/// 5; of Python's types `dict`, `defaultdict`, `set`, `frozenset`, `list` and `tuple`. All else is refused
/// with its place in the file.
pub(super) fn sets(bytes: &[u8]) -> Result<Sets, String> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
    };
    let Value::Dictionary(dictionary) = machine.run()? else {
        return Err("it holds no dictionary".to_owned());
    };
    let mut sets = Sets::new();
    for (name, items) in dictionary {
        let texts = items.into_iter().map(|item| match item {
            Value::Text(text) => Ok(text.to_string()),
            _ => Err(format!("the set '{name}' holds more than texts")),
        });
        let mut texts = texts.collect::<Result<Vec<_>, _>>()?;
        texts.sort_unstable();
        texts.dedup();
        sets.insert(name.to_string(), texts);
    }
    Ok(sets)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let start = self.at;
            let [operation] = self.array()?;
            let done = self
                .step(operation)
                .map_err(|reason| format!("at byte {start}: {reason}"))?;
            if done {
                return self.pop();
            }
        }
    }

    /// One operation; whether it was the last. Codes as in Python's `pickletools`.
    fn step(&mut self, operation: u8) -> Result<bool, String> {
        match operation {
            // STOP
            b'.' => return Ok(true),
            // PROTO, and FRAME with its length
            0x80 => drop(self.array::<1>()?),
            0x95 => drop(self.array::<8>()?),
            b'(' => self.stack.push(Value::Mark),
            b'}' => self.stack.push(Value::Dictionary(BTreeMap::new())),
            // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
            b']' | b')' | 0x8f => self.stack.push(Value::List(Vec::new())),
            // BINUNICODE, SHORT_BINUNICODE
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.push_text(length as usize)?;
            }
            0x8c => {
                let [length] = self.array()?;
                self.push_text(usize::from(length))?;
            }
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => {
                let [key] = self.array()?;
                self.remember(u32::from(key))?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(key)?;
            }
            0x94 => {
                let key = u32::try_from(self.memo.len()).map_err(|error| error.to_string())?;
                self.remember(key)?;
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let [key] = self.array()?;
                self.recall(u32::from(key))?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            // APPEND
            b'a' => {
                let item = self.pop()?;
                self.add(vec![item])?;
            }
            // APPENDS, ADDITEMS
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.add(items)?;
            }
            // TUPLE1, and TUPLE, LIST and FROZENSET of what is above the mark
            0x85 => {
                let item = self.pop()?;
                self.stack.push(list(vec![item])?);
            }
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.stack.push(list(items)?);
            }
            // SETITEM, SETITEMS
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(items)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let known = type_named(&module, &name)?;
                self.stack.push(known);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) = (name, module) else {
                    return Err("a type is named by something that is no text".to_owned());
                };
                let known = type_named(&module, &name)?;
                self.stack.push(known);
            }
            // REDUCE: a call.
            b'R' => {
                let (arguments, called) = (self.pop()?, self.pop()?);
                let made = call(called, arguments)?;
                self.stack.push(made);
            }
            other => {
                return Err(format!(
                    "operation {other:#04x} is none that a dictionary of sets needs"
                ));
            }
        }
        Ok(false)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.bytes[self.at..].first_chunk().copied();
        self.at += N;
        bytes.ok_or_else(|| "it ends in the middle".to_owned())
    }

    fn push_text(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.bytes[self.at..].get(..length);
        let bytes = bytes.ok_or("it ends in the middle of a text")?;
        let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
        self.at += length;
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or("it ends in the middle of a line")?;
        self.at += end + 1;
        String::from_utf8(rest[..end].to_vec()).map_err(|error| error.to_string())
    }

    fn pop(&mut self) -> Result<Value, String> {
        match self.stack.pop() {
            None | Some(Value::Mark) => Err("there is nothing to take".to_owned()),
            Some(value) => Ok(value),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let is_mark = |value: &Value| matches!(value, Value::Mark);
        let mark = self
            .stack
            .iter()
            .rposition(is_mark)
            .ok_or("there is no mark")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// Only texts and types are fetched again in a dictionary of sets. What else is put in memory is filled
    /// afterwards, and its copy would not be.
    fn remember(&mut self, key: u32) -> Result<(), String> {
        let value = match self.stack.last() {
            None | Some(Value::Mark) => return Err("there is nothing to remember".to_owned()),
            Some(value @ (Value::Text(_) | Value::Type(_))) => value.clone(),
            Some(_) => Value::Mark,
        };
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        match self.memo.get(&key) {
            Some(value @ (Value::Text(_) | Value::Type(_))) => {
                self.stack.push(value.clone());
                Ok(())
            }
            _ => Err(format!(
                "it takes number {key} of its memory, which is no text"
            )),
        }
    }

    fn add(&mut self, items: Vec<Value>) -> Result<(), String> {
        match self.stack.last_mut() {
            Some(Value::List(list)) => {
                check_items(&items)?;
                list.extend(items);
                Ok(())
            }
            _ => Err("it adds to something that is no list".to_owned()),
        }
    }

    fn set(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dictionary(dictionary)) = self.stack.last_mut() else {
            return Err("it sets an item of something that is no dictionary".to_owned());
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            let (Value::Text(name), Some(Value::List(items))) = (key, items.next()) else {
                return Err("an item of the dictionary is not a set under a text".to_owned());
            };
            dictionary.insert(name, items);
        }
        Ok(())
    }
}

/// A list, tuple or set of these items.
fn list(items: Vec<Value>) -> Result<Value, String> {
    check_items(&items)?;
    Ok(Value::List(items))
}

/// Refuses items nested deeper than a call's argument, a list in a tuple: lists in one another a million
/// times would overflow the stack when they are dropped.
fn check_items(items: &[Value]) -> Result<(), String> {
    let is_flat = |value: &Value| matches!(value, Value::Text(_) | Value::Type(_));
    let fits = items.iter().all(|item| match item {
        Value::List(inner) => inner.iter().all(is_flat),
        item => is_flat(item),
    });
    match fits {
        true => Ok(()),
        false => Err("it nests lists deeper than a set needs".to_owned()),
    }
}

/// The types that a dictionary of sets is made of.
fn type_named(module: &str, name: &str) -> Result<Value, String> {
    let known = ["dict", "set", "frozenset", "list", "tuple", "defaultdict"];
    let expected = match name {
        "defaultdict" => module == "collections",
        _ => matches!(module, "builtins" | "__builtin__"),
    };
    match known.into_iter().find(|known| *known == name) {
        Some(known) if expected => Ok(Value::Type(known)),
        _ => Err(format!(
            "it asks for {module}.{name}, which is not given to it"
        )),
    }
}

/// What a call of a type gives.
fn call(called: Value, arguments: Value) -> Result<Value, String> {
    let (Value::Type(name), Value::List(mut arguments)) = (called, arguments) else {
        return Err("it calls something that is no type".to_owned());
    };
    match (name, arguments.pop(), arguments.is_empty()) {
        ("defaultdict" | "dict", None | Some(Value::Type(_)), true) => {
            Ok(Value::Dictionary(BTreeMap::new()))
        }
        ("set" | "frozenset" | "list" | "tuple", None, true) => Ok(Value::List(Vec::new())),
        ("set" | "frozenset" | "list" | "tuple", Some(list @ Value::List(_)), true) => Ok(list),
        _ => Err(format!(
            "it calls {name} with other arguments than a set is made of"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `defaultdict(set)` with `cat(red)` of 2 and 1, as protocol 3 writes it.
    const SMALL: &[u8] = b"\x80\x03ccollections\ndefaultdict\nq\x00cbuiltins\nset\nq\x01\x85q\x02Rq\x03\
        X\x08\x00\x00\x00cat(red)q\x04h\x01]q\x05(X\x01\x00\x00\x002q\x06X\x01\x00\x00\x001q\x07h\x06e\x85q\x08Rq\x09s.";

    #[test]
    fn a_dictionary_of_sets_is_read_in_byte_order() {
        let expected = Sets::from([("cat(red)".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
        assert_eq!(sets(SMALL).unwrap(), expected);
        // `pickle.dumps({'a': {'7'}}, protocol=4)`.
        let four = b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94\x8f\x94(\x8c\x017\x94\x90s.";
        let expected = Sets::from([("a".to_owned(), vec!["7".to_owned()])]);
        assert_eq!(sets(four).unwrap(), expected);
    }

    #[test]
    fn what_no_dictionary_of_sets_needs_is_refused_with_its_place() {
        for (bytes, message) in [
            (
                &b"cos\nsystem\n(X\x02\x00\x00\x00lstR."[..],
                "at byte 0: it asks for os.system",
            ),
            (
                b"}X\x01\x00\x00\x00acbuiltins\neval\ns.",
                "at byte 7: it asks for builtins.eval",
            ),
            (
                b"\x80\x02]X\xff\xff\xff\x7fa",
                "at byte 3: it ends in the middle of a text",
            ),
            (b"I42\n.", "at byte 0: operation 0x49"),
            (b"]h\x05a.", "at byte 1: it takes number 5"),
            (b"].", "it holds no dictionary"),
            (
                b"}(X\x01\x00\x00\x00au.",
                "at byte 8: an item of the dictionary",
            ),
            (
                &[b"]".to_vec(), vec![0x85; 1 << 22]].concat(),
                "at byte 2: it nests lists",
            ),
            (
                &[vec![b']'; 1 << 20], vec![b'a'; 1 << 20]].concat(),
                "at byte 1048577: it nests lists",
            ),
            (b"e.", "at byte 0: there is no mark"),
            (b"", "it ends in the middle"),
        ] {
            let error = sets(bytes).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        // Any end of a good one, and any byte of it changed, is an error or another dictionary.
        for end in 0..SMALL.len() {
            assert!(sets(&SMALL[..end]).is_err());
            let mut bytes = SMALL.to_vec();
            for changed in [0, b'.', b'(', b'R', 0xff] {
                bytes[end] = changed;
                let _ = sets(&bytes);
            }
        }
    }

    #[test]
    #[ignore = "needs real data"]
    fn metashifts_own_pickle_is_read() {
        let path =
            neuroinspect_testing::real_data::path("metashift-attributes-candidate-subsets.pkl");
        let sets = sets(&std::fs::read(path).unwrap()).unwrap();
        // As `pickle.load` has it.
        assert_eq!(sets.len(), 4962);
        assert_eq!(sets.values().map(Vec::len).sum::<usize>(), 172_039);
        assert_eq!(sets["dog(black)"].len(), 172);
        assert!(sets["straw(white)"].contains(&"2411272".to_owned()));
    }
}
